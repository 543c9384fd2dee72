#!/usr/bin/env python3
"""Prefill of 512 tokens and decode of 128 with OpenVINO GenAI, in its process: {"prefill": tok/s, "decode": tok/s}.

    openvino_speeds.py MODEL.gguf THREADS
"""

import json
import sys
import time

import numpy
import openvino
import openvino_genai


def main():
    path, threads = sys.argv[1], int(sys.argv[2])
    pipe = openvino_genai.LLMPipeline(path, "CPU", INFERENCE_NUM_THREADS=threads)
    rng = numpy.random.default_rng(time.time_ns())

    def run(input_len, output_len):
        ids = rng.integers(100, 30000, (1, input_len))
        inputs = openvino_genai.TokenizedInputs(
            openvino.Tensor(ids), openvino.Tensor(numpy.ones((1, input_len), dtype=numpy.int64))
        )
        config = openvino_genai.GenerationConfig(max_new_tokens=output_len, ignore_eos=True, do_sample=False)
        return pipe.generate(inputs, config).perf_metrics

    run(64, 4)
    prefill = run(512, 2).get_ttft().mean
    decode = run(8, 129).get_tpot().mean
    print(json.dumps({"prefill": 512 / prefill * 1000, "decode": 1000 / decode}))


if __name__ == "__main__":
    main()
