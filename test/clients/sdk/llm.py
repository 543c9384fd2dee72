"""llm: a model of extra-openai-models.yaml, whole and streamed, with a tool that llm runs."""
import json
import os
from pathlib import Path

directory = Path.cwd() / "llm"
directory.mkdir()
os.environ["LLM_USER_PATH"] = str(directory)
(directory / "extra-openai-models.yaml").write_text(json.dumps([{
    "model_id": "baozi", "model_name": os.environ["MODEL"], "api_base": os.environ["SERVER"] + "/v1",
    "supports_tools": True,
}]))

import llm  # noqa: E402: it reads the variable

model = llm.get_model("baozi")
model.key = "none"


def get_weather(city: str, days: int = 1) -> str:
    """The weather of a city."""
    assert days == 2, days
    return {"Oslo": "4 degrees and light rain", "Rome": "21 degrees and sun"}[city]


def ask(stream):
    return model.prompt("Say hello.", stream=stream).text()


def with_tools(stream):
    question = "How is the weather in Oslo and in Rome?"
    return list(model.chain(question, tools=[get_weather], stream=stream).responses())[-1].text()


print(json.dumps({
    "chat": ask(False),
    "chat stream": ask(True),
    "chat tools": with_tools(False),
    "chat tools stream": with_tools(True),
}))
