"""Where the CPU time went: workers, parent, generator, notebook, others and idle, in cores' worth."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from helpers.errors import InputError
from helpers.load.cpu import CpuSplit
from helpers.plots.picture import (
    INK,
    LINE,
    PALE,
    SOFT_INK,
    Picture,
    count,
    drawn,
    ink_on,
    plain_ticks,
    worker_colours,
)

WIDTH, LEFT, RIGHT, HEAD, FOOT = 8.0, 1.45, 0.55, 0.85, 0.65  # inches
BAR_IN, LINE_IN, GAP_IN = 0.44, 0.22, 0.26
OTHER_PARTS = (
    ("parent", "parent", "#3D444D"),
    ("generator", "load generator", "#6E7781"),
    ("notebook", "notebook", "#98A1AB"),
    ("others", "other programs", PALE),
    ("steal", "taken by the host", "#F8DCCB"),
    ("idle", "idle", "#FFFFFF"),
)


@dataclass(frozen=True)
class Part:
    """One piece of a bar, in cores' worth of CPU time."""

    name: str
    cores: float
    colour: str


@dataclass(frozen=True)
class Bar:
    """One measurement: its parts from left to right; `idle` is None where it was not measured."""

    label: str
    parts: tuple[Part, ...]
    idle: float | None

    @property
    def total(self) -> float:
        """Cores' worth of all parts together."""
        return sum(part.cores for part in self.parts)


def cpu_entry(label: str, split: CpuSplit) -> dict[str, Any]:
    """What `cpu_plot` draws of one load test: `cpu_entry("1 worker", result.cpu)`."""
    return {
        "label": label,
        "workers": split.workers,
        "parent": split.rest_of_server,
        "generator": split.generator,
        "notebook": split.owner,
        "others": split.others,
        "steal": split.steal,
        "idle": split.idle,
    }


@drawn
def cpu_plot(measured: Sequence[Mapping[str, Any]], *, cores: int) -> Picture:
    """A bar per measurement, as long as the machine has cores, divided by who used them.

    Each entry: `label`, `workers` {pid: cores' worth}, and the cores' worth of `parent`, `generator`, `notebook`,
    `others`, `steal` and `idle`; what was not measured is absent or None. Raises InputError for an empty list or for
    less than one core.
    """
    if not measured or cores < 1:
        raise InputError(
            f"{count(len(measured), 'measurement')} on {count(cores, 'core')} cannot be drawn",
            "give one entry per measurement, and the number of cores the machine offers",
        )
    bars = [_bar(entry) for entry in measured]
    longest = 1.01 * max([float(cores), *(bar.total for bar in bars)])
    per_core = (WIDTH - LEFT - RIGHT) / longest
    probe = Picture(WIDTH, 1.0)
    texts = [_texts(probe, bar, per_core) for bar in bars]
    below = [_wrapped(probe, [p for p, words in zip(bar.parts, t, strict=True) if p.name not in words])
             for bar, t in zip(bars, texts, strict=True)]  # fmt: skip
    rows_in = [BAR_IN + LINE_IN * len(lines) + GAP_IN for lines in below]
    picture = Picture(WIDTH, HEAD + sum(rows_in) + FOOT)
    picture.headline(f"Where the time of {count(cores, 'core')} went", _sentence(bars, cores))
    axes = picture.axes_at(LEFT, FOOT, WIDTH - LEFT - RIGHT, sum(rows_in))
    axes.set(xlim=(0, longest), ylim=(sum(rows_in), 0), yticks=[], xlabel="cores' worth of CPU time")
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    axes.set_xticks(range(cores + 1) if cores <= 16 else range(0, cores + 1, 4))
    plain_ticks(axes.xaxis)
    y = 0.1 + BAR_IN / 2
    for bar, words, lines, row_in in zip(bars, texts, below, rows_in, strict=True):
        _draw_bar(axes, bar, words, y)
        axes.plot([cores, cores], [y - 0.3, y + 0.3], color=INK, linewidth=1.3, linestyle=(0, (6, 3)), zorder=5)
        _list_below(axes, lines, y + BAR_IN / 2 + 0.15, per_core)
        y += row_in
    return picture.finish(f"Where the CPU time went. {_sentence(bars, cores)} {_details(bars)}", _table(bars))


def _bar(entry: Mapping[str, Any]) -> Bar:
    workers: Mapping[int, float] = entry.get("workers") or {}
    colours = worker_colours(list(workers))
    parts = [Part(f"worker {pid}", float(workers[pid]), colours[pid]) for pid in colours]
    for key, name, colour in OTHER_PARTS:
        if (used := entry.get(key)) is not None:
            parts.append(Part(name, max(float(used), 0.0), colour))
    idle = entry.get("idle")
    return Bar(str(entry["label"]), tuple(parts), None if idle is None else max(float(idle), 0.0))


def _texts(probe: Picture, bar: Bar, per_core: float) -> list[str]:
    """What is written into each part: its name and number, its number, or nothing, as there is room."""
    texts = []
    for part in bar.parts:
        choices = (f"{part.name} {part.cores:.2f}", f"{part.cores:.2f}")
        room_in = part.cores * per_core - 0.03
        texts.append(next((words for words in choices if probe.text_width_in(words, 10.5) <= room_in), ""))
    return texts


def _wrapped(probe: Picture, parts: Sequence[Part]) -> list[list[tuple[float, Part]]]:
    """Lines of names that found no room in the bar, each with its place in inches."""
    lines: list[list[tuple[float, Part]]] = []
    at_in = math.inf
    for part in parts:
        wide_in = 0.36 + probe.text_width_in(_entry(part), 10)
        if at_in + wide_in > WIDTH - LEFT:
            lines.append([])
            at_in = 0.0
        lines[-1].append((at_in, part))
        at_in += wide_in
    return lines


def _entry(part: Part) -> str:
    return f"{part.name} {part.cores:.2f}"


def _draw_bar(axes: Axes, bar: Bar, texts: Sequence[str], y: float) -> None:
    at = 0.0
    for part, words in zip(bar.parts, texts, strict=True):
        edge = LINE if part.colour in ("#FFFFFF", PALE) else "white"
        hatch = "///" if part.name == "taken by the host" else None
        style: dict[str, Any] = {"edgecolor": edge, "linewidth": 0.8, "hatch": hatch, "zorder": 2}
        axes.barh(y, part.cores, left=at, height=BAR_IN, color=part.colour, **style)
        middle: dict[str, Any] = {"ha": "center", "va": "center_baseline", "size": 10.5, "zorder": 4}
        axes.text(at + part.cores / 2, y, words, color=ink_on(part.colour), **middle)
        at += part.cores
    axes.text(-0.015, y, bar.label, transform=axes.get_yaxis_transform(), ha="right", va="center", size=11)
    if not bar.parts:
        axes.text(0, y, "not measured", va="center_baseline", color=SOFT_INK)


def _list_below(axes: Axes, lines: Sequence[Sequence[tuple[float, Part]]], y: float, per_core: float) -> None:
    """The names that found no room in the bar, each with a patch of its colour."""
    for i, line in enumerate(lines):
        for at_in, part in line:
            patch: dict[str, Any] = {"height": 0.12, "edgecolor": LINE, "linewidth": 0.7, "clip_on": False}
            level = y + i * LINE_IN
            axes.barh(level, 0.12 / per_core, left=at_in / per_core, color=part.colour, **patch)
            words: dict[str, Any] = {"va": "center_baseline", "size": 10, "color": SOFT_INK}
            axes.text((at_in + 0.18) / per_core, level, _entry(part), **words)


def _sentence(bars: Sequence[Bar], cores: int) -> str:
    """Who was idle."""
    known = [f"{bar.label}: {bar.idle:.2f} of {count(cores, 'core')} idle" for bar in bars if bar.idle is not None]
    return f"{' · '.join(known)}." if known else "How much was idle was not measured."


def _details(bars: Sequence[Bar]) -> str:
    return " ".join(
        f"{bar.label}: {', '.join(f'{part.name} {part.cores:.2f}' for part in bar.parts) or 'not measured'}."
        for bar in bars
    )


def _table(bars: Sequence[Bar]) -> pd.DataFrame:
    rows = [(bar.label, part.name, part.cores) for bar in bars for part in bar.parts]
    return pd.DataFrame(rows, columns=["measurement", "who", "cores' worth"], dtype=object)
