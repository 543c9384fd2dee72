"""Writes what transformers renders for released chat templates, as SHA-256, for test/golden/text/templates.test.ts.

    python3 -m venv venv && venv/bin/pip install transformers==5.24.0 jinja2==3.1.6
    venv/bin/python test/tools/render_templates.py TEMPLATES_DIR > test/golden/text/templates/renders.json

TEMPLATES_DIR holds the *.jinja files of one release (test/tools/released-templates.ts fetches it). Each is rendered
for every conversation and setting in test/golden/text/templates/conversations.json, in that order. A render is recorded
as the SHA-256 of its UTF-8 text, as "raises <SHA-256 of the message>" where the template calls raise_exception, and as
"fails" where it cannot be rendered. With --texts DIR, the renders themselves are written there, to compare by eye.
"""

import argparse
import datetime
import hashlib
import json
import os
import sys

import jinja2
import transformers
from transformers.utils import chat_template_utils

HERE = os.path.dirname(os.path.abspath(__file__))
CONVERSATIONS = os.path.join(HERE, "../golden/text/templates/conversations.json")
NOW = datetime.datetime(2025, 3, 9, 14, 7, 5)


class FixedTime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


def sha256(text):
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def render(source, messages, setting, inputs):
    """(what is recorded, the text or message it stands for)"""
    try:
        [text], _ = chat_template_utils.render_jinja_template(
            conversations=[messages],
            chat_template=source,
            tools=inputs["tools"][setting["tools"]] if "tools" in setting else None,
            add_generation_prompt=setting["add_generation_prompt"],
            **inputs["variables"],
            **setting.get("variables", {}),
        )
    except jinja2.exceptions.TemplateError as error:
        # raise_exception raises the base class itself; what fails in Jinja raises one derived from it.
        if type(error) is jinja2.exceptions.TemplateError:
            return "raises " + sha256(error.message), error.message
        return "fails", f"{type(error).__name__}: {error}"
    except Exception as error:
        return "fails", f"{type(error).__name__}: {error}"
    return sha256(text), text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("templates_dir")
    parser.add_argument("--texts")
    options = parser.parse_args()
    chat_template_utils.datetime = FixedTime
    with open(CONVERSATIONS, encoding="utf-8") as file:
        inputs = json.load(file)
    templates = {}
    for name in sorted(os.listdir(options.templates_dir)):
        if not name.endswith(".jinja"):
            continue
        with open(os.path.join(options.templates_dir, name), encoding="utf-8", newline="") as file:
            source = file.read()
        renders = []
        for conversation, messages in inputs["conversations"].items():
            for setting_name, setting in inputs["settings"].items():
                recorded, text = render(source, messages, setting, inputs)
                renders.append(recorded)
                if options.texts:
                    path = os.path.join(options.texts, f"{name}.{conversation}.{setting_name}.txt")
                    with open(path, "w", encoding="utf-8", errors="surrogatepass", newline="") as file:
                        file.write(f"{recorded}\n{text}")
        templates[name] = {"source": sha256(source), "renders": renders}
    versions = {"transformers": transformers.__version__, "jinja2": jinja2.__version__}
    json.dump({"now": NOW.isoformat(), "versions": versions, "templates": templates}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
