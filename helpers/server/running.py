"""One launch: its processes, its folder, its status board, from the first process to the last."""

import http.client
import json
import math
import os
import re
import secrets
import shutil
import subprocess
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from helpers import lifeline, proc
from helpers.errors import LabError, StartError, StateError
from helpers.server import ports, registry
from helpers.server.child import board as board_module
from helpers.server.child.instrument import BEAT_S, PRIVATE_PATH
from helpers.server.failures import APPS_OWN_PORT, start_error, tail
from helpers.server.runners import Launch, runner_named

LOOK_EVERY_S = 0.005
DEATHS_THAT_MAKE_A_LOOP = 2
SCALE_STEP_S = 15.0  # for each worker
REST_S = 1.2  # the supervisor looks every 0.5 s, and between two looks a killed worker is nowhere to be seen
LOG_READ_BYTES = 2**20
SILENT_S = 3.0


@dataclass(frozen=True)
class Loop:
    """A worker's event loop at one moment: how late it is, and its thread pool for `def` code (None: it has none).

    `threads_busy` of `threads` are taken, and `threads_awaited` requests wait for one. The pool is as the loop saw it
    when it last came by.
    """

    late_ms: float
    threads: int | None
    threads_busy: int
    threads_awaited: int


class RaceLostError(StartError):
    """Somebody else's server has the port that this launch was started on."""


class Running:
    """One launch. Made by spawning it; `await_ready`, then `end` and `remove`."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.workers_wanted = launch.workers
        self.was_ready = False
        self.ending = False
        self.program = runner_named(launch.runner)
        self.id = secrets.token_hex(4)
        self.folder = registry.make_launch_folder(self.id)
        self.log_file = self.folder / "server.log"
        board_file = self.folder / "board"
        board_module.create(str(board_file))
        settings_file = self.folder / "launch.json"
        paths = {"launch": self.id, "board": str(board_file), "log": str(self.log_file)}
        settings_file.write_text(json.dumps(self.program.settings(launch) | paths))
        try:
            with open(self.log_file, "ab") as log:
                self.child = lifeline.spawn(
                    self.program.command(launch, settings_file),
                    cwd=launch.app_dir,
                    env=_environment(launch.env),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            self.pid = self.child.process.pid
            self.created = proc.create_time(self.pid) or time.time()
            self.board = board_module.Board(str(board_file))
            # When the Server object is dropped, or the interpreter ends: cut the lifeline, leave no folder.
            self.dropped = weakref.finalize(self, registry.drop, self.child, self.folder, os.getpid())
            registry.register(self._entry())
        except BaseException:
            if hasattr(self, "child"):
                self.child.cut()
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    @property
    def url(self) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.launch.host, self.launch.host)
        return f"http://[{host}]:{self.launch.port}" if ":" in host else f"http://{host}:{self.launch.port}"

    def over(self) -> bool:
        return self.child.process.poll() is not None

    def workers(self, *states: str) -> list[int]:
        """The living workers in one of these states, by pid, in the order in which they came."""
        rows = sorted(self.board.rows(), key=lambda row: row[board_module.CLAIMED_NS])
        named = [(row[board_module.PID], board_module.STATES[row[board_module.STATE]]) for row in rows]
        return [pid for pid, state in named if state in states and proc.alive(pid)]

    def counts(self) -> dict[int, tuple[int, int]]:
        fields = board_module
        return {row[fields.PID]: (row[fields.STARTED], row[fields.FINISHED]) for row in self.board.rows()}

    def start_ups_s(self) -> dict[int, float]:
        fields = board_module
        ready = [row for row in self.board.rows() if row[fields.STATE] == fields.READY]
        return {row[fields.PID]: (row[fields.READY_NS] - row[fields.CLAIMED_NS]) / 1e9 for row in ready}

    def loops(self) -> dict[int, Loop]:
        fields, now_ns = board_module, time.perf_counter_ns()
        found = {}
        for row in self.board.rows():
            if row[fields.STATE] == fields.READY and row[fields.BEAT_NS]:
                overdue_ns = now_ns - row[fields.BEAT_NS] - int(BEAT_S * 1e9)
                found[row[fields.PID]] = Loop(
                    late_ms=max(row[fields.LOOP_LAG_NS], overdue_ns) / 1e6,
                    threads=row[fields.THREADS] or None,
                    threads_busy=row[fields.THREADS_BUSY],
                    threads_awaited=row[fields.THREADS_AWAITED],
                )
        return found

    def read_log(self) -> str:
        try:
            with open(self.log_file, "rb") as log:
                log.seek(max(0, os.path.getsize(self.log_file) - LOG_READ_BYTES))
                return log.read().decode(errors="replace")
        except OSError:
            return ""

    def await_ready(self, within_s: float, given_up: Callable[[], bool]) -> None:
        """Wait until N workers are ready by the board *and* the socket answers as this launch. Raises StartError."""
        deadline = time.monotonic() + within_s
        silent_s = math.inf  # since when all are ready, and nobody answers at the port
        while not ((ready := len(self.workers("ready")) >= self.launch.workers) and self._answers()):
            if self.over():
                raise self._failure(f"its process ended with exit code {self.child.process.returncode}")
            if self._deaths() >= DEATHS_THAT_MAKE_A_LOOP:
                raise self._failure("its workers die while they start, and are started again for ever")
            if given_up():
                raise StateError("the start was called off by stop()", "call start() again when it is wanted")
            silent_s = min(silent_s, time.monotonic()) if ready else math.inf
            elsewhere = time.monotonic() > silent_s + SILENT_S and self._own_ports()
            if time.monotonic() > deadline or elsewhere:
                raise self._too_slow(within_s)
            time.sleep(LOOK_EVERY_S)
        self.was_ready = True

    def settle(self) -> None:
        """Wait until every living worker is ready and every killed one has its replacement. Raises StateError.

        Another number than the one wanted is taken for granted only when it lasts: somebody has sent signals by hand.
        """
        unrest = time.monotonic()

        def at_rest() -> bool:
            nonlocal unrest
            ready = set(self.workers("ready"))
            if self._workers_below() != ready:
                unrest = time.monotonic()
            return len(ready) == self.workers_wanted or time.monotonic() - unrest > REST_S

        self._await(at_rest, "does not come to rest")
        self.workers_wanted = len(self.workers("ready"))

    def step(self, *, up: bool) -> None:
        """Add or remove one worker by the program's signal, and wait until that is so. Raises StateError."""
        number = self.program.scale_signal(up)
        assert number is not None  # see Server.scale
        self.workers_wanted = len(self.workers("ready")) + (1 if up else -1)
        self.child.process.send_signal(number)
        self._await(
            lambda: len(self.workers("starting", "ready")) == len(self.workers("ready")) == self.workers_wanted,
            f"does not get to {self.workers_wanted}",
        )

    def restart_workers(self) -> None:
        """Have all workers replaced by the program's signal, and wait until that is so. Raises StateError."""
        number = self.program.restart_signal()
        assert number is not None  # see Server.restart_workers
        before = self.workers("ready")
        self.child.process.send_signal(number)
        self._await(
            lambda: len(self.workers("ready")) == self.workers_wanted and not any(map(proc.alive, before)),
            "does not come to rest after the restart",
            SCALE_STEP_S * self.workers_wanted,
        )

    def _await(self, condition: Callable[[], bool], trouble: str, within_s: float = SCALE_STEP_S) -> None:
        deadline = time.monotonic() + within_s
        while self.over() or not condition():
            if self.over() or time.monotonic() > deadline:
                raise StateError(
                    f"the number of workers {trouble}: {len(self.workers('ready'))} are ready",
                    "a worker that leaves finishes its requests first; see server.log",
                )
            time.sleep(LOOK_EVERY_S)

    def _workers_below(self) -> set[int]:
        """The parent's own children that are workers, those included that are dead and still to be replaced."""
        import psutil

        children = [child.pid for child in psutil.Process(self.pid).children()]
        return {pid for pid in children if "resource_tracker" not in proc.describe(pid, limit=1000)}

    def end(self, grace_s: float) -> None:
        """End all its processes: a polite signal first if there is grace, then SIGKILL. Returns when none is left."""
        self.ending = True
        members = registry.family(self.pid, self.created)
        if grace_s > 0 and not self.over():
            self.child.process.terminate()
            deadline = time.monotonic() + grace_s
            while not self.over() and time.monotonic() < deadline:
                time.sleep(LOOK_EVERY_S)
        if not self.over():
            self.child.process.kill()
            self.child.process.wait()
        # On Linux the kernel ends the workers of a killed parent; what an app forked itself is not ours to end.
        workers = {row[board_module.PID] for row in self.board.rows()}
        registry.kill({pid: created for pid, created in members.items() if pid in workers})
        # multiprocessing's resource tracker ends by itself, and so do the workers of a parent that was gone before
        ending = {pid: created for pid in workers if (created := proc.create_time(pid)) is not None}
        registry.await_gone(ending | members, 0.5)

    def remove(self) -> None:
        self.board.close()
        self.dropped()

    def _deaths(self) -> int:
        starting = board_module.STARTING
        rows = [row for row in self.board.rows() if row[board_module.STATE] == starting]
        return sum(not proc.alive(row[board_module.PID]) for row in rows)

    def _answers(self) -> bool:
        """Whether this launch answers on its port; for an app left alone, whether its processes hold the socket."""
        if not self.launch.instrument:
            return not set(self.workers("ready")).isdisjoint(proc.listening_pids(self.launch.port))
        told = ask(self.url)
        if told is None or told == self.id:
            return told is not None
        raise RaceLostError(
            f"port {self.launch.port} answers as another launch ({told})",
            "two servers were started on one port at the same moment; start again",
        )

    def _failure(self, event: str) -> LabError:
        log = self.read_log()
        if "address already in use" in log.lower() and not re.search(APPS_OWN_PORT, log, re.MULTILINE):
            kind = ports.taken_by(self.launch.port)
            return RaceLostError(
                f"port {self.launch.port} was taken while the server started: {kind}",
                "start again, or leave out port= to get the next free one",
                log[-2000:],
            )
        return start_error(log, app=self.launch.app, app_dir=self.launch.app_dir, event=event)

    def _too_slow(self, within_s: float) -> StartError:
        ready = len(self.workers("ready"))
        problem = (
            f"{self.launch.app!r} did not start: {ready} of {self.launch.workers} workers ready after {within_s:g} s"
        )
        hint = "if its start-up is slow on purpose, pass a longer start_timeout_s"
        if own := self._own_ports():
            problem = f"{self.launch.app!r} did not start: nobody answers on port {self.launch.port}"
            problem += f"; its module listens on port {own[0]} by itself"
            hint = "importing the app must not serve: put that under `if __name__ == '__main__':`"
        return StartError(problem, hint, tail(self.read_log()))

    def _own_ports(self) -> list[int]:
        """The ports on which the app listens beside the one it is served on."""
        return [port for port in proc.listening_ports(proc.session(self.pid)) if port != self.launch.port]

    def _entry(self) -> registry.Entry:
        return registry.Entry.mine(
            self.id,
            self.pid,
            created=self.created,
            port=self.launch.port,
            app=self.launch.app,
            workers=self.launch.workers,
            url=self.url,
        )


def ask(url: str, *, timeout_s: float = 1.0) -> str | None:
    """The launch id that answers there; "?" for a server that is not ours, None when nobody answers."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=timeout_s)
    try:
        connection.request("GET", PRIVATE_PATH, headers={"connection": "close"})
        return connection.getresponse().getheader("x-launch-id", "?")
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The server's environment: its output unbuffered, and no number of workers that nobody asked for."""
    inherited = {key: value for key, value in os.environ.items() if key != "WEB_CONCURRENCY"}
    return {**inherited, "PYTHONUNBUFFERED": "1", **extra}
