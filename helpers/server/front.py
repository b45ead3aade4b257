"""What stands behind a proxy, told as one launch: so a load test knows who answered, also when it asks the proxy.

The proxy hands the questions on the private path to this thread of the owner, which asks every server behind it.
"""

import http.client
import json
import os
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from helpers.server.child.instrument import PRIVATE_PATH

ASK_TIMEOUT_S = 1.5
CLOSE_WITHIN_S = 0.05


class Front:
    """Tells of all servers that ever stood behind this launch of a proxy; of a worker that is gone, what it told last.

    `pid_file` is where the proxy writes its pid.
    """

    def __init__(self, launch: str, host: str, pid_file: Path) -> None:
        self._launch = launch
        self._pid_file = pid_file
        self._owner = os.getpid()
        self._urls: dict[str, None] = {}  # a set that keeps its order
        self._workers: dict[int, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer((host, 0), self._handler())
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(CLOSE_WITHIN_S,), daemon=True, name="lab-front"
        )
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def add(self, urls: Iterable[str]) -> None:
        with self._lock:
            self._urls |= dict.fromkeys(urls)

    def close(self) -> None:
        if os.getpid() != self._owner:  # a forked copy of the owner has no such thread
            return
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def tell(self) -> dict[str, Any] | None:
        """In the form of the private path; None where a server behind it does not say who it is, or nobody does."""
        with self._lock:
            with ThreadPoolExecutor(len(self._urls)) as pool:
                answers = [each for each in pool.map(_ask, self._urls) if each is not None]
            if not answers or {} in answers:
                return None
            for worker in self._workers.values():
                worker["state"] = "gone"
            self._workers |= {worker["pid"]: worker for each in answers for worker in each["workers"]}
            return {
                **answers[0],
                "launch": self._launch,
                "parent": int(self._pid_file.read_text()),
                "workers_wanted": sum(each["workers_wanted"] for each in answers),
                "workers": list(self._workers.values()),
            }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        tell = self.tell

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                told = tell()
                body = b"" if told is None else json.dumps(told).encode()
                self.send_response(404 if told is None else 200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: Any) -> None:
                pass

        return Handler


def _ask(url: str) -> dict[str, Any] | None:
    """What the server there says of itself; {} for one that does not, None when nobody answers."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=ASK_TIMEOUT_S)
    try:
        connection.request("GET", PRIVATE_PATH, headers={"connection": "close"})
        answer = connection.getresponse()
        body = answer.read()
        return dict(json.loads(body)) if answer.getheader("x-launch-id") else {}
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
