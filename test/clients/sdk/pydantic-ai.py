"""pydantic-ai: an agent over chats and over responses, whole and streamed, with a tool that it runs."""
import asyncio
import json
import os

from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

provider = OpenAIProvider(base_url=os.environ["SERVER"] + "/v1", api_key="none")
models = {
    "chat": OpenAIChatModel(os.environ["MODEL"], provider=provider),
    "responses": OpenAIResponsesModel(os.environ["MODEL"], provider=provider),
}


def get_weather(city: str, days: int = 1) -> str:
    """The weather of a city."""
    assert days == 2, days
    return {"Oslo": "4 degrees and light rain", "Rome": "21 degrees and sun"}[city]


async def streamed(agent, prompt):
    async with agent.run_stream(prompt) as result:
        return await result.get_output()


async def main():
    results = {}
    for api, model in models.items():
        agent = Agent(model, tools=[get_weather])
        hello, question = "Say hello.", "How is the weather in Oslo and in Rome?"
        results[api] = (await agent.run(hello)).output
        results[f"{api} stream"] = await streamed(agent, hello)
        results[f"{api} tools"] = (await agent.run(question)).output
        # A stream ends at the first text; the whole conversation is one of events.
        async with agent.iter(question) as run:
            async for node in run:
                if Agent.is_model_request_node(node):
                    async with node.stream(run.ctx) as events:
                        async for _ in events:
                            pass
            results[f"{api} tools stream"] = run.result.output
    try:
        await Agent(models["chat"]).run("Say hello.", model_settings={"temperature": 9})
    except ModelHTTPError as error:
        results["refused"] = error.status_code
    print(json.dumps(results))


asyncio.run(main())
