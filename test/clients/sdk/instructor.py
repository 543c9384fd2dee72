"""instructor: an object of a pydantic class, by the prompt alone (MD_JSON), whole and streamed, and by a forced call."""
import json
import os

import instructor
from openai import OpenAI
from pydantic import BaseModel

openai = OpenAI(base_url=os.environ["SERVER"] + "/v1", api_key="none", max_retries=0)
fields = {
    "model": os.environ["MODEL"], "max_retries": 0,
    "messages": [{"role": "user", "content": "Name the city and its temperature."}],
}


class Place(BaseModel):
    city: str
    degrees: int


def ask(mode, **more):
    client = instructor.from_openai(openai, mode=mode)
    return client.chat.completions.create(response_model=Place, **fields, **more).model_dump()


def partial():
    client = instructor.from_openai(openai, mode=instructor.Mode.MD_JSON)
    return list(client.chat.completions.create_partial(response_model=Place, **fields))[-1].model_dump()


print(json.dumps({
    "object": ask(instructor.Mode.MD_JSON), "object stream": partial(), "object by a forced call": ask(instructor.Mode.TOOLS),
}))
