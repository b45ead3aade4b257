"""JupyterLab in a real browser: notebooks open without a dialog, run whole, and their widgets answer."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from helpers.notebooks import FOLDER, find
from helpers.server import registry
from tests.accessible import faults
from tests.browsing import launches, looked_at, open_notebook, pages, prompts, run_all, start_all, to_the_top
from tests.waiting import await_true

FIRST = "00_start_here"
OTHERS = [path.stem for path in find() if path.stem != FIRST]
WRONG = (
    "[data-mime-type='application/vnd.jupyter.stderr'] >> text=Traceback",
    "[data-mime-type='application/vnd.jupyter.error']",
    "text=Error displaying widget",
    "text=Loading widget...",
)


def numbers(name: str) -> set[int]:
    """The execution numbers that one sees after Run All: a cell whose source is collapsed shows none."""
    cells = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    code = [cell["metadata"] for cell in cells if cell["cell_type"] == "code"]
    return {number for number, metadata in enumerate(code, 1) if not metadata.get("jupyter", {}).get("source_hidden")}


def run_whole(browser: Browser, lab: str, name: str) -> Page:
    """Open a notebook, run all of it, and look at every page: no dialog, no error, no cell left out."""
    page = open_notebook(browser, lab, name)
    assert page.locator(".jp-Dialog").count() == 0
    run_all(page, name)
    executed: set[int] = set()
    for _ in pages(page, name):
        assert page.locator(".jp-Dialog").count() == 0
        for wrong in WRONG:
            assert page.locator(wrong).count() == 0, wrong
        executed |= {int(number) for number in re.findall(r"\[(\d+)\]:", " ".join(prompts(page)))}
    assert executed == numbers(name)
    return page


@pytest.mark.full
@pytest.mark.parametrize("name", OTHERS)
def test_a_notebook_opens_without_a_dialog_and_runs_whole(browser: Browser, lab: str, name: str) -> None:
    run_whole(browser, lab, name).close()
    await_true(lambda: not [entry for entry in registry.servers() if entry.orphan], 5, "a server outlived its notebook")


def test_the_first_notebook_runs_whole_and_a_prediction_made_by_click_is_drawn_into_its_picture(
    browser: Browser, lab: str
) -> None:
    page = run_whole(browser, lab, FIRST)
    to_the_top(page)
    page.get_by_text("You made no prediction").first.scroll_into_view_if_needed()
    page.get_by_label("about twice as many").first.check()
    page.wait_for_selector("text=You predicted", timeout=10_000)
    looked_at(page, "00_with_a_prediction")
    assert faults(page, ".jp-OutputArea-output") == []
    page.get_by_role("button", name="Do clicks work?").click()
    page.wait_for_selector("text=Clicks arrive", timeout=10_000)
    page.close()


@pytest.mark.full
def test_a_kernel_restarted_in_mid_test_leaves_no_process(browser: Browser, lab: str, tmp_path: Path) -> None:
    page = open_notebook(browser, lab, "00_start_here")
    start_all(page)
    mine = await_true(lambda: launches(), 60, "no server was started")
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Restart Kernel…|^Restart Kernel\\.\\.\\.")).first.click()
    page.locator(".jp-Dialog button", has_text="Restart").click()
    await_true(lambda: not any(entry.alive for entry in mine), 6, "a server outlived its kernel")
    page.close()
