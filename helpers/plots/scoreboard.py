"""Bets and what came, side by side: a row for each thing that was done, a column for each coarse answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from helpers.errors import InputError
from helpers.plots.picture import FAINT, HALO, INK, LINE, SOFT_INK, STRONG, Picture, drawn

WIDTH, RIGHT, HEAD, FOOT = 8.0, 0.3, 0.8, 0.2  # inches
ROW_IN, COLUMNS_IN = 0.62, 0.42


@dataclass(frozen=True)
class Score:
    """One thing that was done: the column that was measured (None: void or between), its number in words, the bet."""

    name: str
    column: int | None
    words: str
    bet: int | None = None


@drawn
def scoreboard_plot(title: str, columns: Sequence[str], scores: Sequence[Score]) -> Picture:
    """A dot with its number in the column that was measured, a diamond in the column of the bet.

    Raises InputError without a row or a column.
    """
    if not scores or not columns:
        raise InputError("there is nothing to compare", "give at least one row and one column")
    height_in = ROW_IN * len(scores)
    picture = Picture(WIDTH, HEAD + COLUMNS_IN + height_in + FOOT)
    left = 0.3 + max(picture.text_width_in(each.name, 11) for each in scores)
    bets = any(each.bet is not None for each in scores)
    picture.headline(title, "● measured" + ("   ◇ your bet" if bets else ""))
    axes = picture.axes_at(left, FOOT, WIDTH - left - RIGHT, height_in)
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(scores) - 0.5, -0.5), xticks=[], yticks=[])
    axes.grid(visible=False)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    for place, words in enumerate(columns):
        if place % 2 == 0:
            axes.axvspan(place - 0.5, place + 0.5, facecolor=FAINT, zorder=0)
        above: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "bottom", "size": 11}
        axes.text(place, 1 + 0.06 / height_in, words, linespacing=1.1, **above)
    for place, each in enumerate(scores):
        _draw(axes, place, each)
    return picture.finish(_alt(title, columns, scores), _table(columns, scores))


def _draw(axes: Axes, y: int, each: Score) -> None:
    beside: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "center", "size": 11}
    axes.text(-0.015, y, each.name, **beside)
    if y:
        axes.axhline(y - 0.5, color=LINE, linewidth=0.5, zorder=1)
    if each.column is None:
        middle: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "ha": "center", "va": "center"}
        axes.text(0.5, y, each.words, size=10.5, color=SOFT_INK, path_effects=HALO, zorder=6, **middle)
    else:
        axes.plot([each.column - 0.12], [y - 0.1], "o", color=STRONG, markersize=11, zorder=4)
        axes.text(each.column, y - 0.1, each.words, va="center", size=11, weight="bold", zorder=6)
    if each.bet is not None:
        mark: dict[str, Any] = {"markerfacecolor": "white", "markeredgecolor": INK, "markeredgewidth": 1.6, "zorder": 5}
        axes.plot([each.bet - 0.12], [y + 0.24], "D", markersize=8.5, **mark)


def _alt(title: str, columns: Sequence[str], scores: Sequence[Score]) -> str:
    parts = []
    for each in scores:
        found = each.words if each.column is None else f"{_plain(columns[each.column])} ({each.words})"
        bet = "" if each.bet is None else f", your bet: {_plain(columns[each.bet])}"
        parts.append(f"{each.name}: {found}{bet}")
    return f"{title}. {'; '.join(parts)}."


def _table(columns: Sequence[str], scores: Sequence[Score]) -> pd.DataFrame:
    def named(column: int | None) -> str | None:
        return None if column is None else _plain(columns[column])

    rows = [(each.name, named(each.column), each.words, named(each.bet)) for each in scores]
    return pd.DataFrame(rows, columns=["what was done", "measured", "number", "your bet"], dtype=object)


def _plain(words: str) -> str:
    return " ".join(words.split())
