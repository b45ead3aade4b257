"""The response time with each number of workers, where few users ask: does a worker make one request faster?"""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from helpers.plots.picture import (
    HALO,
    INK,
    LINE,
    PLAIN,
    SOFT_INK,
    Picture,
    count,
    drawn,
    duration,
    plain_ticks,
)
from helpers.plots.rows import Cell, Row, cells, one_load, table

WIDTH, LEFT, RIGHT, HEAD, FOOT = 8.0, 1.15, 0.9, 0.85, 0.65  # inches
BAR_IN, STEP_IN = 0.44, 0.66


@drawn
def response_plot(rows: Sequence[Row], *, bet: float | None = None) -> Picture:
    """A bar for each number of workers, as long as the median response took; a dot per launch.

    `rows` are those of a sweep over workers; `bet` is the last bar as a multiple of the first. Raises InputError when
    there are no rows, or when they mix several numbers of users.
    """
    found = one_load(cells(rows))
    dots = [_medians(rows, cell) for cell in found]
    lengths = [sum(each) / len(each) if each else None for each in dots]
    guess = None if bet is None or lengths[0] is None else bet * lengths[0]
    longest = 1.15 * max([value for each in dots for value in each] + [guess or 0.0]) or 1.0
    height_in = STEP_IN * len(found) + 0.1
    picture = Picture(WIDTH, HEAD + height_in + FOOT)
    users = count(found[0].users, "user")
    picture.headline(
        "How long one answer takes, by workers", f"median · lower is better · {users} · a dot is one launch"
    )
    axes = picture.axes_at(LEFT, FOOT, WIDTH - LEFT - RIGHT, height_in)
    axes.set(xlim=(0, longest), ylim=(height_in, 0), yticks=[], xlabel="response time (ms)")
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    plain_ticks(axes.xaxis)
    for i, (cell, length, each) in enumerate(zip(found, lengths, dots, strict=True)):
        _draw(axes, cell, length, each, STEP_IN * (i + 0.5), longest)
    if guess is not None:
        _draw_bet(axes, guess, STEP_IN * (len(found) - 0.5))
    return picture.finish(_alt(found, lengths, bet), _table(rows))


def _medians(rows: Sequence[Row], cell: Cell) -> list[float]:
    """The medians of the cell's launches; one that is void, unknown, or only known as a bound is left out."""
    own = [row for row in rows if (row["workers"], row["cpus"]) == (cell.workers, cell.cpus)]
    values = [row.get("p50_ms") for row in own if row.get("verdict") != "void"]
    return [float(value) for value in values if isinstance(value, int | float)]


def _draw(axes: Axes, cell: Cell, length: float | None, dots: Sequence[float], y: float, longest: float) -> None:
    name: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "center", "size": 11}
    words = count(cell.workers, "worker") + (f"\n{cell.void_note}" if cell.void and length is not None else "")
    axes.text(-0.015, y, words, linespacing=1.05, **name)
    if length is None:
        axes.barh(y, longest / 3, BAR_IN, facecolor="white", edgecolor=LINE, hatch="///", zorder=2)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 3}
        axes.text(longest / 6, y, "void", ha="center", va="center", color=SOFT_INK, bbox=box, zorder=4)
        return
    axes.barh(y, length, BAR_IN, color=PLAIN, zorder=2)
    axes.plot(dots, [y] * len(dots), "o", markersize=6, markerfacecolor="white", color=INK, zorder=5)
    style: dict[str, Any] = {"va": "center", "size": 12, "weight": "bold", "path_effects": HALO, "zorder": 6}
    axes.text(max(length, *dots) + 0.015 * longest, y, duration(length), **style)


def _draw_bet(axes: Axes, at: float, y: float) -> None:
    style: dict[str, Any] = {"markersize": 10, "markeredgewidth": 1.6, "clip_on": False, "zorder": 7}
    axes.plot([at], [y + BAR_IN / 2], marker="D", markerfacecolor="white", markeredgecolor=INK, **style)
    axes.text(at, y + BAR_IN / 2, "  your bet", va="center", ha="left", size=10.5, path_effects=HALO, zorder=7)


def _alt(found: Sequence[Cell], lengths: Sequence[float | None], bet: float | None) -> str:
    parts = [
        f"{count(cell.workers, 'worker')}: {'void' if length is None else duration(length)}"
        for cell, length in zip(found, lengths, strict=True)
    ]
    guess = "" if bet is None else f"; your bet was {bet:.2g} times the first"
    return f"Median response time with {count(found[0].users, 'user')}: {', '.join(parts)}{guess}."


def _table(rows: Sequence[Row]) -> pd.DataFrame:
    return table(rows)[["workers", "cores", "users", "launch", "p50 (ms)", "requests/s", "self-check"]]
