"""What the second one brings, for several ways of having a second one: a bar each, a dot for each round."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from helpers.errors import InputError
from helpers.plots.picture import HALO, INK, LINE, PLAIN, SOFT_INK, STRONG, Picture, drawn, plain_ticks, short

WIDTH, RIGHT, HEAD, FOOT = 8.0, 2.8, 0.85, 0.65  # inches
BAR_IN, STEP_IN, BETWEEN_IN = 0.34, 0.46, 0.24


@dataclass(frozen=True)
class Step:
    """So many of something: its answers per second in each round, and what they are of the first step's, in words."""

    name: str
    per_s: Sequence[float]
    against: str = ""

    @property
    def mean_per_s(self) -> float | None:
        """None where no round was valid."""
        return sum(self.per_s) / len(self.per_s) if self.per_s else None


@drawn
def growth_plot(title: str, groups: Sequence[Sequence[Step]], *, below: str, bet: float | None = None) -> Picture:
    """Groups of bars, as long as the answers per second; the last bar of each group is what the first became.

    `bet`: the expected multiple of the last group's first bar. Raises InputError for none.
    """
    if not groups or not all(groups):
        raise InputError("there is nothing to draw", "give at least one group with a step in it")
    steps = [step for group in groups for step in group]
    probe = Picture(WIDTH, 1.0)
    left = 0.35 + max(probe.text_width_in(each.name, 11) for each in steps)
    height_in = STEP_IN * len(steps) + BETWEEN_IN * (len(groups) - 1)
    base = groups[-1][0].mean_per_s
    guess = None if bet is None or base is None else bet * base
    longest = 1.05 * max([0.0, guess or 0.0, *(value for step in steps for value in step.per_s)]) or 1.0
    picture = Picture(WIDTH, HEAD + height_in + FOOT)
    picture.headline(title, below)
    axes = picture.axes_at(left, FOOT, WIDTH - left - RIGHT, height_in)
    axes.set(xlim=(0, longest), ylim=(height_in, 0), yticks=[], xlabel="answers per second (a dot: one round)")
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    plain_ticks(axes.xaxis)
    y = 0.0
    for group in groups:
        for i, step in enumerate(group):
            _draw(axes, step, y + STEP_IN / 2, longest, strong=i > 0)
            y += STEP_IN
        y += BETWEEN_IN
    if guess is not None:
        _draw_bet(axes, guess, y - BETWEEN_IN - STEP_IN / 2)
    guessed = "" if bet is None else f" Your bet was {bet:.2g} times."
    return picture.finish(_alt(title, steps) + guessed, _table(steps))


def _draw(axes: Axes, step: Step, y: float, longest: float, *, strong: bool) -> None:
    side: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center"}
    axes.text(-0.015, y, step.name, ha="right", size=11, **side)
    mean = step.mean_per_s
    if mean is None:
        axes.barh(y, longest / 4, BAR_IN, facecolor="white", edgecolor=LINE, hatch="///", zorder=2)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 3}
        axes.text(longest / 8, y, "void", ha="center", va="center", color=SOFT_INK, bbox=box, zorder=4)
        return
    axes.barh(y, mean, BAR_IN, color=STRONG if strong else PLAIN, zorder=2)
    dots: dict[str, Any] = {"markersize": 5, "markerfacecolor": "white", "markeredgecolor": INK, "zorder": 5}
    axes.plot(step.per_s, [y] * len(step.per_s), "o", linestyle="", clip_on=False, **dots)
    axes.text(1.02, y, f"{short(mean)}/s   {step.against}".rstrip(), ha="left", size=11.5, weight="bold", **side)


def _draw_bet(axes: Axes, at: float, y: float) -> None:
    style: dict[str, Any] = {"markersize": 10, "markeredgewidth": 1.6, "clip_on": False, "zorder": 7}
    axes.plot([at], [y + BAR_IN / 2], marker="D", markerfacecolor="white", markeredgecolor=INK, **style)
    axes.text(at, y + BAR_IN / 2 + 0.06, "your bet   ", va="center", ha="right", size=10.5, path_effects=HALO, zorder=7)


def _alt(title: str, steps: Sequence[Step]) -> str:
    parts = []
    for step in steps:
        mean = step.mean_per_s
        told = "void" if mean is None else f"{short(mean)} answers per second"
        parts.append(f"{step.name}: {told}" + (f" ({step.against})" if step.against and mean is not None else ""))
    return f"{title}. {'; '.join(parts)}."


def _table(steps: Sequence[Step]) -> pd.DataFrame:
    rows = [
        {
            "what": each.name,
            "answers/s": each.mean_per_s,
            "rounds": ", ".join(map(short, each.per_s)),
            "×": each.against,
        }
        for each in steps
    ]
    return pd.DataFrame(rows, dtype=object)
