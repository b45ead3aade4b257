"""The timeline: every request as a bar, pale while it waits, in its worker's colour while it is handled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from helpers.errors import InputError
from helpers.plots.packing import Packed, Request, covered_share, pack, requests, settled_ms
from helpers.plots.picture import (
    FAILED,
    FAINT,
    HALO,
    INK,
    LINE,
    PALE,
    SOFT_INK,
    Picture,
    count,
    drawn,
    duration,
    percent,
    plain_ticks,
    worker_colours,
)

WIDTH, LEFT, RIGHT = 8.0, 1.25, 1.4  # inches
HEAD, FOOT, BETWEEN = 1.05, 0.62, 0.16
PER_NOTE = 0.2  # one more line under the axis
MAX_BARS, MAX_ROWS, MAX_SUBLANES = 300, 40, 40  # beyond these nobody can tell the bars apart
SLACK = 0.004  # of the window: an overlap that is thinner than a bar's edge is none


@dataclass(frozen=True)
class Lane:
    """What one worker had in hand, a sub-lane for each request it had at the same time."""

    pid: int
    colour: str
    packed: Packed
    share: float | None

    @property
    def height_in(self) -> float:
        """Grows with the number of sub-lanes, within reason."""
        return min(max(0.34 if self.share is not None else 0.5, 0.14 * min(self.packed.height, MAX_SUBLANES)), 1.3)

    @property
    def words(self) -> str:
        """How many requests it had at once."""
        return "one at a time" if self.packed.height == 1 else f"up to {self.packed.height} at once"

    @property
    def summary(self) -> str:
        """Beside the lane: how many at once, and how much of the time. Work for lost answers is never seen."""
        if self.share is None:
            return "what it did for\nlost answers is\nnot seen here"
        return f"{self.words},\n{percent(self.share)} of the time" if self.packed.rows else "nothing to do"


@dataclass(frozen=True)
class Window:
    """The stretch of time that is shown, and what happened in it."""

    start_ms: float
    end_ms: float
    flight: Packed
    lanes: tuple[Lane, ...]
    colours: Mapping[int, str]
    wanted_ms: float

    @property
    def middle_ms(self) -> float:
        """The moment at which the requests are counted."""
        return (self.start_ms + self.end_ms) / 2

    @property
    def shown_rows(self) -> int:
        """Rows that are drawn of all that are needed."""
        return min(self.flight.height, MAX_ROWS)

    @property
    def cut_note(self) -> str:
        """Says so where less is shown than was asked for."""
        shown_ms = self.end_ms - self.start_ms
        if shown_ms > 0.99 * self.wanted_ms:
            return ""
        return f"\n{duration(shown_ms)} of the {duration(self.wanted_ms)} asked for: more bars could not be told apart"

    def count_at_middle(self) -> tuple[int, int]:
        """How many requests wait, and how many are handled, at that moment."""
        phases = [request.phase(self.middle_ms) for _, request in self.flight.rows]
        return phases.count("waits"), phases.count("handled")


@drawn
def timeline_plot(
    frame: pd.DataFrame, *, start_ms: float | None = None, length_ms: float = 400.0, workers: Sequence[int] = ()
) -> Picture:
    """Requests in flight above (a row each), and below them the same requests in their workers' lanes.

    `frame` is LoadResult.frame(), or another with the columns worker (pid), sent_ms, handled_ms, started_ms, done_ms
    and outcome; a stamp that does not exist is NaN. By default the picture starts as soon as every connection of the
    frame has sent: before that, requests from the warm-up are in flight that the frame does not hold. `workers` fixes
    the colours where not every worker of the launch occurs in the frame. Where more than 300 requests fall into the
    window it is shortened, which the picture says. Raises InputError for a missing column or an empty length.
    """
    if not length_ms > 0:
        raise InputError(f"length_ms={length_ms!r} is no stretch of time", "ask for some milliseconds, such as 400")
    found = requests(frame)
    start_ms = settled_ms(found, length_ms) if start_ms is None else start_ms
    window = _window(found, start_ms, length_ms, workers)
    rows_in = min(max(0.7, 0.17 * window.shown_rows), 4.2)
    lanes_in = sum(lane.height_in + 0.12 for lane in window.lanes)
    foot_in = FOOT + (PER_NOTE if window.cut_note else 0)
    picture = Picture(WIDTH, HEAD + rows_in + (BETWEEN + lanes_in if window.lanes else 0) + foot_in)
    top = picture.axes_at(LEFT, picture.height_in - HEAD - rows_in, WIDTH - LEFT - RIGHT, rows_in)
    bottom = picture.axes_at(LEFT, foot_in, WIDTH - LEFT - RIGHT, lanes_in) if window.lanes else top
    for axes in {id(top): top, id(bottom): bottom}.values():
        axes.set(xlim=(window.start_ms, window.end_ms), yticks=[])
        axes.grid(False)
        axes.spines["left"].set_visible(False)
    if bottom is not top:
        top.tick_params(bottom=False, labelbottom=False)
        top.spines["bottom"].set_visible(False)
    bottom.set_xlabel("time since the measurement began (ms)" + window.cut_note)
    plain_ticks(bottom.xaxis)
    picture.headline("Who waits, who works: every request on one clock")
    _draw_key(picture, window)
    _draw_flight(top, window, rows_in)
    _draw_lanes(bottom, window)
    _draw_cut(top, bottom, window)
    return picture.finish(_alt(window), _table(window))


def _window(found: Sequence[Request], start_ms: float, length_ms: float, workers: Sequence[int]) -> Window:
    end_ms = start_ms + length_ms
    inside = [request for request in found if request.sent_ms < end_ms and request.done_ms > start_ms]
    if len(inside) > MAX_BARS:
        end_ms = start_ms + length_ms * MAX_BARS / len(inside)
        inside = [request for request in inside if request.sent_ms < end_ms]
    slack_ms = SLACK * (end_ms - start_ms)
    colours = worker_colours([*workers, *(r.worker for r in found if r.worker is not None)])
    lanes, unseen = [], any(request.unseen for request in inside)
    for pid, colour in colours.items():
        own = [r for r in inside if r.worker == pid and r.handled_ms is not None and r.handled_ms < end_ms]
        packed = pack(own, lambda r: (r.handled_ms or 0.0, r.left_worker_ms), slack_ms)
        lanes.append(Lane(pid, colour, packed, None if unseen else covered_share(own, start_ms, end_ms)))
    flight = pack(inside, lambda r: (r.sent_ms, r.done_ms), slack_ms)
    return Window(start_ms, end_ms, flight, tuple(lanes), colours, length_ms)


def _draw_key(picture: Picture, window: Window) -> None:
    """What the shades mean, in the second line, with a patch of each."""
    shown = [request for _, request in window.flight.rows]
    items: list[tuple[str, str]] = []
    if any(request.handled_ms is not None or request.unseen for request in shown):
        items.append((PALE, "waits: sent, not yet taken up"))
    if any(request.handled_ms is not None for request in shown):
        items.append((next(iter(window.colours.values())), "in a worker's hands (its colour)"))
    if any(request.ok and request.handled_ms is None for request in shown):
        items.append(("white", "sent and answered: by whom is not known"))
    strip = picture.axes_at(0, picture.height_in - 0.66, WIDTH, 0.26)
    strip.set(xlim=(0, WIDTH), ylim=(0, 0.26))
    strip.axis("off")
    at = 0.17
    for colour, words in items:
        strip.barh(0.13, 0.26, left=at, height=0.13, color=colour, edgecolor=LINE, linewidth=0.6)
        strip.text(at + 0.34, 0.13, words, va="center_baseline", size=10.5, color=SOFT_INK)
        at += 0.6 + picture.text_width_in(words, 10.5)
    failed = sorted({request.outcome for request in shown if not request.ok})
    if failed:
        words = "no answer in time" if failed == ["timeout"] else f"failed ({', '.join(failed)})"
        strip.plot([at + 0.06], [0.13], "x", color=FAILED, markersize=9, markeredgewidth=2.4)
        strip.text(at + 0.22, 0.13, words, va="center_baseline", size=10.5, color=SOFT_INK)


def _draw_flight(axes: Axes, window: Window, rows_in: float) -> None:
    """The upper part: a row per request in flight, earliest at the top."""
    shown = [(row, request) for row, request in window.flight.rows if row < window.shown_rows]
    axes.set_ylim(max(window.shown_rows, 1) - 0.5, -0.5)
    thick = 0.78 if rows_in / max(window.shown_rows, 1) > 0.13 else 0.9
    seam_ms = 0.035 * (window.end_ms - window.start_ms) / (WIDTH - LEFT - RIGHT)  # shows where one request ends
    for row, request in shown:
        end = min(request.done_ms, window.end_ms)
        begun = request.handled_ms
        sent = request.sent_ms + min(seam_ms, (end - request.sent_ms) / 4)
        edge: dict[str, Any] = {"height": thick, "linewidth": 0, "zorder": 2}
        if begun is None and request.ok:
            axes.barh(row, end - sent, left=sent, color="white", **(edge | {"edgecolor": LINE, "linewidth": 0.8}))
            continue
        until = end if begun is None else min(max(begun, sent), end)
        axes.barh(row, until - sent, left=sent, color=PALE, **edge)
        if begun is not None and request.worker is not None:
            axes.barh(row, end - until, left=until, color=window.colours[request.worker], **edge)
        if not request.ok and request.done_ms <= window.end_ms:
            axes.plot([end], [row], "x", color=FAILED, markersize=7, markeredgewidth=2.2, clip_on=False, zorder=6)
    _name_typical_wait(axes, window, shown, rows_in)
    hidden = window.flight.height - window.shown_rows
    words = f"up to {window.flight.height}\nat a time,\na row each" if window.flight.rows else ""
    if hidden:
        words += f"\n({window.shown_rows} shown)"
    axes.text(-0.02, 0.5, words, transform=axes.transAxes, ha="right", va="center", size=10.5, linespacing=1.3)
    if not shown:
        empty = f"no request between {duration(window.start_ms)} and {duration(window.end_ms)}"
        axes.text(0.5, 0.5, empty, transform=axes.transAxes, ha="center", va="center", color=SOFT_INK)


def _name_typical_wait(axes: Axes, window: Window, shown: Sequence[tuple[int, Request]], rows_in: float) -> None:
    """Write its length into one grey bar: of those seen from end to end and long enough, the one next to the median."""
    if not shown or rows_in / window.shown_rows < 0.15:
        return
    per_ms = (WIDTH - LEFT - RIGHT) / (window.end_ms - window.start_ms)
    whole = [
        (request.handled_ms - request.sent_ms, row, request)
        for row, request in shown
        if request.handled_ms is not None and request.sent_ms >= window.start_ms and request.done_ms <= window.end_ms
    ]
    if not whole:
        return
    median_ms = sorted(wait_ms for wait_ms, _, _ in whole)[len(whole) // 2]
    for wait_ms, row, request in sorted(whole, key=lambda item: abs(item[0] - median_ms)):
        words = f"waits {duration(wait_ms)}"
        if wait_ms * per_ms > 0.08 * len(words) + 0.1:
            axes.text(request.sent_ms + 0.06 / per_ms, row, words, va="center_baseline", size=10, zorder=5)
            return


def _draw_lanes(axes: Axes, window: Window) -> None:
    """The lower part: what each worker had in hand, from arrival in the app to the start of the response."""
    if not window.lanes:
        return
    total = sum(lane.height_in + 0.12 for lane in window.lanes)
    axes.set_ylim(0, total)  # its units are inches
    upper = total
    for lane in window.lanes:
        lower = upper - lane.height_in
        axes.axhspan(lower, upper, color=FAINT, linewidth=0, zorder=1)
        sublanes = min(max(lane.packed.height, 1), MAX_SUBLANES)
        step = lane.height_in / sublanes
        drawn_bars = [(upper - (row + 1) * step, request) for row, request in lane.packed.rows if row < sublanes]
        per_ms = (WIDTH - LEFT - RIGHT) * 72 / (window.end_ms - window.start_ms)
        typical = sum(r.left_worker_ms - (r.handled_ms or 0.0) for _, r in drawn_bars) / max(len(drawn_bars), 1)
        axes.barh(
            [y for y, _ in drawn_bars],
            [r.left_worker_ms - (r.handled_ms or 0.0) for _, r in drawn_bars],
            left=[r.handled_ms or 0.0 for _, r in drawn_bars],
            height=step, align="edge", color=lane.colour, edgecolor="white",
            linewidth=min(0.7, 0.15 * typical * per_ms), zorder=2,
        )  # fmt: skip
        middle = (upper + lower) / 2
        beside: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center", "linespacing": 1.2}
        axes.text(-0.02, middle, f"worker {lane.pid}", ha="right", size=10.5, **beside)
        axes.text(1.015, middle, lane.summary, ha="left", size=10, color=SOFT_INK, **beside)
        upper = lower - 0.12


def _draw_cut(top: Axes, bottom: Axes, window: Window) -> None:
    """A line through one moment, with the number that waits and the number that is handled there."""
    waiting, handled = window.count_at_middle()
    if not window.flight.rows or not window.lanes:
        return
    for axes in (top, bottom):
        axes.axvline(window.middle_ms, color=INK, linewidth=1.1, linestyle=(0, (3, 2)), zorder=4)
    words = f"here {waiting} wait{'s' if waiting == 1 else ''}, {handled} {'is' if handled == 1 else 'are'} handled"
    if any(request.unseen and request.phase(window.middle_ms) for _, request in window.flight.rows):
        words = f"here {waiting + handled} have no answer yet"
    style: dict[str, Any] = {
        "transform": top.get_xaxis_transform(),
        "ha": "center",
        "va": "bottom",
        "path_effects": HALO,
    }
    top.text(window.middle_ms, 1.02, words, size=11, weight="bold", **style)


def _alt(window: Window) -> str:
    total = len(window.flight.rows)
    if not total:
        return f"Timeline: no request between {duration(window.start_ms)} and {duration(window.end_ms)}."
    waiting, handled = window.count_at_middle()
    failed = sum(not request.ok for _, request in window.flight.rows)
    lanes = "; ".join(f"worker {lane.pid} handles {lane.words}" for lane in window.lanes if lane.packed.rows)
    waits = sorted(r.handled_ms - r.sent_ms for _, r in window.flight.rows if r.handled_ms is not None)
    wait = f", half of them wait longer than {duration(waits[len(waits) // 2])}" if waits else ""
    return (
        f"Timeline of {count(total, 'request')} in {duration(window.end_ms - window.start_ms)}{wait}; "
        f"at {duration(window.middle_ms)} {waiting} wait and {handled} are handled"
        f"{'; ' + lanes if lanes else ''}{f'; {failed} failed' if failed else ''}."
    )


def _table(window: Window) -> pd.DataFrame:
    names = ("sent (ms)", "worker", "waited (ms)", "in hand (ms)", "answered (ms)", "outcome")
    return pd.DataFrame(
        [
            (
                round(r.sent_ms, 2),
                r.worker,
                None if r.handled_ms is None else round(r.handled_ms - r.sent_ms, 2),
                None if r.handled_ms is None else round(r.left_worker_ms - r.handled_ms, 2),
                round(r.done_ms, 2),
                r.outcome,
            )
            for _, r in window.flight.rows
        ],
        columns=list(names),
        dtype=object,
    )
