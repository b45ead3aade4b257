"""Notebook 07: the judges of its exercises."""

from typing import Any

from helpers.teach.exercises import exercise

WITHIN = 0.1  # of the value: what one reads off or computes by hand
SHARE_WITHIN = 0.015
LONGER = 4  # times the work itself: what the answer may take in 07.2


@exercise("07.1", wants="a number of seconds")
def wait_of_the_last(answer: Any, *, rate: float, most: float, lasts_s: float) -> tuple[bool, str]:
    """How long the last arrival of a peak waits: what came too many, divided by what is worked off per second."""
    given, surplus = float(answer), rate / most - 1
    right = surplus * lasts_s
    if _near(given, right):
        too_many = (rate - most) * lasts_s
        return True, f"{too_many:.0f} requests stand in front of it, {most:.0f} leave per second: {right:.0f} s."
    if _near(given, lasts_s) or _near(given, rate / most * lasts_s):
        return False, "Some of those who came before it were answered meanwhile. How many are left in front of it?"
    if _near(given, (rate - most) * lasts_s) or _near(given, rate * lasts_s):
        return False, "That is a number of requests. How many of them leave per second?"
    if _near(given, (1 - most / rate) * lasts_s):
        return (
            False,
            "The line is worked off at the speed of the worker, not of the arrivals. Which one do you divide by?",
        )
    if given <= 2 / most:
        return False, "That is an answer without a line. How many came in that minute, and how many left?"
    return False, "Two numbers: how many came too many until then, and how many leave per second?"


@exercise("07.2", wants="a share between 0 and 1, such as 0.5")
def busy_at_four_times(answer: Any) -> tuple[bool, str]:
    """The utilisation at which M/M/1 answers take four times the work: R = S / (1 - rho)."""
    given = float(answer)
    right = 1 - 1 / LONGER
    if abs(given - right) <= SHARE_WITHIN:
        return True, "Halve what is left idle, and the time doubles: that is why the curve has a knee."
    if abs(given - 100 * right) <= 100 * SHARE_WITHIN:
        return False, "Give it as a share of 1, not in per cent."
    if abs(given - 6 / 7) <= SHARE_WITHIN:
        return (
            False,
            "That is where the solid line stands. Which of the two is dashed, and whose work does it speak of?",
        )
    if abs(given - 0.8) <= SHARE_WITHIN:
        return False, "The rule of thumb. What does the formula give at 0.8, and what was asked?"
    if abs(given - 1 / LONGER) <= SHARE_WITHIN:
        return False, "How much of its time is the worker idle then? And how much is it busy?"
    if given >= 1:
        return False, "At 1 and above the line grows without end. Where does it still have a mean?"
    return False, "Put it into the formula: is S / (1 - busy) four times S?"


@exercise("07.3", wants="a whole number")
def limit_for_a_proxy(answer: Any, *, connections: int) -> tuple[bool, str]:
    """The smallest limit_concurrency that refuses nobody, where a proxy keeps so many connections open."""
    given = float(answer)
    right = connections + 1
    if given == right:
        return True, f"It refuses from the moment on in which so many are open: {connections} must be below the limit."
    if given == connections:
        return (
            False,
            "Look at the list of codes once more: with a limit of 5, which client was the first to be refused?",
        )
    if given in (1, 2):
        return False, "That would count requests at a time. Were any two at a time, in the list of codes?"
    if given in (2 * connections, 2 * right):
        return False, "The limit counts in each worker by itself. How many connections does the proxy keep to each?"
    if given in (connections / 2, connections / 2 + 1):
        return False, f"{connections} in total, or to each worker? And whose limit is it?"
    if given > right:
        return False, "That refuses nobody either. Which is the smallest?"
    return False, "How many connections are open when nobody asks anything? What does the limit count?"


def _near(given: float, value: float) -> bool:
    return abs(given - value) <= WITHIN * abs(value)
