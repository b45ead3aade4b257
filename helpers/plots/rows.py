"""Sweep rows grouped into cells: what was measured in each, how often, and how many launches were void."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from helpers.errors import InputError
from helpers.plots.picture import count

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """All launches of one combination of workers, cores and users; the tuples leave the void launches out.

    `cpus` is None where the server was not bound to some of the cores.
    """

    workers: int
    cpus: int | None
    users: int
    per_s: tuple[float, ...]
    p95_ms: tuple[float, ...]
    p95_at_least_ms: tuple[float, ...]
    error_ratio: tuple[float, ...]
    launches: int

    @property
    def void(self) -> int:
        """How many launches gave no number."""
        return self.launches - len(self.per_s)

    @property
    def mean_per_s(self) -> float | None:
        """Mean throughput, None where every launch was void."""
        return sum(self.per_s) / len(self.per_s) if self.per_s else None

    @property
    def mean_p95_ms(self) -> float | None:
        """Mean of the p95 of the launches; None where one of them lies among the time-outs or none was given."""
        return sum(self.p95_ms) / len(self.p95_ms) if self.p95_ms and not self.p95_at_least_ms else None

    @property
    def mean_error_ratio(self) -> float | None:
        """Mean share of failed requests, None where every launch was void."""
        return sum(self.error_ratio) / len(self.error_ratio) if self.error_ratio else None

    @property
    def void_note(self) -> str:
        """`2 of 5 void`, or nothing."""
        return f"{self.void} of {self.launches} void" if self.void else ""


def cells(rows: Sequence[Row]) -> list[Cell]:
    """Group rows by cores, workers and users, in that order. Raises InputError when there is none."""
    if not rows:
        raise InputError("there are no rows to draw", "run sweep(...) first and give its .rows")
    groups: dict[tuple[int, int, int], list[Row]] = {}
    for row in rows:
        groups.setdefault(_place(row), []).append(row)
    return [_cell(group) for _, group in sorted(groups.items())]


def cores_name(cpus: int | None) -> str:
    """`2 cores`, or `all cores` where the server was not bound to some of them."""
    return "all cores" if cpus is None else count(cpus, "core")


def one_load(found: Sequence[Cell]) -> Sequence[Cell]:
    """The cells themselves, if all were measured with the same number of users; else InputError."""
    users = sorted({cell.users for cell in found})
    if len(users) > 1:
        raise InputError(
            f"the rows mix several numbers of users ({', '.join(map(str, users))}): their numbers cannot be compared",
            "keep the rows of one number of users, or draw them with users_plot(rows)",
        )
    return found


def table(rows: Sequence[Row]) -> pd.DataFrame:
    """The rows under people's names, for the table twin."""
    names = {
        "workers": "workers",
        "cpus": "cores",
        "users": "users",
        "repeat": "launch",
        "achieved_per_s": "requests/s",
        "p50_ms": "p50 (ms)",
        "p95_ms": "p95 (ms)",
        "p99_ms": "p99 (ms)",
        "error_ratio": "failed (share)",
        "verdict": "self-check",
    }
    order = sorted(rows, key=lambda row: (_place(row), row.get("repeat", 0)))
    frame = pd.DataFrame([{name: row.get(key) for key, name in names.items()} for row in order], dtype=object)
    frame["launch"] = [row.get("repeat", 0) + 1 for row in order]  # people count from 1
    return frame


def _place(row: Row) -> tuple[int, int, int]:
    """Where a row stands among the others: as in SweepResult.cells, whose first cell is the base of the ratios."""
    return row["cpus"] or 0, row["workers"], row["users"]


def _cell(group: Sequence[Row]) -> Cell:
    valid = [row for row in group if row.get("verdict") != "void" and _number(row.get("achieved_per_s")) is not None]
    p95 = [row.get("p95_ms") for row in valid]
    return Cell(
        cpus=group[0]["cpus"],
        workers=group[0]["workers"],
        users=group[0]["users"],
        per_s=_numbers(row["achieved_per_s"] for row in valid),
        p95_ms=_numbers(p95),
        p95_at_least_ms=_numbers(value["at_least"] for value in p95 if isinstance(value, Mapping)),
        error_ratio=_numbers(row.get("error_ratio") for row in valid),
        launches=len(group),
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _numbers(values: Any) -> tuple[float, ...]:
    return tuple(n for n in map(_number, values) if n is not None)
