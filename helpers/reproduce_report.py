"""The page that `reproduce` writes: verdicts first, then what they rest on, then how to run it again."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers import store
from helpers.claims import Evidence, Look
from helpers.experiment import Pace
from helpers.plots.cpu import cpu_entry, cpu_plot
from helpers.plots.grid import grid_plot
from helpers.plots.latency import latency_plot
from helpers.plots.timeline import timeline_plot
from helpers.report import Block, Claim, Claims, Facts, Pic, Pre, Section, Table, Text, render

if TYPE_CHECKING:
    import pandas as pd

    from helpers.load.result import LoadResult
    from helpers.plots.picture import Picture

POST_LINE = 'uvicorn.run("api:app", host="0.0.0.0", port=5012, workers=2)'
AGAIN = (
    f"The post starts its server with `{POST_LINE}`; here it listens on 127.0.0.1, so that nobody else in the network"
    " can reach it."
)
LOOK_TITLES = {
    "default": "uvicorn's default, all cores",
    "default one core": "uvicorn's default, one core",
    "two": "workers=2",
    "more than cores": "one worker more than cores",
}


def write_report(
    evidence: Evidence,
    claims: Sequence[Claim],
    machine: Mapping[str, Any],
    *,
    pace: Pace,
    seconds: float,
    folder: Path | None,
) -> Path:
    """Write the page, and return where it stands. Raises StoreError."""
    sections = [
        Section("The post's claims on this machine", [Claims(claims)]),
        Section("The grid: cores alone, workers alone, both", _grid(evidence, first_look=pace.first_look)),
        Section("The queue in front of the workers", _timelines(evidence)),
        Section("Who worked, and who was idle", [_cpu(evidence)]),
        Section("High traffic on the default", _traffic(evidence)),
        Section("What starts: processes, log and ps", _looks(evidence)),
        Section(
            "The machine and every setting",
            [Facts(machine, "the machine"), Facts(_settings(evidence, pace), "settings")],
        ),
        Section("Run it again", [Pre(_command(pace)), Text(AGAIN)]),
    ]  # fmt: skip
    note = "A first look: too few launches per cell for a ratio to be published." if pace.first_look else ""
    page = render(
        "Why is a FastAPI service slow on more cores?",
        sections,
        subtitle=f"The post's experiment, run in {seconds:.0f} s",
        note=note,
    )
    return store.save_text(f"reproduce-{datetime.now(UTC):%Y%m%d-%H%M%S}.html", page, folder=folder)


def headline_picture(evidence: Evidence, *, first_look: bool) -> "Picture | None":
    """The grid as a picture; None where it was not measured."""
    grid = evidence.grid
    if grid is None or all(run.void for run in grid.runs):
        return None
    ceiling = None if evidence.ceiling is None else evidence.ceiling.ratio
    return grid_plot(grid.rows(), ceiling=ceiling, speedup=grid.speedup(), first_look=first_look)


def _grid(evidence: Evidence, *, first_look: bool) -> list[Block]:
    because = evidence.failures.get("grid", "every launch was void")
    blocks: list[Block] = [Pic(headline_picture(evidence, first_look=first_look), absent_because=because)]
    if evidence.grid is not None:
        blocks += [Table(evidence.grid.frame(), "every launch"), *(Text(note) for note in evidence.grid.notes)]
    return blocks


def _timelines(evidence: Evidence) -> list[Block]:
    blocks: list[Block] = []
    for workers in (1, 2):
        result = _sample(evidence, workers)
        title = f"{workers} worker{'s' if workers > 1 else ''}: grey waits, colour works"
        blocks.append(Pic(None if result is None else timeline_plot(result.frame()), title))
    return blocks


def _cpu(evidence: Evidence) -> Pic:
    measured, cores = [], 0
    for workers in (1, 2):
        result = _sample(evidence, workers)
        if result is not None and result.cpu is not None:
            label = f"{workers} worker{'s' if workers > 1 else ''}"
            measured.append(cpu_entry(label, result.cpu))
            cores = result.cpu.cores
    return Pic(cpu_plot(measured, cores=cores) if measured else None)


def _traffic(evidence: Evidence) -> list[Block]:
    calm, heavy = evidence.calm, evidence.heavy
    if calm is None or heavy is None:
        return [Text(evidence.failures.get("traffic", "It was not measured."))]
    names = {result: f"{result.plan.users} users" if result.plan.users != 1 else "1 user" for result in (calm, heavy)}
    picture = latency_plot(
        {name: _successes_ms(result) for result, name in names.items()},
        timeouts={name: result.outcomes["timeout"] for result, name in names.items()},
        timeout_ms=heavy.plan.timeout_s * 1000,
    )
    return [Pic(picture), *(Pre(str(result), name) for result, name in names.items())]


def _successes_ms(result: "LoadResult") -> "pd.Series[float]":
    frame = result.frame()
    return frame.loc[frame["outcome"] == "ok", "response_ms"]


def _looks(evidence: Evidence) -> list[Block]:
    blocks: list[Block] = []
    for key, look in evidence.looks.items():
        blocks += _look(LOOK_TITLES[key], look)
    return blocks or [Text(evidence.failures.get("looks", "It was not looked at."))]


def _look(title: str, look: Look) -> list[Block]:
    return [
        Pre(str(look.processes), f"{title}: the processes"),
        Pre(look.log, f"{title}: the log"),
        Pre(look.ps_post or "(nothing)", f"{title}: `ps -aF`, as in the post, cut to this server"),
        Pre(look.ps_all or "(nothing)", f"{title}: `ps -eF`, cut to this server"),
    ]


def _settings(evidence: Evidence, pace: Pace) -> Mapping[str, Any]:
    grid = evidence.grid
    settings: dict[str, Any] = {"pace": pace.name, "app": "helpers.demo.api:app", "endpoint": "/cpu"}
    if grid is not None:
        settings |= {"users": pace.users, **grid.settings}
    if evidence.heavy is not None:
        settings["time-out under high traffic (s)"] = evidence.heavy.plan.timeout_s
    return settings


def _command(pace: Pace) -> str:
    return "python3 -m helpers reproduce" + (" --quick" if pace.name == "quick" else "")


def _sample(evidence: Evidence, workers: int) -> "LoadResult | None":
    """One measurement of that many workers, on two cores where there are two."""
    if evidence.grid is None:
        return None
    found = evidence.grid.of(workers=workers, cpus=2) or evidence.grid.of(workers=workers)
    return found[0] if found else None
