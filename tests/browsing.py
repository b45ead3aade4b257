"""JupyterLab in a real browser, as the tests use it: started as `lab` starts it, opened, run, looked at."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from helpers.notebooks import FOLDER
from helpers.server import registry
from tests.tools import require
from tests.waiting import await_true

ROOT = FOLDER.parent
SHOTS = ROOT / "results" / "screenshots"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
IDLE = ".jp-NotebookPanel:visible .jp-Notebook-ExecutionIndicator[data-status='idle']"
PAGE_PX, SCROLL_PX = 2_200, 2_000


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """JupyterLab as `lab` starts it, with settings of its own and at the quick pace; yields its address with token."""
    with laboratory(tmp_path_factory.mktemp("home"), LAB_PACE="quick") as address:
        yield address


@contextmanager
def laboratory(
    home: Path, *, root: Path = ROOT, python: str = sys.executable, within_s: float = 60, **env: str
) -> Iterator[str]:
    """JupyterLab of the project in `root`, started by that Python within so many seconds; its address with token."""
    command = [python, "-m", "helpers", "lab", "--no-browser", "--port", "0"]
    settings = home / "settings"
    documents = settings / "@jupyterlab" / "docmanager-extension" / "plugin.jupyterlab-settings"
    documents.parent.mkdir(parents=True)
    documents.write_text('{"autosave": false}')  # the notebooks of the project stay as they are
    all_env = os.environ | {"HOME": str(home), "JUPYTER_CONFIG_DIR": str(home / "jupyter")} | env
    all_env |= {"JUPYTERLAB_SETTINGS_DIR": str(settings)}
    log = home / "lab.log"  # not a pipe, which would fill up unread
    with log.open("wb") as file:
        process = subprocess.Popen(command, stderr=file, env=all_env, cwd=root, start_new_session=True)
    try:
        address = await_true(lambda: re.search(r"http://127\.0\.0\.1:\d+/\S+", log.read_text()), within_s, "no address")
        yield address.group(0)
    finally:
        kernels = process_family(process.pid)
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # it waits for a kernel that is busy
            process.kill()
            process.wait()
        for kernel in kernels:
            with suppress(psutil.NoSuchProcess):
                kernel.kill()


def process_family(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = require("chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield opened
        opened.close()


def open_notebook(browser: Browser, lab: str, name: str) -> Page:
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.goto(lab.replace("00_start_here", name) + "&reset")  # else the tabs of earlier tests are opened again
    page.wait_for_selector(".jp-NotebookPanel:visible .jp-Cell", timeout=60_000)
    page.wait_for_selector("text=Python 3 (ipykernel) | Idle", timeout=60_000)  # else Run asks which kernel to use
    page.wait_for_selector(IDLE, timeout=60_000)
    return page


def run_all(page: Page, name: str, within_s: float = 200) -> None:
    start_all(page)
    await_all(page, name, within_s)


def start_all(page: Page) -> None:
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Run All Cells")).click()
    page.get_by_text(re.compile(r"^Cell (\d+)/\1$")).wait_for(timeout=30_000)  # the last cell is the current one


def await_all(page: Page, name: str, within_s: float = 200) -> None:
    """Until every cell that is drawn (the last one among them) has been executed."""

    def done() -> bool:
        texts = [text for text in prompts(page) if text.strip()]
        return page.locator(IDLE).count() > 0 and bool(texts) and all(re.search(r"\d", text) for text in texts)

    await_true(done, within_s, f"{name} runs on", every_s=0.5)  # to ask more often would void what the cells measure


def prompts(page: Page) -> list[str]:
    """What stands beside the code cells that are drawn: `[3]:` was executed, `[*]:` waits or runs, `[ ]:` was not."""
    return page.locator(".jp-NotebookPanel:visible .jp-CodeCell .jp-InputPrompt").all_inner_texts()


def to_the_top(page: Page) -> None:
    """Scroll back: a cell far away is not drawn, and cannot be clicked."""
    page.locator(".jp-NotebookPanel:visible .jp-WindowedPanel-outer").first.evaluate("element => element.scrollTop = 0")


def looked_at(page: Page, name: str) -> None:
    """Keep a screenshot to be looked at."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png")


def pages(page: Page, name: str) -> Iterator[None]:
    """Scroll through the whole notebook, a page and a screenshot at a time: only cells in view are drawn at all."""
    page.set_viewport_size({"width": 1400, "height": PAGE_PX})
    notebook = page.locator(".jp-NotebookPanel:visible .jp-WindowedPanel-outer").first
    number, below = 0, True
    while below:
        notebook.evaluate("(element, top) => element.scrollTop = top", number * SCROLL_PX)
        page.wait_for_timeout(700)  # there is no event for "all cells that came into view are drawn"
        number += 1
        looked_at(page, f"{name}_{number}")
        yield
        below = notebook.evaluate("e => e.scrollTop + e.clientHeight < e.scrollHeight - 2")


def launches() -> list[registry.Entry]:
    """The servers that run now and belong to a kernel of this test run; others may use the machine, too."""
    ours = {process.pid for process in process_family(os.getpid())}
    return [entry for entry in registry.servers() if entry.alive and entry.owner_pid in ours]
