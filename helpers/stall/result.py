"""What one stall did to a closed and to an open run: numbers, words and picture."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers.load.checks import Check, Verdict, worst
from helpers.load.latency import BEYOND, AtLeast, Milliseconds, shown
from helpers.load.records import NOT_SENT, TIMEOUT
from helpers.load.result import LoadResult

if TYPE_CHECKING:
    from helpers.plots.picture import Picture
    from helpers.plots.stall_plot import Seen

SCHEMA = 1
QUANTILES = {"p50": 0.5, "p97.5": 0.975, "p99": 0.99, "max": 1.0}
MEANT = "stopped worker"  # the self-check that finds the stall
CLOSED = "1 user, who waits"


@dataclass(frozen=True, eq=False, repr=False)
class Side:
    """One model's view of the stall: the load test, and when the server stopped and went on (ns of the same clock)."""

    result: LoadResult
    stopped_ns: int
    continued_ns: int

    @property
    def stalled_s(self) -> float:
        """How long the server really stood still."""
        return (self.continued_ns - self.stopped_ns) / 1e9

    @property
    def checks(self) -> list[Check]:
        """The self-checks of the run, without the one that finds what was done on purpose."""
        return [check for check in self.result.checks if check.name != MEANT]

    @property
    def verdict(self) -> Verdict:
        return worst(self.checks)

    @property
    def void(self) -> bool:
        return self.verdict == "void"

    @cached_property
    def met(self) -> "np.ndarray[Any, np.dtype[np.bool_]]":
        """Per request of the window: did it have to wait for the stopped server?"""
        window = self.result.window
        before_its_end = window["intended_ns"] < self.continued_ns
        return before_its_end & ((window["done_ns"] >= self.continued_ns) | (window["intended_ns"] >= self.stopped_ns))

    @property
    def bad_samples(self) -> int:
        """Requests that had to wait for the stopped server."""
        return int(np.count_nonzero(self.met))

    def percentile(self, quantile: float) -> Milliseconds:
        """Of the response times of all requests sent, by nearest rank; 1.0 is the maximum.

        None where fewer than 10 samples lie beyond it.
        """
        times_ms = self._sorted_ms
        if not len(times_ms) or (quantile < 1 and round(len(times_ms) * (1 - quantile), 6) < BEYOND):
            return None
        value = float(times_ms[math.ceil(round(len(times_ms) * quantile, 6)) - 1])
        return value if math.isfinite(value) else AtLeast(self.result.plan.timeout_s * 1e3)

    @cached_property
    def _sorted_ms(self) -> "np.ndarray[Any, np.dtype[np.float64]]":
        window = self.result.window[self.result.window["outcome"] != NOT_SENT]
        times_ms = (window["done_ns"] - window["intended_ns"]) / 1e6
        times_ms[window["outcome"] == TIMEOUT] = np.inf  # nobody waited to see how long
        return np.sort(times_ms)

    def summary(self) -> dict[str, Any]:
        """The load test's own JSON, and what the stall did to it."""
        return {
            **self.result.summary(),
            "bad_samples": self.bad_samples,
            "stopped_at_s": (self.stopped_ns - self.result.t0_ns) / 1e9,
            "stalled_s": self.stalled_s,
            "checks": [vars(check) for check in self.checks],
            "verdict": self.verdict,
            "percentiles_ms": {name: _plain(self.percentile(quantile)) for name, quantile in QUANTILES.items()},
        }


@dataclass(frozen=True, eq=False, repr=False)
class Stall:
    """The same stall in a closed run with one user and in an open run."""

    path: str
    stall_s: float
    closed: Side
    open: Side

    @property
    def void(self) -> bool:
        return self.closed.void or self.open.void

    def expected_ms(self, quantile: float) -> float:
        """What the stall alone adds to a percentile of constant arrivals.

        Those that come during the stall wait evenly between all of it and nothing: a share of stall / duration.
        """
        share = self.open.stalled_s / self.open.result.duration_s
        return 1e3 * self.open.stalled_s * max(0.0, 1 - (1 - quantile) / share)

    def summary(self) -> dict[str, Any]:
        """The form of `python3 -m helpers stall --json`."""
        return {
            "schema": SCHEMA,
            "path": self.path,
            "stall_s": self.stall_s,
            "closed": self.closed.summary(),
            "open": self.open.summary(),
            "words": self.words(),
            "verdict": worst([*self.closed.checks, *self.open.checks]),
        }

    def words(self) -> str:
        """What was seen, in two or three sentences made from the numbers."""
        if self.void:
            sides = ((CLOSED, self.closed), (self.open_name, self.open))
            whys = [(name, check.why) for name, side in sides for check in side.checks if check.verdict == "void"]
            return " ".join(f"{name}: void. {why}" for name, why in whys)
        closed, open_ = self.closed, self.open
        seen = (
            f"The server stood still for {open_.stalled_s:.2f} s. The user who waits met that "
            f"{_times(closed.bad_samples)} in {closed.result.requests:,} requests, since nobody asks while waiting; "
            f"of {open_.result.requests:,} requests at a rate, {open_.bad_samples:,} came meanwhile and waited."
        )
        hidden, true = closed.percentile(0.99), open_.percentile(0.99)
        if hidden is None or true is None:
            return seen + " There were too few requests for a p99."
        if float(true) > 2 * float(hidden):
            return seen + f" So one p99 says {shown(hidden)} and the other {shown(true)}, of the same stall."
        return seen + f" Here both show it: p99 {shown(hidden)} and {shown(true)}; a longer run would tell them apart."

    @property
    def open_name(self) -> str:
        return f"{self.open.result.plan.rate_per_s:g} requests/s"

    def picture(self) -> "Picture":
        """Every request around the stall in both runs, and below them their percentiles."""
        from helpers.plots.stall_plot import stall_plot

        closed, open_ = _seen(CLOSED, self.closed), _seen(self.open_name, self.open)
        return stall_plot(closed, open_, stall_s=self.open.stalled_s, words=self.words())

    def _repr_html_(self) -> str:
        return self.picture()._repr_html_()

    def __str__(self) -> str:
        head = f"{self.path}, 1 worker, stopped for {self.stall_s:g} s"
        lines = [head, f"  {'':16}{CLOSED:>20}{self.open_name:>20}"]
        if not self.void:
            sides = (self.closed, self.open)
            cells = {"requests": [f"{side.result.requests:,}" for side in sides]}
            cells["met the stall"] = [f"{side.bad_samples:,}" for side in sides]
            for name, quantile in QUANTILES.items():
                cells[name] = [shown(side.percentile(quantile)) for side in sides]
            cells["self-check"] = [side.verdict for side in sides]
            lines += [f"  {name:16}{each[0]:>20}{each[1]:>20}" for name, each in cells.items()]
        return "\n".join([*lines, self.words()])

    __repr__ = __str__


def _seen(name: str, side: Side) -> "Seen":
    from helpers.plots.stall_plot import Seen

    window = side.result.window
    return Seen(
        name=name,
        since_stop_s=(window["intended_ns"] - side.stopped_ns) / 1e9,
        response_ms=(window["done_ns"] - window["intended_ns"]) / 1e6,
        met=side.met,
        percentiles_ms={each: _plain(side.percentile(quantile)) for each, quantile in QUANTILES.items()},
        void=side.void,
    )


def _plain(value: Milliseconds) -> float | dict[str, float] | None:
    return {"at_least": value.value_ms} if isinstance(value, AtLeast) else value


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number:,} times"
