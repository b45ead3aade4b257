"""Sweeps over workers, cores and users: fresh launches, interleaved repeats, ratios with their intervals."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from helpers.errors import InputError
from helpers.load.plan import Seconds, make_plan
from helpers.load.result import LoadResult
from helpers.load.run import load_test
from helpers.machine import fingerprint, usable_cpus
from helpers.progress import progress_bar
from helpers.rota import turn
from helpers.server.ports import POSTS_PORT
from helpers.server.server import Server

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
PINNING = hasattr(os, "sched_setaffinity")
TRIES = 2  # a void measurement is taken once more, on a fresh launch
NOTES_SHOWN = 2
PUBLISHED_LAUNCHES = 5  # fewer launches per cell are a first look


@dataclass(frozen=True)
class Pace:
    """How long the experiments take: `normal` for a published ratio, `quick` for a first look."""

    name: str
    repeats: int
    duration_s: float
    users: int = 16

    @property
    def first_look(self) -> bool:
        return self.repeats < PUBLISHED_LAUNCHES


PACES = {"normal": Pace("normal", repeats=5, duration_s=5.0), "quick": Pace("quick", repeats=3, duration_s=1.5)}


def pace(name: str | None = None) -> Pace:
    """The pace of that name; by default the one that LAB_PACE names, else normal. Raises InputError."""
    wanted = os.environ.get("LAB_PACE", "normal") if name is None else name
    if wanted not in PACES:
        raise InputError(f"LAB_PACE={wanted!r} is no pace", f"set it to one of: {', '.join(PACES)}")
    return PACES[wanted]


@dataclass(frozen=True)
class Cell:
    """One setting of a sweep. `cpus=None`: as many as there are, where cores cannot be chosen."""

    workers: int
    cpus: int | None
    users: int

    def __str__(self) -> str:
        cores = "" if self.cpus is None else f" on {_counted(self.cpus, 'core')}"
        return f"{_counted(self.workers, 'worker')}{cores}, {_counted(self.users, 'user')}"


@dataclass(frozen=True)
class Run:
    """One launch of one cell, and what was measured on it."""

    cell: Cell
    repeat: int
    result: LoadResult

    @property
    def void(self) -> bool:
        return self.result.verdict == "void"

    def row(self) -> dict[str, Any]:
        """The form of `python3 -m helpers sweep --json`; a void run has no numbers."""
        summary = self.result.summary()
        response = summary["response_ms"]
        numbers = {
            "achieved_per_s": summary["achieved_per_s"],
            "error_ratio": summary["error_ratio"],
            "p50_ms": response["p50"],
            "p95_ms": response["p95"],
            "p99_ms": response["p99"],
        }
        cell = {"workers": self.cell.workers, "cpus": self.cell.cpus, "users": self.cell.users, "repeat": self.repeat}
        if self.void:
            numbers = dict.fromkeys(numbers)
        return cell | numbers | {"verdict": self.result.verdict}


@dataclass(frozen=True)
class Ratio:
    """How many times the first cell's throughput, over paired launches; the interval is None below two pairs."""

    value: float | None
    low: float | None
    high: float | None
    pairs: int

    def __str__(self) -> str:
        if self.value is None:
            return "not measured"
        if self.low is None or self.high is None:
            return f"{self.value:.2f}x"
        return f"{self.value:.2f}x [{self.low:.2f}, {self.high:.2f}]"


def paired_ratio(base: Sequence[float], other: Sequence[float]) -> Ratio:
    """other / base over pairs of launches: the geometric mean, with the 95 % t interval of the paired log ratios.

    A comparison is of launches, not of requests: requests within a launch share its luck. Student's t for paired
    differences (W. S. Gosset, Biometrika 6, 1908), on logs because a ratio's errors multiply.
    """
    if len(base) != len(other):
        raise InputError(f"{len(base)} launches against {len(other)}: not pairs", "give both in the order of repeats")
    logs = [math.log(b / a) for a, b in zip(base, other, strict=True) if a > 0 and b > 0]
    if not logs:
        return Ratio(None, None, None, 0)
    mean = sum(logs) / len(logs)
    if len(logs) == 1:
        return Ratio(math.exp(mean), None, None, 1)
    from scipy.special import stdtrit  # late: a sweep that is never fitted need not load scipy

    variance = sum((each - mean) ** 2 for each in logs) / (len(logs) - 1)
    half = float(stdtrit(len(logs) - 1, 0.975)) * math.sqrt(variance / len(logs))
    return Ratio(math.exp(mean), math.exp(mean - half), math.exp(mean + half), len(logs))


@dataclass(frozen=True)
class SweepResult:
    """Every launch of a sweep, in the order in which they ran. The first cell is what ratios are taken against."""

    app: str
    path: str
    settings: Mapping[str, Any]
    machine: Mapping[str, Any]
    runs: tuple[Run, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def cells(self) -> list[Cell]:
        return sorted({run.cell for run in self.runs}, key=lambda cell: (cell.cpus or 0, cell.workers, cell.users))

    @property
    def first_look(self) -> bool:
        """Whether too few launches were measured for a published ratio."""
        return min(sum(run.cell == cell for run in self.runs) for cell in self.cells) < PUBLISHED_LAUNCHES

    def of(self, *, workers: int, cpus: int | None = None, users: int | None = None) -> list[LoadResult]:
        """The measurements of one cell that are not void, in the order of repeats."""
        runs = sorted(self.runs, key=lambda run: run.repeat)
        return [run.result for run in runs if not run.void and _matches(run.cell, workers, cpus, users)]

    def ratio(self, cell: Cell, base: Cell | None = None) -> Ratio:
        """The cell's throughput against the base's (default: the first cell with as many users), by paired launches."""
        base = base or next(each for each in self.cells if each.users == cell.users)
        ours, bases = self._by_repeat(cell), self._by_repeat(base)
        both = sorted(ours.keys() & bases.keys())
        return paired_ratio([bases[each] for each in both], [ours[each] for each in both])

    def rows(self) -> list[dict[str, Any]]:
        return [run.row() for run in self.runs]

    def speedup(self) -> list[dict[str, Any]]:
        """The ratio of every cell, in the form of the command line's JSON; the base itself is 1."""
        found = []
        for cell in self.cells:
            ratio = self.ratio(cell)
            ends = None if ratio.low is None else [ratio.low, ratio.high]
            where = {"workers": cell.workers, "cpus": cell.cpus, "users": cell.users}
            found.append({**where, "ratio": ratio.value, "ci95": ends})
        return found

    def summary(self) -> dict[str, Any]:
        """The form of `python3 -m helpers sweep --json`."""
        return {
            "schema": SCHEMA,
            "app": self.app,
            "path": self.path,
            "settings": dict(self.settings),
            "machine": dict(self.machine),
            "rows": self.rows(),
            "speedup": self.speedup(),
            "notes": list(self.notes),
        }

    def frame(self) -> "pd.DataFrame":
        """A row per launch."""
        import pandas as pd

        return pd.DataFrame(self.rows())

    def __str__(self) -> str:
        lines = [f"{self.path} of {self.app}" + (" (first look)" if self.first_look else "")]
        for cell in self.cells:
            lines.append(f"  {cell!s:34} {self._speeds(cell):>28} /s   {self.ratio(cell)}")
        more = [f"and {len(self.notes) - NOTES_SHOWN} more such runs"] if len(self.notes) > NOTES_SHOWN else []
        return "\n".join([*lines, *self.notes[:NOTES_SHOWN], *more])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        import pandas as pd

        from helpers.plots.picture import table_html

        rows = [
            {
                "workers": str(cell.workers),
                "cores": "all" if cell.cpus is None else str(cell.cpus),
                "users": str(cell.users),
                "answers/s, a number per launch": self._speeds(cell),
                "against the first [95 % interval]": str(self.ratio(cell)),
            }
            for cell in self.cells
        ]
        title = f"{self.path} of {self.app}" + (" (a first look: few launches)" if self.first_look else "")
        table = table_html(
            pd.DataFrame(rows, dtype=object), caption=title, cell_style="padding:2px 12px;text-align:right"
        )
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes[:NOTES_SHOWN])
        return f"<div>{table}{notes}</div>"

    def _speeds(self, cell: Cell) -> str:
        results = [run.result for run in self.runs if run.cell == cell and not run.void]
        return ", ".join(f"{result.achieved_per_s:.0f}" for result in results) or "void"

    def _by_repeat(self, cell: Cell) -> dict[int, float]:
        return {run.repeat: run.result.achieved_per_s for run in self.runs if run.cell == cell and not run.void}


def sweep(
    app: str = "helpers.demo.api:app",
    path: str = "/cpu",
    *,
    workers: Sequence[int] = (1, 2),
    cpus: Sequence[int | None] = (None,),
    users: Sequence[int] = (16,),
    repeats: int = PUBLISHED_LAUNCHES,
    duration: Seconds = 5.0,
    timeout: Seconds = 5.0,
    burst: bool = False,
    server: Mapping[str, Any] | None = None,
    progress: bool = True,
    on_run: Callable[[Run], None] | None = None,
) -> SweepResult:
    """Measure every combination of workers, cores and users, each on `repeats` fresh launches.

    The order of cells turns round from repeat to repeat, so that a machine that warms up or slows down favours none.
    `server` goes to Server as further arguments. Raises what Server and load_test raise, with nothing left running.
    Where people take turns (LAB_ROTA), a sweep is one turn, its launches included.
    """
    cells = [Cell(w, c, u) for c in cpus for w in workers for u in users]
    if not cells or repeats < 1:
        raise InputError(f"a sweep of {len(cells)} cells with {repeats} repeats measures nothing", "give at least one")
    order = [(cell, repeat) for repeat in range(repeats) for cell in (cells if repeat % 2 == 0 else cells[::-1])]
    load: dict[str, Any] = {"duration": duration, "timeout": timeout, "burst": burst}
    for cell in cells:  # a bad value is refused now, not after the cells before it
        Server(app, workers=cell.workers, cpus=cell.cpus, **(server or {}))
        make_plan(f"http://127.0.0.1:{POSTS_PORT}{path}", users=cell.users, **load)
    runs: list[Run] = []
    notes: list[str] = []
    with turn():
        for cell, repeat in progress_bar(order, "launches", shown=progress):
            run = _measure(app, path, cell, repeat, server or {}, load, notes)
            runs.append(run)
            if on_run is not None:
                on_run(run)
    settings = {"repeats": repeats, **load, **(server or {})}
    return SweepResult(app, path, settings, fingerprint(), tuple(runs), tuple(notes))


def grid(path: str = "/cpu", *, at: Pace, repeats: int | None = None, **further: Any) -> SweepResult:
    """The 2 x 2 grid of the whole story: one and two workers, on one and on two cores.

    Where the system cannot bind processes to cores, or has only one, the column that cannot be had is left out.
    """
    many = min(2, usable_cpus().usable)
    cores: Sequence[int | None] = sorted({1, many}) if PINNING else (None,)
    return sweep(
        path=path,
        workers=(1, 2),
        cpus=cores,
        users=(at.users,),
        repeats=at.repeats if repeats is None else repeats,
        duration=at.duration_s,
        **further,
    )


def _measure(
    app: str, path: str, cell: Cell, repeat: int, server: Mapping[str, Any], load: Mapping[str, Any], notes: list[str]
) -> Run:
    for attempt in range(1, TRIES + 1):
        with Server(app, workers=cell.workers, cpus=cell.cpus, **server) as running:
            result = load_test(running.url + path, users=cell.users, progress=False, **load)
        if result.verdict != "void":
            break
        reasons = "; ".join(check.why for check in result.checks if check.verdict == "void")
        again = "; measured again" if attempt < TRIES else ""
        notes.append(f"void: {cell}, launch {repeat + 1}: {reasons}{again}")
    return Run(cell, repeat, result)


def _matches(cell: Cell, workers: int, cpus: int | None, users: int | None) -> bool:
    return cell.workers == workers and cpus in (None, cell.cpus) and users in (None, cell.users)


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
