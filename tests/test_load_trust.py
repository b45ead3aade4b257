"""The load test beside another one, and its self-checks on runs that nobody disturbs: neither blind nor crying wolf."""

import re
import statistics
import subprocess
import time

import pytest

from helpers.load.result import LoadResult
from helpers.load.run import load_test
from helpers.server.server import Server
from tests.tools import require
from tests.waiting import await_true

USERS = 16


def wrk(url: str, duration_s: int) -> float:
    """Requests per second."""
    command = [require("wrk"), "-t1", f"-c{USERS}", f"-d{duration_s}s", url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert rate, said
    return float(rate[1])


@pytest.mark.full
@pytest.mark.parametrize(("workers", "rounds"), [(1, 5), (2, 5)])
def test_wrk_finds_the_same_throughput_on_the_same_server(workers: int, rounds: int) -> None:
    """Bracketed rounds, always so many: stopping when they agree would favour agreement.

    Throughput alone: in which order a saturated worker takes up waiting connections is its own affair, and moves
    the median by a third from run to run, for wrk as for us.
    """
    ratios = []
    with Server(workers=workers) as server:
        url = server.url + "/cpu?units=10"
        before = spread_wrk(server, url)
        for _ in range(rounds):
            settled(server)
            mine = load_test(url, users=USERS, duration=2, progress=False)
            after = spread_wrk(server, url)
            ratios.append(mine.achieved_per_s / statistics.fmean((before, after)))
            before = after
    assert abs(statistics.median(ratios) - 1) <= 0.1, ratios


def settled(server: Server) -> None:
    """Wait until it is through with what was sent to it: wrk hangs up on requests that are still worked on."""

    def quiet() -> bool:
        return all(started == finished for started, finished in server.counts().values())

    await_true(lambda: quiet() and not time.sleep(0.05) and quiet(), 10, "the server does not come to rest")


def spread_wrk(server: Server, url: str) -> float:
    """A run of wrk whose connections reached all workers: it opens them at once, and then one may get nearly all."""
    for _ in range(8):
        settled(server)
        before = server.counts()
        measured = wrk(url, 2)
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


@pytest.mark.full
def test_connections_opened_apart_reach_both_workers() -> None:
    with Server(workers=2) as server:
        runs = [load_test(server.url + "/cpu", users=16, duration=1, progress=False) for _ in range(3)]
    shares = [max(result.worker_share.values()) for result in runs]
    assert statistics.median(shares) <= 0.75, shares
