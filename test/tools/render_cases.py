"""Renders the cases of test/golden/text/templates/cases.json under transformers, and writes down what comes out.

    python3 -m venv venv && venv/bin/pip install transformers==5.24.0 jinja2==3.1.6
    venv/bin/python test/tools/render_cases.py

A case is [template, text], or [template, null] where Python raises. To add cases, write [template] and run this.
"""

import copy
import datetime
import json
import os

from transformers.utils import chat_template_utils

CASES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../golden/text/templates/cases.json")


def main():
    with open(CASES, encoding="utf-8") as file:
        data = json.load(file)
    now = datetime.datetime.fromisoformat(data["now"])
    chat_template_utils.datetime = type("FixedTime", (datetime.datetime,), {"now": classmethod(lambda cls: now)})
    cases = []
    for template, *_ in data["cases"]:
        try:
            compiled = chat_template_utils._compile_jinja_template(template)
            text = compiled.render(**copy.deepcopy(data["variables"]))
        except Exception:
            text = None
        cases.append([template, text])
    lines = ",\n".join("  " + json.dumps(case, ensure_ascii=True) for case in cases)
    with open(CASES, "w", encoding="utf-8") as file:
        file.write(f'{{\n"now": {json.dumps(data["now"])},\n"variables": {json.dumps(data["variables"])},\n')
        file.write(f'"cases": [\n{lines}\n]\n}}\n')


if __name__ == "__main__":
    main()
