"""A counter in every worker: what each visitor was told, visit by visit, against what one counter would have said."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from helpers.errors import InputError
from helpers.plots.picture import HALO, INK, SOFT_INK, Picture, count, drawn, plain_ticks, spread, worker_colours

WIDTH, HEIGHT = 8.2, 4.5  # inches
LEFT, BOTTOM, PANEL_HEIGHT, RIGHT = 0.85, 0.75, 2.95, 2.6
LABEL_APART = 0.075  # of the axis


@dataclass(frozen=True)
class Told:
    """What one visitor was told, and by which process."""

    number: int
    pid: int


@drawn
def counters_plot(told: Sequence[Told], *, bet: float | None = None) -> Picture:
    """A dot per visit, in its worker's colour, as high as the number that the visitor was told.

    `bet`: what the last one was expected to be told. Raises InputError for no visit.
    """
    if not told:
        raise InputError("there is no visit to draw", "give at least one")
    visits, colours = len(told), worker_colours([each.pid for each in told])
    highest = {pid: max(each.number for each in told if each.pid == pid) for pid in colours}
    top = 1.08 * max([visits, bet or 0.0, *highest.values()])
    picture = Picture(WIDTH, HEIGHT)
    picture.headline(
        f"{count(visits, 'visit')}: the number that each visitor was told",
        f"a dot per visit, in the colour of the process that answered · {count(len(colours), 'worker')}",
    )
    axes = picture.axes_at(LEFT, BOTTOM, WIDTH - LEFT - RIGHT, PANEL_HEIGHT)
    axes.set(xlim=(0, 1.02 * visits), ylim=(0, top), xlabel="visit, in the order of time", ylabel="number told")
    plain_ticks(axes.xaxis)
    plain_ticks(axes.yaxis)
    axes.plot([0, visits], [0, visits], "--", color=SOFT_INK, linewidth=1.3, zorder=2)
    for pid, colour in colours.items():
        mine = [(place, each.number) for place, each in enumerate(told, 1) if each.pid == pid]
        axes.plot(*zip(*mine, strict=True), "o", color=colour, markersize=4, markeredgewidth=0, zorder=4)
    labels = [
        (f"worker {pid} says {number}", float(number), colour)
        for (pid, number), colour in zip(highest.items(), colours.values(), strict=True)
    ]
    if visits not in highest.values():
        labels.append((f"{visits}: one counter for all", float(visits), ""))
    side: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "clip_on": False}
    places = spread([at for _, at, _ in labels], LABEL_APART * top, high=top)
    for (words, _, colour), y in zip(labels, places, strict=True):
        if colour:
            axes.plot([1.035], [y], "o", color=colour, markersize=7, **side)
        axes.text(1.065, y, words, va="center", size=11, color=INK if colour else SOFT_INK, **side)
    if bet is not None:
        at: dict[str, Any] = {"markerfacecolor": "white", "markeredgecolor": INK, "clip_on": False, "zorder": 7}
        axes.plot([visits], [bet], "D", markersize=10, markeredgewidth=1.6, **at)
        axes.text(0.97 * visits, bet, "your bet ", ha="right", va="bottom", size=10.5, path_effects=HALO, zorder=7)
    return picture.finish(_alt(told, highest, bet), _table(told, highest))


def _alt(told: Sequence[Told], highest: dict[int, int], bet: float | None) -> str:
    said = ", ".join(f"worker {pid} came to {number}" for pid, number in highest.items())
    guess = "" if bet is None else f"; your bet for the last one was {bet:.0f}"
    return f"The number told at each of {count(len(told), 'visit')}: {said}{guess}."


def _table(told: Sequence[Told], highest: dict[int, int]) -> pd.DataFrame:
    rows = [(pid, sum(each.pid == pid for each in told), number) for pid, number in highest.items()]
    return pd.DataFrame(rows, columns=["worker", "visits answered", "highest number told"], dtype=object)
