"""What the tests of real servers share: apps, an owner to be killed, plain requests, a state folder of their own."""

import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from helpers import proc
from helpers.server import ports, registry
from tests.waiting import await_true

ROOT = Path(__file__).resolve().parent.parent
APPS = ROOT / "tests" / "apps"
BARE = {"app": "bare:app", "app_dir": str(APPS)}  # starts in a third of the time that FastAPI needs


@pytest.fixture
def state_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder of this test's own, in which no launch may be left at the end."""
    folder = tmp_path_factory.mktemp("tmp")
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    # another range of ports than the post's: whoever else works on this machine does not share this folder's locks
    monkeypatch.setattr(ports, "POSTS_PORT", random.randrange(20_000, 30_000))
    yield registry.state_folder()
    await_true(lambda: registry.servers() == [], 3, "a server runs on")  # clears away what a killed owner has left
    assert launch_folders() == []


def launch_folders() -> list[Path]:
    return list(registry.state_folder().glob("launch-*"))


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return dict(self.headers).get(name)

    def json(self) -> Any:
        return json.loads(self.body)


def get(url: str, path: str = "/", *, timeout_s: float = 10.0) -> Answer:
    """One request on a connection of its own, to the address as it stands: no proxy, no retry, no redirect."""
    host, port = url.removeprefix("http://").rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=timeout_s)
    try:
        connection.request("GET", path, headers={"connection": "close"})
        answer = connection.getresponse()
        return Answer(answer.status, [(name.lower(), value) for name, value in answer.getheaders()], answer.read())
    finally:
        connection.close()


def serves(url: str) -> bool:
    with suppress(OSError, http.client.HTTPException):
        return get(url, timeout_s=1).status == 200
    return False


def send_and_leave(url: str, path: str) -> socket.socket:
    """A request whose answer nobody waits for; the connection stays open until it is closed."""
    host, port = url.removeprefix("http://").rsplit(":", 1)
    connection = socket.create_connection((host, int(port)))
    connection.sendall(f"GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
    return connection


@contextmanager
def under_load(url: str, path: str, *, users: int = 4) -> Iterator[None]:
    """`users` threads send one request after the other, whatever becomes of them, until the block ends."""
    done = threading.Event()

    def send() -> None:
        while not done.wait(0.001):
            with suppress(OSError, http.client.HTTPException):
                get(url, path, timeout_s=0.5)

    threads = [threading.Thread(target=send, daemon=True) for _ in range(users)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def can_be_bound(port: int) -> bool:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def processes_of(folder: Path) -> list[int]:
    """The living processes that were started with this state folder: servers, their owners, and what they started."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("TMPDIR") == str(folder.parent) and proc.alive(process.pid):
                found.append(process.pid)
    return found


OWNER = """
import json, os, sys
from helpers.server import ports
from helpers.server.server import Server
ports.POSTS_PORT, arguments, before, after = json.loads(sys.argv[1])
print("up", flush=True)
exec(before)
server = Server(**arguments)
server.start()
print(json.dumps({"pid": server.pid, "workers": server.worker_pids, "url": server.url, "notice": server.notice}),
      flush=True)
exec(after)
sys.stdin.read()  # never outlives its test
os._exit(0)
"""


class Owner:
    """A Python process that owns a server, as a notebook's kernel does, and can be killed in its place.

    `before` and `after` are lines it runs before and after the start of its `server`.
    """

    def __init__(self, *, before: str = "", after: str = "", **arguments: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWNER, json.dumps([ports.POSTS_PORT, {**BARE, **arguments}, before, after])],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "up\n", self.process.communicate()[1]

    def __enter__(self) -> "Owner":
        return self

    def __exit__(self, *_error: object) -> None:
        self.process.kill()
        self.process.communicate()

    def await_ready(self) -> "dict[str, Any]":
        """What its server says of itself once it is ready."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        told: dict[str, Any] = json.loads(line)
        return told

    def await_launcher(self) -> int:
        """The pid of the server's first process as soon as there is one, ready or not."""

        def launcher() -> list[int]:
            below = proc.descendants(self.process.pid)
            return [pid for pid in below if re.search(r"child/launch\.py", proc.describe(pid, limit=1000))]

        return await_true(launcher, message="no server was started")[0]

    def tell(self, line: str) -> None:
        """Hand it a line, for which it waits in `before` or `after`."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
