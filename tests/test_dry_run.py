"""The hour of the instructor's guide as a participant has it: a fresh clone, the browser, each cell, each exercise."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from helpers.cli_words import VOID
from helpers.server import registry
from tests.browsing import ROOT, laboratory, looked_at, open_notebook, pages, run_all
from tests.minutes import WITHIN, reading
from tests.test_browser import WRONG
from tests.test_notebooks import solve
from tests.tools import require, unavailable
from tests.waiting import await_true

HOUR = ("00_start_here", "03_inspect_processes", "04_more_cores_or_more_workers", "05_when_workers_do_not_help")
SET_UP_S, NOTEBOOK_S = 600, 600


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_the_hour_goes_as_the_guide_says(browser: Browser, tmp_path: Path) -> None:
    clone = fresh_clone(tmp_path / "clone")
    clean = {"PYTHONPATH": "", "VIRTUAL_ENV": ""}
    base = getattr(sys, "_base_executable", sys.executable)
    began = time.monotonic()
    with laboratory(tmp_path / "home", root=clone, python=base, within_s=SET_UP_S, **clean) as lab:
        print(f"\nset-up: {time.monotonic() - began:.0f} s from the clone to the address")
        for name in HOUR:
            path = clone / "notebooks" / f"{name}.ipynb"
            to_read = reading(path).minutes
            exercises = solve(path, into=path)
            began = time.monotonic()
            page = open_notebook(browser, lab, name)
            run_all(page, name, within_s=NOTEBOOK_S)
            took = (time.monotonic() - began) / 60
            right, bets = look_through(page, name)
            page.close()
            stated = json.loads(path.read_text())["metadata"]["course"]["minutes"]
            needed = to_read + took
            print(f"{name}: stated {stated} min, needed {needed:.1f}, of that the machine {took:.1f}; {bets} bets made")
            assert right == exercises
            assert bets >= 1
            assert abs(needed / stated - 1) <= WITHIN
    python = clone / ".venv" / "bin" / "python"
    command = [python, "-m", "helpers", "diagnose", "helpers.demo.mystery:c"]
    found = subprocess.run(command, cwd=clone, env=os.environ | clean, capture_output=True, text=True)
    assert found.returncode in (0, VOID), found.stdout + found.stderr  # VOID: something else was running
    assert ("event_loop_blocked" if found.returncode == 0 else "inconclusive") in found.stdout
    await_true(lambda: not [entry for entry in registry.servers() if entry.orphan], 5, "something is left")


def fresh_clone(target: Path) -> Path:
    command = [require("git"), "clone", "--quiet", "--no-hardlinks", str(ROOT), str(target)]
    if subprocess.run(command, capture_output=True).returncode:
        unavailable("this copy of the project is not a git repository")
    return target


def look_through(page: Page, name: str) -> tuple[int, int]:
    """Every page of it: nothing wrong, each bet made by click and answered; how many exercises are right, and bets."""
    right: set[str] = set()
    bets = 0
    for _ in pages(page, f"dry_{name}"):
        for wrong in (*WRONG, "text=✘"):
            assert page.locator(f".jp-OutputArea >> {wrong}").count() == 0, wrong
        right |= set(re.findall(r"✔ (\d\d\.\d)", page.locator(".jp-NotebookPanel:visible").inner_text()))
        for group in page.locator(".jp-OutputArea .widget-radio-box:visible").all():
            first = group.get_by_role("radio").first
            if not first.is_checked():
                first.check()
                bets += 1
    looked_at(page, f"dry_{name}_end")
    expect(page.locator(".jp-Dialog")).to_have_count(0)
    return len(right), bets
