"""The cores of a simulated machine: what busy workers get done together, shared in slices as the kernel does it.

Where more workers are busy than there are cores, each goes on at the same, lower speed (processor sharing), and is not
kept waiting until a core is free for a whole request: the kernel's slices are of a few milliseconds, shorter than a
request that is worth simulating. The throughput would be the same either way, the response times would not.
"""

import heapq
from collections.abc import Sequence
from itertools import count

import simpy

from helpers.errors import InputError
from helpers.theory.inputs import above_zero, whole


def capacity(workers: int, *, cores: int | None = None, speedup: float | None = None) -> tuple[float, ...]:
    """What 1, 2, ... `workers` busy workers get done together, in units of one alone.

    `cores`: as many as there are cores, and no more. `speedup`: measured, what as many bare processes as workers do
    against one (`machine.process_scaling(workers).ratio`), in proportion for fewer. Neither: every worker has a core.
    """
    if cores is not None and speedup is not None:
        raise InputError(
            f"cores={cores} and speedup={speedup} both say what workers do together", "give the measured speedup alone"
        )
    if speedup is not None:
        step = (above_zero("speedup", speedup) - 1) / max(1, workers - 1)
        return tuple(1 + step * busy for busy in range(workers))
    most = workers if cores is None else whole("cores", cores, 100_000)
    return tuple(float(min(busy, most)) for busy in range(1, workers + 1))


class Cores:
    """Work done by shared cores: `work(seconds)` is an event that comes when so much has been done for its worker.

    All busy workers advance at one speed, so one clock of work per worker is enough (the "virtual time" of A. Demers,
    S. Keshav, S. Shenker, "Analysis and simulation of a fair queueing algorithm", SIGCOMM 1989): who ends first is the
    one with the least on that clock.
    """

    def __init__(self, env: simpy.Environment, capacity: Sequence[float]) -> None:
        self._env = env
        self._speeds = [together / busy for busy, together in enumerate(capacity, 1)]
        self._shared = any(speed != 1 for speed in self._speeds)
        self._running: list[tuple[float, int, simpy.Event]] = []  # (its end on the clock of work, order, event)
        self._order = count()
        self._clock = self._looked_at = 0.0
        self._plan = 0  # the number of the latest plan: a change overtakes the plans before it

    def work(self, seconds: float) -> simpy.Event:
        """The event that a worker has been given `seconds` of one core's full speed."""
        if not self._shared:
            return self._env.timeout(seconds)
        self._advance()
        done = self._env.event()
        heapq.heappush(self._running, (self._clock + seconds, next(self._order), done))
        self._plan_next()
        return done

    def _advance(self) -> None:
        if self._running:
            self._clock += (self._env.now - self._looked_at) * self._speeds[len(self._running) - 1]
        self._looked_at = self._env.now

    def _plan_next(self) -> None:
        self._plan += 1
        if self._running:
            left = max(0.0, self._running[0][0] - self._clock) / self._speeds[len(self._running) - 1]
            self._env.timeout(left, self._plan).callbacks.append(self._end_first)

    def _end_first(self, planned: simpy.Event) -> None:
        if planned.value != self._plan:
            return
        self._looked_at = self._env.now
        self._clock, _, done = heapq.heappop(self._running)
        done.succeed()
        self._plan_next()
