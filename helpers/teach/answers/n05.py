"""Notebook 05: the judges of its exercises."""

from collections.abc import Mapping
from typing import Any

from helpers.teach.exercises import exercise

CURES = ("await", "workers", "threads", "downstream", "nothing")
WITHIN = 0.05  # of the value: what one computes by hand


@exercise("05.1", wants="a number of answers per second")
def three_that_block(answer: Any) -> tuple[bool, str]:
    """Three workers on one core; each call blocks its worker for 250 ms."""
    given = float(answer)
    if _near(given, 12):
        return True, "Four calls fit into a second of one worker, and three workers sleep side by side on one core."
    if _near(given, 4):
        return False, "That is one worker's. What does the second one need, in order to sleep beside it?"
    if _near(given, 64) or _near(given, 16):
        return False, "Then all 16 would sleep at once. How many calls can one worker have in hand, if each stops it?"
    if _near(given, 0.75) or _near(given, 0.25) or _near(given, 0.083) or _near(given, 0.0833):
        return False, "That is a time. How many such times fit into one second?"
    return False, "Begin with one worker: how many calls of 250 ms fit into one second, one after the other?"


@exercise("05.2", wants="a number of answers per second")
def most_through_the_downstream(answer: Any) -> tuple[bool, str]:
    """The downstream service works on 4 at a time, 100 ms each; four workers before it."""
    given = float(answer)
    if _near(given, 40):
        return True, "Four at a time, ten times a second: the workers are not in this sum at all."
    if _near(given, 160):
        return False, "That multiplies by the workers. Which of the two sets the pace, and does it know of them?"
    if _near(given, 10):
        return False, "That is one at a time. How many does the downstream service admit?"
    if _near(given, 80):
        return False, "That multiplies by two. What is there two of, at the place where the queue is?"
    return False, "Begin behind the workers: how many queries does the downstream service finish in one second?"


@exercise("05.3", wants=f"a dict with A, B and C, each one of {', '.join(CURES)}")
def which_cure(answer: Any) -> tuple[bool, str]:
    """Three endpoints, told by what can be seen of them."""
    given: Mapping[str, str] = {str(key).upper(): str(value).strip().lower() for key, value in dict(answer).items()}
    missing = [key for key in "ABC" if key not in given]
    if missing:
        return False, f"{', '.join(missing)} is still missing: give all three, as in {{'A': ..., 'B': ..., 'C': ...}}."
    unknown = [value for value in given.values() if value not in CURES]
    if unknown:
        return False, f"{unknown[0]!r} is no leaf of the tree. Choose among: {', '.join(CURES)}."
    for key, cure, hint in (
        ("A", "workers", "A keeps one core busy in Python code. Which way does the tree go where cores are busy?"),
        ("B", "await", "B is idle, and its event loop stands in a line of the app. What does that line do?"),
        ("C", "downstream", "C is idle, its loop is free and its threads are too. Who else can be the slow one?"),
    ):
        if given[key] != cure:
            return False, hint
    return True, "Three slow endpoints, three cures - and a second worker would have been right for one of them."


def _near(given: float, value: float) -> bool:
    return abs(given - value) <= WITHIN * value
