"""What the engine takes beside CPU: memory per record, and the time until its first request."""

import os
import time
from pathlib import Path

from helpers import proc
from helpers.load.progress import Progress
from helpers.load.records import LAYOUT
from helpers.load.run import load_test
from tests.benchmarks.findings import Finding, Report

USERS = 64
RECORDS = 1_000_000
MOST_MB, MOST_START_S = 64.0, 0.35
STARTS = 5


class Peak:
    """The engine's peak of resident memory, read whenever it reports its progress."""

    def __init__(self) -> None:
        self.mb = 0.0

    def watch(self, _now: Progress) -> None:
        for pid in proc.descendants(os.getpid()):
            if "helpers.load.engine" in proc.describe(pid, limit=1000):
                self.mb = max(self.mb, _peak_mb(pid))


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def memory(report: Report, url: str, records: int = RECORDS) -> None:
    """Peak memory with so many records against the same engine and connections with one request each."""
    empty, full = Peak(), Peak()
    idle = load_test(url, users=USERS, duration=1, warmup=0, think=30, progress=False, on_progress=empty.watch)
    assert idle.requests <= 2 * USERS, idle.requests
    per_s = load_test(url, users=USERS, duration=1, progress=False).achieved_per_s
    duration_s = min(60.0, 1.1 * records / per_s)
    result = load_test(url, users=USERS, duration=duration_s, warmup=0, progress=False, on_progress=full.watch)
    note = f"{len(result.records):,} records; engine {empty.mb:.1f} MB without, {full.mb:.1f} MB with them"
    report.add(Finding("memory", "engine, over the empty one", "MB", [full.mb - empty.mb], at_most=MOST_MB, note=note))
    mb = LAYOUT.size * RECORDS / 1e6
    note = "on disk while it runs, in the reader's memory afterwards"
    report.add(Finding("memory", "a million records", "MB", [mb], at_most=MOST_MB, note=note))


def start(report: Report, url: str) -> None:
    """From the call of load_test, its look at the target included, to the first request on the wire."""
    found_s = []
    for _ in range(1 + STARTS):
        begin_ns = time.perf_counter_ns()
        result = load_test(url, users=1, duration=0.2, warmup=0, progress=False)
        found_s.append((int(result.records["sent_ns"].min()) - begin_ns) / 1e9)
    report.add(Finding("start", "call of load_test to first request", "s", found_s[1:], at_most=MOST_START_S))
