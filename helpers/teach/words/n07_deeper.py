"""Notebook 07, going deeper: the words and pictures of the storm, of the door, and of queueing theory."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from helpers.load.result import LoadResult
from helpers.plots.laws_plot import wait_in_services
from helpers.plots.picture import short
from helpers.server.backlog import Backlog
from helpers.teach.outcomes import VOID
from helpers.teach.overload import Knock, attempts_per_s, useful_per_s
from helpers.teach.widgets import folded, html

if TYPE_CHECKING:
    from helpers.plots.picture import Picture

BACK_FROM = 0.7  # useful answers / arrivals
PIECE_S = 0.25


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


def storm_in_words(storm: Mapping[str, LoadResult], most: float) -> Any:
    """Folded: who recovered, and who kept the load up."""
    title = "What the picture shows"
    for result in storm.values():
        if result.verdict == "void":
            return html(folded(title, f"This {VOID}: {result.reasons[0]}"))
    none, some = storm.values()
    calm = none.plan.stages[-1][0]
    lines = attempts_per_s(some, every_s=PIECE_S)
    assert lines is not None
    after = lines[1][lines[0] > peak_of(some)[1] + 2 * PIECE_S]
    still = float(after.mean()) if len(after) else 0.0
    patient, stormy = recovered_s(none), recovered_s(some)
    said = "did not recover before the load ended" if patient is None else f"was back {patient:.1f} s after the peak"
    told = f"Without retries the service {said}."
    if stormy is not None:
        return html(
            folded(title, f"{told} With retries it was back after {stormy:.1f} s: the peak was too short for a storm.")
        )
    told += (
        f" With them it did not recover: {calm:.0f} new requests per second, half of what the worker can do, became"
        f" {still:.0f} attempts"
    )
    if still > most:
        told += (
            f", more than the {most:.0f} it can do. So it stays too late for everybody, so everybody retries: the cause"
            " is gone and the trouble keeps itself alive. Such a state is called <b>metastable</b>; it ends when"
            " somebody stops asking, not when the peak ends."
        )
    else:
        told += ". That is less than it can do: give it a longer end, and see whether it comes back."
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


def no_law(workers: Sequence[int] = (1, 2, 8), *, patience: float = 2.0) -> str:
    """At which utilisation the mean wait reaches `patience` services, for each number of workers."""
    parts = []
    for number in workers:
        busy = next(step / 1000 for step in range(1, 1000) if wait_in_services(number, step / 1000) >= patience)
        parts.append(f"{busy:.0%} with {number}")
    return (
        f"a mean wait of {short(patience)} times the work is reached at a utilisation of {', '.join(parts)} worker(s)"
    )
