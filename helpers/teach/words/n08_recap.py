"""Notebook 08: its recap, and the table of all seven, each with the number it was measured with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from helpers.load.result import LoadResult
from helpers.plots.picture import percent
from helpers.teach.chat import Heard
from helpers.teach.kinds import gain
from helpers.teach.outcomes import VOID
from helpers.teach.shop import Mail
from helpers.teach.widgets import html
from helpers.teach.words.n08 import Seen, given_twice, highest, times
from helpers.teach.words.n08_deeper import ONE, REDIS, SQLITE, TWO, Found
from helpers.teach.words.n08_repairs import IN_MEMORY, LOCKED, NAIVE, Losses
from helpers.teach.words.n08_repairs import REDIS as IN_REDIS
from helpers.teach.words.n08_repairs import SQLITE as IN_SQLITE

UPSERT = "/visit"
MODEL_WAYS = ("one worker", "two workers", "two workers, mapped from a file")
NOT_YET = "not measured"


@dataclass(frozen=True)
class Measured:
    """Everything that the recap speaks of: one worker, two, and what was repaired."""

    alone: Seen
    both: Seen
    lost: Losses
    rooms: Mapping[str, Heard | None]
    mails_repaired: Sequence[Mail]
    cost: Mapping[str, LoadResult]


def recap(m: Measured) -> Any:
    """The recap of notebook 08, computed from the learner's own numbers."""
    lines = [_counter(m), _chat(m), _start_up(m), _lost(m), _repaired(m), _cost(m)]
    return html(f"<ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>")


def _counter(m: Measured) -> str:
    said = " and ".join(map(str, highest(m.both.told).values()))
    return (
        f"A global variable, {len(m.both.told)} visits: the workers say <b>{said}</b>, and {given_twice(m.both.told)}"
        " visitors hold a number that was given twice."
    )


def _chat(m: Measured) -> str:
    chat = m.both.chat
    return f"A WebSocket room, {chat.workers} workers: <b>{chat.arrived} of {chat.of}</b> messages arrived."


def _start_up(m: Measured) -> str:
    processes = len({mail.pid for mail in m.both.mails})
    return f"Start-up ran <b>{times(len(m.both.mails))}</b>, in {processes} processes."


def _lost(m: Measured) -> str:
    naive, locked, exact = (m.lost[2][path] for path in (NAIVE, LOCKED, UPSERT))
    lucky = "" if naive.wrong and locked.wrong else " (none: luck. Only the one statement cannot lose any)"
    return (
        f"In a shared file, read and then written: <b>{naive} visits lost</b>; with a <code>threading.Lock</code>"
        f" {locked}; in one statement {exact}{lucky}."
    )


def _repaired(m: Measured) -> str:
    ways = [f"{name} {heard.arrived} of {heard.of}" for name, heard in m.rooms.items() if heard is not None]
    return (
        f"Repaired: messages by {', by '.join(ways)}; the mail of the start-up was sent {times(len(m.mails_repaired))}."
    )


def _cost(m: Measured) -> str:
    file, redis = (gain(m.cost[IN_MEMORY], m.cost.get(name)) for name in (IN_SQLITE, IN_REDIS))
    if file is None:
        return f"The cost of sharing {VOID}."
    other = "" if redis is None else f", in Redis {percent(min(redis, 1.0))}"
    return f"The cost: a counter in SQLite gives {percent(min(file, 1.0))} of the visits per second{other}."


# ----------------------------------------------------------------------------------------------------------- all seven


@dataclass(frozen=True)
class Row:
    """One of the seven: with one worker, with two, and repaired; None where it was not measured."""

    what: str
    one: str | None
    two: str | None
    repaired: str | None
    by: str


def rows(m: Measured, four: Found, models: Mapping[str, float | None]) -> list[Row]:
    """The seven breaks, and the start-up; `models`: how many times a model is in memory, by the way it came there."""
    rooms = [_arrive(each) for each in m.rooms.values() if each is not None]
    one, two, repaired = (f"ran {times(len(sent))}" for sent in (m.alone.mails, m.both.mails, m.mails_repaired))
    loaded, twice, mapped = (_in_memory(models.get(name)) for name in MODEL_WAYS)
    return [
        Row("hit counter", _says(m.alone), _says(m.both), f"{m.lost[2][UPSERT]} lost", "one atomic statement"),
        Row(
            "WebSocket chat",
            _arrive(m.alone.chat),
            _arrive(m.both.chat),
            rooms[-1] if rooms else None,
            "what is said goes through a shared place",
        ),
        Row("start-up", one, two, repaired, "a row that only one can write"),
        _of_four("cache", "old prices", four, "one cache for all"),
        _of_four("rate limiter", "too many let through", four, "one atomic counter per client"),
        _of_four("session", "logged out", four, "the token in a shared place"),
        _of_four("scheduler", "letters too many", four, "a lease that one worker holds"),
        Row("model", loaded, twice, mapped, "one file, mapped by all"),
    ]


def all_seven(m: Measured, four: Found, models: Mapping[str, float | None]) -> Any:
    """The same as a table; what was not measured says so."""
    cell = 'style="text-align:left;vertical-align:top;padding:.3em .8em"'
    body = ""
    for each in rows(m, four, models):
        values = [value or f"<i>{NOT_YET}</i>" for value in (each.one, each.two, each.repaired)]
        row = "".join(f"<td {cell}>{value}</td>" for value in (*values, each.by))
        body += f'<tr><th scope="row" {cell}>{each.what}</th>{row}</tr>'
    names = ("", "one worker", "two workers", "two, repaired", "by")
    head = "".join(f'<th scope="col" {cell}>{name}</th>' for name in names)
    return html(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")


def _says(seen: Seen) -> str:
    return f"{' and '.join(map(str, highest(seen.told).values()))} of {len(seen.told)}"


def _arrive(heard: Heard) -> str:
    return f"{heard.arrived} of {heard.of} arrive"


def _of_four(kind: str, what: str, four: Found, by: str) -> Row:
    def words(name: str) -> str | None:
        found = four.get(name)
        return None if found is None else f"{found[kind]} {what}"

    return Row(kind, words(ONE), words(TWO), words(REDIS) or words(SQLITE), by)


def _in_memory(many: float | None) -> str | None:
    return None if many is None else f"{many:.1f} times in memory"
