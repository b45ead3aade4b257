"""Notebook 09: the table of what each server does, every cell of it measured by the learner."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from helpers.incident.result import Incident
from helpers.teach.operate import Burst
from helpers.teach.widgets import html
from helpers.teach.words.n09 import DOWN, KILL, ROLL, UP, back_after_s, toll
from helpers.teach.words.n09_deeper import BLOCK, STOP, missing_s

NOT_MEASURED = "not measured"
COLUMNS = (
    "", "adds and removes workers", "rolling restart", "a killed worker is back", "a blocked worker is noticed",
    "a stopped one is noticed", "a burst: on the busier of two",
)  # fmt: skip
CELL = 'style="text-align:left;vertical-align:top;padding:.3em .8em"'


def servers_table(
    trials: Mapping[str, Mapping[str, Incident]],
    hung: Mapping[str, Incident],
    bursts: Mapping[str, Sequence[Burst]],
    missing: Mapping[str, str],
) -> Any:
    """A row per server. `trials`: per server and act, its incident; `missing`: why it is not here."""
    rows = []
    for name in dict.fromkeys([*trials, *bursts]):
        trial, hang, tries = trials.get(name, {}), hung.get(name), bursts.get(name)
        cells = [name, _scaled(trial.get(UP), trial.get(DOWN)), _rolled(trial.get(ROLL)), _killed(trial.get(KILL))]
        cells += [_noticed(hang, BLOCK), _noticed(hang, STOP)]
        rows.append([*cells, _shared(tries)])
    rows += [[name, why, *[""] * (len(COLUMNS) - 2)] for name, why in missing.items() if why]
    head = "".join(f'<th scope="col" {CELL}>{escape(title)}</th>' for title in COLUMNS)
    body = "".join(f"<tr>{''.join(f'<td {CELL}>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return html(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")


def _act(trial: Incident | None, name: str) -> str:
    """Why there is nothing to be said of an act: not measured, void, or refused; empty where there is."""
    if trial is None:
        return NOT_MEASURED
    if trial.void:
        return "void"
    event = next((each for each in trial.events if each.name == name), None)
    return NOT_MEASURED if event is None else event.refused


def _scaled(up: Incident | None, down: Incident | None) -> str:
    if why := _act(up, UP) or _act(down, DOWN):
        return why
    assert up is not None
    assert down is not None
    return f"yes, {toll(up, UP).lost + toll(down, DOWN).lost} lost"


def _rolled(trial: Incident | None) -> str:
    if why := _act(trial, ROLL):
        return why
    assert trial is not None
    event = trial.event(ROLL)
    least = min(number for at_s, number in trial.crew if at_s <= event.to_s and _still(trial, at_s, event.from_s))
    return f"{event.to_s - event.from_s:.1f} s, at least {least} served, {toll(trial, ROLL).lost} lost"


def _still(trial: Incident, since_s: float, from_s: float) -> bool:
    """Whether the number of workers that began at `since_s` still held when something was done at `from_s`."""
    later = [at_s for at_s, _ in trial.crew if at_s > since_s]
    return not later or min(later) > from_s


def _killed(trial: Incident | None) -> str:
    if why := _act(trial, KILL):
        return why
    assert trial is not None
    after_s = back_after_s(trial, KILL)
    if after_s is not None:
        return f"after {after_s:.1f} s"
    return "never: the whole server ended" if not trial.crew[-1][1] else "not before the load ended"


def _noticed(hang: Incident | None, act: str) -> str:
    if why := _act(hang, act):
        return why
    assert hang is not None
    after_s = missing_s(hang, act)
    return "nobody noticed" if after_s is None else f"after {after_s:.1f} s"


def _shared(tries: Sequence[Burst] | None) -> str:
    if not tries:
        return NOT_MEASURED
    return ", ".join(f"{each.shares[0]} of {sum(each.shares)}" for each in tries)
