"""The post's whole experiment on this machine: gather the evidence, judge nine claims, write one report."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers import store
from helpers.claims import THOUSANDS_WAIT_S, Evidence, Look, judged
from helpers.errors import LabError, StateError
from helpers.experiment import PINNING, TRIES, Pace, grid
from helpers.load.result import LoadResult
from helpers.load.run import load_test
from helpers.machine import fingerprint, process_scaling, usable_cpus
from helpers.report import Claim
from helpers.server.processes import ps
from helpers.server.server import Server

SCHEMA = 1
TRAFFIC_TIMEOUT_S = 1.0  # what a user of the post's service would wait
THOUSAND = 1000
THOUSAND_TIMEOUT_S = 3.0
OVERLOAD = 2.0  # times the users that the time-out allows by Little's law
HARDER = 3  # times the load is doubled until requests fail


@dataclass(frozen=True)
class Reproduction:
    """The nine claims with their verdicts, the evidence, and where the report stands."""

    claims: tuple[Claim, ...]
    complete: bool
    evidence: Evidence
    machine: dict[str, Any]
    pace: Pace
    seconds: float
    report: Path

    def summary(self) -> dict[str, Any]:
        """The form of `python3 -m helpers reproduce --json`."""
        return {
            "schema": SCHEMA,
            "machine": self.machine,
            "claims": [
                {
                    "id": claim.id,
                    "claim": claim.claim,
                    "verdict": claim.verdict,
                    "measured": claim.measured,
                    "why": claim.why,
                }
                for claim in self.claims
            ],
            "report": store.shown(self.report),
            "pace": self.pace.name,
            "first_look": self.pace.first_look,
            "seconds": round(self.seconds, 1),
            "grid": None if self.evidence.grid is None else self.evidence.grid.summary(),
            "two_process_ratio": None if self.evidence.ceiling is None else self.evidence.ceiling.ratio,
        }

    def __str__(self) -> str:
        lines = [f"{claim.id}  {claim.verdict:26} {claim.claim}\n      {claim.why}" for claim in self.claims]
        look = "a first look, " if self.pace.first_look else ""
        return "\n".join([*lines, "", f"report: {store.shown(self.report)}   ({look}{self.seconds:.0f} s)"])


def reproduce(at: Pace, *, progress: bool = True, folder: Path | None = None) -> Reproduction:
    """Run everything; takes about a minute and a half at the quick pace, four minutes at the normal one.

    A part that fails is reported as such and does not stop the others; a broken set-up (no permission to write the
    report, no server to start at all) raises LabError. `folder` is where report and results go (default: results/).
    """
    store.check_writable(folder)  # before minutes are spent on what could not be kept
    began = time.monotonic()
    machine = fingerprint()
    evidence = _gather(at, _Steps(progress))
    claims, complete = judged(evidence)
    seconds = time.monotonic() - began
    from helpers.reproduce_report import write_report  # late: it draws

    report = write_report(evidence, claims, machine, pace=at, seconds=seconds, folder=folder)
    done = Reproduction(tuple(claims), complete, evidence, machine, at, seconds, report)
    store.save("reproduce", done.summary(), folder=folder)
    return done


class _Steps:
    """Says what is being done, and keeps one part's failure from ending the others."""

    def __init__(self, shown: bool) -> None:
        self.shown = shown
        self.failures: dict[str, str] = {}

    def attempt(self, part: str, saying: str, work: Callable[[], Any]) -> Any:
        if self.shown:
            print(saying, file=sys.stderr, flush=True)
        try:
            return work()
        except LabError as error:
            self.failures[part] = error.message
            if self.shown:
                print(f"  not done: {error.message}\n  hint: {error.hint}", file=sys.stderr, flush=True)
            return None


def _gather(at: Pace, steps: _Steps) -> Evidence:
    cores = usable_cpus().usable
    looks = steps.attempt("looks", "1/5 what starts: processes, log and ps", lambda: _look_at_all(cores, steps)) or {}
    before = steps.attempt("ceiling", "2/5 what two bare processes gain on this machine", process_scaling)
    both = steps.attempt("grid", "3/5 the grid: one and two workers on one and two cores", lambda: _grid(at, steps))
    after = steps.attempt("ceiling", "    the two bare processes once more", process_scaling)
    traffic = steps.attempt("traffic", "4/5 high traffic on the default", lambda: _traffic(at)) or (None, None)
    thousand = steps.attempt("thousands", "5/5 a thousand users at once", lambda: _thousands(at)) or (None, None)
    return Evidence(
        cores=cores,
        pinning=PINNING,
        looks=looks,
        grid=both,
        # other programs can only slow the two processes down: the faster measurement is the truer one
        ceiling=max(filter(None, (before, after)), key=lambda scaling: scaling.many_per_s, default=None),
        calm=traffic[0],
        heavy=traffic[1],
        waiting=thousand[0],
        working=thousand[1],
        failures=steps.failures,
    )


def _look_at_all(cores: int, steps: _Steps) -> dict[str, Look]:
    looks = {"default": _look(1, None, steps)}
    if PINNING:
        looks["default one core"] = _look(1, 1, steps)
    looks["two"] = _look(2, None, steps)
    looks["more than cores"] = _look(cores + 1, None, steps)
    return looks


def _look(workers: int, cores: int | None, steps: _Steps) -> Look:
    with Server(workers=workers, cpus=cores, access_log=True) as server:
        processes = server.processes()
        pids = [row.pid for row in processes.rows]
        try:
            post, everything = ps("-aF", only=pids), ps("-eF", only=pids)
        except StateError as error:
            steps.failures["ps"] = error.message
            post = everything = ""
        return Look(workers, cores, processes, server.log, tuple(server.worker_pids), post, everything)


def _grid(at: Pace, steps: _Steps) -> Any:
    return grid(at=at, progress=steps.shown)


def _traffic(at: Pace) -> tuple[LoadResult, LoadResult]:
    """One user, and then more users than one worker can answer within the time-out."""
    with Server() as server:
        url = server.url + "/cpu"
        calm = _valid(url, users=1, duration=at.duration_s, timeout=TRAFFIC_TIMEOUT_S)
        users = max(32, round(OVERLOAD * calm.achieved_per_s * TRAFFIC_TIMEOUT_S))
        for _ in range(HARDER):
            heavy = _valid(url, users=users, duration=at.duration_s, timeout=TRAFFIC_TIMEOUT_S)
            if heavy.outcomes.get("timeout", 0):
                break
            users *= 2
    return calm, heavy


def _thousands(at: Pace) -> tuple[LoadResult, LoadResult]:
    """A thousand users of an endpoint that waits a second, and of one that works, on one worker each."""
    results = []
    for path in (f"/sleep?ms={1000 * THOUSANDS_WAIT_S:.0f}", "/cpu"):
        with Server() as server:
            url, duration = server.url + path, max(2.0, at.duration_s)
            results.append(_valid(url, users=THOUSAND, duration=duration, timeout=THOUSAND_TIMEOUT_S, warmup=1.0))
    return results[0], results[1]


def _valid(url: str, **load: Any) -> LoadResult:
    """A load test that its self-checks do not call void; one that is void is taken once more. Raises StateError."""
    for _ in range(TRIES):
        result = load_test(url, progress=False, **load)
        if result.verdict != "void":
            return result
    raise StateError(f"the measurement was void: {'; '.join(result.reasons)}", "run it again on a quiet machine")
