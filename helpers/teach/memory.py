"""Memory against workers: what all processes of a server hold together, read while workers are added."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from helpers.server.server import Server

if TYPE_CHECKING:
    from helpers.plots.picture import Picture


@dataclass(frozen=True)
class Reading:
    """All processes of a server, parent included, in MiB: the sum of the RSS, and of the PSS where the system tells."""

    workers: int
    rss_mib: float
    pss_mib: float | None


@dataclass(frozen=True)
class Straight:
    """Memory as base + workers x each, in MiB."""

    base_mib: float
    each_mib: float

    def fit_into(self, limit_mib: float) -> int:
        """How many workers fit below a limit."""
        return max(0, math.floor((limit_mib - self.base_mib) / self.each_mib)) if self.each_mib > 0 else 0


def reading(server: Server) -> Reading:
    """What the server's processes hold now."""
    rows = server.processes(over_s=0.01).rows
    shares = [row.pss_mb for row in rows]
    pss = None if None in shares else sum(share for share in shares if share is not None)
    serving = [row for row in rows if row.role in ("worker", "server")]
    return Reading(len(serving), sum(row.rss_mb for row in rows), pss)


def straight(readings: Sequence[Reading], *, shared_once: bool = True) -> Straight | None:
    """The line through the readings: by PSS, or by RSS, which counts a shared page in each process that has it.

    None where there are fewer than two numbers of workers, or where the system tells no PSS.
    """
    points = [(each.workers, each.pss_mib if shared_once else each.rss_mib) for each in readings]
    known = [(workers, mib) for workers, mib in points if mib is not None]
    if len({workers for workers, _ in known}) < 2:
        return None
    import numpy as np

    each, base = np.polyfit([workers for workers, _ in known], [mib for _, mib in known], 1)
    return Straight(float(base), float(each))


def memory_picture(readings: Sequence[Reading], *, limit_mib: float, bet: float | None = None) -> "Picture":
    """The sums against workers, carried on to the limit; `bet` is a number of workers."""
    from helpers.plots.memory_plot import Sums, memory_plot

    by_rss, by_pss = straight(readings, shared_once=False), straight(readings)
    sums = [
        Sums(
            "sum of RSS",
            [(each.workers, each.rss_mib) for each in readings],
            _ends(by_rss),
        )
    ]
    shares = [(each.workers, each.pss_mib) for each in readings if each.pss_mib is not None]
    if shares:
        sums.append(Sums("sum of PSS", shares, _ends(by_pss)))
    return memory_plot(sums, limit_mib=limit_mib, bet=bet)


def _ends(line: Straight | None) -> tuple[float, float] | None:
    return None if line is None else (line.base_mib, line.each_mib)
