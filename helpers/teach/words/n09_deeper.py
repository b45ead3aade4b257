"""Notebook 09, going deeper: workers that hang or are recycled, a deploy behind a proxy, who gets the request."""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from helpers.incident.result import Incident
from helpers.load.latency import shown
from helpers.plots.picture import count
from helpers.teach.operate import Burst
from helpers.teach.outcomes import VOID
from helpers.teach.widgets import folded, html, rendered
from helpers.teach.words.n09 import done, lost_in_words, void_of, why_lost

if TYPE_CHECKING:
    from helpers.plots.picture import Picture

LEFT_OUT = "Left out: at the quick pace, or since a program for it is not installed here."
REUSE_PORT, NGINX = "gunicorn, reuse_port", "nginx least_conn"
BLOCK, STOP = "a request that blocks", "SIGSTOP"
TITLE = "What the picture shows"
UNEVEN_FROM = 0.65  # of a burst, at one of two workers
EVEN_UP_TO = 0.55
SLOWER_FROM = 1.25  # a longer time than another one
A_START_S = 1.0


def shown_or_left_out(incident: Incident | None, title: str) -> Any:
    """The picture of an incident; a sentence where it was left out."""
    return html(f"<p>{LEFT_OUT}</p>") if incident is None else incident.picture(title)


def pictures(incidents: Mapping[str, Incident]) -> Any:
    """The pictures of several incidents, one below the other; a sentence where they were left out."""
    if not incidents:
        return html(f"<p>{LEFT_OUT}</p>")
    return html("".join(rendered(each.picture(name)) for name, each in incidents.items()))


# ------------------------------------------------------------------------------------------- restart, seen twice more


def awaited_in_words(awaited: Incident | None) -> Any:
    """Folded: what a rolling restart does to requests that wait in an event loop."""
    title = "What was lost, and why"
    if awaited is None:
        return html(folded(title, LEFT_OUT))
    if void := void_of(awaited):
        return html(folded(title, void))
    text = why_lost(awaited)
    if not awaited.lost:
        text += (
            " The connections were kept, as before. But here the event loop is free while a request waits, and reads"
            " what comes within moments: nothing lay unread when the worker went. What it had begun, it finished."
        )
    return html(folded(title, text))


def deployed_in_words(deployed: Incident | None) -> Any:
    """Folded: what the visitors noticed of a deploy behind a proxy."""
    if deployed is None:
        return html(folded(TITLE, LEFT_OUT))
    if void := void_of(deployed):
        return html(folded(TITLE, void))
    most = max(number for _, number in deployed.crew)
    text = f"{why_lost(deployed)} For a while {most} workers were there, the old ones and the new ones. "
    if not deployed.lost:
        text += (
            "The visitors keep their connections to nginx, and nginx stays. It is nginx that has connections to the"
            " servers: it opens new ones to the new servers, and none was told to stop before it had nothing in hand."
        )
    return html(folded(TITLE, text))


# ---------------------------------------------------------------------------------------------------------- it hangs


def missing_s(incident: Incident, name: str) -> float | None:
    """How long after that act a worker was taken away, because of it; None where none was."""
    event = done(incident, name)
    if event is None:
        return None
    end_s = min([each.from_s for each in incident.events if each.from_s > event.from_s], default=float("inf"))
    drops = [at_s for (_, before), (at_s, number) in pairwise(incident.crew) if number < before]
    return next((at_s - event.from_s for at_s in drops if event.from_s <= at_s < end_s), None)


def hung_in_words(hung: Mapping[str, Incident]) -> Any:
    """Folded: which server noticed which kind of hanging, and what it cost."""
    if not hung:
        return html(folded(TITLE, LEFT_OUT))
    lines = []
    for name, each in hung.items():
        if void := void_of(each):
            lines.append(f"<li><b>{escape(name)}</b>: {void}</li>")
            continue
        told = "; ".join(f"{what}: {_noticed(each, act)}" for act, what in ((BLOCK, "blocked"), (STOP, "stopped")))
        longest = shown(each.result.max_ms)
        lines.append(f"<li><b>{escape(name)}</b>: {told}. Slowest request: {longest}; {lost_in_words(each.lost)}.</li>")
    if _is(hung, "uvicorn", blocked=False, stopped=True):
        lines.append(
            "<li>uvicorn's parent asks each worker over a pipe, and a <i>thread</i> of the worker answers: that"
            " thread is well while the event loop stands still, and is not when the whole process is stopped.</li>"
        )
    if _is(hung, "gunicorn", blocked=True, stopped=True):
        lines.append(
            "<li>gunicorn's worker must give a sign of life from its event loop within <code>timeout</code>: no sign,"
            " no worker. (A request that needs longer than that, and blocks, is killed with it.)</li>"
        )
    alarm = (
        "What a server does not notice, your alarm must: ask an endpoint that goes through the event loop, and look"
        " how long the answer takes."
    )
    return html(folded(TITLE, f"<ul>{''.join(lines)}</ul>{alarm}"))


def _is(hung: Mapping[str, Incident], name: str, *, blocked: bool, stopped: bool) -> bool:
    """Whether that server noticed just these kinds of hanging."""
    if name not in hung or void_of(hung[name]):
        return False
    return all((missing_s(hung[name], act) is not None) == is_so for act, is_so in ((BLOCK, blocked), (STOP, stopped)))


def _noticed(incident: Incident, act: str) -> str:
    after_s = missing_s(incident, act)
    return "nobody noticed" if after_s is None else f"its worker was ended after {after_s:.1f} s, and replaced"


# ---------------------------------------------------------------------------------------------------------- recycled


def alone_s(incident: Incident) -> tuple[float, float]:
    """For how long fewer workers served than at the beginning, and for how long nobody did (s)."""
    wanted, end_s = incident.crew[0][1], incident.result.duration_s
    fewer = nobody = 0.0
    for (since_s, number), until_s in zip(
        incident.crew, [*(at_s for at_s, _ in incident.crew[1:]), end_s], strict=True
    ):
        length_s = max(0.0, min(until_s, end_s) - min(since_s, end_s))
        fewer += length_s if number < wanted else 0.0
        nobody += length_s if number == 0 else 0.0
    return fewer, nobody


def recycled_in_words(recycled: Mapping[str, Incident]) -> Any:
    """Folded: how long the service was short of workers; of the second one the parent waits a second at most."""
    if not recycled:
        return html(folded(TITLE, LEFT_OUT))
    if void := void_of(*recycled.values()):
        return html(folded(TITLE, void))
    told, gaps, most = [], [], 0.0
    for name, each in recycled.items():
        fewer, nobody = alone_s(each)
        most = max(most, fewer)
        gaps.append(nobody)
        gone = f"nobody served for {nobody:.1f} s" if nobody else "somebody served all the time"
        told.append(
            f"<b>{escape(name)}</b>: a worker was missing for {fewer:.1f} s, {gone}; slowest request"
            f" {shown(each.result.max_ms)}, {lost_in_words(each.lost)}."
        )
    if not most:
        return html(folded(TITLE, "No worker came to its limit: was the load too short? Give it a longer one."))
    text = "<br>".join(told) + (
        "<br>A worker that has had its share of requests ends, only then the parent sees that one is missing, and the"
        " new one has to import the app. Two that share the requests evenly end together. So spread their ends, and"
        " have more workers than you need. (The limit here is tiny, to be seen at all.)"
    )
    if len(gaps) > 1 and gaps[0] > gaps[1] + A_START_S:
        text += (
            " And why so long? The parent asks its workers one after the other whether they live, and waits for the"
            " answer of one that is just ending, and cannot give it any more: up to"
            f" <code>timeout_worker_healthcheck</code>, 5 s by default. Until then it replaces nobody. With 1 s"
            f" nobody served for {gaps[-1]:.1f} s."
        )
    return html(folded(TITLE, text))


# ------------------------------------------------------------------------------------------------- who gets the request


def bursts_picture(bursts: Mapping[str, Sequence[Burst]]) -> "Picture":
    """How many of each burst the workers took."""
    from helpers.plots.burst import Try, burst_plot

    first = next(iter(bursts.values()))[0]
    even = sum(first.shares) / len(first.shares)
    servers = [
        (name, [Try(each.shares, each.slowest_s, each.failed) for each in tries]) for name, tries in bursts.items()
    ]
    return burst_plot(
        f"{sum(first.shares)} requests at one moment, {len(first.shares)} workers: who takes them?",
        "a bar per worker and try · dashed: an even share · at the right: the slowest request",
        servers,
        even=even,
    )


def bursts_in_words(bursts: Mapping[str, Sequence[Burst]], *, request_s: float) -> Any:
    """Folded: who shared evenly, who did not, and what that cost."""
    even, uneven = [], []
    for name, tries in bursts.items():
        shares = [each.shares[0] / max(1, sum(each.shares)) for each in tries]
        if max(shares) >= UNEVEN_FROM:
            uneven.append(f"{escape(name)} (up to {max(shares):.0%} on one worker)")
        elif max(shares) <= EVEN_UP_TO:
            even.append(escape(name))
    first = next(iter(bursts.values()))[0]
    ideal_s = sum(first.shares) / len(first.shares) * request_s
    slowest_s = max(each.slowest_s for tries in bursts.values() for each in tries)
    parts = []
    if uneven:
        parts.append(f"Unevenly shared: {', '.join(uneven)}.")
    if even:
        parts.append(f"About half and half in every try: {', '.join(even)}.")
    if slowest_s > SLOWER_FROM * ideal_s:
        parts.append(
            f"Shared evenly, the last answer would have come after {ideal_s:.1f} s; the worst try needed"
            f" {slowest_s:.1f} s, while the other worker stood idle."
        )
    parts.append(
        "Where all workers fetch from one socket, whoever wakes first takes what lies there, and nobody asks who is"
        " idle."
    )
    if REUSE_PORT in bursts:
        parts.append("With a socket for each (<code>--reuse-port</code>) the kernel throws a die per connection.")
    if NGINX in bursts:
        parts.append("A proxy with <code>least_conn</code> counts, and gives to whom has the least.")
    lucky = [escape(name) for name in bursts if name != NGINX and escape(name) in even]
    if lucky:
        parts.append(f"{', '.join(lucky)} came close without counting; try that again.")
    return html(folded(TITLE, " ".join(parts)))


def threads_in_words(times: Mapping[int, float | None], *, requests: int) -> Any:
    """Folded: what gunicorn's --threads did for an ASGI app."""
    if not times:
        return html(folded("What came out", LEFT_OUT))
    (few, few_s), (many, many_s) = times.items()
    if few_s is None or many_s is None:
        return html(folded("What came out", f"This {VOID}: not every request was answered."))
    told = f"{requests} requests took {few_s:.2f} s with {count(few, 'thread')} and {many_s:.2f} s with {many}."
    same = few_s < SLOWER_FROM * many_s
    why = (
        " No difference: the option is for gunicorn's <i>gthread</i> worker, which serves one request per thread. An"
        " ASGI worker has one event loop, and knows nothing of it."
        if same
        else " That is a difference: does this gunicorn's ASGI worker use threads after all?"
    )
    return html(folded("What came out", told + why))
