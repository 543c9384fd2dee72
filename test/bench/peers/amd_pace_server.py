#!/usr/bin/env python3
"""AMD PACE as a server: its engine and its router, started as pace-server starts them, and ended together.

    amd_pace_server.py DIRECTORY THREADS PORT

pace-server itself needs numactl, and leaves its processes behind when it is asked to end.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

HOST = "127.0.0.1"
KV_CACHE_GB = 2


def free_port():
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return listener.getsockname()[1]


def is_ready(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def main():
    path, threads, port = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    engine_port = free_port()
    processes = []

    def start(module, *words, **options):
        processes.append(subprocess.Popen([sys.executable, "-m", module, *map(str, words)], **options))

    def end(code):
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
        sys.exit(code)

    def wait_for(condition):
        while not condition():
            if any(process.poll() is not None for process in processes):
                end(1)
            time.sleep(0.05)

    signal.signal(signal.SIGTERM, lambda *_: end(0))
    start(
        "pace.server.engine.frontend", "--host", HOST, "--port", engine_port, "--fastapi_log_level", "None",
        env={**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "active"},
        preexec_fn=lambda: os.sched_setaffinity(0, range(threads)),
    )
    wait_for(lambda: is_ready(f"http://{HOST}:{engine_port}/get_models"))
    start(
        "pace.server.router.frontend", "--router_host", HOST, "--router_port", port, "--server_host", HOST,
        "--server_port", engine_port, "--model", path, "--dtype", "bfloat16", "--kv_cache_type", "SLAB_POOL",
        "--kv_cache_memory_gb", KV_CACHE_GB, "--serve_type", "continuous_batch", "--op_config", "{}",
        "--fastapi_log_level", "None", "--scheduler_metrics_enabled", "False",
    )
    wait_for(lambda: False)


if __name__ == "__main__":
    main()
