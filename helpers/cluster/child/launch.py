"""The cluster's own process: starts its nodes, holds its door, and does what its owner asks on stdin.

It answers on stdout, a JSON object per line: `stage` while it starts, `done` or `failed` to each thing that is asked,
`over` when the cluster has ended by itself. Each node is a process group of its own, which the kernel of the operating
system kills as a whole when this process ends, however it ends.
"""

import asyncio
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from helpers import lifeline
from helpers.cluster.child.door import open_door

HOST = "127.0.0.1"
LOOK_EVERY_S = 0.05
OBJECT_STORE_BYTES = 80 * 2**20  # the least that Ray takes is 75 MiB; Serve does not use it for requests
# jsonschema would import it, if it can: building its grammar takes over a second in each of Ray's dozen processes
LEFT_OUT = "rfc3987_syntax"


class Launcher:
    """The nodes, the driver, and what the owner is told."""

    def __init__(self, settings: "dict[str, Any]") -> None:
        self._settings = settings
        self._folder = Path(settings["folder"])
        self._gcs_port, self.http_port = _free_ports(2)
        self._env = self._environment()
        self._nodes: list[lifeline.Child] = []
        self._driver: lifeline.Child | None = None

    # ------------------------------------------------------------------------------------------------ what it does

    def obey(self) -> None:
        """Start the cluster, then do one thing after the other until the owner closes its end."""
        self._answer(0, self._start)
        for line in sys.stdin:
            asked = json.loads(line)
            number = asked.pop("number")
            own = {"kill_node": self._kill_node, "add_node": self._add_node}.get(asked["do"])
            self._answer(number, own if own is not None else lambda asked=asked: self._ask_driver(**asked))

    def over(self) -> str:
        """Why the cluster cannot go on; empty while it can."""
        if self._nodes and self._nodes[0].process.poll() is not None:
            return f"its head node ended (exit code {self._nodes[0].process.returncode})"
        if self._driver is not None and self._driver.process.poll() is not None:
            return f"the process that talks to Ray ended (exit code {self._driver.process.returncode})"
        return ""

    def end_nodes(self) -> None:
        """The nodes with all that is in their process groups, also what one that ended by itself has left there."""
        for node in self._nodes:
            with suppress(ProcessLookupError):
                os.killpg(node.process.pid, signal.SIGKILL)

    def _start(self) -> "dict[str, Any]":
        tell("stage", what="the head node starts")
        self._start_node("--head", f"--port={self._gcs_port}", *self._head_options())
        self._driver = self._start_driver()
        while socket.socket().connect_ex((HOST, self._gcs_port)):
            time.sleep(LOOK_EVERY_S)
        for number in range(2, self._settings["nodes"] + 1):
            tell("stage", what=f"node {number} joins")
            self._start_node(f"--address={HOST}:{self._gcs_port}")
        tell("stage", what="Ray Serve starts")
        self._ask_driver(do="nodes", wanted=len(self._nodes))
        tell("stage", what="the replicas start")
        return self._ask_driver(do="deploy", replicas=self._settings["replicas"])

    def _kill_node(self) -> "dict[str, Any]":
        node = self._nodes.pop()
        node.kill()
        return {"pid": node.process.pid}

    def _add_node(self) -> "dict[str, Any]":
        self._start_node(f"--address={HOST}:{self._gcs_port}")
        return self._ask_driver(do="nodes", wanted=len(self._nodes))

    def _answer(self, number: int, do: Any) -> None:
        try:
            answer = do()
        except OSError as error:  # the driver has ended
            answer = {"failed": str(error)}
        tell("failed" if "failed" in answer else "done", number=number, **answer)

    # ---------------------------------------------------------------------------------------------- its processes

    def _start_node(self, *options: str) -> None:
        """`ray start`, as on a host of its own; it stays in the foreground, and all of it ends together."""
        options = (
            f"--num-cpus={self._settings['cpus_per_node']}", f"--node-ip-address={HOST}",
            f"--object-store-memory={OBJECT_STORE_BYTES}", "--include-log-monitor=false", *options,
        )  # fmt: skip
        ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *options]
        self._nodes.append(self._spawn("helpers.server.guard", os.devnull, *ray, group=True, stdin=subprocess.DEVNULL))

    def _head_options(self) -> "list[str]":
        return [
            f"--temp-dir={self._settings['ray_folder']}", "--include-dashboard=false", "--no-monitor",
            "--disable-usage-stats",
            f"--ray-client-server-port={_free_ports(1)[0]}",
        ]  # fmt: skip

    def _start_driver(self) -> lifeline.Child:
        child = Path(__file__).resolve().parent
        file = self._folder / "driver.json"
        paths = {"server_child": str(child.parents[1] / "server" / "child"), "replica": str(child / "replica.py")}
        ports = {"gcs_port": self._gcs_port, "http_port": self.http_port}
        launch = {"launch": {**self._settings["launch"], "parent": os.getppid()}}
        file.write_text(json.dumps(self._settings | paths | ports | launch))
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        return self._spawn("helpers.cluster.child.driver", str(file), **pipes)

    def _spawn(self, *words: str, **popen: Any) -> lifeline.Child:
        popen = {"stdout": sys.stderr, **popen}  # our own output is for the owner
        return lifeline.spawn([sys.executable, "-m", *words], env=self._env, **popen)

    def _ask_driver(self, **asked: Any) -> "dict[str, Any]":
        assert self._driver is not None
        stdin, stdout = self._driver.process.stdin, self._driver.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(asked) + "\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise OSError("the process that talks to Ray has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _environment(self) -> "dict[str, str]":
        """A fresh token that only these processes know; nothing of another Ray; and no report to anybody."""
        left_out = self._folder / "without"
        left_out.mkdir()
        (left_out / f"{LEFT_OUT}.py").write_text("raise ImportError\n")
        theirs = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        return {
            **theirs,
            **self._settings["env"],
            "PYTHONPATH": os.pathsep.join(filter(None, [str(left_out), os.environ.get("PYTHONPATH")])),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(24),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_process_group_cleanup_enabled": "0",  # its workers stay in the node's process group
            **self._settings["ray_env"],
        }


def tell(event: str, **fields: Any) -> None:
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def _free_ports(number: int) -> "list[int]":
    trials = [socket.create_server((HOST, 0)) for _ in range(number)]
    ports = [trial.getsockname()[1] for trial in trials]
    for trial in trials:
        trial.close()
    return ports


async def _hold(launcher: Launcher, listening: socket.socket) -> None:
    await open_door(listening, (HOST, launcher.http_port))
    while not (why := launcher.over()):
        await asyncio.sleep(LOOK_EVERY_S)
    launcher.end_nodes()
    tell("over", why=why)


def main() -> None:
    lifeline.die_with_parent(os.getpgrp())  # once more: who enters a user namespace is not tied any longer
    settings = json.loads(Path(sys.argv[1]).read_text())
    launcher = Launcher(settings)
    threading.Thread(target=launcher.obey, daemon=True, name="lab-cluster").start()
    work = _hold(launcher, socket.socket(fileno=settings["listening"]))
    try:
        import uvloop
    except ImportError:  # Windows
        asyncio.run(work)
    else:
        uvloop.run(work)


if __name__ == "__main__":
    main()
