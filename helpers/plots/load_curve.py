"""Response time against utilisation, measured and by theory."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter

from helpers.errors import InputError
from helpers.plots.picture import (
    HALO,
    LINE,
    SERIES,
    SOFT_INK,
    STRONG,
    Picture,
    drawn,
    duration,
    percent,
    plain_ticks,
    short,
)
from helpers.theory.queues import mg1_response_s

WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, HEAD = 8.0, 4.6, 0.85, 1.75, 0.95, 0.95  # inches
LEAST_SHOWN = 6.0  # services
BAR_IN, STEP_IN, BARS_LEFT, BARS_RIGHT, BARS_FOOT = 0.5, 0.82, 2.1, 1.35, 0.75
EMPTY_FROM = 0.09  # a piece of a bar narrower than this has no number in it


class Measured(Protocol):
    """One load: what came per second, how busy that kept the worker, and how long the answers took."""

    @property
    def rate_per_s(self) -> float: ...
    @property
    def busy(self) -> float: ...
    @property
    def mean_ms(self) -> float: ...
    @property
    def p95_ms(self) -> float | None: ...


@drawn
def load_curve_plot(dots: Sequence[Measured], *, service_ms: float, cv: float) -> Picture:
    """Measured means (dots) and p95 (squares) against utilisation, and the mean by M/G/1 with that `cv` and by M/M/1.

    `service_ms` is the mean work of one request, `cv` its coefficient of variation. Without dots (a void run) the
    theory is drawn alone. Raises InputError for a service time that is none.
    """
    if not service_ms > 0:
        raise InputError(f"service_ms={service_ms!r} is no time", "give the mean work of one request in ms")
    highest = max([1.0, *(1.03 * dot.busy for dot in dots)])
    seen = [dot.mean_ms for dot in dots] + [dot.p95_ms for dot in dots if dot.p95_ms is not None]
    top = 1.12 * max([LEAST_SHOWN * service_ms, *seen])
    picture = Picture(WIDTH, HEIGHT)
    picture.headline(
        "How long an answer takes, by how busy the worker is",
        f"lower is better · visitors come at random · one request is {duration(service_ms)} of work",
    )
    axes = picture.axes_at(LEFT, BOTTOM, WIDTH - LEFT - RIGHT, HEIGHT - BOTTOM - HEAD)
    axes.set(xlim=(0, highest), ylim=(0, top), ylabel="response time (ms)")
    _busy_axis(axes, service_ms)
    plain_ticks(axes.yaxis)
    axes.axhline(service_ms, color=LINE, linewidth=1, linestyle=(0, (2, 3)), zorder=1)
    place: dict[str, Any] = {"va": "top", "size": 10, "color": SOFT_INK, "path_effects": HALO, "zorder": 6}
    axes.text(0.01, 0.94 * service_ms, "the work itself", **place)
    for each_cv, colour, dash, _ in _theories(cv):
        _draw_theory(axes, service_ms, each_cv, colour, dash)
    for marker, colour, values in (
        ("s", SERIES[1][0], [(dot.busy, dot.p95_ms) for dot in dots if dot.p95_ms is not None]),
        ("o", STRONG, [(dot.busy, dot.mean_ms) for dot in dots]),
    ):
        style: dict[str, Any] = {"markersize": 8, "markerfacecolor": "white", "markeredgewidth": 1.8, "zorder": 5}
        axes.plot([x for x, _ in values], [y for _, y in values], marker, color=colour, clip_on=False, **style)
    _name_theories(axes, cv)
    _name_markers(axes, bool(dots))
    return picture.finish(_alt(dots, service_ms), _table(dots, service_ms, cv))


def _busy_axis(axes: Axes, service_ms: float) -> None:
    """The share of time, and below it the arrivals per second that make it."""
    axes.xaxis.set_major_locator(FixedLocator([0, 0.2, 0.4, 0.6, 0.8, 1.0]))
    labels = FuncFormatter(lambda share, _: f"{100 * share:.0f} %\n{1000 * share / service_ms:.0f}/s")
    axes.xaxis.set_major_formatter(labels)
    axes.set_xlabel("utilisation: share of the time that the worker is busy, and the arrivals that make it so")


def _theories(cv: float) -> tuple[tuple[float, str, str, str], ...]:
    """cv, colour, dash and name of each line."""
    return (
        (1.0, "#6E7781", "--", "theory: work that\nvaries at random\n(M/M/1)"),
        (cv, STRONG, "-", f"theory: your work\n(M/G/1, cv {cv:.2f})"),
    )


def _draw_theory(axes: Axes, service_ms: float, cv: float, colour: str, dash: str) -> None:
    """The curve as far as the picture goes."""
    share = np.linspace(0, 0.995, 400)
    height = np.array([mean_response_ms(each, service_ms, cv) for each in share])
    inside = height <= axes.get_ylim()[1]
    axes.plot(share[inside], height[inside], dash, color=colour, linewidth=2, zorder=3)


def mean_response_ms(busy: float, service_ms: float, cv: float) -> float:
    """By Pollaczek and Khinchine; `busy` below 1."""
    return 1000 * mg1_response_s(1000 * busy / service_ms, service_ms / 1000, cv)


def _name_theories(axes: Axes, cv: float) -> None:
    for (_, colour, dash, text), y in zip(_theories(cv), (0.86, 0.6), strict=True):
        axes.plot([1.015, 1.06], [y, y], dash, color=colour, linewidth=2.2, transform=axes.transAxes, clip_on=False)
        axes.text(1.075, y, text, va="center", size=10, transform=axes.transAxes, linespacing=1.05)


def _name_markers(axes: Axes, any_dots: bool) -> None:
    lines = (("o", STRONG, "measured: mean"), ("s", SERIES[1][0], "measured: p95")) if any_dots else ()
    for i, (marker, colour, text) in enumerate(lines):
        y = 0.3 - 0.13 * i
        style: dict[str, Any] = {"markersize": 8, "markerfacecolor": "white", "markeredgewidth": 1.8}
        axes.plot([1.037], [y], marker, color=colour, transform=axes.transAxes, clip_on=False, **style)
        axes.text(1.075, y, text, va="center", size=10, transform=axes.transAxes)
    if not any_dots:
        axes.text(1.02, 0.25, "void: nothing\nmeasured", va="center", size=10, transform=axes.transAxes)


def _alt(dots: Sequence[Measured], service_ms: float) -> str:
    said = "; ".join(
        f"{percent(dot.busy)} busy ({short(dot.rate_per_s)}/s): mean {duration(dot.mean_ms)}"
        + ("" if dot.p95_ms is None else f", p95 {duration(dot.p95_ms)}")
        for dot in dots
    )
    return f"Response time against utilisation; the work itself takes {duration(service_ms)}. {said or 'void'}."


def _table(dots: Sequence[Measured], service_ms: float, cv: float) -> pd.DataFrame:
    rows = [
        {
            "utilisation": percent(dot.busy),
            "arrivals/s": dot.rate_per_s,
            "mean (ms)": dot.mean_ms,
            "p95 (ms)": dot.p95_ms,
            "M/G/1 (ms)": mean_response_ms(dot.busy, service_ms, cv) if dot.busy < 1 else None,
            "M/M/1 (ms)": mean_response_ms(dot.busy, service_ms, 1.0) if dot.busy < 1 else None,
        }
        for dot in dots
    ]
    return pd.DataFrame(rows, dtype=object)
