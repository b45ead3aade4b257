"""A simulated server: N workers accept from one socket and handle one request at a time (discrete events, simpy).

It holds what the formulas cannot: connections that stay with a worker, uneven shares, cores shared by more workers than
there are, and service times as they were measured. A worker is busy with one request from start to end; what awaits
meanwhile (a database, a sleep) is not in it.
"""

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import simpy
from numpy.typing import NDArray

from helpers.errors import InputError
from helpers.theory.cores import Cores, capacity
from helpers.theory.inputs import above_zero, at_least_zero, whole
from helpers.theory.service import ServiceTimes

Floats = NDArray[np.float64]
Policy = Literal["fair", "skewed", "pinned"]
POLICIES = ("fair", "skewed", "pinned")

MOST_WORKERS, MOST_CONNECTIONS, MOST_REQUESTS = 1_000, 100_000, 2_000_000
SHARES_SHOWN = 8
BEYOND = 10  # a percentile needs so many samples beyond it, as in a measurement


@dataclass(frozen=True, eq=False, repr=False)
class Simulated:
    """Every request of a simulated run, warm-up included, in the order of their ends; moments in seconds.

    `connections` are how many each worker had (pinned; else empty). As in a load test, times are those of requests that
    came within the window [begin_s, end_s), and the throughput counts the answers within it.
    """

    arrived_s: Floats
    started_s: Floats
    done_s: Floats
    worker: NDArray[np.int64]
    begin_s: float
    end_s: float
    workers: int
    users: int | None
    cores: int | None
    connections: tuple[int, ...]

    @cached_property
    def _in_window(self) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] = (self.arrived_s >= self.begin_s) & (self.arrived_s < self.end_s)
        return inside

    @cached_property
    def waits_s(self) -> Floats:
        """From arrival until a worker took the request."""
        return (self.started_s - self.arrived_s)[self._in_window]

    @cached_property
    def service_s(self) -> Floats:
        """From then to the answer; longer than the work itself where busy workers shared the cores."""
        return (self.done_s - self.started_s)[self._in_window]

    @cached_property
    def responses_s(self) -> Floats:
        """From arrival to the answer."""
        return (self.done_s - self.arrived_s)[self._in_window]

    @cached_property
    def _answered(self) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] = (self.done_s >= self.begin_s) & (self.done_s < self.end_s)
        return inside

    @property
    def per_s(self) -> float:
        """Answers per second."""
        return float(np.count_nonzero(self._answered)) / (self.end_s - self.begin_s)

    @cached_property
    def shares(self) -> Floats:
        """Each worker's share of the answers, 0 to 1."""
        counts = np.bincount(self.worker[self._answered], minlength=self.workers)
        return np.array(counts / max(1, counts.sum()), float)

    @cached_property
    def busy(self) -> Floats:
        """The share of the window that each worker was busy, 0 to 1."""
        inside = np.minimum(self.done_s, self.end_s) - np.maximum(self.started_s, self.begin_s)
        length_s = self.end_s - self.begin_s
        return np.array([inside[self.worker == index].clip(0).sum() / length_s for index in range(self.workers)])

    def response_ms(self, share: float) -> float | None:
        """The response time that `share` of the requests (0.95 for p95) do not exceed; None with too few beyond it."""
        if round(len(self.responses_s) * (1 - share), 6) < BEYOND:
            return None
        return float(np.quantile(self.responses_s, share, method="inverted_cdf")) * 1000

    def row(self) -> dict[str, Any]:
        """The form of a sweep's row, so that a picture can draw it beside the measured ones."""
        return {
            "workers": self.workers,
            "cpus": self.cores,
            "users": self.users,
            "repeat": 0,
            "achieved_per_s": self.per_s,
            "error_ratio": 0.0,
            "p50_ms": self.response_ms(0.5),
            "p95_ms": self.response_ms(0.95),
            "p99_ms": self.response_ms(0.99),
            "verdict": "simulated",
        }

    def __str__(self) -> str:
        load = "random arrivals" if self.users is None else f"users {self.users}"
        wait_ms = 1000 * float(self.waits_s.mean()) if len(self.waits_s) else math.nan
        shares = " / ".join(f"{100 * share:.0f} %" for share in self.shares[:SHARES_SHOWN])
        more = " / ..." if self.workers > SHARES_SHOWN else ""
        return (
            f"simulated, workers {self.workers}, {load}: {self.per_s:.4g} answers/s, mean wait {wait_ms:.3g} ms; "
            f"shares {shares}{more}"
        )

    __repr__ = __str__


def simulate(
    service: ServiceTimes,
    *,
    workers: int = 1,
    users: int | None = None,
    think_s: float = 0.0,
    rate_per_s: float | None = None,
    policy: Policy = "fair",
    shares: Sequence[float] | None = None,
    connections: int | None = None,
    cores: int | None = None,
    speedup: float | None = None,
    duration_s: float = 30.0,
    warmup_s: float | None = None,
    seed: int = 0,
) -> Simulated:
    """Simulate `workers` behind one socket: `users` who wait for each answer (closed), or Poisson arrivals (open).

    Who gets a request: "fair": one line, the first free worker. "skewed": a worker drawn for each by `shares`.
    "pinned": each connection stays with one worker, drawn evenly or by `shares`; the connections are the users, or of
    open arrivals `connections`, each equally often used. `cores` and `speedup` say what busy workers do together (see
    `cores.capacity`). The warm-up (default: a tenth of the duration) is left out. The same seed gives the same run, and
    policies under one seed meet the same arrivals and draw the same service times.

    Raises InputError for values that make no sense together, or that would take more than 2,000,000 requests.
    """
    workers = whole("workers", workers, MOST_WORKERS)
    warmup_s = 0.1 * duration_s if warmup_s is None else warmup_s
    end_s = at_least_zero("warmup_s", warmup_s) + above_zero("duration_s", duration_s)
    together = capacity(workers, cores=cores, speedup=speedup)
    _check_load(service, users, at_least_zero("think_s", think_s), rate_per_s, together[-1], end_s)
    odds = _checked_odds(policy, shares, workers)
    held = _checked_connections(policy, users, connections)
    works, arrivals, picks = np.random.default_rng(seed).spawn(3)
    door = _Door(policy, workers, odds, held, picks)
    env = simpy.Environment()
    lines = [simpy.Store(env) for _ in range(1 if policy == "fair" else workers)]
    rows: list[tuple[float, float, float, int]] = []
    shared, stream = Cores(env, together), service.stream(works)
    for index in range(workers):
        env.process(_worker(env, index, lines[index % len(lines)], shared, stream, rows))
    if users is not None:
        for user, begin_s in enumerate(arrivals.uniform(0, think_s + service.mean_s, users)):
            env.process(_user(env, lines, door, user, float(begin_s), think_s, end_s))
    elif rate_per_s is not None:
        env.process(_arrivals(env, lines, door, rate_per_s, end_s, arrivals))
    env.run()  # until the last request in hand is answered
    table = np.array(rows, float).reshape(-1, 4)
    moments = (table[:, 0], table[:, 1], table[:, 2], table[:, 3].astype(np.int64))
    return Simulated(*moments, warmup_s, end_s, workers, users, cores, door.connections)


# ---------------------------------------------------------------------------------------------------- who does what

Steps = Generator[simpy.Event, Any, None]


class _Door:
    """Which line a connection's request joins, by the policy."""

    def __init__(self, policy: Policy, workers: int, odds: Floats, held: int, chance: np.random.Generator) -> None:
        self._workers, self._odds, self._chance = workers, odds, chance
        self._worker_of = chance.choice(workers, held, p=odds) if policy == "pinned" else None
        self._drawn: list[int] = []
        self.line = {"fair": self._the_one, "skewed": self._any, "pinned": self._own}[policy]
        counts = () if self._worker_of is None else np.bincount(self._worker_of, minlength=workers)
        self.connections = tuple(int(number) for number in counts)

    def _the_one(self, connection: int | None) -> int:
        return 0

    def _any(self, connection: int | None) -> int:
        if not self._drawn:
            self._drawn = self._chance.choice(self._workers, 4096, p=self._odds).tolist()
        return self._drawn.pop()

    def _own(self, connection: int | None) -> int:
        assert self._worker_of is not None
        if connection is None:  # open arrivals: any of the connections
            connection = int(self._chance.integers(len(self._worker_of)))
        return int(self._worker_of[connection])


def _worker(
    env: simpy.Environment,
    index: int,
    line: simpy.Store,
    cores: Cores,
    works: Iterator[float],
    rows: list[tuple[float, float, float, int]],
) -> Steps:
    while True:
        arrived_s, answered = yield line.get()
        started_s = env.now
        yield cores.work(next(works))
        rows.append((arrived_s, started_s, env.now, index))
        if answered is not None:
            answered.succeed()


def _user(
    env: simpy.Environment,
    lines: Sequence[simpy.Store],
    door: _Door,
    user: int,
    begin_s: float,
    think_s: float,
    end_s: float,
) -> Steps:
    yield env.timeout(begin_s)
    while env.now < end_s:
        answered = env.event()
        lines[door.line(user)].put((env.now, answered))
        yield answered
        if think_s:
            yield env.timeout(think_s)


def _arrivals(
    env: simpy.Environment,
    lines: Sequence[simpy.Store],
    door: _Door,
    rate_per_s: float,
    end_s: float,
    chance: np.random.Generator,
) -> Steps:
    while True:
        for gap_s in chance.exponential(1 / rate_per_s, 4096).tolist():
            yield env.timeout(gap_s)
            if env.now >= end_s:
                return
            lines[door.line(None)].put((env.now, None))


# ----------------------------------------------------------------------------------------------------------- checks


def _check_load(
    service: ServiceTimes, users: int | None, think_s: float, rate_per_s: float | None, together: float, end_s: float
) -> None:
    if (users is None) == (rate_per_s is None):
        raise InputError(
            f"users={users} and rate_per_s={rate_per_s} do not say one load",
            "give either users (each waits for its answer) or rate_per_s (arrivals that wait for nobody)",
        )
    if users is not None:
        users = whole("users", users, MOST_CONNECTIONS)
        per_s = min(users / (think_s + service.mean_s), together / service.mean_s)
    else:
        assert rate_per_s is not None
        per_s = above_zero("rate_per_s", rate_per_s)
        if think_s:
            raise InputError(f"think_s={think_s:g} with rate_per_s", "only users think: give users, or leave it out")
    if per_s * end_s > MOST_REQUESTS:
        raise InputError(
            f"{per_s:.4g} requests/s for {end_s:g} s are more than the {MOST_REQUESTS:,} that are simulated at once",
            f"use a duration_s of at most {0.9 * MOST_REQUESTS / per_s:.3g}",
        )


def _checked_odds(policy: Policy, shares: Sequence[float] | None, workers: int) -> Floats:
    if policy not in POLICIES:
        raise InputError(f"policy={policy!r} is not known", f"use one of: {', '.join(POLICIES)}")
    if shares is None:
        if policy == "skewed":
            raise InputError('policy="skewed" without shares', "give one share per worker, such as shares=(0.8, 0.2)")
        return np.full(workers, 1 / workers)
    if policy == "fair":
        raise InputError(f'shares={tuple(shares)} with policy="fair"', 'use policy="skewed" or "pinned" for shares')
    odds = np.asarray(shares, float)
    if len(odds) != workers or not (odds >= 0).all() or not np.isfinite(odds).all() or odds.sum() <= 0:
        raise InputError(
            f"shares={tuple(shares)} cannot be used with {workers} workers",
            "give one number of at least 0 per worker, not all of them 0",
        )
    return np.array(odds / odds.sum(), float)


def _checked_connections(policy: Policy, users: int | None, connections: int | None) -> int:
    if policy == "pinned" and users is None:
        if connections is None:
            raise InputError(
                'policy="pinned" with arrivals but no connections',
                "say how many connections carry them: connections=16",
            )
        return whole("connections", connections, MOST_CONNECTIONS)
    if connections is not None:
        raise InputError(
            f"connections={connections} decides nothing here", 'it is for open arrivals with policy="pinned"'
        )
    return users or 0
