"""The server under test: start, stop, relaunch, scale. Each call returns when what it says is true."""

import os
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from html import escape
from types import TracebackType
from typing import Any, Literal

from helpers.errors import InputError, StartError, StateError
from helpers.progress import tell
from helpers.server import ports
from helpers.server.processes import Processes, processes
from helpers.server.runners import Launch
from helpers.server.running import Loop, RaceLostError, Running
from helpers.server.settings import checked, checked_workers

_SAID: set[int] = set()

State = Literal["stopped", "starting", "ready", "degraded", "stopping", "died"]
LOST_RACES_MOST = 5


class Server:
    """A server in processes of its own: `with Server(workers=2) as server: ...`.

    `port=None` means 5012 as in the post, else the next free one (`notice` says so). `cpus` limits it to that many
    CPUs, or to a set of CPU ids (Linux). `runner` is the server program: uvicorn, gunicorn (with its own ASGI worker)
    or granian; the latter two always have a parent above their workers. `options` are its own settings, such as
    `{"limit_concurrency": 5}`; `env` is added to its environment; `app_dir` is the folder the app is imported from;
    `python` the interpreter that runs it, such as that of the app's own virtual environment; `threads` the size of each
    worker's thread pool for `def` endpoints (None: as the app has it, which is 40 unless it says otherwise).
    `instrument=False` leaves the app quite alone: then nobody can prove who answered a load test.

    Whatever happens to the process that owns it, no server outlives its owner.
    Raises InputError for a bad argument, at once.
    """

    def __init__(
        self,
        app: str = "helpers.demo.api:app",
        *,
        workers: int = 1,
        host: str = "127.0.0.1",
        port: int | None = None,
        cpus: int | Collection[int] | None = None,
        loop: str = "auto",
        access_log: bool = False,
        runner: str = "uvicorn",
        instrument: bool = True,
        options: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        app_dir: str | os.PathLike[str] | None = None,
        python: str | os.PathLike[str] | None = None,
        threads: int | None = None,
        start_timeout_s: float = 30.0,
    ) -> None:
        self._arguments: dict[str, Any] = {
            "app": app, "workers": workers, "host": host, "port": port, "cpus": cpus, "loop": loop,
            "access_log": access_log, "runner": runner, "instrument": instrument, "options": options, "env": env,
            "app_dir": app_dir, "python": python, "threads": threads, "start_timeout_s": start_timeout_s,
        }  # fmt: skip
        self._wanted = checked(**self._arguments)
        self._lock = threading.RLock()
        self._stops_waiting: set[object] = set()  # a start that holds the lock sees them, and gives up
        self._running: Running | None = None
        self._last_log = ""
        self.notice = ""

    # ------------------------------------------------------------------------------------------------- life cycle

    def start(self) -> "Server":
        """Start it; returns when every worker serves. Does nothing when it runs. Raises PortError, StartError."""
        with self._lock:
            running = self._running
            if running is not None and not running.over() and not running.ending:
                return self
            self._end(0.0)  # it died, or an interrupt came in the middle of its stop
            self._start()
            return self

    def stop(self, *, grace_s: float = 3.0) -> None:
        """End it: gracefully for `grace_s` seconds (requests in hand are answered), then firmly. Twice does no harm."""
        with self._lock_from_starts():
            self._end(grace_s)

    def relaunch(self, *, grace_s: float = 3.0, **changes: Any) -> "Server":
        """Stop (see there for `grace_s`), and start again with changed arguments: `relaunch(workers=2)`.

        The port stays the same if it can.
        """
        unknown = set(changes) - set(self._arguments)
        if unknown:
            raise InputError(f"Server has no argument {min(unknown)!r}", f"it has: {', '.join(self._arguments)}")
        arguments = {**self._arguments, **changes}
        wanted = checked(**arguments)  # nothing is stopped for a bad argument
        with self._lock:
            before = None if self._running is None else self._running.launch.port
            self.stop(grace_s=grace_s)
            self._arguments, self._wanted = arguments, wanted
            self._start(first=before)
            return self

    def scale(self, workers: int) -> "Server":
        """Add or remove workers while it serves: one signal at a time, each awaited.

        Only where a parent stands above the workers, and takes such signals: uvicorn's does if it was started with two
        workers or more, gunicorn's always, granian's never. Raises StateError, InputError.
        """
        workers = checked_workers(workers)
        with self._lock:
            running = self._require_parent(
                "scaled",
                f"use relaunch(workers={workers}); started with 2 or more, it can be scaled down to 1 and up again",
            )
            if running.program.scale_signal(up=True) is None:
                raise StateError(
                    f"{running.program.name} has no signal here that adds or removes a worker",
                    f"use relaunch(workers={workers})",
                )
            running.settle()
            while (now := len(running.workers("ready"))) != workers:
                running.step(up=now < workers)
            return self

    def restart_workers(self) -> "Server":
        """Replace all workers while it serves, by the program's own signal (SIGHUP); returns when that is done.

        In which order is the program's choice. Only where a parent stands above the workers. Raises StateError.
        """
        with self._lock:
            running = self._require_parent("restarted worker by worker", "use relaunch(), during which nobody serves")
            if running.program.restart_signal() is None:
                raise StateError("this system has no signal that restarts the workers", "use relaunch()")
            running.settle()
            running.restart_workers()
            return self

    def __enter__(self) -> "Server":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # ------------------------------------------------------------------------------------------------- what it is

    @property
    def state(self) -> State:
        """stopped; starting; ready; degraded (fewer workers serve than were asked for); stopping; died (by itself)."""
        running = self._running
        if running is None:
            return "stopped"
        if running.ending:
            return "stopping"
        if running.over():
            return "died"
        ready = len(running.workers("ready"))
        if ready >= running.workers_wanted:
            return "ready"
        return "starting" if not running.was_ready else "degraded"

    @property
    def url(self) -> str:
        """The address, such as http://127.0.0.1:5012. Raises StateError when it is not started."""
        return self._require_running().url

    @property
    def pid(self) -> int:
        """The process that was started: the one worker itself, or the parent of all. Raises StateError."""
        return self._require_running().pid

    @property
    def worker_pids(self) -> list[int]:
        """The processes that serve requests, in the order in which they came. Empty when it is not started."""
        running = self._running
        return [] if running is None else running.workers("ready")

    @property
    def workers(self) -> int:
        """How many workers are wanted now."""
        running = self._running
        return self._wanted.workers if running is None else running.workers_wanted

    @property
    def launch(self) -> Launch:
        """The settings it runs with, or would start with."""
        return self._wanted if self._running is None else self._running.launch

    @property
    def log(self) -> str:
        """What it wrote: start-up, access log if on, tracebacks. Kept after a stop, until the next start."""
        running = self._running
        return self._last_log if running is None else running.read_log()

    def counts(self) -> dict[int, tuple[int, int]]:
        """Per worker pid, those gone included: requests started and finished since the launch."""
        return self._require_running().counts()

    def start_ups_s(self) -> dict[int, float]:
        """Per living worker pid: from the begin of its work to its first request, imports and lifespan included."""
        return self._require_running().start_ups_s()

    def loops(self) -> dict[int, Loop]:
        """Per living worker pid: how late its event loop is at this moment, and how busy its thread pool was then."""
        return self._require_running().loops()

    def processes(self, *, over_s: float = 0.1) -> Processes:
        """Its processes with role, CPU % over the next `over_s` seconds, and memory: a table and a tree."""
        running = self._require_running()
        return processes(running.pid, workers=running.workers("starting", "ready"), over_s=over_s)

    def __repr__(self) -> str:
        running = self._running
        where = f", {running.url}, pid {running.pid}" if running is not None else ""
        return f"<Server {self._wanted.app!r}: {self.state}, workers={self.workers}{where}>"

    def _repr_html_(self) -> str:
        state = self.state
        mark = {"ready": "●", "stopped": "○"}.get(state, "▲")
        program = "" if self.launch.runner == "uvicorn" else f"{self.launch.runner}, "
        parts = [f"<b>{mark} {state.upper()}</b>", f"{program}{self.workers} worker{'s' if self.workers != 1 else ''}"]
        if self.launch.cpus is not None:
            parts.append(f"{len(self.launch.cpus)} core{'s' if len(self.launch.cpus) != 1 else ''}")
        if self._running is not None:
            url = escape(self._running.url)
            parts += [f'<a href="{url}/docs" target="_blank">{url}</a>', f"pid {self._running.pid}"]
            parts += [f"serving: {', '.join(map(str, self.worker_pids))}"]
        if self.notice:
            parts.append(escape(self.notice))
        return f"<div>{' &nbsp;·&nbsp; '.join(parts)}</div>"

    # --------------------------------------------------------------------------------------------------- plumbing

    def _require_running(self) -> "Running":
        if self._running is None:
            raise StateError("the server is not started", "call start() first, or use `with Server(...) as server:`")
        return self._running

    def _require_parent(self, done: str, hint: str) -> "Running":
        """What runs, if a parent stands above its workers; else StateError: it cannot be `done`."""
        running = self._require_running()
        if running.over():
            raise StateError("the server has died", "its log says how far it came; start() starts it again")
        if not running.program.has_parent(running.launch.workers):
            raise StateError(
                f"a server started with workers=1 cannot be {done}: it is one process without a supervisor", hint
            )
        return running

    def _start(self, first: int | None = None) -> None:
        asked = self._wanted.port or None
        lost: frozenset[int] = frozenset()
        while self._running is None:
            with ports.reserved(self._wanted.host, asked, first=first, skip=lost) as port:
                if port != first:
                    self._say_if_moved(port)
                try:
                    self._launch(port)
                except RaceLostError as error:
                    lost |= {port}
                    if asked is not None or len(lost) > LOST_RACES_MOST:
                        raise StartError(error.message, error.hint, error.log_tail) from None

    def _say_if_moved(self, port: int) -> None:
        self.notice = ""
        if not self._wanted.port and port != ports.POSTS_PORT:
            who = ports.taken_by(ports.POSTS_PORT)
            self.notice = f"port {ports.POSTS_PORT} is taken: {who}; using {port}"
            if port not in _SAID:  # once is enough for a sweep of twenty launches
                _SAID.add(port)
                tell(self.notice)

    def _launch(self, port: int) -> None:
        running = Running(replace(self._wanted, port=port))
        self._running = running
        try:
            running.await_ready(self._wanted.start_timeout_s, given_up=lambda: bool(self._stops_waiting))
        except BaseException:
            self._end(0.0)
            raise

    def _end(self, grace_s: float) -> None:
        if self._running is not None:
            self._running.end(grace_s)
            self._last_log = self._running.read_log()
            self._running.remove()
            self._running = None

    @contextmanager
    def _lock_from_starts(self) -> Iterator[None]:
        """The lock, and until it is had: a start in another thread that holds it gives up."""
        waiting = object()
        self._stops_waiting.add(waiting)
        try:
            with self._lock:
                self._stops_waiting.discard(waiting)
                yield
        finally:
            self._stops_waiting.discard(waiting)
