"""Coordinated omission, shown: one stall of a server as a waiting user sees it, and as arrivals at a rate see it."""

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter_ns as clock_ns
from typing import Any

import psutil

from helpers import store
from helpers.errors import InputError, StateError
from helpers.load.plan import Seconds, make_plan, seconds
from helpers.load.run import Progress, load_test
from helpers.server.ports import POSTS_PORT
from helpers.server.server import Server
from helpers.stall.result import Side, Stall

TRIES = 2  # a void measurement is taken once more
MOST_WAITING = 1_000  # requests; as many as a load test has in flight at most
ANSWERED_WITHIN_S = 5.0  # after the stall
PICTURES = (".png", ".svg", ".pdf")


def stall(
    server: Server | None = None,
    path: str = "/sleep?ms=10",
    *,
    stall_s: Seconds = 1.0,
    duration: Seconds = 20.0,
    rate: float = 100.0,
    progress: bool = True,
) -> Stall:
    """Stop a server's only worker in the middle of a closed run with one user, and again of an open run at `rate`.

    `server=None` starts one of the demo API. `path` should wait rather than work, so that the stall is all there is to
    see. Durations are seconds or text such as "500ms"; each run takes `duration`. Raises InputError for values that
    show nothing, StateError when the server ends meanwhile, and what Server and load_test raise; whatever happens, the
    server goes on. Why it matters: G. Tene, "How NOT to Measure Latency", 2013, on coordinated omission.
    """
    for_s, duration_s = seconds(stall_s, "stall_s"), seconds(duration, "duration")
    if for_s > duration_s / 2:
        raise InputError(
            f"a stall of {for_s:g} s does not fit into the middle of {duration_s:g} s",
            f"Use a duration of {2 * for_s:g} s or more; 20 times the stall shows it best.",
        )
    if isinstance(rate, int | float) and rate * for_s > MOST_WAITING:
        raise InputError(
            f"{rate:g} requests/s for {for_s:g} s leave {rate * for_s:.0f} requests waiting, more than {MOST_WAITING}",
            f"Use a rate of at most {MOST_WAITING / for_s:g}, or a shorter stall.",
        )
    if server is not None and server.workers != 1:
        raise InputError(
            f"the server has {server.workers} workers, and its supervisor would replace one that is stopped",
            "Use Server(workers=1), which is one process.",
        )
    models: tuple[Mapping[str, Any], ...] = ({"users": 1}, {"rate": rate})
    for model in models:  # a bad value is refused now, not after the run before it
        make_plan(f"http://127.0.0.1:{POSTS_PORT}{path}", duration=duration_s, **model)
    running: AbstractContextManager[Server] = Server(workers=1) if server is None else nullcontext(server)
    with running as target:
        sides = [_side(target, path, for_s, duration_s, {**model, "progress": progress}) for model in models]
    return Stall(path, for_s, *sides)


def _side(server: Server, path: str, stall_s: float, duration_s: float, load: Mapping[str, Any]) -> Side:
    url, side = server.url + path, None
    for _ in range(TRIES):
        with _Stopper(_worker(server), (duration_s - stall_s) / 2, stall_s) as stopper:
            result = load_test(
                url, duration=duration_s, timeout=stall_s + ANSWERED_WITHIN_S, on_progress=stopper.watch, **load
            )
        _worker(server)
        if stopper.continued_ns:
            side = Side(result, stopper.stopped_ns, stopper.continued_ns)
            if not side.void:
                break
    if side is None:
        raise StateError("the run was over before the server could be stopped", "use a longer duration")
    return side


def picture_file(wanted: Path | None) -> Path:
    """Where the picture goes: `wanted`, or a new name under results/. Raises InputError, StoreError, before a run."""
    if wanted is None:
        store.check_writable()
        return store.RESULTS / f"stall-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}.png"
    if wanted.suffix.lower() not in PICTURES:
        raise InputError(f"a picture cannot be saved as {wanted.name!r}", f"end the name in {', '.join(PICTURES)}")
    if not wanted.parent.is_dir():
        raise InputError(f"there is no folder {str(wanted.parent)!r} for the picture", "make it first, or name another")
    return wanted


def _worker(server: Server) -> int:
    if not server.worker_pids:
        raise StateError("there is no server to stop: it has ended", "its log says why; start it again")
    return server.worker_pids[0]


class _Stopper:
    """Stops a process for a while, some time after the load test has begun to measure; lets it go on in any case."""

    def __init__(self, pid: int, after_s: float, stall_s: float) -> None:
        self.stopped_ns = self.continued_ns = 0
        self._process = psutil.Process(pid)
        self._after_s, self._stall_s = after_s, stall_s
        self._measuring, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="lab-stall")

    def watch(self, now: Progress) -> None:
        """To be called with the load test's progress."""
        if now.phase == "measuring" and not self._measuring.is_set():
            self._measuring.set()
            self._thread.start()

    def __enter__(self) -> "_Stopper":
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        if self._measuring.is_set():
            self._thread.join()

    def _run(self) -> None:
        if self._over.wait(self._after_s):
            return
        if not _done(self._process.suspend):
            return
        self.stopped_ns = clock_ns()
        self._over.wait(self._stall_s)
        now_ns = clock_ns()  # before it goes on: every answer that it owes comes later
        if _done(self._process.resume):
            self.continued_ns = now_ns


def _done(signal: Callable[[], None]) -> bool:
    try:
        signal()
    except psutil.NoSuchProcess:
        return False
    return True
