"""How many requests per day one worker, one machine and several machines carry, against the number that is wanted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

from helpers.errors import InputError
from helpers.plots.picture import CURE, HALO, INK, PLAIN, STRONG, Picture, drawn

WIDTH, RIGHT, HEAD, FOOT = 8.0, 1.5, 0.98, 0.68  # inches
BAR_IN, STEP_IN = 0.34, 0.5
TWO_DECADES = 100


@dataclass(frozen=True)
class Reach:
    """What so much hardware carries: its name and the requests per day."""

    name: str
    per_day: float


@drawn
def reach_plot(reaches: Sequence[Reach], *, wanted_per_day: float, below: str) -> Picture:
    """A bar for each, on a scale of powers of ten, and a line at what is wanted. Those that reach it are drawn strong.

    Raises InputError when there is nothing to draw.
    """
    if not reaches or wanted_per_day <= 0:
        raise InputError("there is nothing to draw", "give at least one reach, and a number of requests that is wanted")
    probe = Picture(WIDTH, 1.0)
    left = 0.35 + max(probe.text_width_in(each.name, 11) for each in reaches)
    height_in = STEP_IN * len(reaches)
    picture = Picture(WIDTH, HEAD + height_in + FOOT)
    picture.headline("How far does it go?", below)
    axes = picture.axes_at(left, FOOT, WIDTH - left - RIGHT, height_in)
    values = [wanted_per_day, *(each.per_day for each in reaches)]
    axes.set_xscale("log")
    low, high = min(values) / 3, max(values) * 1.6
    axes.set(xlim=(low, high), ylim=(height_in, 0), yticks=[])
    subs = (1.0,) if high / low >= TWO_DECADES else (1.0, 2.0, 5.0)
    axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.set_xlabel("requests per day (logarithmic: each step is a factor)")
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_formatter(lambda value, _: people(value))
    axes.minorticks_off()
    for i, each in enumerate(reaches):
        _draw(axes, each, STEP_IN * (i + 0.5), enough=each.per_day >= wanted_per_day)
    axes.axvline(wanted_per_day, color=CURE, linewidth=2.2, zorder=3)
    words: dict[str, Any] = {"ha": "center", "va": "bottom", "size": 11, "color": CURE, "weight": "bold"}
    axes.text(wanted_per_day, -0.05, f"wanted: {people(wanted_per_day)}", path_effects=HALO, **words)
    table = pd.DataFrame([(each.name, people(each.per_day)) for each in reaches], columns=["with", "requests per day"])
    told = "; ".join(f"{each.name}: {people(each.per_day)}" for each in reaches)
    return picture.finish(f"Requests per day. {told}. Wanted: {people(wanted_per_day)}.", table)


def people(number: float) -> str:
    """A large number as one says it: 950, 12 thousand, 3.5 million."""
    for size, name in ((1e9, " billion"), (1e6, " million"), (1e3, " thousand")):
        if number >= 0.9995 * size:
            return f"{number / size:.3g}{name}"
    return f"{number:.3g}"


def _draw(axes: Axes, each: Reach, y: float, *, enough: bool) -> None:
    axes.text(-0.015, y, each.name, transform=axes.get_yaxis_transform(), ha="right", va="center", size=11)
    low = axes.get_xlim()[0]
    axes.barh(y, each.per_day - low, BAR_IN, left=low, color=STRONG if enough else PLAIN, zorder=2)
    style: dict[str, Any] = {"va": "center", "size": 11.5, "weight": "bold", "color": INK, "path_effects": HALO}
    axes.text(1.02, y, people(each.per_day), transform=axes.get_yaxis_transform(), ha="left", **style)
