"""The app under diagnosis as it runs: launched again and again with changes; or somebody else's, left alone."""

import os
import signal
import time
from contextlib import suppress

from helpers import proc
from helpers.diagnose.subject import Subject
from helpers.load.plan import split_url
from helpers.server.server import Server

LOOK_EVERY_S = 0.02
GRACE_S = 1.0  # for the requests in hand, when it is stopped


class Launches:
    """One launch at a time; `now` says with how many workers and threads, None while none runs."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.server: Server | None = None
        self.now: tuple[int, int | None] | None = None
        self.start_up_s: float | None = None  # of the first worker: imports and lifespan
        self.left_behind = 0  # processes that outlived the app that had started them

    def start(self, workers: int, threads: int | None) -> None:
        """Launch the app in the place of what runs. Raises StartError."""
        if self.server is None:
            self.server = Server(**self._subject.server_arguments(), workers=workers, threads=threads)
            self.server.start()
            self.start_up_s = max(self.server.start_ups_s().values(), default=None)
        else:
            self.stop()
            self.server.relaunch(workers=workers, threads=threads)
        self.now = (workers, threads)

    def stop(self) -> None:
        """End the app, and what it has started itself and left behind: all that is in the session of its launch."""
        self.now = None
        if self.server is None or self.server.state == "stopped":
            return
        session = self.server.pid
        self.server.stop(grace_s=GRACE_S)
        left = _await_none(session)  # multiprocessing's resource tracker ends by itself
        self.left_behind += len(left)
        for pid in left:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        _await_none(session)

    @property
    def address(self) -> str:
        return self._subject.address if self.server is None else self.server.url

    @property
    def log(self) -> str:
        """What the app wrote; empty where it is not ours."""
        return "" if self.server is None else self.server.log

    @property
    def pids(self) -> list[int]:
        """The processes that serve; of somebody else's server, those that hold its socket."""
        if self.server is not None:
            return self.server.worker_pids
        _host, port, _ = split_url(self.address)
        return proc.listening_pids(port)

    @property
    def finished(self) -> int:
        """Requests answered since the launch, by all workers."""
        counts = {} if self.server is None else self.server.counts()
        return sum(finished for _started, finished in counts.values())

    def memory_mb(self) -> float | None:
        """Memory of the largest worker: its own pages, and its part of the shared ones where the system tells."""
        sizes = [proc.pss_bytes(pid) or proc.rss_bytes(pid) for pid in self.pids]
        known = [size for size in sizes if size]
        return max(known) / 2**20 if known else None


def _await_none(session: int) -> list[int]:
    """Wait until nobody is left in that session, but not for long; returns who is."""
    deadline = time.monotonic() + GRACE_S
    while (left := proc.session(session)) and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_S)
    return left
