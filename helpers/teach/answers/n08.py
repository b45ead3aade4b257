"""Notebook 08: the judges of its exercises."""

from collections.abc import Collection, Mapping
from typing import Any

from helpers.teach.exercises import exercise

WITHIN = 0.1  # of the value: what one reads off or computes by hand
SHARED = frozenset("BDF")  # of the six things in 08.1
EXACT = frozenset("CD")  # of the ways to count in 08.2

# 08.1: why each of the others is not shared, or is, as a question back
COPIED_ASKS: Mapping[str, str] = {
    "A": "A: what did the two workers say of `visits`?",
    "C": "C: a cache is a variable. In which process does it lie?",
    "E": "E: a lock is an object in memory. How many of them are there, with two workers?",
}
SHARED_ASKS: Mapping[str, str] = {
    "B": "B: how many processes wrote into the one outbox?",
    "D": "D: through which address did visits come to both?",
    "F": "F: where does a row lie, in a worker's memory or outside of it?",
}
# 08.2
WRONG_ASKS: Mapping[str, str] = {
    "A": "A: two visits read 7 at the same moment. What does each of them write?",
    "B": "B: this lock is an object in memory. Whom does it hold up, and whom not?",
}
MISSED_ASKS: Mapping[str, str] = {
    "C": "C: between BEGIN IMMEDIATE and COMMIT, who else may write?",
    "D": "D: how many steps are there between reading and writing?",
}


@exercise("08.1", wants='a set of letters, such as {"A", "B"}')
def what_is_shared(answer: Any) -> tuple[bool, str]:
    """Which of six things two workers of one service share."""
    given = _letters(answer, "ABCDEF")
    if given == SHARED:
        return True, "What lies in a worker's memory is its own; what lies outside of it, and has a name, is shared."
    if not given:
        return False, "None of them? Begin with the one that you saw both workers use."
    return False, _first(given, SHARED, COPIED_ASKS, SHARED_ASKS)


@exercise("08.2", wants='a set of letters, such as {"A", "B"}')
def which_counts_right(answer: Any) -> tuple[bool, str]:
    """Which ways of counting in a database are exact with two workers."""
    given = _letters(answer, "ABCD")
    if given == EXACT:
        return True, "Both leave no moment between reading and writing in which another process could write."
    if not given:
        return False, "None of them? Begin with the one that is a single statement."
    return False, _first(given, EXACT, WRONG_ASKS, MISSED_ASKS)


@exercise("08.3", wants="a number of per cent, such as 20")
def dearer_by(answer: Any, *, cost_ms: float, work_ms: float) -> tuple[bool, str]:
    """By how many per cent a request takes the worker longer when it counts in a shared place."""
    given = float(answer)
    right = 100 * cost_ms / work_ms
    if _near(given, right):
        return True, f"{cost_ms:g} ms on top of {work_ms:g} ms. If that is little, be right first; if much, measure."
    if _near(given, right / 100):
        return False, "That is the share of 1. How many per cent are that?"
    if _near(given, 100 * cost_ms / (work_ms + cost_ms)):
        return False, "That is its part of the new time. By how much is that more than the old one?"
    if _near(given, 100 * (work_ms + cost_ms) / work_ms):
        return False, "That is the new time, the old one being 100. How much of it is new?"
    if _near(given, 100 * work_ms / cost_ms):
        return False, "You divided the other way round. Which of the two was there before?"
    return False, "The request took the worker 10 ms. What comes on top, and what share of the 10 is that?"


def _letters(answer: Any, known: str) -> frozenset[str]:
    given = frozenset(str(each).strip().upper() for each in answer)
    if not isinstance(answer, Collection) or not given <= set(known):
        raise ValueError(answer)
    return given


def _first(given: frozenset[str], right: frozenset[str], wrongly: Mapping[str, str], missed: Mapping[str, str]) -> str:
    """The question that fits the first letter that is too many, else the first one that is missing."""
    too_many, missing = sorted(given - right), sorted(right - given)
    return wrongly[too_many[0]] if too_many else missed[missing[0]]


def _near(given: float, value: float) -> bool:
    return abs(given - value) <= WITHIN * abs(value)
