"""Throughput and p95 against workers, and against users: a dot per launch, a line through the means."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from helpers.plots.picture import (
    FAILED,
    HALO,
    LINE,
    SERIES,
    SOFT_INK,
    Picture,
    count,
    drawn,
    duration,
    percent,
    plain_ticks,
    short,
    spread,
)
from helpers.plots.rows import Cell, Row, cells, cores_name, one_load, table

WORKERS_SIZE, USERS_SIZE = (8.0, 4.0), (8.0, 6.6)  # inches
NAMES_IN = 1.55  # room for the names of the lines, where there are several


@dataclass(frozen=True)
class Line:
    """One configuration across the picture."""

    name: str
    cells: tuple[Cell, ...]
    colour: str
    dash: str
    marker: str


@dataclass(frozen=True)
class Quantity:
    """One panel: which number of a cell it shows, per launch, and on average."""

    title: str
    dots: Callable[[Cell], Sequence[float]]
    mean: Callable[[Cell], float | None]
    bounds: Callable[[Cell], Sequence[float]] = lambda cell: ()
    least_top: float = 0.0


THROUGHPUT = Quantity("requests per second (higher is better)", lambda c: c.per_s, lambda c: c.mean_per_s)
P95 = Quantity(
    "p95 response in ms (lower is better)", lambda c: c.p95_ms, lambda c: c.mean_p95_ms, lambda c: c.p95_at_least_ms
)
FAILURES = Quantity(
    "failed requests in % (lower is better)",
    lambda c: [100 * share for share in c.error_ratio],
    lambda c: None if c.mean_error_ratio is None else 100 * c.mean_error_ratio,
    least_top=5.0,
)


@drawn
def scaling_plot(rows: Sequence[Row]) -> Picture:
    """Throughput and p95 response time against workers, a line for each number of cores.

    `rows` are those of a sweep. Raises InputError when there are none, or when they mix several numbers of users.
    """
    found = one_load(cells(rows))
    cores = list(dict.fromkeys(cell.cpus for cell in found))
    lines = _lines([(cores_name(cpus), [c for c in found if c.cpus == cpus]) for cpus in cores])
    picture = Picture(*WORKERS_SIZE)
    users, where = count(found[0].users, "user"), f" on {cores_name(cores[0])}" if len(cores) == 1 else ""
    picture.headline(
        f"More workers{where}: what they change", f"{users} · a dot is one launch · the line joins the means"
    )
    room = WORKERS_SIZE[0] - 0.75 - 0.65 - (NAMES_IN if len(lines) > 1 else 0.3)
    workers = sorted({cell.workers for cell in found})
    for i, quantity in enumerate((THROUGHPUT, P95)):
        axes = picture.axes_at(0.75 + i * (room / 2 + 0.65), 0.75, room / 2, 2.2)
        axes.set(xlim=(min(workers) - 0.5, max(workers) + 0.5), xlabel="workers")
        axes.xaxis.set_major_locator(FixedLocator(workers))
        _draw_panel(axes, quantity, lines, lambda cell: cell.workers, 2.2, names=i == 1)
        if len(cores) == 1 and cores[0] is not None:
            axes.set_xticklabels([f"{number}\n= cores" if number == cores[0] else str(number) for number in workers])
    return picture.finish(_alt("workers", lines, lambda cell: cell.workers), table(rows))


@drawn
def users_plot(rows: Sequence[Row]) -> Picture:
    """Throughput, p95 and failed share against users (each step doubles), a line for each configuration.

    `rows` are those of a sweep over users. Raises InputError when there are none.
    """
    found = cells(rows)
    kinds = list(dict.fromkeys((cell.cpus, cell.workers) for cell in found))
    many_cores = len({cpus for cpus, _ in kinds}) > 1
    lines = _lines(
        [
            (
                count(workers, "worker") + (f"\n{cores_name(cpus)}" if many_cores else ""),
                [cell for cell in found if (cell.cpus, cell.workers) == (cpus, workers)],
            )
            for cpus, workers in kinds
        ]
    )
    picture = Picture(*USERS_SIZE)
    where = "" if len(kinds) > 1 else f": {count(kinds[0][1], 'worker')} on {cores_name(kinds[0][0])}"
    picture.headline(f"More users at the same time{where}", "a dot is one launch · the line joins the means")
    width = USERS_SIZE[0] - 0.85 - (NAMES_IN if len(lines) > 1 else 0.4)
    users = sorted({cell.users for cell in found})
    heights, bottom = (1.6, 1.6, 1.0), USERS_SIZE[1] - 0.62
    for quantity, height in zip((THROUGHPUT, P95, FAILURES), heights, strict=True):
        bottom -= height + 0.35
        axes = picture.axes_at(0.85, bottom, width, height)
        axes.set_xscale("log", base=2)
        axes.set_xlim(users[0] / 1.3, users[-1] * 1.3)
        axes.xaxis.set_major_locator(FixedLocator(users))
        axes.xaxis.set_minor_locator(NullLocator())
        plain_ticks(axes.xaxis)
        axes.tick_params(labelbottom=quantity is FAILURES)
        _draw_panel(axes, quantity, lines, lambda cell: cell.users, height, names=quantity is THROUGHPUT)
    axes.set_xlabel("users, each waiting for its answer (the scale doubles from step to step)")
    if all(cell.error_ratio and not any(cell.error_ratio) for cell in found):
        axes.text(0.5, 0.5, "no request failed", transform=axes.transAxes, ha="center", va="center", color=SOFT_INK)
    return picture.finish(_alt("users", lines, lambda cell: cell.users), table(rows))


def _lines(named: Sequence[tuple[str, Sequence[Cell]]]) -> list[Line]:
    return [Line(name, tuple(group), *SERIES[i % len(SERIES)]) for i, (name, group) in enumerate(named)]


def _draw_panel(
    axes: Axes, quantity: Quantity, lines: Sequence[Line], at: Callable[[Cell], int], height_in: float, *, names: bool
) -> None:
    """Draw every line of one quantity; what is void is hatched, what is only known to be at least so much points up."""
    everything = [cell for line in lines for cell in line.cells]
    seen = [value for cell in everything for value in (*quantity.dots(cell), *quantity.bounds(cell))]
    top = max(1.18 * max(seen, default=1.0), quantity.least_top) or 1.0
    axes.set(ylim=(0, top))
    axes.set_title(quantity.title, size=11, loc="left", color=SOFT_INK)
    plain_ticks(axes.yaxis)
    if not seen:
        axes.set_yticks([])  # nothing was measured, so there is no scale
    ends: list[tuple[float, Line]] = []
    for line in lines:
        heights = [_height(quantity, cell) for cell in line.cells]
        gaps = [math.nan if height is None else height for height in heights]  # the line breaks where nothing is known
        axes.plot([at(cell) for cell in line.cells], gaps, line.dash, color=line.colour, linewidth=2, zorder=3)
        for cell in line.cells:
            _draw_cell(axes, quantity, line, cell, at(cell))
            if cell.void == cell.launches:
                _draw_void(axes, at(cell), top, line.colour, alone=len(lines) == 1)
        ends.append((next((height for height in reversed(heights) if height is not None), top), line))
    for x, bound in {(at(cell), max(bounds)) for cell in everything if (bounds := quantity.bounds(cell))}:
        style: dict[str, Any] = {"ha": "center", "va": "bottom", "size": 10, "path_effects": HALO, "zorder": 6}
        axes.text(x, bound + 0.05 * top, f"≥ {duration(bound)}", **style)
    if not names or len(lines) < 2:
        return
    gap = 0.2 * (1 + max(line.name.count("\n") for line in lines)) * top / height_in
    for (_, line), y in zip(ends, spread([end for end, _ in ends], gap, high=top), strict=True):
        right: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "clip_on": False, "color": line.colour}
        axes.plot([1.03, 1.11], [y, y], line.dash, linewidth=2, **right)
        axes.plot([1.07], [y], line.marker, markersize=6, markerfacecolor="white", **right)
        axes.text(1.13, y, line.name, transform=axes.get_yaxis_transform(), va="center", size=10.5, linespacing=1.05)


def _height(quantity: Quantity, cell: Cell) -> float | None:
    """Where the line passes: the mean, or the lowest it can be where a part is only known as a bound."""
    bounds = quantity.bounds(cell)
    values = [*quantity.dots(cell), *bounds]
    return sum(values) / len(values) if bounds else quantity.mean(cell)


def _draw_cell(axes: Axes, quantity: Quantity, line: Line, cell: Cell, x: float) -> None:
    style: dict[str, Any] = {"linestyle": "none", "zorder": 5, "clip_on": False}
    dots, bounds = quantity.dots(cell), quantity.bounds(cell)
    axes.plot([x] * len(dots), dots, line.marker, markersize=6, markerfacecolor="white", color=line.colour, **style)
    axes.plot([x] * len(bounds), bounds, "^", markersize=9, color=FAILED, **style)


def _draw_void(axes: Axes, x: float, top: float, colour: str, *, alone: bool) -> None:
    """A hatched bar without a number; a low one in the line's colour where other lines pass above it."""
    low, high = axes.get_xlim()
    half = 0.03 * (high - low)
    left, right = (x / 1.1, x * 1.1) if axes.get_xscale() == "log" else (x - half, x + half)
    height = top if alone else 0.1 * top
    axes.bar(left, height, right - left, align="edge", facecolor="white", edgecolor=LINE, hatch="///", zorder=2)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    style: dict[str, Any] = {"ha": "center", "size": 10, "color": colour, "zorder": 6}
    if alone:
        axes.text(x, top / 2, "void", va="center", bbox=box, **style)
    else:
        axes.text(x, height + 0.02 * top, "void", va="bottom", path_effects=HALO, **style)


def _alt(what: str, lines: Sequence[Line], at: Callable[[Cell], int]) -> str:
    parts = []
    for line in lines:
        points = []
        for cell in line.cells:
            if cell.mean_per_s is None:
                points.append(f"{at(cell)}: void")
                continue
            p95 = f", p95 {duration(cell.mean_p95_ms)}" if cell.mean_p95_ms is not None else ""
            p95 = f", p95 at least {duration(max(cell.p95_at_least_ms))}" if cell.p95_at_least_ms else p95
            failed = f", {percent(cell.mean_error_ratio)} failed" if cell.mean_error_ratio else ""
            points.append(f"{at(cell)}: {short(cell.mean_per_s)} requests per second{p95}{failed}")
        parts.append(f"{line.name.replace(chr(10), ', ')}: {'; '.join(points)}")
    return f"Throughput and p95 against {what}. {' | '.join(parts)}."
