"""Two sets of saved results, one against the other: ratios with their intervals, and whether anything got faster."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from helpers import experiment, store
from helpers.errors import InputError
from helpers.experiment import PUBLISHED_LAUNCHES, Ratio

SCHEMA = 1
KINDS = ("load", "sweep")
ASPECTS = ("endpoint", "load", "machine")  # beside them, the server and the versions may differ, and are told
Saved = Path | str | Mapping[str, Any]
Finding = Literal["faster", "slower", "inconclusive"]

MACHINE_KEYS = ("os", "cpu_model", "architecture", "cpus_usable", "memory_gib", "container")
LOAD_KEYS = (
    "model", "method", "users", "rate_per_s", "stages", "arrivals", "think_s", "burst", "new_connections",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One quantity of one setting: how many times the first set's value the second set's is."""

    setting: str  # of a sweep: which cell; empty for load tests
    quantity: str
    unit: str
    higher_is_better: bool
    a: tuple[float, ...]
    b: tuple[float, ...]
    ratio: Ratio

    @property
    def verdict(self) -> Finding:
        """Inconclusive where the interval contains 1, or where there is none."""
        low, high = self.ratio.low, self.ratio.high
        if low is None or high is None or low <= 1 <= high:
            return "inconclusive"
        return "faster" if (low > 1) == self.higher_is_better else "slower"

    def as_json(self) -> dict[str, Any]:
        ends = None if self.ratio.low is None else [self.ratio.low, self.ratio.high]
        return {
            "setting": self.setting,
            "quantity": self.quantity,
            "unit": self.unit,
            "a": list(self.a),
            "b": list(self.b),
            "ratio": self.ratio.value,
            "ci95": ends,
            "pairs": self.ratio.pairs,
            "verdict": self.verdict,
        }

    def __str__(self) -> str:
        where = f"{self.setting}: " if self.setting else ""
        change = f"{_middle(self.a)} -> {_middle(self.b)} {self.unit}"
        return f"{where + self.quantity:<44} {change:<24} {self.ratio!s:<22} {self.verdict}"


@dataclass(frozen=True)
class Comparison:
    """What the second set is to the first. The verdict is that of the first quantity of every setting."""

    kind: str
    rows: tuple[Row, ...]
    differences: tuple[str, ...]  # between the sets, as far as they were known and allowed
    notes: tuple[str, ...]

    @property
    def leading(self) -> tuple[Row, ...]:
        """The rows that decide: throughput of a closed load, p95 of an open one."""
        first: dict[str, Row] = {}
        for row in self.rows:
            first.setdefault(row.setting, row)
        return tuple(first.values())

    @property
    def verdict(self) -> Finding:
        found = {row.verdict for row in self.leading}
        return found.pop() if len(found) == 1 else "inconclusive"

    @property
    def why(self) -> str:
        """One sentence for the verdict."""
        pairs = min(row.ratio.pairs for row in self.leading)
        if pairs < 2:
            return f"One run each allows no interval; measure at least {PUBLISHED_LAUNCHES} of each, taking turns."
        if len({row.verdict for row in self.leading}) > 1:
            return "The settings disagree: see each."
        look = f" A first look: {pairs} pairs, not {PUBLISHED_LAUNCHES}." if pairs < PUBLISHED_LAUNCHES else ""
        row = self.leading[0]
        if self.verdict == "inconclusive":
            return f"The 95 % interval of {row.quantity} contains 1: these runs cannot tell the two apart.{look}"
        return f"The 95 % interval of {row.quantity} lies on one side of 1 ({row.ratio}).{look}"

    def summary(self) -> dict[str, Any]:
        """The form of `python3 -m helpers compare --json`."""
        return {
            "schema": SCHEMA,
            "kind_compared": self.kind,
            "verdict": self.verdict,
            "why": self.why,
            "rows": [row.as_json() for row in self.rows],
            "differences": list(self.differences),
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        told = [f"differs: {each}" for each in self.differences] + list(self.notes)
        return "\n".join([*map(str, self.rows), *told, f"{self.verdict}: {self.why}"])


def compare(a: Saved | Sequence[Saved], b: Saved | Sequence[Saved], *, despite: Sequence[str] = ()) -> Comparison:
    """How the runs `b` differ from the runs `a`: files of results/, or what they hold, one or several each.

    Several load tests are taken as pairs in the order given; a sweep pairs its repeats. Void runs take no part. The
    interval is that of Student's paired t on the log ratios (see paired_ratio).

    Raises InputError when the two are no load tests or sweeps of the same endpoint, the same load and the same machine;
    `despite` names what may differ all the same. StoreError when a file cannot be read.
    """
    if wrong := sorted(set(despite) - set(ASPECTS)):
        raise InputError(f"despite={wrong[0]!r} is nothing that could differ", f"use {', '.join(ASPECTS)}")
    sets = (_loaded(a, "the first set"), _loaded(b, "the second set"))
    kinds = {str(saved["kind"]) for group in sets for saved in group}
    if len(kinds) > 1:
        raise InputError(f"a {' and a '.join(sorted(kinds))} cannot be compared", "compare results of one kind")
    kind = kinds.pop()
    if kind not in KINDS:
        raise InputError(f"results of the kind {kind!r} cannot be compared", f"compare {' or '.join(KINDS)} results")
    differences = _differences(kind, *sets, despite)
    notes: list[str] = []
    rows = _load_rows(*sets, notes) if kind == "load" else _sweep_rows(*sets, notes)
    return Comparison(kind, tuple(rows), differences, tuple(notes))


def _loaded(saved: Saved | Sequence[Saved], which: str) -> list[Mapping[str, Any]]:
    several = [saved] if isinstance(saved, Path | str | Mapping) else list(saved)
    if not several:
        raise InputError(f"{which} is empty", "name at least one saved result")
    found = [each if isinstance(each, Mapping) else store.load(each) for each in several]
    for each in found:
        if "kind" not in each:
            raise InputError(
                f"{which} holds something that is no saved result", "save it first (--save), name its file"
            )
    return found


# -------------------------------------------------------------------------------------------------- what must agree


def _differences(
    kind: str, a: Sequence[Mapping[str, Any]], b: Sequence[Mapping[str, Any]], despite: Sequence[str]
) -> tuple[str, ...]:
    """The aspects in which the sets differ and may, in words; InputError where they may not."""
    for group, which in ((a, "first"), (b, "second")):
        for saved in group[1:]:
            if unlike := _unlike(_aspects(kind, group[0]), _aspects(kind, saved)):
                words = next(iter(unlike.values()))
                raise InputError(f"the runs of the {which} set are not alike; {words}", "give runs of one setting")
    unlike = _unlike(_aspects(kind, a[0]), _aspects(kind, b[0]))
    for aspect in ASPECTS:
        if aspect in unlike and aspect not in despite:
            raise InputError(
                f"the two sets differ in more than what is compared; {unlike[aspect]}",
                f"a ratio would not tell what caused it; if it is meant, say so: --despite {aspect}",
            )
    return tuple(unlike.values())


def _unlike(one: Mapping[str, Mapping[str, Any]], other: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The aspects that differ, in words. What an older version did not write down cannot differ."""
    found = {}
    for aspect, values in one.items():
        theirs = other[aspect]
        parts = [
            f"{key} {values[key]} / {theirs[key]}" for key in values if key in theirs and values[key] != theirs[key]
        ]
        if parts:
            found[aspect] = f"{aspect}: {', '.join(parts)}"
    return found


def _aspects(kind: str, saved: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    machine = saved.get("machine") or {}
    if kind == "load":
        parts = urlsplit(str(saved.get("url", "")))
        endpoint = {"path": parts.path + (f"?{parts.query}" if parts.query else ""), "host": parts.hostname}
        load = {key: saved[key] for key in LOAD_KEYS if key in saved}
        if "stages" in load:
            load["stages"] = [(stage["rate"], stage["to_s"] - stage["from_s"]) for stage in load["stages"]]
        about = saved.get("server") or {}
        server = {key: about[key] for key in ("app", "workers_wanted", "loop", "access_log", "cpus") if key in about}
    else:
        settings = dict(saved.get("settings") or {})
        endpoint = {"path": saved.get("path")}
        load = {key: settings.pop(key) for key in ("burst", "timeout") if key in settings}
        server = {"app": saved.get("app")} | {k: v for k, v in settings.items() if k not in ("repeats", "duration")}
    return {
        "endpoint": endpoint,
        "load": load,
        "machine": {key: machine[key] for key in MACHINE_KEYS if key in machine},
        "server": server,
        "versions": _versions(machine),
    }


def _versions(machine: Mapping[str, Any]) -> dict[str, Any]:
    return {key: machine[key] for key in ("kernel", "python") if key in machine} | dict(machine.get("packages") or {})


# ------------------------------------------------------------------------------------------------------ the numbers


def _load_rows(a: Sequence[Mapping[str, Any]], b: Sequence[Mapping[str, Any]], notes: list[str]) -> list[Row]:
    if len(a) != len(b):
        raise InputError(
            f"{len(a)} runs against {len(b)}: not pairs", "give as many of each, in the order in which they took turns"
        )
    pairs = [(x, y) for x, y in zip(a, b, strict=True) if "void" not in (x["verdict"], y["verdict"])]
    if len(pairs) < len(a):
        notes.append(f"{len(a) - len(pairs)} of {len(a)} pairs take no part: one of the two is void")
    if not pairs:
        raise InputError(
            "every pair holds a void run: there is nothing to compare", "measure again; each file says why"
        )
    quantities: list[Quantity] = [("throughput", "/s", True, lambda saved: saved["achieved_per_s"])]
    quantities += [(f"{p} response", "ms", False, _percentile(p)) for p in ("p50", "p95", "p99")]
    if pairs[0][0]["model"] == "open":  # what is offered is what is answered, until it is too much
        quantities = [quantities[2], quantities[1], quantities[3], quantities[0]]
    return _rows("", quantities, pairs, notes)


def _sweep_rows(a: Sequence[Mapping[str, Any]], b: Sequence[Mapping[str, Any]], notes: list[str]) -> list[Row]:
    """A row per cell and quantity, of the cells that both have; the repeats of several files follow one another."""
    ours, theirs = _by_cell(a), _by_cell(b)
    rows: list[Row] = []
    for cell in sorted(ours.keys() & theirs.keys(), key=_order):
        both = sorted(ours[cell].keys() & theirs[cell].keys())
        pairs = [(ours[cell][repeat], theirs[cell][repeat]) for repeat in both]
        if not pairs:
            notes.append(f"{_named(cell)}: no pair without a void run")
            continue
        rows += _rows(_named(cell), _OF_A_ROW, pairs, notes)
    if not rows:
        hint = "measure the same workers, cores and users"
        raise InputError("the two have no setting in common that is not void", hint)
    alone = ours.keys() ^ theirs.keys()
    notes += [f"{_named(cell)}: measured in one of the two only" for cell in sorted(alone, key=_order)]
    return rows


Cell = tuple[int, int | None, int]


def _by_cell(group: Sequence[Mapping[str, Any]]) -> dict[Cell, dict[tuple[int, int], Mapping[str, Any]]]:
    """The rows that are not void: of each cell, by file and repeat."""
    found: dict[Cell, dict[tuple[int, int], Mapping[str, Any]]] = {}
    for number, saved in enumerate(group):
        for row in saved["rows"]:
            if row["verdict"] != "void":
                cell = (row["workers"], row["cpus"], row["users"])
                found.setdefault(cell, {})[number, row["repeat"]] = row
    return found


def _order(cell: Cell) -> tuple[int, int, int]:
    workers, cpus, users = cell
    return cpus or 0, workers, users


def _named(cell: Cell) -> str:
    workers, cpus, users = cell
    return str(experiment.Cell(workers, cpus, users))


Quantity = tuple[str, str, bool, Callable[[Mapping[str, Any]], float | None]]
_OF_A_ROW: tuple[Quantity, ...] = (
    ("throughput", "/s", True, lambda row: row["achieved_per_s"]),
    ("p50 response", "ms", False, lambda row: _known(row["p50_ms"])),
    ("p95 response", "ms", False, lambda row: _known(row["p95_ms"])),
)


def _rows(
    setting: str,
    quantities: Sequence[Quantity],
    pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]],
    notes: list[str],
) -> list[Row]:
    """One row per quantity that both of a pair have; the rest is noted."""
    rows = []
    for name, unit, higher_is_better, read in quantities:
        values = [(x, y) for one, other in pairs if (x := read(one)) and (y := read(other))]
        if len(values) < len(pairs):
            where = f"{setting}: " if setting else ""
            notes.append(f"{where}{name}: no number in {len(pairs) - len(values)} of {len(pairs)} pairs")
        if values:
            a, b = (tuple(side) for side in zip(*values, strict=True))
            rows.append(Row(setting, name, unit, higher_is_better, a, b, experiment.paired_ratio(a, b)))
    return rows


def _percentile(name: str) -> Callable[[Mapping[str, Any]], float | None]:
    return lambda saved: _known(saved["response_ms"][name])


def _known(value: Any) -> float | None:
    """A time-out's "at least" gives no ratio."""
    return None if isinstance(value, Mapping) else value


def _middle(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.4g}"
