"""The class in one picture: everybody's speed-up against cores; ratios only, and nobody's machine by name."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from helpers.errors import InputError
from helpers.plots.picture import (
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
    spread,
)

WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP = 8.0, 4.8, 0.85, 2.1, 0.75, 0.85  # inches
NAMES_MOST = 7  # more names than these do not fit one below the other
APART = 0.18  # of a core: the dots of a class stand side by side over their number of cores

Person = Mapping[str, Any]  # label, cores, virtual, cpu_model, ratios: [{workers, cpus, ratio, ci95}]


@drawn
def class_plot(people: Sequence[Person]) -> Picture:
    """Speed-up against cores, a thin line per person: pale for one worker, strong for the most workers they ran.

    Each person: `label`, `cores` (usable), `virtual` (True, False or None), `cpu_model`, `ceiling` (or None) and
    `ratios`, each with `workers`, `cpus` (None: all), `ratio` and `ci95` (or None). A hollow dot is a virtual machine.
    Of a large class those furthest below the line are named; the table and the words for ears hold everybody.
    Raises InputError for a class of nobody.
    """
    if not people:
        raise InputError("there is nobody to draw", "export at least one result into the folder first")
    picture = Picture(WIDTH, HEIGHT)
    picture.headline(
        "The class: times the answers of one worker on one core",
        f"higher is better · {_people(len(people))} · pale: 1 worker, dark: more · hollow: a virtual machine",
    )
    axes = picture.axes_at(LEFT, BOTTOM, WIDTH - LEFT - RIGHT, HEIGHT - BOTTOM - TOP)
    placed = [_points(person, _shift(i, len(people))) for i, person in enumerate(people)]
    most = max([2.0, *(point["at"] for points in placed for point in points)])
    top = 1.15 * max([2.0, *(point["high"] for points in placed for point in points)])
    axes.set(xlim=(0.6, most + 0.4), ylim=(0, min(top, 2.5 * most)), xlabel="cores", ylabel="times as many answers")
    axes.set_xticks(range(1, int(most) + 1) if most <= 16 else [1, int(most / 2), int(most)])
    plain_ticks(axes.yaxis)
    axes.plot([1, most], [1, most], color=LINE, linewidth=1.2, linestyle=(0, (5, 3)), zorder=1)
    ends = []
    for person, points in zip(people, placed, strict=True):
        _draw_person(axes, person, points)
        if best := max((point for point in points if point["strong"]), key=lambda point: point["at"], default=None):
            reached = best["ratio"] / (best["cpus"] or person["cores"])  # of the line
            ends.append((reached, best["at"], best["ratio"], str(person["label"])))
    named = sorted(ends)[:NAMES_MOST]  # in a large class those furthest below the line
    _name(axes, [(most, most, "a core more,\nas much more"), *(end[1:] for end in named)])
    return picture.finish(_alt(people, placed), _table(people))


def _shift(i: int, size: int) -> float:
    return 0.0 if size == 1 else APART * (2 * i / (size - 1) - 1)


def _points(person: Person, shift: float) -> list[dict[str, Any]]:
    """Where a person's ratios stand: those of one worker, and those of the most workers."""
    known = [entry for entry in person["ratios"] if entry["ratio"] is not None]
    most = max((entry["workers"] for entry in known), default=1)
    found = []
    for entry in known:
        if entry["workers"] not in (1, most):
            continue
        low, high = entry["ci95"] or (entry["ratio"], entry["ratio"])
        at = (entry["cpus"] or person["cores"]) + shift
        strong = entry["workers"] == most and most > 1
        found.append({**entry, "at": at, "low": low, "high": high, "strong": strong})
    return sorted(found, key=lambda point: (point["strong"], point["at"]))


def _draw_person(axes: Axes, person: Person, points: Sequence[Mapping[str, Any]]) -> None:
    for strong, colour in ((False, PLAIN), (True, STRONG)):
        own = [point for point in points if point["strong"] is strong]
        x, y = [point["at"] for point in own], [point["ratio"] for point in own]
        axes.plot(x, y, color=colour, linewidth=1.6, zorder=3 + strong)
        for point in own:
            axes.plot([point["at"]] * 2, [point["low"], point["high"]], color=colour, linewidth=1, zorder=3)
        fill = "white" if person.get("virtual") else colour
        axes.plot(x, y, "o", markersize=7, markerfacecolor=fill, markeredgecolor=colour, zorder=5 + strong)


def _name(axes: Axes, ends: Sequence[tuple[float, float, str]]) -> None:
    """Words to the right of the axes, each with a thin line to the (x, y) that it names."""
    low, high = axes.get_xlim()
    bottom, top = axes.get_ylim()
    per_in = (top - bottom) / (HEIGHT - BOTTOM - TOP)
    places = spread([y for _, y, _ in ends], 0.36 * per_in, low=bottom, high=top)
    beside = high + 0.012 * (high - low)
    for (x, y, words), place in zip(ends, places, strict=True):
        style: dict[str, Any] = {"ha": "left", "va": "center", "size": 10.5, "path_effects": HALO, "linespacing": 1.1}
        colour = SOFT_INK if "\n" in words else INK
        axes.plot([x, beside], [y, place], color=LINE, linewidth=0.6, zorder=2, clip_on=False)
        axes.text(beside, place, words, color=colour, parse_math=False, **style)


def _people(number: int) -> str:
    return "1 person" if number == 1 else count(number, "people").removesuffix("s")


def _alt(people: Sequence[Person], placed: Sequence[Sequence[Mapping[str, Any]]]) -> str:
    parts = []
    for person, points in zip(people, placed, strict=True):
        best = next((point for point in reversed(points) if point["strong"]), None)
        if best is None:
            parts.append(f"{person['label']}: nothing measured")
            continue
        cores = best["cpus"] or person["cores"]
        parts.append(f"{person['label']}: {best['ratio']:.2f} times with {best['workers']} workers on {cores}")
    return f"Speed-up against cores of {_people(len(people))}. {'; '.join(parts)}."


def _table(people: Sequence[Person]) -> pd.DataFrame:
    rows = []
    for person in people:
        virtual = person.get("virtual")
        facts = {
            "who": person["label"],
            "usable cores": person["cores"],
            "virtual machine": "not known" if virtual is None else "yes" if virtual else "no",
            "processor": person.get("cpu_model"),
            "own ceiling": person.get("ceiling"),
        }
        for entry in person["ratios"]:
            ends = entry["ci95"]
            interval = None if ends is None else f"[{ends[0]:.2f}, {ends[1]:.2f}]"
            cores = entry["cpus"] or "all"
            measured = {"workers": entry["workers"], "cores": cores, "× baseline": entry["ratio"]}
            rows.append(facts | measured | {"95 % interval": interval})
    return pd.DataFrame(rows, dtype=object)
