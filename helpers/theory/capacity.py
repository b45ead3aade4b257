"""How many machines: from requests per day to the peak's requests per second, to cores, to machines."""

import math
from dataclasses import dataclass

from helpers.theory.inputs import above_zero, at_least_one, at_least_zero, fraction
from helpers.theory.workers import BUSY_MOST

DAY_S = 86_400


@dataclass(frozen=True)
class Capacity:
    """What a service needs at its peak.

    `mean_per_s` and `peak_per_s` are requests per second; `cores` are those that the work keeps busy at the peak, each
    for the allowed share of its time; `machines` carry the peak, and `spare` more may fail or be taken out meanwhile.
    `busy` is the share of their time that the cores of `machines` + `spare` work at the peak, `busy_without_spare` when
    the spare ones are gone.
    """

    mean_per_s: float
    peak_per_s: float
    cores: float
    machines: int
    spare: int
    busy: float
    busy_without_spare: float

    def __str__(self) -> str:
        spare = f" + {self.spare} spare" if self.spare else ""
        return (
            f"{self.mean_per_s:,.3g} requests/s on average, {self.peak_per_s:,.3g} at the peak:"
            f" {self.cores:,.3g} cores, {self.machines:,} machine{'' if self.machines == 1 else 's'}{spare}"
        )


def capacity(
    *,
    per_day: float,
    peak: float = 5.0,
    cpu_ms: float,
    cores: float,
    busy_most: float = BUSY_MOST,
    spare: int = 1,
) -> Capacity:
    """Machines of `cores` cores for `per_day` requests of `cpu_ms` of CPU each.

    The busiest second has `peak` times the average's requests. No core is to be busy for more than `busy_most` of the
    time (queues grow as 1 / (1 - busy)), also when `spare` machines are missing. It assumes that requests are alike,
    that the load is spread evenly, and that what stands behind the service (a database, a lock) is not full before it
    is: the number is one to start measuring from. Raises InputError for values that make no sense.
    """
    mean_per_s = above_zero("per_day", per_day) / DAY_S
    peak_per_s = at_least_one("peak", peak) * mean_per_s
    busy_cores = peak_per_s * above_zero("cpu_ms", cpu_ms) / 1000
    needed = busy_cores / above_zero("busy_most", fraction("busy_most", busy_most))
    each = above_zero("cores", cores)
    machines = max(1, math.ceil(needed / each - 1e-9))
    spare = int(at_least_zero("spare", spare))
    return Capacity(
        mean_per_s=mean_per_s,
        peak_per_s=peak_per_s,
        cores=needed,
        machines=machines,
        spare=spare,
        busy=busy_cores / (each * (machines + spare)),
        busy_without_spare=busy_cores / (each * machines),
    )


def most_per_day(*, peak: float, cpu_ms: float, cores: float, busy_most: float = BUSY_MOST) -> float:
    """The requests per day that so many cores carry: the other way round."""
    per_s = above_zero("cores", cores) * fraction("busy_most", busy_most) * 1000 / above_zero("cpu_ms", cpu_ms)
    return per_s * DAY_S / at_least_one("peak", peak)
