"""What the checks need to know of a run, computed from its records and from what was observed beside them."""

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from helpers.load.checks import TREND_SLICES, Facts
from helpers.load.records import (
    ATTEMPT_SHIFT,
    BODY_MISMATCH,
    FLAG_FOREIGN,
    HTTP_5XX,
    NOT_SENT,
    OK,
    REFUSED,
)

if TYPE_CHECKING:
    from helpers.load.result import LoadResult, Records

ANSWERED_UP_TO = BODY_MISMATCH  # the outcomes up to this one are answers of the server


def facts(result: "LoadResult") -> Facts:
    """The facts of a run; what could not be measured is None."""
    records, cpu, plan, seen = result.records, result.cpu, result.plan, result.observed
    before, after = result.launch_before, result.launch_after
    lag_p99 = result.lag.at_most(0.99) if plan.model == "open" else None
    return Facts(
        engine_cores=cpu.generator if cpu else None,
        run_delay_share=cpu.run_delay_share if cpu else None,
        # what a process that ended had used counts as others', and cannot be told from theirs
        foreign_cores=cpu.others if cpu and plan.local and not cpu.server_gone else None,
        little=_little(result) if plan.users is not None and result.incomplete is None else None,
        lag_p99_ms=lag_p99,
        rest_lag_ms=result.rest_lag_ms,
        offered=result.requests,
        outcomes_total=sum(result.outcomes.values()),
        slices=[] if plan.stages else _slices(result),
        share=result.worker_answers,
        instrumented=before is not None,
        foreign_answers=int(np.count_nonzero(records["flags"] & FLAG_FOREIGN)),
        same_launch=None if after is None or before is None else after.id == before.id,
        workers_lost=len(before.serving - after.serving) if before and after and before.id == after.id else 0,
        answered=answers(records),
        turned_away=turned_away(records) if before is not None else 0,
        sent=int(np.count_nonzero(records["sent_ns"])),
        finished_most=after.finished - before.finished if before and after else None,
        finished_least=after.finished - before.started if before and after else None,
        incomplete=result.incomplete,
        users=plan.users or 0,
        unanswered=seen.unanswered if plan.users is not None else None,
        longer_warmup_s=_longer_warmup_s(result),
        redirects=seen.redirects,
        stopped_s=seen.stopped_s,
        pause_ms=seen.pause_ms,
        duration_s=result.duration_s,
    )


def turned_away(records: "Records") -> int:
    """Errors that do not say which worker gave them, of an instrumented server: they came from before the application.

    Uvicorn's 503 for its limit_concurrency is such a one; the server's own count does not know of it.
    """
    return int(np.count_nonzero((records["outcome"] == HTTP_5XX) & (records["worker"] == 0)))


def answers(records: "Records") -> int:
    """How many of the requests were answered, by whatever status."""
    return int(np.count_nonzero(records["outcome"] <= ANSWERED_UP_TO))


def to_be_retried(result: "LoadResult", records: "Records") -> NDArray[np.bool_]:
    """Which of the attempts are such that the plan sends them again, if the run goes on for long enough."""
    retry = result.plan.retry
    if retry is None:
        return np.zeros(len(records), dtype=bool)
    attempts_left = (records["flags"] >> ATTEMPT_SHIFT) < retry.times
    failed: NDArray[np.bool_] = np.isin(records["outcome"], sorted(retry.codes))
    return failed & attempts_left


def gave_up(result: "LoadResult") -> int:
    """Requests of the window that failed for good: no further attempt is allowed. The end of the run is no failure."""
    window = result.window
    return int(np.count_nonzero((window["outcome"] != OK) & ~to_be_retried(result, window)))


def _little(result: "LoadResult") -> float:
    """Time that requests and pauses take up within the window, in users, divided by the users."""
    plan, records = result.plan, result.records
    assert plan.users is not None
    pause_s = np.where(records["outcome"] == REFUSED, result.refused_pause_s, plan.think_s)
    if plan.retry is not None:
        pause_s = np.where(to_be_retried(result, records), plan.retry.after_s, pause_s)
    begin = np.maximum(records["intended_ns"], result.t0_ns)
    end = np.minimum(records["done_ns"] + pause_s * 1e9, result.t1_ns)
    return float(np.maximum(0, end - begin).sum() / (result.t1_ns - result.t0_ns) / plan.users)


def _slices(result: "LoadResult") -> list[float]:
    """Throughput (closed) or mean response (open) in equal parts of the window."""
    edges = np.linspace(result.t0_ns, result.t1_ns, TREND_SLICES + 1)
    if result.plan.model == "closed":
        return [float(count) for count in np.histogram(result.finished_ok_ns, edges)[0]]
    chosen = result.window[result.window["outcome"] != NOT_SENT]
    counts = np.histogram(chosen["intended_ns"], edges)[0]
    sums = np.histogram(chosen["intended_ns"], edges, weights=chosen["done_ns"] - chosen["intended_ns"])[0]
    return [float(value) for value in sums / np.maximum(1, counts) / 1e6]


def _longer_warmup_s(result: "LoadResult") -> float:
    """How long the warm-up had to be for every user to have an answer.

    A busy worker takes up about one new connection per turn of its loop, and a turn serves all that it has: the time
    to take up n of them grows with n squared.
    """
    plan, seen = result.plan, result.observed
    if plan.users is None or not seen.unanswered:
        return 0.0
    opening_s = plan.connections * plan.apart_s
    answered = plan.users - seen.unanswered
    until_now_s = opening_s + (plan.warmup_s if seen.warmup_s is None else seen.warmup_s)
    needed_s = until_now_s * (plan.users / answered) ** 2 if answered else 4 * until_now_s
    return float(math.ceil(max(1.0, 1.2 * needed_s - opening_s)))
