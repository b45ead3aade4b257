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
import sys
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Describe = Callable[[Any, Any, Any], "dict[str, Any]"]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PRIVATE_PATH = "/.lab"
BEAT_S = 0.1
STACKS_FILE = "stacks-{pid}"  # in the launch's folder
STACKS_SIGNAL: int | None = getattr(signal, "SIGRTMAX", None) or getattr(signal, "SIGUSR2", None)  # None on Windows


class Instrumented:
    """The app, with stamps on its answers and its requests counted on the board."""

    def __init__(
        self, app: App, *, board: Any, board_module: Any, row: Any, launch: "dict[str, Any]", describe: Describe
    ) -> None:
        self.app = app
        self._board = board
        self._fields = board_module
        self._row = row
        self._launch = launch
        self._describe = describe
        self._last: tuple[Any, Any] = (None, None)  # the endpoint of the last request that reached one, and its route
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
            if "endpoint" in scope:  # Starlette's router says there which function it has called
                self._last = scope["endpoint"], scope.get("route")

    async def _tell(self, send: Send) -> None:
        about = {"endpoint": self._describe(self.app, *self._last), "workers": self._workers()}
        body = json.dumps({**self._launch, **about}).encode()
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
    for program in ("uvicorn", "gunicorn", "granian"):
        logging.getLogger(f"{program}.access").addFilter(_is_the_apps_own)


def _is_the_apps_own(record: logging.LogRecord) -> bool:
    about: Any = record.args  # uvicorn: client, method, path, HTTP version, status; granian and gunicorn: by name
    path = about.get("path", about.get("U")) if isinstance(about, dict) else about[2] if len(about or ()) > 2 else ""
    return not str(path).endswith(PRIVATE_PATH)


def thread_pool(size: "int | None") -> Any:
    """anyio's limiter of the threads in which `def` code runs, set to `size` if given; None where nobody uses anyio.

    To be called from a task of the event loop: the limiter is the loop's own.
    """
    to_thread = sys.modules.get("anyio.to_thread")
    if to_thread is None:
        return None
    limiter = to_thread.current_default_thread_limiter()
    if size is not None:
        limiter.total_tokens = size
    return limiter


def beat(loop: asyncio.AbstractEventLoop, row: Any, fields: Any, threads: Any) -> None:
    """From now on, write ten times a second how late the event loop was: where it is blocked, the beat stops.

    And how busy the thread pool is (see there).
    """

    def tick(due: float) -> None:
        now = loop.time()
        row.put(fields.LOOP_LAG_NS, max(0, int((now - due) * 1e9)))
        if threads is not None:
            row.put(fields.THREADS, int(min(threads.total_tokens, 1 << 32)))  # it may be infinite
            row.put(fields.THREADS_BUSY, threads.borrowed_tokens)
            row.put(fields.THREADS_AWAITED, threads.statistics().tasks_waiting)
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
