"""The post's nine claims, each judged from what was measured: the words, the verdict, the numbers, one sentence why."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from helpers.experiment import Cell, Ratio, SweepResult
from helpers.load.result import LoadResult
from helpers.machine import ProcessScaling
from helpers.report import Claim
from helpers.server.processes import Processes
from helpers.theory.laws import little_in_system

HOLDS = "holds"
IN_PART = "holds in part"
FAILS = "does not hold"
UNTESTED = "could not be tested here"

ONE_CORE = "this system gives the process one usable core; the claim is about more than one"
NO_PINNING = "this system cannot bind a server to one core, so the one-core half of the grid cannot be had"
NO_GAIN_UP_TO = 1.25  # an interval that stays below it is "no gain": the machine's noise, not a second core
SHARE_OF_CEILING = 0.85  # of what two bare processes gain on this machine, without any HTTP
FAILED_PART = 0.01  # of the requests: what the post's reader would notice
HELD_PART = 0.8  # of a thousand users, held at the same moment
THOUSANDS_WAIT_S = 1.0  # what the waiting endpoint waits, so that throughput times it is the number held at once


@dataclass(frozen=True)
class Look:
    """What was seen of one launch: its processes, its log, and what the real `ps` printed while it ran."""

    workers: int
    cores: int | None
    processes: Processes
    log: str
    worker_pids: tuple[int, ...]
    ps_post: str  # `ps -aF`, as the post types it, cut to the server's processes
    ps_all: str  # `ps -eF`, cut likewise


@dataclass(frozen=True)
class Evidence:
    """Everything that was measured. What could not be is absent, and `failures` says why."""

    cores: int
    pinning: bool
    looks: Mapping[str, Look] = field(default_factory=dict)  # "default one core", "default", "two", "more than cores"
    grid: SweepResult | None = None
    ceiling: ProcessScaling | None = None
    calm: LoadResult | None = None
    heavy: LoadResult | None = None
    waiting: LoadResult | None = None
    working: LoadResult | None = None
    failures: Mapping[str, str] = field(default_factory=dict)

    @property
    def untestable(self) -> str | None:
        """Why the claims about several cores cannot be tested on this system at all; None where they can."""
        if self.cores < 2:
            return ONE_CORE
        return None if self.pinning else NO_PINNING


@dataclass(frozen=True)
class Verdict:
    """What a claim's judge says."""

    verdict: str
    measured: Mapping[str, Any]
    why: str


class MissingError(Exception):
    """A judge lacks its evidence: `str(error)` says why. `by_system`: nothing could have been done about it."""

    def __init__(self, why: str, *, by_system: bool = False) -> None:
        super().__init__(why)
        self.by_system = by_system


def judged(evidence: Evidence) -> tuple[list[Claim], bool]:
    """All nine claims with their verdicts, and whether each that this system can test was tested."""
    claims, complete = [], True
    for number, (words, judge) in enumerate(CLAIMS, start=1):
        try:
            said = judge(evidence)
        except MissingError as missing:
            said = Verdict(UNTESTED, {}, str(missing))
            complete = complete and missing.by_system
        claims.append(Claim(f"C{number}", words, said.verdict, dict(said.measured), said.why))
    return claims, complete


def _c1_one_process(evidence: Evidence) -> Verdict:
    looks = [look for key in ("default one core", "default") if (look := evidence.looks.get(key))]
    if not looks:
        raise MissingError(_failure(evidence, "looks"))
    measured = {f"processes on {look.cores or evidence.cores} core(s)": len(look.processes) for look in looks}
    if all(len(look.processes) == 1 == len(look.worker_pids) for look in looks):
        return Verdict(HOLDS, measured, "Started without `workers`, uvicorn is one process, whatever the machine has.")
    return Verdict(FAILS, measured, "More than one process was found after a start without `workers`.")


def _c2_slow_and_failing(evidence: Evidence) -> Verdict:
    calm, heavy = evidence.calm, evidence.heavy
    if calm is None or heavy is None:
        raise MissingError(_failure(evidence, "traffic"))
    slow = heavy.summary()["response_ms"]["p50"]
    measured = {
        "users": f"{calm.plan.users} -> {heavy.plan.users}",
        "time_out_s": heavy.plan.timeout_s,
        "p50_ms": [calm.p50_ms, slow],
        "failed_by_time_out": heavy.outcomes.get("timeout", 0),
        "error_ratio": heavy.error_ratio,
    }
    failing = heavy.outcomes.get("timeout", 0) / max(1, heavy.requests) >= FAILED_PART
    if failing:
        why = (
            f"With {heavy.plan.users} users, {heavy.error_ratio:.0%} of the requests had no answer within"
            f" {heavy.plan.timeout_s:g} s; alone, a user waits {calm.p50_ms:.0f} ms."
        )
        return Verdict(HOLDS, measured, why)
    return Verdict(IN_PART, measured, f"It got slow, but no load up to {heavy.plan.users} users made requests fail.")


def _c3_cores_alone(evidence: Evidence) -> Verdict:
    ratio = _ratio(evidence, workers=1, cpus=2)
    measured = {"two_cores_one_worker": str(ratio)}
    if ratio.high is not None and ratio.high < NO_GAIN_UP_TO:
        return Verdict(HOLDS, measured, "One worker runs Python on one core at a time; the second core stood idle.")
    return _unclear_or(FAILS, ratio, measured, "A second core alone did make the default faster here.")


def _c4_log_shows_two(evidence: Evidence) -> Verdict:
    look = _look(evidence, "two")
    started = [int(pid) for pid in re.findall(r"Started server process \[(\d+)\]", look.log)]
    measured = {"started_server_process": started, "serving": list(look.worker_pids)}
    if sorted(started) == sorted(look.worker_pids) and len(started) == 2:
        why = "The log has one line `Started server process` per worker, and those pids are the ones that serve."
        return Verdict(HOLDS, measured, why)
    return Verdict(FAILS, measured, "The log's pids are not those of two serving workers.")


def _c5_ps_shows_four(evidence: Evidence) -> Verdict:
    look = _look(evidence, "two")
    if not look.ps_all:
        raise MissingError(_failure(evidence, "ps"), by_system=True)
    roles = {str(row.pid): row.role for row in look.processes.rows}
    all_lines, post_lines = _lines(look.ps_all), _lines(look.ps_post)
    measured = {"ids": roles, "lines_of_ps_eF": all_lines, "lines_of_ps_aF": post_lines}
    if all_lines != 4:
        return Verdict(FAILS, measured, f"`ps` shows {all_lines} processes of this server, not four.")
    if post_lines == 4:
        return Verdict(HOLDS, measured, "Four ids: the parent, multiprocessing's resource tracker and two workers.")
    why = (
        "Four ids there are: parent, resource tracker, two workers. But `ps -aF` leaves out processes without a"
        f" terminal and shows {post_lines} of them here; `ps -eF` shows all."
    )
    return Verdict(IN_PART, measured, why)


def _c6_no_more_than_cores(evidence: Evidence) -> Verdict:
    look = _look(evidence, "more than cores")
    measured = {"cores": evidence.cores, "workers_asked": look.workers, "workers_running": len(look.worker_pids)}
    if len(look.worker_pids) == look.workers > evidence.cores:
        why = f"{look.workers} workers run on {evidence.cores} core(s): uvicorn starts as many as it is told to."
        return Verdict(FAILS, measured, why)
    return Verdict(HOLDS, measured, "Fewer workers run than were asked for.")


def _c7_fast_with_workers(evidence: Evidence) -> Verdict:
    ratio = _ratio(evidence, workers=2, cpus=2)
    ceiling = _ceiling(evidence)
    measured = {"two_workers_two_cores": str(ratio), "two_bare_processes": f"{ceiling:.2f}x", "ideal": "2x"}
    if ratio.value is not None and ratio.value >= SHARE_OF_CEILING * ceiling:
        why = f"{ratio.value:.1f} times the answers per second, where this machine allows {ceiling:.1f}."
        return Verdict(HOLDS, measured, why)
    if ratio.low is not None and ratio.low > 1:
        why = f"Faster, but {ratio} is less than the {ceiling:.1f} times that two bare processes reach."
        return Verdict(IN_PART, measured, why)
    return Verdict(FAILS, measured, f"Two workers on two cores reached {ratio}.")


def _c8_both_together(evidence: Evidence) -> Verdict:
    cores, workers, both = (_ratio(evidence, workers=w, cpus=c) for w, c in ((1, 2), (2, 1), (2, 2)))
    measured = {"cores_alone": str(cores), "workers_alone": str(workers), "both": str(both)}
    alone = [ratio.high for ratio in (cores, workers) if ratio.high is not None]
    gain = both.value is not None and both.value >= SHARE_OF_CEILING * _ceiling(evidence)
    if gain and len(alone) == 2 and max(alone) < NO_GAIN_UP_TO:
        return Verdict(HOLDS, measured, "Neither more cores nor more workers help alone; together they do.")
    if both.low is not None and both.low > max((r.value for r in (cores, workers) if r.value), default=1.0):
        return Verdict(IN_PART, measured, "Together they gain most, but not as clearly as the machine would allow.")
    return Verdict(FAILS, measured, "Together they were not faster than each alone.")


def _c9_thousands(evidence: Evidence) -> Verdict:
    waiting, working = evidence.waiting, evidence.working
    if waiting is None or working is None:
        raise MissingError(_failure(evidence, "thousands"))
    held = little_in_system(waiting.achieved_per_s, THOUSANDS_WAIT_S)
    users = waiting.plan.users or 0
    measured = {
        "waiting_users": users,
        "waiting_held_at_once": round(held),
        "waiting_error_ratio": waiting.error_ratio,
        "working_users": working.plan.users,
        "working_error_ratio": working.error_ratio,
        "time_out_s": working.plan.timeout_s,
    }
    holds = held >= HELD_PART * users and waiting.error_ratio < FAILED_PART
    breaks = working.error_ratio >= FAILED_PART
    if holds and breaks:
        why = (
            f"One worker holds {users:,} requests that wait (/sleep) at the same moment; when they work (/cpu),"
            f" {working.error_ratio:.0%} have no answer within {working.plan.timeout_s:g} s."
        )
        return Verdict(IN_PART, measured, why)
    if holds:
        return Verdict(HOLDS, measured, f"One worker served {users:,} users, waiting or working, without failures.")
    return Verdict(FAILS, measured, f"One worker did not hold {users:,} requests at once, even of the kind that waits.")


CLAIMS: tuple[tuple[str, Callable[[Evidence], Verdict]], ...] = (
    ("By default, only 1 worker is started, which means 1 process to serve the requests.", _c1_one_process),
    ("In case of high traffic the response is slow, or some requests fail due to time-out.", _c2_slow_and_failing),
    ("Increasing computing resources (from 2 cores to 10) does not help.", _c3_cores_alone),
    ("workers = 2 starts 2 workers, and the log of the start shows them.", _c4_log_shows_two),
    ("`ps -aF`: you will find 4 process ids (with workers = 2).", _c5_ps_shows_four),
    ("The process number is the worker number, if the worker number is less than the cores.", _c6_no_more_than_cores),
    ("After you set workers correctly, you will find request processing is fast.", _c7_fast_with_workers),
    ("What helps is to increase computing resources and workers together.", _c8_both_together),
    ("FastAPI should do with thousands of requests.", _c9_thousands),
)


def _look(evidence: Evidence, key: str) -> Look:
    look = evidence.looks.get(key)
    if look is None:
        raise MissingError(_failure(evidence, "looks"))
    return look


def _ratio(evidence: Evidence, *, workers: int, cpus: int) -> Ratio:
    if evidence.untestable:
        raise MissingError(evidence.untestable, by_system=True)
    if evidence.grid is None:
        raise MissingError(_failure(evidence, "grid"))
    users = evidence.grid.cells[0].users
    ratio = evidence.grid.ratio(Cell(workers, cpus, users), Cell(1, 1, users))
    if ratio.value is None or ratio.low is None:
        void = sum(run.void for run in evidence.grid.runs)
        reasons = {reason for run in evidence.grid.runs if run.void for reason in run.result.reasons}
        why = f"{void} of {len(evidence.grid.runs)} launches were void ({'; '.join(sorted(reasons)[:1])})"
        raise MissingError(why)
    return ratio


def _ceiling(evidence: Evidence) -> float:
    if evidence.ceiling is None:
        raise MissingError(_failure(evidence, "ceiling"))
    return evidence.ceiling.ratio


def _unclear_or(verdict: str, ratio: Ratio, measured: Mapping[str, Any], why: str) -> Verdict:
    """The verdict, unless the interval leaves it open."""
    if ratio.low is not None and ratio.low <= 1 and ratio.value is not None and ratio.value < NO_GAIN_UP_TO:
        return Verdict(IN_PART, measured, f"No gain was found, but the launches vary too much to exclude one: {ratio}.")
    return Verdict(verdict, measured, why)


def _failure(evidence: Evidence, part: str) -> str:
    return evidence.failures.get(part, "it was not measured")


def _lines(ps_output: str) -> int:
    return max(0, len(ps_output.splitlines()) - 1)
