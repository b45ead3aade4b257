"""Servers that misbehave in exactly one way, for the load engine's tests: plain sockets, a thread per client.

`serve(answer)` calls `answer(client, number)` for every request, counted over all connections from 0. Whoever asks with
"accept-encoding", as the load test's first look does, gets a proper answer instead: what is tested is the engine.
"""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

Answer = Callable[[socket.socket, int], None]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def reset(client: socket.socket) -> None:
    """Close with a RST instead of a FIN."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@contextlib.contextmanager
def serve(
    answer: Answer,
    *,
    greet: Callable[[socket.socket], None] = lambda _client: None,
    about: bytes = b"",
    port: int = 0,
) -> Iterator[str]:
    """The URL of a server that answers so; everything of it has ended afterwards.

    `greet` is called with each new connection, `about` is the answer to the question who it is (GET /.lab). Two
    servers given the same `port` share it, and the kernel deals out the connections.
    """
    listener = socket.create_server(("127.0.0.1", port), backlog=1024, reuse_port=port > 0)
    clients: list[socket.socket] = []
    counter = iter(range(1 << 30))
    lock = threading.Lock()

    def number() -> int:
        with lock:
            return next(counter)

    def first_look(request: bytes) -> bytes:
        if request.startswith(b"GET /.lab ") and about:
            return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(about) + about
        return OK if request.startswith(b"GET / ") else b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n"

    def talk(client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            greet(client)
            while request := _request(client):
                if b"accept-encoding" in request.lower():
                    client.sendall(first_look(request))
                else:
                    answer(client, number())

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _address = listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                clients.append(client)
                threading.Thread(target=talk, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for client in clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            client.close()


def _request(client: socket.socket) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request:
        piece = client.recv(65536)
        if not piece:
            return b""
        request += piece
    return request
