"""Notebook 04: the judges of its exercises."""

from collections.abc import Mapping
from typing import Any

from helpers.teach.exercises import exercise

WITHIN = 0.1  # of the value: what one reads off or computes by hand


@exercise("04.1", wants="a number of answers per second")
def most_of_three_workers(answer: Any, *, seconds_per_answer: float, workers: int, cores: int) -> tuple[bool, str]:
    """Answers per second that three workers can give, from the CPU seconds that an answer costs."""
    given, per_core = float(answer), 1 / seconds_per_answer
    able = min(workers, cores)
    if _near(given, able * per_core):
        fit = f"{able} CPU seconds per second at {seconds_per_answer:.4f} s per answer: about {able * per_core:.0f}."
        return True, f"{fit} Compare it with the bar of three workers: a cost read off one launch is not exact."
    if _near(given, workers * per_core):
        return False, f"That takes {workers} CPU seconds in every second. How many does the machine have?"
    if _near(given, per_core):
        return False, "That is what one core can give. How many of them can the workers use at the same time?"
    if _near(given, able * seconds_per_answer) or _near(given, seconds_per_answer):
        return False, "That is a time, not a number of answers per second. What do you divide by what?"
    return False, "Start with one core: how many answers fit into one CPU second, if each costs that much of it?"


@exercise("04.2", wants="a number of workers")
def workers_for_sleep(answer: Any, *, users: int) -> tuple[bool, str]:
    """The smallest number of workers that is enough where an endpoint only waits."""
    given = float(answer)
    if given == 1:
        return True, "One overlaps them all: while it awaits, it is free for the others. A second costs memory."
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
        return (
            False,
            "That is one of them; give all, as a set. Is it yours to choose which worker answers the next visit?",
        )
    if given == {sent + 1}:
        return False, f"Which process knows of all {sent} visits?"
    if given == set(counters.values()):
        return False, "Those were told already. What does a worker do to its counter before it answers?"
    return False, "Give a set such as {1, 2}: for each worker, what would it say if the next visit came to it?"


def _near(given: float, value: float) -> bool:
    return abs(given - value) <= WITHIN * value


def _listed(numbers: set[int]) -> str:
    return " or ".join(str(number) for number in sorted(numbers))
