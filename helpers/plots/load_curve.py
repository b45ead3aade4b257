"""Response time against utilisation, measured and by theory; and what became of requests past the limit."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter

from helpers.errors import InputError
from helpers.plots.picture import (
    FAILED,
    HALO,
    INK,
    LINE,
    PALE,
    SERIES,
    SOFT_INK,
    STRONG,
    Picture,
    count,
    drawn,
    duration,
    ink_on,
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


# ------------------------------------------------------------------------------------------------ what became of them


class Became(Protocol):
    """One load: how many requests were offered, and what became of them."""

    @property
    def name(self) -> str: ...
    @property
    def offered(self) -> int: ...
    @property
    def in_time(self) -> int: ...
    @property
    def refused(self) -> int: ...
    @property
    def for_nobody(self) -> int: ...
    @property
    def never(self) -> int: ...
    @property
    def useful_per_s(self) -> float: ...
    @property
    def void(self) -> str: ...


PIECES = (
    ("in_time", "answered in time", STRONG, ""),
    ("for_nobody", "executed for nobody", "#F8DCCB", "///"),
    ("refused", "refused at once", PALE, ""),
    ("never", "neither", "#FFFFFF", ""),
)


@drawn
def fate_plot(loads: Sequence[Became], *, most_per_s: float | None = None, bet: float | None = None) -> Picture:
    """A bar per load, all requests offered; its pieces are what became of them. A void load is an empty, hatched bar.

    `most_per_s`: what the server can do, to be compared with the useful answers per second at the right; without it
    their number stands there. `bet`: a predicted place on the last bar, 0 to 1.
    """
    if not loads:
        raise InputError("there is no load to draw", "give at least one")
    height_in = STEP_IN * len(loads)
    at_right = "answered in time"
    if most_per_s is not None:
        at_right = f"useful answers per second (the worker can do {short(most_per_s)})"
    picture = Picture(WIDTH, HEAD + 0.35 + height_in + BARS_FOOT)
    picture.headline(
        "What became of the requests" + ("" if most_per_s is None else ", past the limit"),
        f"all requests offered = 100 % · at the right: {at_right}",
    )
    axes = picture.axes_at(BARS_LEFT, BARS_FOOT, WIDTH - BARS_LEFT - BARS_RIGHT, height_in)
    axes.set(xlim=(0, 1), ylim=(height_in, 0), yticks=[], xlabel="share of the requests offered")
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.0f} %"))
    for i, load in enumerate(loads):
        y = STEP_IN * (i + 0.5)
        side: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center"}
        axes.text(-0.02, y, load.name, ha="right", size=11, linespacing=1.05, **side)
        words = f"{load.in_time} of {load.offered}" if most_per_s is None else f"{short(load.useful_per_s)}/s"
        words = "void" if load.void else words
        axes.text(1.02, y, words, ha="left", size=12, weight="bold", **side)
        _draw_bar(axes, load, y)
    _key(picture)
    guess = "" if bet is None else f" Your bet was {percent(bet)} of the last one."
    if bet is not None:
        at: dict[str, Any] = {"markerfacecolor": "white", "markeredgecolor": INK, "clip_on": False, "zorder": 7}
        y = STEP_IN * (len(loads) - 0.5) + BAR_IN / 2
        axes.plot([bet], [y], "D", markersize=10, markeredgewidth=1.6, **at)
        words, ha = ("your bet   ", "right") if bet > 0.5 else ("   your bet", "left")
        axes.text(bet, y + 0.02, words, ha=ha, va="center", size=10.5, path_effects=HALO, zorder=7)
    return picture.finish(_fate_alt(loads) + guess, _fate_table(loads))


def _draw_bar(axes: Axes, load: Became, y: float) -> None:
    if load.void or not load.offered:
        axes.barh(y, 1, BAR_IN, facecolor="white", edgecolor=LINE, hatch="///")
        return
    begin = 0.0
    for name, _, colour, hatch in PIECES:
        share = getattr(load, name) / load.offered
        edge = FAILED if hatch else LINE
        axes.barh(y, share, BAR_IN, left=begin, facecolor=colour, edgecolor=edge, hatch=hatch, linewidth=0.8)
        if share >= EMPTY_FROM:
            box = {"facecolor": colour, "edgecolor": "none", "pad": 1.5} if hatch else None
            style: dict[str, Any] = {"ha": "center", "va": "center", "size": 10.5, "color": ink_on(colour), "bbox": box}
            axes.text(begin + share / 2, y, percent(share), zorder=4, **style)
        begin += share


def _key(picture: Picture) -> None:
    x_in, y_in = BARS_LEFT, picture.height_in - HEAD + 0.02
    axes = picture.axes_at(0, y_in - 0.12, WIDTH, 0.24)
    axes.set(xlim=(0, WIDTH), ylim=(0, 0.24))
    axes.axis("off")
    for _, words, colour, hatch in PIECES[:3]:
        edge = FAILED if hatch else LINE
        axes.barh(0.12, 0.26, 0.17, left=x_in, facecolor=colour, edgecolor=edge, hatch=hatch, linewidth=0.8)
        axes.text(x_in + 0.33, 0.12, words, va="center", size=10.5, color=INK)
        x_in += 0.6 + picture.text_width_in(words, 10.5)


def _fate_alt(loads: Sequence[Became]) -> str:
    parts = []
    for load in loads:
        name = " ".join(load.name.split())
        pieces = ", ".join(f"{getattr(load, piece):,} {words}" for piece, words, _, _ in PIECES)
        parts.append(f"{name}: void" if load.void else f"{name}: {count(load.offered, 'request')} offered, {pieces}")
    return f"What became of the requests past the limit. {'; '.join(parts)}."


def _fate_table(loads: Sequence[Became]) -> pd.DataFrame:
    rows = []
    for load in loads:
        numbers = {words: getattr(load, piece) for piece, words, _, _ in PIECES}
        values: dict[str, Any] = {"offered": load.offered, **numbers, "useful/s": load.useful_per_s}
        rows.append({"load": " ".join(load.name.split()), **(dict.fromkeys(values) if load.void else values)})
    return pd.DataFrame(rows, dtype=object)
