"""Programs that are not Python's and stand beside the servers, redis-server and nginx: found, and run as ours.

Each run has a port of its own on the loopback address, and everything the program writes in a folder of its own. It is
ready when that very run answers, and gone with the process that started it.
"""

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
import weakref
from abc import ABC, abstractmethod
from html import escape
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Literal, Self

from helpers import lifeline, proc
from helpers.errors import PortError, StartError, StateError
from helpers.server import ports, registry
from helpers.server.failures import tail
from helpers.server.settings import checked_port

HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parents[2]
LOOK_EVERY_S = 0.005
START_WITHIN_S = 10.0
GONE_WITHIN_S = 3.0
LOST_RACES_MOST = 5


class Run:
    """One run of a program: its processes and its folder."""

    def __init__(self, companion: "Companion", program: str, port: int) -> None:
        self.port = port
        self.id = secrets.token_hex(4)
        self.secret = secrets.token_hex(16)
        self.folder = registry.make_launch_folder(self.id)
        self.log_file = self.folder / "server.log"
        try:
            arguments = companion._arguments(self)
            with open(self.log_file, "ab") as log:
                self.child = lifeline.spawn(
                    [sys.executable, "-m", "helpers.server.guard", str(self.log_file), program, *arguments],
                    group=True,
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            self.guard = self.child.process.pid
            created = proc.create_time(self.guard) or time.time()
            self.dropped = weakref.finalize(self, registry.drop, self.child, self.folder, os.getpid())
            url = f"{companion.scheme}://{HOST}:{port}"
            registry.register(
                registry.Entry.mine(self.id, self.guard, created=created, port=port, app=companion.program, url=url)
            )
        except BaseException:
            if hasattr(self, "child"):
                self.child.cut()
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    @property
    def pid(self) -> int:
        """The program's own process: the guard's child. The guard itself before it has one."""
        return next(iter(proc.descendants(self.guard)), self.guard)

    def over(self) -> bool:
        return self.child.process.poll() is not None

    def read_log(self) -> str:
        try:
            return self.log_file.read_text(errors="replace")
        except OSError:  # `servers --stop` has ended the run and removed its folder
            return ""

    def end(self) -> None:
        members = {pid: created for pid in proc.session(self.guard) if (created := proc.create_time(pid)) is not None}
        self.child.cut()
        self.child.kill()
        registry.await_gone(members, GONE_WITHIN_S)
        self.dropped()


class Companion(ABC):
    """A program that runs as ours: `with Redis() as redis: ...`. `start` and `stop` twice do no harm.

    `port=None` takes a free one. Raises InputError for a port that cannot be.
    """

    program: ClassVar[str]
    scheme: ClassVar[str]
    install: ClassVar[str]  # the hint where it is missing

    def __init__(self, *, port: int | None = None) -> None:
        self._asked = checked_port(port)
        self._lock = threading.RLock()
        self._run: Run | None = None
        self._last_log = ""

    @abstractmethod
    def _arguments(self, run: Run) -> list[str]:
        """The program's arguments, its settings written into the run's folder."""

    @abstractmethod
    def _answers(self, run: Run) -> bool:
        """Whether what listens on the run's port is that very run, and serves."""

    @classmethod
    def available(cls) -> bool:
        """Whether the program is installed here."""
        return cls._found() is not None

    def start(self) -> Self:
        """Start it; returns when it answers. Does nothing when it runs.

        Raises StateError where it is not installed, PortError, StartError.
        """
        with self._lock:
            if self.state == "ready":
                return self
            self.stop()
            program = self._found()
            if program is None:
                raise StateError(f"{self.program} is not installed on this machine", self.install)
            tries = 0
            while self._run is None:
                tries += 1
                try:
                    with ports.reserved(HOST, self._asked or ports.any_free(HOST)) as port:
                        self._launch(program, port)
                except PortError:  # someone was quicker
                    if self._asked is not None or tries == LOST_RACES_MOST:
                        raise
            return self

    def stop(self) -> None:
        """End it and all that it has started, at once, and remove what it has written. Twice does no harm."""
        with self._lock:
            if self._run is not None:
                self._last_log = self._run.read_log()
                self._run.end()
                self._run = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def state(self) -> Literal["stopped", "ready", "died"]:
        run = self._run
        return "stopped" if run is None else "died" if run.over() else "ready"

    @property
    def port(self) -> int:
        """The port it listens on. Raises StateError when it is not started."""
        return self._require_run().port

    @property
    def url(self) -> str:
        """Its address. Raises StateError when it is not started."""
        return f"{self.scheme}://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """The program's own process. Raises StateError when it is not started."""
        return self._require_run().pid

    @property
    def log(self) -> str:
        """What it wrote. Kept after a stop, until the next start."""
        run = self._run
        return self._last_log if run is None else run.read_log()

    def __repr__(self) -> str:
        run = self._run
        where = f", port {run.port}, pid {run.pid}" if run is not None else ""
        return f"<{type(self).__name__}: {self.state}{where}>"

    def _repr_html_(self) -> str:
        run, state = self._run, self.state
        mark = {"ready": "●", "stopped": "○"}.get(state, "▲")
        parts = [f"<b>{mark} {state.upper()}</b>", escape(self.program)]
        if run is not None:
            parts += [f"{self.scheme}://{HOST}:{run.port}", f"pid {run.pid}", *map(escape, self._about())]
        return f"<div>{' &nbsp;·&nbsp; '.join(parts)}</div>"

    def _about(self) -> list[str]:
        """What else its line in a notebook says while it runs."""
        return []

    @classmethod
    def _found(cls) -> str | None:
        if os.name != "posix":  # nothing there could be tied to its owner
            return None
        folders = [os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"]
        return shutil.which(cls.program, path=os.pathsep.join(folders))

    def _require_run(self) -> Run:
        if self._run is None:
            raise StateError(
                f"{self.program} is not started",
                f"call start() first, or use `with {type(self).__name__}(...) as ...:`",
            )
        return self._run

    def _launch(self, program: str, port: int) -> None:
        run = self._run = Run(self, program, port)
        try:
            deadline = time.monotonic() + START_WITHIN_S
            while not self._answers(run):
                if run.over() or time.monotonic() > deadline:
                    raise self._failure(run)
                time.sleep(LOOK_EVERY_S)
        except BaseException:
            self.stop()
            raise

    def _failure(self, run: Run) -> StartError | PortError:
        log = run.read_log()
        if re.search("address already in use", log, re.IGNORECASE):
            return PortError(
                f"port {run.port} was taken while {self.program} started: {ports.taken_by(run.port)}",
                "start again, or leave out port= to get a free one",
            )
        event = "its process ended" if run.over() else f"it did not answer within {START_WITHIN_S:g} s"
        return StartError(
            f"{self.program} did not start: {event}", "the last lines of its log say how far it came", tail(log)
        )


class Redis(Companion):
    """A Redis that keeps nothing: no file on disk, and a fresh password in `url` that nobody else has.

    `redis.Redis.from_url(server.url)` connects to it.
    """

    program = "redis-server"
    scheme = "redis"
    install = "Debian, Ubuntu, WSL: apt-get install redis-server; macOS: brew install redis"

    @property
    def url(self) -> str:
        """Its address with the password. Raises StateError when it is not started."""
        run = self._require_run()
        return f"redis://:{run.secret}@{HOST}:{run.port}/0"

    def _arguments(self, run: Run) -> list[str]:
        file = run.folder / "redis.conf"
        file.write_text(
            f"bind {HOST}\nport {run.port}\nrequirepass {run.secret}\n"
            f'daemonize no\nsave ""\nappendonly no\ndir "{run.folder}"\n'
        )
        return [str(file)]

    def _answers(self, run: Run) -> bool:
        """Another one does not know the password."""
        try:
            with socket.create_connection((HOST, run.port), timeout=1.0) as connection:
                connection.sendall(f"AUTH {run.secret}\r\nPING\r\n".encode())
                said = b""
                while b"-" not in said and said.count(b"\r\n") < 2 and (piece := connection.recv(1024)):
                    said += piece
        except OSError:
            return False
        return said == b"+OK\r\n+PONG\r\n"
