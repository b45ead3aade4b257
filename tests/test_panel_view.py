"""The panel's face, without a browser: what it shows for each state, and that it costs next to nothing."""

import os
import re
import signal
import time
from collections.abc import Iterator
from html import escape, unescape
from pathlib import Path
from typing import Any

import psutil
import pytest

from helpers import proc, store
from helpers.errors import StateError
from helpers.server.sampler import Sample
from helpers.teach.panel import parts
from helpers.teach.panel.model import PanelModel
from helpers.teach.panel.panel import Panel
from helpers.teach.panel.settings import Settings
from helpers.teach.predict import Option, predict
from tests.serving import BARE, state_folder  # noqa: F401
from tests.test_panel_model import ONE, TWO, Measured, history
from tests.waiting import await_true

pytestmark = pytest.mark.usefixtures("state_folder")
SAMPLE = Sample(1.0, {11: 0.98, 12: 0.5}, 0.01, 0.02, 0.03, 0.1, 0.36, {})


@pytest.fixture
def shown() -> Iterator[Any]:
    """A maker of panels that are on display; all of them are closed at the end."""
    panels: list[Panel] = []

    def make(**settings: Any) -> Panel:
        panel = Panel(**{**BARE, "path": "/work", "users": 4, "duration": 0.5, **settings})
        panel._ipython_display_()
        panels.append(panel)
        return panel

    yield make
    for panel in panels:
        panel.close()


def text(panel: Panel, name: str) -> str:
    return str(panel._view._texts[name].value)


# ------------------------------------------------------------------------------------------------------------ pieces


def test_the_tree_names_parent_workers_and_the_rest_of_the_machine() -> None:
    rows = parts.tree([11, 12], 10, SAMPLE)
    assert [row.name for row in rows] == [
        "10 parent + tracker", "├─ 11 worker A", "└─ 12 worker B", "generator", "this notebook",
        "other programs", "idle",
    ]  # fmt: skip
    assert [row.cores for row in rows] == [0.01, 0.98, 0.5, 0.02, 0.03, 0.1, 0.36]
    assert parts.tree([11], None, None)[0].name == "11 worker A"
    assert parts.tree([], 10, None)[0].name == "10 starting"


def test_a_worker_keeps_its_letter_and_colour_when_another_is_replaced() -> None:
    before = {row.name[-8:]: row.colour for row in parts.tree([11, 12], 10, None)[1:3]}
    after = parts.tree([12, 13], 10, None, seen=[11, 12])
    assert [row.name for row in after[1:3]] == ["├─ 12 worker B", "└─ 13 worker C"]
    assert after[1].colour == before["worker B"]


def test_a_void_test_is_a_hatched_bar_without_a_number() -> None:
    found = parts.results(history((ONE, Measured(90)), (TWO, Measured(171, "void"))), 2, None)
    assert 'class="void"' in found
    assert "Other programs used 1.20 cores" in found
    assert "171" not in found
    assert "×" not in found


def test_the_ratio_stands_beside_what_it_was_taken_against() -> None:
    found = parts.results(history((ONE, Measured(90)), (TWO, Measured(171))), 2, None)
    assert "× 1.90" in found
    assert "against test 1" in found
    assert "self-check: <b>PASS</b>" in found


def test_the_bet_is_drawn_where_it_says() -> None:
    found = history((ONE, Measured(100)), (TWO, Measured(171)))
    end = found.axis_end(found.last, 2)
    drawn = parts.results(found, 2, 2.0)
    assert f"left:{100 * 200 / end:.1f}%" in drawn
    assert "your bet: 2 × test 1 = 200/s" in drawn
    assert 'class="bet"' not in parts.results(history((ONE, Measured(100))), 2, 2.0)  # it is what the bet is about
    assert "Your bet, 2 times" in parts.results(history(), 2, 2.0)
    assert "◇" not in parts.results(found, 2, None)


def test_earlier_void_tests_do_not_push_out_those_with_a_number() -> None:
    found = parts.results(
        history((ONE, Measured(90)), *[(ONE, Measured(1, "void"))] * 9, (TWO, Measured(171))), 2, None
    )
    assert "1: 1 worker" in found
    assert 'class="void"' not in found


def test_an_error_message_is_escaped_and_short() -> None:
    model = PanelModel(Settings(), **BARE)  # launches nothing yet
    model.problem = StateError("<b>bold</b> " * 100, "a hint & more")
    found = parts.message(model, cell_runs=False)
    assert "<b>bold" not in found
    assert "&lt;b&gt;bold&lt;/b&gt;" in found
    assert "a hint &amp; more" in found
    shown = unescape(re.sub(r' title="[^"]*"|<[^>]+>', " ", found))
    assert len(shown) <= 170 + len("▲ a hint & more") + 10


# -------------------------------------------------------------------------------------------------- what it shows when


def test_a_click_on_relaunch_and_one_on_load_do_what_they_say(shown) -> None:
    panel = shown()
    assert "STOPPED" in text(panel, "state")
    panel._view.relaunch.click()
    assert panel._view.relaunch.disabled
    panel.wait()
    assert "READY" in text(panel, "state")
    assert str(panel.server.pid) in text(panel, "who")
    assert not panel._view.relaunch.disabled
    panel._view.load.click()
    panel.wait()
    assert "<img" in text(panel, "area")
    assert "/s</td>" in text(panel, "results") or "void" in text(panel, "results")


def test_a_moved_slider_is_shown_as_pending_and_its_code_changes(shown) -> None:
    panel = shown()
    panel.relaunch().wait()
    panel._view.workers.value = 2
    assert "! pending" in text(panel, "message")
    assert "workers=2" in panel._view._codes["workers"].value
    assert "1 worker" in text(panel, "state")


@pytest.mark.parametrize(
    "asked", [{"workers": 3}, {"workers": 50}, {"users": 100}, {"path": "/fail"}, {"duration_s": 0}]
)
def test_what_code_asks_for_is_shown_by_the_control(shown, asked: dict[str, Any]) -> None:
    panel = shown().set(**asked)
    ((name, value),) = asked.items()
    assert panel._view._controls[name].value == value
    assert getattr(panel.model.wanted, name) == value


def test_the_picture_stands_within_half_a_second_of_the_result(shown) -> None:
    panel = shown()
    panel.relaunch().wait()
    came: list[float] = []
    panel._view._texts["area"].observe(lambda _: came.append(time.perf_counter()), names="value")
    panel.load()
    await_true(lambda: panel.model.result is not None, 10)
    measured = time.perf_counter()
    await_true(lambda: came, 5)
    assert came[0] - measured < 0.5


def test_a_problem_is_shown_with_its_hint_and_the_buttons_stay_usable(shown) -> None:
    panel = shown(app="broken_import:app")
    panel.relaunch()
    panel.model.wait()
    said = text(panel, "message")
    assert 'role="alert"' in said
    assert escape(panel.model.problem.message.split()[0]) in said
    assert not panel._view.relaunch.disabled
    with pytest.raises(type(panel.model.problem)):
        panel.wait()


def test_a_server_killed_from_outside_is_said_within_two_seconds(shown) -> None:
    panel = shown()
    panel.relaunch().wait()
    os.kill(panel.server.pid, signal.SIGKILL)
    await_true(lambda: "not through this panel" in text(panel, "message"), 2)
    assert "ENDED BY ITSELF" in text(panel, "state")


def test_while_a_cell_runs_it_says_why_a_click_has_no_effect(shown) -> None:
    panel = shown()
    panel._view._cell_begins()
    await_true(lambda: "A cell is running" in text(panel, "message"), 3)
    panel._view._cell_ends()
    await_true(lambda: "A cell is running" not in text(panel, "message"), 3)


def test_its_size_does_not_depend_on_what_it_holds(shown) -> None:
    panel = shown()
    before = {name: widget.layout.height for name, widget in panel._view._texts.items()}
    panel.load().wait()
    assert {name: widget.layout.height for name, widget in panel._view._texts.items()} == before
    assert before["who"]
    assert before["area"]


def test_the_small_form_has_a_slider_and_a_tree_and_no_load_test(shown) -> None:
    panel = shown(load=False)
    panel.set(workers=2).relaunch().wait()
    assert "worker B" in text(panel, "who")
    buttons = [child.description for child in every_widget(panel._view.box) if hasattr(child, "icon")]
    assert "Load test" not in buttons
    assert "Relaunch" in buttons


def every_widget(box: Any) -> Iterator[Any]:
    yield box
    for child in getattr(box, "children", ()):
        yield from every_widget(child)


def test_every_control_has_a_label_or_words_of_its_own(shown) -> None:
    for widget in every_widget(shown()._view.box):
        if hasattr(widget, "value") and hasattr(widget, "description") and "HTML" not in type(widget).__name__:
            assert widget.description or getattr(widget, "tooltips", ()), type(widget).__name__


def test_a_prediction_can_be_the_bet(shown) -> None:
    bet = predict("bet", "?", [Option("twice", 2.0)])
    panel = shown(bet=bet)
    assert panel._bet_value() is None
    bet.choose(1)
    assert panel._bet_value() == 2.0


# ------------------------------------------------------------------------------------------------------ what is kept


def test_tests_are_saved_as_csv_also_where_the_results_folder_is_gone(
    shown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "RESULTS", tmp_path / "gone" / "results")
    panel = shown()
    panel.load().wait()
    panel._view.tab.value = "history"
    panel._view.csv.click()
    assert "saved:" in text(panel, "said")
    saved = next((tmp_path / "gone" / "results").glob("panel-*.csv"))
    assert saved.read_text().count("\n") == 2
    panel._view.clear.click()
    assert "nothing has been measured yet" in text(panel, "area")


def test_a_results_folder_that_cannot_be_made_is_said(shown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(store, "RESULTS", tmp_path / "file" / "results")
    panel = shown()
    panel._view.tab.value = "history"
    panel._view.csv.click()
    assert "the result was not saved" in text(panel, "said")


def test_closing_the_widget_ends_the_server(shown) -> None:
    panel = shown()
    panel.relaunch().wait()
    pid = panel.server.pid
    panel._view.box.close()
    assert panel.model.state == "closed"
    assert not proc.alive(pid)


def test_two_panels_have_a_server_each(shown) -> None:
    one, other = shown(), shown()
    one.relaunch().wait()
    other.set(workers=2).relaunch().wait()
    assert one.server.url != other.server.url
    assert (len(one.server.worker_pids), len(other.server.worker_pids)) == (1, 2)
    one.close()
    assert other.model.state == "ready"


@pytest.mark.full
def test_looking_costs_less_than_a_twentieth_of_a_core(shown) -> None:
    panel = shown(workers=2)
    panel.relaunch().wait()
    await_true(lambda: panel._view._sample is not None, 5)
    began, used = time.perf_counter(), cpu_s(panel._view._thread.native_id)
    await_true(lambda: time.perf_counter() - began > 4, 6)
    assert (cpu_s(panel._view._thread.native_id) - used) / (time.perf_counter() - began) < 0.05


def cpu_s(thread: int) -> float:
    return next(each.user_time + each.system_time for each in psutil.Process().threads() if each.id == thread)


def test_relaunching_costs_no_more_than_the_server_itself(shown) -> None:
    panel = shown()
    panel.relaunch().wait()
    through_panel, itself = [], []
    for _ in range(3):
        began = time.perf_counter()
        panel.relaunch().wait()
        through_panel.append(time.perf_counter() - began)
        began = time.perf_counter()
        panel.server.relaunch()
        itself.append(time.perf_counter() - began)
    assert min(through_panel) <= 1.3 * min(itself) + 0.05
