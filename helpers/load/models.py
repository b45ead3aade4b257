"""When requests start: the closed model (users who wait for each answer) and the open one (arrivals at a rate)."""

import asyncio
import random
from collections import deque
from collections.abc import Callable
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
        self.stop_ns = FOREVER_NS
        self.connections: list[Connection] = []

    def opened(self, connection: Connection) -> None:
        """Called as each connection is being opened: its user's first request goes out when it is."""
        connection.request(clock_ns())

    def start(self) -> None:
        """The users started one by one as they were connected."""

    def finished(self, connection: Connection, done_ns: int, outcome: int) -> None:
        if done_ns >= self.stop_ns:
            return
        pause_s = REFUSED_PAUSE_S if outcome == REFUSED else self._think_s
        if pause_s:
            asyncio.get_running_loop().call_later(pause_s, self._next, connection, done_ns + int(pause_s * 1e9))
        elif connection.usable:
            connection.request(done_ns)
        else:
            self._next(connection, done_ns)

    def _next(self, connection: Connection, intended_ns: int) -> None:
        if intended_ns >= self.stop_ns:
            return
        if not connection.usable:
            connection = self.connections[connection.index] = Connection(self._shared, connection.index)
            connection.open()
        connection.request(intended_ns)


class Open:
    """Requests start at given times, whatever became of earlier ones; connections that are idle wait in a queue.

    First in, first out: the requests go round over all connections, and so over all workers that hold them.
    """

    def __init__(self, shared: Shared, plan: Plan, pacer: Pacer) -> None:
        assert plan.rate_per_s is not None
        self._shared = shared
        self._max_inflight = plan.max_inflight
        self._pacer = pacer
        self._offset_ns = _offsets_ns(plan.rate_per_s, plan.arrivals, plan.seed)
        self._idle: deque[Connection] = deque()
        self._inflight: set[int] = set()
        self._free: list[int] = []
        self._start_ns = 0
        self._next_ns = FOREVER_NS
        self.stop_ns = FOREVER_NS
        self.connections: list[Connection] = []

    def opened(self, connection: Connection) -> None:
        self._idle.append(connection)

    def start(self) -> None:
        self._start_ns = clock_ns()
        self._next_ns = self._start_ns + self._offset_ns()
        self._pacer.start(self._due)
        self._pacer.wake_at(self._next_ns)

    def _due(self) -> None:
        while self._next_ns <= clock_ns():
            if self._next_ns >= self.stop_ns:
                return
            self._arrive(self._next_ns)
            self._next_ns = self._start_ns + self._offset_ns()
        self._pacer.wake_at(self._next_ns)

    def _arrive(self, intended_ns: int) -> None:
        if len(self._inflight) >= self._max_inflight:
            self._shared.recorder.add(intended_ns, 0, 0, clock_ns(), 0, 0, 0, 0, NOT_SENT, 0)
            return
        connection = self._connection()
        self._inflight.add(connection.index)
        connection.request(intended_ns)

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


def _offsets_ns(rate_per_s: float, arrivals: str, seed: int) -> Callable[[], int]:
    """A function that gives, call by call, the times of the arrivals after the start."""
    if arrivals == "poisson":
        gap = random.Random(seed).expovariate
        at_s = 0.0

        def poisson() -> int:
            nonlocal at_s
            at_s += gap(rate_per_s)
            return int(at_s * 1e9)

        return poisson
    number = -1

    def constant() -> int:  # from the number, not from the one before: rounding must not add up
        nonlocal number
        number += 1
        return int(number * 1e9 / rate_per_s)

    return constant
