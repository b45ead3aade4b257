"""What notebook 08 does to a small shop: visits it, logs in, reads its outbox, and counts what goes wrong."""

import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import httpx

from helpers.errors import StateError
from helpers.load.run import load_test
from helpers.server.server import Server

OUTBOX = "outbox.txt"
SEARCHES_ALLOWED = 10  # per minute, in helpers/demo/state.py
TIMES, MORE_AT_MOST = 40, 5
OLD_CENTS, NEW_CENTS = 100, 120
LETTER_EVERY_S, LETTERS = 0.05, 10
TIMEOUT_S, LOOK_EVERY_S = 10.0, 0.01


@dataclass(frozen=True)
class Mail:
    """One line of the outbox: when it was written (seconds since the shop was made), and by which process."""

    at_s: float
    pid: int
    about: str


class Shop:
    """The folder of one shop: its price list, its outbox, its database. `with Shop() as shop`, or `remove()` it."""

    def __init__(self) -> None:
        self._kept = tempfile.TemporaryDirectory(prefix="lab-shop-")  # goes with this process at the latest
        self.folder = Path(self._kept.name)
        self.database = self.folder / "shop.sqlite"
        self._began = time.time()
        (self.folder / "prices.txt").write_text(str(OLD_CENTS))

    @property
    def env(self) -> dict[str, str]:
        """What a server must know to serve this shop."""
        return {"SHOP_FOLDER": str(self.folder), "DATABASE": str(self.database)}

    @property
    def now_s(self) -> float:
        """This moment on the clock of the mails."""
        return time.time() - self._began

    def mails(self, about: str = "") -> list[Mail]:
        """The outbox, in the order of writing; only the mails about that, if given."""
        outbox, found = self.folder / OUTBOX, []
        for line in outbox.read_text().splitlines() if outbox.exists() else ():
            at, pid, subject = line.split(" ", 2)
            if about in subject:
                found.append(Mail(float(at) - self._began, int(pid), subject))
        return found

    def await_mails(self, about: str, times: int, *, without: int | None = None) -> list[Mail]:
        """Wait until so many more have been sent by some one process, other than `without`; all mails about that.

        Raises StateError when they do not come.
        """
        before, deadline = self.now_s, time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            found = self.mails(about)
            pids = [mail.pid for mail in found if mail.at_s > before and mail.pid != without]
            if any(pids.count(pid) >= times for pid in set(pids)):
                return found
            time.sleep(LOOK_EVERY_S)
        raise StateError(f"no {times} mails about {about!r} were sent within {TIMEOUT_S:g} s", "does the server run?")

    def remove(self) -> None:
        self._kept.cleanup()

    def __enter__(self) -> "Shop":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


@contextmanager
def strangers(server: Server) -> Iterator[httpx.Client]:
    """A client that takes a new connection for each request, as so many people would."""
    headers = {"connection": "close"}
    with httpx.Client(base_url=server.url, trust_env=False, timeout=TIMEOUT_S, headers=headers) as client:
        yield client


# -------------------------------------------------------------------------------------------------------- what is wrong


@dataclass(frozen=True)
class Wrong:
    """How many of so many were not as they should be."""

    wrong: int
    of: int
    by_worker: tuple[int, ...] = ()  # how many each worker answered

    @property
    def share(self) -> float:
        """0 to 1."""
        return self.wrong / self.of if self.of else 0.0

    def __str__(self) -> str:
        return f"{self.wrong:,} of {self.of:,}"


def lost_counts(server: Server, path: str, *, users: int = 16, duration: float) -> Wrong:
    """Load an endpoint that counts its visits: how many, by the server's own count, are missing in the database."""
    with strangers(server) as client:
        known = client.get("/visits").json()["visits"]
        before = server.counts()
        load_test(server.url + path, users=users, duration=duration, warmup=0, progress=False)
        served = tuple(begun - before[pid][0] for pid, (begun, _) in sorted(server.counts().items()))
        counted = client.get("/visits").json()["visits"] - known
        return Wrong(sum(served) - counted, sum(served), served)


# ---------------------------------------------------------------------------------------- four more, and their wrongs


def _asked(client: httpx.Client, path: str, workers: int, times: int = TIMES) -> list[httpx.Response]:
    """Ask so many times; and a few times more, if chance brought none of these to one of the workers."""
    found: list[httpx.Response] = []
    while len(found) < times or (len(_by_worker(found)) < workers and len(found) < MORE_AT_MOST * times):
        found.append(client.get(path))
    return found


def _by_worker(answers: Sequence[httpx.Response]) -> tuple[int, ...]:
    """How many answers came from each worker, by pid."""
    pids = [int(answer.headers["x-worker-pid"]) for answer in answers]
    return tuple(pids.count(pid) for pid in sorted(set(pids)))


def stale_prices(server: Server) -> Wrong:
    """Everybody has read the price; it is changed; who is told the old one?"""
    with strangers(server) as client:
        _asked(client, "/price", server.workers, TIMES // 2)
        client.put("/price", params={"cents": NEW_CENTS}).raise_for_status()
        answers = _asked(client, "/price", server.workers)
    told = [answer.json()["cents"] for answer in answers]
    return Wrong(told.count(OLD_CENTS), len(told), _by_worker(answers))


def searches_let_through(server: Server) -> Wrong:
    """One client searches more often than it may: of those let through, how many were too many?"""
    with strangers(server) as client:
        answers = _asked(client, "/search?client=ada", server.workers)
    through = [answer.status_code for answer in answers].count(200)
    return Wrong(max(0, through - SEARCHES_ALLOWED), through, _by_worker(answers))


def logged_out(server: Server, *, one_connection: bool = False) -> Wrong:
    """Somebody logs in, and goes on, from page to page: how often is the session not known?"""
    headers = {} if one_connection else {"connection": "close"}
    with httpx.Client(base_url=server.url, trust_env=False, timeout=TIMEOUT_S, headers=headers) as client:
        client.post("/login", params={"user": "ada"}).raise_for_status()
        answers = _asked(client, "/me", 1 if one_connection else server.workers)
    codes = [answer.status_code for answer in answers]
    return Wrong(codes.count(401), len(codes), _by_worker(answers))


def letters_too_many(shop: Shop) -> Wrong:
    """Wait for some newsletters. Due were as many as the busiest process sent: its clock is as good as any."""
    began = shop.now_s
    pids = [mail.pid for mail in shop.await_mails("newsletter", LETTERS) if mail.at_s > began]
    due = max(map(pids.count, pids))
    return Wrong(len(pids) - due, len(pids), tuple(pids.count(pid) for pid in sorted(set(pids))))


def four_more(app: str, workers: int, *, redis_url: str = "") -> dict[str, Wrong]:
    """The cache, the limiter, the session and the scheduler of one app, on a launch of its own.

    And the session on one connection that stays open.
    """
    with Shop() as shop:
        env = {**shop.env, "NEWSLETTER_EVERY_S": str(LETTER_EVERY_S), "REDIS_URL": redis_url}
        with Server(app, workers=workers, env=env) as server:
            return {
                "cache": stale_prices(server),
                "rate limiter": searches_let_through(server),
                "session": logged_out(server),
                "scheduler": letters_too_many(shop),
                "one connection": logged_out(server, one_connection=True),
            }


# ------------------------------------------------------------------------------------------------ a database in trouble


@dataclass(frozen=True)
class Reply:
    """What became of one request: status, what it said, and how long it took."""

    request: str
    status: int
    said: str
    after_s: float


def ask(server: Server, path: str) -> Reply:
    """One request, with its answer in words: the detail of an error, else the numbers."""
    with strangers(server) as client:
        began = time.perf_counter()
        answer = client.get(path)
        after_s = time.perf_counter() - began
    told = answer.json()
    said = told.get("detail") or ", ".join(f"{name}: {value}" for name, value in told.items())
    return Reply(f"GET {path}", answer.status_code, said, after_s)


@contextmanager
def being_written(database: Path) -> Iterator[None]:
    """Somebody else writes into that file, and does not come to an end: a backup, a migration, a forgotten shell."""
    with closing(sqlite3.connect(database, isolation_level=None)) as somebody:
        somebody.execute("BEGIN EXCLUSIVE")
        yield
        somebody.rollback()
