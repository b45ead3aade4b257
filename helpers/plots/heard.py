"""A chat: who heard whom, a square for each message and listener, grouped by the worker that serves them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.patches import Rectangle

from helpers.errors import InputError
from helpers.plots.picture import HALO, INK, LINE, SOFT_INK, STRONG, Picture, count, drawn, worker_colours

WIDTH, LEFT, HEAD, FOOT = 8.2, 1.75, 1.15, 0.35  # inches
SQUARE_IN, BAR_IN = 0.42, 0.22
SIDE_IN = 0.55  # between the squares and the bar


@drawn
def heard_plot(people: Mapping[str, int], heard: set[tuple[str, str]], *, bet: float | None = None) -> Picture:
    """`people` by name, with the pid that serves each; `heard`: (who spoke, who heard it). Squares lie together where
    one worker serves both. At the right how many messages arrived of all; `bet` is a share of them, 0 to 1.

    Raises InputError for an empty room.
    """
    if not people:
        raise InputError("there is nobody in the room", "give at least one person")
    names = sorted(people, key=lambda name: (people[name], name))
    colours, wide = worker_colours(list(people.values())), SQUARE_IN * len(names)
    picture = Picture(WIDTH, HEAD + wide + FOOT)
    arrived, most = len(heard), len(names) ** 2
    picture.headline(
        f"Who heard whom: {arrived} of {most} messages arrived",
        f"a coloured square: what the person at the left said reached the one above · {count(len(colours), 'worker')}",
    )
    axes = picture.axes_at(LEFT, FOOT, wide, wide)
    axes.set(xlim=(0, len(names)), ylim=(len(names), 0), xticks=[], yticks=[])
    axes.grid(visible=False)
    for row, speaker in enumerate(names):
        for column, listener in enumerate(names):
            fill = colours[people[speaker]] if (speaker, listener) in heard else "#FFFFFF"
            axes.add_patch(Rectangle((column, row), 1, 1, facecolor=fill, edgecolor=LINE, linewidth=0.8))
        axes.text(-0.2, row + 0.5, speaker, ha="right", va="center", size=11)
        axes.text(row + 0.5, -0.15, speaker, ha="center", va="bottom", size=11)
    for pid, colour in colours.items():
        mine = [place for place, name in enumerate(names) if people[name] == pid]
        middle = (mine[0] + mine[-1] + 1) / 2
        axes.plot([-1.4, -1.4], [mine[0] + 0.1, mine[-1] + 0.9], color=colour, linewidth=5, clip_on=False)
        style: dict[str, Any] = {"ha": "right", "va": "center", "size": 10.5, "linespacing": 1.1}
        axes.text(-1.6, middle, f"worker\n{pid}", **style)
    _bar(picture, arrived, most, wide, bet)
    return picture.finish(_alt(people, arrived, most, bet), _table(names, people, heard))


def _bar(picture: Picture, arrived: int, most: int, wide: float, bet: float | None) -> None:
    left = LEFT + wide + SIDE_IN
    axes = picture.axes_at(left, FOOT + wide / 2 - 0.6, WIDTH - left - 0.35, 1.2)
    axes.set(xlim=(0, most), ylim=(0, 1.2), yticks=[], xlabel="messages that arrived")
    axes.set_xticks([0, most // 2, most])
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    axes.barh(0.3, most, BAR_IN, facecolor="white", edgecolor=LINE)
    axes.barh(0.3, arrived, BAR_IN, color=STRONG)
    axes.text(0, 0.52, f"{arrived} of {most}", size=12, weight="bold", va="bottom")
    if bet is not None:
        at: dict[str, Any] = {"markerfacecolor": "white", "markeredgecolor": INK, "clip_on": False, "zorder": 7}
        axes.plot([bet * most], [0.3], "D", markersize=10, markeredgewidth=1.6, **at)
        ha = "right" if bet > 0.5 else "left"
        axes.text(bet * most, 0.8, "your bet", ha=ha, va="bottom", size=10.5, color=SOFT_INK, path_effects=HALO)
        axes.plot([bet * most] * 2, [0.4, 0.8], color=SOFT_INK, linewidth=0.8)


def _alt(people: Mapping[str, int], arrived: int, most: int, bet: float | None) -> str:
    rooms = [f"{list(people.values()).count(pid)} with worker {pid}" for pid in sorted(set(people.values()))]
    guess = "" if bet is None else f"; your bet was {bet * most:.0f}"
    return f"Who heard whom in the chat: {', '.join(rooms)}; {arrived} of {most} messages arrived{guess}."


def _table(names: Sequence[str], people: Mapping[str, int], heard: set[tuple[str, str]]) -> pd.DataFrame:
    rows = [
        {"who spoke": speaker, "worker": people[speaker]}
        | {f"{listener} heard": "yes" if (speaker, listener) in heard else "no" for listener in names}
        for speaker in names
    ]
    return pd.DataFrame(rows, dtype=object)
