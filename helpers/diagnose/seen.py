"""What a probe saw: one load test on one launch, and the server's own signs of it, as the numbers that decide."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np

from helpers.load.records import OK, OUTCOMES
from helpers.load.result import LoadResult
from helpers.server.running import Loop
from helpers.server.stacks import Frame, Stacks

LATE_MS = 3.0  # an idle event loop comes by within a millisecond or two
BUSY_CORES = 0.5  # below, where it stands is by chance
SELDOM = 0.25  # a line met less often than at every fourth look is not what limits


@dataclass(frozen=True)
class Answer:
    """One request, asked alone. `status` is 0 where no answer came; `ms` then says how long it was waited for."""

    status: int
    ms: float
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    failure: str = ""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def header(self, name: str) -> str | None:
        return dict(self.headers).get(name)


@dataclass(frozen=True)
class Probe:
    """A load test with `users` on a launch with `workers`; `loops` are looks at each worker's event loop meanwhile."""

    workers: int
    users: int
    threads: int | None  # the size of the thread pool, where it was changed
    result: LoadResult
    loops: tuple[Loop, ...]

    @property
    def void(self) -> bool:
        return self.result.verdict == "void"

    @property
    def per_s(self) -> float:
        return self.result.achieved_per_s

    @property
    def mean_ms(self) -> float | None:
        """Mean response time of the successes."""
        return self.result.ok_response.mean_ms

    @property
    def cores(self) -> float | None:
        """Cores' worth of CPU that the server used, with all processes it started."""
        cpu = self.result.cpu
        return None if cpu is None else sum(cpu.workers.values()) + cpu.rest_of_server

    @property
    def connections(self) -> dict[int, int]:
        """Connections per worker (pid) that had answers by the middle of the measured time; empty: not instrumented.

        One that a busy worker takes up later is too late for what is measured. A worker that has none is there with 0.
        """
        result = self.result
        records, done_ns = result.records, result.records["done_ns"]
        early = (done_ns >= result.t0_ns) & (done_ns < (result.t0_ns + result.t1_ns) // 2) & (records["worker"] > 0)
        workers = np.unique(records[early][["worker", "connection"]])["worker"]
        counts = Counter(result.worker_pids[int(worker)] for worker in workers)
        return {pid: counts[pid] for pid in result.worker_answers}

    @property
    def failed(self) -> float:
        """Share of the requests that came to an end and failed; what the end of the run cut off is no failure."""
        ended = {name: count for name, count in self.result.outcomes.items() if name not in ("aborted", "not_sent")}
        total = sum(ended.values())
        return 1 - ended["ok"] / total if total else 0.0

    @property
    def late(self) -> float | None:
        """Share of the looks at which the event loop was late, 0 to 1; None where nobody could look."""
        return None if not self.loops else sum(loop.late_ms > LATE_MS for loop in self.loops) / len(self.loops)

    @property
    def late_ms(self) -> float | None:
        """How late the event loop was: the median of all looks."""
        return None if not self.loops else median(loop.late_ms for loop in self.loops)

    @property
    def threads_size(self) -> int | None:
        return self.loops[-1].threads if self.loops else None

    @property
    def threads_busy(self) -> float:
        return median(loop.threads_busy for loop in self.loops) if self.loops else 0.0

    @property
    def threads_awaited(self) -> float:
        """Requests that wait for a thread: the median of all looks."""
        return median(loop.threads_awaited for loop in self.loops) if self.loops else 0.0

    @property
    def at_work(self) -> bool:
        """Whether there is anything to see in its stacks: work, or threads that stand somewhere."""
        return (self.cores or 0.0) > BUSY_CORES or (self.late or 0.0) > 0.5 or self.threads_busy >= 1

    def warned(self, *names: str) -> list[str]:
        """The reasons of those of its checks that are not passed."""
        return [check.why for check in self.result.checks if check.name in names and check.verdict != "pass"]

    def row(self) -> dict[str, Any]:
        """The probe in numbers, for tables and JSON; a void one has none."""
        told = not self.void
        return {
            "workers": self.workers,
            "users": self.users,
            "threads": self.threads or self.threads_size,
            "achieved_per_s": round(self.per_s, 1) if told else None,
            "mean_ms": round(self.mean_ms, 1) if told and self.mean_ms is not None else None,
            "cores": round(self.cores, 2) if told and self.cores is not None else None,
            "loop_late_ms": round(self.late_ms, 1) if told and self.late_ms is not None else None,
            "threads_busy": self.threads_busy if told else None,
            "threads_awaited": self.threads_awaited if told else None,
            "error_ratio": round(self.failed, 4),
            "verdict": self.result.verdict,
        }


def spread(connections: Collection[int], at_once: float) -> float:
    """How well connections are spread over workers that let no more than `at_once` of their own get on, 0 to 1.

    1: as many get on as if each worker had as many connections. With all of them at one of two workers that let one
    through, 0.5: whatever the other one could do, it cannot show.
    """
    if not sum(connections):
        return 1.0
    evenly = len(connections) * min(sum(connections) / len(connections), at_once)
    return sum(min(count, at_once) for count in connections) / evenly


def first_failure(result: LoadResult) -> str | None:
    """The commonest way in which requests failed; None where none did."""
    counts = Counter({name: count for name, count in result.outcomes.items() if name not in (OUTCOMES[OK], "aborted")})
    (name, count), *_ = counts.most_common(1) or [("", 0)]
    return name if count else None


@dataclass(frozen=True)
class Place:
    """A line of code in which threads stood, again and again."""

    frame: Frame
    looks: float  # threads that stood there, per look: 1 is one thread all the time
    in_loop: bool  # the thread was the event loop's

    def __str__(self) -> str:
        source = f": `{self.frame.source}`" if self.frame.source else ""
        return f"{self.frame.place}, in {self.frame.function}(){source}"


@dataclass(frozen=True)
class Looks:
    """Stacks of a worker, read again and again under load.

    `held` is the share of those in which the event loop's thread stood in code; None where none could be read.
    """

    count: int = 0
    held: float | None = None
    places: tuple[Place, ...] = ()  # the commonest first
    way: str = ""
    pools: Counter[str] = field(default_factory=Counter)  # whose threads stood in code of the app, per look

    def place(self, *, in_loop: bool) -> Place | None:
        """The line met most often, in the event loop's thread or in the others."""
        return next((place for place in self.places if place.in_loop is in_loop), None)


def looks(taken: Sequence[Stacks]) -> Looks:
    """Count where the threads stood."""
    counted: Counter[tuple[Frame, bool]] = Counter()
    pools: Counter[str] = Counter()
    held = 0
    for each in taken:
        at_work = each.loop is not None and not each.loop.waits
        held += at_work
        for thread in each.threads:
            frame = thread.own or (_telling(thread.frames) if thread.main else None)
            if frame is None or (thread.main and not at_work):
                continue
            counted[frame, thread.main] += 1
            if not thread.main:
                pools[_pool(thread.frames)] += 1
    places = tuple(
        Place(frame, count / len(taken), in_loop)
        for (frame, in_loop), count in counted.most_common()
        if count / len(taken) > SELDOM
    )
    return Looks(len(taken), held / len(taken) if taken else None, places, taken[0].by if taken else "", pools)


def _telling(frames: Sequence[Frame]) -> Frame | None:
    """Where no line is the app's own, as for an app that is an installed package: the innermost outside Python's."""
    return next((frame for frame in frames if "site-packages" in frame.file), frames[0] if frames else None)


def _pool(frames: Sequence[Frame]) -> str:
    """Whose thread it is, by the function that started it."""
    files = [frame.file for frame in frames]
    if any("anyio" in file for file in files):
        return "anyio"
    return "executor" if any(file.endswith("concurrent/futures/thread.py") for file in files) else "own"
