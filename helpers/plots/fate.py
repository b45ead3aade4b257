"""What became of the requests of a load: answered in time, executed for nobody, refused at once."""

from collections.abc import Sequence
from typing import Any, Protocol

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from helpers.errors import InputError
from helpers.plots.picture import FAILED, HALO, INK, LINE, PALE, STRONG, Picture, count, drawn, ink_on, percent, short

WIDTH, LEFT, RIGHT, HEAD, FOOT = 8.0, 2.1, 1.35, 0.95, 0.75  # inches
BAR_IN, STEP_IN = 0.5, 0.82
EMPTY_FROM = 0.09  # a piece of a bar narrower than this has no number in it


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
    picture = Picture(WIDTH, HEAD + 0.35 + height_in + FOOT)
    picture.headline(
        "What became of the requests" + ("" if most_per_s is None else ", past the limit"),
        f"all requests offered = 100 % · at the right: {at_right}",
    )
    axes = picture.axes_at(LEFT, FOOT, WIDTH - LEFT - RIGHT, height_in)
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
    x_in, y_in = LEFT, picture.height_in - HEAD + 0.02
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
