"""What a request costs the load engine, beside other load generators on the same server: run by hand, not by pytest.

    python tests/benchmarks/engine_cost.py              # the tables (about 10 minutes)
    python tests/benchmarks/engine_cost.py --quick      # 2 rounds of 2 s

CPU time is user and system, of the whole client process (wrk, hey, ab) or of the measured time (the engine and the
other Python clients, whose start-up would flatter nobody's rate but spoil a short run). The server has the first core
and the client the last; the rounds are interleaved, and the ratios are medians of the ratios within one round.
"""

import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT))

from helpers.load.plan import make_plan  # noqa: E402
from helpers.load.records import LAYOUT  # noqa: E402
from helpers.load.run import load_test  # noqa: E402

CLIENTS = Path(__file__).with_name("clients.py")
USERS = 64
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, CLIENT_CORE = CORES[0], CORES[-1]
# the engine's cost may be at most so many times the other's
TARGETS = {
    "nginx": {"wrk": 2.2, "hey": 0.6, "aiohttp": 0.2},
    "uvicorn": {"hey": 1.0, "aiohttp": 0.55, "locust": 0.5, "httpx (a client per user)": 0.07},
}


@dataclass(frozen=True)
class Cost:
    """One run of one client."""

    requests: int
    cpu_s: float
    wall_s: float

    @property
    def us(self) -> float:
        return self.cpu_s * 1e6 / max(1, self.requests)


Client = Callable[[str, int, float], Cost]


def run_client(argv: list[str], count: Callable[[str], int]) -> Cost:
    """Run a client to its end; `count` finds the number of requests in what it printed."""
    with tempfile.TemporaryFile("w+") as said:
        begin_s = time.monotonic()
        process = subprocess.Popen(argv, stdout=said, stderr=subprocess.DEVNULL, cwd=PROJECT, text=True)
        _pid, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall_s = time.monotonic() - begin_s
        said.seek(0)
        text = said.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(argv)} ended with {process.returncode}: {text[-500:]}")
    return Cost(count(text), usage.ru_utime + usage.ru_stime, wall_s)


def matched(pattern: str) -> Callable[[str], int]:
    return lambda text: sum(int(number) for number in re.findall(pattern, text))


def engine(url: str, users: int, duration_s: float) -> Cost:
    result = load_test(url, users=users, duration=duration_s, progress=False)
    assert result.cpu is not None
    return Cost(result.requests, result.cpu.generator * result.cpu.wall_s, result.duration_s)


def python_client(kind: str) -> Client:
    def run(url: str, users: int, s: float) -> Cost:
        said: list[str] = []
        argv = [sys.executable, str(CLIENTS), kind, url, str(users), str(s)]
        cost = run_client(argv, lambda text: said.append(text) or int(text.split()[0]))  # type: ignore[func-returns-value]
        return Cost(cost.requests, float(said[0].split()[1]), s)

    return run


def _ab(url: str, users: int, s: float) -> Cost:
    argv = ["ab", "-q", "-k", "-c", str(users), "-t", str(int(s)), "-n", "100000000", url]
    return run_client(argv, matched(r"Complete requests:\s+(\d+)"))


def clients(server: str) -> dict[str, Client]:
    """Every client that is installed; what is missing is said."""
    found: dict[str, Client] = {"engine": engine}
    tools: dict[str, Client] = {
        "wrk": lambda url, users, s: run_client(
            ["wrk", "-t1", f"-c{users}", f"-d{s:g}s", url], matched(r"(\d+) requests in")
        ),
        "hey": lambda url, users, s: run_client(
            ["hey", "-cpus", "1", "-c", str(users), "-z", f"{s:g}s", url], matched(r"\[\d+\]\s+(\d+) responses")
        ),
        "ab": _ab,
    }
    packages = {
        "aiohttp": "aiohttp",
        "locust": "locust",
        "httpx (a client per user)": "httpx-each",
        "httpx (one shared client)": "httpx-shared",
    }
    for name, client in tools.items():
        if shutil.which(name):
            found[name] = client
        else:
            print(f"missing: {name} (Debian package {'apache2-utils' if name == 'ab' else name})")
    for name, kind in packages.items():
        package = kind.partition("-")[0]
        if subprocess.run([sys.executable, "-c", f"import {package}"], capture_output=True).returncode:
            print(f"missing: {package} (pip install {package})")
        elif server == "uvicorn" or kind == "aiohttp":
            found[name] = python_client(kind)
    return found


# ------------------------------------------------------------------------------------------------------- servers


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(argv: list[str], port: int) -> Iterator[str]:
    process = subprocess.Popen(
        ["taskset", "-c", str(SERVER_CORE), *argv], cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        else:
            raise SystemExit(f"{argv[0]} does not listen on {port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@contextmanager
def nginx() -> Iterator[str]:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "nginx.conf")
        config.write_text(
            f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log crit;"
            f" worker_rlimit_nofile 20000; events {{ worker_connections 12000; }}"
            f" http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 600;"
            f" client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;"
            f" uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;"
            f" server {{ listen 127.0.0.1:{port} backlog=8192;"
            f' location / {{ default_type text/plain; return 200 "ok"; }} }} }}'
        )
        with serving(["nginx", "-c", str(config)], port) as url:
            yield url + "/"


@contextmanager
def uvicorn() -> Iterator[str]:
    port = free_port()
    argv = [sys.executable, "-m", "uvicorn", "--app-dir", str(CLIENTS.parent), "clients:tiny_app"]
    argv += ["--port", str(port), "--log-level", "critical", "--no-access-log"]
    with serving(argv, port) as url:
        yield url + "/"


# -------------------------------------------------------------------------------------------------------- tables


def compare(server: str, url: str, rounds: int, duration_s: float) -> None:
    """CPU per request of every client, interleaved, and the engine's ratio to each."""
    chosen = clients(server)
    costs: dict[str, list[Cost]] = {name: [] for name in chosen}
    for number in range(rounds):
        order = list(chosen) if number % 2 == 0 else list(reversed(chosen))
        for name in order:
            costs[name].append(chosen[name](url, USERS, duration_s))
    print(f"\n{server}, {USERS} keep-alive connections, {rounds} rounds of {duration_s:g} s, one core each")
    print(f"{'':28}{'us/request':>11}{'requests/s':>12}{'engine/this':>13}{'target':>9}")
    for name, runs in costs.items():
        ratio = statistics.median(mine.us / other.us for mine, other in zip(costs["engine"], runs, strict=True))
        target = TARGETS[server].get(name)
        verdict = "" if target is None else f"<= {target:g}{'' if ratio <= target else '  MISSED'}"
        rate = statistics.median(run.requests / run.wall_s for run in runs)
        print(f"{name:28}{statistics.median(run.us for run in runs):11.1f}{rate:12.0f}{ratio:13.3f}   {verdict}")


def growth(url: str, rounds: int, duration_s: float) -> None:
    """The cost at one fixed rate with few and with many connections; one connection beside wrk."""
    rate = 5_000.0
    costs: dict[int, list[float]] = {64: [], 5_000: []}
    for _ in range(rounds):
        for users, found in costs.items():
            found.append(paced(url, users, rate, duration_s))
    few, many = (statistics.median(found) for found in costs.values())
    print(f"\ngrowth at {rate:g} requests/s: 64 connections {few:.1f} us, 5000 connections {many:.1f} us, "
          f"ratio {many / few:.2f} (target <= 1.5{'' if many / few <= 1.5 else ', MISSED'})")  # fmt: skip
    if shutil.which("wrk"):
        pairs = [(engine(url, 1, duration_s).us, clients("nginx")["wrk"](url, 1, duration_s).us) for _ in range(rounds)]
        ratio = statistics.median(mine / theirs for mine, theirs in pairs)
        mine, theirs = (statistics.median(values) for values in zip(*pairs, strict=True))
        print(f"one connection: engine {mine:.1f} us, wrk {theirs:.1f} us, ratio {ratio:.2f} (target <= 1)")


def paced(url: str, users: int, rate: float, duration_s: float) -> float:
    """us per request of `users` who think, so that together they send `rate` per second; the window alone."""
    result = load_test(url, users=users, think=users / rate, duration=duration_s, warmup=2 * users / rate + 0.5,
                       progress=False)  # fmt: skip
    if abs(result.achieved_per_s / rate - 1) > 0.2:  # the loop's timers have steps of 1 ms
        print(f"{users} connections: {result.achieved_per_s:.0f} requests/s instead of {rate:.0f}: {result.reasons}")
    assert result.engine_cpu_us_per_request is not None
    return result.engine_cpu_us_per_request


def memory_and_start(url: str) -> None:
    """Bytes that a million records take in the reader, and the time from the call to the first request."""
    begin_ns = time.perf_counter_ns()
    result = load_test(url, users=1, duration=0.5, warmup=0, progress=False)
    first_s = (int(result.records["sent_ns"].min()) - begin_ns) / 1e9
    peak = {s: engine_peak_mb(url, s) for s in (1.0, 10.0)}
    print(f"\nrecords: {LAYOUT.size} bytes each, {LAYOUT.size} MB a million, in a file; "
          f"peak {peak[1.0]:.1f} MB after 1 s, {peak[10.0]:.1f} MB after 10 s (target: +64 MB)")  # fmt: skip
    print(f"call of load_test to the first request: {first_s:.2f} s (target for the engine <= 0.35)")


def engine_peak_mb(url: str, duration_s: float) -> float:
    code = "import resource,runpy;runpy.run_module('helpers.load.engine',run_name='x')['main']();"
    code += 'print(\'{"event":"peak","kb":%d}\'%resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)'
    plan = make_plan(url, users=USERS, duration=duration_s, warmup=0)
    with tempfile.TemporaryDirectory() as folder:
        job = {"plan": plan.as_json(), "records": f"{folder}/r", "launch": None, "server_pids": [], "owner_pid": 1}
        said = subprocess.run([sys.executable, "-c", code], input=json.dumps(job) + "\n", cwd=PROJECT, text=True,
                              capture_output=True, check=True).stdout  # fmt: skip
    return next(event["kb"] / 1024 for event in map(json.loads, said.splitlines()) if event["event"] == "peak")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=("nginx", "uvicorn", "growth", "memory"))
    options = parser.parse_args()
    os.sched_setaffinity(0, {CLIENT_CORE})  # whatever is started from here inherits it
    rounds, duration_s = (2, 2.0) if options.quick else (5, 5.0)
    if len(CORES) < 2:
        print("one core: client and server share it, so the rates mean little")
    if options.only in (None, "uvicorn"):
        with uvicorn() as url:
            compare("uvicorn", url, rounds, duration_s)
    if not shutil.which("nginx"):
        print("missing: nginx (Debian package nginx-light)")
        return
    with nginx() as url:
        if options.only in (None, "nginx"):
            compare("nginx", url, rounds, duration_s)
        if options.only in (None, "growth"):
            growth(url, rounds, duration_s)
        if options.only in (None, "memory"):
            memory_and_start(url)


if __name__ == "__main__":
    main()
