"""What a change is expected to bring, and what it brought where it can be made from outside: workers and threads."""

from collections.abc import Iterator
from dataclasses import dataclass

from helpers.diagnose.decide import GAINS, Walk
from helpers.diagnose.prober import DEFAULT_THREADS, Prober
from helpers.diagnose.seen import Probe
from helpers.machine import usable_cpus

WORKERS_MOST = 8  # more launches than that tell nothing new
MORE_THREADS = 4  # times as many
DOUBLED = ("event_loop_blocked", "lock_bound")


@dataclass(frozen=True)
class Trial:
    """One change: how many times the answers it was expected to give, and gave (None: not tried, or void)."""

    change: str
    users: int
    predicted: float
    measured: float | None
    workers: int = 1
    lacking: str = ""  # why it was not measured

    @property
    def confirmed(self) -> bool | None:
        """Whether the measured gain is nearer to the predicted one than to none, or to its square; None: not known."""
        if self.measured is None:
            return None
        if self.predicted <= GAINS:
            return self.measured <= GAINS
        return bool(self.predicted**0.5 < self.measured < self.predicted**1.5)

    @property
    def beyond(self) -> bool:
        """Whether it brought far more than a change of this kind can."""
        return self.confirmed is False and self.measured is not None and self.measured > self.predicted > GAINS

    def __str__(self) -> str:
        measured = f"not measured: {self.lacking}" if self.measured is None else f"× {self.measured:.2f} measured"
        return f"{self.change}, {self.users} users: × {self.predicted:.2g} predicted, {measured}"


def trials(api: Prober, verdict: str, walk: Walk) -> Iterator[Trial]:
    """Try what can be tried for this verdict: a second worker always, as many as cores, more threads."""
    base = walk.at
    if api.outside or base is None or base.void or base.users == 1:
        return
    usable = usable_cpus().usable
    counts = {2} | ({min(usable, WORKERS_MOST)} if verdict == "cpu_bound" and usable > 1 else set())
    size = base.threads_size or DEFAULT_THREADS
    for workers in sorted(counts):
        expected = _of_workers(verdict, workers, usable, base, size)
        measured = api.gain(base, workers=workers)
        yield Trial(f"workers={workers}", base.users, expected, measured, workers, _lacking(api, measured))
    if verdict == "threadpool_exhausted":
        more = MORE_THREADS * size
        measured = api.gain(base, threads=more)
        expected = min(base.users, more) / size
        yield Trial(f"{more} threads", base.users, expected, measured, lacking=_lacking(api, measured))


def _lacking(api: Prober, measured: float | None) -> str:
    """Why there is no number: what kept the app from starting, or voided the measurement."""
    return "" if measured is not None else (api.start_trouble or api.doubts[-1])


def _of_workers(verdict: str, workers: int, usable: int, base: Probe, threads: int) -> float:
    if verdict == "cpu_bound":
        return float(min(workers, usable))
    if verdict in DOUBLED:
        return float(workers)
    if verdict == "threadpool_exhausted":
        return min(base.users, workers * threads) / threads
    return 1.0
