"""What a worker adds around the app, any ASGI app, without touching its code.

Each HTTP answer carries the worker's pid, the launch id, and when the request arrived in the app and its answer began;
the status board counts requests begun and ended, and how late the event loop runs. A private path tells all of it to
whoever asks, so that a load test needs no more than the address to know whom it measured.
Standard library only: it runs inside the server's processes.
"""

import asyncio
import faulthandler
import json
import logging
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PRIVATE_PATH = "/.lab"
BEAT_S = 0.1
STACKS_FILE = "stacks-{pid}"  # in the launch's folder
STACKS_SIGNAL: int | None = getattr(signal, "SIGRTMAX", None) or getattr(signal, "SIGUSR2", None)  # None on Windows


class Instrumented:
    """The app, with stamps on its answers and its requests counted on the board."""

    def __init__(self, app: App, *, board: Any, board_module: Any, row: Any, launch: "dict[str, Any]") -> None:
        self.app = app
        self._board = board
        self._fields = board_module
        self._row = row
        self._launch = launch
        self._pid_header = (b"x-worker-pid", str(os.getpid()).encode())
        self._launch_header = (b"x-launch-id", launch["launch"].encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"].removeprefix(scope.get("root_path", "")) == PRIVATE_PATH:
            await self._tell(send)
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        handled_ns = time.perf_counter_ns()

        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [
                    *message.get("headers", ()),
                    self._pid_header,
                    self._launch_header,
                    (b"x-handled-ns", b"%d" % handled_ns),
                    (b"x-started-ns", b"%d" % time.perf_counter_ns()),
                ]
                message = {**message, "headers": headers}  # the app may send the same message again and again
            await send(message)

        self._row.add(self._fields.STARTED)
        try:
            await self.app(scope, receive, stamped)
        finally:
            self._row.add(self._fields.FINISHED)

    async def _tell(self, send: Send) -> None:
        body = json.dumps({**self._launch, "workers": self._workers()}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        headers += [self._pid_header, self._launch_header]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _workers(self) -> "list[dict[str, Any]]":
        fields = self._fields
        return [
            {
                "pid": row[fields.PID],
                "state": fields.STATES[row[fields.STATE]],
                "started": row[fields.STARTED],
                "finished": row[fields.FINISHED],
                "loop_lag_ms": row[fields.LOOP_LAG_NS] / 1e6,
            }
            for row in self._board.rows()
        ]


def leave_access_log_alone() -> None:
    """Keep the questions on the private path out of the access log: it shows what it would show without us."""
    logging.getLogger("uvicorn.access").addFilter(_is_the_apps_own)


def _is_the_apps_own(record: logging.LogRecord) -> bool:
    arguments = record.args  # of uvicorn's access log: client, method, path, HTTP version, status
    return not (isinstance(arguments, tuple) and len(arguments) > 2 and str(arguments[2]).endswith(PRIVATE_PATH))


def beat(loop: asyncio.AbstractEventLoop, row: Any, fields: Any) -> None:
    """From now on, write ten times a second how late the event loop was: where it is blocked, the beat stops."""

    def tick(due: float) -> None:
        now = loop.time()
        row.put(fields.LOOP_LAG_NS, max(0, int((now - due) * 1e9)))
        row.put(fields.BEAT_NS, time.perf_counter_ns())
        loop.call_at(now + BEAT_S, tick, now + BEAT_S)

    tick(loop.time())


def write_stacks_when_asked(folder: str) -> None:
    """From now on, a signal has faulthandler write where every thread stands: it needs neither the GIL nor the loop.

    The file begins with the identity of the main thread.
    """
    if STACKS_SIGNAL is None or not hasattr(faulthandler, "register"):
        return
    name = os.path.join(folder, STACKS_FILE.format(pid=os.getpid()))
    file = os.open(f"{name}.new", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)  # stays open
    os.write(file, b"%#x\n" % (threading.main_thread().ident or 0))
    faulthandler.register(STACKS_SIGNAL, file=file, all_threads=True)
    os.replace(f"{name}.new", name)  # who sees the file may send the signal
