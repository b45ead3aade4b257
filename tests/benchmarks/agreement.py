"""Whether the engine and wrk, both closed and with as many connections, find the same on the same server.

Each run of the engine stands between two of wrk, and is compared with their mean. Where the two differ by more than the
target allows, a difference to the engine tells nothing.
"""

import re
import statistics
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from helpers.load.run import load_test
from tests.benchmarks.findings import Finding, Report
from tests.benchmarks.rivals import PROJECT, uvicorn

USERS = 64
THROUGHPUT, P50, P50_MS, P99 = 0.05, 0.05, 0.2, 0.10
_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1_000.0, "m": 60_000.0}


@dataclass(frozen=True)
class Seen:
    """What one run of one tool says."""

    per_s: float
    p50_ms: float
    p99_ms: float


def engine(url: str, duration_s: float) -> Seen:
    result = load_test(url, users=USERS, duration=duration_s, progress=False)
    return Seen(result.achieved_per_s, float(result.p50_ms or 0), float(result.p99_ms or 0))


def wrk(url: str, duration_s: float) -> Seen:
    argv = ["wrk", "-t1", f"-c{USERS}", f"-d{max(1, round(duration_s))}s", "--latency", url]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return parsed(said)


def parsed(said: str) -> Seen:
    """The numbers in what wrk prints with --latency."""
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    found = re.findall(r"^\s+(\d+)%\s+([\d.]+)(us|ms|s|m)$", said, re.MULTILINE)
    times_ms = {share: float(value) * _UNITS_MS[unit] for share, value, unit in found}
    assert rate is not None, said
    return Seen(float(rate[1]), times_ms["50"], times_ms["99"])


def agreement(report: Report) -> None:
    """On a server that waits, and on one that is saturated."""
    with uvicorn("helpers.demo.api:app", PROJECT) as url:
        _compare(report, "waits 20 ms", url + "sleep?ms=20")
    with uvicorn() as url:
        _compare(report, "saturated", url)


def _compare(report: Report, server: str, url: str) -> None:
    wrk(url, 1)  # warm
    rounds = []
    for _ in range(report.rounds):
        before, mine, after = wrk(url, report.duration_s), engine(url, report.duration_s), wrk(url, report.duration_s)
        rounds.append((mine, before, after))

    def add(name: str, of: Callable[[Seen], float], limit: float, floor: float = 0.0) -> None:
        pairs = [(of(mine), statistics.fmean((of(before), of(after)))) for mine, before, after in rounds]
        ratios = [mine / theirs for mine, theirs in pairs]
        off = abs(statistics.median(ratios) - 1)
        apart = abs(statistics.median(mine - theirs for mine, theirs in pairs))
        wrks = statistics.median(max(of(b), of(a)) / min(of(b), of(a)) for _, b, a in rounds)
        note = (
            f"engine / wrk {statistics.median(ratios):.3f}, apart {apart:.3g}; two runs of wrk differ by {wrks - 1:.1%}"
        )
        report.add(
            Finding(
                "agreement", f"{server}: {name}", "off from wrk", [off], limit,
                enough=apart <= floor, untold=wrks - 1 > limit, note=note,
            )
        )  # fmt: skip

    add("throughput", lambda seen: seen.per_s, THROUGHPUT)
    add("p50", lambda seen: seen.p50_ms, P50, P50_MS)
    add("p99", lambda seen: seen.p99_ms, P99)
