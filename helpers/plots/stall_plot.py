"""One stall, seen twice: every request of a closed and of an open run around it, and the percentiles of both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from helpers.plots.picture import (
    FAINT,
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
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH, LEFT, RIGHT, HEAD, FOOT = 8.0, 0.95, 0.35, 0.78, 0.62  # inches
PANEL_IN, TITLE_IN, BETWEEN_IN = 1.45, 0.36, 0.75
BAR_IN, ROW_IN = 0.19, 0.54
BEFORE, AFTER = 2.0, 3.0  # lengths of the stall that are shown around its begin
ROOM = 1.18  # above the slowest request
FEW = 3  # so many dots are drawn large, or nobody would see them


@dataclass(frozen=True)
class Seen:
    """One run: per request when it was meant to start (s after the stop), how long it took, and if it met the stall.

    `percentiles_ms` as in the JSON: a number, {"at_least": number}, or None for too few samples.
    """

    name: str
    since_stop_s: "NDArray[np.float64]"
    response_ms: "NDArray[np.float64]"
    met: "NDArray[np.bool_]"
    percentiles_ms: Mapping[str, Any]
    void: bool = False

    @property
    def requests(self) -> int:
        return len(self.met)

    @property
    def bad(self) -> int:
        return int(np.count_nonzero(self.met))

    @property
    def finding(self) -> str:
        """How many of its requests met the stall."""
        if self.void:
            return "void: the measurement cannot be trusted"
        return f"{self.bad:,} of {count(self.requests, 'request')} met the stall"


@drawn
def stall_plot(closed: Seen, open_: Seen, *, stall_s: float, words: str = "") -> Picture:
    """The response time of every request around a stall of `stall_s`, closed above open; below, their percentiles.

    `words` is said in the alt text after the numbers. A void run is drawn as an empty, hatched field.
    """
    both = (closed, open_)
    names = list(closed.percentiles_ms)
    bars_in = ROW_IN * len(names)
    picture = Picture(WIDTH, HEAD + 2 * (TITLE_IN + PANEL_IN) + BETWEEN_IN + bars_in + FOOT)
    picture.headline(
        "The same stall, as two load tests see it",
        f"the server stood still for {duration(1e3 * stall_s)} · a dot is one request · lower is better",
    )
    top_ms = ROOM * _slowest_ms(both, stall_s)
    width_in = WIDTH - LEFT - RIGHT
    y_in = picture.height_in - HEAD
    for i, seen in enumerate(both):
        y_in -= TITLE_IN + PANEL_IN
        axes = picture.axes_at(LEFT, y_in, width_in, PANEL_IN)
        axes.set(xlim=(-BEFORE * stall_s, AFTER * stall_s), ylim=(0, top_ms), ylabel="response (ms)")
        _draw_requests(axes, seen, i, stall_s)
        plain_ticks(axes.xaxis)
        plain_ticks(axes.yaxis)
        if i == 0:
            axes.tick_params(labelbottom=False)
        else:
            axes.set_xlabel("when the request was meant to start (s since the server was stopped)")
    _draw_percentiles(picture.axes_at(LEFT, FOOT, width_in, bars_in), both, names, top_ms)
    return picture.finish(_alt(both, stall_s, words), _table(both))


def _slowest_ms(both: Sequence[Seen], stall_s: float) -> float:
    return max([1e3 * stall_s, *(float(seen.response_ms.max()) for seen in both if seen.requests and not seen.void)])


def _draw_requests(axes: Axes, seen: Seen, index: int, stall_s: float) -> None:
    colour, _, marker = SERIES[index]
    title: dict[str, Any] = {"transform": axes.transAxes, "va": "bottom", "size": 11}
    axes.text(0, 1.05, seen.name, weight="bold", color=colour, **title)
    axes.text(1, 1.05, seen.finding, ha="right", color=SOFT_INK, **title)
    axes.axvspan(0, stall_s, facecolor=FAINT, zorder=0)
    axes.text(
        stall_s / 2, 0.97, "server stopped", ha="center", va="top", size=10, color=SOFT_INK,
        transform=axes.get_xaxis_transform(), path_effects=HALO, zorder=1,
    )  # fmt: skip
    if seen.void:
        _hatched(axes)
        return
    usual: dict[str, Any] = {"markersize": 2.4, "alpha": 0.5, "zorder": 3}
    hit: dict[str, Any] = {"markersize": 8.0 if seen.bad <= FEW else 3.2, "zorder": 4, "clip_on": False}
    for chosen, style in ((~seen.met, usual), (seen.met, hit)):
        axes.plot(seen.since_stop_s[chosen], seen.response_ms[chosen], marker, linestyle="", color=colour, **style)


def _hatched(axes: Axes) -> None:
    low, high = axes.get_xlim()
    axes.axvspan(low, high, facecolor="white", edgecolor=LINE, hatch="///", zorder=2)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 3}
    axes.text(0.5, 0.5, "void", ha="center", va="center", transform=axes.transAxes, color=SOFT_INK, bbox=box, zorder=4)


def _draw_percentiles(axes: Axes, both: Sequence[Seen], names: Sequence[str], top_ms: float) -> None:
    axes.set(xlim=(0, top_ms), ylim=(ROW_IN * len(names), 0), xlabel="response time (ms)")
    axes.set_yticks([ROW_IN * (row + 0.5) for row in range(len(names))], labels=names)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False)
    plain_ticks(axes.xaxis)
    for row, name in enumerate(names):
        for i, seen in enumerate(both):
            y = ROW_IN * (row + 0.5) + (i - 0.5) * (BAR_IN + 0.02)
            _draw_bar(axes, y, seen, name, SERIES[i][0], top_ms)


def _draw_bar(axes: Axes, y: float, seen: Seen, name: str, colour: str, top_ms: float) -> None:
    value = None if seen.void else seen.percentiles_ms[name]
    bound = isinstance(value, dict)
    length = float(value["at_least"] if isinstance(value, dict) else value or 0.0)
    style: dict[str, Any] = {"facecolor": "white", "hatch": "///"} if bound else {"color": colour}
    axes.barh(y, min(length, top_ms), BAR_IN, edgecolor=colour, zorder=2, **style)
    words = "void" if seen.void else _said(value)
    inside = length > 0.6 * top_ms
    x = min(length, top_ms) + (-0.008 if inside else 0.008) * top_ms
    label: dict[str, Any] = {"ha": "right" if inside else "left", "color": "white" if inside and not bound else colour}
    axes.text(x, y, f"{words} · {seen.name}", va="center_baseline", size=9.5, zorder=4, **label)


def _said(value: Any) -> str:
    if value is None:
        return "too few requests"
    return f"≥ {duration(value['at_least'])}" if isinstance(value, dict) else duration(float(value))


def _alt(both: Sequence[Seen], stall_s: float, words: str) -> str:
    parts = []
    for seen in both:
        numbers = ", ".join(f"{name} {_said(value)}" for name, value in seen.percentiles_ms.items())
        parts.append(f"{seen.name}: {seen.finding}" + ("" if seen.void else f"; {numbers}"))
    return f"Response times around a stall of {duration(1e3 * stall_s)}. {'. '.join(parts)}. {words}"


def _table(both: Sequence[Seen]) -> pd.DataFrame:
    rows = []
    for seen in both:
        counts = {"requests": seen.requests, "met the stall": seen.bad}
        counts_said: dict[str, Any] = dict.fromkeys(counts) if seen.void else counts
        share = None if seen.void or not seen.requests else percent(seen.bad / seen.requests)
        times = {f"{name} (ms)": None if seen.void else value for name, value in seen.percentiles_ms.items()}
        verdict = "void" if seen.void else "measured"
        rows.append({"load": seen.name, **counts_said, "share": share, **times, "self-check": verdict})
    return pd.DataFrame(rows, dtype=object)
