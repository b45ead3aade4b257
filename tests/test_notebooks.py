"""Every notebook: its frame, its prose, its exercises, and a whole run in a fresh kernel that leaves nothing behind."""

import json
import multiprocessing
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import nbformat
import pytest

from helpers.doctor_report import DoctorCheck, Report
from helpers.notebooks import FOLDER, Executed, execute, find
from helpers.server import registry
from tests.minutes import WITHIN, machine_minutes, reading
from tests.test_classroom import PERSON, put

ROOT = FOLDER.parent
NOTEBOOKS = find()
AT_A_TIME = 3
NAMES = [path.stem for path in NOTEBOOKS]
MEASURED = re.compile(
    r"\b\d+(?:\.\d+)?\s*(?:x\b|×|times (?:faster|slower|as)|requests?/s|/s\b|requests per second)", re.I
)
SOLUTION = re.compile(r"<details>\s*<summary>Solution</summary>\s*```python\n(.*?)```", re.DOTALL)
BLANK = re.compile(r"^answer = \.\.\.$", re.MULTILINE)

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)


def cells(path: Path, kind: str) -> list[str]:
    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def course(path: Path) -> dict[str, object]:
    return json.loads(path.read_text())["metadata"]["course"]


@each_notebook
def test_it_follows_the_one_shape(path: Path) -> None:
    prose, code = "\n".join(cells(path, "markdown")), cells(path, "code")
    about = course(path)
    assert prose.startswith(f"# {path.stem[:2]} · ")
    for goal in about["goals"]:  # type: ignore[attr-defined]
        assert goal in prose, "a goal of the metadata is not in the notebook's table"
    assert str(about["question"]) in prose
    assert f"| **Minutes** | {about['minutes']} |" in prose
    assert "begin()" in code[0]
    assert any("finish()" in cell for cell in code)
    assert prose.index("# Going deeper") > prose.index("## Clean up")
    assert "**Next:**" in prose
    assert 2 <= sum(bool(BLANK.search(cell)) for cell in code) <= 4


@each_notebook
def test_the_readme_tells_the_same_question_and_minutes(path: Path) -> None:
    about = course(path)
    row = f"| [{path.stem}](notebooks/{path.name}) | {about['question']} | {about['minutes']} |"
    assert row in (ROOT / "README.md").read_text()


@each_notebook
def test_the_minutes_leave_time_to_read_it(path: Path) -> None:
    """By the rule of tests/minutes.py; the machine's own part is added where it is measured, in the full run."""
    stated = float(str(course(path)["minutes"]))
    assert 0.6 * stated <= reading(path).minutes <= (1 + WITHIN) * stated, reading(path)


@each_notebook
def test_no_number_measured_elsewhere_stands_in_the_prose(path: Path) -> None:
    found = [match.group(0) for cell in cells(path, "markdown") for match in MEASURED.finditer(cell)]
    assert found == [], "compute it from the learner's own results instead"


@each_notebook
def test_every_relative_link_resolves(path: Path) -> None:
    links = [link for cell in cells(path, "markdown") for link in re.findall(r"\]\(([^)#\s]+)", cell)]
    assert [link for link in links if "://" not in link and not (path.parent / link).exists()] == []


@each_notebook
def test_a_picture_in_the_prose_has_its_words(path: Path) -> None:
    assert [found for cell in cells(path, "markdown") for found in re.findall(r"!\[\s*\]\(.*?\)", cell)] == []


@each_notebook
def test_every_blank_has_its_solution_right_below(path: Path) -> None:
    found = nbformat.read(path, as_version=4).cells
    for position, cell in enumerate(found):
        if cell.cell_type == "code" and BLANK.search(cell.source):
            below = found[position + 1]
            assert below.cell_type == "markdown"
            solution = SOLUTION.search(below.source)
            assert solution, f"no solution below {cell.source!r}"
            assert "answer = " in solution.group(1)


@pytest.fixture(scope="session")
def quick_runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Path, Future[Executed]]]:
    """The chosen notebooks at the quick pace, three at a time: so each runs through on a busy machine as well."""
    chosen = [item for item in request.session.items if "quick_runs" in getattr(item, "fixturenames", ())]
    paths = [item.callspec.params["path"] for item in chosen]  # type: ignore[attr-defined]
    with ProcessPoolExecutor(AT_A_TIME, multiprocessing.get_context("spawn")) as pool:
        folder = tmp_path_factory.mktemp("quick")
        yield {path: pool.submit(execute, path, into=folder, env={"LAB_PACE": "quick"}) for path in paths}
        pool.shutdown(cancel_futures=True)


# 00 is run whole in the browser
@pytest.mark.timeout(900)  # the first one waits for those that began before it
@pytest.mark.parametrize(
    "path", [pytest.param(path, marks=[pytest.mark.full] * path.stem.startswith("00")) for path in NOTEBOOKS], ids=NAMES
)
def test_run_all_passes_at_the_quick_pace_and_leaves_nothing(
    path: Path, quick_runs: dict[Path, Future[Executed]]
) -> None:
    done = quick_runs[path].result()
    assert done.error == ""
    assert ours() == []
    assert "still open" in done.copy.read_text()  # the untouched exercises say so kindly
    assert pictures(done.copy) or path.stem.startswith("01")
    assert without_words(done.copy) == []


def without_words(copy: Path) -> list[str]:
    """Pictures, in outputs and in widgets, that say nothing to who cannot see them."""
    text = copy.read_text()
    bare = re.findall(r'"image/(?:png|svg\+xml|jpeg)": ?".{0,40}', text)
    return bare + re.findall(r'<img (?!alt=\\"[^\\"]).{0,80}', text)


def ours() -> list[registry.Entry]:
    """Servers whose owner has ended: a notebook's kernel is gone by now."""
    return [entry for entry in registry.servers() if entry.orphan]


def pictures(copy: Path) -> int:
    return copy.read_text().count("data:image/png;base64")


@pytest.mark.full
@each_notebook
def test_run_all_passes_with_the_solutions_at_the_normal_pace(path: Path, tmp_path: Path) -> None:
    solved = tmp_path / "solved" / path.name
    solved.parent.mkdir()
    solve(path, into=solved)
    done = execute(solved, into=tmp_path / "out", env={"LAB_PACE": "normal"})
    assert done.error == ""
    said = done.copy.read_text()
    assert "still open" not in said
    assert said.count("✘") == 0, "a solution was judged wrong"
    assert ours() == []
    stated, took = float(str(course(path)["minutes"])), reading(path).minutes + machine_minutes(done.copy)
    print(
        f"{path.stem}: {stated:g} min stated, {took:.1f} by the rule, {machine_minutes(done.copy):.1f} of them measured"
    )
    assert abs(took / stated - 1) <= WITHIN, (took, stated)


def solve(path: Path, into: Path) -> int:
    """Write a copy whose exercises are filled in as the solutions say; returns how many there are."""
    document, solved = nbformat.read(path, as_version=4), 0
    for position, cell in enumerate(document.cells):
        if cell.cell_type == "code" and BLANK.search(cell.source):
            solution = SOLUTION.search(document.cells[position + 1].source)
            assert solution
            cell.source = cell.source.replace("answer = ...", solution.group(1).strip())
            solved += 1
    nbformat.write(document, into)
    return solved


@pytest.mark.full
@each_notebook
def test_run_all_passes_on_one_core(path: Path, tmp_path: Path) -> None:
    run_apart(path, tmp_path, "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})")


@pytest.mark.full
@each_notebook
def test_run_all_passes_without_widgets(path: Path, tmp_path: Path) -> None:
    (tmp_path / "ipywidgets.py").write_text("raise ImportError('not installed')")
    run_apart(path, tmp_path, f"os.environ['PYTHONPATH'] = {str(tmp_path)!r}")


def run_apart(path: Path, folder: Path, first: str) -> None:
    """Execute in a process of its own, after a first statement that changes what it and its kernel can do."""
    code = (
        f"import os; {first}\nfrom pathlib import Path\nfrom helpers.notebooks import execute\n"
        f"done = execute(Path({str(path)!r}), into=Path({str(folder / 'out')!r}), env={{'LAB_PACE': 'quick'}})\n"
        "print(done.error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=280)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


@pytest.mark.full
def test_two_notebooks_at_once_have_a_server_each(tmp_path: Path) -> None:
    code = (
        "from helpers.teach.session import begin, finish\nbegin()\nfrom helpers.server.server import Server\n"
        "from helpers.load.run import load_test\nimport time\n"
        "server = Server().start()\n"
        "result = load_test(server.url + '/cpu?units=1', users=2, duration=2, progress=False)\n"
        "assert result.launch_before.id == server._running.id\n"
        "print('mine', server.url)\nfinish()"
    )
    document = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    paths = [tmp_path / f"{name}.ipynb" for name in ("one", "two")]
    for path in paths:
        nbformat.write(document, path)
    run = "from helpers.cli import main; import sys; sys.exit(main(['run', sys.argv[1]]))"
    both = [
        subprocess.Popen([sys.executable, "-c", run, str(path)], stderr=subprocess.PIPE, text=True) for path in paths
    ]
    for process in both:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err


# --------------------------------------------------------------------------------- what is no notebook of the series


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """The template as a contributor begins with it: copied under the name of the next notebook."""
    copy = tmp_path / "12_the_access_log.ipynb"
    copy.write_text((FOLDER / "template.ipynb").read_text(encoding="utf-8"), encoding="utf-8")
    return copy


def test_the_template_passes_what_it_asks_of_others(template: Path) -> None:
    test_it_follows_the_one_shape(template)
    test_no_number_measured_elsewhere_stands_in_the_prose(template)
    test_a_picture_in_the_prose_has_its_words(template)
    test_the_minutes_leave_time_to_read_it(template)
    test_every_blank_has_its_solution_right_below(template)
    test_every_relative_link_resolves(FOLDER / "template.ipynb")


@pytest.mark.full
def test_the_template_runs_whole_untouched_and_with_its_solutions(template: Path, tmp_path: Path) -> None:
    untouched = execute(template, into=tmp_path / "untouched", env={"LAB_PACE": "quick"})
    assert untouched.error == ""
    code = [cell for cell in nbformat.read(untouched.copy, as_version=4).cells if cell.cell_type == "code"]
    assert sum("still open" in str(cell.outputs) for cell in code) == 2
    assert pictures(untouched.copy)
    test_run_all_passes_with_the_solutions_at_the_normal_pace(template, tmp_path)


@pytest.mark.full
def test_the_instructors_notebook_draws_the_class_and_says_who_is_ready(tmp_path: Path) -> None:
    results = tmp_path / "results"
    put(results / "class", "a.json", PERSON)
    put(
        results / "doctor", "ben.json", Report((DoctorCheck("results", "fail", "", shared="a full disk"),)).for_others()
    )
    notebook = tmp_path / "notebooks" / "instructor.ipynb"
    notebook.parent.mkdir()
    notebook.write_text((FOLDER / notebook.name).read_text(encoding="utf-8"), encoding="utf-8")
    done = execute(notebook, into=tmp_path / "out")
    assert done.error == ""
    said = done.copy.read_text()
    assert "0 of 1 are ready" in said
    assert "results: a full disk" in said
    assert "1 person so far" in said
    assert pictures(done.copy)
    assert without_words(done.copy) == []
