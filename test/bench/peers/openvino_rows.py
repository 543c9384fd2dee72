#!/usr/bin/env python3
"""Rows of the comparison with OpenVINO GenAI, in its process: a line {"row": ..., "value": ...} each.

    openvino_rows.py MODEL.gguf THREADS ROWS LONG_ANSWER STARTED_MS

STARTED_MS is when this process was started, in Unix milliseconds. Loads and definitions are those of rows.ts and
served.ts beside this file.
"""

import sys
import time

import numpy
import openvino
import openvino_genai as genai
from stream_rows import report, report_streams, split_rows

LOADS = {  # tokens in, tokens out (None: LONG_ANSWER), streams, requests
    "256x1": (256, 64, 1, 2),
    "256x4": (256, 64, 4, 8),
    "256x16": (256, 64, 16, 16),
    "16x16": (16, None, 16, 16),
    "16x64": (16, None, 64, 64),
}


class Engine:
    def __init__(self, path, threads):
        scheduler = genai.SchedulerConfig()
        scheduler.max_num_seqs = 64
        scheduler.max_num_batched_tokens = 2048
        scheduler.cache_size = 2
        scheduler.enable_prefix_caching = False
        self.pipe = genai.ContinuousBatchingPipeline(path, scheduler, "CPU", {"INFERENCE_NUM_THREADS": threads})
        self.random = numpy.random.default_rng(time.time_ns())
        self.live = {}
        self.next_id = 0

    def add(self, input_len, output_len):
        """Returns the list that the times of its tokens go to, the time of its arrival first."""
        config = genai.GenerationConfig(max_new_tokens=output_len, ignore_eos=True, do_sample=False)
        ids = openvino.Tensor(self.random.integers(100, 30000, (1, input_len)))
        times = [time.perf_counter()]
        self.live[self.next_id] = (self.pipe.add_request(self.next_id, ids, config), times, output_len)
        self.next_id += 1
        return times

    def step(self):
        self.pipe.step()
        now = time.perf_counter()
        for key, (handle, times, output_len) in list(self.live.items()):
            while handle.can_read():
                for output in handle.read().values():
                    times.extend([now] * len(output.generated_ids))
            if len(times) > output_len:
                del self.live[key]

    def run(self, input_len, output_len, streams=1, requests=1):
        """The times of each request."""
        added = []
        while len(added) < requests or self.live:
            while len(added) < requests and len(self.live) < streams:
                added.append(self.add(input_len, output_len))
            self.step()
        return added

    def stream(self, input_len, output_len):
        (times,) = self.run(input_len, output_len)
        return times[1] - times[0], times[-1] - times[1]

    def ttft(self, input_len):
        runs = [self.run(input_len, 1)[0] for _ in range(3)]
        return float(numpy.median([first - arrival for arrival, first in runs]))

    def load(self, row, long_answer):
        input_len, output_len, streams, requests = LOADS[row]
        output_len = output_len or long_answer
        started = time.perf_counter()
        self.run(input_len, output_len, streams, requests)
        return requests * output_len / (time.perf_counter() - started)

    def itl_while_prompt_arrives(self):
        streams = [self.add(16, 160) for _ in range(16)]
        started = time.perf_counter()
        while time.perf_counter() - started < 2:
            self.step()
        arrival, first = (long := self.add(1500, 1))[0], None
        while self.live:
            self.step()
            first = first or (long[1] if len(long) > 1 else None)
        gaps = [
            (b - a) * 1000
            for times in streams
            for a, b in zip(times[1:], times[2:])
            if b > arrival and a < first
        ]
        return float(numpy.percentile(gaps, 99))


def main():
    path, threads, rows, long_answer, started_ms = sys.argv[1:]
    engine = Engine(path, int(threads))
    start_ms = time.time() * 1000 - float(started_ms)
    engine.run(64, 4)
    streams, others = split_rows(rows)
    report_streams(streams, engine.stream)
    works = {
        "start": lambda: start_ms,
        "ttft": lambda: engine.ttft(256) * 1000,
        "itl": engine.itl_while_prompt_arrives,
    }
    for row in others:
        report(row, engine.load(row, int(long_answer)) if row in LOADS else works[row]())


if __name__ == "__main__":
    main()
