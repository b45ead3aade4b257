"""Notebook 09: the judges of its exercises."""

from math import isclose
from typing import Any

from helpers.teach.exercises import exercise

EACH_BEFORE, NEWCOMERS, WORKERS, OLD = 20, 40, 8, 2
NEW_EACH = NEWCOMERS / WORKERS
STEPS = "ABCDE"
HOURS = 3600


@exercise("09.1", wants="a number of users")
def users_of_an_old_worker(answer: Any) -> tuple[bool, str]:
    """Connections stay where they are; only new ones are shared by all workers."""
    given = float(answer)
    if given == EACH_BEFORE + NEW_EACH:
        return True, f"{EACH_BEFORE} stay with it, and it lets in as many of the new ones as each of the others."
    if given == (OLD * EACH_BEFORE + NEWCOMERS) / WORKERS:
        return False, "That is all users, spread evenly. Which of the connections would have had to move for that?"
    if given == NEW_EACH:
        return False, "That is what a new worker has. What became of the users whom the old one had already?"
    if given == EACH_BEFORE:
        return False, "Does an old worker not open the door any more, when somebody new comes?"
    if given == OLD * (EACH_BEFORE + NEW_EACH):
        return False, "That is both old ones together. And each of them?"
    if given == EACH_BEFORE + NEWCOMERS / OLD:
        return False, "Who else stands at the door when the new ones come?"
    if isclose(given, EACH_BEFORE + NEWCOMERS / (WORKERS - OLD), rel_tol=0.01):
        return False, "The new ones are let in by all who stand at the door. How many are they?"
    return False, "Two sums: the users who were there before, and its share of those who come. Where is each of them?"


@exercise("09.2", wants="two numbers of seconds, such as (5, 10)")
def patience(answer: Any, *, slowest_s: float) -> tuple[bool, str]:
    """request < graceful < kill_after."""
    graceful, kill_after = map(float, answer)
    if graceful < slowest_s and kill_after < slowest_s:
        return False, f"A request of {slowest_s:g} s is in hand, and it has just begun. Who is still there at its end?"
    if graceful < slowest_s:
        return False, "Which pair of time-outs in the picture was that, and what did the eight requests get?"
    if graceful == slowest_s:
        return False, "The slowest request you have seen. And the slowest that you have not seen? Leave it some room."
    if kill_after <= graceful:
        return False, "Who comes first: the server that ends in order, or the one with kill -9?"
    if kill_after > HOURS:
        return False, "And if it hangs for good: how long do you want to wait for it?"
    return True, "From inside to outside, each waits longer than the one before it."


@exercise("09.3", wants="five letters, such as 'ABCDE'")
def order_of_a_deploy(answer: Any) -> tuple[bool, str]:
    """Start, ready, switch, drained, stop."""
    given = answer.replace(" ", "").replace(",", "").upper()
    if sorted(given) != sorted(STEPS):
        return False, f"Each of the letters {', '.join(STEPS)} once: which one is missing, or there twice?"
    at = {letter: given.index(letter) for letter in STEPS}
    if at["D"] < at["B"]:
        return False, "Who should answer /health before the new server was started?"
    if at["A"] < at["C"]:
        return False, "The old server gets its SIGTERM. Whom does the proxy send the next request to?"
    if at["C"] < at["D"]:
        return False, "The proxy sends to the new server now. Does it answer already?"
    if at["E"] < at["C"]:
        return False, "Nothing in hand: for how long, while the proxy goes on sending requests to it?"
    if at["A"] < at["E"]:
        return False, "It has got its SIGTERM, and waits 1 s. What becomes of a request that needs 8?"
    return True, "There is somebody for every request, and nobody is stopped who has one."
