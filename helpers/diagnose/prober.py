"""Puts questions to the API: single requests, load tests with looks at the server meanwhile, launches with changes.

A void load is measured again, and so is one that lasted for too few turns. An app is launched here, again and again;
a server that runs already is only asked.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from statistics import median
from types import TracebackType

from helpers import proc
from helpers.diagnose.ask import ask
from helpers.diagnose.launches import Launches
from helpers.diagnose.seen import Answer, Looks, Probe, looks, spread
from helpers.diagnose.subject import SAFE_METHODS, Subject
from helpers.diagnose.watching import looking, stacks_while
from helpers.errors import EngineError, StartError
from helpers.load.launch import read_launch
from helpers.load.plan import make_plan
from helpers.load.run import load_test
from helpers.machine import usable_cpus

DEFAULT_THREADS = 40  # of anyio's pool, for `def` endpoints and dependencies
AGE_REQUESTS = 5
ENOUGH_AGES = 3  # to tell what grows with every request from what grows at the first load
COMPARED_EACH = 2  # answers of each of two workers
COMPARED_MOST, COMPARED_S = 48, 4.0  # requests for them, one after the other: most may go to one and the same worker
PATIENCE_S = 10.0  # a request that takes longer cannot be loaded within a minute
ROUNDS = 3  # a load lasts at least as long as so many requests one after the other
TURNS = 4  # and a load whose answers are to be compared, so many turns of each user
LONGEST_S = 8.0
WARMUP_S = 0.3
TRIES = 3  # a void measurement is taken again, and one whose connections went to one worker
WELL_SPREAD = 0.8  # of what evenly spread connections would let get on at once
RISE = 0.25  # of the looks come before every user is there

Say = Callable[[str], None]


@dataclass(frozen=True)
class Age:
    """A worker after so many requests: its memory, and the time of one request alone where that was asked."""

    requests: int
    memory_mb: float | None
    ms: float | None = None


class Prober:
    """`with Prober(subject, duration_s=2.5, say=...) as prober:`; nothing of it runs on afterwards."""

    def __init__(self, subject: Subject, *, duration_s: float, say: Say) -> None:
        self.subject = subject
        self._duration_s = duration_s
        self._say = say
        self._app = Launches(subject)
        self._probes: dict[tuple[int, int, int | None], Probe] = {}  # by users, workers and threads
        self._gains: dict[tuple[int, int, int | None], float | None] = {}
        self.request_s = 0.1  # how long one request takes, alone
        self.told_by: list[tuple[str, bytes]] = []  # answers of a launch with two workers, one after the other
        self.looks = Looks()  # at the stacks of the one worker
        self.doubts: list[str] = []  # why the gain of a change is not known
        self.start_trouble = ""  # why it does not start with more workers
        self.fresh_ms: float | None = None  # a request alone to a later launch, before its first load
        self.ages: list[Age] = []  # of the first launch: at its begin, and after each load

    def __enter__(self) -> "Prober":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._app.stop()

    @property
    def outside(self) -> bool:
        """Whether the server is somebody else's: it is asked, and neither launched nor looked into."""
        return self.subject.app is None

    @property
    def probes(self) -> list[Probe]:
        """All load tests in the order in which they were made."""
        return list(self._probes.values())

    @property
    def url(self) -> str:
        return self._address + self.subject.path

    @property
    def _address(self) -> str:
        return self._app.address

    # ---------------------------------------------------------------------------------------------------- launches

    def launch(self, workers: int = 1, threads: int | None = None) -> None:
        """Have the app run with so many workers and threads; does nothing where it does already. Raises StartError."""
        if self.outside or self._app.now == (workers, threads):
            return
        if self._app.now == (1, None):
            self._farewell()
        if self._app.server is None:
            self._say("starting the app with one worker")
        self._app.start(workers, threads)

    @property
    def log(self) -> str:
        """What the app wrote; empty where it is not ours."""
        return self._app.log

    @property
    def start_up_s(self) -> float | None:
        """Of the first worker: imports and lifespan."""
        return self._app.start_up_s

    @property
    def left_behind(self) -> int:
        """Processes that outlived the app that had started them."""
        return self._app.left_behind

    def about(self) -> dict[str, object]:
        """What the server says of its endpoint; empty where it is not instrumented."""
        launch = read_launch(make_plan(self.url, users=1))
        told = None if launch is None else launch.about.get("endpoint")
        return told if isinstance(told, dict) else {}

    @property
    def core(self) -> float:
        """What a worker can get of one core: less than one where a container grants less."""
        return min(1.0, usable_cpus().quota or 1.0)

    def held(self, probe: Probe) -> float | None:
        """Share of the time for which code holds the event loop up and uses no CPU; None where nobody could look.

        Two witnesses: how often its beat is late, and how often its stack is found in code. Each may miss short waits.
        """
        witnesses = [share for share in (probe.late, self.looks.held) if share is not None]
        return max(0.0, max(witnesses) - (probe.cores or 0.0)) if witnesses else None

    def threads_awaited(self, probe: Probe) -> float | None:
        """Requests that wait for a thread of the pool; from outside: if all 40 are seen in the app's code, the rest."""
        if not self.outside:
            return probe.threads_awaited
        busy = self.looks.pools["anyio"] / self.looks.count if self.looks.count else 0.0
        return probe.users - busy if busy > 0.9 * DEFAULT_THREADS else 0.0

    # ------------------------------------------------------------------------------------------------------ probes

    def ask(self, path: str | None = None, *, timeout_s: float | None = None) -> Answer:
        """One request on a connection of its own; `path` asks for another one, plainly."""
        return ask(self.subject, self._address, path, timeout_s or PATIENCE_S)

    def load(self, users: int, *, workers: int = 1, threads: int | None = None) -> Probe:
        """The load test with so many users on that launch, measured at its first call."""
        key = (users, workers, threads)
        if key not in self._probes:
            changed = self._app.now is not None and self._app.now != (workers, threads)
            self.launch(workers, threads)
            if changed:
                self.ask()  # what a fresh worker does once is no part of the load
                if self.fresh_ms is None:
                    self.fresh_ms = self._alone_ms()
            many = f"{workers} workers" if workers > 1 else "one worker"
            pool = f", {threads} threads" if threads else ""
            self._say(f"{users} {'users' if users > 1 else 'user'}" + ("" if self.outside else f", {many}{pool}"))
            for _ in range(TRIES):
                probe = self._probes[key] = self._load(users, workers, threads)
                if not probe.void:
                    break
            if users == workers == 1 and probe.mean_ms and not probe.void:
                self.request_s = probe.mean_ms / 1e3
            if users > 1 and self._app.now == (1, None):
                self.ages.append(self._age())
            if workers == 2 and self.subject.method in SAFE_METHODS:
                self.told_by = list(self._by_worker())
        return self._probes[key]

    def for_some_turns(self, probe: Probe) -> Probe:
        """The same load, measured for longer where each user had too few turns in it to tell how many answers come.

        Requests that wait for each other may be answered in bursts: a turn more or less of all users is much then.
        """
        wanted_s = min(LONGEST_S, TURNS * (probe.mean_ms or 0.0) / 1e3)
        if self.outside or probe.result.duration_s >= wanted_s:
            return probe
        self._duration_s = wanted_s  # what is compared with it lasts as long
        del self._probes[probe.users, probe.workers, probe.threads]
        return self.load(probe.users, workers=probe.workers, threads=probe.threads)

    def gain(self, base: Probe, *, workers: int = 1, threads: int | None = None) -> float | None:
        """How many times the answers with so many workers or threads; None where that cannot be had, or is void.

        Where nearly all connections went to one of the workers, the others had nothing to show: another launch is
        tried.
        """
        key = (base.users, workers, threads)
        if key not in self._gains:
            self._gains[key] = None if self.outside else self._gain(base, workers, threads)
        return self._gains[key]

    def _gain(self, base: Probe, workers: int, threads: int | None) -> float | None:
        if not base.per_s:
            self.doubts.append("Before the change no request was answered, so there is nothing to compare with.")
            return None
        try:
            changed = self.load(base.users, workers=workers, threads=threads)
            for _ in range(TRIES - 1):
                if changed.void or self._well_spread(base, changed):
                    break
                self._app.stop()
                del self._probes[base.users, workers, threads]
                changed = self.load(base.users, workers=workers, threads=threads)
        except StartError as error:
            self.start_trouble = error.message
            return None
        if changed.void:
            self.doubts += changed.result.reasons
            return None
        if not self._well_spread(base, changed):
            most, total = max(changed.connections.values()), sum(changed.connections.values())
            self.doubts.append(
                f"In each of {TRIES} launches one of {workers} workers got {most} of {total} connections."
            )
            return None
        return changed.per_s / base.per_s

    def _well_spread(self, base: Probe, changed: Probe) -> bool:
        return spread(changed.connections.values(), base.per_s * self.request_s) >= WELL_SPREAD

    def _load(self, users: int, workers: int, threads: int | None) -> Probe:
        duration_s = min(LONGEST_S, max(self._duration_s, ROUNDS * self.request_s))
        with looking(self._app.server) as seen:
            result = load_test(
                self.url, users=users, duration=duration_s, warmup=None if users > 1 else WARMUP_S,
                timeout=max(PATIENCE_S, 2 * users * self.request_s), progress=False, **self.subject.load_arguments(),
            )  # fmt: skip
        return Probe(workers, users, threads, result, tuple(seen[int(RISE * len(seen)) :]))

    def _by_worker(self) -> Iterator[tuple[str, bytes]]:
        """Answers one after the other, with the pid of the worker that gave each: until each gave some."""
        met: Counter[str] = Counter()
        deadline = time.monotonic() + COMPARED_S
        for _ in range(COMPARED_MOST):
            if time.monotonic() > deadline:
                return
            answer = self.ask()
            if (pid := answer.header("x-worker-pid")) is None:
                return
            met[pid] += 1
            yield pid, answer.body
            if len(met) > 1 and min(met.values()) >= COMPARED_EACH:
                return

    def born(self) -> None:
        """Note how the worker is before any load."""
        self.ages.append(replace(self._age(), ms=self._alone_ms()))

    def _age(self) -> Age:
        return Age(self._app.finished, self._app.memory_mb())

    def _alone_ms(self) -> float:
        """The time of a request alone: the median of a few."""
        return median(self.ask().ms for _ in range(AGE_REQUESTS if self.request_s < 0.5 else 1))

    def _farewell(self) -> None:
        """What only the first launch can tell, before another takes its place: where its threads stand, how it aged."""
        loads = [probe for probe in self.probes if probe.users > 1 and not probe.void]
        if loads and (loads[-1].at_work or len(self.ages) < ENOUGH_AGES):
            self.read_stacks(loads[-1])
        if loads and self.ages:
            self.ages[-1] = replace(self.ages[-1], ms=self._alone_ms())

    def ask_amid(self, users: int) -> Answer | None:
        """An answer that is no success, given while that load goes on; None where all single requests succeed."""
        busy = threading.Thread(target=self._keep_busy, args=(users,), daemon=True)
        busy.start()
        failed = None
        while busy.is_alive() and failed is None:
            answer = self.ask()
            failed = None if answer.ok else answer
        busy.join()
        return failed

    def read_stacks(self, probe: Probe) -> None:
        """Look where the threads of one worker stand under that load, once; `looks` then has what was seen.

        No numbers come from it: reading stops the process for a moment.
        """
        if self.looks.count == 0:
            self._say("reading the stacks")
            self.look_while(lambda: self._keep_busy(probe.users))
            if not self.outside:
                self.ages.append(self._age())

    def look_while(self, during: Callable[[], object]) -> None:
        """Read the stacks again and again meanwhile."""
        pid = max(self._app.pids, key=lambda pid: proc.cpu_s(pid) or 0.0, default=None)
        self.looks = looks([] if pid is None else stacks_while(pid, during))

    def _keep_busy(self, users: int) -> None:
        duration_s = min(LONGEST_S, max(1.2, 2 * self.request_s))
        with suppress(EngineError):
            load_test(
                self.url, users=users, duration=duration_s, warmup=0.2, timeout=PATIENCE_S, progress=False,
                **self.subject.load_arguments(),
            )  # fmt: skip
