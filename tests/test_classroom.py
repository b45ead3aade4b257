"""The class: a file per person without anybody's machine by name, and a reader that no file can end."""

import getpass
import json
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers import store
from helpers.errors import InputError
from helpers.teach.classroom import class_plot, export, read_class
from tests.pictures import drawn_texts, label_faults
from tests.test_teach_n04 import CEILING, NO_PINNING, ONE_CORE, POST, made

pytestmark = pytest.mark.calm

PERSON: dict[str, Any] = {
    "schema": 1,
    "kind": "classroom",
    "id": "0123456789ab",
    "name": "Ana",
    "first_look": False,
    "machine": {"usable_cores": 2, "virtual_machine": True, "cpu_model": "A Processor"},
    "ceiling": 1.9,
    "ratios": [
        {"workers": 1, "cpus": 1, "ratio": 1.0, "ci95": [1.0, 1.0]},
        {"workers": 2, "cpus": 2, "ratio": 1.8, "ci95": [1.6, 2.0]},
    ],
}


@pytest.fixture(autouse=True)
def own_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(store, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


def put(folder: Path, name: str, person: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(person if isinstance(person, str) else json.dumps(person))


def test_the_file_of_a_person_can_be_read_back_and_drawn(tmp_path: Path):
    path = export("Ana", made(POST), CEILING, tmp_path / "class").path
    found = read_class(path.parent)
    assert [person["label"] for person in found.people] == ["Ana"]
    assert found.problems == ()
    picture = class_plot(path.parent)
    assert "1 person" in picture.alt
    assert "Ana: 1.8" in picture.alt
    assert set(picture.table["workers"]) == {1, 2}


def test_the_file_names_no_machine_and_no_user(tmp_path: Path):
    text = export(None, made(POST), CEILING, tmp_path).path.read_text()
    assert json.loads(text)["name"] is None
    assert "per_s" not in text, "answers per second compare laptops"
    for private in (socket.gethostname(), getpass.getuser(), str(Path.home())):
        assert f'"{private}' not in text
        assert f"{private}/" not in text


def test_who_exports_twice_is_one_person(own_results: Path):
    first, second = export(None, made(POST), CEILING).path, export("Ana", made(POST), None).path
    assert first == second
    assert first.parent == own_results / "class"
    assert len(read_class().people) == 1


def test_a_class_of_all_kinds_of_machines_is_drawn(tmp_path: Path):
    for i, cells in enumerate((POST, ONE_CORE, NO_PINNING)):
        made_here = export(f"${i}<b>", made(cells, launches=1 + i), CEILING, tmp_path).path
        person = json.loads(made_here.read_text())
        made_here.unlink()
        put(tmp_path, f"{i}.json", person | {"id": str(i)})
    picture = class_plot(tmp_path)
    assert "3 people" in picture.alt
    assert len(picture.png()) > 1000
    assert "&lt;b&gt;" in picture._repr_html_()


@pytest.mark.parametrize("size", [1, 8, 12, 20])
def test_no_name_of_a_large_class_leaves_the_picture_or_covers_another(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for i in range(size):
        ratio = 0.7 if i == size - 1 else 1.9 - 0.01 * i
        both = [*PERSON["ratios"][:1], {"workers": 2, "cpus": 2, "ratio": ratio, "ci95": None}]
        put(tmp_path, f"{i}.json", PERSON | {"id": str(i), "name": f"Person {i}", "ratios": both})
    picture = class_plot(tmp_path)
    assert label_faults({"class": picture}, monkeypatch) == []
    named = {text.get_text() for text in drawn_texts(picture, monkeypatch)}
    assert f"Person {size - 1}" in named, "whoever lies furthest below the line is named first"


def test_a_void_measurement_replaces_no_file():
    kept = export(None, made(POST), CEILING).path.read_text()
    refused = export(None, made(POST, void=True), CEILING)
    assert not refused
    assert "an earlier file stays as it is" in str(refused)
    assert export(None, made(POST), CEILING).path.read_text() == kept


def test_one_core_has_no_ceiling_for_two(tmp_path: Path):
    one = replace(made(ONE_CORE), machine={"cpus_usable": 1})
    assert json.loads(export(None, one, CEILING, tmp_path).path.read_text())["ceiling"] is None


@pytest.mark.parametrize("name", ["", "  ", "x" * 31, "two\nlines", 7])
def test_a_name_that_cannot_be_shown_is_refused(name: Any, tmp_path: Path):
    with pytest.raises(InputError, match="name="):
        export(name, made(POST), CEILING, tmp_path)


def ratios(**changed: Any) -> dict[str, Any]:
    return PERSON | {"ratios": [PERSON["ratios"][1] | changed]}


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("no JSON {", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("x" * 200_000, "bytes"),
        ("[1, 2]", "not a file of a class"),
        ("null", "not a file of a class"),
        ({"schema": 1, "kind": "sweep"}, "not a file of a class"),
        (PERSON | {"schema": 2}, "schema 2"),
        (PERSON | {"schema": True}, "schema True"),
        (PERSON | {"machine": None}, "what machine"),
        (PERSON | {"machine": {"usable_cores": 10**9}}, "usable cores"),
        (PERSON | {"machine": {"usable_cores": "two"}}, "usable cores"),
        (PERSON | {"id": None}, "no id"),
        (PERSON | {"name": "x" * 1000}, "name"),
        (PERSON | {"ratios": []}, "no ratios"),
        (PERSON | {"ratios": {"workers": 2}}, "no ratios"),
        (PERSON | {"ratios": ["fast"]}, "a ratio is"),
        (PERSON | {"ceiling": 1e6}, "ceiling"),
        (ratios(ratio=8.5, ci95=None), "cannot be"),
        (ratios(ratio=0, ci95=None), "cannot be"),
        (ratios(ratio=10**400, ci95=None), "finite"),
        (ratios(ratio=True), "not a number"),
        (ratios(ratio="1.8"), "not a number"),
        (ratios(ci95=[1.9, 2.0]), "does not hold its ratio"),
        (ratios(ci95=[1.6]), "two ends"),
        (ratios(workers=0), "workers"),
        (ratios(cpus=64), "cores"),
        (json.dumps(ratios()).replace("1.8", "NaN"), "finite"),
        (json.dumps(ratios()).replace("1.8", "1e999"), "finite"),
    ],
)
def test_a_file_that_cannot_be_true_is_left_out_with_a_reason(bad: Any, why: str, tmp_path: Path):
    put(tmp_path, "good.json", PERSON)
    put(tmp_path, "bad.json", bad)
    found = read_class(tmp_path)
    assert [person["label"] for person in found.people] == ["Ana"]
    [problem] = found.problems
    assert problem.file == "bad.json"
    assert why in problem.why
    assert "bad.json" in str(found)
    assert "bad.json" in found._repr_html_()
    assert "1 person" in class_plot(tmp_path).alt


def test_neither_bytes_nor_folders_nor_copies_end_the_reading(tmp_path: Path):
    put(tmp_path, "a.json", PERSON)
    put(tmp_path, "b.json", PERSON)
    (tmp_path / "c.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "d.json").mkdir()
    reasons = {problem.file: problem.why for problem in read_class(tmp_path).problems}
    assert "a copy" in reasons["b.json"]
    assert reasons["c.json"] == "it is not JSON"
    assert reasons["d.json"] == "not a file"


def test_an_empty_class_says_what_to_do(tmp_path: Path):
    with pytest.raises(InputError, match="no file of a class"):
        read_class(tmp_path)
    with pytest.raises(InputError, match="no file of a class"):
        class_plot(tmp_path / "nowhere")
    put(tmp_path, "bad.json", "no JSON")
    with pytest.raises(InputError, match="not JSON"):
        class_plot(tmp_path)
