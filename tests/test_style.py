"""The house rules that a program can check: format, types, floors, sizes, clean notebooks, nothing private."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools import require, unavailable

pytestmark = pytest.mark.calm

ROOT = Path(__file__).resolve().parent.parent
TOP_LEVEL = {
    "README.md", "LICENSE", "pyproject.toml", "requirements.txt", "requirements.lock", "requirements-cluster.txt",
    "notebooks", "helpers", "tests", ".ci", ".gitignore",
}  # fmt: skip
LINES_PER_MODULE = 340
LINES_PER_CELL = 25
UNFINISHED = re.compile("|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error"]))
SOMEBODYS_MACHINE = re.compile(r"/home/[a-z]|/Users/[A-Za-z]|/ro" + r"ot/|/wo" + r"rk/|[A-Z]:\\Users")
INDEX_OPTION = re.compile(
    r"--(extra-)?index-url[ =]|--find-links[ =]\w+:|PIP_(EXTRA_)?INDEX_URL=\w+://(?!127\.0\.0\.1)"
)


def run(*command: str) -> None:
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout[-6000:] + answer.stderr[-2000:]


def project_files() -> list[Path]:
    """What git has, or would take."""
    git = require("git")
    command = [git, "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if answer.returncode != 0:
        unavailable("this copy of the project is not a git repository")
    return [ROOT / name for name in answer.stdout.split("\0") if name and (ROOT / name).is_file()]


def texts() -> Iterator[tuple[Path, str]]:
    for path in project_files():
        try:
            yield path.relative_to(ROOT), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:  # a picture
            continue


def lines_that_match(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()[:120]}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def notebooks() -> list[Path]:
    return sorted((ROOT / "notebooks").glob("**/*.ipynb"))


@pytest.fixture(params=notebooks(), ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> dict:
    return json.loads(request.param.read_text(encoding="utf-8"))


def test_ruff_finds_nothing():
    run(sys.executable, "-m", "ruff", "check", "--output-format=concise", ".")


def test_the_code_is_formatted():
    run(sys.executable, "-m", "ruff", "format", "--check", ".")


def test_the_types_fit():
    run(sys.executable, "-m", "mypy")


def test_nothing_imports_from_a_floor_above():
    run(sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()")


def test_modules_stay_short():
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / "helpers").rglob("*.py")}
    assert {str(path.relative_to(ROOT)): size for path, size in sizes.items() if size > LINES_PER_MODULE} == {}


def test_every_module_says_what_it_is_for():
    silent = []
    for path in (ROOT / "helpers").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if text.strip() and not ast.get_docstring(ast.parse(text)):
            silent.append(str(path.relative_to(ROOT)))
    assert silent == []


def test_init_files_import_nothing():
    loud = []
    for path in (ROOT / "helpers").rglob("__init__.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(tree)):
            loud.append(str(path.relative_to(ROOT)))
    assert loud == []


def test_the_top_level_holds_the_project_and_nothing_else():
    assert {path.relative_to(ROOT).parts[0] for path in project_files()} - TOP_LEVEL == set()


def test_nothing_is_marked_unfinished():
    assert lines_that_match(UNFINISHED) == []


def test_no_file_knows_a_developers_machine():
    assert lines_that_match(SOMEBODYS_MACHINE) == []
    here = re.compile(re.escape(str(ROOT)) + r"\b")
    assert len(ROOT.parts) < 3 or lines_that_match(here) == []


def test_no_file_names_a_private_package_index():
    assert lines_that_match(INDEX_OPTION) == []
    configured = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
    hosts = set(re.findall(r"://(?:[^/@\s]*@)?([\w.-]+)", configured)) - {"pypi.org", "127.0.0.1", "localhost"}
    named = [str(path) for path, text in texts() if any(host in text for host in hosts)]
    assert named == []


def test_a_notebook_is_stored_without_what_running_it_leaves(notebook):
    assert "widgets" not in notebook["metadata"]
    for cell in notebook["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert not {"execution", "collapsed", "scrolled"} & set(cell["metadata"])


def test_a_notebook_opens_without_asking_for_a_kernel(notebook):
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"


def test_a_notebooks_cells_have_stable_ids(notebook):
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    assert (notebook["nbformat"], notebook["nbformat_minor"]) >= (4, 5)
    random_looking = [name for name in ids if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f-]{27})?", name)]
    assert random_looking == [], "an id that says what the cell is for survives a rewrite"


def test_a_notebooks_code_cells_stay_short(notebook):
    long = [c["id"] for c in notebook["cells"] if c["cell_type"] == "code" and len(source(c)) > LINES_PER_CELL]
    assert long == []


def source(cell: dict) -> list[str]:
    return "".join(cell["source"]).splitlines()
