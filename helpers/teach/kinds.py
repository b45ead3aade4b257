"""The seven kinds of endpoint, one load test for each, and how many requests a service has in hand meanwhile."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from types import TracebackType
from typing import Protocol

import httpx

from helpers.load.result import LoadResult
from helpers.load.run import load_test
from helpers.progress import progress_bar
from helpers.server.server import Server

KINDS = {
    "async work": "/cpu",
    "def work": "/cpu-def",
    "awaiting": "/sleep",
    "blocking in async def": "/blocking",
    "blocking in def": "/blocking-def",
    "shared downstream": "/downstream",
    "native code": "/native",
}
WARMUP_MOST_S = 0.5
TRIES = 3  # a void measurement is taken again
LOOK_EVERY_S = 0.02
ASK_TIMEOUT_S = 10.0


class Addressed(Protocol):
    """What has an address: a Server, a Cluster, a proxy."""

    @property
    def url(self) -> str: ...


def measure(server: Addressed, *paths: str, users: int = 16, duration: float) -> dict[str, LoadResult]:
    """One load test for each path, one after the other on the same launch; a void one is taken again, at most twice."""
    found, warmup_s = {}, min(WARMUP_MOST_S, duration / 2)
    for path in progress_bar(paths, "endpoints", shown=len(paths) > 3):
        for _ in range(TRIES):
            found[path] = load_test(server.url + path, users=users, duration=duration, warmup=warmup_s, progress=False)
            if found[path].verdict != "void":
                break
    return found


def per_s(result: LoadResult | None) -> float | None:
    """Answers per second of a valid measurement; None for a void one, or none."""
    if result is None or result.verdict == "void" or not result.achieved_per_s:
        return None
    return result.achieved_per_s


def cores_of(result: LoadResult | None) -> float | None:
    """Cores' worth of CPU that the server used, with all its processes; None where it was not measured."""
    if result is None or result.verdict == "void" or result.cpu is None:
        return None
    return sum(result.cpu.workers.values()) + result.cpu.rest_of_server


def gain(one: LoadResult | None, other: LoadResult | None) -> float | None:
    """How many times the answers of the first; None where one of them is void."""
    base, more = per_s(one), per_s(other)
    return None if base is None or more is None else more / base


@dataclass(frozen=True)
class Held:
    """Requests that a server had begun and not finished: the usual number, and the most at one look."""

    usual: float
    most: int


class InHand:
    """`with InHand(api, downstream) as held: load_test(...)`: each server's requests begun and not finished yet.

    By the servers' own counts, fifty looks a second; `held[server]` afterwards.
    """

    def __init__(self, *servers: Server) -> None:
        self._servers = servers
        self._looks: list[list[int]] = [[] for _ in servers]
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="lab-in-hand")

    def __getitem__(self, server: Server) -> Held:
        looks = self._looks[self._servers.index(server)]
        busy = looks[len(looks) // 4 :]  # the connections are opened one by one
        return Held(median(busy) if busy else 0.0, max(busy, default=0))

    def __enter__(self) -> "InHand":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(LOOK_EVERY_S):
            for server, looks in zip(self._servers, self._looks, strict=True):
                looks.append(in_hand(list(server.counts().values())))


def in_hand(counts: Sequence[tuple[int, int]]) -> int:
    """Requests started and not finished, over all workers."""
    return sum(max(0, started - finished) for started, finished in counts)


def asked(url: str, *, users: int = 4, times: int = 8, every_s: float = 0.07) -> Iterator[int]:
    """Yield so many times, at that distance, while `users` ask this address again and again in the background."""
    end = threading.Event()
    threads = [threading.Thread(target=_ask_until, args=(url, end), daemon=True) for _ in range(users)]
    for thread in threads:
        thread.start()
    try:
        for number in range(times):
            end.wait(every_s)
            yield number
    finally:
        end.set()
        for thread in threads:
            thread.join()


def _ask_until(url: str, end: threading.Event) -> None:
    with httpx.Client(trust_env=False, timeout=ASK_TIMEOUT_S) as client, suppress(httpx.HTTPError):
        while not end.is_set():
            client.get(url)
