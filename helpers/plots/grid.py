"""The headline picture: throughput by workers and cores, one corner tall, against the machine's own ceiling."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from helpers.machine import usable_cpus
from helpers.plots.picture import (
    FAINT,
    HALO,
    INK,
    LINE,
    PLAIN,
    SOFT_INK,
    STRONG,
    Picture,
    count,
    drawn,
    ink_on,
    plain_ticks,
    short,
    spread,
    worker_colour,
)
from helpers.plots.rows import Cell, Row, cells, cores_name, one_load, table

WIDTH, HEIGHT = 8.0, 4.6  # inches, as everything below
LEFT, RIGHT, BOTTOM, TOP = 0.9, 1.65, 0.95, 0.8
AXES_WIDTH, AXES_HEIGHT = WIDTH - LEFT - RIGHT, HEIGHT - BOTTOM - TOP
BAR, GAP = 0.86, 0.5  # a bar's share of its slot; the room between two numbers of cores, in slots
CANNOT, NOT_MEASURED = "cannot be tested on this system", "not measured"
ONE_ONLY = "needs 2 cores; there is 1"
CLEARLY_FASTER = 1.2  # only a bar whose whole interval lies above this is drawn strong

Key = tuple[int, int | None]  # workers, cores


@dataclass(frozen=True)
class Ratio:
    """How many times the baseline, with its 95 % interval where there were launches enough."""

    value: float
    interval: tuple[float, float] | None = None

    @property
    def clear(self) -> bool:
        """Is it beyond doubt faster than the baseline?"""
        return (self.interval[0] if self.interval else self.value) > CLEARLY_FASTER


@dataclass(frozen=True)
class Group:
    """The bars of one number of cores, side by side; `missing` says why there are none."""

    cpus: int | None
    slots: tuple[float, ...]
    missing: str = ""


@dataclass(frozen=True)
class Scene:
    """All that is drawn: the cells, where they stand, and how they compare with the first."""

    found: Sequence[Cell]
    groups: Sequence[Group]
    slots: Mapping[Key, float]
    ratios: Mapping[Key, Ratio | None]
    ceiling: float | None
    bet: float | None
    bet_at: Key

    @property
    def base_per_s(self) -> float | None:
        """Throughput of the baseline: the fewest workers on the fewest cores."""
        return self.found[0].mean_per_s

    def times_base(self, ratio: float | None) -> float | None:
        """A ratio as requests/s; None where the ratio or the baseline is not known."""
        return None if ratio is None or self.base_per_s is None else ratio * self.base_per_s

    @property
    def top(self) -> float:
        """Upper end of the axis: everything fits, and a label above it."""
        highest = [value for cell in self.found for value in cell.per_s]
        lines = [self.times_base(self.ceiling) or 0.0, self.times_base(self.bet) or 0.0]
        return 1.24 * max([*highest, *lines], default=0.0) or 1.0


@drawn
def grid_plot(
    rows: Sequence[Row],
    *,
    ceiling: float | None,
    speedup: Sequence[Mapping[str, Any]] = (),
    bet: float | None = None,
    bet_at: Key | None = None,
    first_look: bool = False,
) -> Picture:
    """Bars of throughput for every number of workers and cores; a dot per launch.

    `rows` and `speedup` are those of a sweep, their first cell the baseline. `ceiling` is what that many bare processes
    reach on this machine, as a multiple of one of them; `bet` is the ratio the learner expected of the last bar, or of
    that of the (workers, cores) in `bet_at`. Raises InputError when there are no rows, or when they mix several numbers
    of users.
    """
    scene = _scene(one_load(cells(rows)), speedup, ceiling, bet, bet_at)
    picture = Picture(WIDTH, HEIGHT)
    users = count(scene.found[0].users, "user")
    picture.headline(
        "Requests per second, by workers and cores" + (": a first look" if first_look else ""),
        f"higher is better · {users} · a dot is one launch of the server",
    )
    axes = picture.axes_at(LEFT, BOTTOM, AXES_WIDTH, AXES_HEIGHT)
    places = [slot for group in scene.groups for slot in group.slots]
    axes.set(ylim=(0, scene.top), xlim=(min(places) - 0.6, max(places) + 0.6), xticks=[], ylabel="requests per second")
    plain_ticks(axes.yaxis)
    if not any(cell.per_s for cell in scene.found):
        axes.set_yticks([])  # nothing was measured, so there is no scale
    for cell in scene.found:
        _draw_bar(picture, axes, scene, cell)
    _draw_margin(axes, scene)
    _draw_foot(picture, axes, scene)
    return picture.finish(_alt(scene, first_look), _table(rows, scene))


def _scene(
    found: Sequence[Cell],
    speedup: Sequence[Mapping[str, Any]],
    ceiling: float | None,
    bet: float | None,
    bet_at: Key | None,
) -> Scene:
    groups = _groups(found)
    slots: dict[Key, float] = {}
    for group in groups:
        if not group.missing:
            members = [cell for cell in found if cell.cpus == group.cpus]
            slots |= {(cell.workers, cell.cpus): slot for cell, slot in zip(members, group.slots, strict=True)}
    ratios = {(cell.workers, cell.cpus): _ratio(cell, found[0], speedup) for cell in found}
    last = max(slots, key=lambda key: slots[key])
    return Scene(found, groups, slots, ratios, ceiling, bet, bet_at if bet_at in slots else last)


def _groups(found: Sequence[Cell]) -> list[Group]:
    """The groups of bars; where only one number of cores was measured, room and a reason for the other."""
    sizes: dict[int | None, tuple[int, str]] = {}
    for cell in found:
        sizes[cell.cpus] = (sizes.get(cell.cpus, (0, ""))[0] + 1, "")
    if list(sizes) == [None]:
        bound = hasattr(os, "sched_setaffinity")
        sizes = {1: (len(found), NOT_MEASURED if bound else CANNOT), **sizes}
    elif list(sizes) == [1]:
        sizes[2] = (len(found), NOT_MEASURED if usable_cpus().usable > 1 else ONE_ONLY)
    groups, at = [], 0.0
    for cpus, (size, missing) in sizes.items():
        groups.append(Group(cpus, tuple(at + i for i in range(size)), missing))
        at += size + GAP
    return groups


def _ratio(cell: Cell, base: Cell, speedup: Sequence[Mapping[str, Any]]) -> Ratio | None:
    for entry in speedup:
        if (entry["workers"], entry["cpus"]) == (cell.workers, cell.cpus):
            if (
                entry["ratio"] is None
            ):  # no round in which both cells were valid: means of different rounds do not compare
                return None
            low, high = entry.get("ci95") or (None, None)
            return Ratio(float(entry["ratio"]), None if low is None or high is None else (float(low), float(high)))
    if cell.mean_per_s is None or not base.mean_per_s:
        return None
    return Ratio(cell.mean_per_s / base.mean_per_s)


def _draw_bar(picture: Picture, axes: Axes, scene: Scene, cell: Cell) -> None:
    key = (cell.workers, cell.cpus)
    slot, mean, ratio = scene.slots[key], cell.mean_per_s, scene.ratios[key]
    if mean is None:
        height = scene.base_per_s or scene.top / 2
        axes.bar(slot, height, BAR, facecolor="white", edgecolor=LINE, hatch="///", zorder=2)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 3}
        axes.text(slot, height / 2, "void", ha="center", va="center", size=12, color=SOFT_INK, bbox=box, zorder=4)
        return
    best = max((r.value for r in scene.ratios.values() if r), default=0.0)
    strong = ratio is not None and ratio.clear and ratio.value == best
    colour = STRONG if strong else PLAIN
    axes.bar(slot, mean, BAR, color=colour, zorder=2)
    places = [
        slot + 0.16 * (i - (len(cell.per_s) - 1) / 2) * min(1, 4 / len(cell.per_s)) for i in range(len(cell.per_s))
    ]
    axes.scatter(places, cell.per_s, s=30, facecolor="white", edgecolor=INK, linewidth=1, zorder=5)
    words = f"{short(mean)}/s"
    if picture.text_width_in(words, 11) > _slot_in(axes) * BAR:
        words = short(mean)
    if mean > scene.top * 0.2:
        axes.text(slot, scene.top * 0.02, words, ha="center", va="bottom", color=ink_on(colour), zorder=5)
    _draw_label(axes, scene, cell, ratio)


def _draw_label(axes: Axes, scene: Scene, cell: Cell, ratio: Ratio | None) -> None:
    """The ratio above the bar, clear of its dots and of the ceiling's line."""
    slot, roomy = scene.slots[cell.workers, cell.cpus], _slot_in(axes) * BAR > 0.9
    small = _small(cell, ratio, scene) if roomy else ""
    per_in = scene.top / AXES_HEIGHT
    lines = small.count("\n") + bool(small)
    foot = max(*cell.per_s, cell.mean_per_s or 0.0) + 0.1 * per_in
    line = scene.times_base(scene.ceiling)
    if line is not None and foot - 0.08 * per_in < line < foot + (0.28 + 0.17 * lines) * per_in:
        foot = line + 0.06 * per_in
    style: dict[str, Any] = {"ha": "center", "va": "bottom", "zorder": 6, "path_effects": HALO}
    axes.text(slot, foot, small, size=10, color=SOFT_INK, linespacing=1.1, **style)
    if ratio:
        words = "1×" if cell is scene.found[0] else f"{ratio.value:.2f}×"
        axes.text(slot, foot + 0.17 * lines * per_in, words, size=14 if roomy else 10, weight="bold", **style)


def _small(cell: Cell, ratio: Ratio | None, scene: Scene) -> str:
    if cell is scene.found[0]:
        words = "baseline"
    elif ratio is None:
        words = "no ratio"
    else:
        words = f"[{ratio.interval[0]:.2f}, {ratio.interval[1]:.2f}]" if ratio.interval else ""
    return "\n".join(filter(None, [words, cell.void_note]))


def _span(axes: Axes) -> float:
    low, high = axes.get_xlim()
    return float(high - low)


def _slot_in(axes: Axes) -> float:
    """Room for one bar, in inches."""
    return AXES_WIDTH / _span(axes)


def _draw_margin(axes: Axes, scene: Scene) -> None:
    """Lines across the picture, each named at the right, outside, where nothing else stands."""
    low, high = axes.get_xlim()
    marks: list[tuple[float, str, str]] = []
    if (base := scene.base_per_s) is not None:
        axes.axhline(base, color=LINE, linewidth=1, linestyle=(0, (1, 2)), zorder=3)
        marks.append((base, "baseline", SOFT_INK))
    else:
        marks.append((scene.top / 2, "the baseline is void:\nno ratios", SOFT_INK))
    if (line := scene.times_base(scene.ceiling)) is not None:
        axes.axhline(line, color=INK, linewidth=1.3, linestyle=(0, (6, 3)), zorder=3)
        marks.append((line, f"machine's own\nceiling {scene.ceiling:.2f}×", INK))
    if (guess := scene.times_base(scene.bet)) is not None:
        edge = scene.slots[scene.bet_at] + BAR / 2
        style: dict[str, Any] = {"linestyle": "none", "markeredgecolor": INK, "clip_on": False, "zorder": 7}
        axes.plot(
            [edge + 0.07], [guess], marker="D", markersize=10, markerfacecolor="white", markeredgewidth=1.6, **style
        )
        marks.append((guess, f"your bet {scene.bet:.2g}×", INK))
    per_in = scene.top / AXES_HEIGHT
    for (_, text, colour), y in zip(marks, spread([m[0] for m in marks], 0.4 * per_in, high=scene.top), strict=True):
        axes.text(
            high + 0.012 * (high - low), y, text, ha="left", va="center", size=10.5, color=colour, linespacing=1.15
        )


def _draw_foot(picture: Picture, axes: Axes, scene: Scene) -> None:
    """Under each bar its workers as dots in their colours, under each group its cores as squares."""
    per_in = _slot_in(axes)
    origin = axes.get_xlim()[0]
    foot = picture.axes_at(LEFT, 0.05, AXES_WIDTH, BOTTOM - 0.05)
    foot.set(xlim=(0, AXES_WIDTH), ylim=(0, BOTTOM - 0.05))  # its units are inches
    foot.axis("off")
    dense = per_in < 1.05
    for (workers, _), slot in scene.slots.items():
        words = str(workers) if dense else count(workers, "worker")
        fills = [] if dense else [worker_colour(i) for i in range(workers)]
        _pictogram(picture, foot, (slot - origin) * per_in, 0.72, words, fills, "o", per_in)
    if dense:
        foot.text(-0.1, 0.72, "workers", ha="right", va="center_baseline", size=10.5)
    for group in scene.groups:
        low, high = group.slots[0] - BAR / 2, group.slots[-1] + BAR / 2
        left, right = (low - origin) * per_in, (high - origin) * per_in
        foot.plot([left, right], [0.5, 0.5], color=LINE, linewidth=1)
        fills = ["white"] * (group.cpus or 0)
        _pictogram(picture, foot, (left + right) / 2, 0.26, cores_name(group.cpus), fills, "s", right - left)
        if group.missing:
            axes.axvspan(low, high, facecolor=FAINT, zorder=1)
            box = {"facecolor": FAINT, "edgecolor": "none", "pad": 4}
            style: dict[str, Any] = {"ha": "center", "va": "center", "size": 11, "color": SOFT_INK, "bbox": box}
            axes.text((low + high) / 2, scene.top / 2, fill(group.missing, 12), zorder=4, **style)


def _pictogram(
    picture: Picture, axes: Axes, middle: float, y: float, words: str, fills: Sequence[str], marker: str, room: float
) -> None:
    """A small shape per worker or core and the word beside them, centred; the word alone where there is no room."""
    step, word = 0.16, picture.text_width_in(words, 10.5)
    shapes = fills if len(fills) * step + 0.06 + word <= room else []
    drawn_in = len(shapes) * step + 0.06 * bool(shapes)
    left = middle - (drawn_in + word) / 2
    for i, colour in enumerate(shapes):
        axes.plot([left + step * (i + 0.5)], [y], marker, markersize=9, markerfacecolor=colour, markeredgecolor=INK)
    axes.text(left + drawn_in, y, words, ha="left", va="center_baseline", size=10.5)


def _alt(scene: Scene, first_look: bool) -> str:
    parts = []
    for cell in scene.found:
        where = f"{count(cell.workers, 'worker')} on {cores_name(cell.cpus)}"
        ratio = scene.ratios[cell.workers, cell.cpus]
        if cell.mean_per_s is None:
            parts.append(f"{where}: void")
            continue
        text = f"{where}: {short(cell.mean_per_s)} requests per second"
        if ratio and cell is not scene.found[0]:
            text += f" ({ratio.value:.2f} times the baseline"
            text += f", 95 % interval {ratio.interval[0]:.2f} to {ratio.interval[1]:.2f})" if ratio.interval else ")"
        parts.append(text)
    parts += [f"{cores_name(g.cpus)}: {g.missing}" for g in scene.groups if g.missing]
    ceiling = "" if scene.ceiling is None else f"; this machine's own ceiling is {scene.ceiling:.2f} times one process"
    bet = "" if scene.bet is None else f"; your bet was {scene.bet:.2g} times"
    return f"{'First look: ' if first_look else ''}Bars of throughput: {', '.join(parts)}{ceiling}{bet}."


def _table(rows: Sequence[Row], scene: Scene) -> pd.DataFrame:
    frame = table(rows)
    found = [scene.ratios[workers, cpus] for workers, cpus in zip(frame["workers"], frame["cores"], strict=True)]
    texts = [f"[{r.interval[0]:.2f}, {r.interval[1]:.2f}]" if r and r.interval else None for r in found]
    frame["× baseline"] = [ratio.value if ratio else None for ratio in found]
    frame["95 % interval"] = texts
    return frame
