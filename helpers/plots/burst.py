"""A burst of requests on several servers: how much of it each worker got, against an even share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from helpers.errors import InputError
from helpers.plots.picture import HALO, INK, LINE, SOFT_INK, Picture, drawn, worker_colour

WIDTH, RIGHT, HEAD, FOOT = 8.0, 1.15, 0.8, 0.62  # inches
BAR_IN, TRY_IN, SERVER_IN = 0.085, 0.23, 0.24


@dataclass(frozen=True)
class Try:
    """One burst: how many requests each worker took, the largest share first, and how long the slowest one took."""

    shares: Sequence[int]
    slowest_s: float
    failed: int = 0


@drawn
def burst_plot(title: str, below: str, servers: Sequence[tuple[str, Sequence[Try]]], *, even: float) -> Picture:
    """A thin bar per worker for each try on each server; a line at the even share. Raises InputError for no server."""
    if not servers or not all(tries for _, tries in servers):
        raise InputError("there is no burst to draw", "give at least one try for each server")
    rows = sum(len(tries) for _, tries in servers)
    height_in = TRY_IN * rows + SERVER_IN * len(servers)
    picture = Picture(WIDTH, HEAD + height_in + FOOT)
    left = 0.3 + max(picture.text_width_in(name, 11) for name, _ in servers)
    picture.headline(title, below)
    axes = picture.axes_at(left, FOOT, WIDTH - left - RIGHT, height_in)
    most = max([sum(each.shares) for _, tries in servers for each in tries] + [1])
    axes.set(xlim=(0, 1.02 * most), ylim=(height_in, 0), yticks=[], xlabel="requests that the worker took")
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.axvline(even, color=INK, linewidth=1.1, linestyle=(0, (3, 3)), zorder=4)
    y = 0.0
    for name, tries in servers:
        beside: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center", "size": 11}
        axes.text(-0.015, y + SERVER_IN / 2 + TRY_IN * len(tries) / 2, name, ha="right", **beside)
        y += SERVER_IN / 2
        for each in tries:
            _draw(axes, y, each)
            y += TRY_IN
        y += SERVER_IN / 2
        axes.axhline(y, color=LINE, linewidth=0.5, zorder=1)
    return picture.finish(_alt(title, servers), _table(servers))


def _draw(axes: Axes, y: float, each: Try) -> None:
    for worker, number in enumerate(each.shares):
        axes.barh(y + BAR_IN * (worker + 0.5), number, 0.9 * BAR_IN, color=worker_colour(worker), zorder=3)
    words = f"{each.slowest_s:.2f} s" + (f", {each.failed} failed" if each.failed else "")
    right: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center", "size": 10, "color": SOFT_INK}
    axes.text(1.015, y + BAR_IN * len(each.shares) / 2, words, ha="left", path_effects=HALO, **right)


def _shares(each: Try) -> str:
    return " / ".join(map(str, each.shares))


def _alt(title: str, servers: Sequence[tuple[str, Sequence[Try]]]) -> str:
    parts = [
        f"{name}: {', '.join(f'{_shares(each)} in {each.slowest_s:.2f} s' for each in tries)}"
        for name, tries in servers
    ]
    return f"{title}. {'; '.join(parts)}."


def _table(servers: Sequence[tuple[str, Sequence[Try]]]) -> pd.DataFrame:
    rows = [
        {
            "server": name,
            "try": number,
            "share per worker": _shares(each),
            "slowest (s)": each.slowest_s,
            "failed": each.failed,
        }
        for name, tries in servers
        for number, each in enumerate(tries, 1)
    ]
    return pd.DataFrame(rows, dtype=object)
