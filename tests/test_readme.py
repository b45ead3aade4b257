"""What the pages for people claim: messages that the code has, commands that exist, links that lead somewhere, sums."""

import ast
import builtins
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
import typer
from playwright.sync_api import Browser

from helpers.cli import app
from helpers.notebooks import FOLDER
from helpers.teach.missing import bound
from tests.accessible import faults

pytestmark = pytest.mark.calm

ROOT = FOLDER.parent
README = ROOT / "README.md"
GUIDE = FOLDER / "INSTRUCTOR.md"
HANDOUT = FOLDER / "HANDOUT.html"
PAGES = (README, GUIDE, HANDOUT)
GAP = "\0"  # what the code puts in from case to case

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)


@cache
def messages() -> str:
    """Every text of the code, a line each; docstrings are for its readers, and not among them."""
    found = []
    for path in (ROOT / "helpers").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        said_to_nobody = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        found += [text_of(node) for node in ast.walk(tree) if id(node) not in said_to_nobody]
    return "\n".join(re.sub(r"%[.\d]*[sdfr]|\{\w+!?r?\}", GAP, text).replace("\n", " ") for text in found if text)


def text_of(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else GAP for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def said_by_the_code(message: str) -> bool:
    """Whether one text of the code reads so; `...` stands for anything, a number for anything the code puts in."""
    parts = re.split(r"(\.\.\.|\d+(?:\.\d+)*%?)", message)
    wild = {"...": ".*?"}
    number = rf"(?:[\d.%]|{GAP})+"
    pattern = "".join(wild.get(part, number) if i % 2 else re.escape(part) for i, part in enumerate(parts))
    return bool(re.search(pattern, messages()))


def troubles() -> list[str]:
    table = README.read_text(encoding="utf-8").partition("## When something goes wrong")[2].partition("\n## ")[0]
    rows = [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| `")]
    return [message for row in rows for message in re.findall(r"`([^`]+)`", row)]


@pytest.mark.parametrize("message", troubles())
def test_a_message_that_the_readme_explains_is_one_that_the_code_says(message: str) -> None:
    assert len(re.sub(r"\.\.\.|\d", "", message).strip()) >= 10, "too little of it to be found"
    assert said_by_the_code(message)


def test_a_message_that_nobody_says_is_found_out() -> None:
    assert len(troubles()) >= 20
    assert not said_by_the_code("port 5012 is busy")
    assert not said_by_the_code("Raises InputError for ...")  # of a docstring


@each_page
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


@each_page
def test_every_picture_has_its_words(page: Path) -> None:
    assert re.findall(r"!\[\s*\]\(.*?\)|<img(?![^>]*alt=\"[^\"])", page.read_text(encoding="utf-8")) == []


@each_page
def test_every_command_exists_with_its_options(page: Path) -> None:
    group = typer.main.get_command(app)
    for line in re.findall(r"-m helpers ([^`\n|#(<]+)", page.read_text(encoding="utf-8")):
        name, *words = line.split()
        if name in ("COMMAND", "test"):  # the tests' own options are the bootstrap's and pytest's
            continue
        command = group.commands[name]  # type: ignore[attr-defined]
        known = {option for parameter in command.params for option in parameter.opts}
        given = {word.split("=")[0] for word in words if word.startswith("--")}
        assert given <= known | ({"--no-browser", "--port"} if name == "lab" else set()), line


@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_the_handout_is_one_printed_page(browser: Browser, paper: str) -> None:
    page = browser.new_page()
    page.goto(HANDOUT.as_uri())
    assert faults(page) == []
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(format=paper, prefer_css_page_size=False))) == 1
    page.close()


def schedules() -> list[list[tuple[timedelta, int]]]:
    """Of each table with a column of minutes: when each row begins, and how long it takes."""
    text = GUIDE.read_text(encoding="utf-8")
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    rows = [re.findall(r"^\| (\d+):(\d\d) \|.*\| (\d+) \|$", table, re.MULTILINE) for table in tables]
    return [[(timedelta(hours=int(h), minutes=int(m)), int(lasts)) for h, m, lasts in table] for table in rows if table]


def test_the_schedules_add_up_and_fit() -> None:
    found = schedules()
    assert len(found) == 4
    for table in found:
        for (begin, lasts), (following, _) in pairwise(table):
            assert begin + timedelta(minutes=lasts) == following
    ends = [table[-1][0] + timedelta(minutes=table[-1][1]) for table in found]
    assert ends == [timedelta(minutes=minutes) for minutes in (60, 210, 110, 120)]


# What the guide allows to be left out: from words of a text cell up to words of a later one, or the exercise itself.
DEEPER = ("# Going deeper", "the end")
CUTS = {
    "02": [("## A load test that checks itself", "## Exercises"), ("**02.3**", "## What you saw"), DEEPER],
    "03": [("**03.2**", "## What you saw"), DEEPER],
    "04": [
        ("**04.1**", "**Second edge"),
        ("**Second edge", "**Third edge"),
        ("**04.2**", "## Before you ship"),
        ("## What you saw", "## Clean up"),
        ("# Going deeper", "## Your class in one picture"),
    ],
    "04 late in the hour": [("**First edge", "**Third edge"), ("**04.2**", "## Clean up"), DEEPER],
    "05": [("## Round 3", "## Clean up"), DEEPER],
}
NOT_THE_TABLE = "predict_table("  # of the bets of 05, cut with what answers it


@pytest.mark.parametrize("case", CUTS)
def test_what_the_guide_cuts_is_not_missed_further_on(case: str) -> None:
    made: set[str] = set(dir(builtins))
    cut = 0
    for source in kept(next(FOLDER.glob(f"{case[:2]}_*.ipynb")), CUTS[case]):
        if source is None or (case == "05" and NOT_THE_TABLE in source):
            cut += 1
            continue
        tree = ast.parse(source)
        names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
        made |= bound(source) | {node.id for node in names if isinstance(node.ctx, ast.Store)}
        arguments = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
        assert {node.id for node in names} - arguments <= made, source
    assert cut >= 3


def kept(notebook: Path, cuts: list[tuple[str, str]]) -> Iterator[str | None]:
    """The code cells in their order, None for one that is cut."""
    left, until = list(cuts), ""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            yield None if until else source
            continue
        if until and until in source:
            until = ""
        if left and left[0][0] in source:
            until = left.pop(0)[1]
    assert not left, f"{notebook.name} does not have {left[0][0]!r}"
