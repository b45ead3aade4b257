"""How response times are distributed, with the requests that were never answered on a rail of their own."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
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
    percent,
    plain_ticks,
    spread,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP = 8.0, 4.5, 0.85, 1.75, 0.8, 0.85  # inches
AXES_WIDTH = WIDTH - LEFT - RIGHT
RAIL_IN = 0.32  # height of one series on the rail
BEYOND = 10  # a percentile needs that many samples beyond it
SHARES = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999)
TICKS = (0.5, 0.0, 0.95, 0.99, 0.999, 0.9999, 0.9, 0.75)  # the first ones win where there is little room
NAMED = (0.5, 0.95)


@dataclass(frozen=True)
class Curve:
    """One series: its successes sorted, and how many requests never were answered in time."""

    name: str
    ok_ms: "NDArray[np.float64]"
    timeouts: int
    colour: str
    dash: str
    marker: str

    @property
    def total(self) -> int:
        """All requests: answered, or given up."""
        return len(self.ok_ms) + self.timeouts

    @property
    def lost_share(self) -> float:
        """Share of requests that never were answered in time."""
        return self.timeouts / self.total if self.total else 0.0

    @property
    def reach(self) -> float:
        """The highest share for which enough slower requests exist; the curve ends there."""
        return 1 - BEYOND / self.total if self.total >= 2 * BEYOND else 0.0

    def at(self, share: float) -> float | None:
        """The percentile in ms; None where too few samples lie beyond it, or where it lies among the time-outs."""
        place = math.ceil(share * self.total) - 1
        return float(self.ok_ms[max(place, 0)]) if share <= self.reach and place < len(self.ok_ms) else None


@drawn
def latency_plot(
    ok_response_ms: "Mapping[str, ArrayLike]",
    *,
    timeouts: Mapping[str, int] | None = None,
    timeout_ms: float | None = None,
) -> Picture:
    """Response times of each series from the fastest to the slowest request, on a scale that stretches the slow end.

    `ok_response_ms` holds the successes of each series, `timeouts` how many of its requests were never answered within
    `timeout_ms`: they count as slower than every success. A curve ends where fewer than 10 requests are slower; below
    20 requests each is a dot. Raises InputError when there is no series, or a time-out without `timeout_ms`.
    """
    curves = _curves(ok_response_ms, timeouts or {}, timeout_ms)
    rail = [curve for curve in curves if curve.timeouts]
    rail_in = RAIL_IN * len(rail) + (0.1 if rail else 0)
    picture = Picture(WIDTH, HEIGHT + rail_in)
    picture.headline(
        "Response times, from the fastest to the slowest request",
        "lower is better · the scale stretches the slow end",
    )
    axes = picture.axes_at(LEFT, BOTTOM, AXES_WIDTH, HEIGHT - BOTTOM - TOP)
    right = _stretch(max([0.95, *(curve.reach for curve in curves)])) * 1.04
    values = [value for curve in curves for value in _drawn_ms(curve)]
    top = 1.15 * max(values, default=1.0) or 1.0
    axes.set(xlim=(0, right), ylim=(0, top), ylabel="response time (ms)")
    axes.set_xlabel("share of all requests that took at most so long")
    ticks: list[float] = []
    for share in TICKS:
        if _stretch(share) <= right and all(abs(_stretch(share) - _stretch(t)) > 0.085 * right for t in ticks):
            ticks.append(share)
    axes.xaxis.set_major_locator(FixedLocator([_stretch(share) for share in ticks]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([_tick(share) for share in ticks])
    plain_ticks(axes.yaxis)
    for curve in curves:
        _draw_curve(axes, curve)
    _name_percentiles(axes, curves, top)
    _name_curves(axes, curves, top)
    if rail:
        bottom_in = HEIGHT - TOP + 0.1
        above = picture.axes_at(LEFT, bottom_in, AXES_WIDTH, RAIL_IN * len(rail))
        _draw_rail(picture, above, rail, right, timeout_ms or 0.0)
    return picture.finish(_alt(curves, timeout_ms), _table(curves))


def _curves(
    ok_response_ms: "Mapping[str, ArrayLike]", timeouts: Mapping[str, int], timeout_ms: float | None
) -> list[Curve]:
    if not ok_response_ms:
        raise InputError("there are no response times to draw", "give at least one series: {'1 worker': times_in_ms}")
    if unknown := sorted(set(timeouts) - set(ok_response_ms)):
        raise InputError(f"time-outs are given for {unknown[0]!r}, which is no series", "use the same names for both")
    if any(timeouts.values()) and timeout_ms is None:
        raise InputError("there are time-outs, but not after how long", "give timeout_ms as the load test had it")
    curves = []
    for i, (name, values) in enumerate(ok_response_ms.items()):
        times = np.asarray(values, dtype=np.float64).ravel()
        times = np.sort(times[np.isfinite(times)])
        curves.append(Curve(name, times, int(timeouts.get(name, 0)), *SERIES[i % len(SERIES)]))
    return curves


def _stretch(share: float) -> float:
    """90 %, 99 % and 99.9 % are one step apart."""
    return -math.log10(1 - share)


def _tick(share: float) -> str:
    return f"{100 * share:.6g} %" + {0.5: "\nmedian", 0.95: "\np95", 0.99: "\np99"}.get(share, "")


def _drawn_ms(curve: Curve) -> "NDArray[np.float64]":
    """The part of a series that is drawn: all of a small one, else as far as percentiles can be told."""
    if curve.total < 2 * BEYOND:
        return curve.ok_ms
    return curve.ok_ms[: math.floor(curve.reach * curve.total) + 1]


def _draw_curve(axes: Axes, curve: Curve) -> None:
    times = _drawn_ms(curve)
    places = -np.log10(1 - (np.arange(len(times)) + 0.5) / max(curve.total, 1))
    if curve.total < 2 * BEYOND:
        axes.plot(places, times, curve.marker, color=curve.colour, markerfacecolor="white", zorder=4)
        return
    axes.plot(places, times, curve.dash, color=curve.colour, linewidth=2.2, zorder=3)


def _name_percentiles(axes: Axes, curves: Sequence[Curve], top: float) -> None:
    """A dot with its number at the median (below the curve) and at p95 (above it), kept apart from one another."""
    gap = 0.19 * top / (HEIGHT - BOTTOM - TOP)
    for share, side, ha in ((0.5, -1, "left"), (0.95, 1, "right")):
        found = [(curve, value) for curve in curves if (value := curve.at(share)) is not None]
        wanted = [value + side * 0.75 * gap for _, value in found]
        low = gap / 2
        high = top if side > 0 else max([low + gap * (len(found) - 1), *wanted])
        for (curve, value), y in zip(found, spread(wanted, gap, low, high), strict=True):
            x = _stretch(share)
            axes.plot([x], [value], curve.marker, color=curve.colour, markerfacecolor="white", markersize=7, zorder=5)
            style: dict[str, Any] = {"ha": ha, "va": "center", "size": 10.5, "path_effects": HALO, "zorder": 6}
            axes.text(x - side * 0.02, y, duration(value), color=curve.colour, **style)


def _name_curves(axes: Axes, curves: Sequence[Curve], top: float) -> None:
    """Each curve's name at the right, level with its end."""
    ends = [float(times[-1]) if len(times := _drawn_ms(curve)) else top for curve in curves]
    gap = 0.42 * top / (HEIGHT - BOTTOM - TOP)
    for curve, y in zip(curves, spread(ends, gap, high=top), strict=True):
        note = f"{curve.total:,} requests" if curve.total >= 2 * BEYOND else f"{count(curve.total, 'request')}, dots"
        right: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "clip_on": False, "color": curve.colour}
        axes.plot([1.015, 1.05], [y, y], curve.dash, linewidth=2.2, **right)
        style: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "size": 10.5}
        axes.text(1.065, y, curve.name, va="bottom", weight="bold", **style)
        axes.text(1.065, y, note, va="top", color=SOFT_INK, **style)


def _draw_rail(picture: Picture, axes: Axes, rail: Sequence[Curve], right: float, timeout_ms: float) -> None:
    """Above the axis: the share of each series that never was answered, at the slow end, where it belongs."""
    axes.set(xlim=(0, right), ylim=(len(rail), 0))
    axes.axis("off")
    per_in = right / AXES_WIDTH
    for i, curve in enumerate(rail):
        start = min(_stretch(1 - curve.lost_share) if curve.lost_share < 1 else 0.0, right * 0.99)
        axes.axhspan(i + 0.08, i + 0.92, facecolor="#F6F7F9", zorder=1)
        axes.barh(i + 0.5, right - start, left=start, height=0.84, color="#F8DCCB", edgecolor=FAILED, zorder=2)
        words = f"{curve.name}: {percent(curve.lost_share)} never answered within {duration(timeout_ms)}"
        room = (picture.text_width_in(words, 10.5) + 0.3) * per_in
        x = start - room if start > room else start if right - start > room else 0.0
        place: dict[str, Any] = {"color": curve.colour, "markerfacecolor": "white", "zorder": 4}
        axes.plot([x + 0.12 * per_in], [i + 0.5], curve.marker, **place)
        axes.text(x + 0.22 * per_in, i + 0.5, words, va="center_baseline", size=10.5, zorder=4)


def _alt(curves: Sequence[Curve], timeout_ms: float | None) -> str:
    parts = []
    for curve in curves:
        known = [f"p{100 * s:.0f} {duration(value)}" for s in NAMED if (value := curve.at(s)) is not None]
        if curve.timeouts:
            known.append(f"{percent(curve.lost_share)} never answered within {duration(timeout_ms or 0.0)}")
        parts.append(f"{curve.name}, {curve.total:,} requests: {', '.join(known) or 'too few for percentiles'}")
    return f"Distribution of response times. {'; '.join(parts)}."


def _table(curves: Sequence[Curve]) -> pd.DataFrame:
    shares = [share for share in SHARES if any(share <= curve.reach for curve in curves)]
    return pd.DataFrame(
        [
            {
                "series": curve.name,
                "requests": curve.total,
                **{f"p{100 * share:.6g} (ms)": curve.at(share) for share in shares},
                "never answered": curve.timeouts,
            }
            for curve in curves
        ],
        dtype=object,
    )
