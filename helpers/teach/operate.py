"""What notebook 09 does to servers beside an incident: stops them in mid-request, keeps one busy, sends bursts."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import httpx
import psutil

from helpers.errors import LabError
from helpers.load.run import load_test
from helpers.server.companion import Companion
from helpers.server.runners import RUNNERS
from helpers.server.server import Server
from helpers.teach.kinds import in_hand
from helpers.teach.together import Together, together

LOOK_S, WITHIN_S = 0.005, 10.0
BURST_S = 0.02  # over before the first answer, so that nobody asks twice


# ------------------------------------------------------------------------------------------------- in mid-request


def stop_in_mid_request(server: Server, path: str, *, requests: int, grace_s: float) -> Together:
    """Send so many requests at once, stop the server as soon as all are in hand, and say what became of them.

    `grace_s` is for how long the server may take its time before it is ended with SIGKILL.
    """
    stopper = threading.Thread(target=_stop_when_busy, args=(server, requests, grace_s), daemon=True)
    stopper.start()
    told = together(server.url, path, times=requests)
    stopper.join()
    return told


def _stop_when_busy(server: Server, requests: int, grace_s: float) -> None:
    end_s = time.monotonic() + WITHIN_S
    while in_hand(list(server.counts().values())) < requests and time.monotonic() < end_s:
        time.sleep(LOOK_S)
    server.stop(grace_s=grace_s)


def keep_busy(server: Server, for_s: float) -> None:
    """Block the event loop of one worker for so long, by a single request; returns at once."""
    address = f"{server.url}/blocking?ms={1000 * for_s:.0f}"
    threading.Thread(target=_ask, args=(address, for_s + WITHIN_S), daemon=True).start()


def stop_worker(server: Server, for_s: float) -> None:
    """Stop the process of the youngest worker (SIGSTOP) and let it go on after so long; returns at once."""
    process = psutil.Process(server.worker_pids[-1])
    process.suspend()
    timer = threading.Timer(for_s, _go_on, [process])
    timer.daemon = True
    timer.start()


def _go_on(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):  # it was replaced meanwhile
        process.resume()


def _ask(address: str, timeout_s: float) -> None:
    with suppress(httpx.HTTPError):  # its worker may be killed for it
        httpx.get(address, timeout=timeout_s, trust_env=False)


# ------------------------------------------------------------------------------------------------- behind a proxy


class Behind:
    """A proxy and the servers behind it, to be looked at as one; `servers` may be changed while it serves."""

    def __init__(self, proxy: Companion, servers: Sequence[Server]) -> None:
        self.proxy, self.servers = proxy, list(servers)
        self._gone: dict[int, tuple[int, int]] = {}

    @property
    def url(self) -> str:
        return self.proxy.url

    @property
    def worker_pids(self) -> list[int]:
        """The workers of all servers behind it."""
        return [pid for server in self.servers for pid in server.worker_pids]

    def counts(self) -> dict[int, tuple[int, int]]:
        """Per worker, those gone included: requests begun and finished."""
        for server in self.servers:
            with suppress(LabError):  # it is stopped: what was seen last stays
                self._gone |= server.counts()
        return dict(self._gone)


# ---------------------------------------------------------------------------------------------------------- a burst


@dataclass(frozen=True)
class Burst:
    """Requests that came at one moment: how many each worker took, how long the slowest took, how many failed."""

    shares: tuple[int, ...]  # the largest first
    slowest_s: float
    failed: int


def burst(url: str, path: str, *, times: int = 20, workers: int = 2) -> Burst:
    """Send so many requests at once, each on a connection of its own that is opened for it."""
    result = load_test(
        url + path, users=times, burst=True, duration=BURST_S, warmup=0, timeout=WITHIN_S, progress=False
    )
    records = result.records
    taken = [number for worker, number in Counter(records["worker"].tolist()).most_common() if worker]
    shares = tuple(taken + [0] * (workers - len(taken)))
    slowest_s = float(records["done_ns"].max() - records["intended_ns"].min()) / 1e9
    return Burst(shares, slowest_s, int((records["outcome"] != 0).sum()))


def runners_here() -> dict[str, str]:
    """Each server program that this course can start, and why it cannot be started here; empty where it can."""
    found = {}
    for name, runner in RUNNERS.items():
        try:
            runner.require()
            found[name] = ""
        except LabError as error:
            found[name] = f"{error.message}; {error.hint}"
    return found
