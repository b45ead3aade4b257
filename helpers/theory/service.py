"""How long requests take: distributions to draw service times from, or the measured ones drawn again (bootstrap)."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helpers.errors import InputError
from helpers.theory.inputs import above_zero, at_least_zero

Floats = NDArray[np.float64]

_BLOCK = 4096  # drawing one number at a time would take longer than simulating the request
_FEWEST_MEASURED = 30
_OVERLAP = 1.1  # more requests than this at a time in one worker is no measuring noise


@dataclass(frozen=True, eq=False)
class ServiceTimes:
    """Seconds of work that a request keeps its worker busy: their mean, their spread, and how to draw some.

    `cv` is their standard deviation over their mean; `overhead_s` is the part of the mean that the worker spends
    outside the handler (parsing, sending), where that is known.
    """

    about: str
    mean_s: float
    cv: float
    draw: Callable[[np.random.Generator, int], Floats]
    overhead_s: float = 0.0

    def stream(self, chance: np.random.Generator) -> Iterator[float]:
        """Service times without end."""
        while True:
            yield from self.draw(chance, _BLOCK).tolist()

    def __str__(self) -> str:
        return f"{self.about}: mean {1000 * self.mean_s:.3g} ms, cv {self.cv:.2g}"


def constant(mean_s: float) -> ServiceTimes:
    """D: every request takes the same."""
    mean_s = above_zero("mean_s", mean_s)
    return ServiceTimes("constant", mean_s, 0.0, lambda chance, number: np.full(number, mean_s))


def exponential(mean_s: float) -> ServiceTimes:
    """M: many short ones, a few long ones, and no memory; cv 1."""
    mean_s = above_zero("mean_s", mean_s)
    return ServiceTimes("exponential", mean_s, 1.0, lambda chance, number: chance.exponential(mean_s, number))


def lognormal(mean_s: float, cv: float) -> ServiceTimes:
    """A long tail of the length asked for: `cv` is the standard deviation over the mean."""
    mean_s, cv = above_zero("mean_s", mean_s), at_least_zero("cv", cv)
    width = math.sqrt(math.log1p(cv**2))
    middle = math.log(mean_s) - width**2 / 2
    return ServiceTimes("lognormal", mean_s, cv, lambda chance, number: chance.lognormal(middle, width, number))


def measured(values_s: ArrayLike, *, overhead_s: float = 0.0) -> ServiceTimes:
    """The measured times themselves, drawn at random and put back (B. Efron's bootstrap, Annals of Statistics 7, 1979).

    `overhead_s` is added to each. No distribution has to be chosen, and no tail is made up beyond the longest one seen.
    Raises InputError for fewer than 30 of them, and for a negative or missing one.
    """
    values = np.asarray(values_s, float).ravel()
    if len(values) < _FEWEST_MEASURED:
        raise InputError(
            f"{len(values)} measured service times are too few to draw from", f"measure {_FEWEST_MEASURED} or more"
        )
    wrong = values[~(np.isfinite(values) & (values >= 0))]
    if len(wrong) or not values.any():
        raise InputError(
            f"a service time of {wrong[0] if len(wrong) else 0} s cannot be drawn from",
            "leave out the requests that were never handled",
        )
    values = values + at_least_zero("overhead_s", overhead_s)
    mean_s = float(values.mean())
    return ServiceTimes(
        f"{len(values):,} measured",
        mean_s,
        float(values.std()) / mean_s,
        lambda chance, number: chance.choice(values, number),
        overhead_s,
    )


def calibrate(handling_ms: ArrayLike, *, per_s: float | None = None) -> ServiceTimes:
    """Service times from a measurement of one worker: `handling_ms` of its requests, and the answers `per_s` it gave.

    `handling_ms` is started - handled of each request, the column of that name in `LoadResult.frame()`; NaN (never
    handled) is left out. With `per_s` of a worker that always had a request waiting, all of its time belongs to some
    request: what the handling leaves of 1 / per_s is the overhead of each, and is added. It fits handlers that keep
    their worker busy one at a time (`async def` that computes or blocks). Raises InputError for too few times, and
    where requests overlapped in the worker (they waited, or ran in threads): no time of one alone was measured.
    """
    handling_s = np.asarray(handling_ms, float).ravel() / 1000
    handling_s = handling_s[~np.isnan(handling_s)]
    if per_s is None:
        return measured(handling_s)
    at_a_time = above_zero("per_s", per_s) * float(handling_s.mean() if len(handling_s) else 0)
    if at_a_time > _OVERLAP:
        raise InputError(
            f"{at_a_time:.2g} requests at a time were in the worker: their handling times overlap",
            "calibrate with an endpoint that handles one at a time, such as /cpu, measured with one worker",
        )
    return measured(handling_s, overhead_s=max(0.0, (1 - at_a_time) / per_s))
