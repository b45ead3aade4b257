"""One connection of the engine: writes the request, stamps and judges the answer. The hot path of every load test.

No pool and no retry: what happens to a request is its outcome. Every microsecond spent here is taken from the server
wherever both share a core, so: one clock reading per packet and per request, no callback per header, no timer per
request, and the request leaves with a bare send() at the moment it is stamped, not at the end of the loop's round.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter_ns as clock_ns
from typing import Any, Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from helpers.load.records import (
    BODY_MISMATCH,
    CONNECT_TIMEOUT,
    FLAG_FOREIGN,
    FLAG_FRESH,
    HTTP_4XX,
    HTTP_5XX,
    OK,
    PROTOCOL,
    REFUSED,
    RESET,
    STALE_CONN,
    TIMEOUT,
    Recorder,
)

_HEAD_BYTES = 4096  # the lab's four headers are looked for in so much of an answer
_LAB = b"x-worker-pid: "
# A kept-alive connection that breaks so soon after a send, without a byte, had been closed before the request came.
_STALE_WITHIN_NS = 10_000_000


class Model(Protocol):
    """Decides what a connection does next."""

    def finished(self, connection: "Connection", done_ns: int, outcome: int) -> None: ...


@dataclass
class Shared:
    """What all connections of one run have in common."""

    request: bytes
    address: tuple[str, int]
    recorder: Recorder
    launch: bytes | None  # id of the launch under test, None where the server is not instrumented
    expect_body: bytes | None
    new_connections: bool = False  # none is used for a second request
    model: Model = field(init=False)
    workers: dict[bytes, int] = field(default_factory=dict)  # pid as sent -> index in the records
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    errors: "Counter[str]" = field(default_factory=Counter)
    redirects: int = 0  # answers that point elsewhere


class Connection(asyncio.Protocol):
    """One TCP connection, used for one request after another; `usable` until either side ends it."""

    __slots__ = (
        "_feed", "_parser", "_recv", "_send", "_shared", "_task", "_transport", "body", "first_ns", "flags", "head",
        "index", "intended_ns", "keep", "messages", "sent_ns", "served", "status", "usable",
    )  # fmt: skip

    def __init__(self, shared: Shared, index: int) -> None:
        self._shared = shared
        self.index = index
        self.usable = False
        self.served = 0
        self.intended_ns = 0  # 0: no request in hand
        self.sent_ns = 0
        self.first_ns = 0
        self.flags = 0
        self.messages = 0
        self.status = 0
        self.keep = True
        self.head = b""
        self.body: bytearray | None = None
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    # ------------------------------------------------------------------------------------------------ opening

    def open(self) -> None:
        task = asyncio.get_running_loop().create_task(self._connect())
        self._shared.tasks.add(task)
        task.add_done_callback(self._shared.tasks.discard)
        self._task = task

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        address = self._shared.address
        sock = None
        try:
            sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM)
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(sock, address)
            # a socket of our own: the loop's transports would send only at the end of their round
            self._send: Callable[[bytes], int] = sock.send
            self._recv = sock.recv
            await loop.create_connection(lambda: self, sock=sock)
        except asyncio.CancelledError:
            if sock is not None and not hasattr(self, "_feed"):  # else it is the transport's, which closes it
                sock.close()
            raise
        except OSError as error:
            if sock is not None:
                sock.close()
            self._task = None  # not to be cancelled by what follows
            self._shared.errors[type(error).__name__] += 1
            self._fail(_outcome_of_connecting(error), clock_ns())
        finally:
            self._task = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass
        self._parser: Any = HttpResponseParser(_WithBody(self) if self._shared.expect_body is not None else self)
        self._feed: Callable[[bytes], None] = self._parser.feed_data
        self.usable = True
        if self.intended_ns:
            self.flags |= FLAG_FRESH
            if spoken_to(self._recv):
                self._fail(PROTOCOL, clock_ns())
            else:
                self._write()

    # ------------------------------------------------------------------------------------------------ sending

    def request(self, intended_ns: int, flags: int = 0) -> None:
        """Send the request now, or as soon as the connection is open."""
        self.intended_ns = intended_ns
        self.flags = flags
        if self.usable:
            self._write()

    def _write(self) -> None:
        request = self._shared.request
        self.sent_ns = clock_ns()
        try:
            sent = self._send(request)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._fail(self._broken(clock_ns()), clock_ns())
            return
        if sent != len(request):
            assert self._transport is not None
            self._transport.write(request[sent:])

    # ---------------------------------------------------------------------------------------------- receiving

    def data_received(self, data: bytes) -> None:
        now_ns = clock_ns()
        if not self.first_ns:
            if not self.intended_ns:  # an answer to no question, or one that came too late
                self._shared.errors["answer to no request"] += 1
                self.close()
                return
            self.first_ns = now_ns
            self.head = data
        elif len(self.head) < _HEAD_BYTES:
            self.head += data
        try:
            self._feed(data)
        except (HttpParserError, HttpParserUpgrade):
            self._fail(PROTOCOL, now_ns)
            return
        if self.messages:
            self._answered(now_ns)

    def on_message_complete(self) -> None:
        """Called by the parser, also for interim answers such as 100 Continue, which answer nothing yet."""
        status = self._parser.get_status_code()
        if status >= 200:
            self.status = status
            self.keep = self._parser.should_keep_alive()
            self.messages += 1

    def _answered(self, now_ns: int) -> None:
        shared = self._shared
        status = self.status
        outcome = OK
        if status >= 400:
            outcome = HTTP_5XX if status >= 500 else HTTP_4XX
        elif self.messages > 1:
            self._fail(PROTOCOL, now_ns)
            return
        elif status >= 300:
            shared.redirects += 1
        elif self.body is not None and bytes(self.body) != shared.expect_body:
            outcome = BODY_MISMATCH
        if self.body:
            self.body.clear()
        handled_ns = started_ns = worker = 0
        if shared.launch is not None:
            at = self.head.find(_LAB, 0, _HEAD_BYTES)
            if at >= 0:
                pid, launch, handled, started = self.head[at + 14 : at + 180].split(b"\r\n", 4)[:4]
                handled_ns = int(handled[14:])
                started_ns = int(started[14:])
                worker = shared.workers.get(pid) or shared.workers.setdefault(pid, len(shared.workers) + 1)
                if launch[13:] != shared.launch:
                    self.flags |= FLAG_FOREIGN
        shared.recorder.add(
            self.intended_ns, self.sent_ns, self.first_ns, now_ns,
            handled_ns, started_ns, self.index, worker, outcome, self.flags,
        )  # fmt: skip
        self.intended_ns = self.first_ns = self.messages = 0
        self.served = 1
        if not self.keep or shared.new_connections:
            self.close()
        shared.model.finished(self, now_ns, outcome)

    # ------------------------------------------------------------------------------------------------- ending

    def connection_lost(self, exc: Exception | None) -> None:
        if self.intended_ns and self.usable:
            now_ns = clock_ns()
            if exc is None and self._ends_with_connection():
                self.status = self._parser.get_status_code()
                self.keep = False
                self._answered(now_ns)
                return
            self._fail(self._broken(now_ns), now_ns)
        self.usable = False

    def _ends_with_connection(self) -> bool:
        """Whether the answer in hand is of the old kind that has no length and ends when the connection does."""
        head, end, _body = self.head.lower().partition(b"\r\n\r\n")
        return bool(end) and b"\r\ncontent-length:" not in head and b"\r\ntransfer-encoding:" not in head

    def _broken(self, now_ns: int) -> int:
        fresh = not self.served or self.first_ns
        return RESET if fresh or now_ns - self.sent_ns > _STALE_WITHIN_NS else STALE_CONN

    def expire(self, now_ns: int) -> None:
        """The request in hand has run out of time, wherever it got to."""
        self._fail(TIMEOUT if self.sent_ns else CONNECT_TIMEOUT, now_ns)

    def _fail(self, outcome: int, now_ns: int) -> None:
        intended_ns = self.intended_ns
        if intended_ns:
            self._shared.recorder.add(
                intended_ns, self.sent_ns, self.first_ns, now_ns, 0, 0, self.index, 0, outcome, self.flags
            )
        self.close()
        self._shared.model.finished(self, now_ns, outcome)

    def close(self) -> None:
        """End the connection at once; nothing more is heard of it."""
        self.usable = False
        self.intended_ns = 0
        if self._task is not None:
            self._task.cancel()
        if self._transport is not None:
            self._transport.abort()
            # parser and transport hold the connection as it holds them, and nobody collects here
            self._parser = self._feed = _deaf
            self._transport = None


class _WithBody:
    """The parser's view of a connection whose answers' bodies are compared."""

    def __init__(self, connection: Connection) -> None:
        self._body = connection.body = bytearray()
        self._keep = len(connection._shared.expect_body or b"") + 1
        self.on_message_complete = connection.on_message_complete

    def on_body(self, piece: bytes) -> None:
        if len(self._body) < self._keep:
            self._body += piece


def spoken_to(recv: Callable[[int, int], bytes]) -> bool:
    """Whether the server answers before anything was asked: such an answer would be taken for the request's.

    One that comes while the request is on its way cannot be told from a quick answer.
    """
    try:
        return bool(recv(1, socket.MSG_PEEK))
    except OSError:  # nothing there, as it should be; what else is wrong will be seen by the send
        return False


def _deaf(_data: bytes) -> None:
    """Stands for the parser of a closed connection."""


def _outcome_of_connecting(error: OSError) -> int:
    if isinstance(error, TimeoutError):
        return CONNECT_TIMEOUT
    return RESET if isinstance(error, ConnectionResetError | BrokenPipeError) else REFUSED
