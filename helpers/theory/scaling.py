"""The Universal Scalability Law: throughput that bends, and falls again, as workers are added; and its fit.

N. J. Gunther, "A General Theory of Computational Scalability Based on Rational Functions", arXiv:0808.1431, 2008, and
"Guerrilla Capacity Planning", Springer, 2007. Two things keep N workers from N times the throughput: contention
(sigma: the share of the work that only one can do at a time, Amdahl's serial fraction) and coherency (kappa: what
every pair of them spends on agreeing). Without kappa it is Amdahl's law; with it there is a peak.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helpers.errors import InputError
from helpers.theory.inputs import above_zero, at_least_one, at_least_zero, fraction

Floats = NDArray[np.float64]

FEWEST_COUNTS = 4  # three coefficients pass through any three points: nothing would be left to judge the fit by
_NONE = 1e-6  # the fit ends this close to a bound without touching it; a peak beyond 1,000 workers is none
_DRAWS = 4000
Interval = tuple[float, float]


def usl_throughput(workers: float, per_s_of_one: float, sigma: float, kappa: float = 0.0) -> float:
    """X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1)): requests per second of `workers` workers.

    `per_s_of_one` is lambda, what a single one does.
    """
    n, one = at_least_one("workers", workers), above_zero("per_s_of_one", per_s_of_one)
    return one * n / (1 + fraction("sigma", sigma) * (n - 1) + at_least_zero("kappa", kappa) * n * (n - 1))


def usl_peak_workers(sigma: float, kappa: float) -> float:
    """N* = sqrt((1 - sigma) / kappa): where the throughput is highest; infinite where nothing is spent on agreeing."""
    fraction("sigma", sigma)
    return max(1.0, math.sqrt((1 - sigma) / kappa)) if at_least_zero("kappa", kappa) else math.inf


@dataclass(frozen=True, eq=False, repr=False)
class UslFit:
    """The law that fits measured throughputs (`workers`, `measured_per_s`: one each per launch) best, and how surely.

    The intervals are of 95 %. `spread` is the scatter of the measurements around the law, as a share (0.05: 5 %).
    """

    workers: tuple[int, ...]
    measured_per_s: tuple[float, ...]
    per_s_of_one: float
    sigma: float
    kappa: float
    per_s_of_one_ci95: Interval
    sigma_ci95: Interval
    kappa_ci95: Interval
    peak_ci95: Interval
    spread: float
    draws: Floats  # plausible (per_s_of_one, sigma, kappa), a row each

    @property
    def peak_workers(self) -> float:
        """The number of workers with the highest throughput; infinite where the fit has none."""
        return usl_peak_workers(self.sigma, self.kappa)

    @property
    def extrapolated(self) -> bool:
        """Whether the peak lies beyond every number of workers that was measured."""
        return self.peak_workers > max(self.workers)

    def per_s(self, workers: float) -> float:
        """Requests per second that the law predicts."""
        return usl_throughput(workers, self.per_s_of_one, self.sigma, self.kappa)

    def per_s_ci95(self, workers: float) -> Interval:
        """Where the law's own curve lies with 95 % confidence (a single measurement scatters more)."""
        one, sigma, kappa = self.draws.T
        return _middle(one * workers / (1 + sigma * (workers - 1) + kappa * workers * (workers - 1)))

    def __str__(self) -> str:
        parts = [
            f"one worker {self.per_s_of_one:.4g}/s {_range(self.per_s_of_one_ci95)}",
            f"contention sigma {self.sigma:.3g} {_range(self.sigma_ci95)}",
            f"coherency kappa {self.kappa:.2g} {_range(self.kappa_ci95)}",
        ]
        if math.isinf(self.peak_workers):
            parts.append("no peak: it does not fall again")
        else:
            beyond = f", beyond the {max(self.workers)} that were measured" if self.extrapolated else ""
            parts.append(f"peak at {self.peak_workers:.3g} workers {_range(self.peak_ci95)}{beyond}")
        return "; ".join(parts)

    __repr__ = __str__


def fit_usl(workers: Sequence[int], per_s: Sequence[float]) -> UslFit:
    """Fit the law to throughputs, a pair per launch; the same number of workers may come several times.

    Least squares on the logs, because a throughput's errors multiply, with sigma in 0..1 and kappa >= 0: outside the
    law would say that workers help each other. The intervals come from Student-t draws around the fit (its
    covariance; few points make them wide), cut off at the same bounds. Raises InputError for values that make no sense
    and for fewer than 4 different numbers of workers: three coefficients pass through any three points exactly.
    """
    counts, rates = _checked(workers, per_s)
    from scipy.optimize import curve_fit  # late: it takes longer to import than to run

    lowest = float(counts.min())
    start = [math.log(float(rates[counts == lowest].mean()) / lowest), 0.05, 0.001]
    bounds = ([-np.inf, 0.0, 0.0], [np.inf, 1.0, np.inf])
    tight: Any = {"x_scale": [1, 0.1, 0.01], "ftol": 1e-13, "xtol": 1e-13, "gtol": 1e-13}
    best, covariance = curve_fit(_log_law, counts, np.log(rates), start, bounds=bounds, **tight)
    sigma, kappa = (0.0 if value < _NONE else float(value) for value in best[1:])
    sigma = 1.0 if sigma > 1 - _NONE else sigma
    draws = _draws(best, covariance, len(counts) - len(best))
    peaks = np.sqrt((1 - draws[:, 1]) / np.maximum(draws[:, 2], 1e-300))
    spread = math.sqrt(float(np.sum((np.log(rates) - _log_law(counts, *best)) ** 2)) / (len(counts) - len(best)))
    return UslFit(
        workers=tuple(workers),
        measured_per_s=tuple(map(float, per_s)),
        per_s_of_one=math.exp(best[0]),
        sigma=sigma,
        kappa=kappa,
        per_s_of_one_ci95=_middle(draws[:, 0]),
        sigma_ci95=_middle(draws[:, 1]),
        kappa_ci95=_middle(draws[:, 2]),
        peak_ci95=_middle(np.where(draws[:, 2] < _NONE, np.inf, np.maximum(1, peaks))),
        spread=spread,
        draws=draws,
    )


def _checked(workers: Sequence[int], per_s: Sequence[float]) -> tuple[Floats, Floats]:
    if len(workers) != len(per_s):
        raise InputError(
            f"{len(workers)} numbers of workers and {len(per_s)} throughputs are no pairs",
            "give one of each per launch",
        )
    for count, rate in zip(workers, per_s, strict=True):
        at_least_one("workers", count)
        above_zero("per_s", rate)
    different = sorted(set(workers))
    if len(different) < FEWEST_COUNTS:
        raise InputError(
            f"{len(different)} different numbers of workers ({', '.join(map(str, different)) or 'none'}) cannot be "
            "fitted: the law has three coefficients, and three points always lie on it exactly, whatever they are",
            f"measure at {FEWEST_COUNTS} or more, such as 1, 2, 4 and 8, on a machine with as many cores as workers",
        )
    return np.asarray(workers, float), np.asarray(per_s, float)


def _log_law(n: Floats, log_one: float, sigma: float, kappa: float) -> Any:
    return log_one + np.log(n) - np.log(1 + sigma * (n - 1) + kappa * n * (n - 1))


def _draws(best: Floats, covariance: Floats, freedom: int) -> Floats:
    """Multivariate Student-t around the fit: normal draws, widened by what so few points leave unknown of the noise."""
    chance = np.random.default_rng(0)
    normal = chance.multivariate_normal(np.zeros(len(best)), covariance, _DRAWS, method="svd")
    draws = best + normal / np.sqrt(chance.chisquare(freedom, (_DRAWS, 1)) / freedom)
    return np.column_stack([np.exp(draws[:, 0].clip(-700, 700)), draws[:, 1].clip(0, 1), draws[:, 2].clip(0)])


def _middle(values: Floats) -> Interval:
    """The range that holds the middle 95 %; its ends are values themselves: infinite ones cannot be averaged."""
    low, high = np.quantile(values, [0.025, 0.975], method="nearest")
    return float(low), float(high)


def _range(interval: Interval) -> str:
    return f"[{interval[0]:.3g}, {interval[1]:.3g}]"
