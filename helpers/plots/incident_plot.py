"""Answers per second over the time of a load, a band where something was done to the server, and the workers below."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Protocol

import pandas as pd
from matplotlib.axes import Axes

from helpers.errors import InputError
from helpers.plots.picture import (
    FAILED,
    FAINT,
    HALO,
    INK,
    LINE,
    PALE,
    SOFT_INK,
    STRONG,
    Picture,
    count,
    drawn,
    plain_ticks,
    short,
)

WIDTH, LEFT, RIGHT, HEAD, FOOT = 8.0, 0.95, 1.05, 0.72, 0.62  # inches
PANEL_IN, STRIP_IN, BETWEEN_IN, NAME_IN = 2.3, 0.55, 0.16, 0.24
ROOM = 1.12  # above the highest of it all


class Event(Protocol):
    """What was done, from when to when (s); `refused` says why it could not be."""

    @property
    def name(self) -> str: ...
    @property
    def from_s(self) -> float: ...
    @property
    def to_s(self) -> float: ...
    @property
    def refused(self) -> str: ...


class Course(Protocol):
    """Answers and losses in slices of time, what was done, and since when how many workers served."""

    @property
    def duration_s(self) -> float: ...
    @property
    def until_s(self) -> float: ...
    @property
    def slice_s(self) -> float: ...
    @property
    def answered(self) -> Sequence[int]: ...
    @property
    def lost(self) -> Sequence[int]: ...
    @property
    def events(self) -> Sequence[Event]: ...
    @property
    def crew(self) -> Sequence[tuple[float, int]]: ...
    @property
    def offered_per_s(self) -> float | None: ...
    @property
    def stages(self) -> Sequence[tuple[float, float]]: ...
    @property
    def words(self) -> str: ...
    @property
    def void(self) -> str: ...


@drawn
def incident_plot(course: Course, title: str = "") -> Picture:
    """Answers per second in slices of time, losses on top of them, what was done as bands, the workers as steps below.

    A void course is an empty, hatched field. Raises InputError without a slice of time.
    """
    if not course.answered:
        raise InputError("there is no slice of time to draw", "give a load of a second or more")
    rows = _rows(course)
    names_in = NAME_IN * (1 + max(rows)) if rows else 0.0
    picture = Picture(WIDTH, HEAD + names_in + PANEL_IN + BETWEEN_IN + STRIP_IN + FOOT)
    picture.headline(title or "What the load got while it happened", course.words)
    width_in = WIDTH - LEFT - _right_in(course)
    axes = picture.axes_at(LEFT, FOOT + STRIP_IN + BETWEEN_IN, width_in, PANEL_IN)
    strip = picture.axes_at(LEFT, FOOT, width_in, STRIP_IN)
    for each in (axes, strip):
        each.set_xlim(0, course.duration_s)
        _bands(each, course)
    _draw_answers(axes, course)
    _draw_names(axes, course, rows)
    _draw_crew(strip, course)
    return picture.finish(_alt(course), _table(course))


def _right_in(course: Course) -> float:
    """Room for the words beside the line of what comes, where there is one."""
    return RIGHT if course.offered_per_s is not None else 0.3


def _draw_answers(axes: Axes, course: Course) -> None:
    per_s = [number / course.slice_s for number in course.answered]
    lost_per_s = [number / course.slice_s for number in course.lost]
    both = [good + bad for good, bad in zip(per_s, lost_per_s, strict=True)]
    axes.set_ylim(0, ROOM * max([*both, *(per_s for per_s, _length_s in _stages(course)), 1.0]))
    axes.set_ylabel("answers/s")
    axes.tick_params(labelbottom=False)
    plain_ticks(axes.yaxis)
    if course.void:
        axes.axvspan(0, course.duration_s, facecolor="white", edgecolor=LINE, hatch="///", zorder=2)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 3}
        axes.text(0.5, 0.5, "void", ha="center", transform=axes.transAxes, color=SOFT_INK, bbox=box, zorder=4)
        return
    places = [course.slice_s * (i + 0.5) for i in range(len(per_s))]
    axes.bar(places, per_s, 0.94 * course.slice_s, color=STRONG, zorder=3)
    axes.bar(places, lost_per_s, 0.94 * course.slice_s, bottom=per_s, color=FAILED, zorder=3)
    if stages := _stages(course):
        rates, begins = [rate for rate, _ in stages], [0.0, *accumulate(length_s for _, length_s in stages)]
        dashes: dict[str, Any] = {"color": INK, "linewidth": 1.3, "linestyle": (0, (4, 3)), "path_effects": HALO}
        axes.stairs(rates, begins, baseline=None, zorder=4, **dashes)
        beside: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center", "size": 10.5}
        axes.text(1.015, rates[-1], f"come: {short(rates[-1])}/s", **beside)
    for x, y, number in zip(places, both, course.lost, strict=True):
        if number:
            style: dict[str, Any] = {"ha": "center", "va": "bottom", "color": FAILED, "weight": "bold"}
            axes.text(x, y, f"{number}", path_effects=HALO, zorder=6, **style)


def _stages(course: Course) -> Sequence[tuple[float, float]]:
    """What comes per second, and for how long (s); nothing where users wait for their answers."""
    if course.offered_per_s is None:
        return ()
    return course.stages or ((course.offered_per_s, course.duration_s),)


def _bands(axes: Axes, course: Course) -> None:
    for event in course.events:
        end_s = min(event.to_s, course.duration_s)
        axes.axvspan(event.from_s, end_s, facecolor=FAINT, zorder=0)
        axes.axvline(event.from_s, color=SOFT_INK, linewidth=1.2, zorder=3.5)


def _rows(course: Course) -> list[int]:
    """In which row above the picture the name of each event stands, so that none covers another.

    From the last to the first: the line of an earlier one then passes to the left of the names below its own.
    """
    probe = Picture(WIDTH, 1.0)
    begins: list[float] = []  # of the leftmost name in each row, in inches
    rows = []
    for event in reversed(course.events):
        begin = (WIDTH - LEFT - _right_in(course)) * event.from_s / course.duration_s
        end = begin + probe.text_width_in(_name(event), 10.5) + 0.12
        row = next((i for i, left in enumerate(begins) if end < left), len(begins))
        begins[row : row + 1] = [begin]
        rows.append(row)
    return rows[::-1]


def _name(event: Event) -> str:
    return f"{event.name} (refused)" if event.refused else event.name


def _draw_names(axes: Axes, course: Course, rows: Sequence[int]) -> None:
    for event, row in zip(course.events, rows, strict=True):
        y = 1 + (0.05 + NAME_IN * row) / PANEL_IN
        at: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "va": "bottom", "size": 10.5}
        axes.text(event.from_s, y, _name(event), color=INK, path_effects=HALO, zorder=7, **at)
        axes.plot([event.from_s] * 2, [1, y], color=SOFT_INK, linewidth=1.2, clip_on=False, transform=at["transform"])


def _draw_crew(axes: Axes, course: Course) -> None:
    """The workers that served, a step each, with their number written on it."""
    most = max(number for _, number in course.crew)
    axes.set(ylim=(0, 1.25 * max(most, 1)), yticks=[], xlabel="time since the measurement began (s)")
    axes.grid(visible=False)
    axes.text(-0.012, 0.4, "workers", transform=axes.transAxes, ha="right", va="center", size=11)
    plain_ticks(axes.xaxis)
    ends = [*(since for since, _ in course.crew[1:]), course.until_s]
    for (since_s, number), end_s in zip(course.crew, ends, strict=True):
        until_s = min(end_s, course.until_s)
        axes.fill_between([since_s, until_s], [number] * 2, step="post", color=PALE, linewidth=0, zorder=2)
        if until_s - since_s > 0.03 * course.duration_s:
            middle = (since_s + until_s) / 2
            style: dict[str, Any] = {"ha": "center", "va": "center", "weight": "bold", "size": 11, "zorder": 6}
            axes.text(middle, max(number, 0.5 * most) / 2, str(number), path_effects=HALO, **style)


def _phases(course: Course) -> list[tuple[str, float, float]]:
    """The times before, during and after each event; without one, those between two changes of the crew."""
    marks = [("before", 0.0)] if course.events else [(count(many, "worker"), since_s) for since_s, many in course.crew]
    for event in course.events:
        marks += [(_name(event), event.from_s), (f"after {_name(event)}", event.to_s)]
    ends = [*(at_s for _, at_s in marks[1:]), course.duration_s]
    return [(name, since_s, end_s) for (name, since_s), end_s in zip(marks, ends, strict=True) if end_s > since_s]


def _table(course: Course) -> pd.DataFrame:
    rows = []
    for name, since_s, end_s in _phases(course):
        # a slice belongs to the phase in which its middle lies
        inside = [i for i in range(len(course.answered)) if since_s <= course.slice_s * (i + 0.5) < end_s]
        if not inside:
            continue
        serving = [number for at_s, number in course.crew if at_s < end_s][-1]
        per_s = sum(course.answered[i] for i in inside) / (course.slice_s * len(inside))
        numbers = {"answers/s": per_s, "lost": sum(course.lost[i] for i in inside)}
        known: dict[str, Any] = dict.fromkeys(numbers) if course.void else numbers
        rows.append({"what": name, "from (s)": since_s, "workers at its end": serving, **known})
    return pd.DataFrame(rows, dtype=object)


def _alt(course: Course) -> str:
    if course.void:
        return f"Answers per second over time: void. {course.words}."
    parts = []
    for row in _table(course).to_dict("records"):
        workers = count(row["workers at its end"], "worker")
        parts.append(f"{row['what']}: {short(row['answers/s'])} answers/s, {workers}, {row['lost']} lost")
    return f"Answers per second over time. {'; '.join(parts)}. {course.words}."
