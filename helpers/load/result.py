"""What a load test found: every request's record, and the numbers, tables and checks computed from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from helpers.load import show
from helpers.load.checks import Check, Verdict, check_all, worst
from helpers.load.cpu import CpuSplit, Snapshot, split
from helpers.load.facts import facts, gave_up
from helpers.load.latency import AtLeast, Latency, latency
from helpers.load.launch import Launch
from helpers.load.observed import Observed
from helpers.load.phases import stage_rows, stages_as_json
from helpers.load.plan import Plan
from helpers.load.records import (
    ABORTED,
    CONNECT_TIMEOUT,
    FIELDS,
    FLAG_FRESH,
    FLAG_RETRY,
    NOT_SENT,
    OK,
    OUTCOMES,
    TIMEOUT,
)

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
RECORD = np.dtype(FIELDS)
Records = NDArray[np.void]
_CENSORED = (TIMEOUT, CONNECT_TIMEOUT, ABORTED)


@dataclass(frozen=True, eq=False, repr=False)
class LoadResult:
    """One load test. Rates per second, times in ms; percentiles without enough samples are None."""

    plan: Plan
    records: Records  # of the whole run, warm-up and drain included
    t0_ns: int  # the measured window is [t0, t1)
    t1_ns: int
    worker_pids: Mapping[int, int]  # index in the records -> pid
    before: Snapshot
    after: Snapshot | None
    launch_before: Launch | None
    launch_after: Launch | None
    rest_lag_ms: float = 0.0
    refused_pause_s: float = 0.0
    incomplete: str | None = None  # why the run ended early
    errors: Mapping[str, int] = field(default_factory=dict)  # of opening connections, by name
    observed: Observed = field(default_factory=Observed)

    # ------------------------------------------------------------------------------------------- what was measured

    @property
    def stopped_early(self) -> str | None:
        """The condition of `stop_if` that came true, and with what value; None when the run went to its end."""
        return self.observed.stopped_early

    @property
    def duration_s(self) -> float:
        return (self.t1_ns - self.t0_ns) / 1e9

    @property
    def warmup_s(self) -> float:
        """The warm-up as it was; one that was not asked for goes on until every user was answered once."""
        return self.plan.warmup_s if self.observed.warmup_s is None else self.observed.warmup_s

    @cached_property
    def window(self) -> Records:
        """The records of the requests that were meant to start in the measured window."""
        intended = self.records["intended_ns"]
        chosen: Records = self.records[(intended >= self.t0_ns) & (intended < self.t1_ns)]
        return chosen

    @property
    def requests(self) -> int:
        """Requests offered in the window, sent or not."""
        return len(self.window)

    @cached_property
    def outcomes(self) -> dict[str, int]:
        counts = np.bincount(self.window["outcome"], minlength=len(OUTCOMES))
        return {name: int(count) for name, count in zip(OUTCOMES, counts, strict=True)}

    @property
    def ok(self) -> int:
        return self.outcomes["ok"]

    @property
    def error_ratio(self) -> float:
        """Share of the offered requests that failed, 0 to 1."""
        return 1 - self.ok / self.requests if self.requests else 0.0

    @property
    def retries(self) -> int:
        """Attempts in the window after the first ones; every attempt counts as a request."""
        return int(np.count_nonzero(self.window["flags"] & FLAG_RETRY))

    @property
    def gave_up(self) -> int:
        """Requests whose last attempt failed; those that the end of the run kept from another one are left out."""
        return gave_up(self)

    @property
    def offered_per_s(self) -> float:
        return self.requests / self.duration_s

    @cached_property
    def finished_ok_ns(self) -> NDArray[np.int64]:
        """When the successful answers of the window came, wherever their requests had started."""
        done = self.records["done_ns"][self.records["outcome"] == OK]
        finished: NDArray[np.int64] = done[(done >= self.t0_ns) & (done < self.t1_ns)]
        return finished

    @property
    def achieved_per_s(self) -> float:
        """Successful answers that came within the window, per second."""
        return len(self.finished_ok_ns) / self.duration_s

    @cached_property
    def response(self) -> Latency:
        """From the intended start to the end of the answer: all requests sent; time-outs count as "at least"."""
        return self.response_of(self.window)

    @cached_property
    def ok_response(self) -> Latency:
        """The same, of the successful requests alone."""
        return self._latency(self.window[self.window["outcome"] == OK], "intended_ns")

    @cached_property
    def service(self) -> Latency:
        """From the moment a request was really sent to the end of its answer."""
        return self._latency(self.window[self.window["sent_ns"] > 0], "sent_ns")

    @cached_property
    def lag(self) -> Latency:
        """How late requests left on connections that were open already: the load generator's own lateness.

        Without those that are sent again, whose pause is kept to the millisecond only.
        """
        on_time = (self.window["sent_ns"] > 0) & (self.window["flags"] & (FLAG_FRESH | FLAG_RETRY) == 0)
        chosen = self.window[on_time]
        return latency((chosen["sent_ns"] - chosen["intended_ns"]) / 1e6)

    def response_of(self, chosen: Records) -> Latency:
        """The response times of some of the records."""
        return self._latency(chosen[chosen["outcome"] != NOT_SENT], "intended_ns")

    def _latency(self, chosen: Records, since: str) -> Latency:
        censored = np.isin(chosen["outcome"], _CENSORED)
        return latency((chosen["done_ns"] - chosen[since]) / 1e6, censored, self.plan.timeout_s * 1e3)

    @property
    def p50_ms(self) -> float | AtLeast | None:
        return self.response.p50

    @property
    def p90_ms(self) -> float | AtLeast | None:
        return self.response.p90

    @property
    def p95_ms(self) -> float | AtLeast | None:
        return self.response.p95

    @property
    def p99_ms(self) -> float | AtLeast | None:
        return self.response.p99

    @property
    def max_ms(self) -> float | AtLeast | None:
        return self.response.max

    # ------------------------------------------------------------------------------------------- who did the work

    @cached_property
    def worker_answers(self) -> dict[int, int]:
        """Answers within the window per worker (pid); one that gave none is there with 0. Empty: not instrumented."""
        done = self.records["done_ns"]
        answered = self.records["worker"][(done >= self.t0_ns) & (done < self.t1_ns) & (self.records["worker"] > 0)]
        counts = {self.worker_pids[index]: int(n) for index, n in enumerate(np.bincount(answered)) if n}
        for launch in (self.launch_before, self.launch_after):
            counts = dict.fromkeys(launch.serving if launch else (), 0) | counts
        return dict(sorted(counts.items()))

    @cached_property
    def worker_share(self) -> dict[int, float]:
        """The same as shares of 1."""
        total = sum(self.worker_answers.values())
        return {pid: count / total for pid, count in self.worker_answers.items()} if total else {}

    @cached_property
    def cpu(self) -> CpuSplit | None:
        """Cores' worth of CPU time in the window: each worker, the rest of the server, the generator, others, idle."""
        if self.after is None:
            return None
        parent = self.launch_before.parent if self.launch_before else None
        workers = set(self.worker_answers) or set(map(int, self.before["server_s"]))
        return split(self.before, self.after, workers, parent)

    @property
    def engine_cpu_us_per_request(self) -> float | None:
        if self.cpu is None or not self.requests:
            return None
        return self.cpu.generator * self.cpu.wall_s * 1e6 / self.requests

    # ------------------------------------------------------------------------------------------- can it be trusted

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        return check_all(facts(self))

    @property
    def verdict(self) -> Verdict:
        return worst(self.checks)

    @property
    def reasons(self) -> list[str]:
        """Why the verdict is not "pass", the worst first."""
        return [check.why for verdict in ("void", "warn") for check in self.checks if check.verdict == verdict]

    # ------------------------------------------------------------------------------------------- ways to look at it

    def frame(self) -> "pd.DataFrame":
        """The window's requests as a table: durations in ms, moments in seconds since its begin."""
        from helpers.load.frame import frame

        return frame(self)

    def stages(self) -> "pd.DataFrame":
        """A row per stage of the rate (a single one where it did not change): seconds, answers per second, ms."""
        import pandas as pd

        return pd.DataFrame(stage_rows(self))

    def summary(self) -> dict[str, Any]:
        """The result as plain JSON values; the contract of `load --json`."""
        return {
            "schema": SCHEMA,
            "model": self.plan.model,
            "offered_per_s": self.offered_per_s,
            "achieved_per_s": self.achieved_per_s,
            "requests": self.requests,
            "ok": self.ok,
            "error_ratio": self.error_ratio,
            "outcomes": self.outcomes,
            "response_ms": self.response.as_json(),
            "ok_response_ms": self.ok_response.as_json(),
            "service_ms": self.service.as_json(),
            "lag_ms": self.lag.as_json(),
            "engine_cpu_us_per_request": self.engine_cpu_us_per_request,
            "worker_share": {str(pid): share for pid, share in self.worker_share.items()},
            "checks": [vars(check) for check in self.checks],
            "verdict": self.verdict,
            "url": self.plan.url,
            "users": self.plan.users,
            "rate_per_s": self.plan.rate_per_s,
            "arrivals": None if self.plan.model == "closed" else self.plan.arrivals,
            "think_s": self.plan.think_s,
            "method": self.plan.method,
            "duration_s": self.duration_s,
            "stages": stages_as_json(self),
            "retries": self.retries,
            "gave_up": self.gave_up,
            "stopped_early": self.stopped_early,
            "incomplete": self.incomplete,
            "warmup_s": self.warmup_s,
            "timeout_s": self.plan.timeout_s,
            "burst": self.plan.burst,
            "new_connections": self.plan.new_connections,
            "cpu_cores": self.cpu.as_json() if self.cpu else None,
            "server": dict(self.launch_before.about) if self.launch_before else None,
        }

    def __str__(self) -> str:
        return show.as_text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return show.as_html(self)
