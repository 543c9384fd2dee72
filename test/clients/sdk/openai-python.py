"""The openai package: chats, completions and responses, whole and streamed, with a tool that the program runs."""
import json
import os

from openai import BadRequestError, OpenAI

client = OpenAI(base_url=os.environ["SERVER"] + "/v1", api_key="none", max_retries=0)
model = os.environ["MODEL"]
hello = [{"role": "user", "content": "Say hello."}]
question = {"role": "user", "content": "How is the weather in Oslo and in Rome?"}
parameters = {
    "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"],
}
tool = {"name": "get_weather", "description": "The weather of a city", "parameters": parameters}
weather = {"Oslo": "4 degrees and light rain", "Rome": "21 degrees and sun"}


def get_weather(arguments):
    values = json.loads(arguments)
    assert values["days"] == 2, values
    return weather[values["city"]]


def chat(messages, **fields):
    return client.chat.completions.create(model=model, messages=messages, **fields).choices[0].message


def streamed_chat(messages, **fields):
    with client.chat.completions.stream(model=model, messages=messages, **fields) as stream:
        for _ in stream:
            pass
        return stream.get_final_completion().choices[0].message


def chat_with_tools(ask):
    messages, tools = [question], [{"type": "function", "function": tool}]
    while True:
        answer = ask(messages, tools=tools)
        messages.append(answer.to_dict())
        if not answer.tool_calls:
            return answer.content
        for call in answer.tool_calls:
            result = get_weather(call.function.arguments)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


def response(items, **fields):
    return client.responses.create(model=model, input=items, **fields)


def streamed_response(items, **fields):
    with client.responses.stream(model=model, input=items, **fields) as stream:
        for _ in stream:
            pass
        return stream.get_final_response()


def response_with_tools(ask):
    items, tools = [question], [{"type": "function", **tool}]
    while True:
        answer = ask(items, tools=tools)
        items += [item.to_dict() for item in answer.output]
        calls = [item for item in answer.output if item.type == "function_call"]
        if not calls:
            return answer.output_text
        for call in calls:
            result = get_weather(call.arguments)
            items.append({"type": "function_call_output", "call_id": call.call_id, "output": result})


def refused():
    try:
        chat(hello, temperature=9)
    except BadRequestError as error:
        return error.status_code


print(json.dumps({
    "models": [entry.id for entry in client.models.list()],
    "chat": chat(hello).content,
    "chat stream": streamed_chat(hello).content,
    "chat tools": chat_with_tools(chat),
    "chat tools stream": chat_with_tools(streamed_chat),
    "completion": client.completions.create(model=model, prompt="Say hello.", max_tokens=100).choices[0].text,
    "responses": response(hello).output_text,
    "responses stream": streamed_response(hello).output_text,
    "responses tools": response_with_tools(response),
    "responses tools stream": response_with_tools(streamed_response),
    "refused": refused(),
}))
