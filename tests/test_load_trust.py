"""The load test beside another one, and its self-checks on runs that nobody disturbs: neither blind nor crying wolf."""

import re
import statistics
import subprocess

import pytest

from helpers.load.result import LoadResult
from helpers.load.run import load_test
from helpers.server.server import Server
from tests.tools import require

USERS = 64
UNIT_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def wrk(url: str, duration_s: int) -> tuple[float, float]:
    """Requests per second and the median in ms."""
    command = [require("wrk"), "-t1", f"-c{USERS}", f"-d{duration_s}s", "--latency", url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    median = re.search(r"50%\s+([\d.]+)(us|ms|s)\b", said)
    assert rate, said
    assert median, said
    return float(rate[1]), float(median[1]) * UNIT_MS[median[2]]


@pytest.mark.parametrize("workers", [1, 2])
def test_wrk_finds_the_same_throughput_on_the_same_server(workers: int) -> None:
    """Five bracketed rounds, always five: stopping when they agree would favour agreement."""
    rates, medians = [], []
    with Server(workers=workers) as server:
        url = server.url + "/cpu"
        for _ in range(5):
            before = spread_wrk(server, url)
            mine = load_test(url, users=USERS, duration=1.5, progress=False)
            after = spread_wrk(server, url)
            rates.append(mine.achieved_per_s / statistics.fmean((before[0], after[0])))
            medians.append(float(mine.p50_ms or 0) / statistics.fmean((before[1], after[1])))
    assert abs(statistics.median(rates) - 1) <= 0.1, rates
    assert abs(statistics.median(medians) - 1) <= 0.1, medians


def spread_wrk(server: Server, url: str) -> tuple[float, float]:
    """A run of wrk whose connections reached all workers: it opens them at once, and then one may get nearly all."""
    for _ in range(8):
        before = server.counts()
        measured = wrk(url, 1)
        answers = [finished - before[pid][1] for pid, (_, finished) in server.counts().items()]
        if max(answers) <= 0.6 * sum(answers) or len(answers) == 1:
            return measured
    return measured


def grid_cell(workers: int, **options: object) -> LoadResult:
    with Server(workers=workers) as server:
        return load_test(server.url + "/cpu", users=16, duration=2.5, progress=False, **options)  # type: ignore[arg-type]


@pytest.mark.full
def test_undisturbed_runs_do_not_cry_wolf() -> None:
    results = [grid_cell(workers) for _ in range(10) for workers in (1, 2)]
    undisturbed = [result for result in results if result.cpu and result.cpu.others < 0.15 and result.cpu.steal < 0.15]
    assert len(undisturbed) >= 15, "this machine is busy with something else: run this test when it is not"
    alarms = [reason for result in undisturbed for reason in result.reasons]
    assert sum(result.verdict != "pass" for result in undisturbed) <= 1, alarms


@pytest.mark.full
def test_a_skewed_measurement_never_passes() -> None:
    """Opened in one burst, the connections often land on one worker: exactly then the verdict must not be pass."""
    results = [grid_cell(2, burst=True) for _ in range(20)]
    skewed = [result for result in results if max(result.worker_share.values()) > 0.75]
    print(f"{len(skewed)} of {len(results)} launches were skewed")
    assert all(result.verdict != "pass" for result in skewed)
    for result in results:
        if result not in skewed:
            assert next(check for check in result.checks if check.name == "worker share").verdict == "pass"


def test_connections_opened_apart_reach_both_workers() -> None:
    with Server(workers=2) as server:
        runs = [load_test(server.url + "/cpu", users=16, duration=1, progress=False) for _ in range(3)]
    shares = [max(result.worker_share.values()) for result in runs]
    assert statistics.median(shares) <= 0.75, shares
