"""Notebook 07: its checklist, every line with the number it was measured with, and its recap."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from helpers.knee import Knee
from helpers.load.latency import shown
from helpers.load.result import LoadResult
from helpers.plots.picture import duration, percent, short
from helpers.stall.result import Stall
from helpers.teach.outcomes import VOID
from helpers.teach.overload import Fate, Knock
from helpers.teach.together import Together
from helpers.teach.widgets import html
from helpers.teach.words.n07 import first_refused, last_ms, limit_did, limit_right, ten_as_fate, void_of
from helpers.teach.words.n07_deeper import recovered_s, room_at_the_door

NOT_YET = "not measured in this run: see Going deeper"


@dataclass(frozen=True)
class Measured:
    """Everything that the checklist and the recap speak of; the last two are measured under Going deeper."""

    few: LoadResult
    many: LoadResult
    arrivals: LoadResult
    most: float
    seen: Stall
    knee: Knee
    clients: Fate
    ten: Together
    idle_codes: Sequence[int]
    freed_s: float
    fates: Sequence[Fate]


@dataclass(frozen=True)
class Line:
    """What to set, where, and with which number it was seen above; `number` is None where it was not measured."""

    what: str
    where: str
    number: str | None
    instead: str = f"it {VOID}"


def lines(
    m: Measured,
    storm: Mapping[str, LoadResult] | None = None,
    door: Sequence[Knock] | None = None,
    default: Sequence[Fate] | None = None,
) -> list[Line]:
    """The checklist."""
    return [
        Line(
            "Alert on arrivals against capacity, per worker; not on the response time, which is late to tell",
            "monitoring: requests that arrive, also those that are refused",
            _alert(m),
        ),
        Line(
            "Plan for the rate at which the objective holds, not for the most there is", "number of workers", _plan(m)
        ),
        Line(
            "Test with arrivals at a rate, not with users who wait", "<code>load_test(url, rate=...)</code>", _test(m)
        ),
        Line(
            "Give clients time-outs, and know that the work goes on without them",
            "client; uvicorn has no limit for a request",
            f"{m.clients.executed} of {m.clients.offered} executed, {m.clients.in_time} of them for somebody",
        ),
        Line(
            "Refuse what cannot be answered in time",
            "<code>limit_concurrency</code>, together with <code>loop</code>; or the proxy in front",
            _refuse(m.fates, default),
        ),
        Line(
            "More than the idle connections that a proxy keeps to each worker",
            "<code>limit_concurrency</code>",
            _idle(m),
        ),
        Line(
            "Silent connections hold their places for so long",
            "<code>timeout_keep_alive</code>",
            f"{m.freed_s:.1f} s, set to 1" if first_refused(m.idle_codes) else None,
            "nobody was refused",
        ),
        Line(
            "Few retries, with a budget for all clients together (and spread at random: that was not measured)",
            "client, proxy",
            None if storm is None else _retries(storm),
            NOT_YET if storm is None else f"it {VOID}",
        ),
        Line(
            "Room at the door for a moment's crowd, not for the patience of a minute",
            "<code>backlog</code>, and the system's <code>somaxconn</code>",
            None if door is None else _door(door),
            NOT_YET if door is None else "this system does not tell",
        ),
    ]


def checklist(
    m: Measured,
    storm: Mapping[str, LoadResult] | None = None,
    door: Sequence[Knock] | None = None,
    default: Sequence[Fate] | None = None,
) -> Any:
    """The checklist as a table; a line without a number says so."""
    cell = 'style="text-align:left;vertical-align:top;padding:.3em .8em"'
    rows = []
    for each in lines(m, storm, door, default):
        seen = f"✔ {each.number}" if each.number else f"– <i>{each.instead}</i>"
        rows.append(f"<tr><td {cell}>{each.what}</td><td {cell}>{each.where}</td><td {cell}>{seen}</td></tr>")
    head = "".join(f'<th scope="col" {cell}>{title}</th>' for title in ("What", "Where", "Your number"))
    return html(f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>")


def _alert(m: Measured) -> str | None:
    last = last_ms(m.arrivals)
    if last is None:
        return None
    rate = m.arrivals.plan.rate_per_s or 0.0
    return f"at {rate / m.most:.1f} times {m.most:.0f}/s it was {duration(last)} after {m.arrivals.duration_s:.2g} s"


def _plan(m: Measured) -> str | None:
    if m.knee.rate_per_s is None:
        return None
    objective = escape(", ".join(str(target) for target in m.knee.slo))
    return f"{m.knee.rate_per_s:.0f}/s per worker ({percent(m.knee.rate_per_s / m.most)}) for {objective}"


def _test(m: Measured) -> str | None:
    closed, open_ = m.seen.closed.percentile(0.99), m.seen.open.percentile(0.99)
    if m.seen.void or closed is None or open_ is None:
        return None
    return f"one stall: p99 {shown(closed)} for users, {shown(open_)} for arrivals"


def _refuse(fates: Sequence[Fate], default: Sequence[Fate] | None = None) -> str | None:
    pairs = {"asyncio": fates} | ({"default loop": default} if default else {})
    told = [f"{loop}: {_pair(*pair)}" for loop, pair in pairs.items() if not any(each.void for each in pair)]
    return f"useful answers/s; {'; '.join(told)}" if told else None


def _pair(without: Fate, limited: Fate) -> str:
    numbers = f"{short(without.useful_per_s)} without a limit, {short(limited.useful_per_s)} with it"
    return f"{numbers}: it {limit_did(without, limited)}"


def _idle(m: Measured) -> str | None:
    turn = first_refused(m.idle_codes)
    return None if turn is None else f"limit 5: client {turn} refused, behind {turn - 1} idle connections"


def _retries(storm: Mapping[str, LoadResult]) -> str | None:
    if void_of(*storm.values()):
        return None
    return "; ".join(f"{name}: {_back(recovered_s(result))}" for name, result in storm.items())


def _back(after_s: float | None) -> str:
    return "not back when the load ended" if after_s is None else f"back {after_s:.1f} s after the peak"


def _door(door: Sequence[Knock]) -> str | None:
    room = room_at_the_door(door)
    return None if room is None else f"backlog 8: {room} connections waited, the next ones got no answer at all"


# ------------------------------------------------------------------------------------------------------------ recap


def recap(m: Measured) -> Any:
    """The recap of notebook 07, computed from the learner's own numbers."""
    said = [_of_growth(m), _of_the_stall(m), _of_the_knee(m), _of_those_who_left(m), _of_the_limit(m)]
    look = "<p>Runs of a few seconds, one of each: a first look.</p>"
    return html("<ul>" + "".join(f"<li>{line}</li>" for line in said) + f"</ul>{look}")


def _of_growth(m: Measured) -> str:
    if void_of(m.few, m.many, m.arrivals):
        return f"Users against arrivals: {VOID}."
    rate, last = m.arrivals.plan.rate_per_s or 0.0, last_ms(m.arrivals) or 0.0
    return (
        f"Past the limit, {m.many.plan.users} users waited {shown(m.many.p50_ms)} and never more;"
        f" {rate:.0f} arrivals/s on {m.most:.0f}/s waited {duration(last)} after {m.arrivals.duration_s:.2g} s,"
        f" {'and longer with every second' if last > float(m.many.p50_ms or 0) else 'and would go on to wait longer'}."
    )


def _of_the_stall(m: Measured) -> str:
    if m.seen.void:
        return f"The stall: {VOID}."
    return (
        f"A stall of {m.seen.stall_s:g} s: {m.seen.closed.bad_samples} of {m.seen.closed.result.requests:,} requests of"
        f" a user who waits, {m.seen.open.bad_samples} of {m.seen.open.result.requests:,} arrivals."
    )


def _of_the_knee(m: Measured) -> str:
    plan = _plan(m)
    return f"The knee: {VOID}." if plan is None else f"The knee: {plan}."


def _of_those_who_left(m: Measured) -> str:
    return (
        f"{m.clients.offered} clients left after a moment: {m.clients.executed} requests were executed,"
        f" {m.clients.in_time} of them for somebody. Throughput is not goodput."
    )


def _of_the_limit(m: Measured) -> str:
    bar, refused = ten_as_fate(m.ten), _refuse(m.fates)
    if limit_right(m.ten) == VOID:
        return f"<code>limit_concurrency</code>: {VOID}."
    queued = "none waited" if bar.refused else "nobody was refused"
    goodput = "" if refused is None else f" Past the limit, {refused}."
    codes = f"{bar.in_time} answered, {bar.refused} refused, {queued}"
    return f"<code>limit_concurrency=5</code>, ten at once: {codes}.{goodput}"
