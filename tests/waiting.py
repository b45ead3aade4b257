"""Waiting for what must come true, instead of sleeping for as long as it may take."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def await_true(
    condition: Callable[[], T],
    within_s: float = 5.0,
    message: str = "the condition did not come true",
    *,
    every_s: float = 0.005,
) -> T:
    """Return the first true value of `condition`; fail with `message` when none comes in time."""
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{message} (waited {within_s:g} s)"
        time.sleep(every_s)
    return value


def await_still_true(condition: Callable[[], object], for_s: float, message: str = "it did not stay true") -> None:
    """Fail with `message` as soon as `condition` is not true any more; return after `for_s` seconds."""
    end = time.monotonic() + for_s
    while time.monotonic() < end:
        assert condition(), message
        time.sleep(0.02)
