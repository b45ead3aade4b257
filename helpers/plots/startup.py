"""The start of a server on one clock: what its log says, what its processes do, and when requests are answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from helpers.errors import InputError
from helpers.plots.picture import (
    FAILED,
    HALO,
    INK,
    LINE,
    PALE,
    PLAIN,
    Picture,
    count,
    drawn,
    plain_ticks,
    worker_colours,
)

BANNER = "Uvicorn running on"
COMPLETE = "Application startup complete."
WIDTH, LEFT, RIGHT = 8.0, 1.35, 0.35  # inches, as everything below
HEAD, FOOT, PANEL_HEAD, LOG, LANE, REQUESTS, BETWEEN = 0.75, 0.6, 0.55, 0.5, 0.34, 0.42, 0.2
CLAIM = "#FBE3D6"  # the stretch in which the banner claims what is not so
SEEN_S = 0.25  # a shorter stretch between banner and answer is no more than the time between two requests


@dataclass(frozen=True)
class Probe:
    """One request during the start: `pid` is the process that answered, None where nobody did."""

    at_s: float
    pid: int | None


@dataclass(frozen=True)
class Start:
    """What was seen of one start, in seconds since it was asked for.

    `lines` are the log's lines; `born` and `ready` are by pid: when a process was first seen, and when it could serve.
    A process that is in `born` alone does not serve.
    """

    workers: int
    lines: tuple[tuple[float, str], ...]
    probes: tuple[Probe, ...]
    born: Mapping[int, float]
    ready: Mapping[int, float]
    end_s: float

    @property
    def banner_s(self) -> float | None:
        """When the log said that uvicorn runs."""
        return next((at for at, line in self.lines if BANNER in line), None)

    @property
    def answer_s(self) -> float | None:
        """When a request was answered for the first time."""
        return next((probe.at_s for probe in self.probes if probe.pid is not None), None)

    @property
    def refused_after_banner(self) -> int:
        """Requests that nobody answered, although the log had said that uvicorn runs."""
        if self.banner_s is None:
            return 0
        return sum(probe.pid is None and probe.at_s > self.banner_s for probe in self.probes)

    @property
    def claim_s(self) -> float | None:
        """How long the log had said that it runs before a request was answered; None where either was not seen."""
        if self.banner_s is None or self.answer_s is None:
            return None
        return max(0.0, self.answer_s - self.banner_s)

    @property
    def height_in(self) -> float:
        """Room for its panel."""
        return PANEL_HEAD + LOG + LANE * len(self.born) + REQUESTS


@drawn
def startup_plot(starts: Sequence[Start]) -> Picture:
    """A panel per start: the log's lines, a bar per process (pale until it can serve), and every request sent.

    Raises InputError when there is no start.
    """
    if not starts:
        raise InputError("there is no start to draw", "give at least one, such as startup_plot([watch(2)])")
    heights = sum(start.height_in for start in starts) + BETWEEN * (len(starts) - 1)
    picture = Picture(WIDTH, HEAD + heights + FOOT)
    picture.headline(
        "When does it serve?",
        "× a request that nobody took · ● one that was answered, in its worker's colour",
    )
    end_s = 1.03 * max(start.end_s for start in starts)
    upper = picture.height_in - HEAD
    for position, start in enumerate(starts):
        body = start.height_in - PANEL_HEAD
        axes = picture.axes_at(LEFT, upper - start.height_in, WIDTH - LEFT - RIGHT, body)
        axes.set(xlim=(0, end_s), ylim=(0, body), yticks=[])
        axes.grid(False)
        axes.spines["left"].set_visible(False)
        plain_ticks(axes.xaxis)
        last = position == len(starts) - 1
        axes.tick_params(labelbottom=last, bottom=last)
        if last:
            axes.set_xlabel("seconds since the start")
        _draw_start(axes, start, end_s, body)
        words = f"{count(start.workers, 'worker')}: {_in_a_sentence(start)}"
        picture.say(0.15, upper - 0.2, words, size=11.5, weight="bold", va="center")
        upper -= start.height_in + BETWEEN
    return picture.finish(_alt(starts), _table(starts))


def _draw_start(axes: Axes, start: Start, end_s: float, top: float) -> None:
    if start.banner_s is not None and start.answer_s is not None and (start.claim_s or 0.0) > SEEN_S:
        axes.axvspan(start.banner_s, start.answer_s, color=CLAIM, linewidth=0, zorder=0.5)
    if start.answer_s is not None:
        axes.axvline(start.answer_s, color=INK, linewidth=1.1, linestyle=(0, (3, 2)), zorder=1)
    _draw_log(axes, start, end_s, top - LOG / 2)
    middle = top - LOG - LANE / 2
    colours = worker_colours([pid for pid in start.born if pid in start.ready])
    for pid, born in start.born.items():
        _draw_process(axes, start, pid, born, middle, colours)
        middle -= LANE
    _name(axes, REQUESTS / 2, "requests")
    refused = [probe.at_s for probe in start.probes if probe.pid is None]
    axes.plot(refused, [REQUESTS / 2] * len(refused), "x", color=FAILED, markersize=7, markeredgewidth=1.8, zorder=4)
    for probe in start.probes:
        if probe.pid is not None:
            axes.plot([probe.at_s], [REQUESTS / 2], "o", color=colours.get(probe.pid, INK), markersize=7, zorder=4)


def _draw_log(axes: Axes, start: Start, end_s: float, middle: float) -> None:
    """A tick per line of the log; the two that are taken for proof are named."""
    _name(axes, middle, "log")
    for at, _ in start.lines:
        axes.plot([at, at], [middle - 0.09, middle + 0.09], color=LINE, linewidth=1.4, zorder=3)
    complete_s = next((at for at, line in start.lines if COMPLETE in line), None)
    named = ((start.banner_s, f"“{BANNER} …”", 0.12), (complete_s, "“… startup complete.”", -0.12))
    for moment, words, rise in named:
        if moment is None:
            continue
        left = moment > end_s / 2
        style: dict[str, Any] = {"ha": "right" if left else "left", "va": "center", "size": 10, "path_effects": HALO}
        axes.plot([moment, moment], [middle - 0.12, middle + 0.12], color=INK, linewidth=2, zorder=4)
        axes.text(moment + (-0.012 if left else 0.012) * end_s, middle + rise, words, zorder=5, **style)


def _draw_process(axes: Axes, start: Start, pid: int, born: float, middle: float, colours: Mapping[int, str]) -> None:
    """Its bar from the moment it was first seen: pale while it cannot serve, then in its colour."""
    ready = start.ready.get(pid)
    _name(axes, middle, f"{'parent' if ready is None else 'worker'} {pid}")
    pale_until = start.end_s if ready is None else ready
    shade = PLAIN if ready is None else PALE
    axes.barh(middle, pale_until - born, left=born, height=LANE * 0.62, color=shade, linewidth=0, zorder=2)
    words = "supervises, serves nobody" if ready is None else "starts Python, imports the app"
    axes.text(born + 0.05, middle, words, va="center_baseline", size=9.5, color=INK, zorder=3)
    if ready is not None:
        axes.barh(
            middle, start.end_s - ready, left=ready, height=LANE * 0.62, color=colours[pid], linewidth=0, zorder=2
        )


def _name(axes: Axes, middle: float, words: str) -> None:
    """The lane's name, left of it."""
    style: dict[str, Any] = {"ha": "right", "va": "center", "size": 10.5, "color": INK}
    axes.text(-0.015, middle, words, transform=axes.get_yaxis_transform(), **style)


def _in_a_sentence(start: Start) -> str:
    if start.claim_s is None:
        return "no request was answered" if start.answer_s is None else "the banner was not seen"
    if start.claim_s <= SEEN_S:
        return "the banner comes when requests are answered"
    return f"the banner comes {start.claim_s:.1f} s before the first answer"


def _alt(starts: Sequence[Start]) -> str:
    parts = []
    for start in starts:
        refused = f"; {count(start.refused_after_banner, 'request')} went unanswered after it"
        parts.append(f"{count(start.workers, 'worker')}: {_in_a_sentence(start)}{refused}")
    return f"Start-up of a server on one clock. {'. '.join(parts)}."


def _table(starts: Sequence[Start]) -> pd.DataFrame:
    """Every line and every change of what requests get, in the order of time."""
    rows: list[tuple[int, float, str, str]] = []
    for start in starts:
        found = [(at, "log", line) for at, line in start.lines]
        found += [(at, "process", f"{pid} can serve") for pid, at in start.ready.items()]
        before: object = ()
        for probe in start.probes:
            if probe.pid != before:
                got = "nobody takes it" if probe.pid is None else f"answered by {probe.pid}"
                found.append((probe.at_s, "request", got))
            before = probe.pid
        rows += [(start.workers, round(at, 2), kind, what) for at, kind, what in sorted(found)]
    return pd.DataFrame(rows, columns=["workers", "s", "seen in", "what"])
