"""Notebook 00: its sentences, chosen by the numbers."""

from typing import Any

from helpers.experiment import SweepResult
from helpers.teach.outcomes import (
    GAIN_FROM,
    NO_GAIN_BELOW,
    cores_used,
    sample,
    times,
    void_in_words,
    without_two_cores,
)
from helpers.teach.widgets import html


def grid_in_words(sweep: SweepResult) -> str:
    """What the grid shows on this machine, for either outcome."""
    cores, workers, both = times(sweep, 1, 2), times(sweep, 2, 1), times(sweep, 2, 2)
    if both is None:
        return without_two_cores(sweep)
    if cores is None or workers is None:
        return void_in_words(sweep)
    alone = f"A second core alone gave {cores:.2f} times the answers, a second worker alone {workers:.2f} times"
    if both >= GAIN_FROM and max(cores, workers) < NO_GAIN_BELOW:
        return (
            f"{alone}: neither helps by itself. Both together gave <b>{both:.2f} times</b>. One worker runs Python on"
            " one core at a time; the second core needs a second worker to use it, and the second worker needs a core"
            " to run on."
        )
    if both < NO_GAIN_BELOW:
        return (
            f"{alone}, and both together only {both:.2f} times. That contradicts the post. What would have to be true?"
            " Look at the next picture: did two workers really get two cores, or was something else using one?"
        )
    return (
        f"{alone}, both together {both:.2f} times. The pattern is there, but less clear than it can be: one launch per"
        " cell is a first look, and this machine was perhaps not quiet."
    )


def recap_of_first_look(sweep: SweepResult) -> Any:
    """The recap of notebook 00, computed from the learner's own numbers."""
    both, used = times(sweep, 2, 2), cores_used(sweep, workers=1)
    result = sample(sweep, workers=1)
    if both is None or result is None or result.cpu is None:
        return html(f"<p>{without_two_cores(sweep) if both is None else void_in_words(sweep)}</p>")
    lines = [
        f"On {result.cpu.cores} cores the default's one worker used <b>{used:.2f} cores' worth</b> of CPU.",
        f"Two workers on two cores gave <b>{both:.2f} times</b> its answers per second (one launch: a first look).",
        "So far this holds for <i>this</i> endpoint, which works in Python. Make it wait instead: does it still? (04)",
    ]
    return html("<ul>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul>")
