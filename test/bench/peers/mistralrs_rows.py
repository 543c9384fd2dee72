#!/usr/bin/env python3
"""Rows of the comparison with mistral.rs, in its process: a line {"row": ..., "value": ...} each.

    mistralrs_rows.py MODEL THREADS ROWS LONG_ANSWER STARTED_MS     MODEL: a GGUF file, or a directory in bfloat16

Prompts are texts of letters: the bench models' vocabulary has a token for each and none for two.
"""

import os
import random
import resource
import string
import sys

from mistralrs import CompletionRequest, ModelDType, Runner, Which
from stream_rows import report_streams, split_rows


def main():
    path, (streams, _) = sys.argv[1], split_rows(sys.argv[3])
    # It holds the scores of a whole prompt at once: where those are more than the machine has, it alone shall fail.
    bytes_there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    resource.setrlimit(resource.RLIMIT_AS, (bytes_there, bytes_there))
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
        return usage.total_prompt_time_sec, usage.total_completion_time_sec

    report_streams(streams, run)


if __name__ == "__main__":
    main()
