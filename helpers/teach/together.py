"""Requests sent at the same moment, each by a client of its own, and when each was handled and answered."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    import pandas as pd

TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Answer:
    """One request; times in ms since all were sent off. Where the server does not tell, the pid and two are None."""

    worker: int | None
    sent_ms: float
    handled_ms: float | None
    started_ms: float | None
    done_ms: float
    outcome: str


@dataclass(frozen=True)
class Together:
    """What became of requests that were sent at the same moment."""

    path: str
    answers: tuple[Answer, ...]

    @property
    def took_s(self) -> float | None:
        """From the first request to the last answer; None when one of them failed."""
        if any(answer.outcome != "ok" for answer in self.answers):
            return None
        return (max(a.done_ms for a in self.answers) - min(a.sent_ms for a in self.answers)) / 1000

    @property
    def workers(self) -> set[int]:
        """The processes that answered."""
        return {answer.worker for answer in self.answers if answer.worker is not None}

    def frame(self) -> "pd.DataFrame":
        """A row per request, as timeline_plot wants it."""
        import pandas as pd

        return pd.DataFrame([vars(answer) for answer in self.answers]).assign(connection=range(len(self.answers)))

    def __str__(self) -> str:
        took = "not all were answered" if self.took_s is None else f"all answered after {self.took_s:.2f} s"
        return f"{len(self.answers)} x {self.path}: {took}"

    __repr__ = __str__


def together(url: str, path: str, times: int = 10) -> Together:
    """Send so many requests at once, from a thread and with an httpx client each, and wait for all answers."""
    gate = threading.Barrier(times)
    with ExitStack() as stack, ThreadPoolExecutor(times) as pool:
        clients = [stack.enter_context(httpx.Client(trust_env=False, timeout=TIMEOUT_S)) for _ in range(times)]
        began_ns = time.perf_counter_ns()
        sent = [pool.submit(_send, client, url + path, gate, began_ns) for client in clients]
        return Together(path, tuple(future.result() for future in sent))


def _send(client: httpx.Client, address: str, gate: threading.Barrier, began_ns: int) -> Answer:
    gate.wait()
    sent_ms = _ms(time.perf_counter_ns(), began_ns)
    try:
        answer = client.get(address)
    except httpx.HTTPError as error:
        return Answer(None, sent_ms, None, None, _ms(time.perf_counter_ns(), began_ns), type(error).__name__)
    done_ms = _ms(time.perf_counter_ns(), began_ns)
    stamps = {name: int(answer.headers.get(name, 0)) for name in ("x-worker-pid", "x-handled-ns", "x-started-ns")}
    outcome = "ok" if answer.is_success else f"status {answer.status_code}"
    if not all(stamps.values()):
        return Answer(None, sent_ms, None, None, done_ms, outcome)
    pid, handled_ns, started_ns = stamps.values()
    return Answer(pid, sent_ms, _ms(handled_ns, began_ns), _ms(started_ns, began_ns), done_ms, outcome)


def _ms(at_ns: int, began_ns: int) -> float:
    return (at_ns - began_ns) / 1e6
