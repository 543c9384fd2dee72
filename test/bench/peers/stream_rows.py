"""What the scripts beside this file share: how rows are asked for and told, and those of one stream alone."""

import json
import random

FIRST_ID, LAST_ID = 100, 29_999  # as served.ts draws them
LONG = 4096


def report(row, value):
    print(json.dumps({"row": row, "value": value}), flush=True)


def draw_ids(count):
    return random.choices(range(FIRST_ID, LAST_ID + 1), k=count)


def split_rows(words):
    """Rows of one stream as [(name, tokens in, tokens decoded)], and the names of the others."""
    rows = [word.split(":") for word in words.split(",")]
    streams = [(name, int(lengths[0]), int(lengths[1])) for name, *lengths in rows if lengths]
    return streams, [name for name, *lengths in rows if not lengths]


def longest_stream(streams):
    return max((input_len + num_decoded + 1 for _, input_len, num_decoded in streams), default=0)


def report_streams(streams, run):
    """`run(input_len, output_len)`: seconds from a request's arrival to its first token, and from that to its last.

    Rows of the same lengths are of one run. It is run once before, unless the prompt is long.
    """
    done = {}
    for name, input_len, num_decoded in streams:
        lengths = (input_len, num_decoded + 1)
        if lengths not in done:
            if input_len <= LONG:
                run(input_len, min(num_decoded + 1, 4))
            done[lengths] = run(*lengths)
        prefill_s, decode_s = done[lengths]
        report(name, input_len / prefill_s if name.startswith("prefill") else num_decoded / decode_s)
