"""Who used the CPU, second by second: runs beside a load test and costs well under a hundredth of a core."""

import os
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from helpers import proc
from helpers.errors import StateError

if TYPE_CHECKING:
    import pandas as pd

ENGINE = "helpers.load.engine"


class Watched(Protocol):
    """What the sampler needs to know of a server."""

    @property
    def pid(self) -> int: ...

    @property
    def worker_pids(self) -> list[int]: ...


@dataclass(frozen=True)
class Sample:
    """Cores' worth of CPU between two looks, and memory at the second: 1.0 is one core used fully."""

    at_s: float
    workers: dict[int, float]
    parent: float
    generator: float
    notebook: float
    others: float
    idle: float
    memory_mb: dict[int, float]


class Sampler:
    """`with Sampler(server) as sampler: load_test(...)`; then `sampler.samples`, `sampler.frame()`.

    Memory is PSS where the system gives it (shared pages counted once), else RSS.
    """

    def __init__(self, server: Watched, *, every_s: float = 0.25) -> None:
        self.samples: list[Sample] = []
        self._server = server
        self._every_s = every_s
        self._end = threading.Event()
        self._began = time.perf_counter()
        self._thread = threading.Thread(target=self._run, daemon=True, name="lab-sampler")

    def __enter__(self) -> "Sampler":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def frame(self) -> "pd.DataFrame":
        """A row per look: seconds since the start, cores' worth per worker (a column named by its pid) and part."""
        import pandas as pd

        rows = [
            {"at_s": sample.at_s}
            | {str(pid): cores for pid, cores in sample.workers.items()}
            | {part: getattr(sample, part) for part in ("parent", "generator", "notebook", "others", "idle")}
            for sample in self.samples
        ]
        return pd.DataFrame(rows)

    def _run(self) -> None:
        before = Look.take(self._server)
        while not self._end.wait(self._every_s):
            now = Look.take(self._server)
            self.samples.append(between(before, now, now.at_s - self._began))
            before = now


@dataclass(frozen=True)
class Look:
    """What was read at one moment: CPU seconds used so far, by process and of the whole machine, and memory."""

    at_s: float
    busy_s: float
    idle_s: float
    workers: dict[int, float]
    parent: dict[int, float]
    generator: dict[int, float]
    notebook: dict[int, float]
    memory_mb: dict[int, float]

    @classmethod
    def take(cls, server: Watched) -> "Look":
        """Read it now."""
        own, below, workers = os.getpid(), _processes_of(server), server.worker_pids
        generator = [pid for pid in proc.descendants(own) if pid not in below and ENGINE in proc.describe(pid)]
        return cls(
            at_s=time.perf_counter(),
            busy_s=proc.machine_busy_s(),
            idle_s=proc.machine_idle_s(),
            workers=_used(workers),
            parent=_used([pid for pid in below if pid not in workers]),
            generator=_used(generator),
            notebook=_used([own]),
            memory_mb={pid: (proc.pss_bytes(pid) or proc.rss_bytes(pid) or 0) / 2**20 for pid in workers},
        )


def _processes_of(server: Watched) -> list[int]:
    try:
        return [server.pid, *proc.descendants(server.pid)]
    except StateError:  # stopped in the middle of the measurement
        return []


def _used(pids: list[int]) -> dict[int, float]:
    return {pid: used for pid in pids if (used := proc.cpu_s(pid)) is not None}


def between(before: Look, now: Look, at_s: float) -> Sample:
    """Cores' worth of each part from one look to the next."""
    elapsed = now.at_s - before.at_s

    def cores(earlier: dict[int, float], later: dict[int, float]) -> dict[int, float]:
        return {pid: (used - earlier.get(pid, used)) / elapsed for pid, used in later.items()}

    workers = cores(before.workers, now.workers)
    parent, generator, notebook = (
        sum(cores(getattr(before, part), getattr(now, part)).values()) for part in ("parent", "generator", "notebook")
    )
    busy = (now.busy_s - before.busy_s) / elapsed
    return Sample(
        at_s=at_s,
        workers=workers,
        parent=parent,
        generator=generator,
        notebook=notebook,
        # the readings go in steps of 10 ms and are not taken at one instant: a difference may come out below nothing
        others=max(0.0, busy - sum(workers.values()) - parent - generator - notebook),
        idle=max(0.0, (now.idle_s - before.idle_s) / elapsed),
        memory_mb=now.memory_mb,
    )
