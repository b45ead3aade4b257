"""The desk of notebook 09 in JupyterLab: a moved slider adds workers, and the picture steps."""

import re

import nbformat
import pytest
from playwright.sync_api import Browser, expect

from tests.accessible import faults
from tests.browsing import ROOT, launches, looked_at, open_notebook
from tests.waiting import await_true

SOURCE = (
    "from helpers.teach.desk import Desk\n"
    'desk = Desk("/blocking?ms=50", rate=65, new_connections=True, timeout=5)\ndesk'
)
LONG_MS = 30_000


@pytest.mark.full
def test_the_slider_of_the_desk_adds_workers_under_a_running_load(browser: Browser, lab: str) -> None:
    path = ROOT / "results" / "desk-in-the-browser.ipynb"
    path.parent.mkdir(exist_ok=True)
    document = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SOURCE)])
    document.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    nbformat.write(document, path)
    page = open_notebook(browser, lab.replace("notebooks/00_start_here", "results/00_start_here"), path.stem)
    page.locator(".jp-NotebookPanel:visible .jp-CodeCell .cm-content").first.click()
    page.keyboard.press("Control+Enter")
    desk = page.locator(".lab-desk").first
    said = desk.get_by_role("status")
    expect(said).to_contain_text("nothing runs", timeout=LONG_MS)
    desk.get_by_role("button", name="Start the load").click()
    expect(said).to_contain_text("2 workers serve", timeout=LONG_MS)
    picture = desk.locator("img").first
    expect(picture).to_have_attribute("alt", re.compile("2 workers, 0 lost"), timeout=LONG_MS)
    assert faults(page, ".lab-desk") == []
    page.wait_for_timeout(2_000)  # something to be seen before the step
    handle = desk.locator(".noUi-handle").first
    handle.focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    expect(said).to_contain_text(re.compile("wanted: one signal at a time|4 workers serve"), timeout=LONG_MS)
    expect(said).to_have_text("● 4 workers serve", timeout=LONG_MS)
    expect(picture).to_have_attribute("alt", re.compile(r"scale\(4\): .* 4 workers"), timeout=LONG_MS)
    page.wait_for_timeout(3_000)
    looked_at(page, "09_desk")
    desk.get_by_role("button", name="Stop").click()
    expect(said).to_contain_text("nothing runs; the picture shows the last load", timeout=LONG_MS)
    await_true(lambda: not launches(), 10, "the desk's server runs on")
    page.close()
    path.unlink()
