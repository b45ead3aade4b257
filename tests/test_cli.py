"""The command line's contract: exit codes, one error line and one hint line, one JSON object on stdout."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import store
from helpers.cli import main
from helpers.load import checks
from helpers.server import registry
from helpers.server.server import Server
from tests.undisturbed import undisturbed  # noqa: F401

LOAD_KEYS = {
    "schema", "model", "offered_per_s", "achieved_per_s", "requests", "ok", "error_ratio", "outcomes", "response_ms",
    "ok_response_ms", "service_ms", "lag_ms", "engine_cpu_us_per_request", "worker_share", "checks", "verdict",
}  # fmt: skip
ROW_KEYS = {
    "workers", "cpus", "users", "repeat", "achieved_per_s", "error_ratio", "p50_ms", "p95_ms", "p99_ms", "verdict",
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def complaint(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """What went to stderr, if it is one error line and one hint line and nothing else; stdout must be empty."""
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.strip().splitlines()
    assert len(lines) == 2, err
    assert lines[0].startswith("error: ")
    assert lines[1].startswith("hint: ")
    return lines[0], lines[1]


def test_load_with_json_prints_one_object_with_the_contracts_keys(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["load", server.url + "/cpu?units=5", "--users", "4", "--duration", "1s", "--json"]) in (0, 3)
    told = json.loads(capsys.readouterr().out)
    assert set(told) >= LOAD_KEYS
    assert next(iter(told)) == "schema"
    assert told["model"] == "closed"
    assert sum(told["outcomes"].values()) == told["requests"]
    assert {"name", "value", "limit", "unit", "verdict", "why"} <= set(told["checks"][0])
    assert {"p50", "p90", "p95", "p99", "max"} <= set(told["response_ms"])


def test_load_in_words_names_users_error_rate_and_verdict(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["load", server.url + "/cpu", "--users", "4", "--duration", "1s"]) in (0, 3)
    text = capsys.readouterr().out
    assert "4 users" in text
    assert "verdict" in text


def test_sweep_with_json_prints_rows_and_speedup(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["sweep", "--workers", "1,2", "--users", "4", "--repeats", "2", "--duration", "1s", "--json"]
    assert main(arguments) in (0, 3)
    told = json.loads(capsys.readouterr().out)
    assert next(iter(told)) == "schema"
    assert len(told["rows"]) == 4
    assert set(told["rows"][0]) == ROW_KEYS
    assert [cell["workers"] for cell in told["speedup"]] == [1, 2]
    assert told["machine"]


def test_servers_lists_a_running_server_and_stops_it(capsys: pytest.CaptureFixture[str]) -> None:
    server = Server(workers=2).start()
    assert main(["servers", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    mine = next(entry for entry in told["servers"] if entry["pid"] == server.pid)
    assert set(mine) == {"pid", "port", "app", "workers", "owner_pid", "started_at", "url"}
    assert mine["workers"] == 2
    assert mine["owner_pid"] == os.getpid()
    registry.stop(next(entry for entry in registry.servers() if entry.pid == server.pid))
    assert server.state == "died"
    server.stop()
    assert server.pid not in [entry.pid for entry in registry.servers()] if server.state != "stopped" else True


def test_doctor_with_json_says_whether_the_machine_is_ready(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert code == (0 if told["ready"] else 1)
    assert {"name", "status", "detail", "remedy"} == set(told["checks"][0])


@pytest.mark.parametrize(
    ("slo", "verdict", "code"),
    [("p50<10s,errors<1%", "met", 0), ("p50<10s,max<1ms", "missed", 1), ("p50<10s,p99<10s", "cannot tell", 3)],
)
@pytest.mark.usefixtures("undisturbed")
def test_an_objective_decides_the_exit_code(
    server: Server, capsys: pytest.CaptureFixture[str], slo: str, verdict: str, code: int
) -> None:
    call = ["load", server.url + "/sleep?ms=10", "--users", "2", "--duration", "500ms", "--slo", slo]
    assert main([*call, "--json"]) == code
    told = json.loads(capsys.readouterr().out)
    assert told["slo_verdict"] == verdict
    assert [target["target"] for target in told["slo"]] == slo.split(",")
    assert {"metric", "value", "limit", "unit", "verdict", "why"} <= set(told["slo"][0])
    assert main(call) == code
    assert capsys.readouterr().out.count("objective") == 2


def test_a_void_run_exits_3_whatever_the_objective(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "ENGINE_CPU_VOID", 0.0)
    call = ["load", server.url + "/", "--users", "1", "--duration", "300ms", "--slo", "max<1ms", "--json"]
    assert main(call) == 3
    assert json.loads(capsys.readouterr().out)["slo_verdict"] == "cannot tell"


@pytest.mark.usefixtures("undisturbed")
def test_load_writes_the_files_that_it_is_asked_for(
    server: Server, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    csv, html, locust = (tmp_path / "new" / name for name in ("rows.csv", "page.html", "locustfile.py"))
    call = ["load", server.url + "/", "--users", "1", "--duration", "300ms", "--json"]
    assert main([*call, "--csv", str(csv), "--html", str(html), "--locust", str(locust)]) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert all(f"written: {file}" in err for file in (csv, html, locust))
    assert len(csv.read_text().splitlines()) == told["requests"] + 1
    assert html.read_text().startswith("<!DOCTYPE html>")
    compile(locust.read_text(), "locustfile.py", "exec")
    assert {file.name for file in csv.parent.iterdir()} == {"rows.csv", "page.html", "locustfile.py"}


@pytest.mark.usefixtures("undisturbed")
def test_what_load_saves_compare_reads(
    server: Server, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "RESULTS", tmp_path)
    for path in ("/", "/", "/health"):
        call = ["load", server.url + path, "--users", "1", "--duration", "300ms", "--save", "--slo", "max<10s"]
        assert main(call) == 0
    one, other, elsewhere = (str(entry.path) for entry in store.entries("load", folder=tmp_path))
    assert store.load(one)["slo_verdict"] == "met"
    capsys.readouterr()
    assert main(["compare", one, other, "--json"]) == 3  # one run each
    assert json.loads(capsys.readouterr().out)["rows"][0]["pairs"] == 1
    assert main(["compare", one, elsewhere]) == 2
    assert "/health" in complaint(capsys)[0]


@pytest.mark.usefixtures("undisturbed")
def test_find_rate_prints_its_steps_and_one_object(
    server: Server, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = tmp_path / "knee.html"
    call = ["load", server.url + "/sleep?ms=20", "--find-rate", "--slo", "max<5ms", "--json"]
    assert main([*call, "--rate", "64", "--duration", "300ms", "--html", str(page)]) == 1
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert next(iter(told)) == "schema"
    assert told["end"] == "none"
    assert told["steps"][0]["rate_per_s"] == 64
    assert {"rate_per_s", "missed_per_s", "why", "steps"} <= set(told)
    assert err.count("missed: ") == len(told["steps"])
    assert "How many requests per second?" in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--users", "1", "--slo", "p98<1s"], "character 1"),
        (["--users", "1", "--slo", "p99<1s,errors<1"], "character 16"),
        (["--users", "1", "--slo", ""], "''"),
        (["--users", "1", "--csv", "/"], "'/' is a folder"),
        (["--users", "1", "--html", "/proc/none/page.html"], "/proc/none/page.html"),
        (["--users", "1", "--locust", "/dev/null/locustfile.py"], "/dev/null"),
        (["--find-rate"], "--find-rate needs an objective"),
        (["--find-rate", "--slo", "p50<1s", "--users", "1"], "--users"),
        (["--find-rate", "--slo", "p50<1s", "--think", "1s"], "--think"),
        (["--find-rate", "--slo", "p50<1s", "--rate", "20:5s,40:5s"], "20:5s,40:5s"),
        (["--find-rate", "--slo", "p50<1s", "--csv", "rows.csv"], "--csv"),
        (["--find-rate", "--slo", "rate>5/s"], "rate>5/s"),
        (["--find-rate", "--slo", "p50<20s"], "timeout='5s'"),
        (["--find-rate", "--slo", "p50<1s", "--duration", "2m"], "2m"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_objectives_and_files_that_cannot_be_used_are_refused_before_any_load(
    server: Server, capsys: pytest.CaptureFixture[str], arguments: list[str], named: str
) -> None:
    before = sum(started for started, _ in server.counts().values())
    assert main(["load", server.url + "/", *arguments]) == 2
    error, hint = complaint(capsys)
    assert named in error
    assert len(hint) > len("hint: ") + 10
    assert sum(started for started, _ in server.counts().values()) == before


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["load", "no address", "--users", "1"], "no address"),
        (["load", "ftp://127.0.0.1/", "--users", "1"], "ftp://127.0.0.1/"),
        (["load", "http://192.0.2.1/", "--users", "1"], "192.0.2.1"),
        (["load", "http://127.0.0.1:1/", "--users", "0"], "0"),
        (["load", "http://127.0.0.1:1/", "--users", "1000000"], "1000000"),
        (["load", "http://127.0.0.1:1/", "--users", "two"], "two"),
        (["load", "http://127.0.0.1:1/", "--users", "1", "--rate", "5"], "rate"),
        (["load", "http://127.0.0.1:1/", "--users", "1", "--duration", "0"], "0"),
        (["load", "http://127.0.0.1:1/", "--users", "1", "--duration", "-1"], "-1"),
        (["load", "http://127.0.0.1:1/", "--users", "1", "--duration", "1000000"], "1000000"),
        (["load", "http://127.0.0.1:1/", "--users", "1", "--timeout", "0"], "0"),
        (["load", "http://127.0.0.1:1/", "--users", "1"], "127.0.0.1:1"),
        (["load", "http://127.0.0.1:1/", "--users", "1", "--header", "nonsense"], "nonsense"),
        (["load", "http://127.0.0.1:1/", "--users", "1", "--body", "no/such/file"], "no/such/file"),
        (["load"], "url"),
        (["compare", "no/such.json", "no/such.json"], "no/such.json"),
        (["compare", "one.json"], "B"),
        (["sweep", "--workers", "1,two"], "1,two"),
        (["sweep", "--workers", "0", "--repeats", "1"], "workers=0"),
        (["sweep", "--repeats", "0"], "0"),
        (["sweep", "nocolon", "--repeats", "1"], "nocolon"),
        (["run", "77"], "77"),
        (["fly"], "fly"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_input_ends_in_one_error_and_one_hint(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error, hint = complaint(capsys)
    assert named in error
    assert len(hint) > len("hint: ") + 10


def test_a_path_that_is_not_there_is_refused_with_the_paths_that_are(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["load", server.url + "/cqu", "--users", "1"]) == 2
    error, hint = complaint(capsys)
    assert "404" in error
    assert "/cpu" in hint


def test_https_to_a_plain_port_is_refused(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["load", server.url.replace("http:", "https:") + "/cpu", "--users", "1"]) == 2
    error, _ = complaint(capsys)
    assert "https" in error


def test_a_broken_app_shows_the_end_of_its_log_and_leaves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "no_such_module:app", "--repeats", "1"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Could not import module" in err
    assert err.strip().splitlines()[-2].startswith("error: ")
    assert [entry for entry in registry.servers() if entry.owner_pid == os.getpid() and "no_such" in entry.app] == []


def test_lab_pace_with_nonsense_in_it_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAB_PACE", "warp")
    assert main(["reproduce"]) == 2
    error, hint = complaint(capsys)
    assert "warp" in error
    assert "quick" in hint


def test_ctrl_c_in_mid_test_ends_with_130_and_leaves_nothing_running(server: Server) -> None:
    command = [sys.executable, "-m", "helpers", "load", server.url + "/cpu", "--users", "4", "--duration", "30s"]
    before = sum(started for started, _ in server.counts().values())
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 15
    while sum(started for started, _ in server.counts().values()) < before + 20:
        assert time.monotonic() < deadline, "the load did not begin"
        time.sleep(0.05)
    children = [int(pid) for pid in _children(process.pid)]
    assert children
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130, err
    assert "nothing is left running" in err
    assert not any(os.path.exists(f"/proc/{pid}") and _runs(pid) for pid in children)


def test_ctrl_c_in_a_sweep_stops_its_servers_too() -> None:
    command = [sys.executable, "-m", "helpers", "sweep", "--duration", "20s"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 20
    while not (mine := [entry for entry in registry.servers() if entry.owner_pid == process.pid]):
        assert time.monotonic() < deadline, "no server was started"
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=15) == 130
    assert not any(entry.alive for entry in mine)


def _children(pid: int) -> list[str]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return file.read().split()


def _runs(pid: int) -> bool:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"
