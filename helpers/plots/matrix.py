"""The matrix: for each kind of endpoint what a second worker brings, and the right cure beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from helpers.errors import InputError
from helpers.plots.picture import (
    CURE,
    HALO,
    INK,
    LINE,
    PLAIN,
    SOFT_INK,
    STRONG,
    Picture,
    count,
    drawn,
    plain_ticks,
    short,
)

WIDTH, RIGHT, HEAD, FOOT = 8.2, 1.85, 0.85, 0.65  # inches
BAR_IN, GAP_IN = 0.2, 0.24
ROW_IN = 3 * BAR_IN + GAP_IN


@dataclass(frozen=True)
class Kind:
    """One kind of endpoint: answers per second with one worker, with two, and cured; None where it was void.

    `cure` names what was done; empty where there is nothing to cure, which is then written in the place of a bar.
    """

    name: str
    one_per_s: float | None
    two_per_s: float | None
    cure_per_s: float | None
    cure: str
    users: int = 16

    def times(self, per_s: float | None) -> float | None:
        """As a multiple of what one worker gave."""
        return None if per_s is None or not self.one_per_s else per_s / self.one_per_s


@drawn
def matrix_plot(kinds: Sequence[Kind], *, bets: Mapping[str, float] | None = None) -> Picture:
    """Three bars per kind: one worker, a second worker, the right cure; as multiples of one worker.

    `bets` are the learner's, by the kind's name: how many times as much they expected of the second worker. Raises
    InputError when there is no kind.
    """
    if not kinds:
        raise InputError("there is nothing to draw", "give at least one kind of endpoint")
    bets = bets or {}
    found = [each.times(per_s) or 1.0 for each in kinds for per_s in (each.two_per_s, each.cure_per_s)]
    longest = 1.03 * max([2.0, *found, *bets.values()])
    height_in = ROW_IN * len(kinds) + 0.05
    picture = Picture(WIDTH, HEAD + height_in + FOOT)
    left = 0.25 + max(picture.text_width_in(each.name, 11, "bold") for each in kinds)
    picture.headline(
        "What a second worker brings, and what the right cure brings",
        "answers per second, as a multiple of one worker · higher is better · one launch each: a first look",
    )
    axes = picture.axes_at(left, FOOT, WIDTH - left - RIGHT, height_in)
    axes.set(xlim=(0, longest), ylim=(height_in, 0), yticks=[], xlabel="times the answers of one worker")
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    plain_ticks(axes.xaxis)
    axes.axvline(1, color=INK, linewidth=1, linestyle=(0, (3, 3)), zorder=1)
    named = next((each.name for each in kinds if each.name in bets), None)
    for i, each in enumerate(kinds):
        _draw(axes, each, bets.get(each.name), ROW_IN * i + 0.12, first=i == 0, name_bet=each.name == named)
    return picture.finish(_alt(kinds, bets), _table(kinds, bets))


def _draw(axes: Axes, each: Kind, bet: float | None, top: float, *, first: bool, name_bet: bool) -> None:
    beside: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "center"}
    axes.text(-0.02, top + 0.5 * BAR_IN, each.name, size=11, weight="bold", **beside)
    base = "one worker void" if each.one_per_s is None else f"one worker {short(each.one_per_s)}/s"
    axes.text(-0.02, top + 1.7 * BAR_IN, f"{base},\n{count(each.users, 'user')}", size=10, color=SOFT_INK, **beside)
    second = "  ".join(part for part in ("second worker" * first, "(◇ your bet)" * name_bet) if part)
    _draw_bar(axes, each, each.one_per_s, PLAIN, "one worker" * first, top + 0.5 * BAR_IN)
    _draw_bar(axes, each, each.two_per_s, STRONG, second, top + 1.5 * BAR_IN, bet=bet)
    if each.cure:
        _draw_bar(axes, each, each.cure_per_s, CURE, each.cure, top + 2.5 * BAR_IN)
    else:
        nothing: dict[str, Any] = {"va": "center", "size": 10, "color": CURE, "path_effects": HALO}
        axes.text(0, top + 2.5 * BAR_IN, " nothing to cure", **nothing)


def _draw_bar(
    axes: Axes, each: Kind, per_s: float | None, colour: str, name: str, y: float, *, bet: float | None = None
) -> None:
    times = each.times(per_s)
    if times is None:
        axes.barh(y, 1, BAR_IN * 0.9, facecolor="white", edgecolor=LINE, hatch="///", zorder=2)
        number, ink = "void" if per_s is None else f"{short(per_s)}/s, nothing to compare with", SOFT_INK
    else:
        axes.barh(y, times, BAR_IN * 0.9, color=colour, zorder=2)
        number, ink = "" if colour == PLAIN else f"× {short(times)}", INK
    end = max(1.0 if times is None else times, bet or 0.0)
    words = "  ".join(part for part in (number, name) if part)
    style: dict[str, Any] = {"va": "center", "size": 10.5, "color": ink, "path_effects": HALO, "zorder": 6}
    axes.annotate(words, (end, y), (9, 0), textcoords="offset points", **style)
    if bet is not None:
        mark: dict[str, Any] = {"markersize": 8, "markeredgewidth": 1.5, "clip_on": False, "zorder": 7}
        axes.plot([bet], [y], marker="D", markerfacecolor="white", markeredgecolor=INK, **mark)


def _alt(kinds: Sequence[Kind], bets: Mapping[str, float]) -> str:
    parts = []
    for each in kinds:
        two, cured = each.times(each.two_per_s), each.times(each.cure_per_s)
        bet = f", your bet {bets[each.name]:.2g}" if each.name in bets else ""
        cure = "nothing to cure" if not each.cure else f"{each.cure} {'void' if cured is None else short(cured)}"
        parts.append(f"{each.name}: second worker {'void' if two is None else short(two)}{bet}, {cure}")
    return f"Times the answers of one worker, by kind of endpoint. {'; '.join(parts)}."


def _table(kinds: Sequence[Kind], bets: Mapping[str, float]) -> pd.DataFrame:
    columns = [
        "kind",
        "users",
        "one worker (/s)",
        "second worker (/s)",
        "× one",
        "your bet",
        "cure",
        "cured (/s)",
        "× one ",
    ]
    rows = [
        (
            each.name, each.users, each.one_per_s, each.two_per_s, each.times(each.two_per_s), bets.get(each.name),
            each.cure or "nothing to cure", each.cure_per_s, each.times(each.cure_per_s),
        )
        for each in kinds
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns, dtype=object)
