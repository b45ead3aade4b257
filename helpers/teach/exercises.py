"""Exercises that check themselves: `check("02.1", answer)` says blank, wrong (with the hint that fits) or right."""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from helpers.errors import InputError

Mark = Literal["open", "wrong", "right"]
COLOURS: dict[Mark, str] = {"open": "#6E7781", "wrong": "#B35900", "right": "#00704F"}
SIGNS: dict[Mark, str] = {"open": "…", "wrong": "✘", "right": "✔"}


@dataclass(frozen=True)
class Checked:
    """What became of an answer; shows itself as one line in a notebook."""

    exercise: str
    mark: Mark
    says: str

    def __str__(self) -> str:
        return f"{SIGNS[self.mark]} {self.exercise}: {self.says}"

    def _repr_html_(self) -> str:
        style = f"border-left:4px solid {COLOURS[self.mark]};padding:.3em 1em"
        return f'<div style="{style}"><b>{SIGNS[self.mark]} {self.exercise}</b> {escape(self.says)}</div>'


Judge = Callable[..., tuple[bool, str]]
_JUDGES: dict[str, tuple[Judge, str]] = {}


def exercise(name: str, *, wants: str) -> Callable[[Judge], Judge]:
    """Register the judge of an exercise: it gets the answer (and what the notebook passes beside it) and returns
    whether it is right, and what to say: for a wrong one the hint that fits the mistake. `wants` is the kind of answer
    in words, for one that is of another kind.
    """

    def register(judge: Judge) -> Judge:
        _JUDGES[name] = (judge, wants)
        return judge

    return register


def check(name: str, answer: Any = ..., **facts: Any) -> Checked:
    """Check one answer. `...` is a blank. `facts` are the learner's own measurements, where the answer depends on them.

    Raises InputError for an exercise that does not exist; a wrong or odd answer never raises.
    """
    _load_judges()
    if name not in _JUDGES:
        raise InputError(f"there is no exercise {name!r}", f"there are: {', '.join(sorted(_JUDGES))}")
    if answer is ...:
        return Checked(name, "open", "still open: put your answer in the place of the three dots.")
    judge, wants = _JUDGES[name]
    try:
        right, says = judge(answer, **facts)
    except (TypeError, ValueError, AttributeError):
        return Checked(name, "wrong", f"{answer!r} is of another kind; give {wants}.")
    return Checked(name, "right" if right else "wrong", says)


def names() -> list[str]:
    """All exercises there are."""
    _load_judges()
    return sorted(_JUDGES)


def _load_judges() -> None:
    """Import every module of `answers`: each registers its own. Late, since they import this one."""
    from helpers.teach import answers

    for found in pkgutil.iter_modules(answers.__path__):
        importlib.import_module(f"{answers.__name__}.{found.name}")
