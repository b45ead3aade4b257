"""Memory against workers: what was read, carried on as straight lines to the limit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from helpers.errors import InputError
from helpers.plots.picture import FAILED, HALO, INK, SERIES, SOFT_INK, Picture, drawn, plain_ticks, short

WIDTH, HEIGHT = 8.0, 4.2  # inches
LEFT, BOTTOM, PANEL_HEIGHT, RIGHT = 0.85, 0.75, 2.55, 0.5


@dataclass(frozen=True)
class Sums:
    """One way to add up: (workers, MiB) as read, and the line through them: MiB without workers, and per worker."""

    name: str
    points: Sequence[tuple[int, float]]
    line: tuple[float, float] | None = None

    def reaches(self, limit_mib: float) -> float | None:
        """The number of workers at which the line meets the limit; None where it never does."""
        if self.line is None or self.line[1] <= 0:
            return None
        return max(0.0, (limit_mib - self.line[0]) / self.line[1])


@drawn
def memory_plot(sums: Sequence[Sums], *, limit_mib: float, bet: float | None = None) -> Picture:
    """The memory of a server against its workers, one line for each way to add it up, and where it meets the limit.

    `bet` is a number of workers that was expected to fit. Raises InputError when there is nothing to draw.
    """
    if not any(each.points for each in sums):
        raise InputError("there is no reading of memory to draw", "read a server's memory with two numbers of workers")
    ends = [end for each in sums if (end := each.reaches(limit_mib)) is not None]
    read = [place for each in sums for place, _ in each.points]
    wide = 1.15 * max([*read, *ends, bet or 0.0])
    top = 1.25 * max([limit_mib, *(mib for each in sums for _, mib in each.points)])
    picture = Picture(WIDTH, HEIGHT)
    picture.headline(
        "Memory of all processes of the server, by workers",
        "dots: read from the system · dashed: carried on in a straight line",
    )
    axes = picture.axes_at(LEFT, BOTTOM, WIDTH - LEFT - RIGHT, PANEL_HEIGHT)
    axes.set(xlim=(0, wide), ylim=(0, top), xlabel="workers", ylabel="MiB")
    plain_ticks(axes.xaxis)
    plain_ticks(axes.yaxis)
    axes.axhline(limit_mib, color=FAILED, linewidth=1.5, zorder=2)
    axes.text(0.01 * wide, limit_mib, f"limit: {limit_mib:,.0f} MiB", va="bottom", size=10.5, color=FAILED)
    for i, each in enumerate(sums):
        _draw(axes, each, limit_mib, 0.06 + 0.12 * i, *SERIES[i % len(SERIES)][::2])
    if bet is not None:
        axes.plot([bet], [limit_mib], "D", markersize=9, markerfacecolor="white", color=INK, zorder=7)
        style: dict[str, Any] = {"ha": "center", "va": "bottom", "size": 10.5, "color": SOFT_INK, "path_effects": HALO}
        axes.text(bet, limit_mib + 0.12 * top, "your bet", **style)
        axes.plot([bet, bet], [limit_mib, limit_mib + 0.12 * top], color=SOFT_INK, linewidth=0.8, zorder=2)
    return picture.finish(_alt(sums, limit_mib), _table(sums))


def _draw(axes: Axes, sums: Sums, limit_mib: float, name_at: float, colour: str, marker: str) -> None:
    style: dict[str, Any] = {"linestyle": "none", "markersize": 6, "markerfacecolor": "white", "zorder": 5}
    places = [place for place, _ in sums.points]
    axes.plot(places, [mib for _, mib in sums.points], marker, color=colour, **style)
    end, line = sums.reaches(limit_mib), sums.line
    if end is None or line is None:
        axes.text(places[-1], sums.points[-1][1] + name_at * limit_mib, f"  {sums.name}", size=10.5, color=colour)
        return
    axes.plot([0, end], [line[0], limit_mib], "--", color=colour, linewidth=1.8, zorder=3)
    axes.plot([end, end], [0, limit_mib], ":", color=colour, linewidth=1.2, zorder=2)
    words: dict[str, Any] = {"size": 10.5, "color": colour, "path_effects": HALO, "zorder": 6}
    side = "left" if end < 0.4 * axes.get_xlim()[1] else "right"
    axes.text(end, name_at * limit_mib, f" {sums.name}: {int(end)} fit ", ha=side, va="bottom", **words)


def _alt(sums: Sequence[Sums], limit_mib: float) -> str:
    parts = []
    for each in sums:
        end = each.reaches(limit_mib)
        read = ", ".join(f"{place} workers {short(mib)} MiB" for place, mib in each.points)
        parts.append(f"{each.name}: {read}" + ("" if end is None else f"; {int(end)} fit into {limit_mib:,.0f} MiB"))
    return f"Memory of a server by workers. {' | '.join(parts)}."


def _table(sums: Sequence[Sums]) -> pd.DataFrame:
    places = sorted({place for each in sums for place, _ in each.points})
    rows = [
        {"workers": place} | {f"{each.name} (MiB)": dict(each.points).get(place) for each in sums} for place in places
    ]
    return pd.DataFrame(rows, dtype=object)
