"""Notebook 09: the words and pictures of restarting, killing and stopping, chosen by the numbers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers.incident.result import Incident
from helpers.load.records import ATTEMPT_SHIFT
from helpers.plots import each_request as marks
from helpers.plots.picture import count
from helpers.teach.outcomes import VOID
from helpers.teach.together import Together
from helpers.teach.widgets import folded, html
from helpers.teach.words.n09 import (
    ALL,
    KILL,
    ROLL,
    answer_of,
    back_after_s,
    done,
    lost_in_words,
    toll,
    unread,
    void_of,
    why_lost,
)

if TYPE_CHECKING:
    from helpers.plots.picture import Picture


# ---------------------------------------------------------------------------------------------------- the restart


def rolled_in_words(rolled: Incident) -> Any:
    """Folded: how the workers were replaced, and the reason of every loss."""
    title = "What was lost, and why"
    if void := void_of(rolled):
        return html(folded(title, void))
    event = rolled.event(ROLL)
    serving = [number for at_s, number in rolled.crew if at_s <= event.to_s]
    least, before = min(serving), rolled.crew[0][1]
    text = (
        f"All workers were replaced in {event.to_s - event.from_s:.1f} s, and never fewer than {least} served"
        f"{': one after the other, and each time the new one first' if least >= before else ''}. {why_lost(rolled)}"
    )
    if unread(rolled):
        text += (
            " That worker was at work on something else, and had not looked there yet. “Graceful” is a promise to"
            " requests that were <i>begun</i>; nobody has promised anything to those that are on their way."
        )
    elif not rolled.lost:
        text += (
            " This time nothing lay unread in a connection when its worker went. Run the cell again: sooner or later"
            " something does."
        )
    return html(folded(title, text))


def restarts_picture(restarts: Mapping[str, Incident]) -> "Picture":
    """Every request of each restart, a mark each."""
    rows = []
    for name, each in restarts.items():
        visitors = each.sent - each.result.retries
        rows.append(marks.Row(name, became(each), f"{each.gave_up} of {visitors} lost", bool(void_of(each))))
    return marks.each_request_plot(
        "The same rolling restart, three kinds of visitors",
        "every mark is one request · lost: nobody was answered",
        rows,
    )


def became(incident: Incident) -> list[str]:
    """What became of each request, in the words of the picture, in the order in which they were sent."""
    window = np.sort(incident.result.window, order="intended_ns")
    kinds = {"reset": marks.BROKEN, "stale_conn": marks.BROKEN, "refused": marks.REFUSED}
    kinds |= {"http_5xx": marks.ERROR, "http_4xx": marks.ERROR}
    names = [kinds.get(name, marks.OTHER) for name in incident.result.outcomes]
    names[0] = marks.ANSWERED
    attempts = window["flags"] >> ATTEMPT_SHIFT
    return [
        marks.AGAIN if outcome == 0 and attempt else names[outcome]
        for outcome, attempt in zip(window["outcome"], attempts, strict=True)
    ]


def restarts_in_words(restarts: Mapping[str, Incident]) -> Any:
    """Folded: what new connections and a second try changed."""
    title = "What the picture shows"
    if void := void_of(*restarts.values()):
        return html(folded(title, void))
    kept, fresh, again = restarts.values()
    text = f"With connections that are kept {lost_in_words(kept.lost)}. "
    text += f"With a new connection for each request {lost_in_words(fresh.lost)}"
    if fresh.lost:
        text += f" ({why_lost(fresh)})"
    else:
        text += (
            ": whoever comes to the door is let in by a worker that stays, for the listening socket belongs to all of"
            " them"
        )
    text += f". With one more try {lost_in_words(again.gave_up)}"
    if again.result.retries:
        text += f": {count(again.result.retries, 'request')} had to be sent a second time"
    text += (
        ". A request that is sent twice may be <i>executed</i> twice, if the first one was begun: harmless for a GET,"
        " and not for a payment. That is why a proxy repeats some methods by itself, and others never."
    )
    return html(folded(title, text))


# ---------------------------------------------------------------------------------------------------- killed, stopped


def killed_in_words(killed: Incident) -> Any:
    """Folded: what a killed worker took with it, and how long it was missed."""
    title = "What was lost, and why"
    if done(killed, KILL) is None:
        return html(folded(title, void_of(killed) or f"This {VOID}."))
    back_s = back_after_s(killed, KILL)
    text = why_lost(killed)
    if back_s is None:
        text += " It was not replaced before the load ended."
    else:
        text += (
            f" It was replaced {back_s:.1f} s later: the parent looks twice a second, and the new one"
            " has to import the app."
        )
    cost = toll(killed, KILL)
    text += f" {count(cost.came, 'request')} came until then, {cost.came_and_lost} of them among the lost."
    if answer_of(killed, KILL) != ALL:
        text += (
            " The system closed the dead worker's connections at once. Whoever asked next opened a new one, and a"
            " worker that lives let it in."
        )
    return html(folded(title, text))


def stopped_picture(stopped: Mapping[str, Together]) -> "Picture":
    """The requests in hand when a server was stopped, a mark each, for each pair of time-outs."""
    rows = []
    for name, each in stopped.items():
        became = [_ended(answer.outcome) for answer in each.answers]
        rows.append(marks.Row(name, became, f"{became.count(marks.ANSWERED)} of {len(became)} answered"))
    title = "Stopped with requests in hand"
    return marks.each_request_plot(title, "every mark is a request that was in hand · left: who waits how long", rows)


def _ended(outcome: str) -> str:
    if outcome == "ok":
        return marks.ANSWERED
    if outcome.startswith("status"):
        return marks.ERROR
    return marks.REFUSED if outcome == "ConnectError" else marks.BROKEN


def answered(together: Together) -> int:
    """How many of the requests got their answer."""
    return sum(answer.outcome == "ok" for answer in together.answers)


def stopped_in_words(stopped: Mapping[str, Together], *, request_s: float) -> Any:
    """Folded: what became of the requests with each pair of time-outs, and which ended first."""
    told = []
    for name, each in stopped.items():
        got = [_ended(answer.outcome) for answer in each.answers]
        good, errors = got.count(marks.ANSWERED), got.count(marks.ERROR)
        rest = len(got) - good - errors
        parts = [f"{good} answered"] * bool(good) + [f"{errors} got an error answer"] * bool(errors)
        parts += [f"{rest} had their connection broken"] * bool(rest)
        told.append(f"<b>{' '.join(name.split())}</b>: {', '.join(parts)}")
    text = (
        f"{'; '.join(told)}. A request needs {request_s:g} s here: whoever is less patient than that cuts it off. If it"
        " is the server, it still says so (an error answer); if it is whoever stops the server, nobody is left to say"
        " anything."
    )
    return html(folded("What the picture shows", text))
