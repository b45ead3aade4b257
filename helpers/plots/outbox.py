"""Mails over time, a lane for each process that sent some: who does what should be done once."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pandas as pd

from helpers.errors import InputError
from helpers.plots.picture import FAILED, HALO, LINE, SOFT_INK, Picture, count, drawn, plain_ticks, worker_colours

WIDTH, LEFT, RIGHT, HEAD, FOOT = 8.0, 1.75, 1.35, 0.85, 0.7  # inches
LANE_IN = 0.55


class Sent(Protocol):
    """One mail: seconds on the picture's own clock, and the process that sent it."""

    @property
    def at_s(self) -> float: ...
    @property
    def pid(self) -> int: ...


@drawn
def outbox_plot(
    title: str, mails: Sequence[Sent], *, ends: Mapping[int, float] | None = None, bet: float | None = None
) -> Picture:
    """A dot per mail in the lane of its process; `ends`: when a process was killed. `bet`: a number of mails.

    Times are counted from the first mail. Raises InputError for an empty outbox.
    """
    if not mails:
        raise InputError("the outbox is empty", "give at least one mail")
    ends, began = ends or {}, min(mail.at_s for mail in mails)
    colours = worker_colours([mail.pid for mail in mails])
    lanes = list(dict.fromkeys(mail.pid for mail in sorted(mails, key=lambda mail: mail.at_s)))
    last = max([*(mail.at_s for mail in mails), *ends.values()]) - began
    wide = 1.06 * last or 1.0
    height_in = LANE_IN * len(lanes)
    picture = Picture(WIDTH, HEAD + height_in + FOOT)
    guess = "" if bet is None else f" · your bet: {bet:.0f}"
    picture.headline(title, f"a dot per mail, in the lane of the process that sent it: {len(mails)} in all{guess}")
    axes = picture.axes_at(LEFT, FOOT, WIDTH - LEFT - RIGHT, height_in)
    axes.set(xlim=(-0.03 * wide, wide), ylim=(len(lanes), 0), yticks=[], xlabel="seconds since the first mail")
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    plain_ticks(axes.xaxis)
    side: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center", "size": 11}
    for lane, pid in enumerate(lanes):
        y, at = lane + 0.5, [mail.at_s - began for mail in mails if mail.pid == pid]
        end = ends.get(pid, last + began) - began
        axes.plot([at[0], end], [y, y], color=LINE, linewidth=1.2, zorder=2)
        axes.plot(at, [y] * len(at), "o", color=colours[pid], markersize=9, markeredgecolor="white", zorder=4)
        axes.text(-0.02, y, f"worker {pid}", ha="right", **side)
        axes.text(1.02, y, count(len(at), "mail"), ha="left", weight="bold", **side)
        if pid in ends:
            axes.plot([end], [y], "x", color=FAILED, markersize=10, markeredgewidth=2.5, zorder=5)
            where: dict[str, Any] = {"ha": "center", "va": "bottom", "size": 10, "color": SOFT_INK, "zorder": 5}
            axes.text(end, y - 0.2, "killed", path_effects=HALO, **where)
    return picture.finish(_alt(title, mails, lanes, ends, bet), _table(mails, began))


def _alt(title: str, mails: Sequence[Sent], lanes: Sequence[int], ends: Mapping[int, float], bet: float | None) -> str:
    each = [
        f"worker {pid} sent {sum(mail.pid == pid for mail in mails)}{', and was killed' if pid in ends else ''}"
        for pid in lanes
    ]
    guess = "" if bet is None else f"; your bet was {bet:.0f}"
    return f"{title}: {count(len(mails), 'mail')}; {'; '.join(each)}{guess}."


def _table(mails: Sequence[Sent], began: float) -> pd.DataFrame:
    rows = [(mail.at_s - began, mail.pid) for mail in sorted(mails, key=lambda mail: mail.at_s)]
    return pd.DataFrame(rows, columns=["at (s)", "worker"], dtype=object)
