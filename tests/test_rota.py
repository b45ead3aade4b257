"""Taking turns: one measures at a time, in the order in which they came, and nobody who is gone is waited for."""

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.errors import InputError
from helpers.experiment import sweep
from helpers.load.result import LoadResult
from helpers.load.run import Cancelled, load_test
from helpers.rota import ROTA, check, turn
from helpers.server.server import Server
from tests.waiting import await_still_true, await_true

pytest.importorskip("fcntl", reason="no such locks on Windows")
SOMEBODY_ELSE = 65534
HOLDS = "import sys\nfrom helpers.rota import turn\nwith turn():\n    print('mine', flush=True)\n    sys.stdin.read()"


@pytest.fixture
def rota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(ROTA, str(tmp_path / "rota"))
    return tmp_path / "rota"


@pytest.fixture
def people() -> Iterator["People"]:
    made = People()
    yield made
    made.go()


class People:
    """Processes that want the turn, and keep it until they are told to go on."""

    def __init__(self) -> None:
        self.all: list[subprocess.Popen[str]] = []

    def come(self) -> "subprocess.Popen[str]":
        pipe = subprocess.PIPE
        came = subprocess.Popen([sys.executable, "-c", HOLDS], stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        self.all.append(came)
        return came

    def measuring(self) -> "subprocess.Popen[str]":
        """One who has the turn."""
        came = self.come()
        assert came.stdout
        assert came.stdout.readline() == "mine\n"
        return came

    def go(self) -> None:
        for each in self.all:
            each.kill()
            each.communicate()


def line_of(waiting: "subprocess.Popen[str]") -> str:
    assert waiting.stderr
    return waiting.stderr.readline()


def test_without_the_setting_nobody_waits_and_no_file_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(ROTA, raising=False)
    monkeypatch.chdir(tmp_path)
    with turn(), turn():
        assert list(tmp_path.iterdir()) == []


def test_a_second_one_waits_says_so_within_a_second_and_follows_when_the_first_is_killed(
    rota: Path, people: People
) -> None:
    first, second = people.measuring(), people.come()
    began = time.monotonic()
    assert line_of(second) == f"waiting for the turn to measure: 1 before you ({ROTA})\n"
    assert time.monotonic() - began < 2.0  # one second, and the start of its Python
    first.kill()
    assert second.stdout
    assert second.stdout.readline() == "mine\n"


def test_they_follow_in_the_order_in_which_they_came_and_one_who_leaves_is_not_waited_for(
    rota: Path, people: People
) -> None:
    first = people.measuring()
    second, third, fourth = [(came, line_of(came))[0] for came in (people.come(), people.come(), people.come())]
    third.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in third.communicate()[1]
    first.communicate("")
    assert second.stdout
    assert fourth.stdout
    assert second.stdout.readline() == "mine\n"
    assert fourth.poll() is None
    second.communicate("")
    assert fourth.stdout.readline() == "mine\n"


def test_the_number_before_one_is_told_again_when_it_changes(rota: Path, people: People) -> None:
    first, second = people.measuring(), people.come()
    assert "1 before you" in line_of(second)
    told: list[int] = []
    waits = threading.Thread(target=lambda: wait_and_go(told.append))
    waits.start()
    await_true(lambda: told == [2], 2)
    first.communicate("")
    await_true(lambda: told == [2, 1], 2)
    second.communicate("")
    waits.join(2)
    assert not waits.is_alive()


def wait_and_go(on_wait) -> None:
    with turn(on_wait=on_wait):
        pass


def test_who_cancels_leaves_the_queue(rota: Path, people: People) -> None:
    first, cancel, told = people.measuring(), threading.Event(), []
    outcome: list[str] = []

    def wait() -> None:
        try:
            with turn(cancel, told.append):
                outcome.append("measured")
        except Cancelled as error:
            outcome.append(error.message)

    waits = threading.Thread(target=wait)
    waits.start()
    await_true(lambda: told == [1], 2)
    behind = people.come()
    assert "2 before you" in line_of(behind)
    cancel.set()
    waits.join(1)
    assert outcome == ["the load test was cancelled"]
    first.communicate("")
    assert behind.stdout
    assert behind.stdout.readline() == "mine\n"


def test_what_one_process_measures_shares_a_turn_that_ends_with_the_last(rota: Path, people: People) -> None:
    with turn():
        with turn():
            inner = threading.Thread(target=wait_and_go, args=(None,))
            inner.start()
            inner.join(2)
            assert not inner.is_alive()
        other = people.come()
        assert "1 before you" in line_of(other)
        await_still_true(lambda: other.poll() is None, 0.2)
    assert other.stdout
    assert other.stdout.readline() == "mine\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_people_of_other_accounts_share_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    folder = Path(tempfile.mkdtemp())  # tmp_path may be entered by its owner alone
    folder.chmod(0o1777)
    monkeypatch.setenv(ROTA, str(folder / "rota"))
    before = os.umask(0o077)
    try:
        wait_and_go(None)
        assert (folder / "rota").stat().st_mode & 0o777 == 0o666
        assert as_somebody_else() == 0
    finally:
        os.umask(before)
        shutil.rmtree(folder)


def as_somebody_else() -> int:
    """Take the turn in a copy of this process that has given up its rights; returns its exit code."""
    child = os.fork()
    if not child:
        code = 1
        try:
            os.setuid(SOMEBODY_ELSE)
            wait_and_go(None)
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize(
    ("where", "why"),
    [("nowhere/rota", "cannot be written"), ("", "it is a folder"), (None, "no absolute path")],
)
def test_a_file_that_cannot_be_shared_ends_in_one_clear_line(
    where: str | None, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ROTA, "rota" if where is None else str(tmp_path / where).rstrip("/"))
    for refuses in (check, lambda: wait_and_go(None)):
        with pytest.raises(InputError, match=why) as caught:
            refuses()
        assert caught.value.hint
        assert "\n" not in caught.value.message


def test_a_load_test_waits_for_its_turn_and_tells_whoever_follows_its_progress(rota: Path, people: People) -> None:
    phases: list[str] = []
    results: list[LoadResult] = []

    def measure(url: str) -> None:
        heard = lambda now: phases.append(now.phase)  # noqa: E731
        results.append(load_test(url, users=1, duration=0.2, warmup=0, progress=False, on_progress=heard))

    with Server() as server:
        first = people.measuring()
        measures = threading.Thread(target=measure, args=(f"{server.url}/cpu?units=1",))
        measures.start()
        await_true(lambda: phases, 3, "nobody said that it waits")
        await_still_true(lambda: set(phases) == {"waiting, 1 before you"}, 0.3)
        first.communicate("")
        measures.join(20)
        assert results[0].ok > 0


def test_a_sweep_is_one_turn_from_its_first_launch_to_its_last(
    rota: Path, people: People, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    launches: list[bool] = []

    def launch(*_: object) -> None:  # in place of a real one, which takes seconds
        time.sleep(0.1)
        launches.append(has_the_turn(behind))

    monkeypatch.setattr("helpers.experiment._measure", launch)
    first, said = people.measuring(), []
    sweeps = threading.Thread(target=lambda: sweep(repeats=2, progress=False))
    sweeps.start()
    await_true(lambda: said.append(capsys.readouterr().err) or "1 before you" in "".join(said), 3)
    behind = people.come()
    assert "2 before you" in line_of(behind)
    first.communicate("")
    sweeps.join(5)
    assert launches == [False] * 4
    await_true(lambda: has_the_turn(behind), 2)


def has_the_turn(person: "subprocess.Popen[str]") -> bool:
    """Whether there is something to be read of them."""
    return bool(select.select([person.stdout], [], [], 0)[0])
