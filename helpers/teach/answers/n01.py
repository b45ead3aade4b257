"""Notebook 01: the judges of its exercises."""

from collections.abc import Iterable
from typing import Any

from helpers.teach.exercises import exercise
from helpers.teach.log_lines import PARENT, serving

KEYS = {"started": 0, "waiting": 1, "complete": 2, "running": 3, "none": 4}


@exercise("01.1", wants="a list of pids, such as [123, 124]")
def pids_that_serve(answer: Any, *, log: str) -> tuple[bool, str]:
    """The serving pids, read from the log of a server with two workers."""
    given = {int(pid) for pid in answer} if isinstance(answer, Iterable) else {int(answer)}
    right = set(serving(log))
    parents = {int(pid) for pid in PARENT.findall(log)}
    if given == right:
        return True, "Each “Started server process” is one process that serves; the parent's line has another word."
    if given & parents:
        return False, f"Look at the line of {min(given & parents)} once more: what kind of process was started there?"
    if given < right:
        return False, f"You have {len(given)} of them. How many workers were asked for?"
    if given == {len(right)}:
        return False, "That is how many there are. Which pids are they? Give them as a list."
    return False, "The pids stand in square brackets in the log: which lines say “server process”?"


@exercise("01.2", wants='two of the words in quotes, as ("started", "waiting")')
def line_that_says_ready(answer: Any) -> tuple[bool, str]:
    """The line that says "ready" with one worker, and the one that says so with two."""
    one, two = (_key(each) for each in answer)
    if (one, two) == ("running", "none"):
        return True, "With one worker the banner comes last and is true; with two no line says it: send a request."
    if not {one, two} <= set(KEYS):
        return False, f"Choose both from: {', '.join(KEYS)}."
    if two == "running":
        return False, "In the picture, what became of the requests right after the banner, with two workers?"
    if two == "complete":
        return False, "Close. How often does that line come with two workers, and whose pid does the first one carry?"
    if one == "complete":
        return False, "For one worker, look at the order of the lines: which one is the last?"
    if one == "none":
        return False, "For two workers you are right. With one worker, was any request refused after the last line?"
    return False, "That line is written before the app's start-up code has run. Which one is written after it listens?"


@exercise("01.3", wants="two numbers, as (1, 1)")
def what_web_concurrency_does(answer: Any) -> tuple[bool, str]:
    """Serving processes under WEB_CONCURRENCY=3: for a line without workers, and one with workers=2."""
    without, with_two = (int(each) for each in answer)
    if (without, with_two) == (3, 2):
        return True, "It is the default for a line that does not say; what the code says wins."
    if (without, with_two) == (1, 2):
        return False, "So the variable would do nothing at all. Who says how many, where the line does not?"
    if (without, with_two) == (3, 3):
        return False, "Then workers=2 would be without effect: which of the two did the author of the line mean?"
    if with_two in (5, 6):
        return False, "They are not added up, nor multiplied. Which of the two is asked first?"
    return False, "Run the cell below: it starts both, and counts who says “Started server process”."


def _key(given: Any) -> str:
    return str(given).strip().lower().strip(".")
