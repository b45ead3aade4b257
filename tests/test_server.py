"""server.py: the life cycle with real servers; each call returns when what it says is true."""

import asyncio
import gc
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import threading
import time

import pytest

from helpers import proc
from helpers.errors import StateError
from helpers.server import ports, registry
from helpers.server.processes import listening_sockets
from helpers.server.server import Server
from tests.serving import (
    APPS,
    BARE,
    ROOT,
    Owner,
    can_be_bound,
    free_port,
    get,
    launch_folders,
    processes_of,
    send_and_leave,
    state_folder,
    under_load,
)
from tests.waiting import await_still_true, await_true

pytestmark = pytest.mark.usefixtures("state_folder")
__all__ = ["state_folder"]
linux_only = pytest.mark.skipif(not proc.LINUX, reason="a Linux mechanism")
POSTS_PORT = ports.POSTS_PORT  # as it stands in the module; these tests use another
STAMPS = ["x-worker-pid", "x-launch-id", "x-handled-ns", "x-started-ns"]


def asked(server, path="/.lab"):
    return get(server.url, path).json()


# ------------------------------------------------------------------------------------------------------- life cycle


@pytest.mark.parametrize("workers", [1, 3])
def test_a_started_server_serves_with_all_its_workers_and_a_stopped_one_is_gone(workers):
    server = Server(workers=workers, **BARE)
    assert (server.state, server.worker_pids, server.workers) == ("stopped", [], workers)
    assert server.start() is server
    pids, port = server.worker_pids, int(server.url.rpartition(":")[2])
    assert server.state == "ready"
    assert len(set(pids)) == workers
    assert (server.pid in pids) == (workers == 1)
    assert int(get(server.url).body) in pids
    server.stop()
    assert server.state == "stopped"
    assert server.worker_pids == []
    assert not any(proc.alive(pid) for pid in pids)
    assert can_be_bound(port)
    assert launch_folders() == []


def test_the_default_is_the_posts_app_with_one_worker_on_the_loopback_address():
    server = Server()
    assert (server.launch.app, server.launch.workers, server.launch.host) == ("helpers.demo.api:app", 1, "127.0.0.1")
    assert not server.launch.access_log


def test_start_and_stop_twice_do_no_harm():
    server = Server(**BARE)
    server.stop()
    pid = server.start().pid
    assert server.start().pid == pid
    server.stop()
    server.stop()
    assert server.start().pid != pid
    server.stop()


def test_a_with_block_starts_and_stops_also_when_its_body_fails():
    server = Server(**BARE)
    with pytest.raises(ZeroDivisionError), server:
        pytest.fail(str(1 / 0))
    assert server.state == "stopped"
    assert launch_folders() == []


def test_a_server_that_is_not_started_says_so():
    server = Server(**BARE)
    for ask in (lambda: server.url, lambda: server.pid, server.counts, server.processes, lambda: server.scale(2)):
        with pytest.raises(StateError, match="the server is not started") as caught:
            ask()
        assert "call start() first" in caught.value.hint


def test_relaunch_changes_what_it_is_told_and_keeps_the_port_and_the_rest():
    with Server(loop="asyncio", env={"A": "1"}, **BARE) as server:
        before = server.url, server.pid
        assert server.relaunch(workers=2, env={"A": "2"}) is server
        assert server.url == before[0]
        assert not proc.alive(before[1])
        assert len(server.worker_pids) == server.workers == 2
        assert (server.launch.loop, server.launch.env) == ("asyncio", {"A": "2"})


def test_relaunch_stays_on_the_port_that_it_moved_to(capsys):
    with Server(**BARE) as blocker, Server(**BARE) as server:
        blocked, port = int(blocker.url.rpartition(":")[2]), int(server.url.rpartition(":")[2])
        assert port > blocked
        blocker.stop()
        capsys.readouterr()
        assert server.relaunch(workers=2).launch.port == port
        assert capsys.readouterr().err == ""


def test_relaunch_starts_a_stopped_server():
    server = Server(**BARE).relaunch(workers=2)
    assert server.state == "ready"
    server.stop()


def test_scale_adds_and_removes_workers_while_it_serves():
    with Server(workers=2, **BARE) as server, under_load(server.url, "/", users=1):
        first = server.worker_pids
        server.scale(4)
        assert server.worker_pids[:2] == first
        assert len(server.worker_pids) == server.workers == 4
        server.scale(1)
        assert len(server.worker_pids) == server.workers == 1
        assert server.state == "ready"
        assert len(server.scale(2).worker_pids) == 2
        assert len([row for row in server.processes().rows if row.role == "worker"]) == 2


def test_scale_just_after_a_worker_was_killed_still_ends_at_the_number_asked_for():
    with Server(workers=2, **BARE) as server:
        os.kill(server.worker_pids[0], 9)
        await_true(lambda: server.state == "degraded")
        server.scale(3)
        await_still_true(lambda: len(server.worker_pids) == 3, 1.5)  # no replacement comes on top
        assert len(server.processes().with_role("worker")) == 3


@linux_only
def test_scale_takes_over_a_number_that_was_changed_by_hand():
    with Server(workers=2, **BARE) as server:
        os.kill(server.pid, 22)  # SIGTTOU
        await_true(lambda: len(server.worker_pids) == 1)
        assert len(server.scale(3).worker_pids) == 3
        assert server.state == "ready"


def test_the_state_follows_what_happens_to_it():
    server = Server(workers=2, **BARE, options={"timeout_graceful_shutdown": 1})
    seen = []
    thread = threading.Thread(target=server.start)
    thread.start()
    while thread.is_alive():
        seen.append(server.state)
    assert set(seen) <= {"stopped", "starting", "ready"}
    assert "starting" in seen
    os.kill(server.worker_pids[0], 9)
    await_true(lambda: server.state == "degraded")
    await_true(lambda: server.state == "ready")
    os.kill(server.pid, 9)
    await_true(lambda: server.state == "died")
    assert server.worker_pids == [] or await_true(lambda: server.worker_pids == [])
    seen, done = [], threading.Event()
    server.start()
    watcher = threading.Thread(target=lambda: [seen.append(server.state) for _ in iter(done.is_set, True)])
    watcher.start()
    server.stop()
    done.set()
    watcher.join()
    assert "died" not in seen  # ended by us, not by itself
    assert server.state == "stopped"


def test_everything_can_be_read_while_another_thread_starts_and_stops_it():
    server, failures, done = Server(**BARE), [], threading.Event()

    def read():
        while not done.is_set():
            for reading in (lambda: server.state, lambda: server.worker_pids, server._repr_html_, lambda: server.log):
                try:
                    reading(), repr(server), server.workers, server.launch
                except Exception as error:
                    failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(3):
            server.start()
            server.stop()
    finally:
        done.set()
        reader.join()
    assert failures == []


def test_stop_from_another_thread_ends_a_start_that_waits_within_a_second():
    server = Server("slow_start:app", app_dir=APPS, workers=2)
    caught = []

    def start():
        try:
            server.start()
        except StateError as error:
            caught.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    await_true(lambda: "Waiting for application startup" in server.log)
    began = time.perf_counter()
    server.stop()
    thread.join()
    assert time.perf_counter() - began < 1
    assert "called off by stop()" in caught[0].message
    assert server.state == "stopped"
    assert launch_folders() == []


def test_an_idle_server_stops_within_a_second():
    for workers in (1, 2):
        server = Server(workers=workers).start()
        began = time.perf_counter()
        server.stop()
        assert time.perf_counter() - began < 1


def test_a_request_in_hand_is_answered_before_it_stops():
    with Server() as server:
        answers = []
        client = threading.Thread(target=lambda: answers.append(get(server.url, "/sleep?ms=700")))
        client.start()
        await_true(lambda: sum(started for started, _ in server.counts().values()) == 1)
        server.stop()
        client.join()
    assert answers[0].status == 200


def test_a_request_that_never_ends_does_not_hold_up_a_stop_for_longer_than_its_grace():
    with Server(workers=2, **BARE) as server, send_and_leave(server.url, "/regex"):
        await_true(lambda: sum(started for started, _ in server.counts().values()) == 1)
        began = time.perf_counter()
        server.stop(grace_s=0.5)
        assert time.perf_counter() - began < 2


def test_a_start_after_an_interrupted_stop_starts_afresh(monkeypatch):
    with Server(workers=2, **BARE) as server:
        pid = server.pid
        with monkeypatch.context() as patched:
            patched.setattr("helpers.server.running.time.sleep", interrupt)
            with pytest.raises(KeyboardInterrupt):
                server.stop()
        assert server.start().pid != pid
        assert server.state == "ready"
        assert get(server.url).status == 200
        assert not proc.alive(pid)


def interrupt(_seconds):
    raise KeyboardInterrupt


def test_an_interrupted_start_leaves_nothing(monkeypatch):
    server = Server(workers=2, **BARE)
    with monkeypatch.context() as patched:
        patched.setattr("helpers.server.running.Running._answers", interrupt)
        with pytest.raises(KeyboardInterrupt):
            server.start()
    assert server.state == "stopped"
    assert launch_folders() == []


def test_the_log_is_kept_after_a_stop_until_the_next_start():
    server = Server(**BARE).start()
    pid = server.pid
    assert f"Started server process [{pid}]" in server.log
    server.stop()
    assert "Finished server process" in server.log
    server.start()
    assert f"[{pid}]" not in server.log
    server.stop()


@pytest.mark.parametrize("on", [True, False])
def test_the_access_log_shows_the_requests_that_were_sent_and_only_when_asked_for(on):
    with Server(access_log=on, **BARE) as server:
        get(server.url, "/hello")
        asked(server)
        assert ("GET /hello HTTP/1.1" in server.log) == on
        assert "/.lab" not in server.log


def test_it_shows_itself_in_a_notebook():
    server = Server("a<b>:app", workers=2)
    assert "STOPPED" in server._repr_html_()
    assert "<b>:app" not in server._repr_html_()
    with Server(workers=2, cpus=1, **BARE) as server:
        html = server._repr_html_()
        for part in ("READY", "2 workers", "1 core", server.url, f"pid {server.pid}", *map(str, server.worker_pids)):
            assert part in html
        assert "ready" in repr(server)


# -------------------------------------------------------------------------------------------------------------- ports


def test_the_first_server_gets_the_posts_port_and_the_second_the_next_free_one_and_says_so(monkeypatch, capsys):
    monkeypatch.setattr(ports, "POSTS_PORT", free_port())
    with Server(**BARE) as first:
        assert first.url == f"http://127.0.0.1:{ports.POSTS_PORT}"
        assert first.notice == ""
        with Server(**BARE) as second:
            port = int(second.url.rpartition(":")[2])
            assert port > ports.POSTS_PORT
            who = f"your server of {BARE['app']} has it (pid {first.pid})"
            assert second.notice == f"port {ports.POSTS_PORT} is taken: {who}; using {port}"
            assert second.notice in second._repr_html_()
            assert capsys.readouterr().err == second.notice + "\n"
            assert asked(first)["launch"] != asked(second)["launch"]
            assert len({*first.worker_pids, *second.worker_pids}) == 2


def test_the_posts_port_is_5012():
    assert POSTS_PORT == 5012


def test_a_port_that_was_asked_for_is_used():
    port = free_port()
    with Server(port=port, **BARE) as server:
        assert server.url == f"http://127.0.0.1:{port}"


@pytest.mark.skipif(not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"), reason="no IPv6 here")
def test_it_serves_on_ipv6():
    with Server(host="::1", workers=2, **BARE) as server:
        assert server.url.startswith("http://[::1]:")
        assert len(server.worker_pids) == 2


# ---------------------------------------------------------------------------------------------------- instrumentation


def test_every_answer_tells_who_gave_it_and_when_in_adjacent_headers():
    with Server(workers=2) as server:
        before = time.perf_counter_ns()
        for path, status in (("/", 200), ("/cpu?units=1", 200), ("/nowhere", 404), ("/cpu?units=0", 422)):
            answer = get(server.url, path)
            assert answer.status == status
            names = [name for name, _ in answer.headers]
            at = names.index("x-worker-pid")
            assert names[at : at + 4] == STAMPS
            assert sum(name in STAMPS for name in names) == 4
            assert int(answer.header("x-worker-pid")) in server.worker_pids
            assert answer.header("x-launch-id") == asked(server)["launch"]
            handled, started = int(answer.header("x-handled-ns")), int(answer.header("x-started-ns"))
            assert handled <= started
            if proc.LINUX:  # one clock for all processes
                assert before < handled
                assert started < time.perf_counter_ns()


def test_the_stamps_say_how_long_the_app_took_to_begin_its_answer():
    with Server() as server:
        answer = get(server.url, "/sleep?ms=50")
        took_ms = (int(answer.header("x-started-ns")) - int(answer.header("x-handled-ns"))) / 1e6
        assert 50 <= took_ms < 80


def test_the_servers_own_counts_agree_with_what_was_sent():
    with Server(workers=2, **BARE) as server:
        answers = [get(server.url) for _ in range(40)]
        asked(server)
        counts = server.counts()
        for pid in server.worker_pids:
            sent = sum(answer.header("x-worker-pid") == str(pid) for answer in answers)
            assert counts[pid] == (sent, sent)
        told = {worker["pid"]: (worker["started"], worker["finished"]) for worker in asked(server)["workers"]}
        assert told == counts


def test_a_request_in_hand_and_a_failed_one_are_counted_too():
    with Server(**BARE) as server:
        assert get(server.url, "/fail").status == 500
        assert server.counts() == {server.pid: (1, 1)}
        with send_and_leave(server.url, "/sleep"):
            await_true(lambda: server.counts() == {server.pid: (2, 1)})
        server.stop(grace_s=0)


def test_the_private_path_tells_the_launch():
    with Server(workers=2, loop="asyncio", cpus=1 if proc.LINUX else None, access_log=True, **BARE) as server:
        told = asked(server)
        assert told | {"launch": "", "workers": []} == {
            "launch": "",
            "endpoint": {
                "framework": "ASGI", "middleware": [], "websockets": [],
                "path": None, "function": None, "dependencies": [],
            },
            "app": "bare:app",
            "parent": server.pid,
            "workers_wanted": 2,
            "workers": [],
            "access_log": True,
            "loop": "asyncio",
            "cpus": list(server.launch.cpus) if server.launch.cpus else None,
            "runner": "uvicorn",
        }  # fmt: skip
        assert [worker["pid"] for worker in told["workers"]] == server.worker_pids
        assert {worker["state"] for worker in told["workers"]} == {"ready"}
        assert told["launch"] in {folder.name.removeprefix("launch-") for folder in launch_folders()}


def test_a_late_event_loop_is_seen_on_the_board():
    with Server() as server:
        get(server.url, "/blocking?ms=400")
        await_true(lambda: asked(server)["workers"][0]["loop_lag_ms"] > 200, message="the delay was not seen")
        await_true(lambda: asked(server)["workers"][0]["loop_lag_ms"] < 50, message="the delay was not forgotten")


@pytest.mark.parametrize("workers", [1, 2])
def test_an_app_left_alone_is_ready_only_when_it_is_and_its_answers_are_its_own(workers):
    with Server(workers=workers, instrument=False) as server:
        assert server.state == "ready"
        assert len(server.worker_pids) == workers
        answer = get(server.url)
        assert answer.status == 200
        assert not set(STAMPS) & {name for name, _ in answer.headers}
        assert get(server.url, "/.lab").status == 404


@pytest.mark.parametrize("instrument", [True, False])
def test_a_slow_import_is_waited_for(instrument):
    began = time.perf_counter()
    server = Server("slow_import:app", app_dir=APPS, workers=2, env={"IMPORT_S": "0.6"}, instrument=instrument)
    with server:
        assert time.perf_counter() - began > 0.6
        assert get(server.url).status == 200


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("app", "folder", "options", "body"),
    [
        ("bare:app", APPS, {"lifespan": "off"}, None),
        ("asgi2:App", APPS, None, b"ASGI 2"),
        ("with_starlette:app", APPS, None, b"Starlette"),
        ("made:make", APPS, {"factory": True}, b'"made"'),
        ("api:app", APPS / "own_helpers", None, b'"from the app\'s own helpers"'),
    ],
)
def test_any_asgi_app_is_served_as_it_is(app, folder, options, body, workers):
    with Server(app, app_dir=folder, options=options, workers=workers) as server:
        for _ in range(3):  # the bare one sends the same message object each time
            answer = get(server.url)
            assert answer.status == 200
            assert body is None or answer.body == body
            assert len([name for name, _ in answer.headers if name in STAMPS]) == 4
        assert len(server.worker_pids) == workers


def test_the_apps_own_headers_are_kept_and_websockets_pass():
    from websockets.sync.client import connect

    with Server("with_starlette:app", app_dir=APPS) as server:
        assert get(server.url).header("x-own") == "kept"
        with connect(server.url.replace("http", "ws") + "/echo", proxy=None) as websocket:
            websocket.send("hello")
            assert websocket.recv() == "hello"
        assert server.counts()[server.pid] == (1, 1)


@pytest.mark.parametrize("workers", [1, 2])
def test_processes_of_the_app_itself_work_and_are_not_touched_while_it_serves(workers, state_folder):
    with Server("pool:app", app_dir=APPS, workers=workers) as server:
        told = [get(server.url).json() for _ in range(6)]
        children = {each["child"] for each in told}
        assert all(proc.alive(child) for child in children)
        assert children.isdisjoint(server.worker_pids)
        roles = {row.pid: row.role for row in server.processes()}
        assert {roles[child] for child in children} == {"child of the app"}
        assert len(server.worker_pids) == workers
        if workers > 1:
            server.scale(3)
            assert all(proc.alive(child) for child in children)
    await_true(lambda: processes_of(state_folder) == [os.getpid()] or processes_of(state_folder) == [])


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_the_event_loop_is_the_one_that_was_asked_for(loop):
    with Server("loop_name:app", app_dir=APPS, loop=loop, workers=2) as server:
        assert get(server.url).body.decode().split(".")[0] == loop


def test_the_machines_web_concurrency_has_no_effect(monkeypatch):
    monkeypatch.setenv("WEB_CONCURRENCY", "3")
    with Server(**BARE) as server:
        assert server.worker_pids == [server.pid]
        assert proc.descendants(server.pid) == []


@linux_only
def test_cpus_binds_every_process_and_thread():
    with Server(workers=2, cpus=1) as server:
        get(server.url, "/cpu-def?units=1")
        for pid in (server.pid, *proc.descendants(server.pid)):
            for thread in os.listdir(f"/proc/{pid}/task"):
                assert os.sched_getaffinity(int(thread)) == set(server.launch.cpus)
        assert len(server.launch.cpus) == 1


@linux_only
def test_a_set_of_cpu_ids_is_used_as_it_is():
    last = max(os.sched_getaffinity(0))
    with Server(cpus={last}, **BARE) as server:
        assert os.sched_getaffinity(server.pid) == {last}


@linux_only
def test_all_workers_hold_one_listening_socket():
    with Server(workers=3, **BARE) as server:
        held = listening_sockets(server.launch.port)
        assert len({socket.inode for socket in held}) == 1
        assert {socket.pid for socket in held} == {server.pid, *server.worker_pids}


# ---------------------------------------------------------------------------------------------------------------- log


def test_a_server_that_writes_ten_megabytes_of_log_does_not_stall():
    with Server("chatty:app", app_dir=APPS, workers=2) as server:
        for _ in range(10):
            assert get(server.url).body == b"written"
        assert server.log.endswith("x" * 1023 + "\n")


def test_the_log_file_stays_capped_and_keeps_its_end():
    with Server("chatty:app", app_dir=APPS) as server:
        (folder,) = launch_folders()
        for _ in range(20):
            get(server.url)
        await_true(lambda: (folder / "server.log").stat().st_size < 16 * 2**20)
        await_true(lambda: "earlier lines were dropped" in (folder / "server.log").read_text())
        get(server.url)
        assert server.log.endswith("x" * 1023 + "\n")
        assert "\0" not in (folder / "server.log").read_text()  # writers append: no hole where it was cut


# ------------------------------------------------------------------------------------------------------- nothing left


def test_a_dropped_server_leaves_no_process_and_no_folder():
    server = Server(workers=2, **BARE).start()
    family = registry.family(server.pid, proc.create_time(server.pid))
    assert len(family) == 4
    del server
    gc.collect()
    assert registry.await_gone(family, 3)
    assert launch_folders() == []


@pytest.mark.parametrize("ending", ["sys.exit(3)", "1 / 0", "sys.exit(0)"])
def test_an_interpreter_that_ends_leaves_no_process_and_no_folder(ending, state_folder):
    program = (
        "import sys\nfrom helpers.server.server import Server\n"
        f"server = Server(workers=2, **{BARE!r}).start()\nprint(server.pid, *server.worker_pids)\n{ending}"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    pids = [int(pid) for pid in ran.stdout.split()]
    assert len(pids) == 3, ran.stderr
    await_true(lambda: not any(proc.alive(pid) for pid in pids), 3)
    assert launch_folders() == []


@linux_only
def test_a_forked_copy_of_the_owner_may_end_and_the_server_stays():
    with Server(**BARE) as server:
        copy = os.fork()
        if copy == 0:
            try:
                del server
                gc.collect()
                import weakref

                weakref.finalize._exitfunc()  # what the end of an interpreter calls
            finally:
                os._exit(0)
        os.waitpid(copy, 0)
        assert get(server.url).status == 200
        assert len(launch_folders()) == 1


def test_what_a_killed_owner_left_is_cleared_away_by_the_next_start():
    with Owner() as owner:
        pid = owner.await_ready()["pid"]
        owner.kill()
    await_true(lambda: not proc.alive(pid), 3)
    assert len(launch_folders()) == 1
    with Server(**BARE):
        assert len(launch_folders()) == 1


def test_the_registry_lists_running_servers_and_can_stop_them():
    with Server(workers=2, **BARE) as one, Server(**BARE) as two:
        entries = registry.servers()
        assert [entry.pid for entry in entries] == [one.pid, two.pid]
        public = entries[0].public()
        assert list(public) == ["pid", "port", "app", "workers", "owner_pid", "started_at", "url"]
        assert public | {"started_at": ""} == {
            "pid": one.pid,
            "port": one.launch.port,
            "app": "bare:app",
            "workers": 2,
            "owner_pid": os.getpid(),
            "started_at": "",
            "url": one.url,
        }
        registry.stop(entries[0])
        assert one.state == "died"
        assert [entry.pid for entry in registry.servers()] == [two.pid]
        assert json.dumps(public)


def open_files():
    return len(os.listdir("/proc/self/fd"))


@linux_only
@pytest.mark.parametrize("cycles", [4, pytest.param(100, marks=pytest.mark.full)])
def test_starting_and_stopping_again_and_again_leaves_nothing_behind(cycles, state_folder):
    def count():
        gc.collect()
        files = sum(len(names) for _, _, names in os.walk(state_folder.parent))
        return open_files(), len(proc.descendants(os.getpid())), files, threading.active_count()

    chance = random.Random(5)
    Server(**BARE).start().stop()
    before = count()
    for _ in range(cycles):
        server = Server(workers=chance.choice([1, 2]), **BARE).start()
        get(server.url)
        server.stop()
    assert count() == before


# -------------------------------------------------------------------------------------------------------------- speed


def test_importing_server_and_load_is_quick_and_brings_no_heavy_package_along():
    heavy = {"matplotlib", "pandas", "scipy", "fastapi", "jinja2", "IPython", "uvicorn"}
    program = (
        "import sys, time; began = time.perf_counter(); import helpers.server.server, helpers.load.run\n"
        f"print(time.perf_counter() - began, sorted({heavy!r} & set(sys.modules)))"
    )
    seconds = []
    for _ in range(3):
        ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
        took, _, found = ran.stdout.partition(" ")
        assert found.strip() == "[]"
        seconds.append(float(took))
    assert min(seconds) <= 0.5


@pytest.mark.full
def test_a_start_costs_hardly_more_than_bare_uvicorn():
    from tests.benchmarks.start_up import bare_uvicorn_s, our_server_s

    rounds = [(our_server_s(), bare_uvicorn_s()) for _ in range(3)]
    ours, bare = (statistics.median(each) for each in zip(*rounds, strict=True))
    assert ours / bare <= 1.5, rounds  # 1.3 on a quiet machine: tests/benchmarks/start_up.py


def test_a_running_event_loop_does_not_disturb_a_start():
    async def cell():
        with Server(**BARE) as server:
            return get(server.url).status

    assert asyncio.run(cell()) == 200
