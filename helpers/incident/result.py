"""What became of the requests while something was done to their server: counts that add up, events, a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers.errors import InputError
from helpers.load.checks import Check, Verdict, worst
from helpers.load.records import OK
from helpers.load.result import LoadResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helpers.plots.picture import Picture

SLICE_S, LONG_SLICE_S, LONG_S = 0.5, 1.0, 30.0  # a long load is shown in longer slices
# These checks find what was done on purpose.
MEANT = ("steady", "worker share", "launch", "workers", "stopped worker", "server's count")
# Other programs make a start slower, and let a request leave some milliseconds late: neither makes a count wrong.
NO_MATTER = ("foreign load", "lag")


def slices(duration_s: float) -> int:
    """Into how many slices of time a load is divided."""
    return max(1, round(duration_s / (SLICE_S if duration_s <= LONG_S else LONG_SLICE_S)))


@dataclass(frozen=True)
class Event:
    """Something that was done: when it began and when the call came back, in s of the measured time.

    `refused` says why it could not be done.
    """

    name: str
    from_s: float
    to_s: float
    refused: str = ""


@dataclass(frozen=True)
class Course:
    """What is drawn: answers and losses in slices of time, what was done, and how many workers served since when.

    `until_s` is how far it has come; `words` are the sum.
    """

    duration_s: float
    until_s: float
    slice_s: float
    answered: Sequence[int]
    lost: Sequence[int]
    events: Sequence[Event]
    crew: Sequence[tuple[float, int]]
    offered_per_s: float | None  # None: users who wait
    words: str
    void: str = ""
    stages: Sequence[tuple[float, float]] = ()  # (per s, s), where the rate changes; `offered_per_s` is their mean

    @property
    def over(self) -> bool:
        return self.until_s >= self.duration_s


@dataclass(frozen=True, eq=False, repr=False)
class Incident:
    """A load test, and what was done to its server meanwhile. Every request sent was answered or lost, never dropped.

    `unfinished`: requests that workers had begun and took with them, by the server's own count.
    """

    result: LoadResult
    events: tuple[Event, ...]
    crew: tuple[tuple[float, int], ...]
    unfinished: int

    @property
    def checks(self) -> list[Check]:
        """The self-checks of the run, without those that find what was done on purpose, or that do not matter here."""
        return [check for check in self.result.checks if check.name not in (*MEANT, *NO_MATTER)]

    @property
    def verdict(self) -> Verdict:
        return worst(self.checks)

    @property
    def void(self) -> str:
        """Why its numbers cannot be trusted; empty where they can."""
        return next((check.why for check in self.checks if check.verdict == "void"), "")

    @property
    def sent(self) -> int:
        """Requests of the measured time."""
        return self.result.requests

    @property
    def ok(self) -> int:
        return self.result.ok

    @cached_property
    def losses(self) -> Mapping[str, int]:
        """The requests without an answer, by outcome, the most frequent first."""
        found = {name: number for name, number in self.result.outcomes.items() if name != "ok" and number}
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    @property
    def lost(self) -> int:
        return sum(self.losses.values())

    @property
    def gave_up(self) -> int:
        """Visitors without an answer: with retries fewer than requests."""
        return self.result.gave_up

    def event(self, name: str) -> Event:
        """What was done under that name. Raises InputError where nothing was."""
        for each in self.events:
            if each.name == name:
                return each
        raise InputError(
            f"nothing was done under the name {name!r}", f"done was: {', '.join(e.name for e in self.events)}"
        )

    def per_s(self, from_s: float, to_s: float) -> float:
        """Answers per second that came between two moments."""
        done_s = self._moments_s(self.result.finished_ok_ns)
        return float(np.count_nonzero((done_s >= from_s) & (done_s < to_s)) / (to_s - from_s))

    @cached_property
    def course(self) -> Course:
        """What is drawn of it."""
        window, plan = self.result.window, self.result.plan
        duration_s = self.result.duration_s
        edges = np.linspace(0, duration_s, slices(duration_s) + 1)
        failed_ns = window["done_ns"][window["outcome"] != OK]
        return Course(
            duration_s=duration_s,
            until_s=duration_s,
            slice_s=duration_s / slices(duration_s),
            answered=np.histogram(self._moments_s(self.result.finished_ok_ns), edges)[0].tolist(),
            lost=np.histogram(self._moments_s(failed_ns), edges)[0].tolist(),
            events=self.events,
            crew=self.crew,
            offered_per_s=plan.rate_per_s,
            words=str(self),
            void=self.void,
            stages=plan.stages,
        )

    def picture(self, title: str = "") -> "Picture":
        """Answers per second over time, with what was done, what was lost, and how many workers served."""
        from helpers.plots.incident_plot import incident_plot

        return incident_plot(self.course, title)

    def summary(self) -> dict[str, Any]:
        """The load test's own JSON values, and what was done meanwhile."""
        events = [vars(event) for event in self.events]
        return {**self.result.summary(), "events": events, "unfinished": self.unfinished, "verdict": self.verdict}

    def _moments_s(self, moments_ns: "NDArray[np.int64]") -> "NDArray[np.float64]":
        return (moments_ns - self.result.t0_ns) / 1e9

    def _repr_html_(self) -> str:
        return self.picture()._repr_html_()

    def __str__(self) -> str:
        kinds = ", ".join(f"{number:,} {name}" for name, number in self.losses.items())
        return f"{self.sent:,} sent = {self.ok:,} answered + {self.lost:,} lost" + (f" ({kinds})" if kinds else "")

    __repr__ = __str__
