"""The class while it comes in: drawn again for each new file, outliers explained by the facts in their own files."""

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.errors import InputError
from helpers.teach.classroom import read_class
from helpers.teach.live_class import LiveClass
from helpers.teach.outliers import remarks
from helpers.teach.readiness import who_is_ready
from tests.test_classroom import PERSON, put
from tests.waiting import await_still_true, await_true

pytestmark = pytest.mark.calm


def someone(name: str, ratio: float | None, **changed: Any) -> dict[str, Any]:
    """A person's file: two cores, a ceiling near two, and that ratio for two workers on both."""
    interval = None if ratio is None else [0.95 * ratio, 1.05 * ratio]
    best = {"workers": 2, "cpus": 2, "ratio": ratio, "ci95": interval}
    machine = PERSON["machine"] | {"virtual_machine": False} | changed.pop("machine", {})
    best |= changed.pop("best", {})
    ratios = [PERSON["ratios"][0], best]
    return PERSON | {"id": name, "name": name, "ratios": ratios, "machine": machine} | changed


def said_of(folder: Path, *people: dict[str, Any]) -> dict[str, str]:
    for person in people:
        put(folder, f"{person['id']}.json", person)
    return {each.label: each.why for each in remarks(read_class(folder).people)}


USUAL = (someone("Ana", 1.8), someone("Ben", 1.9), someone("Cleo", 1.85))

# ---------------------------------------------------------------------------------------------------------- outliers


def test_a_class_that_agrees_needs_no_remark(tmp_path: Path) -> None:
    assert said_of(tmp_path, *USUAL) == {}


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (someone("Odd", 1.2, ceiling=1.25), "two bare processes together did only 1.25 times as much here, nearly all"),
        (someone("Odd", 1.0, ceiling=1.5), "of which it got 67%"),
        (someone("Odd", 1.2, ceiling=1.25, machine={"virtual_machine": True}), "may be halves of one"),
        (someone("Odd", 1.1, best={"ci95": [0.7, 1.7]}), "its launches do not agree: the interval goes from 0.70"),
        (someone("Odd", 1.1, best={"ci95": None}), "one launch, so nobody knows"),
        (someone("Odd", 1.1, best={"ci95": None}, first_look=True), "(a first look: measure again)"),
        (someone("Odd", 2.6), "more than two bare processes got (1.90 times)"),
        (someone("Odd", 1.1, best={"cpus": None}), "cannot hold a server on one core"),
        (someone("Odd", 1.1), "nothing in the file explains it"),
        (someone("Odd", None), "nothing was measured"),
        (someone("Odd", 1.0, machine={"usable_cores": 1}, best={"cpus": 1}, ceiling=None), "one usable core"),
    ],
)
def test_who_lies_apart_is_explained_by_what_their_file_says(odd: dict[str, Any], why: str, tmp_path: Path) -> None:
    said = said_of(tmp_path, *USUAL, odd)
    assert list(said) == ["Odd"]
    assert why in said["Odd"]


def test_many_workers_are_compared_per_core_that_they_can_use(tmp_path: Path) -> None:
    """Four workers on four cores that give 3.7 times as much are no outlier among people with two cores."""
    four = {"workers": 4, "cpus": 4, "ci95": [3.6, 3.8]}
    large = someone("Dan", 3.7, machine={"usable_cores": 4}, ceiling=1.95, best=four)
    assert said_of(tmp_path, *USUAL, large) == {}


# -------------------------------------------------------------------------------------------------------------- live


def test_a_file_that_comes_is_drawn_within_seconds_and_nothing_after_the_end(tmp_path: Path) -> None:
    live = LiveClass(tmp_path / "class")
    live._ipython_display_()
    try:
        assert "waiting for the first one" in live._widget.value
        put(tmp_path / "class", "a.json", USUAL[0])
        await_true(lambda: live.drawn == 2, 5)
        assert "1 person so far" in live._widget.value
        assert 'alt="Speed-up against cores of 1 person.' in live._widget.value
        put(tmp_path / "class", "b.json", someone("<b>Odd</b>", 1.1))
        put(tmp_path / "class", "c.json", "no JSON")
        await_true(lambda: "2 people so far" in live._widget.value and "Left out" in live._widget.value, 5)
        assert "&lt;b&gt;Odd&lt;/b&gt;: 1.10 times" in live._widget.value
        assert "<b>Odd" not in live._widget.value
        drawn = live.drawn
        await_still_true(lambda: live.drawn == drawn, 1.5, "nothing has come, and it is drawn again")
    finally:
        live.close()
    live.close()
    (tmp_path / "class" / "b.json").unlink()
    await_still_true(lambda: live.drawn == drawn, 1.5)
    assert not live._thread.is_alive()


def test_without_widgets_it_is_drawn_once_with_a_word_on_how_to_draw_it_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helpers.teach.live_class.library", lambda: None)
    put(tmp_path, "a.json", USUAL[0])
    live = LiveClass(tmp_path)
    live._ipython_display_()
    assert "run the cell again" in capsys.readouterr().out
    assert live._thread is None


# --------------------------------------------------------------------------------------------------------- who is ready


def preflight(status: str, found: str = "fine") -> dict[str, Any]:
    machine = {
        "os": "Debian 12",
        "cpus_usable": 2,
        "cpus_logical": 4,
        "virtual_machine": True,
        "python": "CPython 3.12",
    }
    checks = [
        {"name": "Python", "status": "ok", "found": "3.12"},
        {"name": "results", "status": status, "found": found},
    ]
    return {"schema": 1, "kind": "doctor", "ready": status != "fail", "machine": machine, "checks": checks}


def test_who_is_not_ready_comes_first_with_the_reason(tmp_path: Path) -> None:
    put(tmp_path, "ana.json", preflight("ok"))
    put(tmp_path, "ben.json", preflight("warn", "only 40 MiB are free"))
    put(tmp_path, "cleo.json", preflight("fail", "nothing can be <b>written</b>"))
    found = who_is_ready(tmp_path)
    assert [each.who for each in found.people] == ["cleo", "ben", "ana"]
    assert str(found).splitlines()[:3] == [
        "2 of 3 are ready",
        "  cleo: not ready (Debian 12, 2 of 4 cores, a virtual machine, CPython 3.12)",
        "    results: nothing can be <b>written</b>",
    ]
    assert "&lt;b&gt;written&lt;/b&gt;" in found._repr_html_()
    assert found.people[2].found == ()


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("no JSON", "it is not JSON"),
        (PERSON, "not a file of `doctor --file`"),
        (preflight("ok") | {"schema": 2}, "schema 2"),
        (preflight("ok") | {"checks": None}, "cannot be read"),
        (preflight("odd"), "cannot be read"),
        (preflight("ok") | {"checks": [{"name": "x", "status": ["ok"], "found": "y"}]}, "cannot be read"),
        (preflight("ok") | {"machine": "mine"}, "cannot be read"),
    ],
)
def test_a_file_that_is_none_is_left_out_with_the_reason(bad: Any, why: str, tmp_path: Path) -> None:
    put(tmp_path, "good.json", preflight("ok"))
    put(tmp_path, "bad.json", bad)
    found = who_is_ready(tmp_path)
    assert [each.who for each in found.people] == ["good"]
    assert why in found.problems[0].why
    assert "bad.json" in str(found)
    assert "bad.json" in found._repr_html_()


def test_a_folder_without_files_says_what_to_collect(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file of a doctor") as caught:
        who_is_ready(tmp_path)
    assert "doctor --file" in caught.value.hint


def test_what_the_doctor_writes_can_be_read(tmp_path: Path) -> None:
    from helpers.doctor_report import Report, open_check

    text = Report((open_check("Python", "ok", "3.12.1"),)).for_others()
    put(tmp_path, "ana.json", text)
    assert who_is_ready(tmp_path).people[0].worst == "ok"
    assert json.loads(text)["machine"]["os"] in who_is_ready(tmp_path).people[0].machine
