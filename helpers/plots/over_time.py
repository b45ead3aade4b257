"""Lines over time, one panel below the other: what a load does to a server while it lasts, and afterwards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.axes import Axes

from helpers.errors import InputError
from helpers.plots.picture import FAINT, HALO, INK, LINE, SERIES, SOFT_INK, Picture, drawn, plain_ticks, short, spread

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WIDTH, LEFT, RIGHT, HEAD, FOOT = 8.0, 0.95, 1.75, 0.85, 0.65  # inches
BETWEEN_IN, NAME_IN = 0.5, 0.34
Lines = Mapping[str, "tuple[NDArray[np.float64], NDArray[np.float64]] | None"]


@dataclass(frozen=True)
class Panel:
    """Lines on one axis: name -> (moments in s, values), None where the run was void. `level`: a height with a name."""

    title: str
    lines: Lines
    level: tuple[float, str] | None = None
    height_in: float = 2.2


@drawn
def over_time_plot(
    title: str, below: str, panels: Sequence[Panel], *, xlabel: str, span: tuple[float, float, str] | None = None
) -> Picture:
    """Panels with one time axis. The same name has the same line in each; `span` is a shaded time (from, to, words).

    Raises InputError when there is nothing to draw.
    """
    if not panels or not all(panel.lines for panel in panels):
        raise InputError("there are no lines to draw", "give at least one panel with a line in it")
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    styles = {name: SERIES[i % len(SERIES)] for i, name in enumerate(names)}
    room_in = sum(panel.height_in for panel in panels) + BETWEEN_IN * (len(panels) - 1)
    picture = Picture(WIDTH, HEAD + 0.25 + room_in + FOOT)
    picture.headline(title, below)
    known = [line for panel in panels for line in panel.lines.values() if line is not None and len(line[0])]
    end_s = max((float(line[0].max()) for line in known), default=1.0)
    y_in = picture.height_in - HEAD - 0.25
    for i, panel in enumerate(panels):
        y_in -= panel.height_in + (BETWEEN_IN if i else 0)
        axes = picture.axes_at(LEFT, y_in, WIDTH - LEFT - RIGHT, panel.height_in)
        axes.set_xlim(0, 1.02 * end_s)
        axes.set_title(panel.title, size=11, loc="left", color=SOFT_INK)
        _draw(axes, panel, styles)
        if span is not None:
            _shade(axes, span, words=i == 0)
        if i == len(panels) - 1:
            axes.set_xlabel(xlabel)
        else:
            axes.tick_params(labelbottom=False)
        plain_ticks(axes.xaxis)
        plain_ticks(axes.yaxis)
    return picture.finish(_alt(title, panels), _table(panels))


def _draw(axes: Axes, panel: Panel, styles: Mapping[str, tuple[str, str, str]]) -> None:
    values = [float(line[1].max()) for line in panel.lines.values() if line is not None and len(line[1])]
    top = 1.2 * max([*values, panel.level[0] if panel.level else 0.0, 0.0]) or 1.0
    axes.set_ylim(0, top)
    ends: list[tuple[str, float]] = []
    for name, line in panel.lines.items():
        colour, dash, _ = styles[name]
        if line is not None and len(line[0]):
            axes.plot(*line, dash, color=colour, linewidth=2.2, zorder=3)
        ends.append((name, float(line[1][-1]) if line is not None and len(line[1]) else 0.0))
    if panel.level is not None:
        height, words = panel.level
        axes.axhline(height, color=LINE, linewidth=1.2, linestyle=(0, (2, 3)), zorder=2)
        place: dict[str, Any] = {"size": 10, "color": SOFT_INK, "path_effects": HALO, "zorder": 6}
        axes.text(0, height, f" {words}", va="bottom", ha="left", **place)
    gap = NAME_IN * top / panel.height_in
    for (name, _), y in zip(ends, spread([end for _, end in ends], gap, 0, top), strict=True):
        colour, dash, _ = styles[name]
        right: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "clip_on": False}
        axes.plot([1.015, 1.06], [y, y], dash, color=colour, linewidth=2.2, **right)
        void = " (void)" if panel.lines[name] is None else ""
        axes.text(1.075, y, name + void, va="center", size=10.5, color=INK, transform=axes.get_yaxis_transform())


def _shade(axes: Axes, span: tuple[float, float, str], *, words: bool) -> None:
    begin_s, end_s, text = span
    axes.axvspan(begin_s, end_s, facecolor=FAINT, zorder=0)
    if words:
        place: dict[str, Any] = {"ha": "center", "va": "top", "size": 10, "color": SOFT_INK, "path_effects": HALO}
        axes.text((begin_s + end_s) / 2, 0.98, text, transform=axes.get_xaxis_transform(), **place)


def _alt(title: str, panels: Sequence[Panel]) -> str:
    parts = []
    for panel in panels:
        for name, line in panel.lines.items():
            if line is None or not len(line[1]):
                parts.append(f"{panel.title}, {name}: void")
            else:
                parts.append(f"{panel.title}, {name}: from {short(line[1][0])} to {short(line[1][-1])}")
    return f"{title}. {'; '.join(parts)}."


def _table(panels: Sequence[Panel]) -> pd.DataFrame:
    rows = []
    for panel in panels:
        for name, line in panel.lines.items():
            values = [None] * 3 if line is None or not len(line[1]) else [line[1][0], line[1].max(), line[1][-1]]
            numbers = dict(zip(("first", "highest", "last"), map(_number, values), strict=True))
            rows.append({"what": panel.title, "load": name, **numbers})
    return pd.DataFrame(rows, dtype=object)


def _number(value: object) -> float | None:
    return None if value is None else float(value)  # type: ignore[arg-type]
