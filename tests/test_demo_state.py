"""demo/state.py is right with one worker and wrong with two; shared.py and shared_redis.py are right with two."""

import asyncio
import importlib
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from helpers.errors import StartError
from helpers.server.companion import Redis
from helpers.server.server import Server
from helpers.teach.chat import Heard, everyone_talks
from helpers.teach.live import until_replaced
from helpers.teach.shop import Shop, Wrong, ask, being_written, four_more, logged_out, lost_counts, strangers
from tests.serving import state_folder  # noqa: F401
from tests.tools import unavailable

IN_MEMORY, IN_A_FILE, IN_REDIS = (f"helpers.demo.{name}:app" for name in ("state", "shared", "shared_redis"))
NONE_WRONG = dict.fromkeys(("cache", "rate limiter", "session", "scheduler", "one connection"), 0)
PATIENT = {"DATABASE_PATIENCE_S": "0.2"}

pytestmark = pytest.mark.usefixtures("state_folder")


@pytest.fixture
def redis() -> Iterator[Redis]:
    """A Redis of this test's own."""
    if not Redis.available():
        unavailable("the program redis-server is not installed")
    with Redis() as server:
        yield server


@contextmanager
def shop(app: str, workers: int, **env: str) -> Iterator[tuple[Shop, Server]]:
    with Shop() as files, Server(app, workers=workers, env=files.env | env) as server:
        yield files, server


def numbers(server: Server, times: int = 60) -> list[int]:
    with strangers(server) as people:
        return [people.get("/visit").json()["visits"] for _ in range(times)]


def evening(server: Server, workers: int) -> Heard:
    return asyncio.run(everyone_talks(server.url, workers=workers))


def rooms(heard: Heard) -> list[int]:
    """How many people each worker serves."""
    pids = list(heard.people.values())
    return [pids.count(pid) for pid in set(pids)]


def wrong(found: Mapping[str, Wrong]) -> dict[str, int]:
    return {name: each.wrong for name, each in found.items()}


# --------------------------------------------------------------------------------------------------------- in memory


def test_in_memory_one_worker_is_right() -> None:
    with shop(IN_MEMORY, 1) as (files, server):
        assert numbers(server) == list(range(1, 61))
        assert evening(server, 1).arrived == 64
        assert len(files.mails("the shop is open")) == 1
        assert not logged_out(server).wrong


def test_in_memory_two_workers_disagree_and_each_that_starts_opens_the_shop() -> None:
    with shop(IN_MEMORY, 2) as (files, server):
        told, heard = numbers(server), evening(server, 2)
        assert len(set(told)) < len(told), "no number was given twice"
        assert heard.arrived == sum(number**2 for number in rooms(heard)) < 64
        assert len(files.mails("the shop is open")) == 2
        victim = server.worker_pids[0]
        psutil.Process(victim).kill()
        until_replaced(server, victim)
        assert len({mail.pid for mail in files.mails("the shop is open")}) == 3


def test_in_memory_two_workers_let_through_log_out_and_send_too_much() -> None:
    found = four_more(IN_MEMORY, 2)
    kept = found.pop("one connection")
    assert all(each.wrong > 0 and len(each.by_worker) == 2 for each in found.values()), found
    assert found["rate limiter"].wrong == found["rate limiter"].of - 10
    assert (kept.wrong, len(kept.by_worker)) == (0, 1), "a connection stays with its worker"


# ------------------------------------------------------------------------------------------------------- in one place


def test_in_a_file_two_workers_agree() -> None:
    with shop(IN_A_FILE, 2) as (files, server):
        assert numbers(server) == list(range(1, 61))
        assert evening(server, 2).arrived == 64
        assert len(files.mails("the shop is open")) == 1
        lost = {path: lost_counts(server, path, duration=0.4) for path in ("/visit/read-then-write", "/visit")}
    assert lost["/visit/read-then-write"].wrong > 0
    assert lost["/visit"].wrong == 0
    assert min(each.of for each in lost.values()) > 16


@pytest.mark.full
def test_in_a_file_nothing_of_the_four_is_wrong() -> None:
    assert wrong(four_more(IN_A_FILE, 2)) == NONE_WRONG


@pytest.mark.full
def test_a_transaction_that_is_the_only_one_to_write_loses_nothing() -> None:
    with shop(IN_A_FILE, 2) as (_, server):
        assert lost_counts(server, "/visit/in-transaction", duration=1.0).wrong == 0
        assert lost_counts(server, "/visit/with-lock", duration=1.0).wrong > 0


@pytest.mark.full
def test_the_shop_opens_once_for_each_release_however_many_workers_come() -> None:
    with shop(IN_A_FILE, 2) as (files, server):
        victim = server.worker_pids[0]
        psutil.Process(victim).kill()
        until_replaced(server, victim)
        server.relaunch()
        assert len(files.mails("the shop is open")) == 1
        server.relaunch(env=files.env | {"RELEASE": "2"})
        assert len(files.mails("the shop is open")) == 2


def test_in_redis_two_workers_agree(redis: Redis) -> None:
    with shop(IN_REDIS, 2, REDIS_URL=redis.url) as (files, server):
        assert numbers(server) == list(range(1, 61))
        assert evening(server, 2).arrived == 64
        assert len(files.mails("the shop is open")) == 1
        redis.stop()
        gone = ask(server, "/visit")
        assert gone.status == 503
        assert gone.said.startswith("redis: ")


def test_a_redis_on_the_default_port_is_never_asked_without_being_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    shared = importlib.import_module("helpers.demo.shared_redis").shared
    assert shared.connection_pool.connection_kwargs["port"] != 6379


@pytest.mark.full
def test_in_redis_nothing_of_the_four_is_wrong(redis: Redis) -> None:
    assert wrong(four_more(IN_REDIS, 2, redis_url=redis.url)) == NONE_WRONG


@pytest.mark.full
@pytest.mark.parametrize("app", [IN_A_FILE, IN_REDIS])
def test_the_lease_goes_on_to_another_worker_when_its_holder_is_killed(app: str, redis: Redis) -> None:
    with shop(app, 2, REDIS_URL=redis.url, NEWSLETTER_EVERY_S="0.05") as (files, _):
        sender = files.await_mails("newsletter", 5)[-1].pid
        killed_s = files.now_s
        psutil.Process(sender).kill()
        letters = files.await_mails("newsletter", 5, without=sender)
    assert {mail.pid for mail in letters if mail.at_s < killed_s} == {sender}
    assert len({mail.pid for mail in letters}) == 2


# ------------------------------------------------------------------------------------------------ a database in trouble


def test_a_locked_or_damaged_database_is_told_as_a_reason_and_a_locked_one_can_still_be_read() -> None:
    with shop(IN_A_FILE, 1, **PATIENT) as (files, server):
        assert ask(server, "/visit").status == 200
        with being_written(files.database):
            write, read = ask(server, "/visit"), ask(server, "/visits")
        assert (write.status, write.said) == (503, "the database: database is locked")
        assert write.after_s > 0.2
        assert (read.status, read.after_s < write.after_s) == (200, True)
        assert ask(server, "/visit").said.startswith("visits: 2,")
        with sqlite3.connect(files.database) as database:
            database.execute("DROP TABLE counters")
        assert (ask(server, "/visit").status, ask(server, "/visit").said) == (
            503,
            "the database: no such table: counters",
        )


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.full)])
def test_a_damaged_database_keeps_the_shop_closed_and_says_why(workers: int) -> None:
    with Shop() as files:
        files.database.write_bytes(b"this was a database " * 500)
        with pytest.raises(StartError, match="file is not a database"):
            Server(IN_A_FILE, workers=workers, env=files.env).start()


@pytest.mark.full
@pytest.mark.parametrize("workers", [1, 2])
def test_a_read_only_database_keeps_the_shop_closed_and_says_why(workers: int) -> None:
    with shop(IN_A_FILE, 1) as (files, server):
        server.stop()
        read_only = files.env | {"DATABASE": files.database.as_uri() + "?mode=ro"}
        with pytest.raises(StartError, match="attempt to write a readonly database"):
            Server(IN_A_FILE, workers=workers, env=read_only).start()


def test_a_folder_of_a_shop_goes_with_it(tmp_path: Path) -> None:
    with Shop() as files:
        assert files.folder.is_dir()
        assert files.mails() == []
    assert not files.folder.exists()
