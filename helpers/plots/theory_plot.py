"""Theory beside measurements: the simulated throughput and p95 as a dashed line, the measured ones as dots."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from helpers.errors import InputError
from helpers.plots.picture import (
    FAILED,
    HALO,
    SERIES,
    SOFT_INK,
    Picture,
    count,
    drawn,
    duration,
    plain_ticks,
    short,
    spread,
)
from helpers.plots.rows import Cell, Row, cells

WIDTH, HEIGHT = 8.0, 4.2  # inches
LEFT, BOTTOM, PANEL_HEIGHT, GAP, NAMES_IN = 0.75, 0.75, 2.35, 0.65, 1.55
_COLOURS = [(colour, marker) for colour, _, marker in SERIES]


@dataclass(frozen=True)
class Quantity:
    """One panel: which number of a cell it shows, per launch, and on average."""

    title: str
    dots: Callable[[Cell], Sequence[float]]
    mean: Callable[[Cell], float | None]
    bounds: Callable[[Cell], Sequence[float]]  # what is only known to be at least so much


QUANTITIES = (
    Quantity("requests/s (higher is better)", lambda cell: cell.per_s, lambda cell: cell.mean_per_s, lambda cell: ()),
    Quantity(
        "p95 in ms (lower is better)",
        lambda cell: cell.p95_ms,
        lambda cell: cell.mean_p95_ms,
        lambda cell: cell.p95_at_least_ms,
    ),
)


@dataclass(frozen=True)
class Series:
    """One configuration: what was measured and what was simulated, each by its place on the axis."""

    name: str
    measured: dict[int, Cell]
    simulated: dict[int, Cell]
    colour: str
    marker: str


@drawn
def prediction_plot(rows: Sequence[Row], simulated: Sequence[Row]) -> Picture:
    """Measured throughput and p95 as dots, the simulated ones as a dashed line, against workers or users.

    `rows` are those of a sweep, `simulated` those of simulated runs (`Simulated.row()`). The axis is that of the two,
    workers or users, which takes more values. Raises InputError when either is empty, or where launches on different
    numbers of cores are mixed.
    """
    if any(row["users"] is None for row in simulated):
        raise InputError("a simulated run has arrivals, not users", "draw its waits with waiting_plot(points=...)")
    found, predicted = cells(rows), cells(simulated)
    if len({cell.cpus for cell in found}) > 1:
        numbers = ", ".join(str(cell.cpus) for cell in found)
        raise InputError(f"measurements on different numbers of cores ({numbers}) are mixed", "give those of one")
    everything = [*found, *predicted]
    by_users = len({cell.users for cell in everything}) > len({cell.workers for cell in everything})
    series = _series(found, predicted, by_users)
    places = sorted({place for each in series for place in (*each.measured, *each.simulated)})
    picture = Picture(WIDTH, HEIGHT)
    picture.headline("Simulated and measured", "dots: measured, one per launch · dashed line: simulated")
    room = (WIDTH - LEFT - GAP - NAMES_IN) / 2
    for i, quantity in enumerate(QUANTITIES):
        axes = picture.axes_at(LEFT + i * (room + GAP), BOTTOM, room, PANEL_HEIGHT)
        _place_axis(axes, places, by_users)
        _draw_quantity(axes, quantity, series, names=i == 1)
    return picture.finish(_prediction_alt(series, by_users), _prediction_table(series, by_users))


def _series(found: Sequence[Cell], predicted: Sequence[Cell], by_users: bool) -> list[Series]:
    def place(cell: Cell) -> tuple[int, int]:
        return (cell.workers, cell.users) if by_users else (cell.users, cell.workers)

    groups = sorted({place(cell)[0] for cell in (*found, *predicted)})
    thing = "worker" if by_users else "user"
    return [
        Series(
            count(group, thing),
            {place(cell)[1]: cell for cell in found if place(cell)[0] == group},
            {place(cell)[1]: cell for cell in predicted if place(cell)[0] == group},
            *_COLOURS[i % len(_COLOURS)],
        )
        for i, group in enumerate(groups)
    ]


def _place_axis(axes: Axes, places: Sequence[int], by_users: bool) -> None:
    if by_users:
        axes.set_xscale("log", base=2)
        axes.set_xlim(places[0] / 1.3, places[-1] * 1.3)
        axes.set_xlabel("users (logarithmic scale)" if len(places) > 1 else "users")
    else:
        axes.set(xlim=(places[0] - 0.5, places[-1] + 0.5), xlabel="workers")
    axes.xaxis.set_major_locator(FixedLocator(places))
    axes.xaxis.set_minor_locator(NullLocator())
    plain_ticks(axes.xaxis)


def _draw_quantity(axes: Axes, quantity: Quantity, series: Sequence[Series], *, names: bool) -> None:
    axes.set_title(quantity.title, size=11, loc="left", color=SOFT_INK)
    plain_ticks(axes.yaxis)
    ends, seen = [], [0.0]
    for each in series:
        line = [(place, quantity.mean(cell)) for place, cell in sorted(each.simulated.items())]
        heights = [math.nan if value is None else value for _, value in line]
        single: dict[str, Any] = {"marker": "_", "markersize": 14} if len(line) == 1 else {}
        axes.plot([place for place, _ in line], heights, "--", color=each.colour, linewidth=2, zorder=3, **single)
        for place, cell in each.measured.items():
            _draw_measured(axes, quantity, each, place, cell)
            seen += [*quantity.dots(cell), *quantity.bounds(cell)]
        known = [value for value in heights if not math.isnan(value)]
        ends.append(known[-1] if known else 0.0)
        seen += known
    top = 1.18 * max(seen) or 1.0
    axes.set_ylim(0, top)
    if names:
        _name_lines(axes, series, spread(ends, 0.42 * top / PANEL_HEIGHT, high=top))


def _draw_measured(axes: Axes, quantity: Quantity, series: Series, place: int, cell: Cell) -> None:
    """A dot per launch; a triangle for what is only known to be at least so much, a word where all are void."""
    dots, bounds = quantity.dots(cell), quantity.bounds(cell)
    style: dict[str, Any] = {"linestyle": "none", "zorder": 5, "clip_on": False}
    axes.plot([place] * len(dots), dots, series.marker, color=series.colour, markerfacecolor="white", **style)
    axes.plot([place] * len(bounds), bounds, "^", markersize=9, color=FAILED, **style)
    for bound in set(bounds):
        axes.text(place, bound, f"≥ {duration(bound)} ", ha="right", va="bottom", size=10, path_effects=HALO)
    if cell.void == cell.launches:
        axes.text(place, 0, "void", ha="center", va="bottom", color=series.colour, path_effects=HALO)


def _name_lines(axes: Axes, series: Sequence[Series], heights: Sequence[float]) -> None:
    """A piece of each line and its marker beside its name, right of the last panel."""
    for each, y in zip(series, heights, strict=True):
        right: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "clip_on": False, "color": each.colour}
        axes.plot([1.03, 1.13], [y, y], "--", linewidth=2, **right)
        name = f"simulated,\n{each.name}" if len(series) > 1 else "simulated"
        axes.text(1.15, y, name, transform=axes.get_yaxis_transform(), va="center", size=10.5, linespacing=1.05)


def _prediction_alt(series: Sequence[Series], by_users: bool) -> str:
    parts = []
    for each in series:
        both = sorted(each.measured.keys() & each.simulated.keys())
        for place in both or sorted(each.simulated):
            at = count(place, "user" if by_users else "worker")
            own = [_said("measured", each.measured.get(place)), _said("simulated", each.simulated.get(place))]
            parts.append(f"{each.name}, {at}: {' and '.join(filter(None, own))} requests per second")
    return f"Simulated and measured throughput and p95. {'; '.join(parts)}."


def _said(what: str, cell: Cell | None) -> str:
    if cell is None:
        return ""
    p95 = "" if cell.mean_p95_ms is None else f" (p95 {duration(cell.mean_p95_ms)})"
    p95 = f" (p95 at least {duration(max(cell.p95_at_least_ms))})" if cell.p95_at_least_ms else p95
    return f"{what} " + ("void" if cell.mean_per_s is None else f"{short(cell.mean_per_s)}{p95}")


def _prediction_table(series: Sequence[Series], by_users: bool) -> pd.DataFrame:
    lines = []
    for each in series:
        for place in sorted({*each.measured, *each.simulated}):
            was, said = each.measured.get(place), each.simulated.get(place)
            cell = was or said
            assert cell is not None
            numbers = [
                value for one in (was, said) for value in (_number(one, "mean_per_s"), _number(one, "mean_p95_ms"))
            ]
            off = None if not numbers[0] or not numbers[2] else _percent_off(numbers[2] / numbers[0])
            lines.append((cell.workers, cell.users, numbers[0], numbers[2], off, numbers[1], numbers[3]))
    names = ["workers", "users", "measured/s", "simulated/s", "simulated is off by", "measured p95 (ms)"]
    return pd.DataFrame(lines, columns=[*names, "simulated p95 (ms)"])


def _number(cell: Cell | None, name: str) -> float | None:
    return None if cell is None else getattr(cell, name)


def _percent_off(ratio: float) -> str:
    """How far a prediction lies from the measurement: +3.2 %."""
    return f"{100 * (ratio - 1):+.1f} %"
