"""How many workers: the least of what the cores, the memory and the load allow; a number to start measuring from."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from helpers.errors import InputError
from helpers.theory.inputs import above_zero, at_least_zero, share_below_one

Waits = Literal["await", "block"]
Decides = Literal["cores", "quota", "memory", "load"]
BUSY_MOST = 0.7  # of the time: a worker busier than this makes its requests queue for long


@dataclass(frozen=True)
class Limit:
    """One of the limits: how many workers it allows or needs, and why."""

    name: Decides
    workers: int
    why: str


@dataclass(frozen=True)
class Advice:
    """A number of workers, the limit that decided it, and what can be expected of it.

    `per_s` is the most answers per second that the CPU work of a request leaves, `enough` whether the wanted rate keeps
    every worker below the share of its time that it may be busy (None: no rate was asked for). `trade` says what one
    worker more would bring, and its price, where a quota is no whole number of workers.
    """

    workers: int
    decided: Decides
    limits: tuple[Limit, ...]
    per_s: float
    enough: bool | None
    trade: str = ""

    @property
    def why(self) -> str:
        """The words of the limit that decided."""
        return next(limit.why for limit in self.limits if limit.name == self.decided)

    def __str__(self) -> str:
        if not self.workers:
            return f"not even one worker fits: {self.why}"
        what = f"{self.workers} worker{'' if self.workers == 1 else 's'}; the {self.decided} decided: {self.why}"
        what += f"; at most {rounded(self.per_s)} answers/s" + (f"; {self.trade}" if self.trade else "")
        return what + ("; that is not enough for the load that is wanted" if self.enough is False else "")


def how_many_workers(
    *,
    cores: float,
    quota: float | None = None,
    memory_mib: float | None = None,
    mib_per_worker: float = 50.0,
    base_mib: float = 0.0,
    cpu_ms: float = 10.0,
    waiting_share: float = 0.0,
    waits: Waits = "await",
    wanted_per_s: float | None = None,
    busy_most: float = BUSY_MOST,
) -> Advice:
    """The least of three numbers; None leaves a limit out.

    Cores: one worker runs Python on one core at a time, so as many workers as whole cores, out of `cores` and the
    container's `quota`. Where a request awaits, its worker serves others meanwhile, and `waiting_share` (of the time
    that a request takes alone) changes nothing. Where it blocks, its worker stands still, and the cores are full with
    cores / (1 - waiting_share) of them: N = cores x (1 + wait / work), B. Goetz, "Java Concurrency in Practice", 2006,
    section 8.2; gunicorn's 2 x cores + 1 is its case of a half, plus one.

    Memory: (`memory_mib` - `base_mib`) / `mib_per_worker`, where the base is what the parent needs, and a worker costs
    what one more adds to the sum of the PSS.

    Load: enough workers for `wanted_per_s` requests of `cpu_ms` of CPU work each, if none is to be busy for more than
    `busy_most` of the time (utilisation = rate x time / workers).

    It assumes that requests are alike, connections spread evenly, nothing else needs the cores, and nothing behind the
    workers (a database, a lock) is full before they are. So measure. Raises InputError for values that make no sense.
    """
    usable = min(above_zero("cores", cores), math.inf if quota is None else above_zero("quota", quota))
    work_s = above_zero("cpu_ms", cpu_ms) / 1000
    share = share_below_one("waiting_share", waiting_share)
    if waits not in get_args(Waits):
        raise InputError(f"waits={waits!r} is not known", f"use one of: {', '.join(get_args(Waits))}")
    held = 1 - share if waits == "block" else 1.0  # of a worker's time with a request that it computes
    busy_most = above_zero("busy_most", busy_most)
    limits = [_of_cores(usable, held, quota is not None and quota < cores)]
    if memory_mib is not None:
        limits.append(_of_memory(at_least_zero("memory_mib", memory_mib), mib_per_worker, base_mib))
    if wanted_per_s is not None:
        busy = at_least_zero("wanted_per_s", wanted_per_s) * work_s / held
        why = f"{wanted_per_s:g} requests/s keep {busy:.2g} workers busy, and none should be for over {busy_most:.0%}"
        limits.append(Limit("load", max(1, _up(busy / busy_most)), why))
    least = min(limits, key=lambda limit: limit.workers)
    per_s = min(least.workers * held, usable) / work_s
    enough = None if wanted_per_s is None else wanted_per_s <= busy_most * per_s * (1 + 1e-9)
    most = min((limit.workers for limit in limits if limit.name == "memory"), default=math.inf)
    trade = _trade(least.workers, usable, held, work_s, most) if least.name == "quota" else ""
    return Advice(least.workers, least.name, tuple(limits), per_s, enough, trade)


def rounded(per_s: float) -> str:
    """A rate to read: `1,330`, `167`, `12.5`."""
    return f"{per_s:,.0f}" if per_s >= 100 else f"{per_s:.3g}"


def _trade(workers: int, usable: float, held: float, work_s: float, most: float) -> str:
    """What one worker more than the quota's whole cores would bring, and its price; nothing where none is left over."""
    further = _up(usable / held)
    if further * held - usable < 1e-9:
        return ""
    pause = f"{1 - usable / (further * held):.0%} of every period, when all are busy"
    if further <= workers:
        return f"it uses up the quota and then pauses: for {pause}"
    if further > most:
        return ""
    return f"or {further} workers: up to {rounded(usable / work_s)} answers/s, but all of them pause for {pause}"


def _of_cores(usable: float, held: float, by_quota: bool) -> Limit:
    workers = max(1, _down(usable / held))
    what = f"{usable:g} core{'' if usable == 1 else 's'}" + (" of CPU time" if by_quota else "")
    why = f"{what}, and a worker computes on one at a time"
    if held < 1:
        why = f"{what}, and a worker computes for only {held:.0%} of its time"
    return Limit("quota" if by_quota else "cores", workers, why)


def _of_memory(memory_mib: float, mib_per_worker: float, base_mib: float) -> Limit:
    left = memory_mib - at_least_zero("base_mib", base_mib)
    workers = max(0, _down(left / above_zero("mib_per_worker", mib_per_worker)))
    return Limit("memory", workers, f"{max(0.0, left):,.0f} MiB for workers of {mib_per_worker:,.0f} MiB each")


def _down(number: float) -> int:
    return math.floor(number + 1e-9)


def _up(number: float) -> int:
    return math.ceil(number - 1e-9)
