"""The calculator of notebook 06 in JupyterLab: a moved control is answered at once."""

import re

import nbformat
import pytest
from playwright.sync_api import Browser, expect

from tests.accessible import faults
from tests.browsing import ROOT, looked_at, open_notebook

SOURCE = (
    "from helpers.teach.calculator import calculator\n"
    "advisor = calculator(cores=4, quota=None, memory_mib=1024, mib_per_worker=45.0)\nadvisor"
)
AT_ONCE_MS = 1_000


@pytest.mark.full
def test_the_calculator_answers_a_moved_control_at_once(browser: Browser, lab: str) -> None:
    path = ROOT / "results" / "calculator-in-the-browser.ipynb"
    path.parent.mkdir(exist_ok=True)
    document = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SOURCE)])
    document.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    nbformat.write(document, path)
    page = open_notebook(browser, lab.replace("notebooks/00_start_here", "results/00_start_here"), path.stem)
    page.locator(".jp-NotebookPanel:visible .jp-CodeCell .cm-content").first.click()
    page.keyboard.press("Control+Enter")
    answer = page.locator(".jp-OutputArea p", has_text="decided by").first
    expect(answer).to_have_text(re.compile("4 workers.*decided by: cores"), timeout=30_000)
    looked_at(page, "06_calculator")
    assert faults(page, ".jp-OutputArea .widget-vbox") == []
    memory = page.get_by_label("memory, MiB")
    memory.fill("128")
    memory.press("Enter")
    expect(answer).to_have_text(re.compile("2 workers.*decided by: memory"), timeout=AT_ONCE_MS)
    looked_at(page, "06_calculator_memory")
    page.get_by_label("while it waits").select_option(label="stands still (blocks)")
    memory.fill("0")
    memory.press("Enter")
    expect(answer).to_have_text(re.compile("4 workers.*decided by: cores"), timeout=AT_ONCE_MS)
    page.close()
    path.unlink()
