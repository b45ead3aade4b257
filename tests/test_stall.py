"""One stall, seen by a user who waits and by arrivals at a rate: coordinated omission, its numbers and its picture."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from helpers.cli import main
from helpers.errors import InputError, StateError
from helpers.plots.stall_plot import Seen, stall_plot
from helpers.server import registry
from helpers.server.server import Server
from helpers.stall.result import Side, Stall
from helpers.stall.run import stall
from tests.waiting import await_true

ROOT = Path(__file__).resolve().parent.parent
STALL_S, RATE = 0.5, 100.0


@pytest.fixture(scope="module")
def found() -> Stall:
    with Server(workers=1) as server:
        seen = stall(server, stall_s="500ms", duration=4, rate=RATE, progress=False)
        assert server.state == "ready"
        assert psutil.Process(server.pid).status() != psutil.STATUS_STOPPED
    return seen


def test_the_user_who_waits_meets_the_stall_once(found: Stall) -> None:
    assert found.closed.bad_samples == 1
    slow_ms = response_ms(found.closed)[found.closed.met]
    assert slow_ms == pytest.approx(1e3 * STALL_S, rel=0.2)


def test_whatever_arrives_during_the_stall_meets_it(found: Stall) -> None:
    assert found.open.bad_samples == pytest.approx(STALL_S * RATE, abs=5)
    waits_ms = np.sort(response_ms(found.open)[found.open.met])
    # from nothing to all of it, evenly; then the server works off what has come
    assert np.median(waits_ms) == pytest.approx(500 * STALL_S, rel=0.25)
    assert waits_ms[-1] == pytest.approx(1e3 * STALL_S, rel=0.2)


def test_the_open_percentiles_are_those_that_arithmetic_expects(found: Stall) -> None:
    """0.5 s of 4 s delay an eighth of the arrivals."""
    assert found.expected_ms(0.975) == pytest.approx(1e3 * STALL_S * (1 - 0.025 / 0.125), rel=0.05)
    assert found.expected_ms(0.5) == 0
    assert float(found.open.percentile(0.975) or 0) == pytest.approx(found.expected_ms(0.975), rel=0.15)
    assert float(found.closed.percentile(0.975) or 0) < 0.5 * found.expected_ms(0.975)


def test_both_were_stopped_at_the_same_moment_for_as_long_as_asked(found: Stall) -> None:
    closed, open_ = found.closed.summary(), found.open.summary()
    assert closed["stopped_at_s"] == pytest.approx(open_["stopped_at_s"], abs=0.8)
    for side in (closed, open_):
        assert side["stalled_s"] == pytest.approx(STALL_S, abs=0.15)
        assert 0.5 < side["stopped_at_s"] < 3.5


def test_the_summary_is_json_and_the_words_name_the_numbers(found: Stall) -> None:
    told = json.loads(json.dumps(found.summary(), allow_nan=False, default=str))
    assert next(iter(told)) == "schema"
    assert told["stall_s"] == STALL_S
    assert told["open"]["bad_samples"] == found.open.bad_samples
    assert set(told["closed"]["percentiles_ms"]) == {"p50", "p97.5", "p99", "max"}
    if not found.void:
        assert "once" in found.words()
        assert f"{found.open.result.requests:,}" in found.words()
        assert "met the stall" in str(found)
    else:
        assert "void" in str(found)


def test_the_stall_itself_is_no_reason_to_doubt_the_measurement(found: Stall) -> None:
    for side in (found.closed, found.open):
        assert "stopped worker" in {check.name for check in side.result.checks} - {check.name for check in side.checks}
    assert "kill -CONT" not in json.dumps(found.summary(), default=str)


def test_a_void_side_is_said_with_its_reason_and_no_number(found: Stall) -> None:
    broken = replace(found.closed, result=replace(found.closed.result, incomplete="somebody pulled the plug"))
    half = replace(found, closed=broken)
    assert half.summary()["verdict"] == "void"
    assert "somebody pulled the plug" in half.words()
    assert "p99" not in str(half)
    assert "somebody pulled the plug" in half.picture().alt


def test_a_percentile_needs_ten_samples_beyond_it_and_the_maximum_none(found: Stall) -> None:
    few = Side(replace(found.open.result, records=found.open.result.window[:50]), 0, 0)
    assert few.percentile(0.5) is not None
    assert few.percentile(0.99) is None
    assert few.percentile(1.0) is not None


def response_ms(side: Side) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    window = side.result.window
    return (window["done_ns"] - window["intended_ns"]) / 1e6


# ------------------------------------------------------------------------------------------------------ the picture


def seen(name: str, met: int, *, void: bool = False, **percentiles: object) -> Seen:
    since_s = np.arange(-500, 500) / 100
    hit = np.zeros(len(since_s), dtype=bool)
    hit[500 : 500 + met] = True
    times = np.where(hit, np.maximum(20, 1000 - 1000 * since_s), 10.0)
    values = {"p50": 10.0, "p97.5": 500.0, "p99": 800.0, "max": 1000.0} | percentiles
    return Seen(name, since_s, times, hit, values, void)


def test_the_picture_counts_what_met_the_stall_and_has_its_table_twin() -> None:
    picture = stall_plot(seen("1 user", 1), seen("100 requests/s", 100), stall_s=1.0, words="One of them hides it.")
    assert "1 of 1,000 requests met the stall" in picture.alt
    assert "100 of 1,000 requests met the stall" in picture.alt
    assert picture.alt.endswith("One of them hides it.")
    assert list(picture.table["met the stall"]) == [1, 100]
    assert list(picture.table["p99 (ms)"]) == [800.0, 800.0]
    above, below, bars = picture.axes
    assert above.get_ylim() == below.get_ylim()
    assert above.get_xlim() == below.get_xlim()
    assert len(bars.patches) == 8
    assert 'alt="Response times around a stall of 1 s.' in picture._repr_html_()


def test_every_word_of_the_picture_lies_on_it() -> None:
    picture = stall_plot(seen("1 user, who waits", 1), seen("100 requests/s", 100), stall_s=1.0)
    picture.canvas.draw()
    edges = picture.bbox
    for axes in picture.axes:
        for text in axes.texts:
            box = text.get_window_extent()
            assert box.x0 >= edges.x0, text
            assert box.x1 <= edges.x1, text


def test_a_void_run_shows_no_number() -> None:
    picture = stall_plot(seen("1 user", 1, void=True), seen("100 requests/s", 100), stall_s=1.0)
    assert "void: the measurement cannot be trusted" in picture.alt
    assert picture.table.iloc[0]["p99 (ms)"] is None
    assert picture.table.iloc[0]["self-check"] == "void"
    assert not picture.axes[0].lines


def test_bounds_and_too_few_samples_are_said_in_the_picture() -> None:
    bound = seen("1 user", 1, p99={"at_least": 5000.0}, max=None)
    alt = stall_plot(bound, seen("100 requests/s", 100), stall_s=1.0).alt
    assert "p99 ≥ 5 s" in alt
    assert "max too few requests" in alt


# ------------------------------------------------------------------------------------------- what must not go wrong


@pytest.mark.parametrize(
    ("asked", "message", "hint"),
    [
        ({"stall_s": 0}, "stall_s is 0", "more than 0"),
        ({"stall_s": "soon"}, "stall_s is 'soon'", '"5s"'),
        ({"stall_s": 3, "duration": 5}, "3 s does not fit into the middle of 5 s", "6 s or more"),
        ({"rate": 5000}, "5000 requests waiting", "at most 1000"),
        ({"rate": -1}, "-1", ""),
    ],
)
def test_what_would_show_nothing_is_refused(asked: dict[str, object], message: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        stall(progress=False, **asked)  # type: ignore[arg-type]
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_supervised_worker_is_not_stopped() -> None:
    with pytest.raises(InputError, match="2 workers"):
        stall(Server(workers=2), progress=False)


def test_a_server_that_is_not_started_is_said() -> None:
    with pytest.raises(StateError, match="not started"):
        stall(Server(workers=1), progress=False)


@pytest.mark.full
def test_a_server_that_ends_before_its_stall_is_said() -> None:
    with Server(workers=1) as server:
        pid = server.pid
        killer = threading.Thread(target=kill_when_asked, args=(server, pid))
        killer.start()
        with pytest.raises(StateError, match="it has ended"):
            stall(server, duration=4, stall_s=0.5, progress=False)
        killer.join()


def kill_when_asked(server: Server, pid: int) -> None:
    await_true(lambda: server.counts()[pid][1] > 50, 20, "no load came")
    psutil.Process(pid).kill()


@pytest.fixture
def command() -> Iterator["subprocess.Popen[bytes]"]:
    argv = [sys.executable, "-m", "helpers", "stall", "--stall", "20s", "--duration", "40s", "--rate", "10"]
    process = subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.full
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_a_server_that_stands_still_ends_with_its_owner(
    command: "subprocess.Popen[bytes]", ending: signal.Signals
) -> None:
    def servers() -> list[int]:
        return [entry.pid for entry in registry.servers() if entry.owner_pid == command.pid]

    pid = await_true(servers, 20, "no server was started")[0]
    await_true(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, 30, "it was not stopped")
    command.send_signal(ending)
    await_true(lambda: not psutil.pid_exists(pid) or not servers(), 5, "the stopped server is still there")
    command.wait(timeout=5)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_the_command_prints_one_object_and_leaves_a_picture(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    drawn = tmp_path / "stall.png"
    asked = ["stall", "--stall", "300ms", "--duration", "2s", "--rate", "50", "--picture", str(drawn), "--json"]
    assert main(asked) in (0, 3)
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert set(told) >= {"schema", "stall_s", "closed", "open"}
    assert told["closed"]["model"] == "closed"
    assert told["open"]["model"] == "open"
    assert drawn.read_bytes().startswith(b"\x89PNG")
    assert str(drawn) in err


def test_the_command_refuses_what_shows_nothing_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for asked in (["--stall", "5s", "--duration", "5s"], ["--rate", "many"], ["--stall", "for a while"]):
        assert main(["stall", *asked]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert [line.partition(":")[0] for line in err.splitlines()] == ["error", "hint"], err


def test_a_picture_that_cannot_be_written_is_said_before_anything_is_measured(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    began = time.monotonic()
    assert main(["stall", "--picture", str(tmp_path / "stall.txt")]) == 2
    assert main(["stall", "--picture", str(tmp_path / "nowhere" / "stall.png")]) == 2
    assert time.monotonic() - began < 10
    err = capsys.readouterr().err
    assert ".png" in err
    assert "no folder" in err
