"""load_test(): looks at the target, has the engine run, shows progress, and returns what was measured."""

import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from helpers import proc
from helpers.errors import Cancelled, EngineError
from helpers.load.launch import Launch, probe, read_launch
from helpers.load.observed import observed
from helpers.load.plan import MAX_DURATION_S, MAX_RATE_PER_S, MAX_USERS, Plan, Rate, Retry, Seconds, make_plan
from helpers.load.process import Job, Report, run_engine
from helpers.load.progress import Progress, waiting, watching
from helpers.rota import turn

if TYPE_CHECKING:
    from helpers.load.result import LoadResult

__all__ = ["Cancelled", "EngineStopped", "Progress", "Retry", "load_test"]


class EngineStopped(EngineError):
    """The engine ended before its run did; `partial` is what it had measured, None if that is nothing."""

    def __init__(self, message: str, hint: str, partial: "LoadResult | None") -> None:
        super().__init__(message, hint)
        self.partial = partial


def load_test(
    url: str,
    *,
    users: int | None = None,
    rate: Rate | None = None,
    arrivals: str = "constant",
    duration: Seconds | None = None,
    warmup: Seconds | None = None,
    timeout: Seconds = 5.0,
    burst: bool = False,
    think: Seconds = 0.0,
    max_inflight: int | None = None,
    new_connections: bool = False,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | str | None = None,
    expect_body: bytes | str | None = None,
    retry: Retry | None = None,
    stop_if: str | None = None,
    seed: int = 0,
    allow_host: str | None = None,
    max_duration: Seconds = MAX_DURATION_S,
    max_users: int = MAX_USERS,
    max_rate: float = MAX_RATE_PER_S,
    progress: bool = True,
    on_progress: Callable[[Progress], None] | None = None,
    cancel: threading.Event | None = None,
) -> "LoadResult":
    """Send load to `url` and measure every request: `users` who wait for each answer, or `rate` requests per second.

    Durations are seconds or text such as "500ms" (default: 5 s). `rate` may also be stages one after the other,
    [(20, "5s"), (80, "5s")], which say the duration themselves; `arrivals` are "constant" or "poisson". The
    connections open 10 ms apart (above 100 of them: spread over a second) unless `burst`; then comes the warm-up,
    which is not measured: by default a tenth of the duration, 0.5 to 2 s, with `users` until each had an answer, but
    at most as long as the duration (or 3 s). `new_connections`: each request on a connection of its own, and opening
    it is part of its response time. `retry`: what is sent again after a failure; every attempt counts as a request.
    `stop_if`: conditions in the words of an SLO ("errors>50%", "p95>2s"), any of which ends the run when it holds
    for the last second. Only this machine's own addresses are loaded, unless `allow_host` names the other one.

    Raises InputError for a value that cannot be used, TargetError for an address that cannot be measured,
    EngineError when the engine ends early (`.partial` then holds what it measured), Cancelled after `cancel.set()`.
    Where LAB_ROTA is set it waits for its turn first (rota.py).
    """
    plan = make_plan(
        url, users=users, rate=rate, arrivals=arrivals, duration=duration, warmup=warmup, timeout=timeout, burst=burst,
        think=think, max_inflight=max_inflight, new_connections=new_connections, method=method, headers=headers,
        body=body, expect_body=expect_body, retry=retry, stop_if=stop_if, seed=seed, allow_host=allow_host,
        max_duration=max_duration, max_users=max_users, max_rate=max_rate,
    )  # fmt: skip
    probe(plan)
    cancel = cancel or threading.Event()
    with turn(cancel, waiting(on_progress)):
        launch = read_launch(plan)
        with tempfile.TemporaryDirectory(prefix="lab-load-") as folder, watching(plan, progress, on_progress) as watch:
            job = Job(plan, Path(folder) / "records", launch.id if launch else None, _server_pids(plan, launch))
            report = run_engine(job, watch, cancel)
            result = _result(report, job, launch)
    if report.failure:
        raise EngineStopped(report.failure, report.hint, result)
    assert result is not None
    return result


def _server_pids(plan: Plan, launch: Launch | None) -> list[int]:
    """The processes whose CPU time is the server's; the engine adds what these have started."""
    if not plan.local:
        return []
    if launch is not None:
        return [launch.parent, *launch.serving]
    return proc.listening_pids(plan.port)


def _result(report: Report, job: Job, launch: Launch | None) -> "LoadResult | None":
    if report.window is None:
        return None
    import numpy as np  # not at the top: the server's start-up is timed with this module imported

    from helpers.load.facts import answers, turned_away
    from helpers.load.result import RECORD, LoadResult

    records = np.fromfile(job.records, dtype=RECORD, count=job.records.stat().st_size // RECORD.itemsize)
    answered = answers(records) - turned_away(records)  # whom the server refuses itself, it does not count
    window, done = report.window, report.done
    end_ns = done["t1_ns"] if done else window["t1_ns"]
    if done is None and len(records):  # it broke off: nothing is known of the rest of the window
        end_ns = max(window["t0_ns"] + 1, min(end_ns, int(records["done_ns"].max())))
    return LoadResult(
        plan=job.plan,
        records=records,
        t0_ns=window["t0_ns"],
        t1_ns=end_ns,
        worker_pids={index: int(pid) for pid, index in report.workers.items()},
        before=window["before"],
        after=done["after"] if done else None,
        launch_before=launch,
        launch_after=read_launch(job.plan, answered=launch.finished + answered) if launch else None,
        rest_lag_ms=window["rest_lag_ns"] / 1e6,
        refused_pause_s=window["refused_pause_s"],
        incomplete=report.failure,
        errors=done["errors"] if done else {},
        observed=observed(window, done),
    )
