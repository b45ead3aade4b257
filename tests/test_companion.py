"""companion.py, nginx.py, front.py: programs that are not ours: ready when they answer, and gone with their owner."""

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from helpers import proc
from helpers.errors import InputError, PortError, StartError, StateError
from helpers.load.run import load_test
from helpers.server import ports, registry
from helpers.server.companion import Redis
from helpers.server.nginx import Nginx
from helpers.server.server import Server
from tests.serving import (
    BARE,
    ROOT,
    can_be_bound,
    free_port,
    get,
    launch_folders,
    send_and_leave,
    state_folder,
    under_load,
)
from tests.tools import require
from tests.waiting import await_true

pytestmark = pytest.mark.usefixtures("state_folder")
__all__ = ["state_folder"]
linux_only = pytest.mark.skipif(not proc.LINUX, reason="a Linux mechanism")
NOBODY = "http://127.0.0.1:9"


@pytest.fixture(params=[Redis, lambda: Nginx([NOBODY])], ids=["redis", "nginx"])
def program(request):
    """One of each, where both are installed."""
    require("redis-server"), require("nginx")
    return request.param()


def members(server):
    return proc.session(os.getpgid(server.pid))


# --------------------------------------------------------------------------------------------------------- each of them


def test_a_started_one_runs_once_and_a_stopped_one_is_gone_with_all_it_wrote(program):
    assert (program.state, type(program).available()) == ("stopped", True)
    assert program.start() is program
    pid, port, all_pids = program.pid, program.port, members(program)
    assert (program.state, program.start().pid) == ("ready", pid)
    assert pid in proc.listening_pids(port)
    assert [(entry.app, entry.port) for entry in registry.servers()] == [(program.program, port)]
    html = program._repr_html_()
    for part in ("READY", program.program, f"{program.scheme}://127.0.0.1:{port}", f"pid {pid}"):
        assert part in html
    assert f"ready, port {port}, pid {pid}" in repr(program)
    program.stop()
    program.stop()
    assert (program.state, launch_folders()) == ("stopped", [])
    assert not any(proc.alive(each) for each in all_pids)
    assert can_be_bound(port)
    assert program.log != ""
    assert "STOPPED" in program._repr_html_()


OWNER = """
import os, sys
from helpers.server.companion import Redis
from helpers.server.nginx import Nginx
both = Redis().start(), Nginx(["http://127.0.0.1:9"]).start()
print(*(os.getpgid(each.pid) for each in both), flush=True)
sys.stdin.readline()
exec(sys.argv[1])
"""


@contextmanager
def owner(then=""):
    """A process that owns a Redis and an nginx and runs `then` when told to, and the pids of all they consist of."""
    require("redis-server"), require("nginx")
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, then], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        groups = [int(pid) for pid in process.stdout.readline().split()]
        pids = [pid for group in groups for pid in proc.session(group)]
        assert len(pids) == 2 + 3  # a guard each, redis-server, nginx's master and its worker
        try:
            yield process, pids
        finally:
            process.kill()


def assert_gone(pids):
    await_true(lambda: not any(proc.alive(pid) for pid in pids), 3, "processes live on")


@linux_only
@pytest.mark.parametrize("trials", [2, pytest.param(20, marks=pytest.mark.full)])
def test_everything_is_gone_with_an_owner_that_is_killed_and_its_folders_with_the_next_start(trials):
    for _ in range(trials):
        with owner() as (process, pids):
            process.kill()
            assert_gone(pids)
    assert len(launch_folders()) > 0
    registry.servers()
    assert launch_folders() == []


def test_everything_is_gone_with_an_interpreter_that_ends():
    with owner(then="1 / 0") as (process, pids):
        process.communicate("\n")
        assert_gone(pids)
    assert launch_folders() == []


@linux_only
def test_a_forked_copy_of_the_owner_neither_ends_them_nor_keeps_them_alive():
    with owner(then="pid = os.fork()\nif pid: print(pid, flush=True)\nsys.stdin.read()") as (process, pids):
        process.stdin.write("\n")
        process.stdin.flush()
        copy = int(process.stdout.readline())
        process.kill()
        try:
            assert_gone(pids)
            assert proc.alive(copy)
        finally:
            os.kill(copy, signal.SIGKILL)
    with Nginx([NOBODY]) as nginx:
        copy = os.fork()
        if copy == 0:
            try:
                del nginx
                gc.collect()
            finally:
                os._exit(0)
        os.waitpid(copy, 0)
        assert get(nginx.url).status == 502


@linux_only
@pytest.mark.parametrize("victim", ["the program", "the guard"])
def test_one_that_was_killed_has_died_and_can_be_started_again(program, victim):
    pid = program.start().pid
    everybody = members(program)
    os.kill(pid if victim == "the program" else os.getpgid(pid), signal.SIGKILL)
    await_true(lambda: program.state == "died")
    assert_gone([pid] if victim == "the guard" else everybody)
    assert "DIED" in program._repr_html_()
    assert program.start().pid != pid
    assert_gone(everybody)
    program.stop()


def test_the_registry_can_stop_them(program):
    everybody = members(program.start())
    (entry,) = registry.servers()
    began = time.perf_counter()
    registry.stop(entry, grace_s=20)
    assert time.perf_counter() - began < 5  # they need no grace
    assert not any(proc.alive(pid) for pid in everybody)
    assert program.state == "died"
    program.stop()


def test_those_that_nobody_holds_any_more_end():
    require("redis-server"), require("nginx")
    everybody = members(Redis().start()) + members(Nginx([NOBODY]).start())
    gc.collect()
    assert_gone(everybody)
    assert launch_folders() == []


def test_a_program_that_is_not_there_is_explained(monkeypatch):
    for kind, arguments in ((Redis, ()), (Nginx, ([NOBODY],))):
        monkeypatch.setattr(kind, "program", "no-such-program")
        assert not kind.available()
        with pytest.raises(StateError, match="no-such-program is not installed") as caught:
            kind(*arguments).start()
        assert "apt-get install" in caught.value.hint
        assert "brew install" in caught.value.hint
    assert launch_folders() == []


def test_a_port_that_somebody_has_is_refused_and_he_is_left_alone(program):
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = somebody.getsockname()[1]
        program._asked = port
        with pytest.raises(PortError, match=f"port {port} cannot be used") as caught:
            program.start()
        assert caught.value.hint
        somebody.setblocking(False)
        with pytest.raises(BlockingIOError):
            somebody.accept()


@pytest.mark.parametrize("port", [0, "6379", True])
def test_a_port_that_cannot_be(port):
    for make in (Redis, lambda **port: Nginx([NOBODY], **port)):
        with pytest.raises(InputError, match="port="):
            make(port=port)


def test_a_program_that_does_not_come_up_is_explained_by_its_log(monkeypatch):
    require("redis-server")
    monkeypatch.setattr(Redis, "_arguments", lambda *_: ["--no-such-setting", "yes"])
    with pytest.raises(StartError, match="redis-server did not start: its process ended") as caught:
        Redis().start()
    assert "no-such-setting" in caught.value.log_tail
    assert launch_folders() == []


# -------------------------------------------------------------------------------------------------------------- Redis


def test_redis_keeps_what_it_is_told_until_it_is_stopped_and_knows_its_own_client_alone():
    require("redis-server")
    with Redis() as server:
        with redis.Redis.from_url(server.url) as client:
            assert client.incr("n") == 1
            assert client.info("server")["process_id"] == server.pid
            assert server.port != 6379
        with (
            redis.Redis(port=server.port, retry=Retry(NoBackoff(), 0)) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()
        password = server.url.removeprefix("redis://:").partition("@")[0]
        assert len(password) == 32
        assert password not in server._repr_html_() + repr(server) + json.dumps(registry.servers()[0].public())
        server.stop()
        with redis.Redis.from_url(server.start().url) as client:
            assert client.get("n") is None


def test_the_redis_of_somebody_else_is_never_taken_for_ours(monkeypatch, tmp_path):
    port = free_port()
    command = [
        require("redis-server"),
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--dir",
        str(tmp_path),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as foreign:
        try:
            with redis.Redis(port=port) as client:
                await_true(lambda: pings(client))
                client.set("n", "theirs")
                monkeypatch.setattr(ports, "_problem", lambda *_: None)  # as if it had come a moment later
                with pytest.raises(PortError, match=f"port {port} was taken while redis-server started: pid") as caught:
                    Redis(port=port).start()
                assert "leave out port=" in caught.value.hint
                assert client.get("n") == b"theirs"
                free = iter([port, port, free_port()])
                monkeypatch.setattr(ports, "any_free", lambda _host: next(free))
                with Redis() as ours:  # without a port of its own it takes another one
                    assert ours.port != port
                assert foreign.poll() is None
        finally:
            foreign.kill()


def pings(client):
    try:
        return client.ping()
    except redis.ConnectionError:
        return False


# -------------------------------------------------------------------------------------------------------------- nginx


@pytest.fixture
def two():
    """Two servers with one worker each."""
    require("nginx")
    with Server(**BARE) as one, Server(**BARE) as two:
        yield one, two
        for server in (one, two):  # no test waits for the requests that it left behind
            server.stop(grace_s=0)


def served_by(nginx, count=20):
    return {int(get(nginx.url).body) for _ in range(count)}


def test_nginx_hands_requests_to_all_its_upstreams_and_a_load_test_knows_the_workers_behind_it(two):
    pids = {server.pid for server in two}
    with Nginx([server.url for server in two], method="round_robin") as nginx:
        assert served_by(nginx, 4) == pids
        assert get(nginx.url).header("x-launch-id") == nginx._run.id
        result = load_test(nginx.url, users=16, duration=0.5, warmup=0.1, progress=False)
        assert set(result.worker_answers) == pids
        assert {check.name: check.verdict for check in result.checks}["launch"] == "pass"
        assert {check.name: check.verdict for check in result.checks}["server's count"] == "pass"
        told = get(nginx.url, "/.lab").json()
        assert (told["parent"], told["workers_wanted"]) == (nginx.pid, 2)
        assert {worker["pid"] for worker in told["workers"]} == pids


def test_least_conn_goes_round_a_server_that_is_occupied(two):
    with Nginx([server.url for server in two]) as nginx, send_and_leave(nginx.url, "/sleep"):
        (busy,) = await_true(lambda: [one for one in two if sum(started for started, _ in one.counts().values())])
        assert served_by(nginx) == {server.pid for server in two} - {busy.pid}


def test_a_server_is_taken_out_and_put_back_while_requests_go_on(two):
    one, other = two
    with Nginx([one.url, other.url]) as nginx, under_load(nginx.url, "/", users=2):
        pid = nginx.pid
        nginx.set_upstreams([one.url])
        assert nginx.upstreams == [one.url]
        assert served_by(nginx) == {one.pid}
        nginx.set_upstreams([one.url, other.url])
        assert served_by(nginx) == {one.pid, other.pid}
        assert nginx.pid == pid
        assert one.url in nginx._repr_html_()


@pytest.mark.full
def test_a_request_in_hand_is_answered_although_its_server_is_taken_out():
    require("nginx")
    with Server() as one, Server(**BARE) as other, Nginx([one.url]) as nginx:
        answers = []
        client = threading.Thread(target=lambda: answers.append(get(nginx.url, "/sleep?ms=400")))
        client.start()
        await_true(lambda: sum(started for started, _ in one.counts().values()) == 1)
        nginx.set_upstreams([other.url])
        assert served_by(nginx, 3) == {other.pid}
        assert client.is_alive()
        client.join()
        assert answers[0].header("x-worker-pid") == str(one.pid)


def test_a_server_that_died_is_passed_over_and_its_worker_is_remembered(two):
    one, other = two
    with Nginx([one.url, other.url]) as nginx:
        assert served_by(nginx) == {one.pid, other.pid}
        get(nginx.url, "/.lab")
        dead = other.pid
        other.stop(grace_s=0)
        assert served_by(nginx) == {one.pid}
        states = {worker["pid"]: worker["state"] for worker in get(nginx.url, "/.lab").json()["workers"]}
        assert states == {one.pid: "ready", dead: "gone"}
        other.relaunch(instrument=False)
        assert get(nginx.url, "/.lab").status == 404  # one that does not say who it is silences the whole


def test_upstreams_can_be_set_before_it_starts_but_not_after_it_died():
    require("nginx")
    nginx = Nginx([NOBODY])
    nginx.set_upstreams(["http://localhost:9", NOBODY])
    with nginx:
        assert nginx.upstreams == ["http://localhost:9", NOBODY]
        os.kill(nginx.pid, signal.SIGKILL)
        await_true(lambda: nginx.state == "died")
        with pytest.raises(StateError, match="nginx has died"):
            nginx.set_upstreams([NOBODY])


@pytest.mark.parametrize("upstreams", [[], None, NOBODY, 5])
def test_upstreams_that_are_no_list(upstreams):
    with pytest.raises(InputError, match="is no list of addresses") as caught:
        Nginx(upstreams)
    assert caught.value.hint


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:80", "https://127.0.0.1:80", "http://127.0.0.1", "http://127.0.0.1:x", "http://127.0.0.1:80/path",
     "http://no-such-host.invalid:80", "http://127.0.0.1:80;}", None, 5],
)  # fmt: skip
def test_an_upstream_that_is_no_address(url):
    with pytest.raises(InputError, match="the upstream") as caught:
        Nginx([NOBODY, url])
    assert "http://127.0.0.1:5012" in caught.value.hint


def test_a_method_that_there_is_not():
    with pytest.raises(InputError, match="method='random' is unknown") as caught:
        Nginx([NOBODY], method="random")
    assert "least_conn" in caught.value.hint
