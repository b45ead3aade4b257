"""The load generators that are compared, each run as one process on one core, and the servers they load.

CPU time is user and system, of the whole client process (wrk, hey, ab) or of the measured time (the engine and the
other Python clients, whose start-up would flatter nobody's rate but spoil a short run).
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from helpers.load.run import load_test

PROJECT = Path(__file__).resolve().parents[2]
CLIENTS = Path(__file__).with_name("clients.py")
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, CLIENT_CORE = CORES[0], CORES[-1]
DEBIAN = {"ab": "apache2-utils", "nginx": "nginx-light"}


@dataclass(frozen=True)
class Cost:
    """One run of one client."""

    requests: int
    cpu_s: float
    wall_s: float
    others: float | None = None  # cores' worth of CPU that other programs used meanwhile, where known

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
    return Cost(result.requests, result.cpu.generator * result.cpu.wall_s, result.duration_s, result.cpu.others)


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
            print(f"missing: {name} (Debian package {DEBIAN.get(name, name)})")
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
def uvicorn(app: str = "clients:tiny_app", folder: Path = CLIENTS.parent) -> Iterator[str]:
    port = free_port()
    argv = [sys.executable, "-m", "uvicorn", "--app-dir", str(folder), app]
    argv += ["--port", str(port), "--log-level", "critical", "--no-access-log"]
    with serving(argv, port) as url:
        yield url + "/"
