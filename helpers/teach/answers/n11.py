"""Notebook 11: the judges of its exercises."""

from collections.abc import Mapping
from typing import Any

from helpers.teach.exercises import exercise
from helpers.teach.words.n11 import WORD_OF

VERDICTS = (*WORD_OF, "failing", "client_bound", "inconclusive")
PROBES = ("64 users", "more cores", "a second worker", "stacks")
WITHIN = 0.05  # of the value: what one computes by hand


@exercise("11.1", wants="a number of requests")
def how_many_get_on(answer: Any) -> tuple[bool, str]:
    """One request alone takes 50 ms; 16 users get 120 answers per second."""
    given = float(answer)
    if _near(given, 6):
        return True, "Six get on at once, ten wait in line: look for a pool of six."
    if _near(given, 16):
        return False, "So many ask. If all of them got on at once, how many answers per second would there be?"
    if _near(given, 6000):
        return False, "Check the units: how many seconds does one request take, and how many end in one second?"
    if any(_near(given, divided) for divided in (2.4, 2400, 0.42, 417)):
        return False, "That is one divided by the other. If more answers come per second, are more or fewer in work?"
    if _near(given, 0.133) or _near(given, 133):
        return False, "That is how long an answer takes with its time in line. How long is it really worked at?"
    if _near(given, 10):
        return False, "That is how many wait in line. How many do not?"
    return False, "Little's law once more: what is multiplied by what, and which time belongs to requests that get on?"


@exercise("11.2", wants=f"a dict with AB and AC, each one of {', '.join(PROBES)}")
def which_probe(answer: Any) -> tuple[bool, str]:
    """The probe that tells A from B, and the one that tells A from C."""
    given: Mapping[str, str] = {str(key).upper(): str(value).strip().lower() for key, value in dict(answer).items()}
    missing = [pair for pair in ("AB", "AC") if pair not in given]
    if missing:
        return False, f"{missing[0]} is still missing: give both, as in {{'AB': ..., 'AC': ...}}."
    unknown = [given[pair] for pair in ("AB", "AC") if given[pair] not in PROBES]
    if unknown:
        return False, f"{unknown[0]!r} is none of the probes. Choose among: {', '.join(PROBES)}."
    for pair in ("AB", "AC"):
        if given[pair] == "64 users":
            return False, f"{pair}: with four times the users, would not the line be longer in front of both?"
        if given[pair] == "more cores":
            return False, f"{pair}: how much of the one core did either of them use?"
    if given["AB"] == "stacks":
        return False, "AB: a line says where one worker waits. Would a second one wait for the very same thing?"
    if given["AC"] == "a second worker":
        return False, "AC: what did the second worker bring to A, and what to C?"
    return True, "One probe per doubt: what you did with two workers, and where the event loop's thread stood."


@exercise("11.3", wants=f"one of {', '.join(VERDICTS)}")
def what_a_quiet_machine_says(answer: Any) -> tuple[bool, str]:
    """A walk that was disturbed: what would it have come to on a quiet machine?"""
    given = answer.strip().lower().replace(" ", "_").replace("-", "_")
    if given == "cpu_bound":
        return True, "The other program took what was missing to a full core; and work in async def holds the loop too."
    if given == "lock_bound":
        return False, "That is what it says now. Which line came out close, and who had the rest of that core?"
    if given == "event_loop_blocked":
        return False, "Code that blocks the loop waits, and uses no core. How much did this worker use?"
    if given == "downstream_bound":
        return False, "Whoever waits for somebody else uses no core. How much did this worker use?"
    if given == "threadpool_exhausted":
        return False, "Threads that wait use no core, and they leave the event loop free. Was it?"
    if given in ("inconclusive", "client_bound"):
        return (
            False,
            "It may well say so while the call goes on. And once it is over, who uses what is missing to a core?",
        )
    if given == "native_parallel":
        return False, "For that one worker has to use more than one core. What was the most it could have used here?"
    if given in VERDICTS:
        return False, "How many of the 16 users' requests got on? Read the third line of the walk once more."
    return False, f"{answer!r} is no verdict. There are: {', '.join(VERDICTS)}."


def _near(given: float, value: float) -> bool:
    return abs(given - value) <= WITHIN * value
