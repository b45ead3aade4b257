"""Whose result lies apart from the class, and what in their own file explains it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

APART = 1.2  # times the class's median, or its inverse
ENOUGH = 3  # people who were measured, for a median that means something
NEARLY_ALL = 0.85  # of the machine's own ceiling
POOR_CEILING = 0.8  # of what so many cores should give
WIDE = 1.5  # upper end of an interval against its lower end

Person = Mapping[str, Any]  # as in plots/class_plot.py, with `first_look`


@dataclass(frozen=True)
class Remark:
    """One person, and a sentence on why their result is what it is."""

    label: str
    why: str

    def __str__(self) -> str:
        return f"{self.label}: {self.why}"


def remarks(people: Sequence[Person]) -> list[Remark]:
    """A sentence for everybody who lies apart: more than a fifth from the median of the class, per core that was used.

    Whoever has one core, or nothing measured, is told why as well. The facts are those of the person's own file.
    """
    gains = {person["id"]: _per_core(person) for person in people}
    known = [gain for gain in gains.values() if gain is not None]
    middle = median(known) if len(known) >= ENOUGH else 1.0
    found = []
    for person in people:
        gain = gains[person["id"]]
        if person["cores"] < 2:
            found.append(Remark(person["label"], "one usable core: a second worker has nothing to run on"))
        elif gain is None:
            found.append(Remark(person["label"], "nothing was measured with more workers: every launch was void"))
        elif not 1 / APART <= gain / middle <= APART:
            found.append(Remark(person["label"], _why(person, _best(person), low=gain < middle)))
    return found


def _best(person: Person) -> Mapping[str, Any] | None:
    """The ratio that the picture names: most workers, on most cores."""
    known = [entry for entry in person["ratios"] if entry["ratio"] is not None and entry["workers"] > 1]
    return max(known, key=lambda entry: (entry["workers"], _cores(person, entry)), default=None)


def _cores(person: Person, entry: Mapping[str, Any]) -> int:
    return int(entry["cpus"] or person["cores"])


def _per_core(person: Person) -> float | None:
    best = _best(person)
    if best is None or person["cores"] < 2:
        return None
    used = min(int(best["workers"]), _cores(person, best))
    return float(best["ratio"]) / used


def _why(person: Person, best: Mapping[str, Any] | None, *, low: bool) -> str:
    assert best is not None
    ratio, ceiling, ends = best["ratio"], person["ceiling"], best["ci95"]
    parts = []
    if low and ceiling is not None and ceiling < POOR_CEILING * min(2, person["cores"]):
        share = "nearly all there is" if ratio >= NEARLY_ALL * ceiling else f"of which it got {ratio / ceiling:.0%}"
        parts.append(f"two bare processes together did only {ceiling:.2f} times as much here, {share}")
        if person["virtual"]:
            parts.append("the cores of a virtual machine may be halves of one, or shared with others")
    if not low and ceiling is not None and ratio > ceiling / NEARLY_ALL:
        parts.append(f"more than two bare processes got ({ceiling:.2f} times): one of the two was disturbed")
    if best["cpus"] is None:
        parts.append("this system cannot hold a server on one core, so the baseline had all of them")
    if ends is not None and ends[1] / ends[0] > WIDE:
        parts.append(f"its launches do not agree: the interval goes from {ends[0]:.2f} to {ends[1]:.2f}")
    elif ends is None:
        parts.append("one launch, so nobody knows how far off it may be")
    if not parts:
        return f"{ratio:.2f} times, and nothing in the file explains it: what else was running? Measure again"
    looks = " (a first look: measure again)" if person["first_look"] else ""
    return f"{ratio:.2f} times: {'; '.join(parts)}{looks}"
