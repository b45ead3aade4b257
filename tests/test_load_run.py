"""load_test() from the outside: bad input, bad targets, interruptions, and what is left running afterwards."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from helpers.errors import InputError, LabError, TargetError
from helpers.load.plan import make_plan
from helpers.load.run import Cancelled, EngineStopped, Progress, load_test
from helpers.server.server import Server
from tests.raw_servers import OK, reset, serve
from tests.running_loads import engines, run_until_measuring
from tests.serving import BARE

PROJECT = Path(__file__).resolve().parents[1]
URL = "http://127.0.0.1:5999/"


def answer_ok(client: socket.socket, _number: int) -> None:
    client.sendall(OK)


BAD = [
    ({"url": ""}, "URL is ''", "http://127.0.0.1:5012"),
    ({"url": "127.0.0.1:5012/cpu"}, "does not say http://", "http://127.0.0.1:5012/cpu"),
    ({"url": "http://"}, "no http address", "http://127.0.0.1:5012"),
    ({"url": "http://127.0.0.1:70000/"}, "malformed", "http://127.0.0.1:5012"),
    ({"url": "http://127.0.0.1:0/"}, "port 0", "port"),
    ({"url": "http://127.0.0.1:5012/a b"}, "space", "%20"),
    ({"url": "ftp://127.0.0.1/"}, "no http address", "http://"),
    ({"url": "https://127.0.0.1:5012/"}, "https", "http://"),
    ({"url": "http://me:pw@127.0.0.1:5012/"}, "user name", "headers"),
    ({"users": 0}, "users is 0", "at least 1"),
    ({"users": -3}, "users is -3", "at least 1"),
    ({"users": 10**6}, "users is 1000000, more than 5000", "max_users"),
    ({"users": "two"}, "users is 'two'", "users=16"),
    ({"users": 2.5}, "users is 2.5", "users=16"),
    ({"users": True}, "users is True", "users=16"),
    ({"users": 4, "rate": 10}, "users and rate are both given", "choose one"),
    ({"users": None}, "neither users nor rate", "users=16"),
    ({"users": None, "rate": 0}, "rate is 0", "more than 0"),
    ({"users": None, "rate": -5}, "rate is -5", "more than 0"),
    ({"users": None, "rate": "fast"}, "'fast' is no number", "20:5s,80:5s"),
    ({"users": None, "rate": "20:5s,80"}, "'80' is no stage", "20:5s,80:5s"),
    ({"users": None, "rate": "20:5s,x:5s"}, "'x' is no number", "20:5s,80:5s"),
    ({"users": None, "rate": []}, "no stages", '(20, "5s")'),
    ({"users": None, "rate": [()]}, "stage 1 of rate is ()", '(20, "5s")'),
    ({"users": None, "rate": [(20, "5s"), 80]}, "stage 2 of rate is 80", '(20, "5s")'),
    ({"users": None, "rate": [(20, "0s", "5s"), (80, "3s", "8s")]}, "stage 1 of rate", "cannot overlap"),
    ({"users": None, "rate": [(20, "5s"), (0, "5s")]}, "rate of stage 2 is 0", "more than 0"),
    ({"users": None, "rate": [(20, "5s"), (-1, "5s")]}, "rate of stage 2 is -1", "more than 0"),
    ({"users": None, "rate": [(20, "5s"), (10**6, "5s")]}, "rate of stage 2 is 1e+06", "max_rate"),
    ({"users": None, "rate": [(20, 0)]}, "duration of stage 1 is 0", "more than 0"),
    ({"users": None, "rate": [(20, "-5s")]}, "duration of stage 1 is '-5s'", "5s"),
    ({"users": None, "rate": [(20, 50), (80, 50)]}, "take 100 s, more than 60 s", "max_duration"),
    ({"users": None, "rate": [(20, 5)], "duration": 5}, "duration is 5, but the stages", "Leave duration out"),
    ({"stop_if": "errors>"}, "errors>", ""),
    ({"stop_if": ""}, "''", "p99"),
    ({"retry": 2}, "retry is 2", "Retry(times=2"),
    ({"users": None, "rate": float("nan")}, "rate is nan", "rate=50"),
    ({"users": None, "rate": 10**6}, "rate is 1e+06", "max_rate"),
    ({"users": None, "rate": 10, "think": 1}, "think is 1", "users=N"),
    ({"users": None, "rate": 10, "max_inflight": 0}, "max_inflight is 0", "at least 1"),
    ({"arrivals": "bursty"}, "arrivals is 'bursty'", "poisson"),
    ({"duration": 0}, "duration is 0", "more than 0"),
    ({"duration": -1}, "duration is -1", "more than 0"),
    ({"duration": 10**6}, "duration is 1000000, more than 60 s", "max_duration"),
    ({"duration": "soon"}, "duration is 'soon'", "5s"),
    ({"duration": float("inf")}, "duration is inf", "more than 0"),
    ({"timeout": 0}, "timeout is 0", "more than 0"),
    ({"timeout": "0ms"}, "timeout is '0ms'", "more than 0"),
    ({"warmup": -1}, "warmup is -1", "0 or more"),
    ({"method": "BREW"}, "method is 'BREW'", "GET"),
    ({"headers": {"a b": "c"}}, "no name of a header", "headers="),
    ({"headers": {"x": "a\r\nb: c"}}, "the header 'x'", "ASCII"),
    ({"headers": {"x": "a\nb: c"}}, "the header 'x'", "ASCII"),
    ({"headers": {"x\r\nb": "c"}}, "no name of a header", "headers="),
    ({"headers": {"Host": "x"}}, "'Host'", "Leave it out"),
    ({"body": 7}, "body is a int", "bytes or text"),
    ({"seed": "x"}, "seed is 'x'", "seed=16"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "message", "hint"), BAD, ids=lambda value: str(value)[:40])
def test_bad_input_is_named_and_mended(given: dict[str, object], message: str, hint: str) -> None:
    options: dict[str, object] = {"url": URL, "users": 4} | given
    with pytest.raises(InputError) as caught:
        load_test(options.pop("url"), progress=False, **options)  # type: ignore[arg-type]
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert "\n" not in caught.value.message + caught.value.hint
    assert engines() == []


def test_only_this_machine_is_loaded_unless_the_host_is_spelled_out() -> None:
    with pytest.raises(TargetError, match="not this machine") as caught:
        load_test("http://192.0.2.7/", users=1, progress=False)
    assert 'allow_host="192.0.2.7"' in caught.value.hint
    assert "slows down" in caught.value.hint
    with pytest.raises(TargetError, match="not this machine"):
        load_test("http://192.0.2.7/", users=1, allow_host="192.0.2.8", progress=False)


def test_a_host_that_does_not_exist_is_said() -> None:
    with pytest.raises(TargetError, match="cannot be resolved"):
        load_test("http://no-such-host.invalid/", users=1, progress=False)


def test_nobody_listening_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TargetError, match=f"nothing listens at 127.0.0.1:{port}") as caught:
        load_test(f"http://127.0.0.1:{port}/", users=1, progress=False)
    assert "Start the server" in caught.value.hint


def test_something_else_than_http_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            client, _address = listener.accept()
            with client:
                client.recv(1000)
                client.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(TargetError, match="does not answer in HTTP"):
            load_test(f"http://127.0.0.1:{listener.getsockname()[1]}/", users=1, progress=False)
        thread.join()


@pytest.fixture(scope="module")
def server():  # type: ignore[no-untyped-def]
    with Server(workers=2) as running:
        yield running


def test_a_path_that_is_not_there_lists_those_that_are(server: Server) -> None:
    with pytest.raises(TargetError, match="answers 404") as caught:
        load_test(server.url + "/cup", users=1, progress=False)
    assert "/cpu" in caught.value.hint


def test_input_the_app_refuses_is_shown_with_the_apps_own_words(server: Server) -> None:
    with pytest.raises(TargetError, match="answers 422") as caught:
        load_test(server.url + "/cpu?units=0", users=1, progress=False)
    assert "greater than or equal to 1" in caught.value.hint


def test_a_path_that_always_fails_points_to_the_log(server: Server) -> None:
    with pytest.raises(TargetError, match="answers 503 to every try") as caught:
        load_test(server.url + "/downstream", users=1, progress=False)
    assert "log" in caught.value.hint


def test_a_redirect_is_not_followed(server: Server) -> None:
    with pytest.raises(TargetError, match="answers 307") as caught:
        load_test(server.url + "/cpu/", users=1, progress=False)
    assert "final address" in caught.value.hint


def test_a_server_that_fails_twice_and_then_answers_is_measured(tmp_path: Path) -> None:
    (tmp_path / "shaky.py").write_text(
        "calls = 0\n"
        "async def app(scope, receive, send):\n"
        "    global calls\n"
        "    if scope['type'] != 'http': return\n"
        "    calls += 1\n"
        "    status = 500 if calls < 3 else 200\n"
        "    await send({'type': 'http.response.start', 'status': status, 'headers': [(b'content-length', b'0')]})\n"
        "    await send({'type': 'http.response.body', 'body': b''})\n"
    )
    with Server("shaky:app", app_dir=tmp_path) as shaky:
        result = load_test(shaky.url + "/", users=1, duration=0.3, warmup=0, progress=False)
    assert result.error_ratio == 0


def test_an_answer_slower_than_the_probe_is_no_error() -> None:
    with serve(lambda client, _number: None) as url:
        result = load_test(url, users=1, duration=0.3, warmup=0, timeout=0.2, progress=False)
    assert result.outcomes["timeout"] == result.requests


def test_the_answers_of_every_worker_are_told_apart(server: Server) -> None:
    result = load_test(server.url + "/cpu?units=5", users=8, duration=1, progress=False)
    assert set(result.worker_answers) == set(server.worker_pids)
    assert sum(result.worker_answers.values()) == pytest.approx(result.achieved_per_s * result.duration_s)
    count = next(check for check in result.checks if check.name == "server's count")
    assert count.verdict == "pass", count.why
    assert next(check for check in result.checks if check.name == "launch").verdict == "pass"


def test_stamps_are_in_the_order_of_what_happened(server: Server) -> None:
    window = load_test(server.url + "/sleep?ms=5", users=4, duration=0.5, progress=False).window
    for earlier, later in [("intended", "sent"), ("sent", "handled"), ("handled", "started"), ("started", "done")]:
        assert (window[f"{earlier}_ns"] <= window[f"{later}_ns"]).all(), (earlier, later)
    assert (window["first_ns"] <= window["done_ns"]).all()


def test_the_summary_is_json_with_its_schema_first(server: Server) -> None:
    result = load_test(server.url + "/sleep?ms=5", users=4, duration=0.5, progress=False)
    summary = json.loads(json.dumps(result.summary()))
    assert next(iter(summary)) == "schema"
    assert {"p50", "p90", "p95", "p99", "max"} == set(summary["response_ms"])
    assert summary["ok"] == result.ok
    assert {"name", "value", "limit", "unit", "verdict", "why"} == set(summary["checks"][0])
    assert len(result.frame()) == result.requests


def test_an_uninstrumented_server_is_at_best_warned_about() -> None:
    with serve(answer_ok) as url:
        result = load_test(url, users=1, duration=0.3, progress=False)
    assert result.verdict != "pass"
    assert any("does not say who it is" in reason for reason in result.reasons)


def test_method_headers_and_body_arrive() -> None:
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def listen() -> None:
            while len([one for one in seen if b"accept-encoding" not in one.lower()]) < 1:
                client, _address = listener.accept()
                with client:
                    seen.append(client.recv(65536))
                    client.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")

        thread = threading.Thread(target=listen)
        thread.start()
        port = listener.getsockname()[1]
        load_test(
            f"http://127.0.0.1:{port}/a?b=c%20d", users=1, duration=0.1, warmup=0, timeout=0.2, method="post",
            headers={"X-Token": "t"}, body="héllo", progress=False,
        )  # fmt: skip
        thread.join()
    expected = f"POST /a?b=c%20d HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nx-token: t\r\ncontent-length: 6\r\n\r\nhéllo"
    assert seen[-1] == expected.encode()


# ------------------------------------------------------------------------------------------------- interruptions


def test_cancel_stops_at_once_and_leaves_nothing() -> None:
    cancel = threading.Event()
    with serve(answer_ok) as url:
        thread, found = run_until_measuring(url, cancel=cancel)
        begin_s = time.monotonic()
        cancel.set()
        thread.join(5)
        assert time.monotonic() - begin_s < 1
    assert isinstance(found[0], Cancelled)
    assert engines() == []


def test_a_killed_engine_is_said_and_what_it_measured_is_kept() -> None:
    with serve(answer_ok) as url:
        thread, found = run_until_measuring(url)
        time.sleep(0.6)  # so that there is something to keep
        os.kill(engines()[0], signal.SIGKILL)
        thread.join(10)
    error = found[0]
    assert isinstance(error, EngineStopped)
    assert "killed (signal 9)" in error.message
    assert error.hint
    assert error.partial is not None
    assert error.partial.requests > 0
    assert error.partial.verdict == "void"
    assert "killed" in error.partial.summary()["incomplete"]
    assert "answers/s" not in str(error.partial)


def test_ctrl_c_ends_owner_and_engine() -> None:
    code = (
        "import sys\nfrom helpers.load.run import load_test\n"
        "say = lambda now: print(now.phase, flush=True)\n"
        "load_test(sys.argv[1], users=2, duration=30, warmup=0, progress=False, on_progress=say)"
    )
    with serve(answer_ok) as url:
        owner = subprocess.Popen(
            [sys.executable, "-c", code, url], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert owner.stdout is not None
        for line in owner.stdout:
            if line.strip() == "measuring":
                break
        family = psutil.Process(owner.pid).children(recursive=True)
        assert family
        owner.send_signal(signal.SIGINT)
        _out, err = owner.communicate(timeout=5)
    assert "KeyboardInterrupt" in err
    assert psutil.wait_procs(family, timeout=3)[1] == []


def test_an_engine_whose_owner_is_killed_ends_too() -> None:
    code = (
        "import sys\nfrom helpers.load.run import load_test\n"
        "say = lambda now: print(now.phase, flush=True)\n"
        "load_test(sys.argv[1], users=2, duration=30, warmup=0, progress=False, on_progress=say)"
    )
    with serve(answer_ok) as url:
        owner = subprocess.Popen([sys.executable, "-c", code, url], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
        assert owner.stdout is not None
        for line in owner.stdout:
            if line.strip() == "measuring":
                break
        family = psutil.Process(owner.pid).children(recursive=True)
        owner.kill()
        owner.wait()
        assert psutil.wait_procs(family, timeout=3)[1] == []


def test_a_limit_of_open_files_that_is_too_low_is_said() -> None:
    import resource

    code = (
        "import resource, sys\nresource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))\n"
        "from helpers.errors import LabError\nfrom helpers.load.run import load_test\n"
        "try:\n    load_test(sys.argv[1], users=5000, progress=False)\nexcept LabError as error:\n    print(error)"
    )
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] > 1024
    with serve(answer_ok) as url:
        said = subprocess.run(
            [sys.executable, "-c", code, url], cwd=PROJECT, capture_output=True, text=True, check=True
        )
    assert "5000 connections need 5064 open files, but this system allows 1024 per process" in said.stdout
    assert "the hard limit of ulimit -n" in said.stdout
    assert "hint: Use at most 960, or raise the limit" in said.stdout
    assert "nofile=5064" in said.stdout


def test_a_soft_limit_of_open_files_is_raised_where_the_hard_one_allows_it() -> None:
    import resource

    users = 1100
    code = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n"
        "from helpers.load.run import load_test\n"
        f"found = load_test(sys.argv[1], users={users}, duration=0.5, think=1, timeout=20, progress=False)\n"
        "print(len(set(found.records['connection'])), found.outcomes, dict(found.errors))"
    )
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > users + 64, "the server needs as many"
    with Server(**BARE) as bare:  # type: ignore[arg-type]
        said = subprocess.run(
            [sys.executable, "-c", code, bare.url + "/"], cwd=PROJECT, capture_output=True, text=True, check=True
        )
    assert said.stdout.startswith(f"{users} {{'ok': "), said.stdout
    assert said.stdout.rstrip().endswith(" {}")


def test_progress_is_told_in_order() -> None:
    told: list[Progress] = []
    with serve(answer_ok) as url:
        load_test(url, users=2, duration=0.8, warmup=0.3, progress=False, on_progress=told.append)
    phases = list(dict.fromkeys(one.phase for one in told))
    assert [phase for phase in ("opening", "warm-up", "measuring") if phase in phases] == phases[:3]
    assert [one.requests for one in told] == sorted(one.requests for one in told)


def test_the_progress_bar_goes_to_stderr_and_can_be_silenced(capfd: pytest.CaptureFixture[str]) -> None:
    with serve(answer_ok) as url:
        load_test(url, users=1, duration=0.3, warmup=0)
        out, err = capfd.readouterr()
        assert out == ""
        assert "1 user |" in err
        load_test(url, users=1, duration=0.3, warmup=0, progress=False)
    assert capfd.readouterr() == ("", "")


def test_every_error_is_of_the_one_family() -> None:
    assert issubclass(EngineStopped, LabError)
    assert issubclass(Cancelled, LabError)
    assert Cancelled.exit_code == 130


def test_importing_the_load_test_is_quick_and_pulls_in_nothing_heavy() -> None:
    heavy = {"numpy", "pandas", "scipy", "matplotlib", "tqdm", "httptools"}
    code = f"import sys, helpers.load.run; print(sorted({heavy} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_a_probe_whose_connection_breaks_is_tried_again_and_then_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        tries = []

        def slam() -> None:
            for _ in range(3):
                client, _address = listener.accept()
                client.recv(1000)
                tries.append(1)
                reset(client)

        thread = threading.Thread(target=slam)
        thread.start()
        with pytest.raises(TargetError, match="broke off"):
            load_test(f"http://127.0.0.1:{listener.getsockname()[1]}/", users=1, progress=False)
        thread.join()
    assert len(tries) == 3


def test_a_full_disk_ends_the_engine_with_a_word_instead_of_a_wrong_number() -> None:
    with serve(answer_ok) as url:
        plan = make_plan(url, users=2, duration=5, warmup=0)
        job = {
            "plan": plan.as_json(), "records": "/dev/full", "launch": None, "server_pids": [], "owner_pid": os.getpid(),
        }  # fmt: skip
        said = subprocess.run(
            [sys.executable, "-m", "helpers.load.engine"], input=json.dumps(job) + "\n", cwd=PROJECT, text=True,
            capture_output=True, timeout=10,
        )  # fmt: skip
    last = json.loads(said.stdout.splitlines()[-1])
    assert last["event"] == "error"
    assert "No space left" in last["message"]
    assert "disk" in last["hint"]
    assert said.returncode == 1
