"""Where a worker stands: both ways of asking name the very line, and neither disturbs or kills anybody."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.errors import InputError, StateError
from helpers.server import stacks as module
from helpers.server.server import Server
from helpers.server.stacks import Stacks, from_faulthandler, from_py_spy, stacks
from tests.serving import APPS, ROOT, get, launch_folders, state_folder, under_load  # noqa: F401
from tests.tools import unavailable

pytestmark = pytest.mark.usefixtures("state_folder")
SLEEPS = next(
    number
    for number, line in enumerate((ROOT / "helpers/demo/api.py").read_text().splitlines(), start=1)
    if "time.sleep(ms / 1000)" in line
)


def permitted() -> None:
    """Skip where this system forbids py-spy to look at another process."""
    other = subprocess.Popen([sys.executable, "-c", "import time; print(1, flush=True); time.sleep(30)"], stdout=-1)
    try:
        assert other.stdout is not None
        other.stdout.readline()
        stacks(other.pid, by="py-spy")
    except StateError as error:
        unavailable(error.message)
    finally:
        other.kill()
        other.communicate()


def look(server: Server, path: str, by: module.Way | None) -> list[Stacks]:
    with under_load(server.url, path, users=3):
        time.sleep(0.3)  # the users are under way
        return [stacks(server.worker_pids[0], by=by) for _ in range(4)]


@pytest.mark.parametrize("by", ["py-spy", "faulthandler"])
def test_it_names_the_line_that_blocks_the_event_loop_and_none_where_it_awaits(by: module.Way) -> None:
    if by == "py-spy":
        permitted()
    with Server() as server:
        blocked = [each.own for each in look(server, "/blocking", by)]
        assert {each.place for each in blocked if each} == {f"helpers/demo/api.py:{SLEEPS}"}
        assert sum(each is not None for each in blocked) >= 3
        assert {(each.function, each.source) for each in blocked if each} == {("blocking", "time.sleep(ms / 1000)")}
        awaiting = look(server, "/sleep", by)
        assert [each.by for each in awaiting] == [by] * 4
        assert [each.own for each in awaiting] == [None] * 4
        assert get(server.url).status == 200


def test_every_worker_can_be_asked_and_a_thread_is_not_taken_for_the_event_loop() -> None:
    with Server(workers=2) as server:
        with under_load(server.url, "/blocking-def?ms=300", users=6):
            time.sleep(0.3)
            found = [stacks(pid, by="faulthandler") for pid in server.worker_pids]
        assert [each.pid for each in found] == server.worker_pids
        assert all(each.loop is not None and each.own is None for each in found)
        in_threads = [thread.own for each in found for thread in each.threads if not thread.main]
        assert any(frame is not None and frame.function == "blocking_def" for frame in in_threads)
        assert "waits for events" in str(found[0])


def test_where_py_spy_is_refused_the_worker_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = tmp_path / "py-spy"
    refusing.write_text(
        "#!/bin/sh\necho 'Permission Denied: Try running again with elevated permissions' >&2\nexit 1\n"
    )
    refusing.chmod(0o755)
    monkeypatch.setattr(module, "py_spy", lambda: str(refusing))
    with Server(app="bare:app", app_dir=APPS) as server:
        assert stacks(server.pid).by == "faulthandler"
        with pytest.raises(StateError, match="Permission Denied"):
            stacks(server.pid, by="py-spy")
    monkeypatch.setattr(module, "py_spy", lambda: None)
    with pytest.raises(StateError, match=r"py-spy is not installed; process \d+ cannot be asked"):
        stacks(os.getpid())


def test_a_process_that_would_be_killed_by_the_signal_is_never_sent_it() -> None:
    with Server(app="bare:app", app_dir=APPS, workers=2) as server:
        with pytest.raises(StateError, match="cannot be asked"):
            stacks(server.pid, by="faulthandler")  # the parent
        if sys.platform == "linux":  # elsewhere the file alone tells
            (launch_folders()[0] / f"stacks-{server.pid}").write_text("0x1\n")
            with pytest.raises(StateError, match="cannot be asked"):
                stacks(server.pid, by="faulthandler")
        assert server.state == "ready"
    with Server(app="bare:app", app_dir=APPS, instrument=False) as server:
        with pytest.raises(StateError, match="cannot be asked"):
            stacks(server.pid, by="faulthandler")
        assert server.state == "ready"


def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match="no way to read"):
        stacks(os.getpid(), by="magic")  # type: ignore[arg-type]
    with pytest.raises(StateError, match="there is no process"):
        stacks(2**22 + 1)


def test_what_py_spy_prints_is_understood() -> None:
    text = """[{"thread_id": 7, "thread_name": null, "os_thread_id": 42, "frames":
      [{"name": "query", "filename": "/srv/app/db.py", "line": 12}]},
      {"thread_id": 8, "thread_name": "AnyIO worker thread", "os_thread_id": 43, "frames": []}]"""
    found = from_py_spy(42, text)
    assert found.own is not None
    assert (found.own.place, found.own.function) == ("/srv/app/db.py:12", "query")
    assert [thread.name for thread in found.threads] == ["thread 7", "AnyIO worker thread"]


def test_what_faulthandler_writes_is_understood() -> None:
    library = f"{sys.prefix}/lib/python3.11/site-packages/requests/api.py"
    text = (
        f'Current thread 0x00ab (most recent call first):\n  File "{library}", line 59 in get\n\n'
        f'Thread 0x00cd (most recent call first):\n  File "{library}", line 59 in get\n'
        '  File "/srv/app/main.py", line 8 in report\n  File "<frozen runpy>", line ??? in run\n'
    )
    found = from_faulthandler(1, text, main=0xCD)
    assert [thread.main for thread in found.threads] == [True, False]
    assert found.own is not None
    assert (found.own.place, found.own.function, found.own.source) == ("/srv/app/main.py:8", "report", "")
    assert found.threads[1].own is None
    assert "requests/api.py:59" in found._repr_html_()
