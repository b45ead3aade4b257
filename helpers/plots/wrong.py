"""How much goes wrong: a bar for each variant, in groups, as a share of all that there was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from helpers.errors import InputError
from helpers.plots.picture import FAILED, HALO, INK, LINE, SOFT_INK, Picture, drawn, percent

WIDTH, RIGHT, HEAD, FOOT = 8.2, 1.75, 0.85, 0.7  # inches
BAR_IN, GAP_IN = 0.24, 0.26
EDGE, WORDS = 0.015, 0.45  # of the axis: half a diamond, and the room of the words behind a bar
LEAST_WIDE = 0.5  # of the axis: the longest bar is not stretched beyond this share


class Share(Protocol):
    """So many wrong ones of so many."""

    @property
    def wrong(self) -> int: ...
    @property
    def of(self) -> int: ...
    @property
    def share(self) -> float: ...


@dataclass(frozen=True)
class Group:
    """One thing, and what was wrong of it in each variant, by the variant's name; None: it was not measured."""

    name: str
    found: Mapping[str, Share | None]


@drawn
def wrong_plot(
    title: str, groups: Sequence[Group], *, what: str, bets: Mapping[str, float] | None = None, bets_on: str = ""
) -> Picture:
    """A bar per variant of each group: the share that was wrong, with the two numbers behind it.

    `what` names the axis: a share of what. `bets` are shares by the group's name, drawn on its bar of the variant
    `bets_on`. Raises InputError for no group.
    """
    if not groups:
        raise InputError("there is nothing to draw", "give at least one group")
    bets = bets or {}
    longest = max([LEAST_WIDE, *(share.share for each in groups for share in each.found.values() if share)])
    longest = 1.05 * max([longest, *(bets.get(each.name, 0.0) for each in groups)])
    height_in = sum(BAR_IN * len(each.found) + GAP_IN for each in groups)
    picture = Picture(WIDTH, HEAD + height_in + FOOT)
    inner = 0.25 + max(picture.text_width_in(name, 10.5) for each in groups for name in each.found)
    left = inner + 0.2 + max(picture.text_width_in(each.name, 11, "bold") for each in groups)
    picture.headline(title, "lower is better" + (" · ◇ your bet" if bets else ""))
    axes = picture.axes_at(left, FOOT, WIDTH - left - RIGHT, height_in)
    axes.set(xlim=(0, longest), ylim=(height_in, 0), yticks=[], xlabel=what)
    axes.grid(visible=False)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.0f} %"))
    top = GAP_IN / 2
    for each in groups:
        _draw(picture, axes, each, top, inner, {bets_on: bets[each.name]} if each.name in bets else {})
        top += BAR_IN * len(each.found) + GAP_IN
    return picture.finish(_alt(title, groups, bets), _table(groups))


def _draw(picture: Picture, axes: Axes, group: Group, top: float, inner_in: float, bets: Mapping[str, float]) -> None:
    panel_in = axes.get_position().width * picture.width_in
    side: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "center"}
    axes.text(-inner_in / panel_in, top + BAR_IN / 2, group.name, size=11, weight="bold", **side)
    for i, (name, share) in enumerate(group.found.items()):
        y = top + BAR_IN * (i + 0.5)
        axes.text(-0.015, y, name, size=10.5, color=SOFT_INK, **side)
        style: dict[str, Any] = {"va": "center", "size": 10.5, "path_effects": HALO, "zorder": 6}
        if share is None:
            axes.text(0, y, "  not measured", color=SOFT_INK, **style)
            continue
        axes.barh(y, share.share, 0.8 * BAR_IN, color=FAILED, zorder=3)
        axes.plot([0, 0], [y - 0.4 * BAR_IN, y + 0.4 * BAR_IN], color=LINE, linewidth=3, zorder=4, clip_on=False)
        words = f"  {_numbers(share)}" + (f": {percent(share.share)}" if share.wrong else "")
        end, bet = share.share, bets.get(name)
        if bet is not None:
            at: dict[str, Any] = {"markerfacecolor": "white", "markeredgecolor": INK, "clip_on": False, "zorder": 8}
            axes.plot([bet], [y], "D", markersize=8, markeredgewidth=1.6, **at)
            if 0 <= bet - end + EDGE < WORDS * axes.get_xlim()[1]:  # it would lie on the words
                end = bet + EDGE
        axes.text(end, y, words, weight="bold" if share.wrong else "normal", **style)


def _alt(title: str, groups: Sequence[Group], bets: Mapping[str, float]) -> str:
    parts = []
    for each in groups:
        said = ", ".join(f"{name} {_numbers(share)}" for name, share in each.found.items())
        parts.append(f"{each.name}: {said}" + (f" (your bet: {percent(bets[each.name])})" if each.name in bets else ""))
    return f"{title}, wrong ones of all. {'; '.join(parts)}."


def _table(groups: Sequence[Group]) -> pd.DataFrame:
    rows = [{"what": each.name} | {name: _numbers(share) for name, share in each.found.items()} for each in groups]
    return pd.DataFrame(rows, dtype=object)


def _numbers(share: Share | None) -> str:
    return "not measured" if share is None else f"{share.wrong:,} of {share.of:,}"
