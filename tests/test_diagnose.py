"""`diagnose` on real apps: its contract on the command line, apps that want much, apps that misbehave, addresses."""

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from helpers import proc
from helpers.cli import main
from helpers.diagnose import prober
from helpers.diagnose.decide import VERDICTS
from helpers.diagnose.run import diagnose
from helpers.errors import StartError
from helpers.server import registry
from helpers.server.server import Server
from tests.serving import APPS, ROOT, free_port, processes_of, state_folder  # noqa: F401
from tests.waiting import await_true

KEYS = ["schema", "verdict", "confidence", "summary", "evidence", "fix", "findings", "sweep"]
pytestmark = pytest.mark.usefixtures("quick", "state_folder")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_PACE", "quick")


def complaint(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """The error line and the hint line, which stand last on stderr; stdout is empty."""
    out, err = capsys.readouterr()
    assert out == ""
    *_log, error, hint = err.strip().splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")
    return error, hint


# ------------------------------------------------------------------------------------------------- the command line


def test_the_command_prints_one_object_and_leaves_a_report(tmp_path, capsys) -> None:
    page = tmp_path / "report.html"
    words = ["diagnose", "misbehaving:app", "--app-dir", str(APPS), "--json", "--explain", "--html", str(page)]
    assert main(words) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert list(told) == KEYS
    assert told["verdict"] == "scales_by_awaiting"
    assert set(told["fix"]) == {"what", "code", "expected_gain"}
    assert all(set(each) == {"probe", "observed", "means"} for each in told["evidence"])
    assert {(row["workers"], row["users"]) for row in told["sweep"]["rows"]} >= {(1, 1), (1, 16), (1, 64), (2, 64)}
    assert "=> scales_by_awaiting" in err
    assert "report: " in err
    text = page.read_text()
    assert "Diagnosis: scales by awaiting" in text
    assert "<img alt=" in text
    assert "http://" not in text.replace("http://127.0.0.1", "").replace("http://www.w3.org", "")


def test_an_api_that_fails_ends_with_1_and_says_which_argument_it_lacks(capsys) -> None:
    assert main(["diagnose", "helpers.demo.api:app", "--path", "/cpu?units=none", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == "failing"
    assert "units (query)" in told["summary"]


@pytest.mark.parametrize(
    ("words", "says", "hints"),
    [
        (["helpers.demo.api:app", "--path", "cpu"], "path is 'cpu'", "slash"),
        (["helpers.demo.api:app", "--path", "/nowhere"], "there is no such path", "GET /cpu"),
        (
            ["misbehaving:app", "--app-dir", str(APPS), "--path", "/order"],
            "the path wants another method",
            "POST /order",
        ),
        (["misbehaving:app", "--app-dir", str(APPS), "--path", "/chat"], "/chat is a WebSocket", "HTTP endpoint"),
        (["misbehaving:app", "--app-dir", str(APPS), "--method", "POST"], "POST may change data", "--yes"),
        (["misbehaving:app", "--app-dir", "/nowhere"], "app_dir='/nowhere' is not a folder", "folder"),
        (["misbehaving.py:app"], "names a file", "misbehaving:app"),
        (["localhost:9/orders"], "without its scheme", "http://localhost:9/orders"),
        (["misbehaving"], "app='misbehaving' is not of the form module:variable", "write"),
        (["nowhere:app"], "there is no module 'nowhere'", "--python"),
        (["ends_at_once:app", "--app-dir", str(APPS)], "did not start", "log"),
        (["helpers.demo.api:app", "--python", "/bin/nothing"], "python='/bin/nothing' is no interpreter", "file"),
        (["helpers.demo.api:app", "--json-body", "/nowhere.json"], "cannot be read", "path"),
        (["helpers.demo.api:app", "--header", "word"], "has no colon", "Accept"),
        (["ws://127.0.0.1:5012/chat"], "WebSocket", "HTTP"),
        (["http://127.0.0.1:9/"], "does not answer", "Start the server"),
        (["http://192.0.2.1:9/"], "is not this machine", "loopback"),
    ],
)
def test_bad_input_ends_in_one_line_and_one_hint(words, says, hints, capsys) -> None:
    assert main(["diagnose", *words]) == 2
    error, hint = complaint(capsys)
    assert says in error
    assert hints in hint


def test_ctrl_c_ends_with_130_and_leaves_nothing(state_folder) -> None:  # noqa: F811
    command = [sys.executable, "-m", "helpers", "diagnose", "helpers.demo.api:app", "--path", "/sleep"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    await_true(lambda: len(registry.servers()) == 1, 20, "no server was started")
    await_true(
        lambda: "helpers.load.engine" in str([proc.describe(pid, limit=300) for pid in proc.descendants(process.pid)])
    )
    os.killpg(process.pid, signal.SIGINT)
    _out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert processes_of(state_folder) == []


# ----------------------------------------------------------------------------------------------- apps that want much


@pytest.fixture
def service(tmp_path) -> Path:
    """A copy of the service, and beside it a virtual environment with a package that nobody else has."""
    folder = tmp_path / "service"
    shutil.copytree(APPS / "service", folder, ignore=shutil.ignore_patterns("__pycache__"))
    venv.create(tmp_path / "env", symlinks=True)
    packages = next((tmp_path / "env").glob("lib/python*/site-packages"))
    (packages / "only_in_its_own_environment.py").write_text('VERSION = "7"\n')
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))  # uvicorn and FastAPI
    return folder


def content(folder: Path) -> dict[str, tuple[float, bytes]]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file): (file.stat().st_mtime, file.read_bytes()) for file in files}


@pytest.mark.full
def test_factory_lifespan_environment_own_helpers_and_own_python_all_work_and_no_file_is_changed(service) -> None:
    before = content(service)
    found = diagnose(
        "main:make_app", path="/report", app_dir=service, factory=True, env={"SERVICE_WAIT_S": "0.02"},
        python=service.parent / "env", progress=False,
    )  # fmt: skip
    assert found.verdict == "lock_bound", found
    assert "async def report(request: Request):" in found.fix.code, "the app's own endpoint"
    assert content(service) == before


def test_an_environment_that_lacks_a_package_is_told_with_the_way_out(service) -> None:
    with pytest.raises(StartError, match="only_in_its_own_environment") as error:
        diagnose("main:make_app", app_dir=service, factory=True, env={"SERVICE_WAIT_S": "0"}, progress=False)
    assert "--python" in error.value.hint


def test_an_interpreter_without_uvicorn_is_told(tmp_path) -> None:
    venv.create(tmp_path / "env", symlinks=True)
    with pytest.raises(StartError, match="uvicorn") as error:
        diagnose("bare:app", app_dir=APPS, python=tmp_path / "env", progress=False)
    assert "install" in error.value.hint


# ----------------------------------------------------------------------------------------------- apps that misbehave


def misbehaving(kind: str, **arguments):
    env = {"MISBEHAVES": kind, "OWN_PORT": str(free_port())}
    return diagnose("misbehaving:app", app_dir=APPS, env=env, progress=False, **arguments)


@pytest.mark.full
@pytest.mark.parametrize("kind", ["forks", "starts a process", "prints megabytes"])
def test_what_an_app_has_started_is_ended_with_it(kind, state_folder) -> None:  # noqa: F811
    found = misbehaving(kind)
    assert found.verdict == "scales_by_awaiting"
    assert ("left_behind" in {finding.name for finding in found.findings}) is (kind != "prints megabytes")
    assert processes_of(state_folder) == []


@pytest.mark.full
def test_an_app_that_ignores_sigterm_is_ended_all_the_same(state_folder) -> None:  # noqa: F811
    assert misbehaving("ignores SIGTERM").verdict == "scales_by_awaiting"
    assert processes_of(state_folder) == []


@pytest.mark.full
def test_an_app_that_can_be_started_once_only_keeps_its_verdict_and_is_told_why() -> None:
    found = misbehaving("binds a port")
    assert found.verdict == "scales_by_awaiting"
    assert found.confidence != "high", "a second worker could not be tried"
    trouble = next(finding for finding in found.findings if finding.name == "one_worker_only")
    assert "a port of its own" in trouble.seen
    assert all(trial.lacking in trouble.seen for trial in found.trials)
    assert f"not measured: {found.trials[0].lacking}" in str(found)


def test_an_app_that_serves_by_itself_when_it_is_imported_is_told_soon() -> None:
    with pytest.raises(StartError, match=r"by itself|of its own") as error:
        misbehaving("serves at import")
    assert "__main__" in error.value.hint


def test_a_request_that_takes_half_a_minute_is_not_loaded(monkeypatch) -> None:
    monkeypatch.setattr(prober, "PATIENCE_S", 2.0)
    found = misbehaving("", path="/slow")
    assert found.verdict == "inconclusive"
    assert "takes more than 2 s" in found.summary_text
    assert found.summary()["sweep"]["rows"] == []
    assert "Ask for less" in str(found)


def test_a_database_that_is_not_there_fails_with_the_apps_own_traceback() -> None:
    found = diagnose("failing:no_database", app_dir=ROOT / "tests" / "zoo", progress=False)
    assert found.verdict == "failing"
    assert "refused" in found.summary_text.lower()
    assert "Traceback" in found.traceback


@pytest.mark.full
def test_what_is_refused_beyond_a_load_only_is_told_by_its_own_status() -> None:
    found = diagnose("failing:crowded", app_dir=ROOT / "tests" / "zoo", progress=False)
    assert found.verdict == "failing"
    assert "answers 503 with 16 users" in found.summary_text
    assert "limit of its own" in found.fix.what


# --------------------------------------------------------------------------------------------- addresses, from outside


def test_a_running_server_is_told_from_outside_by_its_stacks() -> None:
    with Server("helpers.demo.api:app", instrument=False) as server:
        found = diagnose(f"{server.url}/blocking?ms=20", progress=False)
        assert server.state == "ready"
    assert found.verdict == "event_loop_blocked", found
    assert found.confidence != "high", "a second worker could not be tried"
    assert found.trials == ()


@pytest.mark.full
def test_what_cannot_be_told_from_outside_is_said_with_what_would_tell() -> None:
    with Server("locks:async_lock", app_dir=ROOT / "tests" / "zoo") as server:
        found = diagnose(server.url, progress=False)
    assert found.verdict == "inconclusive"
    assert "import string" in found.summary_text


def test_every_verdict_is_one_of_the_contract() -> None:
    assert set(VERDICTS) == {
        "cpu_bound", "event_loop_blocked", "threadpool_exhausted", "downstream_bound", "lock_bound", "native_parallel",
        "scales_by_awaiting", "failing", "client_bound", "inconclusive",
    }  # fmt: skip
