"""A plan run by Locust on several processes, a master and its workers, as it would run on several machines."""

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from helpers import lifeline
from helpers.cluster.needs import INSTALL
from helpers.errors import EngineError, InputError, StateError
from helpers.load.locustfile import LEAST_WARMUP_S, as_locustfile
from helpers.load.plan import Plan
from helpers.server.ports import any_free

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
WORKERS_MOST = 8
MARGIN_S = 45.0  # three imports of Locust, and its farewell


@dataclass(frozen=True)
class Swarm:
    """What Locust measured: requests of the measured time, per second, response times in ms as Locust rounds them.

    `master` and `worker` are the commands that ran, as one would type them with the file at hand.
    """

    workers: int
    requests: int
    failures: int
    per_s: float
    p50_ms: float
    p95_ms: float
    master: str
    worker: str

    def __str__(self) -> str:
        return (
            f"Locust, a master and {self.workers} workers: {self.per_s:,.1f} requests/s, p50 {self.p50_ms:g} ms,"
            f" p95 {self.p95_ms:g} ms, {self.failures} of {self.requests:,} failed"
        )


def installed() -> bool:
    """Whether Locust is there; it is not imported, since that changes the process that does it."""
    return find_spec("locust") is not None


def swarm(plan: Plan, *, workers: int = 2) -> Swarm:
    """Have Locust send the plan from `workers` processes; nothing of it runs on afterwards.

    Raises StateError where Locust is not installed, InputError, EngineError when it ends without a result.
    """
    if isinstance(workers, bool) or not isinstance(workers, int) or not 1 <= workers <= WORKERS_MOST:
        raise InputError(f"workers={workers!r} cannot be had", f"give a whole number from 1 to {WORKERS_MOST}")
    if not installed():
        raise StateError("Locust is not installed", f"install it with `{INSTALL}`")
    port = any_free(HOST)
    master = ["--headless", "--master", f"--expect-workers={workers}", f"--master-bind-host={HOST}"]
    master += [f"--master-bind-port={port}", "--json", "--only-summary"]
    worker = ["--worker", f"--master-host={HOST}", f"--master-port={port}"]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lab-swarm-")))
        (folder / "locustfile.py").write_text(as_locustfile(plan))
        log = stack.enter_context((folder / "log").open("w+"))
        head = stack.enter_context(_locust(folder, master, stdout=subprocess.PIPE, stderr=log))
        for _ in range(workers):
            stack.enter_context(_locust(folder, worker, stdout=log, stderr=log))
        within_s = max(LEAST_WARMUP_S, plan.warmup_s) + plan.duration_s + MARGIN_S
        stats = _await(head, within_s, log)
    return Swarm(
        workers=workers,
        requests=stats["num_requests"],
        failures=stats["num_failures"],
        per_s=full_seconds_per_s(stats),
        p50_ms=percentile_ms(stats["response_times"], 0.50),
        p95_ms=percentile_ms(stats["response_times"], 0.95),
        master=f"locust -f locustfile.py {' '.join(master[:3])}",
        worker="locust -f locustfile.py --worker --master-host=ADDRESS",
    )


def full_seconds_per_s(stats: dict[str, Any]) -> float:
    """Requests per second over the whole seconds of the measured time: those cut by its begin or end are left out.

    The workers tell the master every 3 s, so what it has counted at its own begin and end is not what was sent.
    """
    counts = {int(second): number for second, number in stats["num_reqs_per_sec"].items()}
    first, last = math.ceil(stats["start_time"]), max(counts, default=0)
    whole = [counts.get(second, 0) for second in range(first, last)]
    return sum(whole) / len(whole) if whole else 0.0


def percentile_ms(times: dict[str, int], share: float) -> float:
    """The response time (ms) that this share of the requests did not exceed, from Locust's own counts."""
    left = share * sum(times.values())
    for time_ms, number in sorted((float(time_ms), number) for time_ms, number in times.items()):
        left -= number
        if left <= 0:
            return time_ms
    return math.nan


@contextmanager
def _locust(folder: Path, options: list[str], **popen: Any) -> "Iterator[subprocess.Popen[str]]":
    program = [sys.executable, "-m", "locust", "-f", str(folder / "locustfile.py"), *options]
    guarded = [sys.executable, "-m", "helpers.server.guard", str(folder / "log"), *program]
    child = lifeline.spawn(guarded, group=True, cwd=ROOT, stdin=subprocess.DEVNULL, text=True, **popen)
    try:
        yield child.process
    finally:
        child.cut()
        child.kill()
        if child.process.stdout is not None:
            child.process.stdout.close()


def _await(head: "subprocess.Popen[str]", within_s: float, log: IO[str]) -> dict[str, Any]:
    try:
        said, _ = head.communicate(timeout=within_s)
        (stats,) = json.loads(said)
    except (subprocess.TimeoutExpired, ValueError):
        log.seek(0)
        last = (log.read().strip().splitlines() or ["nothing"])[-1]
        raise EngineError(
            f"Locust gave no result within {within_s:.0f} s; it said last: {last[:200]}", "Run it again."
        ) from None
    return dict(stats)
