"""Notebook 10: the judges of its exercises."""

import math
from typing import Any

from helpers.teach.exercises import exercise
from helpers.theory.capacity import DAY_S
from helpers.theory.workers import BUSY_MOST

PER_DAY, PEAK = 40_000_000, 4  # of 10.1
HOSTS, BUSY = 3, 0.6  # of 10.2
SHARE = 0.1  # of 10.3
WITHIN = 0.12  # of the value: what one reads off or computes by hand


@exercise("10.1", wants="a whole number of machines")
def machines_for_a_day(answer: Any, *, per_s: float) -> tuple[bool, str]:
    """Machines for 40 million requests a day, peak 4, 70 % busy, one of them spare; `per_s`: what a machine can do."""
    given = float(answer)
    mean = PER_DAY / DAY_S
    need = math.ceil(PEAK * mean / (BUSY_MOST * per_s) - 1e-9)
    if given == need + 1:
        return True, f"{PEAK * mean:,.0f}/s at the peak, {BUSY_MOST * per_s:,.0f}/s from each: {need}, and one spare."
    if given == need:
        return False, "That carries the peak. And when one of them is missing?"
    without_headroom = math.ceil(PEAK * mean / per_s - 1e-9)
    if given in (without_headroom, without_headroom + 1):
        return False, "Busy for 100 % of the time? What does an answer take then (07)?"
    average = math.ceil(mean / (BUSY_MOST * per_s) - 1e-9)
    if given in (average, average + 1, math.ceil(mean / per_s), math.ceil(mean / per_s) + 1):
        return False, "That carries the average. When do people complain?"
    if given != int(given):
        return False, "Which part of a machine would you rent? Round up, and mind the spare one."
    return False, "In turn: requests/s on average, at the peak; what one machine may do; round up; one spare."


@exercise("10.2", wants="a share between 0 and 1, such as 0.5")
def busy_after_a_loss(answer: Any) -> tuple[bool, str]:
    """How busy the other two of three hosts are, each 60 % busy before, when one is lost."""
    given, right = float(answer), HOSTS * BUSY / (HOSTS - 1)
    if abs(given - right) <= 0.01:
        return (
            True,
            "And at that share a line forms in front of both (07). Two of three are not enough here.",
        )
    if abs(given - 100 * right) <= 1:
        return False, "Give it as a share of 1, not in per cent."
    if abs(given - BUSY) <= 0.01:
        return False, "Who serves the requests of the one that is gone?"
    if abs(given - 2 * BUSY) <= 0.01 or given > 1:
        return False, "Does all of it go to one of the two?"
    if abs(given - (BUSY + BUSY / HOSTS)) <= 0.01 or abs(given - BUSY * (HOSTS - 1) / HOSTS) <= 0.01:
        return False, "How many are left to share it: three, or two?"
    return False, "How much work is there, in hosts? By how many is it divided now?"


@exercise("10.3", wants="a number of milliseconds")
def work_that_is_worth_it(answer: Any, *, price_ms: float) -> tuple[bool, str]:
    """The work (ms) of an endpoint from which on a fixed price is at most a tenth of it."""
    given, right = float(answer), price_ms / SHARE
    if _near(given, right) or _near(given, price_ms * (1 - SHARE) / SHARE):
        return True, f"About {right:.0f} ms. Below it, ask what a few more plain workers would do."
    if _near(given, price_ms * SHARE):
        return False, "There the price is ten times the work. Which of the two is to be the larger one?"
    if _near(given, price_ms):
        return False, "There the price is half of the whole."
    if _near(given, right / 1000):
        return False, "In milliseconds, please."
    return False, f"The price is {price_ms:.1f} ms. Of how many ms is that a tenth?"


def _near(given: float, value: float) -> bool:
    return abs(given - value) <= WITHIN * abs(value)
