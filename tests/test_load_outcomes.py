"""Each way in which a server can misbehave lands in its outcome, and none makes the engine hang (known answer 6)."""

import socket
import threading
import time

import pytest

from helpers import proc
from helpers.errors import TargetError
from helpers.load.connection import spoken_to
from helpers.load.result import LoadResult
from helpers.load.run import Progress, load_test
from tests.raw_servers import OK, Answer, reset, serve
from tests.running_loads import engines

HEAD = b"HTTP/1.1 200 OK\r\n"


def load(answer: Answer, **options: object) -> LoadResult:
    with serve(answer) as url:
        chosen = {"users": 2, "duration": 0.4, "warmup": 0.1, "timeout": 0.3, "progress": False} | options
        return load_test(url, **chosen)  # type: ignore[arg-type]


def found(result: LoadResult) -> set[str]:
    return {name for name, count in result.outcomes.items() if count}


def send(data: bytes) -> Answer:
    return lambda client, _number: client.sendall(data)


def test_an_answer_is_ok() -> None:
    assert found(load(send(OK))) == {"ok"}


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, "ok"), (204, "ok"), (404, "http_4xx"), (429, "http_4xx"), (500, "http_5xx"), (503, "http_5xx")],
)
def test_the_status_decides(status: int, outcome: str) -> None:
    assert found(load(send(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % status))) == {outcome}


def test_another_body_than_expected_is_a_mismatch() -> None:
    assert found(load(send(OK), expect_body=b"ok")) == {"ok"}
    assert found(load(send(OK), expect_body=b"okay")) == {"body_mismatch"}
    assert found(load(send(OK), expect_body=b"o")) == {"body_mismatch"}


def test_a_mixture_is_counted_one_by_one() -> None:
    bad = OK.replace(b"ok", b"no")
    result = load(lambda client, number: client.sendall(bad if number % 2 else OK), users=1, expect_body="ok")
    assert abs(result.outcomes["ok"] - result.outcomes["body_mismatch"]) <= 1
    assert sum(result.outcomes.values()) == result.requests


def test_chunks_are_put_together() -> None:
    chunked = HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n3\r\nay!\r\n0\r\n\r\n"
    assert found(load(send(chunked), expect_body=b"okay!")) == {"ok"}


def test_an_answer_in_single_bytes_is_whole() -> None:
    def dribble(client: socket.socket, _number: int) -> None:
        for position in range(len(OK)):
            client.sendall(OK[position : position + 1])

    assert found(load(dribble, expect_body=b"ok")) == {"ok"}


def test_the_interim_answer_100_is_not_the_answer() -> None:
    def interim(client: socket.socket, _number: int) -> None:
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.02)
        client.sendall(OK)

    result = load(interim, expect_body=b"ok")
    assert found(result) == {"ok"}
    assert float(result.service.at_most(0.0) or 0) > 15


def test_an_interim_answer_alone_runs_into_the_time_out() -> None:
    assert found(load(send(b"HTTP/1.1 100 Continue\r\n\r\n"))) == {"timeout"}


def test_http_1_0_without_a_length_ends_with_the_connection() -> None:
    def old(client: socket.socket, _number: int) -> None:
        client.sendall(b"HTTP/1.0 200 OK\r\n\r\nall of it")
        client.shutdown(socket.SHUT_RDWR)
        client.close()

    assert found(load(old, expect_body=b"all of it")) == {"ok"}


def test_connection_close_opens_a_new_one_each_time() -> None:
    def closing(client: socket.socket, _number: int) -> None:
        client.sendall(HEAD + b"connection: close\r\ncontent-length: 2\r\n\r\nok")
        client.close()

    result = load(closing)
    assert found(result) == {"ok"}
    assert all(result.window["flags"] == 1)


def test_ten_megabytes_are_read_to_the_end() -> None:
    size = 10_000_000
    big = HEAD + b"content-length: %d\r\n\r\n" % size + bytes(size)
    result = load(send(big), users=1, timeout=2, duration=1, expect_body=bytes(size))
    assert found(result) == {"ok"}


def test_a_reset_is_a_reset() -> None:
    assert found(load(lambda client, _number: reset(client))) == {"reset"}


def test_half_an_answer_is_a_reset() -> None:
    def half(client: socket.socket, _number: int) -> None:
        client.sendall(HEAD + b"content-length: 100\r\n\r\nhalf")
        client.shutdown(socket.SHUT_RDWR)
        client.close()

    assert found(load(half)) == {"reset"}


def test_half_a_head_is_a_reset() -> None:
    def half(client: socket.socket, _number: int) -> None:
        client.sendall(HEAD)
        client.shutdown(socket.SHUT_RDWR)
        client.close()

    assert found(load(half)) == {"reset"}


def test_a_connection_closed_without_a_word_after_an_answer_is_stale() -> None:
    def once(client: socket.socket, _number: int) -> None:
        client.sendall(OK)
        client.shutdown(socket.SHUT_RDWR)
        client.close()

    result = load(once)
    assert found(result) <= {"ok", "stale_conn"}
    assert result.outcomes["stale_conn"] > 0


@pytest.mark.parametrize(
    "garbage",
    [b"this is not HTTP\r\n\r\n", OK + OK, OK + b"more than its length", HEAD + b"content-length: x\r\n\r\n",
     b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"],
)  # fmt: skip
def test_what_breaks_the_protocol_is_protocol(garbage: bytes) -> None:
    assert "protocol" in found(load(send(garbage)))
    assert found(load(send(garbage))) <= {"protocol", "ok"}


def test_silence_is_a_time_out_of_the_whole_request() -> None:
    result = load(lambda client, _number: None, users=5, duration=1)
    assert found(result) == {"timeout"}
    waited_ms = (result.window["done_ns"] - result.window["intended_ns"]) / 1e6
    assert waited_ms.min() >= 300
    assert sorted(waited_ms)[len(waited_ms) // 2] < 300 + 15


@pytest.mark.parametrize("pause_s", [0.02, 1.0], ids=["50 bytes a second", "1 byte a second"])
def test_a_dribbling_answer_cannot_outlast_the_time_out(pause_s: float) -> None:
    def dribble(client: socket.socket, _number: int) -> None:
        client.sendall(HEAD + b"content-length: 1000\r\n\r\n")
        for _ in range(100):
            time.sleep(pause_s)
            client.sendall(b"x")

    result = load(dribble)
    assert found(result) == {"timeout"}
    assert result.max_ms is not None
    assert str(result.max_ms) == ">= 300 ms"


def test_endless_headers_run_into_the_time_out_and_take_no_memory() -> None:
    line = b"x-more: " + b"a" * 65_000 + b"\r\n"

    def endless(client: socket.socket, _number: int) -> None:
        client.sendall(HEAD)
        while True:
            client.sendall(line)

    used_bytes: list[int] = []

    def look(_now: Progress) -> None:
        used_bytes.extend(filter(None, map(proc.rss_bytes, engines())))

    result = load(endless, duration=1.5, timeout=1, on_progress=look)
    assert found(result) == {"timeout"}
    assert max(used_bytes) - used_bytes[0] < 20e6, used_bytes


def test_an_answer_before_the_request_breaks_the_protocol() -> None:
    """Taken for the request's own, it would make the server seem to answer in no time at all."""
    early: list[int] = []

    def too_soon(client: socket.socket) -> None:
        client.sendall(OK + OK)  # whoever reads the first has the second in hand before asking again
        early.append(1)

    with serve(lambda _client, _number: None, greet=too_soon) as url:
        result = load_test(url, users=4, duration=0.4, warmup=0.1, timeout=0.3, progress=False)
    assert early
    assert found(result) == {"protocol"}


def test_what_is_there_before_the_request_is_noticed_and_left_there() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    assert not spoken_to(ours.recv)
    theirs.sendall(OK)
    assert spoken_to(ours.recv)
    assert ours.recv(1000) == OK
    theirs.close()
    assert not spoken_to(ours.recv), "that it has hung up is seen by the send"
    ours.close()


def test_an_idle_connection_that_is_spoken_to_is_not_used() -> None:
    with serve(lambda _client, _number: None, greet=lambda client: client.sendall(OK)) as url:
        result = load_test(url, rate=20, duration=0.5, warmup=0.1, timeout=0.3, progress=False)
    assert result.errors["answer to no request"] > 0
    assert found(result) <= {"protocol", "ok", "timeout"}


def test_a_redirect_to_another_host_is_refused_before_the_run() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def move() -> None:
            client, _address = listener.accept()
            with client:
                client.recv(1000)
                client.sendall(
                    b"HTTP/1.1 302 Found\r\nlocation: http://elsewhere.invalid/\r\ncontent-length: 0\r\n\r\n"
                )

        thread = threading.Thread(target=move)
        thread.start()
        with pytest.raises(TargetError, match=r"302 and points to http://elsewhere.invalid/") as caught:
            load_test(f"http://127.0.0.1:{listener.getsockname()[1]}/", users=1, progress=False)
        thread.join()
    assert "not followed" in caught.value.hint


def test_a_server_that_leaves_in_mid_run_refuses_and_users_try_again_slowly() -> None:
    gone = threading.Event()

    def leave(client: socket.socket, number: int) -> None:
        client.sendall(OK)
        if number == 200:
            gone.set()

    with serve(leave) as url:
        results: list[LoadResult] = []
        run = threading.Thread(
            target=lambda: results.append(load_test(url, users=3, duration=1, warmup=0, progress=False))
        )
        run.start()
        gone.wait(10)
    run.join()
    outcomes = results[0].outcomes
    assert outcomes["refused"] > 0
    assert outcomes["refused"] <= 3 * 11  # ten a second and user
    assert outcomes["reset"] + outcomes["stale_conn"] <= 3


def test_outcomes_add_up_whatever_happens() -> None:
    def mixed(client: socket.socket, number: int) -> None:
        kind = number % 5
        if kind == 0:
            reset(client)
        elif kind == 1:
            client.sendall(b"garbage\r\n\r\n")
        elif kind < 4:
            client.sendall(OK)

    result = load(mixed, users=8, duration=1)
    assert sum(result.outcomes.values()) == result.requests
    assert {"ok", "timeout", "protocol"} <= found(result)
    assert result.outcomes["reset"] + result.outcomes["stale_conn"] > 0
    assert next(check for check in result.checks if check.name == "Little's law").verdict == "pass"
