"""Notebook 03: the judges of its exercises."""

from collections.abc import Sequence
from typing import Any

from helpers.server.processes import Processes, Socket
from helpers.teach.exercises import exercise


@exercise("03.1", wants="a number")
def ids_of_four_workers(answer: Any, *, two: int) -> tuple[bool, str]:
    """Process ids of a server with four workers; `two` is how many there were with two."""
    given, beside = float(answer), two - 2
    if given == 4 + beside:
        return True, f"Four that serve, and {beside} that do not."
    if given == 4:
        return False, "Those are the ones that serve. What else stood in the tree?"
    if given == 5 and beside == 2:
        return False, "The parent is counted now. Which one of the tree is still missing?"
    if given == 2 * two:
        return False, "Twice the workers is not twice of everything: which of the ids were not workers?"
    return False, "Name each: which of the ids are there once, and which once per worker?"


@exercise("03.2", wants="a number of cores")
def worth_on_ten_cores(answer: Any) -> tuple[bool, str]:
    """A dashboard of ten cores says 20 %, all of it two workers': cores' worth per worker."""
    given = float(answer)
    if abs(given - 1) <= 0.02:
        return True, "20 % of ten cores is two cores' worth: each worker is full, and 80 % is free for nobody."
    if abs(given - 2) <= 0.02:
        return False, "That is what both use together. How much is it for each?"
    if given in (0.2, 20):
        return False, "That is still a share of the whole machine: how many cores is the whole?"
    if given in (0.1, 10):
        return False, "Divided by the workers, yes - but a tenth of what? The machine has ten cores."
    if abs(given - 8) <= 0.02 or given in (0.8, 80):
        return False, "That is what nobody uses. What do the two workers use?"
    return False, "First: how many cores' worth is the share that the dashboard shows? Then: whose are they?"


@exercise("03.3", wants="a list or a set of pids, such as [101, 102]")
def who_has_the_socket(answer: Any, *, held: Sequence[Socket], found: Processes) -> tuple[bool, str]:
    """The pids of the processes that have the listening socket open."""
    given, holders = {int(pid) for pid in answer}, {socket.pid for socket in held}
    workers, parent = {process.pid for process in found.with_role("worker")}, found.rows[0].pid
    if not holders:
        return given == workers, "This system does not tell who holds a socket; on Linux it does."
    if given == holders:
        extra = " The parent made it and has it open too, but accepts nobody." if parent in holders else ""
        return True, f"All of them hold one and the same socket.{extra}"
    if given == {parent}:
        return False, "It was stopped, and still requests were answered: who else must have been at the door?"
    if given == workers:
        return False, "They accept from it. But who made it, before any worker was there?"
    if given < holders:
        return False, "Each of these has it. Is the list complete? Compare with `held`."
    return False, "One of these does not hold it. Look at the pids in `held`: every row is one hold on the socket."
