"""Notebook 08: the sentences and pictures of its three breaks, chosen by the numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from helpers.teach.chat import Heard
from helpers.teach.outcomes import VOID
from helpers.teach.shop import Mail
from helpers.teach.widgets import html

if TYPE_CHECKING:
    from helpers.plots.picture import Picture

Visit = Mapping[str, int]  # what /visit answers: the number told, and by which process


@dataclass(frozen=True)
class Seen:
    """What was seen of the shop's counter, its chat and its outbox, on one launch."""

    told: Sequence[Visit]
    chat: Heard
    mails: Sequence[Mail]


ONE_FOR_ALL = "200: both workers count in the same variable"
COLLIDE = "a little less than 200: now and then two visits meet"
EACH = "about half: a worker counts the visits that it answers itself"

ALL_HEAR = "64: it is one room"
SAME_WORKER = "about half: one hears only whom the same worker serves"
ONLY_ONESELF = "8: a WebSocket belongs to one worker, so one hears only oneself"

ONCE = "1: start-up is when the service starts"
PER_WORKER = "2: one for each worker"
EACH_THAT_STARTED = "3: one for each worker that ever started"


# -------------------------------------------------------------------------------------------------------- one worker


def all_right(seen: Seen) -> Any:
    """What one worker did, as three numbers."""
    lines = [
        f"the counter: {len(seen.told)} visits, and the last visitor was told <b>{seen.told[-1]['visits']}</b>",
        f"the chat: <b>{seen.chat.arrived}</b> of {seen.chat.of} messages arrived",
        f"start-up: the mail was sent <b>{times(len(seen.mails))}</b>",
    ]
    return html(f"<p>With one worker:</p><ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>")


# -------------------------------------------------------------------------------------------------------- the counter


def counters(told: Sequence[Visit], *, bet: float | None = None) -> "Picture":
    """A dot per visit."""
    from helpers.plots.counters import Told, counters_plot

    return counters_plot([Told(each["visits"], each["pid"]) for each in told], bet=bet)


def highest(told: Sequence[Visit]) -> dict[int, int]:
    """What each worker's counter came to, by pid."""
    return {pid: max(each["visits"] for each in told if each["pid"] == pid) for pid in sorted({e["pid"] for e in told})}


def counter_right(told: Sequence[Visit]) -> str:
    """Which answer the numbers bear out; none where one worker got every visit."""
    most = highest(told)
    if len(most) < 2:
        return VOID
    if max(most.values()) >= len(told):
        return ONE_FOR_ALL
    return EACH if sum(most.values()) == len(told) else COLLIDE


def given_twice(told: Sequence[Visit]) -> int:
    """How many visitors hold a number that somebody else holds, too."""
    numbers = [each["visits"] for each in told]
    return sum(numbers.count(number) > 1 for number in numbers)


def counter_in_words(told: Sequence[Visit]) -> str:
    """Two counters, or one."""
    most, visits = highest(told), len(told)
    said = " and ".join(f"worker {pid} says {number}" for pid, number in most.items())
    if len(most) < 2:
        return f"{said}: it got every visit this time, so its counter looks right. Nobody promised it: run it again."
    if max(most.values()) >= visits:
        return f"{said}: here one of them knew of all {visits} visits. What do these two share? Run it again."
    if sum(most.values()) != visits:
        return f"{said}, together {sum(most.values())} of {visits}: neither one counter nor two. Run it again."
    return (
        f"The last visitor was told <b>{told[-1]['visits']}</b>. {said}: together {visits}, and neither says so."
        f" {given_twice(told)} visitors hold a number that somebody else holds, too: had it been an order number, there"
        " would now be two orders of that name. Nothing was lost, and nothing collided. Each process has a variable of"
        " its own, and which one you read depends on who answers."
    )


# ----------------------------------------------------------------------------------------------------------- the chat


def chat(heard: Heard, *, bet: float | None = None) -> "Picture":
    """Who heard whom."""
    from helpers.plots.heard import heard_plot

    return heard_plot(heard.people, set(heard.delay_ms), bet=bet)


def chat_right(heard: Heard) -> str:
    """Which answer the messages bear out; none where all were served by one worker."""
    if heard.workers < 2:
        return VOID
    pids = list(heard.people.values())
    rooms = sum(pids.count(pid) ** 2 for pid in set(pids))
    found = {heard.of: ALL_HEAR, rooms: SAME_WORKER, len(pids): ONLY_ONESELF}
    return found.get(heard.arrived, VOID)


def chat_in_words(heard: Heard) -> str:
    """Who was heard by whom, and why."""
    found = chat_right(heard)
    if heard.workers < 2:
        return f"{heard}: all of them were served by the same worker this time. Run it again."
    if found == ALL_HEAR:
        return f"{heard}: everybody heard everybody, through two workers. What do these two share?"
    if found == SAME_WORKER:
        return (
            f"{heard}. There are two rooms. Each worker has its own list <code>room</code>, with the people whose"
            " connections it accepted, and a WebSocket stays with its worker as long as it is open. No error, no line"
            " in the log: they only do not hear each other. Who shares a room with whom was decided when they"
            " connected, by whichever worker was faster."
        )
    return f"{heard}: neither one room nor two. Was somebody cut off? Run it again."


# -------------------------------------------------------------------------------------------------------- the start-up


def mails(sent: Sequence[Mail], killed: Mapping[int, float] | None = None, *, bet: float | None = None) -> Any:
    """The outbox over time; words for an empty one."""
    from helpers.plots.outbox import outbox_plot

    if not sent:
        return html("<p>The outbox is empty: nobody sent anything.</p>")
    return outbox_plot("“The shop is open”: who said so, and when", sent, ends=killed, bet=bet)


def start_up_right(sent: Sequence[Mail]) -> str:
    """Which answer the outbox bears out."""
    processes = len({mail.pid for mail in sent})
    if len(sent) == processes > 2:
        return EACH_THAT_STARTED
    return {1: ONCE, 2: PER_WORKER}.get(len(sent), VOID)


def start_up_in_words(sent: Sequence[Mail]) -> str:
    """How often start-up ran, and in whom."""
    processes = len({mail.pid for mail in sent})
    says = f"{len(sent)} mails, from {processes} processes."
    if start_up_right(sent) != EACH_THAT_STARTED:
        return (
            f"{says} With two workers, and a third for the one that was killed, one would expect three: run it again."
        )
    return (
        f"{says} <code>lifespan</code> belongs to the worker: each that starts runs it, and so does one that replaces"
        " another, at four in the morning and months after the deployment. That is right for a connection pool, which"
        " each worker needs for itself; not for a mail, a migration, or a scheduler."
    )


# ----------------------------------------------------------------------------------------- what is shared, or copied


def copied(seen: Seen) -> Any:
    """What was seen of each worker, side by side, and what they had in common."""
    counts, served = highest(seen.told), list(seen.chat.people.values())
    started = [mail.pid for mail in seen.mails]
    pids = sorted({*counts, *served, *started})
    rows: list[tuple[str, list[object]]] = [
        ("<code>visits</code>", [counts.get(pid, "–") for pid in pids]),
        ("<code>room</code>", [f"{served.count(pid)} people" if pid in served else "–" for pid in pids]),
        ("start-up", [f"ran {times(started.count(pid))}" for pid in pids]),
    ]
    both = [
        ("the port", f"one address, and {len(counts)} of them answered visits there"),
        ("the outbox", f"one file, with lines of {len(set(started))} processes"),
    ]
    cell = 'style="text-align:left;padding:.3em 1em"'
    head = "".join(f'<th scope="col" {cell}>{name}</th>' for name in ("", *(f"worker {pid}" for pid in pids)))
    body = [f"<tr><th {cell}>{n}</th>{''.join(f'<td {cell}>{v}</td>' for v in values)}</tr>" for n, values in rows]
    body += [f'<tr><th {cell}>{name}</th><td {cell} colspan="{len(pids)}">{what}</td></tr>' for name, what in both]
    return html(f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>")


def times(number: int) -> str:
    """In words."""
    return {1: "once", 2: "twice"}.get(number, f"{number} times")
