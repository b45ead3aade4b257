"""Notebook 08: the sentences and pictures of its second part, "Going deeper"."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from helpers.plots.picture import duration
from helpers.teach.memory import Reading
from helpers.teach.predict_table import Line
from helpers.teach.shop import Mail, Reply, Wrong
from helpers.teach.widgets import folded, html
from helpers.teach.words.n08_repairs import NO_REDIS

if TYPE_CHECKING:
    from helpers.plots.picture import Picture

NEVER, SOMETIMES, ALWAYS = "never", "some of the time", "every time"
ANSWERS = ((NEVER, 0.0), (SOMETIMES, 0.5), (ALWAYS, 1.0))
LINES = (
    Line("cache", ("Whose cache did the change empty?", "How many caches were emptied?", "Whose cache was emptied?")),
    Line(
        "rate limiter",
        (
            "Who counts the searches that the other worker let through?",
            "How many did each worker let through?",
            "How many searches may one worker let through?",
        ),
    ),
    Line(
        "session",
        (
            "Did each page come through the same connection?",
            "Which worker knew the cookie?",
            "Who had let you in?",
        ),
    ),
    Line(
        "scheduler",
        (
            "Which processes have that clock?",
            "How many clocks were running?",
            "Which of two letters is the one too many?",
        ),
    ),
)
ONE, TWO, SQLITE, REDIS = "one worker", "two workers", "two, with SQLite", "two, with Redis"
COPIED_FROM, SHARED_BELOW = 1.5, 1.3  # times a model is in memory, with two workers

Memory = Mapping[str, tuple[Reading, Reading]]  # way to bring the model there -> all processes without it, and with it
Found = Mapping[str, Mapping[str, Wrong] | None]  # variant -> thing -> what was wrong; None: not to be had here


# ------------------------------------------------------------------------------------------------------------ four more


def four(found: Found, bets: Mapping[str, float]) -> "Picture":
    """What goes wrong with each of the four, in each variant."""
    from helpers.plots.wrong import Group, wrong_plot

    groups = [
        Group(line.kind, {name: None if each is None else each[line.kind] for name, each in found.items()})
        for line in LINES
    ]
    what = "share of the answers, searches let through, pages, letters"
    return wrong_plot("Four more variables: what goes wrong", groups, what=what, bets=bets, bets_on=TWO)


def four_right(found: Found) -> dict[str, str]:
    """For each of the four, the answer that two workers bear out."""
    broken = found[TWO] or {}
    return {line.kind: _in_words(broken[line.kind]) for line in LINES if line.kind in broken}


def _in_words(found: Wrong) -> str:
    return NEVER if not found.wrong else ALWAYS if found.wrong == found.of else SOMETIMES


def four_in_words(found: Found) -> str:
    """The four breaks as numbers, and whether the repairs hold."""
    two = {line.kind: (found[TWO] or {})[line.kind] for line in LINES}
    parts = [
        f"Two workers: {two['cache']} prices were old ones; {two['rate limiter']} searches let through were too many;"
        f" {two['session']} pages asked to log in again; {two['scheduler']} letters were one too many."
    ]
    if any(each.wrong == 0 for each in two.values()):
        parts.append("Where nothing went wrong, chance brought all requests to one worker: run it again.")
    else:
        parts.append("It is one and the same break, four times: a variable of which there are two.")
    for name in (SQLITE, REDIS):
        repaired = found.get(name)
        if repaired is None:
            parts.append(f"{name.removeprefix('two, with ')}: {NO_REDIS}.")
            continue
        bad = [kind for kind, each in repaired.items() if each.wrong]
        what = "all four are right" if not bad else f"still wrong: {', '.join(bad)}; run it again"
        parts.append(f"{name.removeprefix('two, with ')}: {what}.")
    return " ".join(parts)


def connections_in_words(found: Found) -> Any:
    """The same session on new connections and on one that is kept."""
    two = found[TWO] or {}
    new, kept = two["session"], two["one connection"]
    says = (
        f"A new connection for each page: the workers answered {_and(new.by_worker)} pages, and {new} asked to log in"
        f" again. One connection: {_and(kept.by_worker)} pages, and {kept}."
    )
    if kept.wrong == 0 and new.wrong:
        why = (
            "A connection stays with its worker. Who tries it out by hand, with one browser, may see nothing wrong"
            " until the connection is opened anew."
        )
    else:
        why = "Did chance bring all of them to one worker? Run it again."
    return html(f"<p>{says}</p>" + folded("What happened here", why))


def _and(numbers: Sequence[int]) -> str:
    return " and ".join(map(str, numbers))


# --------------------------------------------------------------------------------------------------------- the handover


def letters(sent: Sequence[Mail], killed: Mapping[int, float]) -> "Picture":
    """The newsletters over time, and the death of the one who sent them."""
    from helpers.plots.outbox import outbox_plot

    return outbox_plot("The newsletter: who has the lease", sent, ends=killed)


def handover_in_words(sent: Sequence[Mail], killed: Mapping[int, float], *, every_s: float) -> Any:
    """How long nobody sent anything, and whether two ever did at a time."""
    title = "What happened here"
    (gone, end_s), senders = next(iter(killed.items())), list(dict.fromkeys(mail.pid for mail in sent))
    after = [mail.at_s for mail in sent if mail.at_s > end_s and mail.pid != gone]
    before = [mail.at_s for mail in sent if mail.at_s <= end_s]
    if not after or not before:
        return html(folded(title, "Nobody took over within that time. Run it again."))
    gap_ms, lease_ms = 1000 * (after[0] - before[-1]), 3000 * every_s
    says = (
        f"Worker {gone} sent the letters, until it was killed. The next one came {duration(gap_ms)} after its last,"
        f" from another: the lease lasts {duration(lease_ms)}, and whoever asks next has it."
    )
    if len(senders) > 2 or any(mail.pid != gone for mail in sent if mail.at_s <= end_s):
        return html(folded(title, f"{says} Before that others had sent letters, too: look at the lanes."))
    return html(
        folded(
            title,
            f"{says} At no time did two send, in this run. It can happen: a worker gets the lease, is held up for"
            " longer than it lasts, and then sends. It is a trade-off: a long lease is a long silence after a death, a"
            " short one is lost by a worker that is only slow.",
        )
    )


# ------------------------------------------------------------------------------------------------------------ the model


def models_in_words(memory: Memory, *, model_mib: float) -> Any:
    """How many times the model is in memory, in each way to bring it there."""
    if not memory:
        return html("<p>Left out at the quick pace.</p>")
    many = times_in_memory(memory, model_mib=model_mib)
    lines = []
    for name, (plain, loaded) in memory.items():
        times = many[name]
        if times is None or plain.pss_mib is None or loaded.pss_mib is None:
            return html("<p>This system does not tell the PSS, so nobody can say how often the model is in memory.</p>")
        once = "once for both" if plain.workers > 1 else "once"
        what = "once per worker" if times >= COPIED_FROM else once if times <= SHARED_BELOW else "in between"
        lines.append(
            f"<li>{escape(name)}: all processes together {loaded.pss_mib:.0f} MiB, without the model"
            f" {plain.pss_mib:.0f}. So it is in memory <b>{times:.1f} times</b>: {what}.</li>"
        )
    return html(
        f"<p>The model has {model_mib:.0f} MiB. By the sum of the PSS (a shared page counts once):</p>"
        f"<ul>{''.join(lines)}</ul>"
    )


def times_in_memory(memory: Memory, *, model_mib: float) -> dict[str, float | None]:
    """What the model adds to the sum of the PSS, as a multiple of its size; None where the system does not tell."""
    return {
        name: None if plain.pss_mib is None or loaded.pss_mib is None else (loaded.pss_mib - plain.pss_mib) / model_mib
        for name, (plain, loaded) in memory.items()
    }


# ------------------------------------------------------------------------------------------------------- in trouble


def replies(told: Mapping[str, Reply]) -> Any:
    """What was asked when, what the answer was, and after how long; words for nothing."""
    if not told:
        return html(f"<p>Not shown: {NO_REDIS}.</p>")
    cell = 'style="text-align:left;padding:.3em 1em"'
    body = ""
    for when, each in told.items():
        values = [f"<code>{escape(each.request)}</code>", each.status, escape(each.said), duration(1000 * each.after_s)]
        row = "".join(f"<td {cell}>{value}</td>" for value in values)
        body += f'<tr><th scope="row" {cell}>{escape(when)}</th>{row}</tr>'
    head = "".join(f'<th scope="col" {cell}>{name}</th>' for name in ("", "asked", "status", "said", "after"))
    return html(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")


def locked_in_words(told: Mapping[str, Reply], *, patience_s: float) -> Any:
    """Whether writers waited and readers did not, while the database was locked."""
    free, write, read, after = told.values()
    if write.status != 503 or read.status != 200 or free.status != 200 or after.status != 200:
        return html("<p>That is not what one expects of a locked database: look at the table, and run it again.</p>")
    says = (
        f"The visit waited {duration(1000 * write.after_s)} for the writer, as long as it was told to"
        f" ({patience_s:g} s), and was then refused with a reason, so that the client may come again. Reading took"
        f" {duration(1000 * read.after_s)} meanwhile: in WAL mode one writes while others read."
    )
    return html(folded("What happened here", says))


def gone_in_words(told: Mapping[str, Reply]) -> Any:
    """What becomes of a visit when the shared place is gone."""
    if not told:
        return html("")
    before, after = told.values()
    if before.status == 200 and after.status == 503:
        says = "The workers live, and cannot count: what all share, all lose together. The client is told so at once,"
        says += (
            " because nobody listens there any more, and the app catches that error. A Redis that hangs would need a"
        )
        return html(folded("What happened here", f"{says} time-out; that is not tried here."))
    return html("<p>That is not what one expects of a Redis that has ended: look at the table, and run it again.</p>")
