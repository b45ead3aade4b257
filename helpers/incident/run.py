"""incident(): loads a server, does things to it at given seconds, and counts what became of every request."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter_ns as clock_ns
from types import TracebackType
from typing import Any, Protocol

from helpers.errors import InputError, LabError, StateError
from helpers.incident.result import Course, Event, Incident, slices
from helpers.load.plan import Seconds, seconds
from helpers.load.run import Cancelled, Progress, load_test

LOOK_S = 0.01
TOO_LATE = "the load was over before its turn came"


class Served(Protocol):
    """What is loaded and looked at: a Server, or several behind one address."""

    @property
    def url(self) -> str: ...

    @property
    def worker_pids(self) -> list[int]: ...

    def counts(self) -> dict[int, tuple[int, int]]: ...


@dataclass(frozen=True)
class At:
    """What to do `at_s` seconds after the measured time began; `name` stands in the picture."""

    at_s: float
    name: str
    act: Callable[[], object]


def incident(
    server: Served,
    path: str,
    acts: Sequence[At],
    *,
    duration: Seconds,
    on_look: Callable[[Course], None] | None = None,
    cancel: threading.Event | None = None,
    **load: Any,
) -> Incident:
    """Load `path` of a running server for `duration` (s), and do each act at its time, or when the last one is done.

    `load` goes to load_test: `rate=50` or `users=16`, `new_connections`, `timeout` and the like; the stages of a rate
    must add up to `duration`. `on_look` gets the course so far four times a second, and the whole of it at the end.
    What this server or system cannot do is an event that was refused; any other error of an act ends the load and is
    raised. Raises InputError for an act outside of the load, Cancelled after `cancel.set()`, and what load_test raises.
    """
    duration_s = seconds(duration, "duration")
    for act in acts:
        if not 0 <= act.at_s < duration_s:
            raise InputError(
                f"{act.name!r} is to be done at {act.at_s:g} s of a load of {duration_s:g} s",
                f"Give a time from 0 to less than {duration_s:g} s, or a longer duration.",
            )
    url, cancel = server.url + path, cancel or threading.Event()
    # stages say it themselves
    length: dict[str, Any] = {} if isinstance(load.get("rate"), list) else {"duration": duration_s}
    with Crew(server) as crew, _Hand(acts, cancel) as hand:
        watch = _Watch(hand, crew, duration_s, load.get("rate"), on_look)
        try:
            result = load_test(url, on_progress=watch, cancel=cancel, **length, **load)
        except Cancelled:
            hand.raise_error()
            raise
        hand.finish()
        hand.raise_error()
    found = Incident(result, hand.events(result.t0_ns), crew.since(result.t0_ns), crew.unfinished())
    if on_look is not None:
        on_look(found.course)
    return found


class Crew:
    """Looks a hundred times a second how many workers serve, and what they have begun and finished."""

    def __init__(self, server: Served) -> None:
        self._server = server
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="lab-crew")
        self._changes: list[tuple[int, int]] = []  # (ns, workers that serve)
        self._counts: dict[int, tuple[int, int]] = {}
        self._look()
        self._gone_before = self._counts.keys() - set(self._serving)

    def since(self, t0_ns: int) -> tuple[tuple[float, int], ...]:
        """The changes, in s after a moment; the first says how many there were at that moment."""
        before = [number for at_ns, number in self._changes if at_ns <= t0_ns]
        later = [((at_ns - t0_ns) / 1e9, number) for at_ns, number in self._changes if at_ns > t0_ns]
        return ((0.0, before[-1] if before else 0), *later)

    def unfinished(self) -> int:
        """Requests begun and never finished by workers that have gone meanwhile."""
        left = self._counts.keys() - set(self._serving) - self._gone_before
        return sum(max(0, self._counts[pid][0] - self._counts[pid][1]) for pid in left)

    def __enter__(self) -> "Crew":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        self._look()

    def _run(self) -> None:
        while not self._end.wait(LOOK_S):
            self._look()

    def _look(self) -> None:
        self._serving = self._server.worker_pids
        with suppress(StateError):  # it is stopped: what was seen last stays
            self._counts = self._server.counts()
        if not self._changes or self._changes[-1][1] != len(self._serving):
            self._changes.append((clock_ns(), len(self._serving)))


class _Hand:
    """Does the acts in a thread of its own, once it is told that the measured time has begun."""

    def __init__(self, acts: Sequence[At], cancel: threading.Event) -> None:
        self._acts = sorted(acts, key=lambda act: act.at_s)
        self._cancel = cancel
        self._over, self._begun_ns = threading.Event(), 0
        self._done: list[tuple[str, int, int, str]] = []  # name, from, to (ns; 0: not yet), why it was refused
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name="lab-hand")

    def begin(self) -> None:
        if not self._begun_ns:
            self._begun_ns = clock_ns()
            self._thread.start()

    def finish(self) -> None:
        """The load is over: wait for the act under way; what has not begun by now is not done."""
        self._over.set()
        if self._begun_ns:
            self._thread.join()

    def raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def events(self, t0_ns: int) -> tuple[Event, ...]:
        """What was done so far, in s after a moment."""
        now_ns = clock_ns()
        return tuple(
            Event(name, (from_ns - t0_ns) / 1e9, ((to_ns or now_ns) - t0_ns) / 1e9, refused)
            for name, from_ns, to_ns, refused in tuple(self._done)
        )

    def __enter__(self) -> "_Hand":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()

    def _run(self) -> None:
        for act in self._acts:
            wait_s = act.at_s - (clock_ns() - self._begun_ns) / 1e9
            if self._over.wait(max(0.0, wait_s)):
                self._done.append((act.name, clock_ns(), clock_ns(), TOO_LATE))
                continue
            self._do(act)
            if self._error is not None:
                self._cancel.set()
                return

    def _do(self, act: At) -> None:
        from_ns, refused = clock_ns(), ""
        self._done.append((act.name, from_ns, 0, ""))
        try:
            act.act()
        except LabError as error:
            refused = error.message
        except Exception as error:
            self._error = error
        self._done[-1] = (act.name, from_ns, clock_ns(), refused)


class _Watch:
    """Hears the progress of the load: tells the hand when to begin, and draws the course so far."""

    def __init__(
        self, hand: _Hand, crew: Crew, duration_s: float, rate: Any, on_look: Callable[[Course], None] | None
    ) -> None:
        self._hand, self._crew, self._duration_s, self._on_look = hand, crew, duration_s, on_look
        self._rate = rate if isinstance(rate, int | float) else None
        self._t0_ns = 0
        self._seen = (0, 0)  # answered and lost, until the last look
        self._slice_s = duration_s / slices(duration_s)
        self._answered = [0] * slices(duration_s)
        self._lost = list(self._answered)

    def __call__(self, now: Progress) -> None:
        counts = (now.requests - now.failed, now.failed)
        if now.phase == "measuring":
            if not self._t0_ns:
                self._t0_ns, self._seen = clock_ns(), counts
                self._hand.begin()
            self._count(counts)
        if self._t0_ns and self._on_look is not None:
            self._on_look(self._course())

    def _count(self, counts: tuple[int, int]) -> None:
        place = min(int(self._since_s() / self._slice_s), len(self._answered) - 1)
        self._answered[place] += counts[0] - self._seen[0]
        self._lost[place] += counts[1] - self._seen[1]
        self._seen = counts

    def _course(self) -> Course:
        return Course(
            duration_s=self._duration_s,
            until_s=min(self._since_s(), 0.999 * self._duration_s),  # over it is with the last answer only
            slice_s=self._slice_s,
            answered=tuple(self._answered),
            lost=tuple(self._lost),
            events=self._hand.events(self._t0_ns),
            crew=self._crew.since(self._t0_ns),
            offered_per_s=self._rate,
            words=f"so far {sum(self._answered):,} answered, {sum(self._lost):,} lost",
        )

    def _since_s(self) -> float:
        return (clock_ns() - self._t0_ns) / 1e9
