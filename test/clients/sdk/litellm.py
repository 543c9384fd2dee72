"""litellm: as a client of chats, of responses and of messages, whole and streamed, with a tool."""
import json
import os

import litellm

server, model = os.environ["SERVER"], os.environ["MODEL"]
hello = [{"role": "user", "content": "Say hello."}]
question = {"role": "user", "content": "How is the weather in Oslo and in Rome?"}
weather = {"Oslo": "4 degrees and light rain", "Rome": "21 degrees and sun"}
tools = [{
    "type": "function",
    "function": {
        "name": "get_weather", "description": "The weather of a city",
        "parameters": {
            "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}]


def get_weather(arguments):
    values = json.loads(arguments)
    assert values["days"] == 2, values
    return weather[values["city"]]


def whole(place, messages, **fields):
    return litellm.completion(**place, messages=messages, api_key="none", num_retries=0, **fields).choices[0].message


def streamed(place, messages, **fields):
    chunks = litellm.completion(**place, messages=messages, api_key="none", num_retries=0, stream=True, **fields)
    return litellm.stream_chunk_builder(list(chunks), messages=messages).choices[0].message


def with_tools(ask, place):
    messages = [question]
    while True:
        answer = ask(place, messages, tools=tools)
        messages.append(answer.model_dump(exclude_none=True))
        if not answer.tool_calls:
            return answer.content
        for call in answer.tool_calls:
            result = get_weather(call.function.arguments)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


def refused(place):
    try:
        whole(place, hello, temperature=9)
    except litellm.BadRequestError as error:
        return error.status_code


places = {
    "chat": {"model": f"openai/{model}", "api_base": f"{server}/v1"},
    "hosted_vllm": {"model": f"hosted_vllm/{model}", "api_base": f"{server}/v1"},
    "responses": {"model": f"openai/responses/{model}", "api_base": f"{server}/v1"},
    "messages": {"model": f"anthropic/{model}", "api_base": server},
}
results = {}
for api, place in places.items():
    results[api] = whole(place, hello).content
    results[f"{api} stream"] = streamed(place, hello).content
    results[f"{api} tools"] = with_tools(whole, place)
    results[f"{api} tools stream"] = with_tools(streamed, place)
print(json.dumps({**results, "refused": refused(places["chat"])}))
