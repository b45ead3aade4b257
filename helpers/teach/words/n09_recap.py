"""Notebook 09: its recap, computed from the learner's own numbers."""

from collections.abc import Mapping
from typing import Any

from helpers.incident.result import Incident
from helpers.plots.picture import count, short
from helpers.teach.outcomes import NO_GAIN_BELOW, VOID
from helpers.teach.together import Together
from helpers.teach.widgets import html
from helpers.teach.words.n09 import ACTS, DOWN, KILL, ROLL, UP, back_after_s, done, kept_gain, steps_of, toll
from helpers.teach.words.n09_ends import answered


def recap(
    grown: Incident,
    restarts: Mapping[str, Incident],
    kept: Incident,
    lost: Mapping[str, Incident],
    stopped: Mapping[str, Together],
) -> Any:
    """What was seen, in the learner's own numbers."""
    said = [_of_steps(grown), _of_kept(kept), _of_losses(lost), _of_restarts(restarts), _of_the_killed(lost[KILL])]
    said.append(_of_the_stopped(stopped))
    look = "<p>Runs of a few seconds, one of each: a first look.</p>"
    return html("<ul>" + "".join(f"<li>{line}</li>" for line in said) + f"</ul>{look}")


def _of_steps(grown: Incident) -> str:
    if grown.void:
        return f"Adding workers: {VOID}."
    told = ", ".join(f"{workers} workers {short(per_s)}/s" for workers, per_s in steps_of(grown))
    return f"Workers added under load: {told}; {grown.lost} of {grown.sent:,} requests lost."


def _of_kept(kept: Incident) -> str:
    gain = kept_gain(kept)
    if gain is None:
        return f"Kept connections: {VOID}."
    why = "a connection stays with its worker" if gain < NO_GAIN_BELOW else "some connections were opened anew"
    return (
        f"The same with users who keep their connections: twice the workers, {gain:.2f} times the answers, since {why}."
    )


def _of_losses(lost: Mapping[str, Incident]) -> str:
    parts = []
    for name in (UP, DOWN, ROLL, KILL):
        parts.append(f"{ACTS[name]}: {VOID if done(lost[name], name) is None else toll(lost[name], name)}")
    return f"Lost by it, and how many came meanwhile: {'; '.join(parts)}."


def _of_restarts(restarts: Mapping[str, Incident]) -> str:
    parts = []
    for name, each in restarts.items():
        visitors = each.sent - each.result.retries
        parts.append(f"{' '.join(name.split())}: {VOID if each.void else f'{each.gave_up} of {visitors:,}'}")
    return f"Visitors without an answer in a rolling restart: {', '.join(parts)}."


def _of_the_killed(killed: Incident) -> str:
    if done(killed, KILL) is None:
        return f"A killed worker: {VOID}."
    after_s = back_after_s(killed, KILL)
    back = "was not replaced in time" if after_s is None else f"was replaced within {after_s:.1f} s"
    return f"A killed worker {back}, and took {count(killed.lost, 'request')} with it."


def _of_the_stopped(stopped: Mapping[str, Together]) -> str:
    parts = [f"{' '.join(name.split())}: {answered(each)} of {len(each.answers)}" for name, each in stopped.items()]
    return f"Stopped with requests in hand, answered were: {'; '.join(parts)}."
