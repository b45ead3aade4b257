"""The class: one small file per person with ratios and no names of machines, and one picture of all of them.

{"schema": 1, "kind": "classroom", "id": "3f9a...", "name": "Ana" or null, "first_look": false,
 "machine": {"usable_cores": 2, "virtual_machine": true, "cpu_model": "..."}, "ceiling": 1.93,
 "ratios": [{"workers": 2, "cpus": 2, "ratio": 1.8, "ci95": [1.6, 2.0]}, ...]}
"""

import json
import math
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers import store
from helpers.errors import InputError
from helpers.experiment import SweepResult
from helpers.machine import ProcessScaling
from helpers.teach.handed_in import Problem, RejectedError, listed, parsed, whole_files

if TYPE_CHECKING:
    from helpers.plots.picture import Picture

SCHEMA = 1
KIND = "classroom"
NAME_MOST = 30  # characters
CORES_MOST, WORKERS_MOST = 4096, 1024
RATIO_MOST_PER_CORE = 4.0  # a ratio above 4 x cores is a mistake in the file, not a fast machine
_ID = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True)
class Classroom:
    """Everybody whose file can be used, in the order of the file names, and the files that cannot."""

    people: tuple[Mapping[str, Any], ...]
    problems: tuple[Problem, ...] = field(default=())

    def __str__(self) -> str:
        lines = [f"{len(self.people)} of {len(self.people) + len(self.problems)} files can be used"]
        return "\n".join(lines + [f"  {problem}" for problem in self.problems])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<p>{str(self).splitlines()[0]}</p>{listed(map(str, self.problems))}"


@dataclass(frozen=True)
class Exported:
    """What became of an export: the file, or why none was written. It is true where one was."""

    path: Path | None
    why: str = ""

    def __bool__(self) -> bool:
        return self.path is not None

    def __str__(self) -> str:
        return self.why if self.path is None else f"written: {store.shown(self.path)}"


def export(
    name: str | None, sweep: SweepResult, ceiling: ProcessScaling | None, folder: Path | str | None = None
) -> Exported:
    """Write this person's file (default folder: results/class); a second export replaces the first, a void one none.

    `name` is whatever the class shall read, None for no name. The file holds no name of a machine, user or folder.
    Raises InputError for a name that cannot be shown, StoreError where nothing can be written.
    """
    if all(run.void for run in sweep.runs):
        return Exported(None, "nothing could be measured, so nothing is written; an earlier file stays as it is")
    machine, own_id = sweep.machine, _own_id()
    payload = {
        "schema": SCHEMA,
        "kind": KIND,
        "id": own_id,
        "name": None if name is None else _name(name),
        "first_look": sweep.first_look,
        "machine": {
            "usable_cores": machine.get("cpus_usable", 1),
            "virtual_machine": machine.get("virtual_machine"),
            "cpu_model": machine.get("cpu_model", ""),
        },
        "ceiling": None if ceiling is None or machine.get("cpus_usable", 1) < 2 else ceiling.ratio,
        "ratios": [{key: entry[key] for key in ("workers", "cpus", "ratio", "ci95")} for entry in sweep.speedup()],
    }
    target = store.RESULTS / "class" if folder is None else Path(folder)
    text = json.dumps(payload, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return Exported(store.save_text(f"class-{own_id}.json", text, folder=target))


def read_class(folder: Path | str | None = None) -> Classroom:
    """Every file of the folder: those that can be used, and the others with the reason. Raises InputError if none is.

    Whatever a file holds, it is rejected with a reason or taken: it never ends the reading.
    """
    target = store.RESULTS / "class" if folder is None else Path(folder)
    files = whole_files(target)
    if not files:
        raise InputError(f"there is no file of a class in {store.shown(target)}", "export a result into it first")
    people: dict[str, Mapping[str, Any]] = {}
    problems = []
    for path in files:
        try:
            person = _person(parsed(path))
            if person["id"] in people:
                raise RejectedError(f"a copy: the file of {people[person['id']]['label']} has the same id")
            people[person["id"]] = person
        except RejectedError as rejected:
            problems.append(Problem(path.name, str(rejected)))
    return Classroom(tuple(people.values()), tuple(problems))


def class_plot(folder: Path | str | None = None) -> "Picture":
    """Speed-up against cores of everybody in the folder. Raises InputError when no file can be used."""
    from helpers.plots.class_plot import class_plot as draw

    found = read_class(folder)
    if not found.people:
        raise InputError(f"no file can be used: {found.problems[0].why}", "read_class(folder) lists every reason")
    return draw(found.people)


# --------------------------------------------------------------------------------------------------------- writing


def _own_id() -> str:
    """A random id, kept beside the results: who exports again replaces the own file, and is not two people."""
    path = store.RESULTS / ".classroom-id"
    try:
        kept = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        kept = ""
    if _ID.fullmatch(kept):
        return kept
    fresh = secrets.token_hex(6)
    store.save_text(path.name, fresh + "\n", folder=path.parent)
    return fresh


def _name(name: str) -> str:
    if not isinstance(name, str) or not name.strip() or len(name) > NAME_MOST or not name.isprintable():
        raise InputError(f"name={name!r} cannot stand in a picture", f"use 1 to {NAME_MOST} characters, or None")
    return name.strip()


# --------------------------------------------------------------------------------------------------------- reading


def _person(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise RejectedError("it is JSON, but not a file of a class")
    if data.get("schema") != SCHEMA or isinstance(data.get("schema"), bool):
        raise RejectedError(f"schema {data.get('schema')!r}; this version reads schema {SCHEMA}")
    machine = data.get("machine")
    if not isinstance(machine, dict):
        raise RejectedError("it does not say what machine it is")
    ident, name = data.get("id"), data.get("name")
    if not isinstance(ident, str) or not 1 <= len(ident) <= 40:
        raise RejectedError("it has no id")
    if name is not None and not (isinstance(name, str) and name.isprintable() and 1 <= len(name) <= NAME_MOST):
        raise RejectedError(f"its name cannot be shown: not a text of 1 to {NAME_MOST} characters")
    cores = _whole(machine.get("usable_cores"), "usable cores", CORES_MOST)
    virtual, model = machine.get("virtual_machine"), machine.get("cpu_model")
    ratios = data.get("ratios")
    if not isinstance(ratios, list) or not ratios:
        raise RejectedError("it holds no ratios")
    ceiling = data.get("ceiling")
    return {
        "id": ident,
        "label": name or ident[:6],
        "cores": cores,
        "virtual": virtual if isinstance(virtual, bool) else None,
        "cpu_model": model[:80] if isinstance(model, str) else None,
        "first_look": data.get("first_look") is True,
        "ceiling": None if ceiling is None else _ratio(ceiling, cores, "the machine's own ceiling"),
        "ratios": [_checked_ratio(entry, cores) for entry in ratios],
    }


def _checked_ratio(entry: Any, cores: int) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise RejectedError(f"a ratio is {entry!r:.40}")
    workers = _whole(entry.get("workers"), "workers", WORKERS_MOST)
    cpus = None if entry.get("cpus") is None else _whole(entry["cpus"], "cores", cores)
    ratio, ends = entry.get("ratio"), entry.get("ci95")
    if ratio is not None:
        ratio = _ratio(ratio, cores, "a ratio")
    if ends is not None:
        if not isinstance(ends, list) or len(ends) != 2:
            raise RejectedError("an interval needs two ends")
        low, high = (_number(end, "the end of an interval") for end in ends)
        if ratio is None or not 0 < low <= ratio <= high:
            raise RejectedError(f"the interval [{low:.3g}, {high:.3g}] does not hold its ratio")
        ends = [low, high]
    return {"workers": workers, "cpus": cpus, "ratio": ratio, "ci95": ends}


def _ratio(value: Any, cores: int, what: str) -> float:
    ratio = _number(value, what)
    if not 0 < ratio <= RATIO_MOST_PER_CORE * cores:
        raise RejectedError(f"{what} of {ratio:,.3g} on {cores} core(s) cannot be")
    return ratio


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RejectedError(f"{what}: {value!r:.40} is not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise RejectedError(f"{what}: not a finite number")
    return number


def _whole(value: Any, what: str, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise RejectedError(f"{what}: {value!r:.40} is not a whole number from 1 to {most}")
    return value
