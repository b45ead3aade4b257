"""Percentiles that do not flatter: time-outs stay in, and too few samples give none."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BEYOND = 10  # a percentile needs so many samples above it
_QUANTILES = (0.50, 0.90, 0.95, 0.99)


@dataclass(frozen=True, order=True)
class AtLeast:
    """A time of which only a lower bound is known, since the wait for it was given up."""

    value_ms: float

    def __str__(self) -> str:
        return f">= {self.value_ms:g} ms"

    def __float__(self) -> float:
        return self.value_ms


Milliseconds = float | AtLeast | None


@dataclass(frozen=True, repr=False)
class Latency:
    """Percentiles in ms of `count` samples; None where fewer than 10 samples lie beyond."""

    count: int
    p50: Milliseconds
    p90: Milliseconds
    p95: Milliseconds
    p99: Milliseconds
    max: Milliseconds
    mean_ms: float | None  # a lower bound where there were time-outs
    _sorted: NDArray[np.float64]

    def as_json(self) -> dict[str, float | dict[str, float] | None]:
        return {name: as_json(getattr(self, name)) for name in ("p50", "p90", "p95", "p99", "max")}

    def at_most(self, quantile: float) -> float | None:
        """The quantile even from few samples (then it is the maximum), for limits rather than for reports."""
        if not self.count:
            return None
        return float(self._sorted[min(self.count - 1, math.ceil(quantile * self.count))])

    def __repr__(self) -> str:
        parts = [f"{name} {shown(getattr(self, name))}" for name in ("p50", "p90", "p95", "p99", "max")]
        return f"{self.count} samples: " + ", ".join(parts)


def latency(
    values_ms: NDArray[np.float64], censored: NDArray[np.bool_] | None = None, timeout_ms: float = math.inf
) -> Latency:
    """Percentiles by nearest rank. Censored values count as larger than all others: how large, nobody waited to see."""
    if censored is None:
        censored = np.zeros(len(values_ms), dtype=bool)
    known = np.sort(values_ms[~censored])
    bounds = np.sort(values_ms[censored])
    n = len(values_ms)

    def at(rank: int) -> Milliseconds:
        if rank < len(known):
            return float(known[rank])
        # the time-out itself, not the moment some ms later at which it was noticed
        return AtLeast(min(timeout_ms, float(bounds[rank - len(known)])))

    def percentile(quantile: float) -> Milliseconds:
        # rounded first: 1000 * (1 - 0.99) is 10.000000000000009 here and 9.99... elsewhere
        return at(math.ceil(round(n * quantile, 6)) - 1) if round(n * (1 - quantile), 6) >= BEYOND else None

    p50, p90, p95, p99 = (percentile(quantile) for quantile in _QUANTILES)
    mean = float(values_ms.mean()) if n else None
    return Latency(n, p50, p90, p95, p99, at(n - 1) if n else None, mean, np.concatenate([known, bounds]))


def as_json(value: Milliseconds) -> float | dict[str, float] | None:
    """The value as it stands in JSON."""
    return {"at_least": value.value_ms} if isinstance(value, AtLeast) else value


def shown(value: Milliseconds) -> str:
    """For people: three digits, and why there is no number."""
    if value is None:
        return "too few samples"
    if isinstance(value, AtLeast):
        return str(value)
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms" if value >= 10 else f"{value:.2f} ms"
