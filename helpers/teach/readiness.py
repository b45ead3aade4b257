"""Who is ready for the workshop: the files of `doctor --file NAME.json`, one per person, as one table."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers import store
from helpers.doctor_report import KIND, SCHEMA
from helpers.errors import InputError
from helpers.plots.picture import table_html
from helpers.teach.handed_in import Problem, RejectedError, listed, parsed, whole_files

SHOWN = 200  # characters of what one check found
STATES = {"fail": "not ready", "warn": "ready, worth a look", "ok": "ready"}


@dataclass(frozen=True)
class Person:
    """What one file says: who (its name), the worst of the checks, the machine in words, and what was found."""

    who: str
    worst: str
    machine: str
    found: tuple[str, ...]


@dataclass(frozen=True)
class Readiness:
    """Everybody whose file can be used, those who need help first, and the files that cannot."""

    people: tuple[Person, ...]
    problems: tuple[Problem, ...]

    def __str__(self) -> str:
        lines = [self._headline()]
        for person in self.people:
            lines.append(f"  {person.who}: {STATES[person.worst]} ({person.machine})")
            lines += [f"    {each}" for each in person.found]
        return "\n".join(lines + [f"  {problem}" for problem in self.problems])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        import pandas as pd

        rows = [(each.who, STATES[each.worst], each.machine, "; ".join(each.found)) for each in self.people]
        frame = pd.DataFrame(rows, columns=["who", "state", "machine", "what was found"], dtype=object)
        style = "padding:2px 12px;text-align:left"
        return table_html(frame, caption=self._headline(), cell_style=style) + listed(map(str, self.problems))

    def _headline(self) -> str:
        ready = sum(person.worst != "fail" for person in self.people)
        odd = f", {len(self.problems)} of no use" if self.problems else ""
        return f"{ready} of {len(self.people)} are ready{odd}"


def who_is_ready(folder: Path | str) -> Readiness:
    """Read every file of the folder. Raises InputError where there is none."""
    files = whole_files(Path(folder))
    if not files:
        hint = "collect what `python3 -m helpers doctor --file NAME.json` has written, and name the folder"
        raise InputError(f"there is no file of a doctor in {store.shown(Path(folder))}", hint)
    people, problems = [], []
    for path in files:
        try:
            people.append(_person(path.stem, parsed(path)))
        except RejectedError as rejected:
            problems.append(Problem(path.name, str(rejected)))
    order = list(STATES)
    return Readiness(tuple(sorted(people, key=lambda each: order.index(each.worst))), tuple(problems))


def _person(who: str, data: Any) -> Person:
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise RejectedError("it is JSON, but not a file of `doctor --file`")
    if data.get("schema") != SCHEMA:
        raise RejectedError(f"schema {data.get('schema')!r}; this version reads schema {SCHEMA}")
    checks, machine = data.get("checks"), data.get("machine")
    if not isinstance(checks, list) or not isinstance(machine, dict) or not all(map(_is_check, checks)):
        raise RejectedError("its checks or its machine cannot be read")
    worst = next((state for state in STATES if any(each["status"] == state for each in checks)), "ok")
    found = tuple(f"{each['name']}: {each['found']}"[:SHOWN] for each in checks if each["status"] != "ok")
    return Person(who, worst, _in_words(machine), found)


def _is_check(data: Any) -> bool:
    texts = ("name", "status", "found")
    return (
        isinstance(data, dict) and all(isinstance(data.get(each), str) for each in texts) and data["status"] in STATES
    )


def _in_words(machine: Mapping[str, Any]) -> str:
    parts = [str(machine.get("os")), f"{machine.get('cpus_usable')} of {machine.get('cpus_logical')} cores"]
    parts += ["a virtual machine"] if machine.get("virtual_machine") is True else []
    return ", ".join([*parts, str(machine.get("python"))])[:SHOWN]
