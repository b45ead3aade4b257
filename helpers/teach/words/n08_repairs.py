"""Notebook 08: the sentences and pictures of its repairs, and of what sharing costs; chosen by the numbers."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from helpers.load.latency import shown
from helpers.load.result import LoadResult
from helpers.plots.picture import duration, percent
from helpers.server.companion import Redis
from helpers.teach.chat import Heard
from helpers.teach.kinds import gain, per_s
from helpers.teach.outcomes import VOID
from helpers.teach.shop import Mail, Wrong
from helpers.teach.widgets import folded, html, rendered
from helpers.teach.words.n05 import void_in_words

if TYPE_CHECKING:
    from helpers.plots.picture import Picture

WAYS = {
    "/visit/read-then-write": "A: read, then write",
    "/visit/with-lock": "B: A inside a threading.Lock",
    "/visit/in-transaction": "C: A inside a transaction",
    "/visit": "D: one statement",
}
NAIVE, LOCKED = "/visit/read-then-write", "/visit/with-lock"
NONE_LOST = "none: a database is made for several clients"
FEW = "one in a hundred: two visits rarely meet"
MANY = "more than one in ten"
BETWEEN = "lies between these answers"
FEW_AT_MOST, MANY_FROM = 0.05, 0.1  # shares

IN_MEMORY, THREAD, REDIS, SQLITE = "in memory", "def that asks nobody", "Redis", "SQLite"
NO_REDIS = f"no redis-server on this machine ({Redis.install})"
ROUGHLY = 0.8  # of the visits in memory, and sharing costs next to nothing
EXAMPLE_MS = 0.4
WORK_MS = 10.0  # the endpoint of exercise 08.3

Losses = Mapping[int, Mapping[str, Wrong]]  # workers -> path -> what was lost


# ------------------------------------------------------------------------------------------------------ the lost counts


def lost(found: Losses, *paths: str, bet: float | None = None) -> "Picture":
    """Lost visits of the ways to count in a database, with each number of workers."""
    from helpers.plots.wrong import Group, wrong_plot

    workers = {1: "one worker", 2: "two workers"}
    groups = [
        Group(WAYS[path], {workers[n]: lost[path] for n, lost in found.items() if path in lost})
        for path in paths or WAYS
    ]
    bets = {} if bet is None else {groups[-1].name: bet}
    what = "share of the visits served"
    return wrong_plot("Visits that the database does not know of", groups, what=what, bets=bets, bets_on="two workers")


def lost_right(found: Losses) -> str:
    """Which answer the losses of two workers bear out."""
    two = found[2][NAIVE]
    if not two.of or not two.wrong:  # none lost is luck, and bears nothing out
        return VOID
    return FEW if two.share <= FEW_AT_MOST else MANY if two.share >= MANY_FROM else BETWEEN


def lost_in_words(found: Losses) -> str:
    """Reading, adding and writing back, in two statements."""
    one, two = found[1][NAIVE], found[2][NAIVE]
    if not two.of:
        return f"This {VOID}: no visit was served."
    each = f", of which the workers served {' and '.join(map(str, two.by_worker))}" if two.by_worker else ""
    says = f"With two workers {two} visits are missing ({percent(two.share)}){each}."
    if not two.wrong:
        says += " Nobody came in between this time. That proves nothing: nothing in the code prevents it. Run it again."
        return says + (f" With <b>one</b> worker {one} were lost." if one.wrong else "")
    says += (
        " Two visits read the same number, both add one, and both write the same: one of them is gone. The file is"
        " shared, and that alone makes nothing right: what belongs together must happen in <i>one</i> step."
    )
    if one.wrong:
        says += (
            f" And look at <b>one</b> worker: {one} are missing there, too. It has no second process, but 40 threads,"
            " and each may stop between the two statements. In memory it went well by luck of the <code>async"
            " def</code>: nobody else runs where there is no <code>await</code>."
        )
    return says


def compared(found: Losses) -> Any:
    """All four ways, folded, since they answer 08.2: which of them lost nothing, and what became of the lock."""
    one, two = found[1][LOCKED], found[2][LOCKED]
    exact = [WAYS[path][0] for path, each in found[2].items() if each.of and not each.wrong]
    lines = ["With two workers every way lost some."]
    if exact:
        lines = [f"With two workers {_listed(exact)} lost nothing this time. Only C and D <i>cannot</i> lose any."]
    if two.wrong and not one.wrong:
        lines.append(
            f"<b>B</b> is right with one worker and wrong with two ({two} lost): a <code>threading.Lock</code> is a"
            " variable. Each worker has its own, and holds up only its own threads."
        )
    if lucky := [letter for letter in exact if letter in "AB"]:
        lines.append(f"{_listed(lucky)} had luck: nothing in the code prevents it. Run it again.")
    text = "".join(f"<p>{line}</p>" for line in lines)
    title = "<summary><b>All four, measured</b> (open it when you have answered)</summary>"
    return html(f"<details>{title}{rendered(lost(found))}{text}</details>")


def _listed(letters: Sequence[str]) -> str:
    return letters[0] if len(letters) == 1 else f"{', '.join(letters[:-1])} and {letters[-1]}"


# ----------------------------------------------------------------------------------------------- the chat, the start-up


def rooms_in_words(one: Heard, broken: Heard, repaired: Mapping[str, Heard | None]) -> Any:
    """Who is heard, and after how long, in each way to carry a message from worker to worker."""
    rows: dict[str, Heard | None] = {"in memory, one worker": one, "in memory, two workers": broken}
    rows |= {f"{name}, two workers": heard for name, heard in repaired.items()}
    cell = 'style="text-align:left;padding:.3em 1em"'
    body = ""
    for name, heard in rows.items():
        told = [NO_REDIS, "–"] if heard is None else [f"{heard.arrived} of {heard.of}", _delay(heard)]
        body += f'<tr><th scope="row" {cell}>{name}</th>{"".join(f"<td {cell}>{each}</td>" for each in told)}</tr>'
    head = "".join(f'<th scope="col" {cell}>{name}</th>' for name in ("", "messages that arrived", "after (median)"))
    return html(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{_way(repaired)}")


def _delay(heard: Heard) -> str:
    return "–" if heard.median_ms is None else duration(heard.median_ms)


def _way(repaired: Mapping[str, Heard | None]) -> str:
    file, calls = repaired.get(SQLITE), repaired.get(REDIS)
    if file is None or file.median_ms is None:
        return ""
    if calls is None or calls.median_ms is None:
        says = (
            "A file cannot call: each worker looks into it every 20 ms. Redis would call the workers itself; it is"
            " not installed here, so nothing is shown of it"
        )
    elif calls.median_ms < file.median_ms:
        says = "A file cannot call, so each worker looks into it every 20 ms; Redis calls every worker at once"
    else:
        says = "Redis calls the workers, a file does not; and still the file was no slower here. Run it again"
    return folded("What they do in that time", f"{says}.")


def once_in_words(broken: Sequence[Mail], repaired: Sequence[Mail], workers_ever: int) -> Any:
    """The mail of the start-up, before and after."""
    says = f"{workers_ever} workers started, one of them in the place of a killed one: <b>{len(repaired)}</b> mail"
    says += f"{'' if len(repaired) == 1 else 's'}, where it had been {len(broken)}."
    if len(repaired) == 1:
        return html(
            f"<p>{says}</p>" + folded("What it got back", "An empty list: the row was there, and nothing was put in.")
        )
    return html(f"<p>{says} That should have been one. Which row did each of them want to write?</p>")


# ------------------------------------------------------------------------------------------------- what sharing costs


def cost(measured: Mapping[str, LoadResult], *, bet: float | None = None) -> "Picture":
    """Visits per second of each kind of counter, against the one in memory."""
    from helpers.plots.versus import Variant, versus_plot

    users = next(iter(measured.values())).plan.users or 0
    variants = [Variant(name, per_s(result)) for name, result in measured.items()]
    return versus_plot("One worker that does nothing but count", variants, users=users, bet=bet)


def cost_in_words(measured: Mapping[str, LoadResult]) -> str:
    """What sharing costs a visit, and where it goes."""
    memory, file, times = measured[IN_MEMORY], measured[SQLITE], left(measured)
    if times is None:
        return void_in_words(memory, file)
    parts = [f"In SQLite: {_of_memory(times)}."]
    thread = gain(memory, measured.get(THREAD))
    if thread is not None and times < ROUGHLY:
        parts.append(_thread(thread, times))
    redis = gain(memory, measured.get(REDIS))
    if redis is not None:
        parts.append(f"With Redis, another process that is asked through a socket: {_of_memory(redis)}.")
    elif REDIS not in measured:
        parts.append("What Redis costs is not shown: it is not installed here.")
    more = cost_ms(measured)
    if more is not None:
        parts.append(
            f"As time: a visit keeps the worker for {duration(1000 / (per_s(file) or 1))} instead of"
            f" {duration(1000 / (per_s(memory) or 1))}. For an endpoint that does nothing else this is much. For yours?"
        )
    return " ".join(parts)


def left(measured: Mapping[str, LoadResult]) -> float | None:
    """What SQLite leaves of the visits per second in memory, as a share; None where it was void."""
    return gain(measured[IN_MEMORY], measured[SQLITE])


def _thread(thread: float, times: float) -> str:
    """How much of what SQLite costs is the thread in which it is asked; both as shares of the visits in memory."""
    says = (
        "Its driver blocks, so the endpoint is <code>def</code>, and a <code>def</code> that asks nobody at all has"
        f" {percent(min(thread, 1.0))}"
    )
    part = (1 / thread - 1) / (1 / times - 1)  # of the additional time
    if part >= 1:
        return f"{says}: so it is the thread that costs, and next to nothing is the database."
    return f"{says}: so {'most' if part > 0.5 else 'a part'} of the cost is the thread, and the rest the database."


def _of_memory(times: float) -> str:
    if times >= 1:
        return "as many visits per second as in memory, or more"
    return f"{percent(times)} of the visits per second in memory"


def cost_ms(measured: Mapping[str, LoadResult]) -> float | None:
    """How much longer a visit to SQLite keeps the worker than one in memory; None where nothing was measured."""
    memory, file = per_s(measured[IN_MEMORY]), per_s(measured[SQLITE])
    return None if memory is None or file is None else max(0.0, 1000 / file - 1000 / memory)


def response_table(measured: Mapping[str, LoadResult]) -> Any:
    """Response times and the verdict of each measurement."""
    cell = 'style="text-align:left;padding:.3em 1em"'
    body = ""
    for name, result in measured.items():
        void = result.verdict == "void"
        told = ["–", "–"] if void else [shown(result.p50_ms), shown(result.p95_ms)]
        row = "".join(f"<td {cell}>{each}</td>" for each in (*told, result.verdict))
        body += f'<tr><th scope="row" {cell}>{name}</th>{row}</tr>'
    names = ("", "half of the visits within (p50)", "95 % within (p95)", "self-check")
    head = "".join(f'<th scope="col" {cell}>{name}</th>' for name in names)
    return html(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")


def to_reckon_with(measured: Mapping[str, LoadResult]) -> float:
    """The cost that exercise 08.3 starts from, in ms: the measured one, or an example; it says which."""
    more = cost_ms(measured)
    if more:
        print(f"cost_ms = {more:.2f}")
        return round(more, 2)
    print(f"cost_ms = {EXAMPLE_MS:g}  (an example: nothing could be measured here)")
    return EXAMPLE_MS
