"""Nothing outlives its owner: owner, launcher or worker killed at any time, at seeded moments, with real processes.

Each combination is tried 5 times in `test` and 30 times in `test --full`.
"""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from helpers import proc
from helpers.errors import LabError, PortError, StartError
from helpers.server import ports, registry
from helpers.server.running import Running
from helpers.server.server import Server
from tests.serving import (
    BARE,
    ROOT,
    Owner,
    can_be_bound,
    free_port,
    get,
    launch_folders,
    send_and_leave,
    serves,
    state_folder,
    under_load,
)
from tests.waiting import await_still_true, await_true

pytestmark = [
    pytest.mark.usefixtures("state_folder"),
    pytest.mark.skipif(not proc.LINUX, reason="elsewhere the death of an owner is noticed on a best effort"),
]
__all__ = ["state_folder"]
GONE_WITHIN_S = 3.0
TRIALS = pytest.mark.parametrize("trials", [3, pytest.param(30, marks=pytest.mark.full)])
STAGES = pytest.mark.parametrize("stage", ["idle", "load", "regex"])


@dataclass
class Family:
    """The processes of one launch and the port they serve on; who is gone is told by pid and time of creation."""

    members: dict[int, float]
    port: int

    @classmethod
    def of(cls, launcher: int, port: int) -> "Family":
        return cls(registry.family(launcher, proc.create_time(launcher) or 0.0), port)

    def assert_gone(self) -> None:
        left = lambda: [pid for pid, created in self.members.items() if proc.alive(pid, created)]  # noqa: E731
        await_true(lambda: not left(), GONE_WITHIN_S, "processes of the launch live on")
        await_true(lambda: can_be_bound(self.port), GONE_WITHIN_S, f"port {self.port}: {ports.taken_by(self.port)}")


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def pause(chance: random.Random, up_to_s: float) -> None:
    time.sleep(chance.uniform(0, up_to_s))  # the moment of the blow is what is being varied


@contextmanager
def busy(stage: str, url: str, workers: int):
    """The server idle, under load, or with every worker holding the GIL in a regular expression that never ends."""
    with ExitStack() as stack:
        if stage == "load":
            stack.enter_context(under_load(url, "/work"))
        elif stage == "regex":
            for _ in range(4 * workers):  # spread by chance: some worker holds it, mostly all do
                stack.enter_context(send_and_leave(url, "/regex"))
        yield


# --------------------------------------------------------------------------------------------------- the owner killed


@TRIALS
def test_the_owner_killed_while_its_server_starts(trials):
    for trial in range(trials):
        chance = random.Random(f"owner start {trial}")
        port, workers = free_port(), chance.choice([1, 2, 3])
        with Owner(workers=workers, port=port) as owner:
            launcher = owner.await_launcher()
            created = proc.create_time(launcher) or 0.0
            pause(chance, 0.8)
            family = registry.family(launcher, created)
            owner.kill()
            Family(family | {launcher: created}, port).assert_gone()
        assert registry.servers() == []


@TRIALS
@STAGES
def test_the_owner_killed_while_its_server_runs(stage, trials):
    for trial in range(trials):
        chance = random.Random(f"owner {stage} {trial}")
        workers = chance.choice([1, 2])
        with Owner(workers=workers) as owner:
            told = owner.await_ready()
            family = Family.of(told["pid"], int(told["url"].rpartition(":")[2]))
            assert len(family.members) == (1 if workers == 1 else workers + 2)
            with busy(stage, told["url"], workers):
                pause(chance, 0.2)
                owner.kill()
                family.assert_gone()


@TRIALS
def test_the_owner_killed_while_it_stops_its_server(trials):
    for trial in range(trials):
        chance = random.Random(f"owner stop {trial}")
        workers = chance.choice([1, 2])
        with Owner(workers=workers, after="sys.stdin.readline(); server.stop(grace_s=20)") as owner:
            told = owner.await_ready()
            family = Family.of(told["pid"], int(told["url"].rpartition(":")[2]))
            with send_and_leave(told["url"], "/sleep"):
                pause(chance, 0.1)
                owner.tell("stop")
                pause(chance, 0.8)
                owner.kill()
                family.assert_gone()


# ------------------------------------------------------------------------------------------------ the launcher killed


@TRIALS
def test_the_launcher_killed_while_it_starts(trials):
    for trial in range(trials):
        chance = random.Random(f"launcher start {trial}")
        server = Server(workers=chance.choice([1, 2, 3]), port=free_port(), **BARE)
        errors = []

        def start(server=server, errors=errors):
            try:
                server.start()
            except LabError as error:
                errors.append(error)

        thread = threading.Thread(target=start)
        thread.start()
        await_true(lambda server=server: server.state != "stopped")
        pid, port = server.pid, server.launch.port
        pause(chance, 0.3)
        family = Family.of(pid, port)
        kill(pid)
        thread.join()
        family.assert_gone()
        if errors:
            assert isinstance(errors[0], StartError)
            assert "ended with exit code -9" in errors[0].message
        else:  # it was ready before the blow
            await_true(lambda server=server: server.state == "died")
            server.stop()
        assert launch_folders() == []


@TRIALS
@STAGES
def test_the_launcher_killed_while_it_runs(stage, trials):
    for trial in range(trials):
        chance = random.Random(f"launcher {stage} {trial}")
        workers = chance.choice([1, 2])
        with Server(workers=workers, **BARE) as server:
            family = Family.of(server.pid, server.launch.port)
            with busy(stage, server.url, workers):
                pause(chance, 0.2)
                kill(server.pid)
                family.assert_gone()
            await_true(lambda server=server: server.state == "died")
            assert server.worker_pids == []


@TRIALS
def test_the_launcher_killed_while_it_is_stopped(trials):
    for trial in range(trials):
        chance = random.Random(f"launcher stop {trial}")
        server = Server(workers=chance.choice([1, 2]), **BARE).start()
        pid, family = server.pid, Family.of(server.pid, server.launch.port)
        with send_and_leave(server.url, "/sleep"):
            thread = threading.Thread(target=server.stop)
            thread.start()
            pause(chance, 0.8)
            kill(pid)
            thread.join()
        family.assert_gone()
        assert server.state == "stopped"
        assert launch_folders() == []


# ---------------------------------------------------------------------------------------------------- a worker killed


@TRIALS
def test_a_worker_killed_while_the_server_starts(trials):
    for trial in range(trials):
        chance = random.Random(f"worker start {trial}")
        server = Server(workers=2, **BARE)
        thread = threading.Thread(target=server.start)
        thread.start()
        await_true(lambda server=server: server.state != "stopped")
        pid = server.pid
        worker = await_true(lambda pid=pid: workers_below(pid))[0]
        pause(chance, 0.2)
        kill(worker)
        thread.join()
        await_true(lambda server=server, worker=worker: worker not in server.worker_pids)
        await_true(lambda server=server: server.state == "ready")
        assert serves(server.url)
        server.stop()


@TRIALS
@STAGES
def test_a_killed_worker_is_replaced_and_the_server_serves_on(stage, trials):
    chance = random.Random(f"worker {stage}")
    with Server(workers=2, **BARE) as server:
        for _ in range(trials):
            with ExitStack() as stack:
                if stage == "load":
                    stack.enter_context(under_load(server.url, "/work"))
                victim = chance.choice(server.worker_pids)
                if stage == "regex":
                    stack.enter_context(send_and_leave(server.url, "/regex"))
                    before = server.counts()
                    victim = await_true(lambda before=before: stuck(server, before), 10)
                pause(chance, 0.1)
                kill(victim)
                await_true(lambda victim=victim: victim not in server.worker_pids)
                await_true(lambda: server.state == "ready", 10, "the killed worker was not replaced")
                await_true(lambda: serves(server.url))


@TRIALS
def test_a_worker_killed_while_the_server_stops(trials):
    for trial in range(trials):
        chance = random.Random(f"worker stop {trial}")
        server = Server(workers=2, **BARE).start()
        victim, family = chance.choice(server.worker_pids), Family.of(server.pid, server.launch.port)
        with send_and_leave(server.url, "/sleep"):
            thread = threading.Thread(target=server.stop, kwargs={"grace_s": 0.8})
            thread.start()
            pause(chance, 0.6)
            kill(victim)
            thread.join()
        family.assert_gone()
        assert launch_folders() == []


def workers_below(pid: int) -> list[int]:
    return [each for each in proc.descendants(pid) if "spawn_main" in proc.describe(each, limit=1000)]


def stuck(server: Server, before: "dict[int, tuple[int, int]]") -> int | None:
    """The worker that has begun a request and does not end it."""
    for pid, (started, finished) in server.counts().items():
        if pid in server.worker_pids and started > finished and before.get(pid, (0, 0))[0] <= started:
            return pid
    return None


# ------------------------------------------------------------------------------------------------- owners, in general


def test_an_interrupt_of_the_owners_process_group_leaves_the_server_alone():
    ignoring = "import signal; signal.signal(signal.SIGINT, lambda *_: print('interrupted', flush=True))"
    with Owner(workers=2, before=ignoring) as owner:
        told = owner.await_ready()
        os.killpg(owner.process.pid, signal.SIGINT)
        assert owner.process.stdout.readline() == "interrupted\n"
        await_still_true(lambda: serves(told["url"]), 1.5)
        assert all(proc.alive(pid) for pid in (told["pid"], *told["workers"]))


@pytest.mark.parametrize("fork", ["os.fork()", "ctypes.PyDLL(None).fork()"])
def test_a_forked_copy_of_the_owner_does_not_keep_the_server_alive(fork):
    # os.fork() closes the copy's end of the lifeline; a fork by compiled code does not: there the launcher looks itself
    copy = f"import ctypes, time\nif {fork} == 0: time.sleep(30), os._exit(0)"
    with Owner(workers=2, after=copy) as owner:
        told = owner.await_ready()
        family = Family.of(told["pid"], int(told["url"].rpartition(":")[2]))
        copies = lambda: set(proc.descendants(owner.process.pid)) - set(family.members)  # noqa: E731
        (forked,) = await_true(copies)
        owner.kill()
        try:
            family.assert_gone()
            assert proc.alive(forked)
        finally:
            kill(forked)


def test_a_python_fork_does_not_keep_even_a_server_alive_that_holds_the_gil():
    copy = "import time\nif os.fork() == 0: time.sleep(30), os._exit(0)"
    with Owner(workers=1, after=copy) as owner:
        told = owner.await_ready()
        family = Family.of(told["pid"], int(told["url"].rpartition(":")[2]))
        (forked,) = await_true(lambda: set(proc.descendants(owner.process.pid)) - set(family.members))
        with send_and_leave(told["url"], "/regex"):
            await_true(lambda: not serves(told["url"]))
            owner.kill()
            try:
                family.assert_gone()
            finally:
                kill(forked)


# ---------------------------------------------------------------------------------------------- pids of somebody else


def test_a_pid_that_now_belongs_to_someone_else_is_never_signalled():
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as innocent:
        try:
            created = proc.create_time(innocent.pid) or 0.0
            entry = forged_entry(innocent.pid, created - 100)
            assert not entry.alive
            registry.stop(entry, grace_s=0.1)
            assert registry.servers() == []
            assert launch_folders() == []
            registry.kill({innocent.pid: created - 100}, within_s=0.1)
            with pytest.raises(subprocess.TimeoutExpired):
                innocent.wait(0.5)
        finally:
            innocent.kill()


def test_the_family_of_a_pid_that_someone_else_has_is_empty():
    assert registry.family(os.getpid(), (proc.create_time(os.getpid()) or 0.0) - 100) == {}


def test_a_server_whose_pid_was_given_to_someone_else_stops_without_touching_him():
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as innocent:
        try:
            server = Server(workers=2, **BARE).start()
            running: Running = server._running
            kill(server.pid)
            await_true(lambda: server.state == "died")
            running.pid = innocent.pid  # what the number would mean after it went round
            server.stop()
            assert server.state == "stopped"
            with pytest.raises(subprocess.TimeoutExpired):
                innocent.wait(0.5)
        finally:
            innocent.kill()


def forged_entry(pid: int, created: float) -> registry.Entry:
    """An entry as a launch of long ago would have left it, its owner long gone as well."""
    entry = registry.Entry(
        launch="f0f0f0f0",
        pid=pid,
        created=created,
        owner_pid=pid,
        owner_created=created,
        port=5012,
        app="bare:app",
        workers=1,
        started_at="2026-01-01T00:00:00+00:00",
        url="http://127.0.0.1:5012",
    )
    registry.make_launch_folder(entry.launch)
    registry.register(entry)
    assert asdict(entry)["pid"] == pid
    return entry


def test_a_damaged_entry_is_left_alone_while_young_and_cleared_away_when_old():
    folder = registry.make_launch_folder("abcdabcd")
    (folder / registry.ENTRY_FILE).write_text("{")
    assert registry.servers() == []
    assert folder.exists()
    os.utime(folder, (time.time() - 120,) * 2)
    assert registry.servers() == []
    assert not folder.exists()


# ----------------------------------------------------------------------------------------------------- races for a port


@pytest.mark.parametrize("rounds", [4, pytest.param(20, marks=pytest.mark.full)])
def test_two_owners_that_race_for_one_port_each_get_a_server_of_their_own(rounds):
    for _ in range(rounds):
        wait = "sys.stdin.readline()"
        with Owner(workers=2, before=wait) as one, Owner(workers=2, before=wait) as two:
            for owner in (one, two):
                owner.tell("go")
            told = [one.await_ready(), two.await_ready()]
            for mine in told:
                answers = [get(mine["url"]) for _ in range(4)]
                assert {int(answer.body) for answer in answers} <= set(mine["workers"])
            launches = [get(mine["url"]).header("x-launch-id") for mine in told]
            assert len(set(launches)) == 2
            entries = {entry.pid: entry.launch for entry in registry.servers()}
            assert [entries[mine["pid"]] for mine in told] == launches
            assert len({mine["url"] for mine in told}) == 2


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_foreign_uvicorn_that_takes_the_port_meanwhile_is_an_error_and_never_measured(workers, loop, monkeypatch):
    port = free_port()
    with foreign_uvicorn(port) as foreign:
        monkeypatch.setattr(ports, "_problem", lambda host, port: None)  # as if it came a moment after the look
        server = Server(workers=workers, port=port, loop=loop, **BARE)
        with pytest.raises(LabError) as caught:
            server.start()
        assert isinstance(caught.value, StartError | PortError)
        assert str(port) in caught.value.message
        assert caught.value.hint
        assert server.state == "stopped"
        assert foreign.poll() is None
        assert get(f"http://127.0.0.1:{port}").header("x-launch-id") is None


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_stranger_who_listens_first_on_a_port_that_both_have_bound_is_noticed(loop):
    with bound_by_both() as (port, listen):
        server = Server(workers=2, port=port, loop=loop, **BARE)
        errors = []
        thread = threading.Thread(target=lambda: errors.append(raised_by(server.start)), daemon=True)
        thread.start()
        await_true(lambda: "Started parent process" in server.log)
        listen()
        thread.join()
        assert isinstance(errors[0], StartError)
        assert str(port) in errors[0].message
        assert server.state == "stopped"


def test_whoever_loses_such_a_race_goes_on_to_the_next_port():
    with bound_by_both(ports.POSTS_PORT) as (port, listen):
        server = Server(workers=2, **BARE)
        thread = threading.Thread(target=server.start)
        thread.start()
        await_true(lambda: "Started parent process" in server.log)
        listen()
        thread.join()
        with server:
            assert server.launch.port > port
            assert get(server.url).header("x-launch-id") in {entry.launch for entry in registry.servers()}


def raised_by(call):
    with pytest.raises(LabError) as caught:
        call()
    return caught.value


@contextmanager
def bound_by_both(port: int = 0):
    """A port bound by a stranger who does not listen yet, so that the server can bind it too; and his call to listen.

    He answers as any web server does: with something, to everybody.
    """
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", port))
        answering = threading.Thread(target=answer_everybody, args=(stranger,), daemon=True)

        def listen():
            stranger.listen()
            answering.start()

        yield stranger.getsockname()[1], listen
        stranger.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        answering.join(5)


def answer_everybody(stranger: socket.socket) -> None:
    with suppress(OSError):
        while True:
            connection, _ = stranger.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi")


def test_without_a_port_asked_for_a_lost_race_goes_on_to_the_next_one(monkeypatch):
    look = ports._problem
    not_seen = lambda host, port: None if port == ports.POSTS_PORT else look(host, port)  # noqa: E731
    with foreign_uvicorn(ports.POSTS_PORT):
        monkeypatch.setattr(ports, "_problem", not_seen)
        with Server(workers=2, **BARE) as server:
            assert server.launch.port > ports.POSTS_PORT
            assert int(get(server.url).body) in server.worker_pids


@contextmanager
def foreign_uvicorn(port: int):
    command = [sys.executable, "-m", "uvicorn", "bare:app", "--port", str(port), "--log-level", "critical"]
    with subprocess.Popen(command, cwd=ROOT / "tests" / "apps") as process:
        try:
            await_true(lambda: serves(f"http://127.0.0.1:{port}"), 15)
            yield process
        finally:
            process.kill()


# -------------------------------------------------------------------------------------------------------- the folder


def test_a_state_folder_of_somebody_else_is_refused(tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    user = os.getuid()
    (tmp_path / "elsewhere").mkdir()
    Path(tmp_path / f"uvicorn-lab-{user}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LabError, match="belongs to someone else") as caught:
        registry.state_folder()
    assert "TMPDIR" in caught.value.hint
    (tmp_path / f"uvicorn-lab-{user}").unlink()


def test_a_state_folder_that_cannot_be_made_is_said(tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not" / "there"))
    with pytest.raises(LabError, match="cannot be made") as caught:
        registry.state_folder()
    assert "TMPDIR" in caught.value.hint
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
