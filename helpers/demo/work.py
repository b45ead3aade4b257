"""The demo's unit of work: a fixed number of loop turns, so that it costs the same CPU time on one core or ten.

A spin "until 10 ms have passed" would finish in 10 ms even where two processes share one core, and would
seem to scale where nothing scales.
"""

TURNS_PER_UNIT = 10_000


def burn(units: int) -> int:
    """Keep one core busy for `units` x 10,000 turns of a Python loop; returns the sum, so that nothing is skipped."""
    total = 0
    for turn in range(units * TURNS_PER_UNIT):
        total += turn
    return total
