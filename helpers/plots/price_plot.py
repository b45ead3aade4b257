"""What an answer costs, once without and once with something between the user and the app: work, and the price."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from helpers.errors import InputError
from helpers.plots.picture import CURE, LINE, SOFT_INK, STRONG, Picture, drawn, duration, plain_ticks, short

WIDTH, RIGHT, HEAD, FOOT = 8.0, 1.9, 1.12, 0.65  # inches
BAR_IN, STEP_IN = 0.42, 0.7
SEEN_FROM = 0.05  # of what the answer takes alone: less is within the noise of a run of seconds


@dataclass(frozen=True)
class Price:
    """One endpoint: ms per answer of one process kept busy, alone and with the thing between; None where void."""

    name: str
    alone_ms: float | None
    with_ms: float | None

    @property
    def added_ms(self) -> float | None:
        """None where one of the two is void."""
        if self.alone_ms is None or self.with_ms is None:
            return None
        return max(0.0, self.with_ms - self.alone_ms)

    @property
    def seen(self) -> bool:
        """Whether what is added stands out from the noise."""
        return self.added_ms is not None and self.added_ms >= SEEN_FROM * (self.alone_ms or 0.0)


@drawn
def price_plot(prices: Sequence[Price], *, alone: str, added: str, below: str) -> Picture:
    """A bar per endpoint: what an answer takes alone, and what is added. Raises InputError for none."""
    if not prices:
        raise InputError("there is nothing to draw", "give at least one endpoint")
    probe = Picture(WIDTH, 1.0)
    left = 0.35 + max(probe.text_width_in(each.name, 11) for each in prices)
    height_in = STEP_IN * len(prices)
    picture = Picture(WIDTH, HEAD + height_in + FOOT)
    picture.headline("The price of an answer", below)
    axes = picture.axes_at(left, FOOT, WIDTH - left - RIGHT, height_in)
    longest = max([each.with_ms or 0.0 for each in prices] + [each.alone_ms or 0.0 for each in prices]) or 1.0
    axes.set(xlim=(0, 1.03 * longest), ylim=(height_in, 0), yticks=[])
    axes.set_xlabel("ms per answer, of one process that always has work (lower is better)")
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    plain_ticks(axes.xaxis)
    for i, each in enumerate(prices):
        _draw(axes, each, STEP_IN * (i + 0.5), longest)
    _key(picture, left, alone, added)
    return picture.finish(_alt(prices, alone, added), _table(prices, alone, added))


def _draw(axes: Axes, each: Price, y: float, longest: float) -> None:
    side: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center"}
    axes.text(-0.015, y, each.name, ha="right", size=11, **side)
    if each.added_ms is None or each.alone_ms is None or each.with_ms is None:
        axes.barh(y, longest / 4, BAR_IN, facecolor="white", edgecolor=LINE, hatch="///", zorder=2)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 3}
        axes.text(longest / 8, y, "void", ha="center", va="center", color=SOFT_INK, bbox=box, zorder=4)
        return
    axes.barh(y, each.alone_ms, BAR_IN, color=STRONG, zorder=2)
    axes.barh(
        y,
        each.added_ms if each.seen else 0.0,
        BAR_IN,
        left=each.alone_ms,
        color=CURE,
        hatch="///",
        edgecolor="white",
        zorder=2,
    )
    words = f"{duration(each.alone_ms)}, none seen"
    if each.seen:
        words = f"{duration(each.with_ms)}, × {short(each.with_ms / each.alone_ms)}"
    axes.text(1.02, y, words, ha="left", size=11.5, weight="bold", **side)


def _key(picture: Picture, x_in: float, alone: str, added: str) -> None:
    y_in = picture.height_in - HEAD + 0.12
    axes = picture.axes_at(0, y_in - 0.12, WIDTH, 0.24)
    axes.set(xlim=(0, WIDTH), ylim=(0, 0.24))
    axes.axis("off")
    for words, style in ((alone, {"color": STRONG}), (added, {"color": CURE, "hatch": "///", "edgecolor": "white"})):
        axes.barh(0.12, 0.26, 0.17, left=x_in, **style)  # type: ignore[arg-type]
        axes.text(x_in + 0.33, 0.12, words, va="center", size=10.5)
        x_in += 0.65 + picture.text_width_in(words, 10.5)


def _alt(prices: Sequence[Price], alone: str, added: str) -> str:
    parts = []
    for each in prices:
        if each.added_ms is None or each.alone_ms is None:
            parts.append(f"{each.name}: void")
        else:
            parts.append(f"{each.name}: {duration(each.alone_ms)} {alone}, {duration(each.added_ms)} {added}")
    return f"ms per answer. {'; '.join(parts)}."


def _table(prices: Sequence[Price], alone: str, added: str) -> pd.DataFrame:
    rows = [{"endpoint": p.name, f"{alone} (ms)": p.alone_ms, f"{added} (ms)": p.added_ms} for p in prices]
    return pd.DataFrame(rows, dtype=object)
