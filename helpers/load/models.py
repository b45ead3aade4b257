"""When requests start: the closed model (users who wait for each answer) and the open one (arrivals at a rate)."""

import asyncio
import math
import random
from collections import deque
from collections.abc import Iterator, Sequence
from time import perf_counter_ns as clock_ns

from helpers.load.connection import Connection, Shared
from helpers.load.pacer import Pacer
from helpers.load.plan import Plan
from helpers.load.records import NOT_SENT, REFUSED

FOREVER_NS = 1 << 62
# A user who was refused tries again after this long; without it refusals would come by the ten thousand.
REFUSED_PAUSE_S = 0.1


class Closed:
    """`users` connections, each with one request in hand, or thinking."""

    def __init__(self, shared: Shared, plan: Plan) -> None:
        self._shared = shared
        self._think_s = plan.think_s
        self._retry = plan.retry
        self.stop_ns = FOREVER_NS
        self.connections: list[Connection] = []
        self.waiting = set(range(plan.connections))  # users none of whose requests has come to an end yet

    def opened(self, connection: Connection) -> None:
        """Called as each connection is being opened: its user's first request goes out when it is."""
        connection.request(clock_ns())

    def start(self) -> None:
        """The users started one by one as they were connected."""

    def measure(self, begin_ns: int, end_ns: int) -> None:
        self.stop_ns = end_ns

    def finished(self, connection: Connection, done_ns: int, outcome: int) -> None:
        if self.waiting:
            self.waiting.discard(connection.index)
        if done_ns >= self.stop_ns:
            return
        flags = 0
        pause_s = REFUSED_PAUSE_S if outcome == REFUSED else self._think_s
        if outcome and self._retry is not None:
            flags = self._retry.flags_of_next(connection.flags, outcome)
            pause_s = self._retry.after_s if flags else pause_s
        if pause_s:
            next_ns = done_ns + int(pause_s * 1e9)
            asyncio.get_running_loop().call_later(pause_s, self._next, connection, next_ns, flags)
        elif connection.usable:
            connection.request(done_ns, flags)
        else:
            self._next(connection, done_ns, flags)

    def _next(self, connection: Connection, intended_ns: int, flags: int) -> None:
        if intended_ns >= self.stop_ns:
            return
        if not connection.usable:
            connection = self.connections[connection.index] = Connection(self._shared, connection.index)
            connection.open()
        connection.request(intended_ns, flags)


class Open:
    """Requests start at given times, whatever became of earlier ones; connections that are idle wait in a queue.

    First in, first out: the requests go round over all connections, and so over all workers that hold them.
    """

    def __init__(self, shared: Shared, plan: Plan, pacer: Pacer) -> None:
        assert plan.rate_per_s is not None
        self._shared = shared
        self._max_inflight = plan.max_inflight
        self._retry = plan.retry
        self._pacer = pacer
        self._stages = plan.stages or ((plan.rate_per_s, math.inf),)
        self._arrivals, self._seed = plan.arrivals, plan.seed
        self._idle: deque[Connection] = deque()
        self._inflight: set[int] = set()
        self._free: list[int] = []
        self._next_ns = FOREVER_NS
        self.stop_ns = FOREVER_NS
        self.connections: list[Connection] = []
        self.waiting: set[int] = set()  # connections wait for requests here, not the other way round

    def opened(self, connection: Connection) -> None:
        self._idle.append(connection)

    def start(self) -> None:
        """Warm up at the first rate."""
        self._pacer.start(self._due)
        self._begin(clock_ns(), self._stages[:1])

    def measure(self, begin_ns: int, end_ns: int) -> None:
        """The schedule begins with the window: the same arrivals in it, however long the warm-up was."""
        self.stop_ns = end_ns
        self._begin(begin_ns, self._stages)

    def _begin(self, start_ns: int, stages: Sequence[tuple[float, float]]) -> None:
        self._start_ns = start_ns
        self._offsets_ns = offsets_ns(stages, self._arrivals, self._seed)
        self._next_ns = start_ns + next(self._offsets_ns)
        self._pacer.wake_at(self._next_ns)

    def _due(self) -> None:
        while self._next_ns <= clock_ns():
            if self._next_ns >= self.stop_ns:
                return
            self._arrive(self._next_ns)
            self._next_ns = self._start_ns + next(self._offsets_ns)
        self._pacer.wake_at(self._next_ns)

    def _arrive(self, intended_ns: int, flags: int = 0) -> None:
        if intended_ns >= self.stop_ns:
            return
        if len(self._inflight) >= self._max_inflight:
            self._shared.recorder.add(intended_ns, 0, 0, clock_ns(), 0, 0, 0, 0, NOT_SENT, flags)
            return
        connection = self._connection()
        self._inflight.add(connection.index)
        connection.request(intended_ns, flags)

    def _connection(self) -> Connection:
        while self._idle:
            connection = self._idle.popleft()
            if connection.usable:
                return connection
            self._free.append(connection.index)
        index = self._free.pop() if self._free else len(self.connections)
        connection = Connection(self._shared, index)
        if index == len(self.connections):
            self.connections.append(connection)
        else:
            self.connections[index] = connection
        connection.open()
        return connection

    def finished(self, connection: Connection, done_ns: int, outcome: int) -> None:
        if connection.index not in self._inflight:  # it never opened, and nothing was asked of it yet
            return
        self._inflight.discard(connection.index)
        if connection.usable:
            self._idle.append(connection)
        else:
            self._free.append(connection.index)
        if outcome and self._retry is not None:
            flags = self._retry.flags_of_next(connection.flags, outcome)
            if flags:
                after_s = self._retry.after_s
                loop = asyncio.get_running_loop()
                loop.call_later(after_s, self._arrive, done_ns + int(after_s * 1e9), flags)


def offsets_ns(stages: Sequence[tuple[float, float]], arrivals: str, seed: int) -> Iterator[int]:
    """The times of the arrivals after the start, in ns, without end: the last stage goes on.

    From the number of arrivals expected until then, not from the one before: rounding must not add up. Poisson
    arrivals at a changing rate are those at rate 1, stretched (E. Cinlar, Introduction to Stochastic Processes, 1975).
    """
    gap = random.Random(seed).expovariate
    poisson = arrivals == "poisson"
    expected = gap(1.0) if poisson else 0.0
    begin_s = before = 0.0
    for number, (rate_per_s, length_s) in enumerate(stages, 1):
        until = math.inf if number == len(stages) else before + rate_per_s * length_s
        while expected < until - 1e-9:
            yield round((begin_s + (expected - before) / rate_per_s) * 1e9)
            expected += gap(1.0) if poisson else 1.0
        begin_s, before = begin_s + length_s, until
