"""What spoils a measurement, each once for real, and the check that has to name it."""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from helpers.load.checks import Check
from helpers.load.result import LoadResult
from helpers.load.run import load_test
from helpers.server.server import Server
from tests.raw_servers import Answer, serve
from tests.running_loads import engines, run_until_measuring
from tests.serving import free_port


def check(result: LoadResult, name: str) -> Check:
    return next(one for one in result.checks if one.name == name)


def ended(thread: threading.Thread, found: list[object]) -> LoadResult:
    thread.join(30)
    result = found[0]
    assert isinstance(result, LoadResult), result
    return result


def stop_for(pid: int, for_s: float) -> None:
    os.kill(pid, signal.SIGSTOP)
    time.sleep(for_s)
    os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(workers=2) as running:
        yield running


def test_a_stopped_worker_is_named(server: Server) -> None:
    stopped = server.worker_pids[0]
    background = run_until_measuring(server.url + "/sleep?ms=20", users=8, duration=2)
    stop_for(stopped, 1)
    found = check(ended(*background), "stopped worker")
    assert found.verdict == "warn"
    assert found.value is not None
    assert 0.7 < found.value < 1.5
    assert f"Process {stopped} of the server was stopped" in found.why
    assert f"kill -CONT {stopped}" in found.why


def test_an_engine_that_stands_still_is_a_slow_client_and_not_a_slow_server(server: Server) -> None:
    background = run_until_measuring(server.url + "/sleep?ms=20", users=4, duration=1.5)
    stop_for(engines()[0], 0.8)
    result = ended(*background)
    found = check(result, "pauses")
    assert found.verdict == "void"
    assert found.value is not None
    assert 700 < found.value < 1500
    assert "answers/s" not in str(result)


def test_an_undisturbed_run_has_no_such_checks_to_show(server: Server) -> None:
    result = load_test(server.url + "/sleep?ms=20", users=8, duration=0.5, progress=False)
    names = [one.name for one in result.checks]
    assert "stopped worker" not in names
    assert "redirects" not in names
    assert check(result, "warm-up").verdict == "pass"


def test_a_stale_server_on_the_port_is_found_by_its_launch() -> None:
    """Two servers share the port, as gunicorn and granian allow it: the kernel deals the connections out."""
    port = free_port()
    about = {"launch": "new0", "app": "a:a", "parent": os.getpid(), "workers_wanted": 1, "workers": []}

    def answers(launch: str) -> Answer:
        lab = f"x-worker-pid: 7\r\nx-launch-id: {launch}\r\nx-handled-ns: 1\r\nx-started-ns: 2\r\n"
        return lambda client, _n: client.sendall(f"HTTP/1.1 200 OK\r\n{lab}content-length: 0\r\n\r\n".encode())

    who = json.dumps(about).encode()  # both say so: what counts is what stands in their answers
    with serve(answers("old0"), about=who, port=port), serve(answers("new0"), about=who, port=port) as url:
        result = load_test(url, users=16, duration=0.5, warmup=0.1, progress=False)
    found = check(result, "launch")
    assert found.verdict == "void"
    assert "two share the port" in found.why
    assert found.value is not None
    assert 0 < found.value < len(result.records)


def test_a_server_that_was_replaced_in_mid_run_is_found_by_its_launch() -> None:
    with Server(workers=1) as server:
        background = run_until_measuring(server.url + "/sleep?ms=5", users=2, duration=4)
        server.relaunch()
        result = ended(*background)
    assert check(result, "launch").verdict == "void"
    assert "restarted" in check(result, "launch").why


def test_a_second_load_test_at_the_same_time_is_found_by_both(server: Server) -> None:
    url = server.url + "/sleep?ms=20"
    background = run_until_measuring(url, users=4, duration=1.5)
    second = load_test(url, users=4, duration=0.3, warmup=0.1, progress=False)
    first = ended(*background)
    for result in (first, second):
        found = check(result, "server's count")
        assert found.verdict == "warn"
        assert "somebody else used the server meanwhile" in found.why


def test_answers_that_point_elsewhere_are_said_and_nobody_goes_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(0)
        where = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/login"
        moved = f"HTTP/1.1 302 Found\r\nlocation: {where}\r\ncontent-length: 0\r\n\r\n".encode()
        with serve(lambda client, _number: client.sendall(moved)) as url:
            result = load_test(url, users=1, duration=0.2, warmup=0, progress=False)
        try:
            visitor = elsewhere.accept()
        except BlockingIOError:
            visitor = None
    assert visitor is None
    found = check(result, "redirects")
    assert found.verdict == "warn"
    assert found.value == len(result.records)
