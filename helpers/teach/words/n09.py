"""Notebook 09: its sentences and pictures, chosen by the numbers."""

from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

from helpers.incident.result import Event, Incident
from helpers.load.records import OK
from helpers.plots.picture import count, short
from helpers.teach.outcomes import NO_GAIN_BELOW, VOID
from helpers.teach.widgets import folded, html

# What the acts are called in the pictures, and in the table of bets.
UP, DOWN, ROLL, KILL = "scale(4)", "scale(2)", "restart_workers()", "kill -9"
ACTS = {
    UP: "2 workers become 4",
    DOWN: "4 become 2 again",
    ROLL: "a rolling restart",
    KILL: "kill -9 of one worker",
}
NONE, FEW, ALL = "none", "a few: what one worker had", "all that come until it is done"
ANSWERS = ((NONE, 0.0), (FEW, 1.0), (ALL, 2.0))
BROKEN = ("reset", "stale_conn")
FEW_ANSWERS = 0.1  # of all
MOST_FROM = 0.5  # of those that came: no few any more
SHOWS_FROM_S = 0.4  # a shorter time says nothing about the answers per second
ONE_WORKER_S = 0.15  # a moment after the call came back, in which what it broke is noticed

REASONS = {
    "reset": "their connection was broken before an answer came",
    "stale_conn": "they were sent on an idle connection at the very moment in which it was closed",
    "refused": "nobody listened",
    "timeout": "no answer came in the time that the client waits",
    "connect_timeout": "their connection was not even opened in that time",
    "http_5xx": "the server answered with an error of its own",
    "http_4xx": "the server called the request wrong",
    "protocol": "what came was no HTTP",
    "not_sent": "too many were waiting already, so they were not sent at all",
    "aborted": "the load ended before they did",
}


# ---------------------------------------------------------------------------------------------------- any incident


def done(incident: Incident, name: str) -> Event | None:
    """The event of that name; None where it was refused or never came, or where the run is void."""
    found = next((event for event in incident.events if event.name == name and not event.refused), None)
    return None if incident.void else found


def void_of(*incidents: Incident) -> str:
    """Why there is no number, of the first incident that has none; empty where all have."""
    for each in incidents:
        if each.void:
            return f"This {VOID}: {escape(each.void)}"
        for event in each.events:
            if event.refused:
                return f"{escape(event.name)} was refused: {escape(event.refused)}. So this {VOID}."
    return ""


@dataclass(frozen=True)
class Toll:
    """What one act cost: the requests that were lost by it, those that came while it was done, and how many of these
    were among the lost. (Most of what is lost had been sent before.)
    """

    lost: int = 0
    came: int = 0
    came_and_lost: int = 0

    def __str__(self) -> str:
        return f"{self.lost} lost · {self.came} came"


def toll(incident: Incident, name: str) -> Toll:
    """What an act cost, until the next one began. It is done when as many workers serve as are to serve after it."""
    event = done(incident, name)
    if event is None:
        return Toll()
    end_s = next_s(incident, event)
    window, t0_ns = incident.result.window, incident.result.t0_ns
    done_s, sent_s = (window["done_ns"] - t0_ns) / 1e9, (window["intended_ns"] - t0_ns) / 1e9
    last = end_s >= incident.result.duration_s
    lost = (window["outcome"] != OK) & (done_s >= event.from_s) & ((done_s < end_s) | last)
    came = (sent_s >= event.from_s) & (sent_s < min(end_s, settled_s(incident, event)))
    return Toll(int(lost.sum()), int(came.sum()), int((lost & came).sum()))


def next_s(incident: Incident, event: Event) -> float:
    """When the next act began; the end of the load after the last one."""
    later = [each.from_s for each in incident.events if each.from_s > event.from_s]
    return min(later, default=incident.result.duration_s)


def settled_s(incident: Incident, event: Event) -> float:
    """When the act was over: the call has come back, and no worker is missing or too many any more."""
    changes = [at_s for at_s, _ in incident.crew if event.from_s < at_s < next_s(incident, event)]
    return max([event.to_s + ONE_WORKER_S, *changes])


def back_after_s(incident: Incident, name: str) -> float | None:
    """How long after an act as many workers served again as before it; None where that did not come."""
    event = done(incident, name)
    if event is None:
        return None
    before = [number for at_s, number in incident.crew if at_s <= event.from_s][-1]
    fewer = next((at_s for at_s, number in incident.crew if at_s > event.from_s and number < before), None)
    if fewer is None:
        return None
    return next((at_s - event.from_s for at_s, number in incident.crew if at_s > fewer and number >= before), None)


def answer_of(incident: Incident, name: str) -> str:
    """Which of the coarse answers an act bears out."""
    if done(incident, name) is None:
        return VOID
    cost = toll(incident, name)
    if not cost.lost:
        return NONE
    return ALL if cost.came_and_lost > MOST_FROM * cost.came else FEW


def why_lost(incident: Incident) -> str:
    """For every lost request its reason, in one sentence; says so where there is none."""
    if not incident.lost:
        return f"Of {incident.sent:,} requests sent, {incident.ok:,} were answered: none was lost."
    told = []
    if begun := _broken(incident) - unread(incident):
        told.append(f"{begun} had been begun, by the server's own count: their worker took them with it")
    if number := unread(incident):
        told.append(_unread(incident, number))
    told += [f"{number} {name}: {REASONS[name]}" for name, number in incident.losses.items() if name not in BROKEN]
    were = "was" if incident.lost == 1 else "were"
    return f"{incident.lost} of {incident.sent:,} requests sent {were} lost. {'; '.join(told)}."


def unread(incident: Incident) -> int:
    """Requests whose connection broke before a worker had begun them."""
    return max(0, _broken(incident) - incident.unfinished)


def _broken(incident: Incident) -> int:
    return sum(incident.losses.get(name, 0) for name in BROKEN)


def _unread(incident: Incident, number: int) -> str:
    fresh = incident.result.plan.new_connections
    if number == 1:
        where = "a new connection that a worker had let in" if fresh else "a connection that was open already"
        return f"1 lay unread in {where}: it belonged to a worker that went, and ended with it"
    where = "new connections that a worker had let in" if fresh else "connections that were open already"
    return f"{number} lay unread in {where}: they belonged to a worker that went, and ended with it"


# ------------------------------------------------------------------------------------------------ adding workers


def steps_of(grown: Incident) -> list[tuple[int, float]]:
    """Of a load under which workers are added: their number, and the answers per second while it was so."""
    found, since_s = [], 0.0
    for event in [*grown.events, None]:
        until_s = grown.result.duration_s if event is None else event.from_s
        workers = [number for at_s, number in grown.crew if at_s < until_s][-1]
        if until_s > since_s + SHOWS_FROM_S:
            found.append((workers, grown.per_s(since_s, until_s)))
        since_s = until_s if event is None else event.to_s
    return found


def grown_in_words(grown: Incident, each_per_s: float) -> Any:
    """Folded: how the throughput stepped, when, and what it cost those who asked meanwhile."""
    title = "What the picture shows"
    if void := void_of(grown):
        return html(folded(title, void))
    steps = steps_of(grown)
    told = ", ".join(f"{short(per_s)} with {workers}" for workers, per_s in steps)
    text = f"Answers per second: {told} workers. "
    waits = " and ".join(f"{event.to_s - event.from_s:.1f} s" for event in grown.events)
    if all(later[1] > NO_GAIN_BELOW * before[1] for before, later in pairwise(steps)):
        text += (
            f"So each worker brings about the {each_per_s:.0f} that it can do. It steps at the end of the grey band,"
            f" not at the line: the calls came back after {waits}, which is how long a new process needs until it has"
            " imported the app and serves. Meanwhile the others went on. "
        )
    else:
        text += (
            f"Each worker can do {each_per_s:.0f}: here that does not show. The calls came back after {waits}. Was the"
            " machine busy? Run it again. "
        )
    come = grown.result.plan.rate_per_s or 0.0
    if steps[-1][1] > come:
        text += (
            f"At the end {short(steps[-1][1])} are answered per second though {short(come)} come: the line that had"
            " formed before is worked off. "
        )
    return html(folded(title, text + why_lost(grown)))


def scaled_in_words(scaled: Incident) -> Any:
    """Folded: what growing and shrinking did to a load that the workers could carry all the time."""
    title = "What was lost, and why"
    if void := void_of(scaled):
        return html(folded(title, void))
    up, down = toll(scaled, UP), toll(scaled, DOWN)
    text = f"While workers were added {lost_in_words(up.lost)}, while they were taken away {lost_in_words(down.lost)}. "
    text += why_lost(scaled)
    event = done(scaled, UP)
    if not scaled.lost and event is not None:
        old, new = answers_of_newcomers(scaled, event.from_s, scaled.result.duration_s)
        text += (
            f" Those who go are those who came last; since the first of them was there, the new ones gave {new}"
            f" answers and the old ones {old}. "
        )
        text += (
            "So they had next to nothing in their connections when they went. A worker that has users is another"
            " matter: the next section."
            if new < FEW_ANSWERS * (old + new)
            else "They let nobody in any more, answered what they had begun, and ended."
        )
    return html(folded(title, text))


def lost_in_words(number: int) -> str:
    return "nothing was lost" if not number else f"{count(number, 'request')} {'was' if number == 1 else 'were'} lost"


# ------------------------------------------------------------------------------------------ connections that are kept


def kept_gain(kept: Incident) -> float | None:
    """Answers per second after the workers were added, against before."""
    event = done(kept, UP)
    if event is None:
        return None
    end_s = next_s(kept, event)
    before = kept.per_s(0, event.from_s)
    return kept.per_s(event.to_s, end_s) / before if before and end_s > event.to_s else None


def kept_in_words(kept: Incident) -> str:
    """What the new workers had to do before the restart, and after it."""
    gain, event = kept_gain(kept), done(kept, UP)
    if gain is None or event is None:
        return void_of(kept) or f"This {VOID}."
    old, new = answers_of_newcomers(kept, event.to_s, next_s(kept, event))
    text = (
        f"Twice the workers brought {gain:.2f} times the answers. After the call had come back, the new workers gave"
        f" {new} answers and the old ones {old}. "
    )
    if gain < NO_GAIN_BELOW:
        text += (
            "Each of the users has a connection, and a connection stays with the worker that let it in, for as long as"
            " it is open. So the new ones stood at a door to which nobody came."
        )
    else:
        text += "Here some did come to the new ones: were connections opened anew meanwhile?"
    rolled = done(kept, ROLL)
    if rolled is not None and kept.result.duration_s > rolled.to_s + 0.5:
        after = kept.per_s(rolled.to_s, kept.result.duration_s)
        text += (
            f" The restart closed all connections, the users opened new ones, and then {short(after)} came per second."
            f" {why_lost(kept)}"
        )
    return text


def answers_of_newcomers(incident: Incident, from_s: float, to_s: float) -> tuple[int, int]:
    """Answers between two moments: of the workers that were there at the beginning, and of those that came later."""
    result = incident.result
    done_s = (result.records["done_ns"] - result.t0_ns) / 1e9
    first = set(result.launch_before.serving) if result.launch_before else set()
    inside = (done_s >= from_s) & (done_s < to_s) & (result.records["outcome"] == OK)
    pids = [result.worker_pids.get(int(index), 0) for index in result.records["worker"][inside]]
    old = sum(pid in first for pid in pids)
    return old, len(pids) - old
