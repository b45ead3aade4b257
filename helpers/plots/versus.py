"""Throughput of a few variants, a bar each, as multiples of the first one: what one change does."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from helpers.errors import InputError
from helpers.plots.picture import HALO, INK, LINE, PLAIN, SOFT_INK, STRONG, Picture, drawn, plain_ticks, short

WIDTH, RIGHT, HEAD, FOOT = 8.0, 1.5, 0.8, 0.65  # inches
BAR_IN, STEP_IN = 0.36, 0.54
CLEARLY = 1.2  # only a bar this many times the first is drawn strong


@dataclass(frozen=True)
class Variant:
    """One measurement: its name, and its answers per second; None where it was void."""

    name: str
    per_s: float | None


@drawn
def versus_plot(title: str, variants: Sequence[Variant], *, users: int, bet: float | None = None) -> Picture:
    """A bar per variant, as long as its answers per second, with its ratio to the first one.

    `bet` is the expected multiple of the first, drawn at the last variant. Raises InputError for none.
    """
    if not variants:
        raise InputError("there is nothing to draw", "give at least one variant")
    probe = Picture(WIDTH, 1.0)
    left = 0.35 + max(probe.text_width_in(each.name, 11) for each in variants)
    base = variants[0].per_s
    guess = None if bet is None or base is None else bet * base
    longest = 1.05 * max([each.per_s or 0.0 for each in variants] + [guess or 0.0]) or 1.0
    height_in = STEP_IN * len(variants) + 0.1
    picture = Picture(WIDTH, HEAD + height_in + FOOT)
    picture.headline(title, f"higher is better · {users} users · one launch each: a first look")
    axes = picture.axes_at(left, FOOT, WIDTH - left - RIGHT, height_in)
    axes.set(xlim=(0, longest), ylim=(height_in, 0), yticks=[], xlabel="answers per second")
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    plain_ticks(axes.xaxis)
    for i, each in enumerate(variants):
        _draw(axes, each, base if i else None, STEP_IN * (i + 0.5) + 0.05, longest)
    if guess is not None:
        _draw_bet(axes, guess, STEP_IN * (len(variants) - 0.5) + 0.05)
    return picture.finish(_alt(title, variants, base, users, bet), _table(variants, base))


def _draw(axes: Axes, each: Variant, base: float | None, y: float, longest: float) -> None:
    name: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "center", "size": 11}
    axes.text(-0.015, y, each.name, **name)
    if each.per_s is None:
        axes.barh(y, longest / 4, BAR_IN, facecolor="white", edgecolor=LINE, hatch="///", zorder=2)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 3}
        axes.text(longest / 8, y, "void", ha="center", va="center", color=SOFT_INK, bbox=box, zorder=4)
        return
    ratio = None if base is None else each.per_s / base
    axes.barh(y, each.per_s, BAR_IN, color=STRONG if ratio and ratio >= CLEARLY else PLAIN, zorder=2)
    style: dict[str, Any] = {"va": "center", "path_effects": HALO, "zorder": 6}
    text = f" {short(each.per_s)}/s" + ("" if ratio is None else f"   × {short(ratio)}")
    axes.text(each.per_s, y, text, size=12, weight="bold", **style)


def _draw_bet(axes: Axes, at: float, y: float) -> None:
    style: dict[str, Any] = {"markersize": 10, "markeredgewidth": 1.6, "clip_on": False, "zorder": 7}
    axes.plot([at], [y + BAR_IN / 2], marker="D", markerfacecolor="white", markeredgecolor=INK, **style)
    axes.text(at, y + BAR_IN / 2 + 0.08, "   your bet", va="center", ha="left", size=10.5, path_effects=HALO, zorder=7)


def _alt(title: str, variants: Sequence[Variant], base: float | None, users: int, bet: float | None) -> str:
    parts = []
    for i, each in enumerate(variants):
        if each.per_s is None:
            parts.append(f"{each.name}: void")
            continue
        ratio = f" ({short(each.per_s / base)} times the first)" if i and base else ""
        parts.append(f"{each.name}: {short(each.per_s)} answers per second{ratio}")
    guess = "" if bet is None else f"; your bet was {bet:.2g} times"
    return f"{title}, {users} users: {', '.join(parts)}{guess}."


def _table(variants: Sequence[Variant], base: float | None) -> pd.DataFrame:
    rows = [(each.name, each.per_s, each.per_s / base if each.per_s and base else None) for each in variants]
    return pd.DataFrame(rows, columns=["variant", "answers/s", "× the first"], dtype=object)
