"""runners.py and child/under_*.py: gunicorn and granian are launched, watched and ended with uvicorn's promises.

What holds for uvicorn is in test_server*.py; here stands what another program could break.
"""

import os
import random
import re
import signal
import threading
import time

import pytest

from helpers import proc
from helpers.errors import InputError, LabError, StartError, StateError
from helpers.load.run import load_test
from helpers.server import ports, registry
from helpers.server.processes import listening_sockets
from helpers.server.server import Server
from tests.serving import (
    APPS,
    BARE,
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
from tests.waiting import await_true

pytestmark = [
    pytest.mark.usefixtures("state_folder"),
    pytest.mark.skipif(os.name != "posix", reason="gunicorn is for POSIX systems"),
]
__all__ = ["state_folder"]
linux_only = pytest.mark.skipif(not proc.LINUX, reason="a Linux mechanism")
both = pytest.mark.parametrize("runner", ["gunicorn", "granian"])


# -------------------------------------------------------------------------------------------------------- life cycle


@both
@pytest.mark.parametrize("workers", [1, 3])
def test_it_serves_with_all_its_workers_below_one_parent_and_adds_no_process(runner, workers):
    with Server(runner=runner, workers=workers, **BARE) as server:
        pids, port = server.worker_pids, server.launch.port
        assert (len(set(pids)), server.state) == (workers, "ready")
        assert set(proc.descendants(server.pid)) == set(pids)
        roles = {row.pid: row.role for row in server.processes(over_s=0).rows}
        assert roles == {server.pid: "parent", **dict.fromkeys(pids, "worker")}
        assert int(get(server.url).body) in pids
        assert f"{runner}, {workers} worker" in server._repr_html_()
        server.stop(grace_s=0)
    assert not any(proc.alive(pid) for pid in pids)
    assert can_be_bound(port)
    assert launch_folders() == []


@both
def test_a_load_test_knows_its_workers_and_its_counts(runner):
    with Server(runner=runner, workers=2, **BARE) as server:
        assert get(server.url, "/.lab").json()["runner"] == runner
        result = load_test(server.url, users=16, duration=0.5, warmup=0.1, progress=False)
        verdicts = {check.name: check.verdict for check in result.checks}
        assert (verdicts["launch"], verdicts["server's count"]) == ("pass", "pass")
        assert set(result.worker_answers) <= set(server.worker_pids)
        assert result.ok == result.requests > 0
        server.stop(grace_s=0)


@both
def test_it_is_ready_only_when_every_worker_has_started_up(runner):
    server = Server("slow_start:app", app_dir=APPS, runner=runner, workers=2, start_timeout_s=0.6)
    with pytest.raises(StartError, match=re.escape("0 of 2 workers ready after 0.6 s")):
        server.start()
    assert launch_folders() == []


@both
def test_what_is_asked_of_a_server_is_asked_of_it_and_a_request_in_hand_is_answered_before_it_stops(runner):
    cpus = 1 if proc.LINUX else None
    with Server(runner=runner, workers=1, threads=7, cpus=cpus, loop="asyncio", access_log=True) as server:
        assert get(server.url, "/cpu-def?units=1").status == 200
        assert get(server.url, "/nowhere").status == 404
        await_true(lambda: [loop.threads for loop in server.loops().values()] == [7])
        assert list(server.start_ups_s()) == server.worker_pids
        log = await_true(lambda: "GET /nowhere HTTP/1.1" in server.log and server.log)
        assert "GET /cpu-def" in log
        assert "/.lab" not in log
        if cpus:
            assert {len(os.sched_getaffinity(pid)) for pid in (server.pid, *server.worker_pids)} == {1}
        answers = []
        client = threading.Thread(target=lambda: answers.append(get(server.url, "/sleep?ms=300")))
        client.start()
        await_true(lambda: any(started > finished for started, finished in server.counts().values()))
        server.stop()
        client.join()
    assert answers[0].status == 200


@both
@pytest.mark.parametrize("loop", ["asyncio", pytest.param("uvloop", marks=pytest.mark.full)])
def test_the_event_loop_is_the_one_that_was_chosen_and_an_app_left_alone_is_served_as_it_is(runner, loop):
    with Server("loop_name:app", app_dir=APPS, runner=runner, loop=loop, instrument=False) as server:
        answer = get(server.url)
        assert answer.body.decode().startswith("uvloop" if loop == "uvloop" else "asyncio")
        assert answer.header("x-worker-pid") is None
        assert "GET /" not in server.log
        server.stop(grace_s=0)


@both
@pytest.mark.parametrize(
    ("app", "message"),
    [
        ("nowhere:app", "there is no module 'nowhere' to import the app from"),
        ("bare:nothing", "module 'bare' has no 'nothing'"),
        pytest.param(
            "broken_import:app",
            "the app raised an exception: broken_import.Unconfigured: DATABASE_URL is not set",
            marks=pytest.mark.full,
        ),
        (
            "broken_lifespan:app",
            "the app's start-up (lifespan) failed: ConnectionRefusedError: the database is not there",
        ),
        ("ends_at_once:app", "its workers die while they start, and are started again for ever"),
    ],
)
def test_an_app_that_cannot_be_started_is_explained_and_not_tried_for_ever(runner, app, message):
    with pytest.raises(StartError) as caught:
        Server(app, app_dir=APPS, runner=runner, workers=2).start()
    assert caught.value.message == f"{app!r} did not start: {message}"
    assert caught.value.hint
    assert launch_folders() == []


@pytest.mark.full
def test_a_port_that_somebody_takes_at_the_last_moment_is_told_as_such(monkeypatch):
    blocker = Server(port=free_port(), **BARE).start()
    monkeypatch.setattr(ports, "_problem", lambda *_: None)
    with pytest.raises(StartError, match=f"port {blocker.launch.port} was taken while the server started"):
        Server(runner="granian", port=blocker.launch.port, **BARE).start()
    assert serves(blocker.url)
    blocker.stop()


# ----------------------------------------------------------------------------------------- its workers, while it runs


def test_gunicorn_is_scaled_also_from_one_worker_and_keeps_the_number_when_its_workers_are_replaced():
    with Server(runner="gunicorn", workers=1, **BARE) as server, under_load(server.url, "/", users=1):
        (first,) = server.worker_pids
        server.scale(3)
        assert server.worker_pids[0] == first
        before = server.worker_pids
        server.restart_workers()
        assert len(server.worker_pids) == server.workers == 3
        assert not set(before) & set(server.worker_pids)
        assert not any(proc.alive(pid) for pid in before)
        assert server.state == "ready"
        server.stop(grace_s=0)


@pytest.mark.parametrize(
    ("runner", "options"), [("uvicorn", {}), pytest.param("granian", {"respawn_interval": 0.1}, marks=pytest.mark.full)]
)
def test_all_workers_are_replaced_while_it_serves(runner, options):
    with Server(runner=runner, workers=2, options=options, **BARE) as server, under_load(server.url, "/", users=1):
        parent, before = server.pid, server.worker_pids
        assert server.restart_workers() is server
        assert (server.pid, len(server.worker_pids), server.state) == (parent, 2, "ready")
        assert not any(proc.alive(pid) for pid in before)
        server.stop(grace_s=0)


def test_what_cannot_be_scaled_or_restarted_says_what_to_do_instead(monkeypatch):
    with Server(runner="granian", **BARE) as granian, Server(**BARE) as alone:
        for call, message in (
            (lambda: granian.scale(2), "granian has no signal here that adds or removes a worker"),
            (alone.restart_workers, "a server started with workers=1 cannot be restarted worker by worker"),
        ):
            with pytest.raises(StateError, match=message) as caught:
                call()
            assert "use relaunch(" in caught.value.hint
        for name in ("SIGTTIN", "SIGTTOU", "SIGHUP"):  # as on Windows
            monkeypatch.delattr(signal, name)
        with pytest.raises(StateError, match="this system has no signal that restarts the workers"):
            granian.restart_workers()
        with pytest.raises(StateError, match="the server is not started"):
            Server(runner="gunicorn", **BARE).restart_workers()
        granian.stop(grace_s=0)


@pytest.mark.full
def test_gunicorn_kills_a_worker_whose_event_loop_is_blocked_and_replaces_it():
    with Server(runner="gunicorn", workers=1, options={"timeout": 1}, **BARE) as server:
        (blocked,) = server.worker_pids
        with send_and_leave(server.url, "/regex"):
            await_true(lambda: server.worker_pids not in ([], [blocked]), 8)
            assert not proc.alive(blocked)
            assert serves(server.url)
        server.stop(grace_s=0)


@pytest.mark.parametrize(
    ("runner", "options", "state"),
    [("gunicorn", {}, "ready"), ("granian", {"respawn_failed_workers": True}, "ready"), ("granian", {}, "died")],
)
def test_a_killed_worker_is_replaced_by_gunicorn_and_by_granian_only_if_it_was_told_to(runner, options, state):
    with Server(runner=runner, workers=2, options=options, **BARE) as server:
        victim = server.worker_pids[0]
        os.kill(victim, signal.SIGKILL)
        await_true(lambda: victim not in server.worker_pids)
        await_true(lambda: server.state == state, 5)
        assert len(server.worker_pids) == (2 if state == "ready" else 0)
        server.stop(grace_s=0)


@linux_only
@pytest.mark.parametrize(
    ("runner", "options", "sockets"), [("gunicorn", {}, 1), ("gunicorn", {"reuse_port": True}, 2), ("granian", {}, 2)]
)
def test_who_holds_which_socket(runner, options, sockets):
    with Server(runner=runner, workers=2, options=options, **BARE) as server:
        held = listening_sockets(server.launch.port)
        assert len({each.inode for each in held}) == sockets
        assert set(server.worker_pids) <= {each.pid for each in held}
        server.stop(grace_s=0)


# ---------------------------------------------------------------------------------------------------------- the owner


def assert_gone(family, port):
    left = lambda: [pid for pid, created in family.items() if proc.alive(pid, created)]  # noqa: E731
    await_true(lambda: not left(), 3, "processes of the launch live on")
    await_true(lambda: can_be_bound(port), 3, f"port {port}: {ports.taken_by(port)}")


@linux_only
@both
@pytest.mark.parametrize("victim", ["owner", "parent"])
@pytest.mark.parametrize("trials", [1, pytest.param(20, marks=pytest.mark.full)])
def test_nothing_outlives_its_owner_or_its_parent_even_while_a_worker_holds_the_gil(runner, victim, trials):
    for trial in range(trials):
        chance = random.Random(f"{runner} {victim} {trial}")
        with Owner(runner=runner, workers=chance.choice([1, 2])) as owner:
            told = owner.await_ready()
            family = registry.family(told["pid"], proc.create_time(told["pid"]) or 0.0)
            assert set(told["workers"]) < set(family)
            with send_and_leave(told["url"], "/regex"), send_and_leave(told["url"], "/regex"):
                time.sleep(chance.uniform(0, 0.2))  # the moment of the blow is what is being varied
                os.kill(owner.process.pid if victim == "owner" else told["pid"], signal.SIGKILL)
                assert_gone(family, int(told["url"].rpartition(":")[2]))


@linux_only
@both
@pytest.mark.parametrize("trials", [1, pytest.param(20, marks=pytest.mark.full)])
def test_nothing_outlives_an_owner_that_is_killed_while_its_server_starts(runner, trials):
    for trial in range(trials):
        chance = random.Random(f"{runner} start {trial}")
        port = free_port()
        with Owner(runner=runner, workers=2, port=port) as owner:
            launcher = owner.await_launcher()
            created = proc.create_time(launcher) or 0.0
            time.sleep(chance.uniform(0, 0.4))  # see above
            family = registry.family(launcher, created)
            owner.kill()
            assert_gone(family | {launcher: created}, port)
        assert registry.servers() == []


# ---------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("runner", "options", "message", "hint"),
    [
        ("gunicorn", {"reuseport": True}, "gunicorn has no setting 'reuseport'", "reuse_port"),
        ("gunicorn", {"timeout": "soon"}, "options['timeout'] = 'soon' cannot be: invalid literal", "gunicorn --help"),
        ("gunicorn", {"bind": "0.0.0.0:80"}, "options cannot set 'bind'", "to Server itself"),
        ("gunicorn", {"on_reload": print}, "options['on_reload'] = <built-in", "as text"),
        ("granian", {"backlogg": 1}, "granian has no argument 'backlogg'", "granian --help"),
        ("granian", {"http": "3"}, "options['http'] = '3' cannot be: choose one of: auto, 1, 2", "granian --help"),
        ("granian", {"ssl_cert": "a.pem"}, "options['ssl_cert'] = 'a.pem' cannot be: it takes an object", "granian"),
        ("granian", {"workers": 3}, "options cannot set 'workers'", "workers=..."),
    ],
)
def test_an_option_that_the_program_would_not_take_is_refused_at_once(runner, options, message, hint):
    with pytest.raises(InputError, match="^" + re.escape(message)) as caught:
        Server(runner=runner, options=options)
    assert hint in caught.value.hint


@both
def test_a_program_that_is_not_installed_is_named(runner, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=f"{runner} is not installed") as caught:
        Server(runner=runner)
    assert caught.value.hint == f"python -m pip install {runner}"


def test_gunicorn_on_a_system_for_which_it_is_not_made(monkeypatch):
    with monkeypatch.context() as elsewhere:  # not undo(): the test's own state folder is patched, too
        elsewhere.setattr("os.name", "nt")
        with pytest.raises(LabError, match="it does not run on this system") as caught:
            Server(runner="gunicorn")
    assert "WSL" in caught.value.hint
