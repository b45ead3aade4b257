"""The knee as a picture: response times and errors against the rate, and the highest rate that met the objective."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from helpers.errors import InputError
from helpers.plots.picture import (
    FAILED,
    HALO,
    INK,
    SERIES,
    SOFT_INK,
    Picture,
    cell_text,
    drawn,
    duration,
    percent,
    plain_ticks,
    short,
    spread,
)

WIDTH, HEIGHT, LEFT, RIGHT = 8.0, 5.2, 0.95, 1.55  # inches
TIMES_AT, ERRORS_AT = (1.95, 2.25), (0.8, 0.75)  # bottom and height of each panel
TICKS_APART = 0.08  # of the width
ONE_TICK_A_DECADE = 100  # from this ratio between the ends of the scale on
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Series:
    """One percentile over all steps: (rate, ms, only a lower bound)."""

    name: str
    points: tuple[tuple[float, float, bool], ...]
    limit_ms: float | None
    colour: str
    dash: str
    marker: str


@drawn
def knee_plot(rows: Sequence[Row], *, rate_per_s: float | None, missed_per_s: float | None) -> Picture:
    """Each step of a search (Knee.rows()) at its rate; `rate_per_s` met the objective, `missed_per_s` did not.

    Raises InputError when there is no step.
    """
    if not rows:
        raise InputError("there is no step to draw", "give the rows of a search: find_knee(...).rows()")
    found = sorted(rows, key=lambda row: float(row["rate_per_s"]))
    picture = Picture(WIDTH, HEIGHT)
    picture.headline(_title(rate_per_s, missed_per_s), "each step is a load test of its own · lower is better")
    times = picture.axes_at(LEFT, TIMES_AT[0], WIDTH - LEFT - RIGHT, TIMES_AT[1])
    errors = picture.axes_at(LEFT, ERRORS_AT[0], WIDTH - LEFT - RIGHT, ERRORS_AT[1])
    series = _series(found)
    for axes in (times, errors):
        _rate_axis(axes, found, [rate for rate in (rate_per_s, missed_per_s) if rate is not None])
        _mark(axes, rate_per_s, missed_per_s)
    times.tick_params(labelbottom=False)
    errors.set_xlabel("requests per second offered (log scale)")
    _name_marks(times, rate_per_s, missed_per_s)
    _draw_times(times, series)
    _draw_errors(errors, found)
    measured = {row["rate_per_s"] for row in found if row["load_verdict"] != "void"}
    for row in found:
        if row["rate_per_s"] not in measured:  # a void step is measured once more
            style: dict[str, Any] = {"ha": "center", "va": "bottom", "size": 10, "color": SOFT_INK, "rotation": 90}
            times.text(row["rate_per_s"], 0.03, " void", transform=times.get_xaxis_transform(), **style)
    return picture.finish(_alt(found, series, rate_per_s, missed_per_s), _table(found))


def _title(rate_per_s: float | None, missed_per_s: float | None) -> str:
    if rate_per_s is None:
        return "No rate that was tried meets the objective"
    if missed_per_s is None:
        return f"At least {short(rate_per_s)} requests/s meet the objective"
    return f"{short(rate_per_s)} requests/s meet the objective, {short(missed_per_s)} do not"


def _series(rows: Sequence[Row]) -> list[Series]:
    limits = {each["metric"]: each["limit"] for each in rows[0]["slo"] if each["unit"] == "ms"}
    names = list(dict.fromkeys(["p50", *limits]))
    found = []
    for i, name in enumerate(names):
        points = []
        for row in rows:
            value = _value(row, name)
            if value is not None:
                points.append((float(row["rate_per_s"]), *value))
        found.append(Series(name, tuple(points), limits.get(name), *SERIES[i % len(SERIES)]))
    return found


def _value(row: Row, name: str) -> tuple[float, bool] | None:
    """The time in ms, and whether it is only a lower bound; None where it was not told."""
    judged = [each["value"] for each in row["slo"] if each["metric"] == name]
    value = judged[0] if judged else row.get(f"{name}_ms")
    if value is None:
        return None
    return (float(value["at_least"]), True) if isinstance(value, Mapping) else (float(value), False)


def _rate_axis(axes: Axes, rows: Sequence[Row], ends: Sequence[float]) -> None:
    """A tick at each rate; where they are too close, those in `ends`, the lowest and the highest go first."""
    rates = [float(row["rate_per_s"]) for row in rows]
    axes.set_xscale("log", base=2)
    axes.set_xlim(rates[0] / 1.25, rates[-1] * 1.25)
    low, high = axes.get_xlim()
    ticks: list[float] = []
    for rate in [*ends, rates[0], rates[-1], *rates]:
        if all(abs(math.log(rate / other)) >= TICKS_APART * math.log(high / low) for other in ticks):
            ticks.append(rate)
    axes.xaxis.set_major_locator(FixedLocator(sorted(ticks)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: short(rate)))


def _mark(axes: Axes, rate_per_s: float | None, missed_per_s: float | None) -> None:
    if missed_per_s is not None:
        axes.axvspan(missed_per_s, axes.get_xlim()[1], color="#FBEDE5", zorder=0)
    if rate_per_s is not None:
        axes.axvline(rate_per_s, color=INK, linewidth=1.2, zorder=2)


def _name_marks(axes: Axes, rate_per_s: float | None, missed_per_s: float | None) -> None:
    style: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "size": 10, "path_effects": HALO, "zorder": 6}
    if rate_per_s is not None:
        axes.text(rate_per_s, 0.97, f"the knee: {short(rate_per_s)}/s ", ha="right", va="top", weight="bold", **style)
    if missed_per_s is not None:
        axes.text(axes.get_xlim()[1], 1.02, "missed here", ha="right", va="bottom", color=FAILED, **style)


def _draw_times(axes: Axes, series: Sequence[Series]) -> None:
    values = [ms for each in series for _, ms, _ in each.points] + [each.limit_ms for each in series if each.limit_ms]
    axes.set_title("response time (ms, log scale)", size=11, loc="left", color=SOFT_INK)
    if not values:
        axes.set_yticks([])
        return
    axes.set_yscale("log")
    low, high = min(values) / 1.6, max(values) * 1.8
    axes.set_ylim(low, high)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < ONE_TICK_A_DECADE else (1,)))
    plain_ticks(axes.yaxis)
    axes.yaxis.set_minor_locator(NullLocator())
    right: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "clip_on": False}
    labels: list[tuple[float, str, str, str]] = []
    for each in series:
        known = [(rate, ms) for rate, ms, bound in each.points if not bound]
        bounds = [(rate, ms) for rate, ms, bound in each.points if bound]
        axes.plot(*_columns(each.points), each.dash, color=each.colour, linewidth=2, zorder=3)
        style: dict[str, Any] = {"linestyle": "none", "zorder": 5, "clip_on": False}
        axes.plot(*_columns(known), each.marker, color=each.colour, markerfacecolor="white", markersize=6, **style)
        axes.plot(*_columns(bounds), "^", color=FAILED, markersize=9, **style)
        if each.points:
            labels.append((each.points[-1][1], each.name, each.colour, each.dash))
        if each.limit_ms is not None:
            axes.axhline(each.limit_ms, color=each.colour, linewidth=1, linestyle=(0, (2, 3)), zorder=2)
            text = f"limit of {each.name}: {duration(each.limit_ms)}"
            x = axes.get_xlim()[0]
            axes.text(x, each.limit_ms, f" {text}", va="bottom", size=10, color=each.colour, path_effects=HALO)
    span = high / low
    places = spread([_place(value, low, span) for value, *_ in labels], 0.1, 0.02, 0.98)
    for (_, name, colour, dash), place in zip(labels, places, strict=True):
        y = low * span**place
        axes.plot([1.02, 1.1], [y, y], dash, color=colour, linewidth=2, **right)
        axes.text(1.12, y, name, va="center", size=10.5, color=INK, transform=axes.get_yaxis_transform())


def _place(value: float, low: float, span: float) -> float:
    """Where on a logarithmic axis, from 0 to 1."""
    return math.log(value / low) / math.log(span)


def _columns(points: Sequence[tuple[Any, ...]]) -> tuple[list[float], list[float]]:
    return [point[0] for point in points], [point[1] for point in points]


def _draw_errors(axes: Axes, rows: Sequence[Row]) -> None:
    known = [(float(row["rate_per_s"]), 100 * row["error_ratio"]) for row in rows if row["error_ratio"] is not None]
    limits = [100 * each["limit"] for each in rows[0]["slo"] if each["metric"] == "errors"]
    axes.set_title("failed requests (%)", size=11, loc="left", color=SOFT_INK)
    top = 1.2 * max([5.0, *(share for _, share in known), *limits])
    axes.set_ylim(0, top)
    plain_ticks(axes.yaxis)
    axes.plot(*_columns(known), "-", color=SERIES[0][0], linewidth=2, zorder=3)
    style: dict[str, Any] = {"linestyle": "none", "zorder": 5, "clip_on": False, "markersize": 6}
    axes.plot(*_columns(known), "o", color=SERIES[0][0], markerfacecolor="white", **style)
    for limit in limits:
        axes.axhline(limit, color=SOFT_INK, linewidth=1, linestyle=(0, (2, 3)), zorder=2)
        axes.text(1.02, limit, f"limit {limit:g} %", transform=axes.get_yaxis_transform(), va="center", size=10)


def _alt(rows: Sequence[Row], series: Sequence[Series], rate_per_s: float | None, missed_per_s: float | None) -> str:
    steps = []
    for row in rows:
        times = [f"{each.name} {cell_text(_json(_value(row, each.name)))} ms" for each in series]
        failed = f", {percent(row['error_ratio'])} failed" if row["error_ratio"] else ""
        said = "void" if row["load_verdict"] == "void" else ", ".join(times) + failed + f", {row['verdict']}"
        steps.append(f"{short(row['rate_per_s'])}: {said}")
    return f"Response times against requests per second. {_title(rate_per_s, missed_per_s)}. {'; '.join(steps)}."


def _json(value: tuple[float, bool] | None) -> object:
    return None if value is None else {"at_least": value[0]} if value[1] else value[0]


def _table(rows: Sequence[Row]) -> pd.DataFrame:
    columns = {"rate_per_s": "offered/s", "achieved_per_s": "answered/s", "requests": "requests"}
    columns |= {f"{name}_ms": f"{name} (ms)" for name in ("p50", "p95", "p99", "max")}
    table = [
        {
            **{title: row[key] for key, title in columns.items()},
            "failed (%)": None if row["error_ratio"] is None else 100 * row["error_ratio"],
            "keeps up": {True: "yes", False: "no", None: "–"}[row["keeps_up"]],
            "objective": "void" if row["load_verdict"] == "void" else row["verdict"],
        }
        for row in rows
    ]
    return pd.DataFrame(table, dtype=object)
