"""The decision tree: from what can be seen of a slow endpoint to what helps it, with the learner's own numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from helpers.plots.picture import CURE, FAINT, HALO, INK, LINE, SOFT_INK, Picture, drawn, short

WIDTH, HEIGHT, HEAD = 8.9, 7.0, 0.75  # inches
ASK_W, ASK_H, LEAF_W = 2.25, 0.62, 2.45
LEAF_X = WIDTH - 0.15 - LEAF_W / 2
CURE_FILL = "#F7EAF2"


@dataclass(frozen=True)
class Question:
    """A box with a question, its middle in inches from the left and from the top of the tree."""

    text: str
    x: float
    y: float


@dataclass(frozen=True)
class Leaf:
    """What helps: `key` finds the learner's own gain, `others` those of its alternatives."""

    key: str
    text: str
    y: float
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Branch:
    """From a question to a question or a leaf, with the answer that leads there."""

    source: str
    answer: str
    target: str


QUESTIONS = {
    "busy": Question("Load it: are the\nworkers' cores busy?", 1.3, 0.95),
    "code": Question("One worker, and several\ncores busy?", 4.0, 0.95),
    "stands": Question("Where does the event\nloop's thread stand?", 1.3, 2.45),
    "grows": Question("Twice the users:\ntwice the answers?", 1.3, 3.75),
    "tokens": Question("Are the worker's 40\nthreads all taken?", 1.3, 5.2),
}
LEAVES = {
    "workers": Leaf("workers", "workers, up to the cores\n(or a pool of processes)", 0.45),
    "native": Leaf("native", "one library thread, then\nas many workers as cores", 1.45),
    "await": Leaf("await", "await it\n(else def, else to_thread)", 2.45, ("def", "to_thread")),
    "nothing": Leaf("nothing", "nothing to cure: one\nworker holds them all", 3.55),
    "threads": Leaf("threads", "more threads\nper worker (tokens)", 4.75),
    "downstream": Leaf("downstream", "the one you wait for:\nadmit more, or ask less", 5.72),
}
BRANCHES = (
    Branch("busy", "yes", "code"),
    Branch("code", "no: Python", "workers"),
    Branch("code", "yes: native", "native"),
    Branch("busy", "no: idle", "stands"),
    Branch("stands", "in a line of yours, again and again", "await"),
    Branch("stands", "it waits for events", "grows"),
    Branch("grows", "yes", "nothing"),
    Branch("grows", "no", "tokens"),
    Branch("tokens", "yes", "threads"),
    Branch("tokens", "no", "downstream"),
)


@drawn
def decision_plot(gains: Mapping[str, float | None] | None = None) -> Picture:
    """The tree, read from the left. `gains` are ratios measured here, by the keys of the leaves and their others."""
    gains = gains or {}
    picture = Picture(WIDTH, HEIGHT)
    picture.headline(
        "What helps my endpoint?", "from what you can see to what helps; × is what it brought here, first look"
    )
    axes = picture.axes_at(0, 0.1, WIDTH, HEIGHT - HEAD - 0.1)
    axes.set(xlim=(0, WIDTH), ylim=(HEIGHT - HEAD - 0.1, 0))
    axes.axis("off")
    for branch in BRANCHES:
        _draw_branch(axes, branch)
    for question in QUESTIONS.values():
        _box(axes, question.x, question.y, ASK_W, question.text, fill=FAINT, edge=LINE)
    for leaf in LEAVES.values():
        _box(axes, LEAF_X, leaf.y, LEAF_W, _words(leaf, gains), fill=CURE_FILL, edge=CURE)
    return picture.finish(_alt(gains), _table(gains))


def _words(leaf: Leaf, gains: Mapping[str, float | None]) -> str:
    here = _here(leaf, gains)
    return f"{leaf.text}\nhere: × {here}" if here else leaf.text


def _here(leaf: Leaf, gains: Mapping[str, float | None]) -> str:
    """What the leaf and its alternatives brought, in their order; empty where the leaf itself was not measured."""
    found = [gains.get(key) for key in (leaf.key, *leaf.others)]
    return "" if found[0] is None else ", ".join("void" if gain is None else short(gain) for gain in found)


def _draw_branch(axes: Axes, branch: Branch) -> None:
    """An arrow to the right, or down to the next question, with the answer on it."""
    source = QUESTIONS[branch.source]
    below = QUESTIONS.get(branch.target)
    arrow: dict[str, Any] = {"arrowstyle": "-|>", "color": SOFT_INK, "linewidth": 1.3, "shrinkA": 0, "shrinkB": 0}
    words: dict[str, Any] = {"size": 10, "color": INK, "path_effects": HALO, "zorder": 4}
    if below is not None and below.x == source.x and below.y > source.y:
        top, bottom = source.y + ASK_H / 2, below.y - ASK_H / 2
        axes.annotate("", (source.x, bottom), (source.x, top), arrowprops=arrow)
        axes.text(source.x + 0.12, (top + bottom) / 2, branch.answer, va="center", ha="left", **words)
        return
    to_x, to_y = (below.x - ASK_W / 2, below.y) if below else (LEAF_X - LEAF_W / 2, LEAVES[branch.target].y)
    from_x = source.x + ASK_W / 2
    axes.annotate("", (to_x, to_y), (from_x, source.y), arrowprops=arrow)
    across = (to_x - from_x) * 0.5
    lift = 0.1 if abs(to_y - source.y) < 0.05 else 0.0
    y = (source.y + to_y) / 2 - lift
    axes.text(from_x + across, y, branch.answer, ha="center", va="bottom" if lift else "center", **words)


def _box(axes: Axes, x: float, y: float, width: float, text: str, *, fill: str, edge: str) -> None:
    height = ASK_H + 0.2 * max(0, text.count("\n") - 1)
    corner = (x - width / 2, y - height / 2)
    style: dict[str, Any] = {"boxstyle": "round,pad=0,rounding_size=0.08", "facecolor": fill, "edgecolor": edge}
    axes.add_patch(FancyBboxPatch(corner, width, height, linewidth=1.3, zorder=2, **style))
    axes.text(x, y, text, ha="center", va="center", size=10.5, linespacing=1.25, zorder=3)


def _paths() -> list[tuple[list[str], Leaf]]:
    """Each leaf with the questions and answers that lead to it."""
    found: list[tuple[list[str], Leaf]] = []

    def walk(name: str, so_far: list[str]) -> None:
        for branch in (each for each in BRANCHES if each.source == name):
            step = [*so_far, f"{QUESTIONS[name].text} {branch.answer}".replace("\n", " ")]
            if branch.target in QUESTIONS:
                walk(branch.target, step)
            else:
                found.append((step, LEAVES[branch.target]))

    walk("busy", [])
    return found


def _alt(gains: Mapping[str, float | None]) -> str:
    parts = [f"{'; '.join(steps)}: {_words(leaf, gains)}".replace("\n", " ") for steps, leaf in _paths()]
    return f"Decision tree. {' | '.join(parts)}."


def _table(gains: Mapping[str, float | None]) -> pd.DataFrame:
    rows = [(" → ".join(steps), leaf.text.replace("\n", " "), _here(leaf, gains) or None) for steps, leaf in _paths()]
    return pd.DataFrame(rows, columns=["what you see", "what helps", "× here"], dtype=object)
