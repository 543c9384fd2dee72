#!/usr/bin/env python3
"""Rows of the comparison with AMD PACE, in its process: a line {"row": ..., "value": ...} each.

    amd_pace_rows.py DIRECTORY THREADS ROWS LONG_ANSWER STARTED_MS
"""

import os
import sys
import time

import torch
from pace.llm import LLMModel, SamplingConfig
from pace.llm.attention import KVCacheType
from stream_rows import draw_ids, report_streams, split_rows


class TokenTimes:
    """What its generator calls a streamer: the prompt comes first, then each token."""

    def __init__(self):
        self.times = []

    def put(self, _tokens):
        self.times.append(time.perf_counter())

    def end(self):
        pass


def main():
    path, threads, (streams, _) = sys.argv[1], int(sys.argv[2]), split_rows(sys.argv[3])
    os.sched_setaffinity(0, range(threads))
    torch.set_num_threads(threads)
    # The cache that pace-server has for one request after the other.
    model = LLMModel(path, dtype=torch.bfloat16, kv_cache_type=KVCacheType.BMC, disable_tqdm=True)

    def run(input_len, output_len):
        streamer = TokenTimes()
        config = SamplingConfig(max_new_tokens=output_len, ignore_eos=True)
        started = time.perf_counter()
        model.generate(torch.tensor([draw_ids(input_len)]), config, streamer)
        _, first, *later = streamer.times
        if len(later) + 1 != output_len:
            raise SystemExit(f"{len(later) + 1} tokens out, not the {output_len} that were asked for")
        return first - started, later[-1] - first if later else 0.0

    report_streams(streams, run)


if __name__ == "__main__":
    main()
