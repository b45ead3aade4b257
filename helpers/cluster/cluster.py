"""The same app on Ray Serve: two nodes of a cluster on this machine, replicas to be added, and nodes to be lost."""

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from html import escape
from types import TracebackType
from typing import Literal

from helpers.cluster.needs import require
from helpers.cluster.running import HOST, Running
from helpers.errors import InputError, StateError
from helpers.server import ports
from helpers.server.running import ask
from helpers.server.settings import checked, checked_workers

State = Literal["stopped", "starting", "ready", "degraded", "died"]
LOOK_EVERY_S = 0.02
NODES_MOST, CPUS_MOST = 4, 16
SCALE_WITHIN_S = 60.0


class Cluster:
    """An app on Ray Serve: `with Cluster(nodes=2) as cluster: load_test(cluster.url + "/cpu", users=16)`.

    Each node is a process group of its own with `cpus_per_node` CPUs as Ray counts them, and a replica takes one of
    them. All of it listens on loopback alone, in a network of its own where this user may have one; where not, it is
    one node with as many CPUs. `url` is a door into it. `env` and `app_dir` as for Server.

    Whatever happens to the process that owns it, no cluster outlives its owner. Raises InputError at once.
    """

    def __init__(
        self,
        app: str = "helpers.demo.api:app",
        *,
        nodes: int = 2,
        cpus_per_node: int = 1,
        replicas: int = 1,
        port: int | None = None,
        env: Mapping[str, str] | None = None,
        app_dir: str | os.PathLike[str] | None = None,
        start_timeout_s: float = 120.0,
    ) -> None:
        self._wanted = checked(
            app, workers=1, host=HOST, port=port, cpus=None, loop="auto", access_log=False, runner="uvicorn",
            instrument=True, options=None, env=env, app_dir=app_dir, python=None, threads=None,
            start_timeout_s=start_timeout_s,
        )  # fmt: skip
        self._nodes = _count("nodes", nodes, NODES_MOST)
        self._cpus_per_node = _count("cpus_per_node", cpus_per_node, CPUS_MOST)
        self._lock = threading.RLock()
        self._running: Running | None = None
        self._alive, self._cpus_each = self._nodes, self._cpus_per_node
        self._last_log = ""
        self.replicas = self._fitting(replicas)
        self.notice = ""

    # ------------------------------------------------------------------------------------------------- life cycle

    def start(self, on_stage: Callable[[str], None] | None = None) -> "Cluster":
        """Start it; returns when every replica serves. Does nothing when it runs. `on_stage` is told how far it is.

        Raises StateError where this machine cannot have one (before anything is started), PortError, StartError.
        """
        with self._lock:
            if self._running is not None and not self._running.over():
                return self
            self.stop()
            found = require(self._nodes, self.replicas)
            self._alive, self._cpus_each, self.notice = self._nodes, self._cpus_per_node, ""
            if self._nodes > found.nodes_most:
                self._alive, self._cpus_each = 1, self._nodes * self._cpus_per_node
                self.notice = f"one node with {self._cpus_each} CPUs: this user may not have a network of its own here"
            with ports.reserved(HOST, self._wanted.port or None) as port:
                launch = replace(self._wanted, port=port)
                self._running = Running(
                    launch,
                    nodes=self._alive,
                    cpus_per_node=self._cpus_each,
                    replicas=self.replicas,
                    apart=found.apart,
                )
            try:
                self._running.await_answer(self._wanted.start_timeout_s, on_stage)
                self._await_replicas(self._wanted.start_timeout_s)
            except BaseException:
                self.stop()
                raise
            return self

    def stop(self) -> None:
        """End it, at once. Twice does no harm."""
        with self._lock:
            self._alive, self._cpus_each = self._nodes, self._cpus_per_node
            if self._running is not None:
                self._last_log = self._running.read_log()
                self._running.end()
                self._running = None

    def __enter__(self) -> "Cluster":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # ------------------------------------------------------------------------------------------------ what it does

    def scale(self, replicas: int) -> "Cluster":
        """Run so many replicas, while it serves; returns when they do. Raises InputError, StateError."""
        with self._lock:
            running = self._require_running()
            self.replicas = self._fitting(replicas)
            running.ask("deploy", within_s=SCALE_WITHIN_S, replicas=replicas)
            self._await_replicas(SCALE_WITHIN_S)
            return self

    def autoscale(self, least: int, most: int, *, in_hand: float = 4.0) -> "Cluster":
        """Let Ray choose the number of replicas, so that each has about `in_hand` requests at a time."""
        with self._lock:
            running = self._require_running()
            self._fitting(most)
            self.replicas = checked_workers(least)
            running.ask("autoscale", within_s=SCALE_WITHIN_S, least=least, most=most, in_hand=in_hand)
            return self

    def kill_replica(self) -> int:
        """SIGKILL to the replica that came last; its pid. Ray starts another one by itself. Raises StateError."""
        serving = self.worker_pids
        if not serving:
            raise StateError("no replica serves", "wait until one does, or scale() it")
        os.kill(serving[-1], signal.SIGKILL)
        return serving[-1]

    def kill_node(self) -> int:
        """Kill the node that joined last, with all that runs on it, as when its host loses power; its pid."""
        with self._lock:
            running = self._require_running()
            if self.nodes < 2:
                raise StateError(
                    "there is only one node, the head", self.notice or "start a cluster with nodes=2, or add_node()"
                )
            pid: int = running.ask("kill_node", within_s=SCALE_WITHIN_S)["pid"]
            self._alive -= 1
            return pid

    def add_node(self) -> "Cluster":
        """Have one more node join; returns when it is in, and as many replicas run as are wanted and fit."""
        with self._lock:
            running = self._require_running()
            if not running.apart:
                raise StateError("a second node cannot join here", self.notice or "it needs a network of its own")
            self._alive += 1
            running.ask("add_node", within_s=SCALE_WITHIN_S)
            self._await_replicas(SCALE_WITHIN_S)
            return self

    # ------------------------------------------------------------------------------------------------- what it is

    @property
    def state(self) -> State:
        """stopped; starting; ready; degraded (fewer replicas serve than are wanted); died (by itself)."""
        running = self._running
        if running is None:
            return "stopped"
        if running.over():
            return "died"
        return "ready" if len(running.replicas()) >= self.replicas else "degraded"

    @property
    def url(self) -> str:
        """The address, such as http://127.0.0.1:5012. Raises StateError when it is not started."""
        return self._require_running().url

    @property
    def pid(self) -> int:
        """The process above all others of it. Raises StateError when it is not started."""
        return self._require_running().pid

    @property
    def nodes(self) -> int:
        """How many nodes there are, or will be."""
        return self._alive

    @property
    def worker_pids(self) -> list[int]:
        """The replicas that serve, in the order in which they came. Empty when it is not started."""
        running = self._running
        return [] if running is None else running.replicas()

    def counts(self) -> dict[int, tuple[int, int]]:
        """Per replica's pid, those gone included: requests started and finished since the launch."""
        return self._require_running().counts()

    @property
    def log(self) -> str:
        """What its processes wrote. Kept after a stop, until the next start."""
        running = self._running
        return self._last_log if running is None else running.read_log()

    def __repr__(self) -> str:
        running = self._running
        where = f", {running.url}, pid {running.pid}" if running is not None else ""
        return f"<Cluster {self._wanted.app!r}: {self.state}, nodes={self.nodes}, replicas={self.replicas}{where}>"

    def _repr_html_(self) -> str:
        state, running = self.state, self._running
        mark = {"ready": "●", "stopped": "○"}.get(state, "▲")
        parts = [f"<b>{mark} {state.upper()}</b>", _counted(self.nodes, "node"), _counted(self.replicas, "replica")]
        if running is not None:
            url = escape(running.url)
            parts += [f'<a href="{url}/docs" target="_blank">{url}</a>']
            parts += [f"serving: {', '.join(map(str, self.worker_pids))}", escape(running.ended)]
        parts.append(escape(self.notice))
        return f"<div>{' &nbsp;·&nbsp; '.join(filter(None, parts))}</div>"

    # --------------------------------------------------------------------------------------------------- plumbing

    def _require_running(self) -> Running:
        if self._running is None:
            raise StateError("the cluster is not started", "call start() first, or use `with Cluster(...) as cluster:`")
        if self._running.ended:
            raise StateError(f"the cluster has ended: {self._running.ended}", "start() starts it again")
        return self._running

    def _await_replicas(self, within_s: float) -> None:
        """Until as many replicas serve as are wanted, by the board, and the door leads to them."""
        running = self._require_running()
        deadline = time.monotonic() + within_s
        while len(running.replicas()) != self.replicas or ask(running.url) != running.id:
            self._require_running()
            if time.monotonic() > deadline:
                raise StateError(
                    f"{len(running.replicas())} of {self.replicas} replicas serve after {within_s:g} s",
                    "cluster.log says how far Ray came",
                )
            time.sleep(LOOK_EVERY_S)

    def _fitting(self, replicas: int) -> int:
        """The number of replicas, if there is a CPU for each. Raises InputError."""
        replicas, room = checked_workers(replicas), self._alive * self._cpus_each
        if replicas > room:
            raise InputError(
                f"replicas={replicas} do not fit: Ray reserves a CPU for each, and there are {room}",
                f"take at most {room}, or a cluster with more nodes or more cpus_per_node",
            )
        return replicas


def _count(name: str, given: int, most: int) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= most:
        raise InputError(f"{name}={given!r} cannot be had", f"give a whole number from 1 to {most}")
    return given


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
