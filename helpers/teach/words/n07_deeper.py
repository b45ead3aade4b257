"""Notebook 07, going deeper: the words and pictures of the storm, of the door, and of queueing theory."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from helpers.load.result import LoadResult
from helpers.plots.laws_plot import wait_in_services
from helpers.plots.picture import count, percent, short
from helpers.server.backlog import Backlog
from helpers.teach.outcomes import VOID
from helpers.teach.overload import Fate, Knock, attempts_per_s, useful_per_s
from helpers.teach.widgets import folded, html
from helpers.teach.words.n07 import HELPS_FROM, limit_did

if TYPE_CHECKING:
    from helpers.plots.picture import Picture

BACK_FROM = 0.7  # useful answers / arrivals
PIECE_S = 0.25
LEAST_LEFT_S = 0.4
LATE_S = 0.1  # a busy machine sends the last retries a little later
ABOUT = 1.1  # twice half of what it can do is what it can do, give or take
TWICE = 2.0
LEFT_OUT = "Left out at the quick pace."


# -------------------------------------------------------------------------------------------------------- the storm


def peak_of(result: LoadResult) -> tuple[float, float]:
    """From when to when the second of the three stages lasted (s)."""
    (_, before_s), (_, peak_s), _ = result.plan.stages
    return before_s, before_s + peak_s


def recovered_s(result: LoadResult) -> float | None:
    """How long after the peak most arrivals are answered in time again, for good; None: not before the load ended."""
    line = useful_per_s(result, every_s=PIECE_S)
    if line is None:
        return None
    end_s, calm = peak_of(result)[1], result.plan.stages[-1][0]
    moments, useful = line
    late = [float(at) for at, value in zip(moments, useful, strict=True) if at > end_s and value < BACK_FROM * calm]
    after_s = max(late, default=end_s) - end_s + (PIECE_S / 2 if late else 0.0)
    left_s = result.duration_s - end_s
    return None if after_s > left_s - 1.5 * PIECE_S else after_s


def storm_picture(storm: Mapping[str, LoadResult], most: float) -> "Picture":
    """What was sent and what was of use over time, with and without retries."""
    from helpers.plots.over_time import Panel, over_time_plot

    sent = {name: attempts_per_s(result, every_s=PIECE_S) for name, result in storm.items()}
    useful = {name: useful_per_s(result, every_s=PIECE_S) for name, result in storm.items()}
    begin_s, end_s = peak_of(next(iter(storm.values())))
    return over_time_plot(
        "A short peak, with and without retries",
        "per second · a client gives up after 0.3 s",
        [
            Panel("attempts sent", sent, (most, "what the worker can do"), 1.8),
            Panel("answers in time (higher is better)", useful, None, 1.8),
        ],
        xlabel="s since the load began",
        span=(begin_s, end_s, "peak"),
    )


def still_sent(result: LoadResult) -> tuple[float, bool]:
    """Attempts per second at the end, and whether they are all of visitors who came after the peak.

    A visitor of the peak goes on asking for as long as all attempts and the pauses between them take.
    """
    retry, peak_s = result.plan.retry, peak_of(result)[1]
    asking_s = 0.0 if retry is None else LATE_S + retry.times * (result.plan.timeout_s + retry.after_s)
    alone = result.duration_s - peak_s - asking_s >= LEAST_LEFT_S
    from_s = peak_s + asking_s if alone else max(peak_s, result.duration_s - LEAST_LEFT_S)
    intended_s = (result.window["intended_ns"] - result.t0_ns) / 1e9
    return float((intended_s >= from_s).sum() / (result.duration_s - from_s)), alone


def storm_in_words(storm: Mapping[str, LoadResult], most: float) -> Any:
    """Folded: who recovered, and who kept the load up; the first is without retries."""
    title = "What the picture shows"
    for result in storm.values():
        if result.verdict == "void":
            return html(folded(title, f"This {VOID}: {result.reasons[0]}"))
    (_, none), *others = storm.items()
    patient = recovered_s(none)
    said = "did not recover before the load ended" if patient is None else f"was back {patient:.1f} s after the peak"
    told = [f"Without retries the service {said}."]
    told += [_with_retries(name, result, most) for name, result in others]
    return html(folded(title, "<br>".join(told)))


def _with_retries(name: str, result: LoadResult, most: float) -> str:
    calm, stormy, retry = result.plan.stages[-1][0], recovered_s(result), result.plan.retry
    times = retry.times if retry is not None else 0
    if stormy is not None:
        told = f"{name}: back {stormy:.1f} s after the peak. {calm:.0f} new requests per second"
        if (times + 1) * calm <= ABOUT * most:
            return (
                f"{told} become {(times + 1) * calm:.0f} attempts at most, and the worker can do {most:.0f}: so few"
                " retries cannot keep it over its limit."
            )
        return (
            f"{told} could have become {(times + 1) * calm:.0f} attempts, more than the {most:.0f} it can do; but not"
            " enough of them failed for that. Was the peak too short for a storm?"
        )
    still, alone = still_sent(result)
    told = (
        f"{name}: not back before the load ended. {calm:.0f} new requests per second, half of what the worker can do,"
    )
    told += f" became {still:.0f} attempts"
    told += (
        " at the end, when nobody of the peak asks any more" if alone else " (those of the peak's visitors included)"
    )
    if most <= ABOUT * still and still <= ABOUT * most:
        return (
            f"{told}: about the {most:.0f} it can do. So the line that the peak left never gets shorter, and everybody"
            " goes on being late. At half load a single retry is enough to keep a storm alive, if only just."
        )
    if still > most:
        return (
            f"{told}: more than the {most:.0f} it can do. So it stays too late for everybody, so everybody retries: the"
            " cause is gone and the trouble keeps itself alive. Such a state is called <b>metastable</b>; it ends when"
            " somebody stops asking, not when the peak ends."
        )
    return f"{told}. That is no more than it can do: give it a longer end, and see whether it comes back."


# ------------------------------------------------------------------------------------------------- the default loop


def default_loop_picture(default: Sequence[Fate], most: float) -> Any:
    """What became of the requests on the default loop; a sentence where it was left out."""
    from helpers.plots.fate import fate_plot

    return fate_plot(default, most_per_s=most) if default else html(f"<p>{LEFT_OUT}</p>")


def default_loop_in_words(default: Sequence[Fate], asyncio: Sequence[Fate]) -> Any:
    """Folded: what the limit did on the default loop, compared with what it did on the one that serves in turn."""
    title = "What the picture shows"
    if not default:
        return html(folded(title, LEFT_OUT))
    without, limited = default
    if void := without.void or limited.void:
        return html(folded(title, f"This {VOID}: {void}"))
    told = (
        f"On the default loop {short(without.useful_per_s)} useful answers per second without a limit,"
        f" {short(limited.useful_per_s)} with it, which refused {limited.refused:,} of {limited.offered:,}."
    )
    did = limit_did(without, limited)
    if did in ("helped", "did not help"):
        told += f" Here it {did}."
    else:
        told += (
            " So it did nothing: that loop (uvloop) takes in one new connection per turn; the others wait in the"
            " kernel, before the door, where the limit does not count."
        )
    served = asyncio[1]
    if served.void:
        return html(folded(title, told))
    if served.useful_per_s > HELPS_FROM * limited.useful_per_s:
        told += (
            f" With asyncio the same limit left {short(served.useful_per_s)}: try a limit with your own loop and load"
            " before you trust it, or refuse in the proxy in front."
        )
    else:
        told += (
            f" With asyncio the same limit left {short(served.useful_per_s)}: no more than that. Did this overload last"
            " long enough for the default loop to be late for everybody? Try a longer one."
        )
    return html(folded(title, told))


# --------------------------------------------------------------------------------------------------------- the door


def room_at_the_door(knocks: Sequence[Knock]) -> int | None:
    """How many connections waited at the most; None where the system does not tell."""
    return max((each.waiting for each in knocks if each.waiting is not None), default=None)


def door_in_words(knocks: Sequence[Knock], wide: Backlog | None, most: int | None) -> Any:
    """Folded: what a full door looks like from outside, and who caps it."""
    let_in, room = sum(each.connected for each in knocks), room_at_the_door(knocks)
    shut = len(knocks) - let_in
    text = (
        f"{let_in} of {len(knocks)} clients were connected, though the worker stood still: the kernel answers for it."
    )
    if room is not None:
        text += (
            f" So many waited: {room}, one more than the backlog of 8." if room == 9 else f" So many waited: {room}."
        )
    if shut:
        text += (
            f" {shut} got no answer at all, not even a refusal: their first packet was dropped, and they try again"
            " after a second. That is how a full door feels: silence, then seconds."
        )
    if wide is not None and wide.limit is not None and most is not None:
        capped = "so the system's limit counts" if wide.limit == most else "and the system's limit does not show here"
        text += f" Asked for a backlog of 100,000, the socket got {wide.limit:,}; somaxconn is {most:,}, {capped}."
    return html(folded("What the table shows", text))


# ------------------------------------------------------------------------------------------------------- the theory


def no_law(workers: Sequence[int] = (1, 2, 8)) -> str:
    """At which utilisation the mean wait is twice the work, for each number of workers."""
    parts = []
    for number in workers:
        busy = next(step / 1000 for step in range(1, 1000) if wait_in_services(number, step / 1000) >= TWICE)
        parts.append(f"{percent(busy)} with {count(number, 'worker')}")
    return f"Requests wait in line for twice as long as their own work takes, on average, at {', '.join(parts)}."
