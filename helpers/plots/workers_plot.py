"""How many workers: throughput measured, a dot per launch, and beyond what can be measured a dashed, simulated line."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator
from matplotlib.transforms import ScaledTranslation

from helpers.plots.picture import (
    HALO,
    INK,
    LINE,
    SERIES,
    SOFT_INK,
    STRONG,
    Picture,
    count,
    drawn,
    plain_ticks,
    short,
    spread,
)
from helpers.plots.rows import Cell, Row, cells, one_load

WIDTH, HEIGHT = 8.0, 4.4  # inches
LEFT, BOTTOM, PANEL_HEIGHT, NAMES_IN = 0.8, 0.8, 2.75, 1.45
BET_IN, ASIDE_IN = 0.95, 0.24  # room to the right for the bet, which stands beside the dots
TICK_IN = 0.26  # a tick label needs so much room

Points = Sequence[tuple[int, float]]  # workers, requests per second
Interval = tuple[float, float]


@drawn
def workers_plot(
    rows: Sequence[Row],
    *,
    cores: int,
    intervals: Mapping[int, Interval] | None = None,
    simulated: Mapping[str, Points] | None = None,
    bet: float | None = None,
    bet_at: int | None = None,
) -> Picture:
    """Requests per second against workers: a dot per launch, a bar for the 95 % interval, dashed what is simulated.

    `rows` are those of a sweep over workers, `intervals` by workers, `simulated` by the name of the line. `bet` is a
    multiple of what as many workers as `cores` reach, expected of `bet_at` workers. Raises InputError when there are
    no rows, or when they mix several numbers of users.
    """
    found = one_load(cells(rows))
    lines, bars = dict(simulated or {}), dict(intervals or {})
    places = sorted({cell.workers for cell in found} | {place for line in lines.values() for place, _ in line})
    base = next((cell.mean_per_s for cell in found if cell.workers == cores), None)
    guess = None if bet is None or bet_at is None or base is None else bet * base
    seen = [value for cell in found for value in cell.per_s] + [value for line in lines.values() for _, value in line]
    top = 1.22 * max([*seen, guess or 0.0], default=0.0) or 1.0
    picture = Picture(WIDTH, HEIGHT)
    means = ["a dot is one launch"] + (["a bar is the 95 % interval"] if bars else [])
    means += ["dashed: simulated"] if lines else []
    picture.headline("Requests per second, by workers", f"higher is better · {' · '.join(means)}")
    room = WIDTH - LEFT - (NAMES_IN if lines else BET_IN)
    axes = picture.axes_at(LEFT, BOTTOM, room, PANEL_HEIGHT)
    axes.set(xlim=(places[0] - 0.6, places[-1] + 0.6), ylim=(0, top), ylabel="requests per second")
    axes.set_xlabel("workers", labelpad=16)
    _place_axis(axes, places, cores, room)
    if not seen:
        axes.set_yticks([])  # nothing was measured, so there is no scale
    _draw_simulated(axes, lines, top)
    for cell in found:
        _draw_cell(axes, cell, bars.get(cell.workers), top)
    if lines and any(cell.per_s for cell in found):
        _name_measured(axes, found, cores)
    if guess is not None and bet_at is not None:
        _draw_bet(axes, bet_at, guess)
    return picture.finish(_alt(found, lines, cores), _table(found, bars, lines))


def _place_axis(axes: Axes, places: Sequence[int], cores: int, room_in: float) -> None:
    """Ticks at the numbers of workers, those that would touch left out; what is special about one stands below it."""
    per_worker_in = room_in / (places[-1] - places[0] + 1.2)
    ticks: list[int] = []
    for place in sorted(places, key=lambda each: (each != cores, each != 2 * cores, each != 10, each)):
        if all(abs(place - other) * per_worker_in >= TICK_IN for other in ticks):
            ticks.append(place)
    ticks.sort()
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    below = {cores: "= cores"} | ({2 * cores: "= twice"} if cores * per_worker_in >= 0.7 else {})  # else they touch
    for place in set(below) & set(ticks):
        style: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "top", "size": 10.5}
        axes.text(place, -0.11, below[place], **style)
    axes.axvline(cores, color=LINE, linewidth=1, linestyle=":", zorder=1)
    plain_ticks(axes.yaxis)


def _draw_cell(axes: Axes, cell: Cell, interval: Interval | None, top: float) -> None:
    if not cell.per_s:
        axes.text(cell.workers, 0.03 * top, "void", ha="center", size=10, color=STRONG, path_effects=HALO, zorder=6)
        return
    if interval is not None:
        low, high = max(0.0, interval[0]), min(top, interval[1])
        axes.plot(
            [cell.workers] * 2, [low, high], color=STRONG, linewidth=6, alpha=0.28, zorder=4, solid_capstyle="butt"
        )
    style: dict[str, Any] = {"markersize": 6, "markerfacecolor": "white", "linestyle": "none", "zorder": 5}
    axes.plot([cell.workers] * len(cell.per_s), cell.per_s, "o", color=STRONG, clip_on=False, **style)


def _draw_simulated(axes: Axes, lines: Mapping[str, Points], top: float) -> None:
    ends = []
    for i, (name, line) in enumerate(lines.items()):
        colour = SERIES[(i + 1) % len(SERIES)][0]
        axes.plot([place for place, _ in line], [value for _, value in line], "--", color=colour, linewidth=2, zorder=3)
        ends.append((name, line[-1][1], colour))
    gap = 0.5 * top / PANEL_HEIGHT
    for (name, _, colour), y in zip(ends, spread([end for _, end, _ in ends], gap, high=top), strict=True):
        style: dict[str, Any] = {"va": "center", "size": 10.5, "color": colour, "linespacing": 1.05}
        axes.text(1.02, y, f"simulated,\n{name}", transform=axes.get_yaxis_transform(), **style)


def _name_measured(axes: Axes, found: Sequence[Cell], cores: int) -> None:
    """Beside the last measured dots, where the picture goes on to the right of them; else the second line says it."""
    last = [cell for cell in found if cell.mean_per_s is not None][-1]
    if last.workers + 4 > axes.get_xlim()[1]:
        return
    words = f"measured, {count(cores, 'core')}"
    style: dict[str, Any] = {
        "xytext": (8, 4),
        "textcoords": "offset points",
        "ha": "left",
        "va": "bottom",
        "size": 10.5,
    }
    axes.annotate(words, (last.workers, max(last.per_s)), color=STRONG, path_effects=HALO, zorder=6, **style)


def _draw_bet(axes: Axes, place: int, guess: float) -> None:
    """Beside the dots of that number of workers: on them it would hide them where the bet is right."""
    aside = axes.transData + ScaledTranslation(ASIDE_IN, 0, axes.figure.dpi_scale_trans)
    mark: dict[str, Any] = {"markersize": 9, "markerfacecolor": "white", "color": INK, "clip_on": False}
    axes.plot([place], [guess], "D", transform=aside, zorder=7, **mark)
    style: dict[str, Any] = {"ha": "left", "va": "center", "size": 10.5, "path_effects": HALO}
    axes.text(place, guess, "   your bet", transform=aside, zorder=7, color=SOFT_INK, **style)


def _alt(found: Sequence[Cell], lines: Mapping[str, Points], cores: int) -> str:
    measured = [f"{cell.workers}: " + ("void" if cell.mean_per_s is None else short(cell.mean_per_s)) for cell in found]
    said = f"Requests per second by workers, measured on {count(cores, 'core')}: {', '.join(measured)}."
    for name, line in lines.items():
        said += f" Simulated, {name}: {', '.join(f'{place}: {short(value)}' for place, value in line)}."
    return said


def _table(found: Sequence[Cell], bars: Mapping[int, Interval], lines: Mapping[str, Points]) -> pd.DataFrame:
    measured = {cell.workers: cell for cell in found}
    rows = []
    for place in sorted(measured.keys() | {place for line in lines.values() for place, _ in line}):
        cell, bar = measured.get(place), bars.get(place)
        row: dict[str, Any] = {"workers": place, "measured/s": cell and cell.mean_per_s}
        row["95 % interval"] = None if bar is None else f"{short(bar[0])} to {short(bar[1])}"
        for name, line in lines.items():
            row[f"simulated/s, {name}"] = dict(line).get(place)
        rows.append(row)
    return pd.DataFrame(rows, dtype=object)
