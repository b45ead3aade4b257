"""One launch of a cluster: its processes, its folder, and the line on which it is told what to do."""

import json
import os
import queue
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from helpers import lifeline, proc
from helpers.cluster.needs import APART
from helpers.errors import StartError, StateError
from helpers.server import registry
from helpers.server.child import board as board_module
from helpers.server.failures import start_error, tail
from helpers.server.runners import Launch

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
GONE_WITHIN_S = 5.0
SHORT = Path("/tmp")  # TMPDIR may be long, and the path of a socket has 107 bytes at most
BACKLOG = 2048
# Ray waits 15 s for a node that says nothing; for one on this machine it need not
RAY_ENV = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "3",
    # a proxy prefers the replicas of its own node; here it is the only one, and the other node would stand idle
    "RAY_SERVE_PROXY_PREFER_LOCAL_NODE_ROUTING": "0",
}
ON_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # one node, whose address is 127.0.0.1


class Running:
    """One launch. Made by spawning it; `await_started`, then `ask` and `end`."""

    def __init__(self, launch: Launch, *, nodes: int, cpus_per_node: int, replicas: int, apart: bool) -> None:
        self.launch = launch
        self.apart = apart
        self.ended = ""  # why it ended by itself
        self._asked = 0  # the number of the last thing asked; the start has 0
        self.id = secrets.token_hex(4)
        self.url = f"http://{HOST}:{launch.port}"
        self.folder = registry.make_launch_folder(self.id)
        self.log_file = self.folder / "server.log"
        try:
            self.short = _short_path(self.folder, self.id)
            self.board_file = self.folder / "board"
            board_module.create(str(self.board_file))
            self._spawn(nodes, cpus_per_node, replicas)
        except BaseException:
            if hasattr(self, "child"):
                self.child.cut()
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def _spawn(self, nodes: int, cpus_per_node: int, replicas: int) -> None:
        file = self.folder / "launch.json"
        program = [sys.executable, "-m", "helpers.cluster.child.launch", str(file)]
        if self.apart:
            program = [sys.executable, "-I", "-S", str(APART), *program]
        # made here, in the machine's own network
        with socket.create_server((HOST, self.launch.port), backlog=BACKLOG) as listening:
            file.write_text(json.dumps(self._settings(nodes, cpus_per_node, replicas, listening.fileno())))
            with open(self.log_file, "ab") as log:
                self.child = lifeline.spawn(
                    [sys.executable, "-m", "helpers.server.guard", str(self.log_file), *program],
                    group=True,
                    cwd=ROOT,
                    pass_fds=(listening.fileno(),),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                )
        self.pid = self.child.process.pid
        self.created = proc.create_time(self.pid) or time.time()
        self.board = board_module.Board(str(self.board_file))
        self.dropped = weakref.finalize(self, registry.drop, self.child, self.folder, os.getpid())
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._read, args=(self.child.process.stdout,), daemon=True, name="lab-cluster").start()
        registry.register(
            registry.Entry.mine(
                self.id, self.pid, created=self.created, port=self.launch.port, app=f"{self.launch.app} on Ray Serve",
                workers=replicas, url=self.url,
            )
        )  # fmt: skip

    def _settings(self, nodes: int, cpus_per_node: int, replicas: int, listening: int) -> dict[str, Any]:
        return {
            "app": self.launch.app,
            "app_dir": self.launch.app_dir,
            "env": dict(self.launch.env),
            "ray_env": RAY_ENV | ({} if self.apart else ON_LOOPBACK),
            "nodes": nodes,
            "cpus_per_node": cpus_per_node,
            "replicas": replicas,
            "folder": str(self.folder),
            "ray_folder": str(self.short),
            "board": str(self.board_file),
            "listening": listening,
            "launch": {
                "launch": self.id, "app": self.launch.app, "workers_wanted": replicas, "access_log": False,
                "loop": "auto", "cpus": None,
            },
        }  # fmt: skip

    # ------------------------------------------------------------------------------------------------ what it says

    def over(self) -> bool:
        return bool(self.ended) or self.child.process.poll() is not None

    def replicas(self) -> list[int]:
        """The processes that serve, in the order in which they came."""
        fields = board_module
        rows = sorted(self.board.rows(), key=lambda row: row[fields.CLAIMED_NS])
        ready = [row[fields.PID] for row in rows if row[fields.STATE] == fields.READY]
        return [pid for pid in ready if proc.alive(pid)]

    def counts(self) -> dict[int, tuple[int, int]]:
        fields = board_module
        return {row[fields.PID]: (row[fields.STARTED], row[fields.FINISHED]) for row in self.board.rows()}

    def read_log(self) -> str:
        try:
            return self.log_file.read_text(errors="replace")
        except OSError:  # `servers --stop` has ended it and removed its folder
            return ""

    # ------------------------------------------------------------------------------------------------ what it does

    def await_answer(self, within_s: float, on_stage: Callable[[str], None] | None = None) -> dict[str, Any]:
        """What it answers to the last thing asked (the start is the first). Raises StartError, StateError."""
        deadline = time.monotonic() + within_s
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise StateError(
                    f"Ray did not come to an end of it within {within_s:g} s", "its log says how far it came"
                ) from None
            if line is None or line["event"] == "over":
                self.ended = self.ended or (line or {}).get("why", "its process ended")
                raise start_error(self.read_log(), app=self.launch.app, app_dir=self.launch.app_dir, event=self.ended)
            if line.get("number", self._asked) != self._asked:
                continue  # the answer to something whose caller was interrupted
            if line["event"] == "failed":
                raise self._failure(line["failed"])
            if line["event"] == "done":
                return line
            if on_stage is not None:
                on_stage(line["what"])

    def ask(self, do: str, *, within_s: float, **what: Any) -> dict[str, Any]:
        """Have it done, and return the answer. Raises StateError."""
        stdin = self.child.process.stdin
        assert stdin is not None
        self._asked += 1
        try:
            stdin.write(json.dumps({"do": do, "number": self._asked, **what}) + "\n")
            stdin.flush()
        except OSError:
            raise StateError("the cluster has ended", "start() starts it again") from None
        return self.await_answer(within_s)

    def end(self) -> None:
        """End all of it, at once; returns when nothing is left."""
        members = registry.family(self.pid, self.created)
        self.child.cut()
        self.child.kill()
        if not registry.await_gone(members, GONE_WITHIN_S):
            registry.kill(members)
        for pipe in (self.child.process.stdin, self.child.process.stdout):
            assert pipe is not None
            pipe.close()
        self.board.close()
        self.short.unlink(missing_ok=True)
        self.dropped()

    def _failure(self, said: str) -> StartError:
        return start_error(said, app=self.launch.app, app_dir=self.launch.app_dir, event=tail(said))

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            event = json.loads(line)
            if event["event"] == "over":
                self.ended = event["why"]
            self._lines.put(event)
        self._lines.put(None)


def _short_path(folder: Path, launch: str) -> Path:
    """A short name for where Ray keeps its sockets and logs, in the launch's folder; old names are removed."""
    for old in SHORT.glob("lab-ray-*"):
        if old.is_symlink() and not old.exists():  # its folder has gone with a launch whose owner was killed
            with suppress(OSError):  # somebody else's
                old.unlink()
    (folder / "ray").mkdir()
    short = SHORT / f"lab-ray-{launch}"
    short.symlink_to(folder / "ray")
    return short
