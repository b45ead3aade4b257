"""Values that the formulas can use: each check returns the number, or says what it must be."""

import math
from collections.abc import Callable

from helpers.errors import InputError


def at_least_zero(name: str, value: float) -> float:
    return _number(name, value, lambda it: it >= 0, "a number of at least 0")


def above_zero(name: str, value: float) -> float:
    return _number(name, value, lambda it: it > 0, "a number above 0")


def at_least_one(name: str, value: float) -> float:
    return _number(name, value, lambda it: it >= 1, "a number of at least 1")


def fraction(name: str, value: float) -> float:
    return _number(name, value, lambda it: 0 <= it <= 1, "a share between 0 and 1 (0.05 for 5 %)")


def share_below_one(name: str, value: float) -> float:
    return _number(name, value, lambda it: 0 <= it < 1, "a share from 0 up to, but not, 1 (0.99 for p99)")


def whole(name: str, value: int, most: int) -> int:
    wanted = f"a whole number from 1 to {most:,}"
    return int(_number(name, value, lambda it: it == int(it) and 1 <= it <= most, wanted))


def _number(name: str, value: float, fits: Callable[[float], bool], wanted: str) -> float:
    try:
        usable = math.isfinite(value) and fits(value)
    except TypeError:  # no number at all, such as the None of a void launch
        usable = False
    if not usable:
        raise InputError(f"{name}={value!r} cannot be used", f"{name} must be {wanted}")
    return value
