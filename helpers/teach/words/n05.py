"""Notebook 05: the sentences and pictures of its rounds, chosen by the numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any

from helpers.load.result import LoadResult
from helpers.server.stacks import Stacks
from helpers.teach.kinds import KINDS, Held, cores_of, gain, per_s
from helpers.teach.outcomes import GAIN_FROM, NO_GAIN_BELOW, VOID
from helpers.teach.predict_table import Line
from helpers.teach.widgets import html

if TYPE_CHECKING:
    from helpers.plots.picture import Picture

SAME, TWICE = "about the same", "about twice"
LESS, BETWEEN, MORE = "clearly fewer", "something between", "more than twice"
ANSWERS = ((LESS, 0.5), (SAME, 1.0), (TWICE, 2.0))
LESS_BELOW, TWICE_AT_MOST = 0.8, 3.0
ONE_CORE_OF = "How many cores were there for the second worker?"
TWO_CORES = "What could two workers on two cores take from each other?"
IN_THE_WAY = "What do requests that wait take from each other?"
LINES = (
    Line("async work", (TWO_CORES, "Two workers, two cores: how many cores' worth of CPU is that?", ONE_CORE_OF)),
    Line(
        "def work",
        (TWO_CORES, "The threads of one worker share one lock. How many such locks have two workers?", ONE_CORE_OF),
    ),
    Line(
        "awaiting",
        (IN_THE_WAY, "Which worker got how many connections?", "How many of the 16 did the one worker hold already?"),
    ),
    Line("blocking in async def", (IN_THE_WAY, "Does sleeping need a core?", "Which worker got how many connections?")),
    Line(
        "blocking in def",
        (IN_THE_WAY, "What else had changed?", "How many threads has one worker, and how many users are there?"),
    ),
    Line(
        "shared downstream",
        (IN_THE_WAY, "Was it the four that limited it?", "Where is the queue: before the workers, or behind?"),
    ),
    Line(
        "native code",
        (
            "How many cores did it find free?",
            "What do two do to each other that use the same cores?",
            "How many cores did ONE worker use?",
        ),
    ),
)
BLOCKS_S = 0.1  # every waiting endpoint of the demo waits so long


# -------------------------------------------------------------------------------------------------- any measurement


def void_in_words(*results: LoadResult | None) -> str:
    """Why there is no number."""
    reasons = [why for result in results if result is not None and result.verdict == "void" for why in result.reasons]
    return f"This {VOID}: {escape(reasons[0])}" if reasons else f"This {VOID}."


def in_words(times: float | None) -> str:
    """The answer of the prediction table that a gain bears out, or words for none of them."""
    if times is None:
        return VOID
    if times < LESS_BELOW:
        return LESS
    if times < NO_GAIN_BELOW:
        return SAME
    if times < GAIN_FROM:
        return BETWEEN
    return TWICE if times <= TWICE_AT_MOST else MORE


def right(one: Mapping[str, LoadResult], two: Mapping[str, LoadResult]) -> dict[str, str]:
    """For each kind, what the second worker brought, in words."""
    return {kind: in_words(gain(one.get(path), two.get(path))) for kind, path in KINDS.items()}


def timeline(result: LoadResult, *, length_ms: float = 600.0) -> "Picture | Any":
    """Every request of that load test; words where it was void."""
    from helpers.plots.timeline import timeline_plot

    if result.verdict == "void":
        return html(f"<p>{void_in_words(result)}</p>")
    # a blocked worker still has requests from the warm-up in hand: with them, nothing in the picture is missing
    began_ns = int(result.records["intended_ns"].min())
    frame = replace(result, t0_ns=began_ns).frame()
    moments = [name for name in frame.columns if name.endswith("_s")]
    frame[moments] -= (result.t0_ns - began_ns) / 1e9
    return timeline_plot(frame, start_ms=0.0, length_ms=length_ms, workers=list(result.worker_answers))


def cpu_time(results: Mapping[str, LoadResult]) -> "Picture | Any":
    """Where the CPU time of these load tests went; words where none was measured."""
    from helpers.plots.cpu import cpu_entry, cpu_plot

    cpus = {label: each.cpu for label, each in results.items() if each.verdict != "void" and each.cpu is not None}
    if not cpus:
        return html(f"<p>{void_in_words(*results.values())}</p>")
    found = [(label, cpu) for label, cpu in cpus.items() if cpu is not None]
    return cpu_plot([cpu_entry(label, cpu) for label, cpu in found], cores=found[0][1].cores)


def versus(title: str, results: Mapping[str, LoadResult], *, bet: float | None = None) -> "Picture":
    """Bars of answers per second, against the first."""
    from helpers.plots.versus import Variant, versus_plot

    users = next(iter(results.values())).plan.users or 0
    return versus_plot(title, [Variant(name, per_s(each)) for name, each in results.items()], users=users, bet=bet)


# ------------------------------------------------------------------------------------------- a: blocking, on one core


def where(pinned: bool) -> str:
    """The cores of the first bet, for its question."""
    return "held to ONE core" if pinned else "on all cores (this system cannot hold them to one)"


def blocked_in_words(result: LoadResult, *, pinned: bool) -> str:
    """Two workers that block, on one core."""
    rate, used = per_s(result), cores_of(result)
    if rate is None:
        return void_in_words(result)
    alone, two = 1 / BLOCKS_S, 2 / BLOCKS_S
    users = result.plan.users or 0
    cpu = "" if used is None else f" Together the workers used {used:.2f} cores' worth of CPU."
    core = "one core is enough for two that sleep" if pinned else "sleeping needs no core"
    if rate < (alone + two) / 2:
        return (
            f"{rate:.0f} answers per second: hardly more than one worker gives, {alone:.0f}.{cpu} Look at the lanes:"
            " did one worker get all connections? Then run it once more."
        )
    if rate > GAIN_FROM * two:
        return (
            f"{rate:.0f} answers per second: more than {two:.0f}, so these calls did not stop their workers."
            f"{cpu} What would have to be true? Look at the lanes: how many at once?"
        )
    return (
        f"{rate:.0f} answers per second. A call keeps its whole worker for {BLOCKS_S * 1000:.0f} ms, so a worker gives"
        f" at most {alone:.0f}; two workers sleep side by side, and {core}.{cpu} The second worker did help - and the"
        f" other users wait while nobody works: {users / rate:.1f} s on average ({users} users divided by {rate:.0f}),"
        " but not in turn. Some rows stay pale all the time."
    )


def line_in_words(seen: Mapping[str, Sequence[Stacks]]) -> Any:
    """For each path: in which line of the app the event loop's thread stood, and in how many of the looks."""
    lines = []
    for path, looks in seen.items():
        own = [look.own for look in looks if look.own is not None]
        if not own:
            what = "in no line of the app. It waits for the next event, and is free"
        else:
            frame = max(own, key=lambda each: sum(each.place == other.place for other in own))
            times = sum(frame.place == other.place for other in own)
            source = f": <code>{escape(frame.source)}</code>" if frame.source else ""
            what = f"{times} times in <b>{escape(frame.place)}</b>, <code>{escape(frame.function)}()</code>{source}"
        lines.append(f"<li><code>{escape(path)}</code>, {len(looks)} looks: the event loop's thread stood {what}.</li>")
    way = next((look.by for looks in seen.values() for look in looks), None)
    read = {"py-spy": "py-spy, from outside", "faulthandler": "faulthandler: the worker wrote it itself"}
    return html(f"<ul>{''.join(lines)}</ul>" + (f"<p>(Read by {read[way]}.)</p>" if way else ""))


# --------------------------------------------------------------------------------------------- b: delete one word


def word_in_words(one: Mapping[str, LoadResult]) -> str:
    """The blocking call in async def against the same in def."""
    blocked, threads = one["/blocking"], one["/blocking-def"]
    times, users = gain(blocked, threads), blocked.plan.users or 0
    if times is None:
        return void_in_words(blocked, threads)
    rates = f"{per_s(blocked):.0f} answers per second with `async`, {per_s(threads):.0f} without: {times:.1f} times"
    rates = rates.replace("`async`", "<code>async</code>")
    if times < NO_GAIN_BELOW:
        return f"{rates}. So the word made no difference here. What would have to be true? Look at the two timelines."
    return (
        f"{rates}, with {users} users. With <code>async</code> the call runs <i>in</i> the event loop, and while it"
        " sleeps nobody else is served. Without it FastAPI puts each call into a thread of its own (a worker has 40 of"
        " them), and the loop stays free. So it is not <code>async def</code> that keeps code from blocking: only"
        " <code>await</code> does."
    )


# ------------------------------------------------------------------------------------------------- c: downstream


def downstream_in_words(one: LoadResult, two: LoadResult) -> str:
    """Twice the workers before a service that admits four."""
    times = gain(one, two)
    if times is None:
        return void_in_words(one, two)
    says = f"{per_s(one):.0f} answers per second with one worker, {per_s(two):.0f} with two: {times:.2f} times."
    if times < NO_GAIN_BELOW:
        return f"{says} The workers do nothing but wait for somebody else; twice as many wait no faster."
    used = cores_of(one)
    busy = "" if used is None else f" One worker used {used:.2f} cores' worth: was it busy itself, so that two helped?"
    return f"{says} That is a gain.{busy} Look once more on a quiet machine."


def queue_in_words(api: Held, downstream: Held, *, admits: int) -> Any:
    """Where the requests are, by the servers' own counts."""
    waiting = max(0, round(downstream.usual) - admits)
    lines = [
        f"<li>in the hands of the API's workers: usually <b>{api.usual:.0f}</b></li>",
        f"<li>of these handed on to the downstream service: usually <b>{downstream.usual:.0f}</b>,"
        f" and it works on {admits} at a time</li>",
    ]
    if waiting:
        end = f"So about <b>{waiting}</b> wait <i>there</i>: behind your workers, where a further worker cannot help."
    else:
        end = "This time hardly anybody waited there. Was it disturbed? Run the cell once more."
    return html(f"<ul>{''.join(lines)}</ul><p>{end}</p>")
