"""Start-up: Server(workers=2) against bare `python -m uvicorn --workers 2`, until both workers answer. Run by hand.

    python3 -m tests.benchmarks.start_up [rounds]

Both are timed from the call to the first answer of the second worker, in turns; the ratio must stay below 1.3.
"""

import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from helpers.server.server import Server
from tests.serving import free_port

ROOT = Path(__file__).resolve().parents[2]
APP = "helpers.demo.api:app"
WITHIN_S = 30.0


def our_server_s() -> float:
    """Seconds from start() until it returns, which it does when both workers are ready."""
    began = time.perf_counter()
    with Server(APP, workers=2, app_dir=ROOT):
        return time.perf_counter() - began


def bare_uvicorn_s() -> float:
    """Seconds from the command until two different processes have answered."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", APP, "--workers", "2", "--port", str(port), "--no-access-log"]
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        seen: set[int] = set()
        while len(seen) < 2:
            assert process.poll() is None, "uvicorn ended"
            assert time.perf_counter() - began < WITHIN_S, f"only {seen} answered"
            pid = who_answers(port)
            seen |= set() if pid is None else {pid}
            if pid is None:
                time.sleep(0.005)
        return time.perf_counter() - began
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def who_answers(port: int) -> int | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/whoami", headers={"connection": "close"})
        return int(json.loads(connection.getresponse().read())["pid"])
    except OSError:
        return None
    finally:
        connection.close()


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    ratios = []
    for number in range(1, rounds + 1):
        ours, bare = our_server_s(), bare_uvicorn_s()
        ratios.append(ours / bare)
        print(f"round {number}: Server {ours:.3f} s, uvicorn {bare:.3f} s, ratio {ours / bare:.2f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.2f} (limit 1.3), range {min(ratios):.2f}-{max(ratios):.2f}")


if __name__ == "__main__":
    main()
