"""What notebook 07 does to a server: takes it past its limit, leaves it alone, knocks at its door; and counts."""

import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from helpers.errors import InputError
from helpers.load.phases import stage_rows
from helpers.load.records import OK
from helpers.load.result import LoadResult
from helpers.server.backlog import read_backlog
from helpers.server.server import Server
from helpers.theory.service import ServiceTimes, calibrate, constant

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

LOOK_S, REST_S = 0.02, 0.25
LEAST_PER_S = 20.0  # to go on with where a run was void and found less
KNOCK_S = 0.15
Line = tuple["NDArray[np.float64]", "NDArray[np.float64]"]  # at (s), value


# ----------------------------------------------------------------------------------------------------- what it can do


def capacity(full: LoadResult) -> float:
    """Answers per second of a server that always has somebody waiting."""
    return max(LEAST_PER_S, full.achieved_per_s)


def service_of(full: LoadResult) -> ServiceTimes:
    """How long one request keeps the worker busy, from a run in which somebody always waited."""
    try:
        return calibrate(full.frame().handling_ms, per_s=full.achieved_per_s)
    except InputError:  # too few answers, or a server that says nothing: as if all were alike
        return constant(1 / capacity(full))


@dataclass(frozen=True)
class Dot:
    """One stage of a load: what came per second, how busy that kept the worker (0 to 1, or more), and how long it took.

    `p95_ms` is None for too few requests, or where it is only known to be above the time-out.
    """

    rate_per_s: float
    busy: float
    mean_ms: float
    p95_ms: float | None


def dots(visitors: LoadResult, service: ServiceTimes) -> list[Dot]:
    """A dot for each stage of the load; none of a void one."""
    if visitors.verdict == "void":
        return []
    intended_s = (visitors.window["intended_ns"] - visitors.t0_ns) / 1e9
    response_ms = (visitors.window["done_ns"] - visitors.window["intended_ns"]) / 1e6
    found = []
    for stage in stage_rows(visitors):
        chosen = response_ms[(intended_s >= stage["from_s"]) & (intended_s < stage["to_s"])]
        rate_per_s = len(chosen) / (stage["to_s"] - stage["from_s"])
        p95_ms = stage["p95"] if isinstance(stage["p95"], float) else None
        if len(chosen):
            found.append(Dot(rate_per_s, rate_per_s * service.mean_s, float(chosen.mean()), p95_ms))
    return found


# ------------------------------------------------------------------------------------------------ what became of them


def at_rest(server: Server, *, within_s: float = 10.0) -> int:
    """Wait until the server has nothing more to do; how many requests it has executed since its launch."""
    end_s = time.monotonic() + within_s
    since_s, seen = time.monotonic(), (0, 0)
    while time.monotonic() < end_s:
        counts = server.counts().values()
        now = (sum(started for started, _ in counts), sum(finished for _, finished in counts))
        if now != seen or now[0] != now[1]:
            since_s, seen = time.monotonic(), now
        elif time.monotonic() - since_s > REST_S:
            break
        time.sleep(LOOK_S)
    return seen[1]


@dataclass(frozen=True)
class Fate:
    """What became of the requests of one load: they were answered in time, refused at once, executed for nobody."""

    name: str
    offered: int
    in_time: int
    refused: int
    executed: int
    duration_s: float  # of the load, or until the last useful answer, where that came later
    void: str = ""  # why it cannot be trusted

    @property
    def useful_per_s(self) -> float:
        """Goodput: answers that somebody was still waiting for."""
        return self.in_time / self.duration_s

    @property
    def for_nobody(self) -> int:
        """Executed, but their clients had left."""
        return min(max(0, self.executed - self.in_time), self.offered - self.in_time - self.refused)

    @property
    def never(self) -> int:
        """Neither answered nor executed."""
        return self.offered - self.in_time - self.refused - self.for_nobody


def fate(name: str, result: LoadResult, server: Server) -> Fate:
    """Wait until the server is at rest, and compare its own count with what the clients got."""
    before = result.launch_before
    executed = at_rest(server) - (before.finished if before else 0)
    void = result.reasons[0] if result.verdict == "void" else ""
    refused = result.outcomes["http_5xx"]
    useful_ns = result.window["done_ns"][result.window["outcome"] == OK]
    last_s = (int(useful_ns.max()) - result.t0_ns) / 1e9 if len(useful_ns) else 0.0
    return Fate(name, result.requests, result.ok, refused, executed, max(result.duration_s, last_s), void)


# ---------------------------------------------------------------------------------------------------------- over time


def response_over_time(result: LoadResult, *, every_s: float = 0.1) -> Line | None:
    """The median response (ms) of the requests that were meant to start in each piece of time; None of a void run."""
    if result.verdict == "void":
        return None
    frame = result.frame()
    pieces = frame.groupby((frame.intended_s // every_s).astype(int)).response_ms.median()
    return (pieces.index.to_numpy(float) + 0.5) * every_s, pieces.to_numpy(float)


def attempts_per_s(result: LoadResult, *, every_s: float = 0.25) -> Line | None:
    """What was sent per second, first attempts and repeated ones; None of a void run."""
    return _per_s(result, result.window["intended_ns"], every_s)


def useful_per_s(result: LoadResult, *, every_s: float = 0.25) -> Line | None:
    """Answers per second that came in time; None of a void run."""
    return _per_s(result, result.window["done_ns"][result.window["outcome"] == OK], every_s)


def _per_s(result: LoadResult, moments_ns: "NDArray[Any]", every_s: float) -> Line | None:
    pieces = int(result.duration_s / every_s)
    if result.verdict == "void" or not pieces:
        return None
    edges = np.arange(pieces + 1) * every_s
    counts, _ = np.histogram((moments_ns - result.t0_ns) / 1e9, edges)
    return (edges[:-1] + edges[1:]) / 2, counts / every_s


# ----------------------------------------------------------------------------------------------------------- the door


@dataclass(frozen=True)
class Knock:
    """One more client at the door of a worker that takes nobody in, and what `ss -ltn` says then (None: nothing)."""

    number: int
    connected: bool
    waiting: int | None
    limit: int | None


def knock(server: Server, times: int = 14, *, hold_s: float = 0.0) -> list[Knock]:
    """Stop the only worker, let clients connect one after the other, and let it go on again, after `hold_s`."""
    port, found = int(server.url.rpartition(":")[2]), []
    with ExitStack() as clients, _stopped(server.worker_pids[0]):
        for number in range(1, times + 1):
            client = clients.enter_context(socket.socket())
            client.settimeout(KNOCK_S)
            connected = client.connect_ex(("127.0.0.1", port)) == 0
            queue = read_backlog(port)
            waiting, limit = (None, None) if queue is None else (queue.waiting, queue.limit)
            found.append(Knock(number, connected, waiting, limit))
        if hold_s:
            print(f"for {hold_s:g} s, in a terminal: ss -ltn 'sport = :{port}'")
            time.sleep(hold_s)
    return found


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    process = psutil.Process(pid)
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def knocks_as_table(knocks: Sequence[Knock]) -> "pd.DataFrame":
    """A row for each client, with the names that `ss` gives to the numbers."""
    import pandas as pd

    rows: list[Mapping[str, object]] = [
        {
            "client": each.number,
            "connected": "yes" if each.connected else "no: gave up",
            "Recv-Q (waiting)": each.waiting,
            "Send-Q (limit)": each.limit,
        }
        for each in knocks
    ]
    return pd.DataFrame(rows, dtype=object).set_index("client")
