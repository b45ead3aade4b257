"""The benchmark's picture: what one request costs each load generator, on each server."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from helpers.plots.picture import HALO, INK, LINE, SOFT_INK, STRONG, Picture, drawn, plain_ticks, short
from tests.benchmarks.rivals import Cost

WIDTH, LEFT, RIGHT, HEAD, FOOT = 8.0, 2.0, 1.3, 0.85, 0.65  # inches
ROW_IN, TITLE_IN, BETWEEN_IN = 0.36, 0.34, 0.35

Costs = Mapping[str, Mapping[str, Sequence[Cost]]]


@drawn
def cost_picture(costs: Costs, *, users: int) -> Picture:
    """A row per load generator, a tick per round, on a scale where each step is ten times the one before."""
    heights = [ROW_IN * len(by_client) + 0.1 for by_client in costs.values()]
    height_in = sum(heights) + TITLE_IN * len(costs) + BETWEEN_IN * (len(costs) - 1)
    picture = Picture(WIDTH, HEAD + height_in + FOOT)
    picture.headline(
        "What one request costs the load generator",
        f"CPU time, {users} keep-alive connections, one core each · a tick is one round · lower is better",
    )
    values = [run.us for by_client in costs.values() for runs in by_client.values() for run in runs]
    limits = (0.7 * min(values), 1.5 * max(values))
    y_in = picture.height_in - HEAD
    for i, ((server, by_client), own_in) in enumerate(zip(costs.items(), heights, strict=True)):
        y_in -= TITLE_IN + own_in + (BETWEEN_IN if i else 0)
        axes = picture.axes_at(LEFT, y_in, WIDTH - LEFT - RIGHT, own_in)
        axes.set(xscale="log", xlim=limits, ylim=(len(by_client), 0))
        axes.set_title(f"against {server}", loc="left", size=11, weight="bold")
        _draw(axes, by_client)
        if i == len(costs) - 1:
            axes.set_xlabel("CPU time per request (µs)")
    return picture.finish(_alt(costs), _table(costs))


def _draw(axes: Axes, by_client: Mapping[str, Sequence[Cost]]) -> None:
    ranked = _ranked(by_client)
    axes.set_yticks([row + 0.5 for row in range(len(ranked))], labels=[name for name, _ in ranked])
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False)
    axes.grid(visible=True, axis="x", which="major")
    plain_ticks(axes.xaxis)
    place: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center", "size": 10}
    for row, (name, median_us) in enumerate(ranked):
        mine = name == "engine"
        colour = STRONG if mine else LINE
        axes.axhline(row + 0.5, color="#EEF0F3", linewidth=1, zorder=1)
        rounds = [run.us for run in by_client[name]]
        axes.plot(rounds, [row + 0.5] * len(rounds), "|", markersize=14, color=colour, zorder=3)
        axes.plot([median_us], [row + 0.5], "D" if mine else "o", markersize=8, color=colour, zorder=4)
        words = f"{short(median_us)} µs"
        axes.text(1.02, row + 0.5, words, color=INK if mine else SOFT_INK, path_effects=HALO, **place)
        axes.get_yticklabels()[row].set_fontweight("bold" if mine else "normal")


def _ranked(by_client: Mapping[str, Sequence[Cost]]) -> list[tuple[str, float]]:
    medians = {name: statistics.median(run.us for run in runs) for name, runs in by_client.items()}
    return sorted(medians.items(), key=lambda item: item[1])


def _alt(costs: Costs) -> str:
    parts = [
        f"against {server}: " + ", ".join(f"{name} {short(us)} µs" for name, us in _ranked(by_client))
        for server, by_client in costs.items()
    ]
    return f"CPU time per request of each load generator, {'; '.join(parts)}."


def _table(costs: Costs) -> pd.DataFrame:
    rows = []
    for server, by_client in costs.items():
        for name, us in _ranked(by_client):
            runs = by_client[name]
            ratio = statistics.median(mine.us / run.us for mine, run in zip(by_client["engine"], runs, strict=True))
            rate = statistics.median(run.requests / run.wall_s for run in runs)
            rows.append(
                {"server": server, "client": name, "µs/request": us, "requests/s": rate, "engine / this": ratio}
            )
    return pd.DataFrame(rows, dtype=object)
