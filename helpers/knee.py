"""The knee: the highest rate at which an address still meets an objective, found by doubling and bisecting."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from helpers.errors import InputError, LabError
from helpers.load.latency import Latency, shown
from helpers.load.launch import probe, read_launch
from helpers.load.plan import MAX_DURATION_S, MAX_RATE_PER_S, Seconds, make_plan, seconds
from helpers.load.result import LoadResult
from helpers.load.run import Cancelled, load_test
from helpers.load.slo import TIMES, Judgement, Met, Target, judge, overall, parse_slo, requests_needed
from helpers.load.values import rate_per_s

if TYPE_CHECKING:
    from helpers.plots.picture import Picture

SCHEMA = 1
WITHIN = 0.10
STEP_S = 3.0
LOW_PER_S = 10.0
LOW_TAKES_S = 20.0  # the first step lasts no longer than this because of a percentile that needs many requests
LEAST_PER_S = 1.0
DOWN, DOWN_AT_MOST = 4, 16  # where the first rate misses, so much lower ones are tried, and none below a 16th
TRIES = 2  # a void step is measured once more
SETTLE_S = 30.0
CALM_ANSWERS, AS_FAST, CONNECTING_MS = 5, 3, 20
BACKLOG_SHARE, BACKLOG_LEAST = 0.05, 5  # of the requests of half a window: more is a queue that grows

End = Literal["found", "at least", "none", "cannot tell"]


@dataclass(frozen=True)
class Step:
    """One rate, measured afresh: the load test, and what became of each target."""

    rate_per_s: float
    result: LoadResult
    judgements: tuple[Judgement, ...]
    keeps_up: bool  # whether the requests under way did not grow in number

    @property
    def void(self) -> bool:
        return self.result.verdict == "void"

    @property
    def verdict(self) -> Met:
        if self.void:
            return "cannot tell"
        return overall(self.judgements) if self.keeps_up else "missed"

    @property
    def why(self) -> str:
        """What missed or could not be told; empty where everything was met."""
        if self.void:
            return f"void: {'; '.join(c.why for c in self.result.checks if c.verdict == 'void')}"
        parts = [] if self.keeps_up else ["the queue grows"]
        unmet = [each for each in self.judgements if each.verdict != "met"]
        return "; ".join(parts + [each.why or f"{each.target.metric} {each.measured}" for each in unmet])

    def row(self) -> dict[str, Any]:
        """Plain JSON values; a void step has no numbers."""
        summary = self.result.summary()
        response = summary["response_ms"]
        numbers = {"achieved_per_s": summary["achieved_per_s"], "error_ratio": summary["error_ratio"]}
        numbers |= {f"{name}_ms": response[name] for name in ("p50", "p95", "p99", "max")}
        return {
            "rate_per_s": self.rate_per_s,
            "requests": summary["requests"],
            **(dict.fromkeys(numbers) if self.void else numbers),
            "keeps_up": None if self.void else self.keeps_up,
            "slo": [each.as_json() for each in self.judgements],
            "verdict": self.verdict,
            "load_verdict": self.result.verdict,
            "why": self.why,
        }

    def __str__(self) -> str:
        if self.void:
            return f"{self.rate_per_s:>8.4g}/s   {self.why}"
        names = [target for target in (each.target.metric for each in self.judgements) if target in TIMES]
        latency = self.result.response
        values = [f"{name} {_shown(latency, name)}" for name in dict.fromkeys(names or ["p50"])]
        end = self.verdict + (f": {self.why}" if self.why else "")
        return f"{self.rate_per_s:>8.4g}/s   {', '.join(values)}, errors {self.result.error_ratio:.1%}   {end}"


@dataclass(frozen=True)
class Knee:
    """The search's outcome and every step of it, in the order in which they were measured."""

    url: str
    slo: tuple[Target, ...]
    within: float
    steps: tuple[Step, ...]
    end: End
    why: str
    trouble: str = ""  # why a rate could not be measured

    @property
    def rate_per_s(self) -> float | None:
        """The highest rate that met the objective; None where none did."""
        limit = self.missed_per_s or math.inf
        return max((s.rate_per_s for s in self.steps if s.verdict == "met" and s.rate_per_s < limit), default=None)

    @property
    def missed_per_s(self) -> float | None:
        """The lowest rate that missed it; None where none did."""
        return min((step.rate_per_s for step in self.steps if step.verdict == "missed"), default=None)

    @property
    def conclusive(self) -> bool:
        """Whether nothing but the objective, or the highest rate that was asked for, ended the search."""
        return self.end in ("found", "none") or (self.end == "at least" and not self.trouble)

    def rows(self) -> list[dict[str, Any]]:
        return [step.row() for step in self.steps]

    def summary(self) -> dict[str, Any]:
        """The form of `python3 -m helpers load URL --slo ... --find-rate --json`."""
        return {
            "schema": SCHEMA,
            "url": self.url,
            "objective": ",".join(target.text for target in self.slo),
            "rate_per_s": self.rate_per_s,
            "missed_per_s": self.missed_per_s,
            "within": self.within,
            "end": self.end,
            "why": self.why,
            "steps": self.rows(),
        }

    def picture(self) -> "Picture":
        """Response time and errors against the rate, with the knee marked."""
        from helpers.plots.knee import knee_plot

        return knee_plot(self.rows(), rate_per_s=self.rate_per_s, missed_per_s=self.missed_per_s)

    def __str__(self) -> str:
        objective = ", ".join(str(target) for target in self.slo)
        return "\n".join([f"{self.url}: {objective}", *(f"  {step}" for step in self.steps), self.why])

    def _repr_html_(self) -> str:
        return self.picture()._repr_html_()


def find_knee(
    url: str,
    slo: str | Sequence[Target],
    *,
    low: float | None = None,
    high: float | None = None,
    duration: Seconds | None = None,
    timeout: Seconds | None = None,
    within: float = WITHIN,
    max_rate: float = MAX_RATE_PER_S,
    progress: bool = True,
    on_step: Callable[[Step], None] | None = None,
    **load: Any,
) -> Knee:
    """The highest rate (requests per second) that meets the objective, to within 10 %: open loads, each afresh.

    Doubles the rate from `low` until a step misses, then halves the gap; where `low` itself misses, lower rates down to
    a 16th of it are tried. A rate that the server cannot keep up with misses too, whatever the objective. Steps are
    longer than `duration` (3 s) where a percentile needs more requests; a void one is measured once more; between two
    steps the server works off what is left. `load` goes on to load_test.

    Raises InputError for an objective that no lower rate would meet, and what load_test raises at the first step.
    """
    targets = _searchable(parse_slo(slo) if isinstance(slo, str) else tuple(slo))
    if unknown := {"users", "rate", "think"} & set(load):
        raise InputError(f"{sorted(unknown)[0]} is given, but the rate is what is searched", "leave it out")
    if not 0.01 <= within <= 1:
        raise InputError(f"within={within!r} cannot be used", "give a share such as 0.1 (to within 10 %)")
    needed = requests_needed(targets)
    duration_s = STEP_S if duration is None else seconds(duration, "duration", at_most=MAX_DURATION_S)
    least = max(LEAST_PER_S, 1.01 * needed / MAX_DURATION_S)  # below it a step would take longer than a minute
    first = max(LOW_PER_S, needed / LOW_TAKES_S) if low is None else rate_per_s(low, max_rate, "low")
    top = max_rate if high is None else rate_per_s(high, max_rate, "high")
    if first < least:
        raise InputError(
            f"low={first:g} is too slow: the objective needs {needed} requests, more than a minute at that rate",
            f"use low={math.ceil(least)} or more, or a lower percentile",
        )
    if top < first:
        raise InputError(f"high={top:g} is below low={first:g}", "give low < high")
    load |= {"timeout": _timeout(targets, timeout), "max_rate": max_rate, "progress": progress}
    make_plan(url, rate=top, duration=duration_s, **{k: v for k, v in load.items() if k not in _NOT_OF_THE_PLAN})

    def duration_at(rate: float) -> float:
        return min(MAX_DURATION_S, max(duration_s, 1.01 * needed / rate))

    search = _Search(url, targets, within, duration_at, load, on_step)
    return search.run(first, max(least, first / DOWN_AT_MOST), top)


_NOT_OF_THE_PLAN = ("progress", "on_progress", "cancel")


class _Search:
    """The steps so far, and the search's next rate."""

    def __init__(
        self,
        url: str,
        targets: tuple[Target, ...],
        within: float,
        duration_at: Callable[[float], float],
        load: dict[str, Any],
        on_step: Callable[[Step], None] | None,
    ) -> None:
        self.url, self.targets, self.within, self.duration_at = url, targets, within, duration_at
        self.load, self.on_step = load, on_step
        self.steps: list[Step] = []
        self.broken = ""  # why a rate could not be measured at all

    def run(self, first: float, least: float, top: float) -> Knee:
        rate, best, bad = first, 0.0, math.inf
        while math.isinf(bad) or not best or bad / best > 1 + self.within:
            verdict = self._measure(rate)
            if verdict == "met":
                best = rate
            else:
                bad = rate
            lost = not best and (verdict == "cannot tell" or bad <= least)  # a lower rate would tell no more
            if lost or best >= top or self.broken:
                break
            rate = min(2 * best, top) if math.isinf(bad) else math.sqrt(best * bad) if best else max(bad / DOWN, least)
        return self._knee(best, bad, top)

    def _measure(self, rate: float) -> Met:
        for attempt in range(TRIES):
            try:
                if self.steps:
                    _settle(self.steps)
                result = load_test(self.url, rate=rate, duration=self.duration_at(rate), **self.load)
            except LabError as error:
                if not self.steps or isinstance(error, Cancelled):
                    raise
                self.broken = f"at {rate:.4g}/s {error.message}"
                return "cannot tell"
            step = Step(rate, result, judge(result, self.targets), _keeps_up(result))
            self.steps.append(step)
            if self.on_step is not None:
                self.on_step(step)
            if not step.void or attempt == TRIES - 1:
                break
        return step.verdict

    def _knee(self, best: float, bad: float, top: float) -> Knee:
        last = next((step for step in reversed(self.steps) if step.rate_per_s == bad), None)
        missed = last is not None and last.verdict == "missed" and not self.broken
        trouble = self.broken or (f"at {bad:.4g}/s {last.why}" if last and not missed else "")
        end: End
        if best and math.isinf(bad) and not trouble:
            end, why = "at least", f"{best:.4g}/s meets it, and no higher rate was asked for"
        elif best and missed:
            end, why = "found", f"the highest rate that meets it: {best:.4g}/s (missed at {bad:.4g}/s)"
        elif best:
            end, why = "at least", f"{best:.4g}/s meets it; higher rates could not be measured: {trouble}"
        elif missed:
            end, why = "none", f"no rate meets it: missed even at {bad:.4g}/s"
        else:
            end, why = "cannot tell", f"it could not be measured: {trouble}"
        return Knee(self.url, self.targets, self.within, tuple(self.steps), end, why, trouble)


def _searchable(targets: tuple[Target, ...]) -> tuple[Target, ...]:
    """The targets, if a lower rate is the way to meet each of them."""
    for target in targets:
        if target.metric == "rate":
            raise InputError(f"{target.text!r} names the rate, which is what is searched", "name times or errors")
        if not target.upper:
            raise InputError(f"{target.text!r} asks for more, not for less", f"write {target.metric}<...")
    return targets


def _timeout(targets: Sequence[Target], timeout: Seconds | None) -> float:
    """A time-out beyond every limit: below it, nobody could tell whether the limit was missed."""
    longest_s = max((target.limit / 1e3 for target in targets if target.metric in TIMES), default=0.0)
    if timeout is None:
        return max(5.0, 2 * longest_s)
    timeout_s = seconds(timeout, "timeout")
    if timeout_s < longest_s:
        raise InputError(
            f"timeout={timeout!r} is shorter than the objective's {longest_s:g} s", "give a time-out beyond the limit"
        )
    return timeout_s


def _keeps_up(result: LoadResult) -> bool:
    """Whether about as many requests are under way at the window's end as in its middle, and none was left unsent."""
    middle_ns = (result.t0_ns + result.t1_ns) // 2
    begin, end = result.records["intended_ns"], result.records["done_ns"]
    under_way = [np.count_nonzero((begin < at) & (end >= at)) for at in (middle_ns, result.t1_ns)]
    growth = int(under_way[1]) - int(under_way[0])
    return not result.outcomes["not_sent"] and growth <= max(BACKLOG_LEAST, BACKLOG_SHARE * result.requests / 2)


def _settle(steps: Sequence[Step]) -> None:
    """Wait until the server has worked off what the last step left: clients that gave up leave their work behind.

    An instrumented server says how many requests it has in hand. Another one is asked until it answers several times
    running about as fast as ever. After half a minute the next step begins all the same.
    """
    plan, deadline_s = steps[-1].result.plan, time.monotonic() + SETTLE_S
    quickest_ms = min((step.result.ok_response.at_most(0) or 0.0 for step in steps), default=0.0)
    calm = 0
    while time.monotonic() < deadline_s and calm < CALM_ANSWERS:
        launch = read_launch(plan, wait_s=deadline_s - time.monotonic())
        if launch is None:
            begin_s = time.monotonic()
            probe(plan)
            rests = (time.monotonic() - begin_s) * 1e3 <= AS_FAST * quickest_ms + CONNECTING_MS
        else:
            rests = launch.started <= launch.finished
            time.sleep(0.02)
        calm = calm + 1 if rests else 0


def _shown(latency: Latency, name: str) -> str:
    if name == "mean":
        return "too few samples" if latency.mean_ms is None else shown(latency.mean_ms)
    return shown(getattr(latency, name))
