"""Who holds the door: one listening socket, the workers that accept from it, the parent and its helper beside it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from helpers.errors import InputError
from helpers.plots.picture import (
    FAINT,
    INK,
    LINE,
    SOFT_INK,
    STRONG,
    Picture,
    count,
    drawn,
    ink_on,
    worker_colours,
)

WIDTH, HEAD, FOOT = 8.0, 0.85, 0.2  # inches, as everything below
ROW, BETWEEN, APART = 0.6, 0.14, 0.4  # a box; the room between two; the room between the workers and the parent
LEAST_IN = 1.1  # the door's own words need that much
OUTSIDE, DOOR, ROOM = (0.25, 1.35), (2.35, 3.85), (5.15, 7.85)  # from left to right: where each column begins and ends
TRACKER = "resource tracker"


@dataclass(frozen=True)
class Member:
    """One process: what it is, what it has to do with the door (None: the system does not tell), how it is drawn."""

    pid: int
    role: str
    holds: bool | None
    does: str
    colour: str
    answers: int | None = None
    stopped: bool = False

    @property
    def name(self) -> str:
        return f"{self.role} {self.pid}" + (", stopped" if self.stopped else "")


@drawn
def door_plot(
    *,
    port: int,
    workers: Sequence[int],
    holders: Collection[int] | None,
    inode: int | None = None,
    parent: int | None = None,
    tracker: int | None = None,
    answers: Mapping[int, int] | None = None,
    parent_stopped: bool = False,
) -> Picture:
    """One listening socket and the processes of its server: the workers in front, parent and resource tracker beside.

    `workers`, `parent` and `tracker` are pids, `holders` those that have the socket open, `inode` is the kernel's
    number of it (both None where the system does not tell). `answers` per pid are written into the boxes, and
    `parent_stopped` says that they were given while the parent did not run. Raises InputError without a worker.
    """
    if not workers:
        raise InputError("a server without a worker has nobody at its door", "give the pids of its workers")
    staff = _workers(workers, holders, answers or {})
    beside = _beside(parent, tracker, holders, parent_stopped)
    front_in = max(len(staff) * (ROW + BETWEEN) - BETWEEN, LEAST_IN)
    beside_in = APART + len(beside) * (ROW + BETWEEN) - BETWEEN if beside else 0.0
    picture = Picture(WIDTH, HEAD + front_in + beside_in + FOOT)
    picture.headline(_title(staff, beside), _below(parent_stopped))
    axes = picture.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(0, picture.height_in))  # its units are inches
    axes.axis("off")
    middle = picture.height_in - HEAD - front_in / 2
    _draw_door(axes, middle, min(front_in, 2.2), port, inode)
    rows_in = len(staff) * (ROW + BETWEEN) - BETWEEN
    _draw_members(axes, staff, middle + rows_in / 2, middle)
    _draw_members(axes, beside, picture.height_in - HEAD - front_in - APART, middle)
    everybody = [*staff, *beside]
    return picture.finish(_alt(everybody, port, inode, parent_stopped), _table(everybody, inode))


def _workers(workers: Sequence[int], holders: Collection[int] | None, answers: Mapping[int, int]) -> list[Member]:
    colours = worker_colours(workers)
    staff = []
    for pid in sorted(set(workers)):
        given = answers.get(pid)
        does = "accepts connections" if given is None else f"accepts; gave {count(given, 'answer')}"
        staff.append(Member(pid, "worker", _holds(pid, holders), does, colours[pid], given))
    return staff


def _beside(parent: int | None, tracker: int | None, holders: Collection[int] | None, stopped: bool) -> list[Member]:
    found = []
    for pid, role, task in (
        (parent, "parent", "starts and watches the workers"),
        (tracker, TRACKER, "Python's own helper"),
    ):
        if pid is not None:
            holds = _holds(pid, holders)
            does = {True: "has it open, accepts nobody", False: "not at the door", None: task}[holds]
            found.append(Member(pid, role, holds, does, FAINT, stopped=stopped and role == "parent"))
    return found


def _holds(pid: int, holders: Collection[int] | None) -> bool | None:
    return None if holders is None else pid in holders


def _title(staff: Sequence[Member], beside: Sequence[Member]) -> str:
    return f"One door, {count(len(staff), 'worker')} behind it" + (", the parent beside it" if beside else "")


def _below(stopped: bool) -> str:
    key = "thick: accepts from the socket · dashed: only has it open"
    return f"answers while the parent was stopped · {key}" if stopped else key


def _draw_door(axes: Axes, middle: float, height: float, port: int, inode: int | None) -> None:
    left, right = DOOR
    box: dict[str, Any] = {"boxstyle": "square,pad=0", "facecolor": STRONG, "edgecolor": INK, "zorder": 3}
    axes.add_patch(FancyBboxPatch((left, middle - height / 2), right - left, height, **box))
    words = f"listening\nsocket\nport {port}" + ("" if inode is None else f"\ninode {inode}")
    style: dict[str, Any] = {"ha": "center", "va": "center", "zorder": 4}
    axes.text((left + right) / 2, middle, words, color=ink_on(STRONG), size=11, linespacing=1.35, **style)
    axes.text(sum(OUTSIDE) / 2, middle, "new\nconnections", size=11, **style)
    axes.add_patch(FancyArrowPatch((OUTSIDE[1], middle), (left, middle), **_arrow(INK, 2.0)))


def _draw_members(axes: Axes, members: Sequence[Member], top: float, door: float) -> None:
    for i, member in enumerate(members):
        _draw_member(axes, member, top - ROW / 2 - i * (ROW + BETWEEN), door)


def _draw_member(axes: Axes, member: Member, y: float, door: float) -> None:
    left, right = ROOM
    ink = ink_on(member.colour)
    box: dict[str, Any] = {"boxstyle": "round,pad=0,rounding_size=0.08", "facecolor": member.colour, "zorder": 3}
    axes.add_patch(FancyBboxPatch((left, y - ROW / 2), right - left, ROW, edgecolor=LINE, **box))
    at: dict[str, Any] = {"ha": "left", "va": "center", "color": ink, "zorder": 4}
    axes.text(left + 0.14, y + 0.13, member.name, size=11, weight="bold", **at)
    axes.text(left + 0.14, y - 0.13, member.does, size=10.5, **at)
    if member.role == "worker":
        axes.add_patch(FancyArrowPatch((DOOR[1], door), (left, y), **_arrow(member.colour, 3.5)))
    elif member.holds:
        axes.plot([DOOR[1], left], [door, y], color=SOFT_INK, linewidth=1.2, linestyle=(0, (5, 4)), zorder=1)


def _arrow(colour: str, width: float) -> dict[str, Any]:
    return {
        "arrowstyle": "-|>", "mutation_scale": 14, "color": colour, "linewidth": width, "shrinkA": 0, "shrinkB": 1,
        "zorder": 2,
    }  # fmt: skip


def _alt(members: Sequence[Member], port: int, inode: int | None, stopped: bool) -> str:
    text = f"One listening socket on port {port}" + ("" if inode is None else f" (inode {inode})")
    for holds, words in ((True, ", held by"), (False, ", not by")):
        names = [member.name for member in members if member.holds is holds]
        text += f"{words} {', '.join(names)}" if names else ""
    given = [f"{member.pid} gave {count(member.answers, 'answer')}" for member in members if member.answers is not None]
    if given:
        text += f"; {'while the parent was stopped, ' if stopped else ''}{', '.join(given)}"
    return f"{text}. Only workers accept from it: {', '.join(m.name for m in members if m.role == 'worker')}."


def _table(members: Sequence[Member], inode: int | None) -> pd.DataFrame:
    said = {True: "yes", False: "no", None: None}
    rows = [(m.pid, m.role, said[m.holds], inode if m.holds else None, m.answers) for m in members]
    return pd.DataFrame(rows, columns=["pid", "role", "has it open", "inode", "answers"], dtype=object)
