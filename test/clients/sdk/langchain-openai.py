"""langchain-openai: ChatOpenAI over chats and over responses, whole and streamed, with a tool."""
import json
import os

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from openai import BadRequestError

common = {
    "model": os.environ["MODEL"], "base_url": os.environ["SERVER"] + "/v1", "api_key": "none", "max_retries": 0,
}
question = HumanMessage("How is the weather in Oslo and in Rome?")


@tool
def get_weather(city: str, days: int = 1) -> str:
    """The weather of a city."""
    assert days == 2, days
    return {"Oslo": "4 degrees and light rain", "Rome": "21 degrees and sun"}[city]


def whole(llm, messages):
    return llm.invoke(messages)


def streamed(llm, messages):
    total = None
    for chunk in llm.stream(messages):
        total = chunk if total is None else total + chunk
    return total


def with_tools(llm, ask):
    messages, bound = [question], llm.bind_tools([get_weather])
    while True:
        answer = ask(bound, messages)
        messages.append(answer)
        if not answer.tool_calls:
            return answer.text
        for call in answer.tool_calls:
            messages.append(ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"]))


def refused():
    try:
        ChatOpenAI(**common, temperature=9).invoke("Say hello.")
    except BadRequestError as error:
        return error.status_code


results = {}
for api, llm in {"chat": ChatOpenAI(**common), "responses": ChatOpenAI(**common, use_responses_api=True)}.items():
    results[api] = whole(llm, "Say hello.").text
    results[f"{api} stream"] = streamed(llm, "Say hello.").text
    results[f"{api} tools"] = with_tools(llm, whole)
    results[f"{api} tools stream"] = with_tools(llm, streamed)
print(json.dumps({**results, "refused": refused()}))
