"""Notebook 07: its sentences and pictures, chosen by the numbers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from helpers.load.latency import shown
from helpers.load.result import LoadResult
from helpers.plots.picture import duration, short
from helpers.stall.result import Stall
from helpers.teach.outcomes import VOID
from helpers.teach.overload import Fate, response_over_time
from helpers.teach.together import Together
from helpers.teach.widgets import folded, html

if TYPE_CHECKING:
    from helpers.plots.picture import Picture

# The answers of the predictions; what was measured bears out one of them, or none clearly.
TENTH, ONE, NO_SAMPLE = (
    "about as large a share of them as the freeze is of the time",
    "one",
    "none: the mean hardly moves",
)
NOBODY, BEGUN, ALL = "none: nobody waits for them any more", "the few that were begun by then", "all 20"
THEY_WAIT, HALF, FEWER, NO_CODE = (
    "ten times 200: five are worked on, five wait",
    "five times 200, five times 503",
    "fewer than five times 200, the others 503",
    "ten times 503",
)
BETWEEN = "came out between the answers"
GROWS_FROM = 3.0  # last / first response of the open run
HELPS_FROM = 1.15  # goodput with a limit / without
SEEN_FROM = 0.05  # of the requests offered


def void_of(*results: LoadResult) -> str:
    """Why there is no number, of the first void run; empty where all are valid."""
    return next((f"This {VOID}: {each.reasons[0]}" for each in results if each.verdict == "void"), "")


# ------------------------------------------------------------------------------------------------- closed and open


def growth_picture(few: LoadResult, many: LoadResult, arrivals: LoadResult) -> "Picture":
    """The response time over the time of the load, a line for each of the three."""
    from helpers.plots.over_time import Panel, over_time_plot

    names = [f"{each.plan.users} users" for each in (few, many)] + [f"{arrivals.plan.rate_per_s:.0f} arrivals/s"]
    lines = {name: response_over_time(each) for name, each in zip(names, (few, many, arrivals), strict=True)}
    return over_time_plot(
        "The same worker, past its limit in two ways",
        "the median of each tenth of a second · lower is better",
        [Panel("response time (ms)", lines, height_in=2.6)],
        xlabel="when the request was meant to start (s since the load began)",
    )


def last_ms(arrivals: LoadResult) -> float | None:
    """How long the requests took with which the open load ended; None of a void run."""
    line = response_over_time(arrivals)
    return None if line is None or not len(line[1]) else float(line[1][-1])


def growth_in_words(few: LoadResult, many: LoadResult, arrivals: LoadResult, most: float) -> Any:
    """Folded: what the users and what the arrivals did."""
    line = response_over_time(arrivals)
    if void := void_of(few, many, arrivals):
        return html(folded("What the picture shows", void))
    assert line is not None
    rate = arrivals.plan.rate_per_s or 0.0
    first, last = float(line[1][0]), float(line[1][-1])
    closed = (
        f"With {few.plan.users} users the median was {shown(few.p50_ms)}, with {many.plan.users} users"
        f" {shown(many.p50_ms)}, from beginning to end: whoever waits sends nothing, so the line in front of the worker"
        " is never longer than the users are many."
    )
    told = f"{rate:.0f} arrivals per second went from {duration(first)} to {duration(last)}"
    if last > GROWS_FROM * first:
        open_ = (
            f"{told} in {arrivals.duration_s:.2g} s. Each second {rate - most:.0f} more come than the"
            f" {most:.0f} that leave, and nothing stops them. Twice the time, twice the wait: there is no “response"
            " time at this rate” to be told, only how long it went on."
        )
        if "steady" in warned(arrivals):
            open_ += (
                " The run's own check says that it “had not settled”: that is no flaw of the test, it is the point."
            )
    else:
        open_ = f"{told}: here it did not grow. Did the worker get faster meanwhile? Run the two cells again."
    return html(folded("What the picture shows", f"{closed}<br>{open_}"))


def warned(result: LoadResult) -> list[str]:
    """The names of the checks that warn of a run."""
    return [check.name for check in result.checks if check.verdict == "warn"]


# ------------------------------------------------------------------------------------------------------- the stall


def stall_right(seen: Stall) -> str:
    """Which answer the closed run bears out."""
    if seen.closed.void or not seen.closed.result.requests:
        return VOID
    bad, share = seen.closed.bad_samples, seen.closed.bad_samples / seen.closed.result.requests
    if bad <= 1:
        return ONE if bad else NO_SAMPLE
    return TENTH if share > 0.5 * seen.stall_s / seen.closed.result.duration_s else BETWEEN


def stall_in_words(seen: Stall) -> str:
    """What one stall did to both reports."""
    if seen.void:
        return f"This {VOID}: {seen.words()}"
    expected = seen.expected_ms(0.99)
    why = (
        f" While it waits, the closed user asks nothing: the requests that would have been slow were never sent. Of the"
        f" arrivals, {seen.open.stalled_s / seen.open.result.duration_s:.0%} fell into the stall; from that alone a p99"
        f" of {duration(expected)} follows. That a load tester waits together with those whom it measures, and leaves"
        " out what was slow, is called <b>coordinated omission</b>."
    )
    return seen.words() + (why if stall_right(seen) == ONE else " Run it again: a waiting user should meet it once.")


# -------------------------------------------------------------------------------------------------- abandoned work


def left_behind(told: Sequence[object], executed: int, *, after_s: float) -> Fate:
    """The clients who leave, as a bar: `told` holds a status code for each, or "left"."""
    answered = sum(code == 200 for code in told)
    return Fate(f"{len(told)} clients\nleave after {after_s:g} s", len(told), answered, 0, executed, after_s)


def executed_right(clients: Fate) -> str:
    """Which answer the server's own count bears out."""
    if clients.executed >= 0.9 * clients.offered:
        return ALL
    if clients.executed == 0:
        return NOBODY
    return BEGUN if clients.executed <= clients.in_time + 2 else BETWEEN


def abandoned_in_words(clients: Fate) -> str:
    """How many were executed, and for whom."""
    told = (
        f"{clients.in_time} of {clients.offered} clients got their answer, {clients.executed} requests were executed by"
        f" the server's own count."
    )
    if clients.for_nobody > 2:
        return (
            f"{told} So {clients.for_nobody} were executed for nobody. A request that has arrived stands in the line;"
            " that its client hung up, the worker could notice, but nothing asks it to look. <b>Throughput</b> counts"
            " what was executed, <b>goodput</b> what somebody still waited for."
        )
    return f"{told} Here next to nothing was done in vain: did the worker get to see the clients leave? Run it again."


# --------------------------------------------------------------------------------------------- limit_concurrency


def limit_right(ten: Together) -> str:
    """Which answer the status codes bear out."""
    codes = [answer.outcome for answer in ten.answers]
    served, refused = codes.count("ok"), codes.count("status 503")
    if served + refused < len(codes):
        return VOID
    return THEY_WAIT if not refused else HALF if served >= 5 else FEWER if served else NO_CODE


def ten_as_fate(ten: Together) -> Fate:
    """The ten as a bar."""
    codes = [answer.outcome for answer in ten.answers]
    served = codes.count("ok")
    longest_s = max(answer.done_ms for answer in ten.answers) / 1e3
    return Fate(f"{len(codes)} at once,\nlimit 5", len(codes), served, codes.count("status 503"), served, longest_s)


def limit_in_words(ten: Together) -> str:
    """Whether anything waited, from the list of status codes."""
    found, bar = limit_right(ten), ten_as_fate(ten)
    if found == VOID:
        return f"This {VOID}: not every request got an answer."
    if found == THEY_WAIT:
        return (
            "All ten were answered, and none was refused: here the limit did let the others wait, or they did not come"
            " at the same moment. Look at when they were sent, and run it again."
        )
    soon = min(a.done_ms for a in ten.answers if a.outcome == "status 503")
    return (
        f"{bar.in_time} were answered, {bar.refused} got a 503, the first after {duration(soon)}: not one waited. The"
        " option does not queue, it refuses. Five of what are its limit: of requests in hand?"
    )


def first_refused(codes: Sequence[int]) -> int | None:
    """Which client in turn was the first to get a 503; None where all were let in."""
    return codes.index(503) + 1 if 503 in codes else None


def idle_in_words(codes: Sequence[int], freed_s: float, *, limit: int, keep_alive_s: float) -> Any:
    """Folded: what the limit counts, and for how long a silent client holds a place."""
    turn = first_refused(codes)
    if turn is None:
        text = "Nobody was refused: here idle connections do not count. Which version of uvicorn is this?"
    else:
        text = (
            f"Client {turn} was refused, although nobody but this client wanted anything: {turn - 1} <i>idle</i>"
            f" connections were open, and its own made {turn}. So it is not requests alone: uvicorn refuses as soon"
            f" as {limit} connections are open <i>or</i> {limit} requests are in hand. The idle ones gave their"
            f" places back after {freed_s:.1f} s: that is what"
            f" <code>timeout_keep_alive={keep_alive_s:g}</code> says (5 by default)."
        )
    return html(folded("What it counts", text))


def limit_did(without: Fate, limited: Fate) -> str:
    """What a limit did to the useful answers: it "refused nobody", "helped", or "did not help"."""
    if limited.refused < SEEN_FROM * limited.offered:
        return "refused nobody" if not limited.refused else "refused next to nobody"
    return "helped" if limited.useful_per_s > HELPS_FROM * without.useful_per_s else "did not help"


def fates_in_words(fates: Sequence[Fate], most: float) -> Any:
    """Folded: what the limit did to the goodput."""
    title, (without, limited) = "What the picture shows", fates
    if without.void or limited.void:
        return html(folded(title, f"This {VOID}: {without.void or limited.void}"))
    told = f"Without a limit {short(without.useful_per_s)} useful answers per second"
    if without.for_nobody > SEEN_FROM * without.offered:
        told += (
            f", while the worker was busy all the time: {without.for_nobody:,} of {without.offered:,} requests were"
            " executed for nobody, and from the moment on in which the line was longer than the clients' patience, all"
            f" of them. So this number is one of {without.duration_s:.2g} s: it goes towards 0 with every further"
            " second. "
        )
    else:
        told += ", and next to nothing was executed for nobody: the line was not longer than the clients' patience. "
    told += f"With the limit {short(limited.useful_per_s)} per second, of the {most:.0f} it can do."
    if max(each.useful_per_s for each in fates) > most:
        told += f" (More than it can do? The {most:.0f} were measured apart, in a short run of users who wait.)"
    did = limit_did(without, limited)
    if did == "helped":
        told += " Those who are refused know it at once, those who are let in are answered in time: <b>fail fast</b>."
    elif did == "did not help":
        told += " Here refusing did not help much. Was the line longer than the clients' patience? Look at the bars."
    else:
        told += f" That limit {did}: it did nothing here, and the two bars should be the same."
    return html(folded(title, told))
