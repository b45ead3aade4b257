"""How many of the waiting users' requests really get on at once: one bar per load test of a diagnosis."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from helpers.errors import InputError
from helpers.plots.picture import CURE, FAINT, SOFT_INK, STRONG, Picture, count, drawn, short

WIDTH, HEAD, FOOT, ROW = 8.6, 0.85, 0.62, 0.46  # inches
LEFT, RIGHT = 2.25, 2.75


@drawn
def diagnosis_plot(rows: Sequence[Mapping[str, Any]], *, request_ms: float, verdict: str) -> Picture:
    """A bar per row: its track is as long as there are users, its colour as many as get on at once.

    `rows` as in the diagnosis' JSON; a void one has no bar. `request_ms` is what one request takes alone. Raises
    InputError when there is no row.
    """
    if not rows:
        raise InputError("there is no load test to draw", "this diagnosis ended before the first one")
    picture = Picture(WIDTH, HEAD + FOOT + ROW * len(rows))
    picture.headline(
        "How many of the waiting users get on at once?",
        f"answers/s × the time of one request alone; grey: all users.  Verdict: {verdict.replace('_', ' ')}",
    )
    axes = picture.axes_at(LEFT, FOOT, WIDTH - LEFT - RIGHT, ROW * len(rows))
    most = max(row["users"] for row in rows)
    for place, row in enumerate(rows):
        axes.barh(place, row["users"], height=0.62, color=FAINT, edgecolor="#C4CAD2", linewidth=0.8)
        once = at_once(row, request_ms)
        if once is not None:
            changed = row["workers"] > 1 or (place and row["threads"] != rows[0]["threads"])
            axes.barh(place, min(once, most), height=0.62, color=CURE if changed else STRONG)
        axes.text(most * 1.03, place, _said(row, once), va="center", ha="left", size=10.5)
    axes.set(yticks=range(len(rows)), xlim=(0, most), ylim=(len(rows) - 0.5, -0.5), xlabel="requests at once")
    axes.set_yticklabels([_name(row, rows[0]) for row in rows])
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(SOFT_INK)
    return picture.finish(_alt(rows, request_ms, verdict), _table(rows, request_ms))


def at_once(row: Mapping[str, Any], request_ms: float) -> float | None:
    """Requests that get on at one moment (Little's law with the time of a request alone); None for a void test."""
    per_s = row["achieved_per_s"]
    return None if per_s is None else float(per_s) * request_ms / 1e3


def _name(row: Mapping[str, Any], first: Mapping[str, Any]) -> str:
    changed = row["threads"] and row["threads"] != first["threads"]
    what = f"{row['threads']} threads" if changed else count(row["workers"], "worker")
    return f"{count(row['users'], 'user')}, {what}"


def _said(row: Mapping[str, Any], once: float | None) -> str:
    if once is None:
        return "void"
    cores = "" if row["cores"] is None else f" · {row['cores']:.2f} cores"
    return f"{short(once)}: {short(row['achieved_per_s'])}/s{cores}"


def _alt(rows: Sequence[Mapping[str, Any]], request_ms: float, verdict: str) -> str:
    parts = [f"{_name(row, rows[0])}: {_said(row, at_once(row, request_ms))}" for row in rows]
    return f"Bars: requests that get on at once, of all users. {'; '.join(parts)}. Verdict: {verdict}."


def _table(rows: Sequence[Mapping[str, Any]], request_ms: float) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "workers": row["workers"],
                "users": row["users"],
                "threads": row["threads"],
                "answers/s": row["achieved_per_s"],
                "ms each": row["mean_ms"],
                "at once": at_once(row, request_ms),
                "cores": row["cores"],
                "event loop late (ms)": row["loop_late_ms"],
                "self-check": row["verdict"],
            }
            for row in rows
        ],
        dtype=object,
    )
