"""What a load test found: every request's record, and the numbers, tables and checks computed from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from helpers.load import show
from helpers.load.checks import TREND_SLICES, Check, Facts, Verdict, check_all, worst
from helpers.load.cpu import CpuSplit, Snapshot, split
from helpers.load.latency import AtLeast, Latency, latency
from helpers.load.launch import Launch
from helpers.load.plan import Plan
from helpers.load.records import (
    ABORTED,
    BODY_MISMATCH,
    CONNECT_TIMEOUT,
    FIELDS,
    FLAG_FOREIGN,
    FLAG_FRESH,
    NOT_SENT,
    OK,
    OUTCOMES,
    REFUSED,
    TIMEOUT,
)

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
RECORD = np.dtype(FIELDS)
Records = NDArray[np.void]
_ANSWERED_UP_TO = BODY_MISMATCH  # the outcomes up to this one are answers of the server
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

    # ------------------------------------------------------------------------------------------- what was measured

    @property
    def duration_s(self) -> float:
        return (self.t1_ns - self.t0_ns) / 1e9

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
    def offered_per_s(self) -> float:
        return self.requests / self.duration_s

    @cached_property
    def _finished_ok(self) -> NDArray[np.int64]:
        done = self.records["done_ns"][self.records["outcome"] == OK]
        finished: NDArray[np.int64] = done[(done >= self.t0_ns) & (done < self.t1_ns)]
        return finished

    @property
    def achieved_per_s(self) -> float:
        """Successful answers that came within the window, per second."""
        return len(self._finished_ok) / self.duration_s

    @cached_property
    def response(self) -> Latency:
        """From the intended start to the end of the answer: all requests sent; time-outs count as "at least"."""
        return self._latency(self.window[self.window["outcome"] != NOT_SENT], "intended_ns")

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
        """How late requests left on connections that were open already: the load generator's own lateness."""
        chosen = self.window[(self.window["sent_ns"] > 0) & (self.window["flags"] & FLAG_FRESH == 0)]
        return latency((chosen["sent_ns"] - chosen["intended_ns"]) / 1e6)

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
        return check_all(self._facts())

    @property
    def verdict(self) -> Verdict:
        return worst(self.checks)

    @property
    def reasons(self) -> list[str]:
        """Why the verdict is not "pass", the worst first."""
        return [check.why for verdict in ("void", "warn") for check in self.checks if check.verdict == verdict]

    def _facts(self) -> Facts:
        records, cpu = self.records, self.cpu
        before, after = self.launch_before, self.launch_after
        lag_p99 = self.lag.at_most(0.99) if self.plan.model == "open" else None
        return Facts(
            engine_cores=cpu.generator if cpu else None,
            run_delay_share=cpu.run_delay_share if cpu else None,
            # what a process that ended had used counts as others', and cannot be told from theirs
            foreign_cores=cpu.others if cpu and self.plan.local and not cpu.server_gone else None,
            little=self._little() if self.plan.users is not None and self.incomplete is None else None,
            lag_p99_ms=lag_p99,
            rest_lag_ms=self.rest_lag_ms,
            offered=self.requests,
            outcomes_total=sum(self.outcomes.values()),
            slices=self._slices(),
            share=self.worker_answers,
            instrumented=before is not None,
            foreign_answers=int(np.count_nonzero(records["flags"] & FLAG_FOREIGN)),
            same_launch=None if after is None or before is None else after.id == before.id,
            workers_lost=len(before.serving - after.serving) if before and after and before.id == after.id else 0,
            answered=int(np.count_nonzero(records["outcome"] <= _ANSWERED_UP_TO)),
            sent=int(np.count_nonzero(records["sent_ns"])),
            finished_most=after.finished - before.finished if before and after else None,
            finished_least=after.finished - before.started if before and after else None,
            incomplete=self.incomplete,
        )

    def _little(self) -> float:
        """Time that requests and thinking take up within the window, in users, divided by the users."""
        assert self.plan.users is not None
        records = self.records
        pause_ns = np.where(records["outcome"] == REFUSED, self.refused_pause_s, self.plan.think_s) * 1e9
        begin = np.maximum(records["intended_ns"], self.t0_ns)
        end = np.minimum(records["done_ns"] + pause_ns, self.t1_ns)
        return float(np.maximum(0, end - begin).sum() / (self.t1_ns - self.t0_ns) / self.plan.users)

    def _slices(self) -> list[float]:
        """Throughput (closed) or mean response (open) in equal parts of the window."""
        edges = np.linspace(self.t0_ns, self.t1_ns, TREND_SLICES + 1)
        if self.plan.model == "closed":
            return [float(count) for count in np.histogram(self._finished_ok, edges)[0]]
        chosen = self.window[self.window["outcome"] != NOT_SENT]
        counts = np.histogram(chosen["intended_ns"], edges)[0]
        sums = np.histogram(chosen["intended_ns"], edges, weights=chosen["done_ns"] - chosen["intended_ns"])[0]
        return [float(value) for value in sums / np.maximum(1, counts) / 1e6]

    # ------------------------------------------------------------------------------------------- ways to look at it

    def frame(self) -> "pd.DataFrame":
        """The window's requests as a table: durations in ms, moments in seconds since its begin."""
        from helpers.load.frame import frame

        return frame(self)

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
            "duration_s": self.duration_s,
            "warmup_s": self.plan.warmup_s,
            "timeout_s": self.plan.timeout_s,
            "burst": self.plan.burst,
            "cpu_cores": self.cpu.as_json() if self.cpu else None,
            "server": dict(self.launch_before.about) if self.launch_before else None,
        }

    def __str__(self) -> str:
        return show.as_text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return show.as_html(self)
