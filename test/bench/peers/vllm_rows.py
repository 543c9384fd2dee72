#!/usr/bin/env python3
"""Rows of the comparison with vLLM, in its process: a line {"row": ..., "value": ...} each.

    BENCH_DTYPE=TYPE vllm_rows.py DIRECTORY THREADS ROWS LONG_ANSWER STARTED_MS

Threads are those that VLLM_CPU_OMP_THREADS_BIND names, and the engine has to be in this process
(VLLM_ENABLE_V1_MULTIPROCESSING=0).
"""

import itertools
import os
import sys
import time

from stream_rows import draw_ids, longest_stream, report_streams, split_rows
from vllm import LLM, SamplingParams


def main():
    path, (streams, _) = sys.argv[1], split_rows(sys.argv[3])
    max_model_len = max(1024, longest_stream(streams))
    llm = LLM(path, dtype=os.environ["BENCH_DTYPE"], max_model_len=max_model_len, max_num_seqs=64)
    engine, ids = llm.llm_engine, itertools.count()

    def run(input_len, output_len):
        params = SamplingParams(max_tokens=output_len, temperature=0.0, ignore_eos=True, detokenize=False)
        started, first = time.perf_counter(), None
        engine.add_request(str(next(ids)), {"prompt_token_ids": draw_ids(input_len)}, params)
        while engine.has_unfinished_requests():
            for output in engine.step():
                if first is None and output.outputs[0].token_ids:
                    first = time.perf_counter()
        return first - started, time.perf_counter() - first

    report_streams(streams, run)


if __name__ == "__main__":
    main()
