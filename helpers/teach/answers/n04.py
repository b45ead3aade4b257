"""Notebook 04: the judges of its exercises."""

import math
from collections.abc import Mapping
from typing import Any

from helpers.teach.exercises import exercise

WITHIN = 0.1  # of the value: what one reads off or computes by hand


@exercise("04.1", wants="a number of answers per second")
def most_of_three_workers(answer: Any, *, seconds_per_answer: float, workers: int, cores: int) -> tuple[bool, str]:
    """Answers per second that three workers can give at most, from the CPU seconds that an answer costs."""
    given, per_core = float(answer), 1 / seconds_per_answer
    able = min(workers, cores)
    if math.isnan(per_core):
        return math.isnan(given), "The measurement that this rests on was void: no number. Run its cell again."
    if _near(given, able * per_core):
        return True, f"{able} CPU seconds per second at {seconds_per_answer:.4f} s per answer: {able * per_core:.0f}."
    if _near(given, workers * per_core):
        return False, f"That takes {workers} CPU seconds in every second. How many does the machine have?"
    if _near(given, per_core):
        return False, "That is what one core can give. How many of them can the workers use at the same time?"
    if _near(given, able * seconds_per_answer) or _near(given, seconds_per_answer):
        return False, "That is a time, not a number of answers per second. What do you divide by what?"
    return False, "Start with one core: how many answers fit into one CPU second, if each costs that much of it?"


@exercise("04.2", wants="a number of workers")
def workers_for_sleep(answer: Any, *, users: int) -> tuple[bool, str]:
    """How many workers to pay for where an endpoint only waits."""
    given = float(answer)
    if given == 1:
        return True, "One overlaps them all. A second costs memory, and in this measurement it brought nothing."
    if given == 2:
        return False, "Compare the two bars once more: what did the second worker add, and what does it cost?"
    if given == users:
        return False, "One per user: then a worker could wait for one request only. How many did one worker hold?"
    if given < 1:
        return False, "Somebody has to serve: how few can that be?"
    return False, "Point at the bar in which a further worker paid for itself. Is there one?"


@exercise("04.3", wants="a set of numbers, such as {1, 2}")
def next_visit(answer: Any, *, counters: Mapping[int, int]) -> tuple[bool, str]:
    """Which numbers the next visitor can be told, as a set."""
    given = {int(answer)} if isinstance(answer, int | float | str) else {int(number) for number in answer}
    right = {count + 1 for count in counters.values()}
    sent = sum(counters.values())
    if given == right:
        return True, f"{_listed(right)}: it depends on who answers, and nobody knows all {sent} visits."
    if given < right:
        return False, "That is one of them. Which worker answers the next visit: is it yours to choose?"
    if given == {sent + 1}:
        return False, f"Which process knows of all {sent} visits?"
    if given == set(counters.values()):
        return False, "Those were told already. What does a worker do to its counter before it answers?"
    return False, "Give a set such as {1, 2}: for each worker, what would it say if the next visit came to it?"


def _near(given: float, value: float) -> bool:
    return abs(given - value) <= WITHIN * value


def _listed(numbers: set[int]) -> str:
    return " or ".join(str(number) for number in sorted(numbers))
