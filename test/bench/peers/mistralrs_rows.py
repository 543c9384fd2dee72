#!/usr/bin/env python3
"""Rows of the comparison with mistral.rs, in its process: a line {"row": ..., "value": ...} each.

    mistralrs_rows.py MODEL THREADS ROWS LONG_ANSWER STARTED_MS     MODEL: a GGUF file, or a directory in bfloat16

Prompts are texts of letters: the bench models' vocabulary has a token for each and none for two.
"""

import json
import os
import random
import string
import sys

from mistralrs import CompletionRequest, ModelDType, Runner, Which


def main():
    path, rows = sys.argv[1], sys.argv[3].split(",")
    if path.endswith(".gguf"):
        which = Which.GGUF(quantized_model_id=os.path.dirname(path), quantized_filename=os.path.basename(path))
    else:
        which = Which.Plain(model_id=path, dtype=ModelDType.BF16)
    runner = Runner(which=which, no_paged_attn=True)

    def run(input_len, output_len):
        request = CompletionRequest(
            prompt="".join(random.choices(string.ascii_lowercase, k=input_len)), model="default",
            max_tokens=output_len, temperature=0.0, top_k=1, ignore_eos=True,
        )
        usage = runner.send_completion_request(request).usage
        if (usage.prompt_tokens, usage.completion_tokens) != (input_len, output_len):
            raise SystemExit(f"{usage.prompt_tokens} tokens in, {usage.completion_tokens} out, not what was asked for")
        return usage

    run(64, 4)
    works = {
        "prefill": lambda: 512 / run(512, 1).total_prompt_time_sec,
        "decode": lambda: 128 / run(8, 129).total_completion_time_sec,
    }
    for row in rows:
        print(json.dumps({"row": row, "value": works[row]()}), flush=True)


if __name__ == "__main__":
    main()
