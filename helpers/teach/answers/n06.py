"""Notebook 06: the judges of its exercises."""

import math
from typing import Any

from helpers.teach.exercises import exercise

PERIOD_MS = 100.0
WITHIN = 0.03  # of the value: what one rounds by hand


@exercise("06.1", wants="a number of milliseconds")
def stand_still(answer: Any, *, quota: float, workers: int) -> tuple[bool, str]:
    """For how long busy workers stand still in each period of 100 ms under a CPU quota."""
    given, run_ms = float(answer), quota * PERIOD_MS / workers
    if _near(given, PERIOD_MS - run_ms):
        return True, f"{run_ms:g} ms of work by all of them, then nobody works. A request that comes then waits it out."
    if _near(given, run_ms):
        return False, "That is how long they run. What do they do for the rest of the period?"
    if given == 0:
        return False, "They may run on as many cores as the host has: how fast do they spend the CPU time of a period?"
    if given >= PERIOD_MS:
        return False, "Each period begins with a new allowance: for how long does it last?"
    if _near(given, PERIOD_MS / workers) or _near(given, PERIOD_MS - PERIOD_MS / workers):
        return False, f"That is the allowance of one core. How many ms of CPU time does a quota of {quota:g} grant?"
    return (
        False,
        f"How many ms of CPU time does a period grant, and how many do {workers} busy workers spend in a ms?",
    )


@exercise("06.3", wants="a whole number of workers")
def for_the_load(answer: Any, *, wanted: float, cost_ms: float, busy_most: float) -> tuple[bool, str]:
    """The least number of workers that carries a load, none of them busy beyond a share of its time."""
    given, busy = float(answer), wanted * cost_ms / 1000
    right = math.ceil(busy / busy_most - 1e-9)
    if given == right:
        return (
            True,
            f"It is the work of {busy:.1f} workers; shared by {right}, each is busy for {busy / right:.0%}.",
        )
    if math.floor(busy) <= given <= math.ceil(busy) or _near(given, busy):
        return False, "Then each is busy nearly all the time. How much of its time may it be?"
    if math.floor(busy * busy_most) <= given <= math.ceil(busy * busy_most):
        return False, "Less time per worker: does that make it fewer workers, or more?"
    if _near(given, busy / busy_most):
        return False, "A part of a worker cannot be started: which way do you round, and why?"
    if given in (right - 1, right + 1):
        return False, "Close. Check the rounding: which is the first number that is enough?"
    return False, "How many seconds of CPU work come in each second? How many workers' whole time is that?"


@exercise("06.2", wants="a whole number of workers")
def into_memory(answer: Any, *, limit_mib: float, base_mib: float, each_mib: float, rss_mib: float) -> tuple[bool, str]:
    """How many workers fit into a memory limit, from what each further one adds."""
    given = float(answer)
    right = max(0, math.floor((limit_mib - base_mib) / each_mib))
    if given == right:
        left = limit_mib - base_mib - right * each_mib
        return (
            True,
            f"{left:.0f} MiB remain, and what requests need while they are worked on must fit into that, too. Who has"
            " such requests takes fewer workers.",
        )
    if given == math.floor(limit_mib / each_mib):
        return False, "With so many it is over the limit: is there anything in the container besides the workers?"
    if given == right + 1:
        return False, "That is one too many: which way did you round?"
    if _near(given, (limit_mib - base_mib) / each_mib):
        return False, "Which way do you round here? The kernel kills whoever takes the last byte too much."
    if given == limit_mib // rss_mib:
        return False, "You divided by the RSS. What does the memory grow by when one worker more is started?"
    return False, "Take off what is there without any worker; how often does what a further one adds go into the rest?"


def _near(given: float, value: float) -> bool:
    return abs(given - value) <= WITHIN * abs(value)
