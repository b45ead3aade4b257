"""A server's start, watched without waiting for it: its log as it comes, and requests that are refused or answered."""

import threading
import time
from contextlib import suppress
from types import TracebackType

import httpx

from helpers import proc
from helpers.errors import StateError
from helpers.plots.startup import BANNER, Probe, Start
from helpers.server.server import Server

PROBE_EVERY_S = 0.1
LOOK_EVERY_S = 0.02
AFTERWARDS_S = 0.7  # so that some answers are seen too
LEVEL = "INFO:"


class Watched:
    """A start that goes on while it is looked at: `with starting(server) as start: while start.watching: ...`.

    Everything is printed as it comes. The server is stopped at the end of the block. Raises what `Server.start` raises.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._lines: list[tuple[float, str]] = []
        self._probes: list[Probe] = []
        self._said: tuple[bool, bool] | None = None
        self._born: dict[int, float] = {}
        self._ready: dict[int, float] = {}
        self._ready_s: float | None = None
        self._end_s: float | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._start, daemon=True, name="lab-start")
        self._began = time.perf_counter()

    def __enter__(self) -> "Watched":
        self.server.stop()
        self._began = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_s = self._now()
        self.server.stop()
        self._thread.join()

    @property
    def watching(self) -> bool:
        """True until shortly after the server is ready."""
        self._look()
        if self._failure is not None:
            raise self._failure
        return self._ready_s is None or self._now() < self._ready_s + AFTERWARDS_S

    def send(self, path: str) -> None:
        """Send one request, wait for what becomes of it, then look at the log until the next one is due."""
        due = self._now() + PROBE_EVERY_S
        with suppress(StateError):  # nothing is started yet: there is no address
            url = self.server.url
            at, pid = self._now(), _who_answers(url + path)
            self._note(Probe(at, pid))
        while self._now() < due:
            self._look()
            time.sleep(LOOK_EVERY_S)

    def seen(self) -> Start:
        """All that was seen: the process that was started, and those that came to serve."""
        first = next(iter(self._born), None)
        born = {pid: at for pid, at in self._born.items() if pid in self._ready or pid == first}
        end_s = self._now() if self._end_s is None else self._end_s
        return Start(self.server.workers, tuple(self._lines), tuple(self._probes), born, dict(self._ready), end_s)

    @property
    def log(self) -> str:
        """What the server has written."""
        return "\n".join(line for _, line in self._lines)

    def _now(self) -> float:
        return time.perf_counter() - self._began

    def _start(self) -> None:
        try:
            self.server.start()
        except BaseException as failure:  # handed to the thread that watches
            self._failure = failure
            return
        self._ready_s = self._now()

    def _look(self) -> None:
        with suppress(StateError):
            parent = self.server.pid
            for pid in (parent, *proc.descendants(parent)):
                self._born.setdefault(pid, self._now())
        for pid in self.server.worker_pids:
            self._ready.setdefault(pid, self._now())
        written = self.server.log
        complete = written[: written.rfind("\n") + 1].splitlines()
        for line in complete[len(self._lines) :]:
            self._lines.append((self._now(), line))
            self._say("log", line.removeprefix(LEVEL).strip())

    def _note(self, probe: Probe) -> None:
        """Keep it, and say so where it went otherwise than the one before, and after the banner."""
        self._probes.append(probe)
        refused = sum(each.pid is None for each in self._probes)
        claimed = any(BANNER in line for _, line in self._lines)
        if (state := (probe.pid is None, claimed and probe.pid is None)) != self._said:
            self._said = state
            answered = f"answered by pid {probe.pid}; {refused} were refused before it"
            self._say("request", "refused: nobody listens" if probe.pid is None else answered)

    def _say(self, who: str, what: str) -> None:
        print(f"{self._now():5.2f} s   {who:8} {what}", flush=True)


def starting(server: Server) -> Watched:
    """The start of `server`, to be watched."""
    return Watched(server)


def _who_answers(url: str) -> int | None:
    """The pid that answers, on a connection of its own; None where nobody does."""
    try:
        answer = _client().get(url, headers={"connection": "close"})
        return int(answer.headers.get("x-worker-pid", 0)) or None if answer.is_success else None
    except httpx.HTTPError:
        return None


_clients: list[httpx.Client] = []


def _client() -> httpx.Client:
    """One client for all: making one takes longer than a request."""
    if not _clients:
        _clients.append(httpx.Client(trust_env=False, timeout=2.0))
    return _clients[0]
