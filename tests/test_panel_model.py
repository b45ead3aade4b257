"""The panel without its face: every transition, failures included, held against the server's real processes."""

import os
import random
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from helpers import proc
from helpers.errors import InputError, PortError, StateError
from helpers.teach.panel.history import History
from helpers.teach.panel.model import PanelModel
from helpers.teach.panel.settings import Settings, experiment, lines_of_code, pending
from tests.serving import APPS, BARE, state_folder  # noqa: F401
from tests.waiting import await_true

pytestmark = pytest.mark.usefixtures("state_folder")

QUICK = Settings(workers=1, users=4, duration_s=0.5, path="/work")
SLOW = {"app": "slow_import:app", "app_dir": str(APPS), "env": {"IMPORT_S": "3"}}


class Heard:
    """What the model said it was, each time that it changed."""

    def __init__(self) -> None:
        self.model: PanelModel | None = None
        self.states: list[str] = []

    def __call__(self) -> None:
        if self.model is not None and (not self.states or self.states[-1] != self.model.state):
            self.states.append(self.model.state)


@pytest.fixture
def made(request: pytest.FixtureRequest):
    """A maker of models, all of which are closed at the end."""
    models: list[PanelModel] = []

    def make(wanted: Settings = QUICK, **server: Any) -> tuple[PanelModel, Heard]:
        heard = Heard()
        model = PanelModel(wanted, changed=heard, **{**BARE, **server})
        heard.model = model
        models.append(model)
        return model, heard

    yield make
    for model in models:
        model.close()


def serving(model: PanelModel) -> int:
    """How many workers of its server live, by the system's own word."""
    return sum(proc.alive(pid) for pid in model.server.worker_pids)


# -------------------------------------------------------------------------------------------------------- transitions


def test_it_begins_with_nothing_running(made) -> None:
    model, _ = made()
    assert (model.state, model.busy, model.pending) == ("stopped", False, [])


def test_relaunch_leads_through_launching_to_ready(made) -> None:
    model, heard = made()
    model.relaunch()
    assert model.busy
    model.wait()
    assert heard.states[-1] == "ready"
    assert "launching" in heard.states
    assert serving(model) == 1


def test_a_load_without_a_server_launches_one_first_and_is_kept(made) -> None:
    model, heard = made()
    model.load()
    model.wait()
    assert [state for state in heard.states if state != "stopped"] == ["launching", "loading", "ready"]
    assert model.result is not None
    assert [trial.settings for trial in model.history.trials] == [QUICK]


def test_a_moved_control_is_pending_until_the_server_is_relaunched(made) -> None:
    model, _ = made()
    model.relaunch()
    model.wait()
    model.set(workers=2)
    assert model.pending == ["workers: 2 wanted, 1 running"]
    assert serving(model) == 1
    model.load()
    model.wait()
    assert model.history.last.settings.workers == 1  # what ran, not what was wished for
    model.relaunch()
    model.wait()
    assert model.pending == []
    assert serving(model) == 2


def test_a_control_moved_while_it_relaunches_is_pending_afterwards(made) -> None:
    model, _ = made(**SLOW)
    model.relaunch()
    await_true(lambda: model.state == "launching")
    model.set(workers=2)
    model.wait()
    assert model.running.workers == 1
    assert model.pending == ["workers: 2 wanted, 1 running"]


def test_what_only_the_load_needs_is_never_pending(made) -> None:
    model, _ = made()
    model.relaunch()
    model.wait()
    model.set(users=8, duration_s=1.0, path="/", burst=True)
    assert model.pending == []


# --------------------------------------------------------------------------------------------------------------- stop


def test_stop_ends_a_load_within_a_second_and_the_server_stays(made) -> None:
    model, _ = made(Settings(users=4, duration_s=30.0, path="/work"))
    model.load()
    await_true(lambda: model.state == "loading" and model.progress is not None, 10)
    began = time.monotonic()
    model.stop()
    model.wait()
    assert time.monotonic() - began < 1.0
    assert (model.state, serving(model)) == ("ready", 1)
    assert model.history.trials == ()
    assert model.problem is None
    assert "stopped" in model.note


def test_stop_ends_a_launch_within_a_second(made) -> None:
    model, _ = made(**SLOW)
    model.relaunch()
    await_true(lambda: model.server.state == "starting")
    pid = model.server.pid
    began = time.monotonic()
    model.stop()
    model.wait()
    await_true(lambda: model.state == "stopped", 1)
    assert time.monotonic() - began < 1.0
    assert not proc.alive(pid)
    assert model.problem is None


def test_stop_ends_the_server_within_a_second_also_with_requests_in_hand(made) -> None:
    model, _ = made(Settings(users=4, duration_s=30.0, path="/sleep"))  # a minute each
    model.load()
    await_true(lambda: model.state == "loading" and model.progress is not None, 10)
    model.stop()
    model.wait()
    pid = model.server.pid
    began = time.monotonic()
    model.stop()
    model.wait()
    assert time.monotonic() - began < 1.0
    assert model.state == "stopped"
    assert not proc.alive(pid)


def test_the_last_request_wins(made) -> None:
    model, _ = made(**SLOW)
    model.relaunch()
    await_true(lambda: model.server.state == "starting")
    model.set(workers=2)
    model.relaunch()
    model.wait()
    assert (model.state, model.problem) == ("ready", None)
    assert serving(model) == model.running.workers == 2


# ----------------------------------------------------------------------------------------------------- what goes wrong


def test_a_taken_port_is_said_with_its_hint_and_the_panel_goes_on(made) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        model, _ = made(port=other.getsockname()[1])
        model.relaunch()
        model.wait()
        assert isinstance(model.problem, PortError)
        assert model.problem.hint
        assert model.state == "stopped"
    model.relaunch()
    model.wait()
    assert (model.state, model.problem) == ("ready", None)


def test_a_broken_app_is_said_with_its_hint(made) -> None:
    model, _ = made(app="broken_import:app")
    model.load()
    model.wait()
    assert model.problem is not None
    assert model.problem.hint
    assert (model.state, model.history.trials) == ("stopped", ())


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"duration_s": 0.0}, "0"), ({"users": 1_000_000}, "1,000,000|1000000"), ({"path": "nowhere"}, "")],
)
def test_a_load_that_cannot_be_leaves_the_server_alone(made, wrong: dict[str, Any], named: str) -> None:
    model, _ = made()
    model.relaunch()
    model.wait()
    pid = model.server.pid
    model.set(**wrong)
    model.load()
    model.wait()
    assert model.problem is not None
    assert any(word in model.problem.message for word in named.split("|"))
    assert (model.state, model.server.pid) == ("ready", pid)


def test_a_launch_that_cannot_be_leaves_the_server_alone(made) -> None:
    model, _ = made()
    model.relaunch()
    model.wait()
    pid = model.server.pid
    model.set(workers=0)
    model.relaunch()
    model.wait()
    assert isinstance(model.problem, InputError)
    assert (model.state, model.server.pid) == ("ready", pid)


def test_a_server_killed_from_outside_is_noticed_once_and_can_be_relaunched(made) -> None:
    model, _ = made()
    model.relaunch()
    model.wait()
    os.kill(model.server.pid, signal.SIGKILL)
    await_true(lambda: model.look() or model.problem is not None, 2)
    assert model.state == "died"
    assert "not through this panel" in model.problem.message
    model.problem = None
    model.look()
    assert model.problem is None  # said once
    model.relaunch()
    model.wait()
    assert (model.state, model.problem, serving(model)) == ("ready", None, 1)


def test_a_server_killed_in_mid_load_is_said(made) -> None:
    model, _ = made(Settings(users=4, duration_s=1.0, path="/work"))
    model.load()
    await_true(lambda: model.state == "loading" and model.progress is not None, 10)
    os.kill(model.server.pid, signal.SIGKILL)
    model.wait()
    assert model.state == "died"
    assert model.problem is not None


def test_two_panels_do_not_measure_at_the_same_time(made) -> None:
    one, _ = made(Settings(users=4, duration_s=30.0, path="/work"))
    other, _ = made()
    other.relaunch()
    other.wait()
    one.load()
    await_true(lambda: one.state == "loading" and one.progress is not None, 10)
    other.load()
    other.wait()
    assert "another panel" in other.problem.message
    assert one.state == "loading"
    one.stop()
    one.wait()
    other.load()
    other.wait()
    assert (other.problem, len(other.history.trials)) == (None, 1)


def test_requests_that_nobody_waits_for_any_more_are_counted(made) -> None:
    model, _ = made(Settings(users=4, duration_s=30.0, path="/sleep"))
    model.load()
    await_true(lambda: model.in_hand == 4, 10)
    model.stop()
    model.wait()
    assert model.state == "ready"


def test_an_unknown_setting_is_refused(made) -> None:
    model, _ = made()
    with pytest.raises(InputError, match="'wrokers'"):
        model.set(wrokers=2)


def test_closed_is_closed(made) -> None:
    model, _ = made()
    model.load()
    await_true(lambda: model.state == "loading", 10)
    pid = model.server.pid
    model.close()
    model.close()
    assert model.state == "closed"
    assert not proc.alive(pid)
    with pytest.raises(StateError, match="closed"):
        model.relaunch()


def test_waiting_too_long_is_an_error_and_not_for_ever(made) -> None:
    model, _ = made(Settings(users=4, duration_s=30.0, path="/work"))
    model.load()
    with pytest.raises(StateError, match="still"):
        model.wait(0.05)


@pytest.mark.full
def test_thirty_random_requests_never_leave_it_stuck(made) -> None:
    model, _ = made()
    chance = random.Random(7)
    moves = [
        model.relaunch, model.load, model.stop, model.clear, model.look,
        lambda: model.set(workers=chance.choice((1, 2, 3))), lambda: model.set(users=chance.choice((1, 4, 16))),
    ]  # fmt: skip
    pause = threading.Event()
    for _ in range(30):
        chance.choice(moves)()
        pause.wait(chance.uniform(0, 0.4))
    model.wait(30)
    assert model.state in ("ready", "stopped")
    assert serving(model) == (model.running.workers if model.state == "ready" else 0)
    model.set(workers=2)
    model.relaunch()
    model.wait(30)
    assert (model.state, serving(model), model.problem) == ("ready", 2, None)


# ------------------------------------------------------------------------------------------- history, settings, code


class Measured:
    """As much of a LoadResult as the history keeps."""

    def __init__(self, per_s: float, verdict: str = "pass") -> None:
        self.achieved_per_s, self.verdict = per_s, verdict
        self.reasons = ["Other programs used 1.20 cores"] if verdict == "void" else []
        self.p95_ms, self.error_ratio, self.worker_share = 12.0, 0.0, {1: 0.5, 2: 0.5}


def history(*measured: tuple[Settings, Measured]) -> History:
    found = History()
    for settings, result in measured:
        found = found.with_trial(settings, result)  # type: ignore[arg-type]
    return found


ONE, TWO = Settings(workers=1, cores=2), Settings(workers=2, cores=2)


def test_the_ratio_is_taken_against_the_first_test_of_its_kind() -> None:
    found = history((ONE, Measured(90)), (Settings(path="/sleep"), Measured(150)), (TWO, Measured(171)))
    assert found.ratio(found.last) == pytest.approx(1.9)
    assert found.ratio(found.trials[0]) is None
    assert found.ratio(found.trials[1]) is None


def test_a_void_test_gives_no_number_and_is_no_base() -> None:
    found = history((ONE, Measured(400, "void")), (ONE, Measured(90)), (TWO, Measured(180)))
    assert found.trials[0].per_s is None
    assert found.ratio(found.last) == pytest.approx(2.0)


def test_the_axis_is_fixed_by_the_first_number_and_holds_a_doubling() -> None:
    found = history((ONE, Measured(90)))
    end = found.axis_end(found.last, cores=2)
    assert end > 2 * 90
    more = history((ONE, Measured(90)), (TWO, Measured(171)))
    assert more.axis_end(more.last, cores=2) == end
    beyond = history((ONE, Measured(90)), (TWO, Measured(400)))
    assert beyond.axis_end(beyond.last, cores=2) > 400


def test_all_tests_can_be_saved_as_a_table() -> None:
    header, first, second = history((ONE, Measured(90)), (TWO, Measured(1, "void"))).csv().splitlines()
    assert header.startswith("number,workers,cores,loop,users,duration_s,path,burst,per_s")
    assert first.startswith("1,1,2,auto,16,2.0,/cpu,False,90")
    assert "Other programs used 1.20 cores" in second


def test_pending_names_what_differs_and_nothing_else() -> None:
    assert pending(TWO, ONE) == ["workers: 2 wanted, 1 running"]
    assert pending(Settings(cores=1, loop="asyncio"), Settings(cores=None)) == [
        "cores: 1 wanted, all used", "loop: asyncio wanted, auto running"
    ]  # fmt: skip
    assert pending(ONE, ONE) == []


def test_every_setting_has_its_line_of_code() -> None:
    assert set(lines_of_code(ONE)) == set(Settings.__dataclass_fields__)


def test_the_experiment_as_code_runs(tmp_path: Path) -> None:
    code = experiment(Settings(workers=2, users=2, duration_s=0.5, path="/work"), dict(BARE))
    found: dict[str, Any] = {}
    exec(compile(code, "copied", "exec"), found)
    assert found["result"].plan.users == 2
    assert len(found["result"].launch_before.serving) == 2
