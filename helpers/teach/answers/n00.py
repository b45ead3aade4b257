"""Notebook 00: the judges of its exercises."""

import math
from typing import Any

from helpers.teach.exercises import exercise


@exercise("00.1", wants="a cell of the grid as (workers, cores), for instance (1, 1)")
def cell_that_gains_nothing(answer: Any) -> tuple[bool, str]:
    """(workers, cores) of the cell in which more money buys no more answers."""
    workers, cores = answer
    if (workers, cores) == (1, 2):
        return True, "A second core was paid for, and one worker cannot use it."
    if (workers, cores) == (2, 1):
        return False, "That cell gains nothing either - but which of the two costs more at your cloud provider?"
    if (workers, cores) == (2, 2):
        return False, "Look at its bar again: is it as low as the first one?"
    return False, "Give a cell of the grid as (workers, cores), for instance (1, 1)."


@exercise("00.2", wants="a number of cores, for instance 0.3")
def cores_worth(answer: Any, *, measured: float) -> tuple[bool, str]:
    """Cores' worth of CPU that the one worker used while it had two cores."""
    given = float(answer)
    if math.isnan(measured):  # void: there is no bar to read it off
        return True, "It could not be measured this time; on a quiet machine one worker uses about one core's worth."
    if abs(given - measured) <= 0.15:
        return True, f"It used {measured:.2f} cores' worth; the rest of the two cores was not its to use."
    if abs(given - 2) <= 0.15:
        return False, "Two is what it had. Look at how long its own piece of the bar is."
    if abs(given - 0.5) <= 0.1 or 40 <= given <= 60:
        return False, "Half of the machine, yes: how many cores' worth is half of two cores?"
    return False, "Read it off the bar of the single worker: the length of its own piece, in cores."
