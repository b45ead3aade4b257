"""Every request of a few loads as a mark of its own, in the order of sending: answered, or how it was lost."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from helpers.errors import InputError
from helpers.plots.picture import FAILED, INK, LINE, SOFT_INK, STRONG, Picture, count, drawn

WIDTH, RIGHT, HEAD, FOOT = 8.0, 1.55, 0.8, 0.62  # inches
ROW_IN = 0.62
BROKEN, REFUSED = "connection broken", "nobody there"
ANSWERED, AGAIN, ERROR = "answered", "answered when sent again", "error answer"
OTHER = "no answer in time"
# name -> colour, marker, size beside the others
MARKS: dict[str, tuple[str, str, float]] = {
    ANSWERED: (STRONG, "|", 1.0),
    AGAIN: (STRONG, "o", 0.55),
    ERROR: ("#A35B00", "s", 0.55),
    BROKEN: (FAILED, "x", 0.75),
    REFUSED: (INK, "1", 0.8),
    OTHER: (INK, "_", 0.8),
}


@dataclass(frozen=True)
class Row:
    """One load: what became of each of its requests (names of MARKS), in the order in which they were sent."""

    name: str
    became: Sequence[str]
    words: str  # at the right: the sum
    void: bool = False


@drawn
def each_request_plot(title: str, below: str, rows: Sequence[Row]) -> Picture:
    """A row per load, a mark per request. A void load is an empty, hatched row. Raises InputError without a row."""
    if not rows:
        raise InputError("there is no load to draw", "give at least one")
    most = max([len(each.became) for each in rows if not each.void] or [1])
    height_in = ROW_IN * len(rows)
    picture = Picture(WIDTH, HEAD + 0.3 + height_in + FOOT)
    left = 0.3 + max(picture.text_width_in(line, 11) for each in rows for line in each.name.splitlines())
    picture.headline(title, below)
    width_in = WIDTH - left - RIGHT
    axes = picture.axes_at(left, FOOT, width_in, height_in)
    axes.set(xlim=(0.2, most + 0.8), ylim=(len(rows) - 0.5, -0.5), yticks=[])
    axes.set_xlabel("each request, in the order in which they were sent")
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    room = min(17.0, 72 * width_in / most)  # points for a mark
    for place, each in enumerate(rows):
        _draw(axes, place, each, room, most)
    _key(picture, [name for name in MARKS if any(name in each.became for each in rows if not each.void)], left)
    return picture.finish(_alt(title, rows), _table(rows))


def _draw(axes: Axes, y: int, each: Row, room: float, most: int) -> None:
    side: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center", "size": 11, "linespacing": 1.1}
    axes.text(-0.015, y, each.name, ha="right", **side)
    axes.text(1.015, y, "void" if each.void else each.words, ha="left", weight="bold", **side)
    if each.void:
        axes.barh(y, most + 0.6, 0.5, left=0.2, facecolor="white", edgecolor=LINE, hatch="///")
        return
    for name, (colour, marker, size) in MARKS.items():
        places = [number for number, became in enumerate(each.became, 1) if became == name]
        plain = name == ANSWERED
        style: dict[str, Any] = {"linestyle": "", "color": colour, "markeredgewidth": 2.2, "zorder": 3 if plain else 4}
        if plain:
            style |= {"markeredgewidth": max(1.0, min(5.0, 0.45 * room)), "markersize": 17}
        else:
            style["markersize"] = size * max(10.0, min(17.0, room))
        if places:
            axes.plot(places, [y] * len(places), marker, **style)


def _key(picture: Picture, names: Sequence[str], left: float) -> None:
    x_in = left
    axes = picture.axes_at(0, picture.height_in - HEAD - 0.16, WIDTH, 0.24)
    axes.set(xlim=(0, WIDTH), ylim=(0, 0.24))
    axes.axis("off")
    for name in names:
        colour, marker, size = MARKS[name]
        axes.plot([x_in + 0.06], [0.12], marker, color=colour, markersize=12 * size, markeredgewidth=2.4)
        axes.text(x_in + 0.2, 0.12, name, va="center", size=10.5, color=SOFT_INK)
        x_in += 0.45 + picture.text_width_in(name, 10.5)


def _alt(title: str, rows: Sequence[Row]) -> str:
    parts = []
    for each in rows:
        sums = ", ".join(f"{number} {name}" for name, number in Counter(each.became).items())
        told = "void" if each.void else f"{count(len(each.became), 'request')}: {sums}"
        parts.append(f"{' '.join(each.name.split())}: {told}")
    return f"{title}. {'; '.join(parts)}."


def _table(rows: Sequence[Row]) -> pd.DataFrame:
    seen = [name for name in MARKS if any(name in each.became for each in rows)]
    found = []
    for each in rows:
        numbers: dict[str, Any] = {"requests": len(each.became), **{name: each.became.count(name) for name in seen}}
        found.append({"load": " ".join(each.name.split()), **(dict.fromkeys(numbers) if each.void else numbers)})
    return pd.DataFrame(found, dtype=object)
