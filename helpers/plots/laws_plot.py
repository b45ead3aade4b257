"""The laws as pictures: throughput by the Universal Scalability Law, waiting time against utilisation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter

from helpers.errors import InputError
from helpers.plots.picture import (
    FAINT,
    HALO,
    LINE,
    SERIES,
    SOFT_INK,
    STRONG,
    Picture,
    count,
    drawn,
    percent,
    plain_ticks,
    short,
    spread,
)
from helpers.theory.queues import mmc_wait_s
from helpers.theory.scaling import UslFit

WIDTH, HEIGHT = 8.0, 4.2  # inches
LEFT, BOTTOM, PANEL_HEIGHT, NAMES_IN = 0.75, 0.75, 2.55, 1.3
HIGHEST_UTILISATION, HIGHEST_WAIT = 0.95, 12.0
NEAR_THE_AXIS = 1.0  # services
Name = tuple[str, float, str]  # what a line is called, where it ends, its colour


@drawn
def usl_plot(fit: UslFit, *, invented: bool = False) -> Picture:
    """Throughputs as dots, the Universal Scalability Law through them with its 95 % band, and where it peaks.

    `invented`: the dots are no measurement, and the picture says so.
    """
    most = max(fit.workers)
    shown = 1.1 * fit.peak_workers if 1.13 * most < fit.peak_workers < 2 * most else 1.25 * most
    grid = np.linspace(1, shown, 120)
    law = np.array([fit.per_s(n) for n in grid])
    picture = Picture(WIDTH, HEIGHT)
    dot = "a dot is one invented launch" if invented else "a dot is one launch"
    picture.headline("The Universal Scalability Law", f"requests per second (higher is better) · {dot}")
    axes = picture.axes_at(LEFT, BOTTOM, WIDTH - LEFT - NAMES_IN, PANEL_HEIGHT)
    top = 1.25 * max(*fit.measured_per_s, law.max())
    axes.set(xlim=(0.5, shown), ylim=(0, top), xlabel="workers")
    axes.xaxis.set_major_locator(FixedLocator(sorted(set(fit.workers))))
    plain_ticks(axes.yaxis)
    low, high = np.array([fit.per_s_ci95(n) for n in grid]).T
    axes.fill_between(grid, low, high.clip(None, 2 * top), color=FAINT, zorder=1)
    axes.plot(grid, law, "--", color=STRONG, linewidth=2, zorder=3)
    dots: dict[str, Any] = {"markersize": 6, "markerfacecolor": "white", "linestyle": "none", "zorder": 5}
    axes.plot(fit.workers, fit.measured_per_s, "o", color=STRONG, **dots)
    lines = [("the law,\n95 % band", float(law[-1]), STRONG)]
    _draw_linear(axes, fit, shown, lines)
    _name_lines(axes, lines)
    if fit.peak_workers <= shown:
        _draw_peak(axes, fit, shown)
    given = "invented/s" if invented else "measured/s"
    columns = {"workers": fit.workers, given: fit.measured_per_s, "law/s": map(fit.per_s, fit.workers)}
    table = pd.DataFrame({name: list(values) for name, values in columns.items()})
    launches = f"{len(fit.workers)} {'invented ' if invented else ''}launches"
    return picture.finish(f"The Universal Scalability Law fitted to {launches}: {fit}.", table)


def _draw_linear(axes: Axes, fit: UslFit, shown: float, lines: list[Name]) -> None:
    """N times what one does, named at its end, or where it leaves the picture."""
    top, end = axes.get_ylim()[1], fit.per_s_of_one * shown
    axes.plot([1, shown], [fit.per_s_of_one, end], ":", color=LINE, linewidth=1.5, zorder=2)
    if end <= top:
        lines.append(("N times one", end, SOFT_INK))
        return
    style: dict[str, Any] = {"ha": "left", "va": "top", "size": 10.5, "color": SOFT_INK, "path_effects": HALO}
    axes.text(top / fit.per_s_of_one, top, "  N times one", **style)


def _draw_peak(axes: Axes, fit: UslFit, shown: float) -> None:
    peak, top = fit.peak_workers, axes.get_ylim()[1]
    axes.plot([peak, peak], [0, fit.per_s(peak)], color=LINE, linewidth=1.2, zorder=2)
    words = f" peak at {short(peak)} workers " + ("\n (extrapolated) " if fit.extrapolated else "")
    style: dict[str, Any] = {"ha": "right" if peak > 0.55 * shown else "left", "va": "bottom", "size": 10.5}
    axes.text(peak, 0.04 * top, words, path_effects=HALO, zorder=6, **style)


def _name_lines(axes: Axes, lines: Sequence[Name]) -> None:
    """The names to the right of the picture, near where each line ends and apart from each other."""
    top = axes.get_ylim()[1]
    ends = spread([y for _, y, _ in lines], 0.45 * top / PANEL_HEIGHT, high=0.97 * top)
    for (text, _, colour), y in zip(lines, ends, strict=True):
        axes.text(1.02, y, text, transform=axes.get_yaxis_transform(), va="center", size=10.5, color=colour)


# ------------------------------------------------------------------------------------------- waiting, utilisation


@drawn
def waiting_plot(workers: Sequence[int] = (1, 2), *, points: Sequence[tuple[int, float, float]] = ()) -> Picture:
    """The mean wait against utilisation, in multiples of one service time: M/M/1 and M/M/2, by Erlang C.

    `points` are simulated: (workers, utilisation 0 to 1, mean wait / mean service time). Raises InputError for a
    utilisation of 1 or more, and for points of a number of workers that is not drawn.
    """
    if not workers:
        raise InputError("there is no number of workers to draw", "give one or more, such as (1, 2)")
    for number, at, _ in points:
        if number not in workers or not 0 <= at < 1:
            raise InputError(
                f"a point of {count(number, 'worker')} at a utilisation of {at:g} cannot be drawn",
                f"give points of {', '.join(map(str, workers))} workers, at a utilisation from 0 up to, but not, 1",
            )
    picture = Picture(WIDTH, HEIGHT)
    picture.headline(
        "Why a worker must not be busy all the time",
        "mean wait in line, in multiples of one request's work (lower is better) · random arrivals, random work",
    )
    axes = picture.axes_at(LEFT, BOTTOM, WIDTH - LEFT - NAMES_IN, PANEL_HEIGHT)
    top = max([HIGHEST_WAIT, *(1.1 * wait for _, _, wait in points)])
    axes.set(xlim=(0, 1), ylim=(0, top), xlabel="utilisation: the share of the time that each worker is busy")
    axes.xaxis.set_major_locator(FixedLocator([step / 10 for step in range(11)]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    plain_ticks(axes.yaxis)
    axes.axvline(0.8, color=LINE, linewidth=1, linestyle=":", zorder=1)
    lines = [_draw_waits(axes, i, number, points) for i, number in enumerate(workers)]
    _name_lines(axes, lines)
    if points:
        picture.say(WIDTH - NAMES_IN + 0.1, BOTTOM, "a dot is one\nsimulated run", size=10.5, color=SOFT_INK)
    return picture.finish(_waiting_alt(workers), _waiting_table(workers, points))


def _draw_waits(axes: Axes, index: int, workers: int, points: Sequence[tuple[int, float, float]]) -> Name:
    """One curve with its simulated dots and its value at 80 %; returns its name and where it ends."""
    colour, dash, marker = SERIES[index % len(SERIES)]
    busy = np.linspace(0, HIGHEST_UTILISATION, 191)
    waits = [wait_in_services(workers, float(share)) for share in busy]
    axes.plot(busy, waits, dash, color=colour, linewidth=2, zorder=3)
    dots = [(share, wait) for number, share, wait in points if number == workers]
    style: dict[str, Any] = {"markersize": 6, "markerfacecolor": "white", "linestyle": "none", "zorder": 5}
    axes.plot([x for x, _ in dots], [y for _, y in dots], marker, color=colour, **style)
    at_80 = wait_in_services(workers, 0.8)
    label: dict[str, Any] = {"size": 10.5, "color": colour, "path_effects": HALO, "zorder": 6}
    if at_80 < NEAR_THE_AXIS:  # below the line there is no room
        axes.text(0.79, at_80 - 0.1, f"{short(at_80)}×", ha="right", va="bottom", **label)
    else:
        axes.text(0.81, at_80 - 0.05, f"{short(at_80)}×", ha="left", va="top", **label)
    return f"{count(workers, 'worker')}\n(M/M/{workers})", min(waits[-1], axes.get_ylim()[1]), colour


def wait_in_services(workers: int, utilisation: float) -> float:
    """The mean wait of M/M/c at that utilisation, in multiples of one mean service time."""
    return mmc_wait_s(utilisation * workers, 1.0, workers)


def _waiting_alt(workers: Sequence[int]) -> str:
    parts = []
    for number in workers:
        waits = [f"{short(wait_in_services(number, at))} at {percent(at)}" for at in (0.5, 0.8, 0.9)]
        parts.append(f"{count(number, 'worker')}: {', '.join(waits)}")
    said = "; ".join(parts)
    return f"The mean wait, in service times, grows without end as utilisation comes near 100 %. {said}."


def _waiting_table(workers: Sequence[int], points: Sequence[tuple[int, float, float]]) -> pd.DataFrame:
    rows = [
        {"workers": number, "utilisation": percent(at), "wait / work": wait_in_services(number, at)}
        for number in workers
        for at in (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
    ]
    simulated = [
        {"workers": number, "utilisation": percent(at), "wait / work": wait, "from": "simulated"}
        for number, at, wait in points
    ]
    return pd.DataFrame([row | {"from": "formula"} for row in rows] + simulated)
