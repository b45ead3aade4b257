"""JupyterLab in a real browser: notebooks open without a dialog, run whole, and their widgets answer."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from helpers.notebooks import FOLDER, find
from helpers.server import registry
from tests.tools import require
from tests.waiting import await_true

ROOT = FOLDER.parent
SHOTS = ROOT / "results" / "screenshots"
MAIN_PATH = ("00_start_here",)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
IDLE = ".jp-NotebookPanel:visible .jp-Notebook-ExecutionIndicator[data-status='idle']"
NAMES = [path.stem for path in find()]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """JupyterLab as `lab` starts it, with settings of its own and at the quick pace; yields its address with token."""
    home = tmp_path_factory.mktemp("home")
    command = [sys.executable, "-m", "helpers", "lab", "--no-browser", "--port", "0"]
    env = {**os.environ, "HOME": str(home), "LAB_PACE": "quick", "JUPYTER_CONFIG_DIR": str(home / "jupyter")}
    log = home / "lab.log"  # not a pipe, which would fill up unread
    with log.open("wb") as file:
        process = subprocess.Popen(command, stderr=file, env=env, cwd=ROOT, start_new_session=True)
    try:
        address = await_true(lambda: re.search(r"http://127\.0\.0\.1:\d+/\S+", log.read_text()), 60, "no address")
        yield address.group(0)
    finally:
        kernels = process_family(process.pid)
        process.terminate()
        try:
            process.wait(timeout=20)
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
    page.goto(lab.replace("00_start_here", name))
    page.wait_for_selector(".jp-NotebookPanel:visible .jp-Cell", timeout=60_000)
    page.wait_for_selector("text=Python 3 (ipykernel) | Idle", timeout=60_000)  # else Run asks which kernel to use
    page.wait_for_selector(IDLE, timeout=60_000)
    return page


def run_all(page: Page, name: str, within_s: float = 200) -> None:
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Run All Cells")).click()
    last = page.locator(".jp-NotebookPanel:visible .jp-CodeCell .jp-InputPrompt")
    await_true(
        lambda: page.locator(IDLE).count() and "*" not in "".join(last.all_inner_texts()), within_s, f"{name} runs on"
    )


def looked_at(page: Page, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png")


@pytest.mark.parametrize(
    "name", [name if name in MAIN_PATH else pytest.param(name, marks=pytest.mark.full) for name in NAMES]
)
def test_a_notebook_opens_without_a_dialog_and_runs_whole(browser: Browser, lab: str, name: str) -> None:
    page = open_notebook(browser, lab, name)
    assert page.locator(".jp-Dialog").count() == 0
    run_all(page, name)
    looked_at(page, name)
    assert page.locator(".jp-Dialog").count() == 0
    errors = page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr'] >> text=Traceback")
    assert errors.count() == 0
    assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.error']").count() == 0
    assert page.get_by_text("Error displaying widget").count() == 0
    assert page.get_by_text("Loading widget...").count() == 0
    page.close()
    await_true(lambda: not [entry for entry in registry.servers() if entry.orphan], 5, "a server outlived its notebook")


def test_a_prediction_made_by_click_is_drawn_into_the_picture(browser: Browser, lab: str) -> None:
    page = open_notebook(browser, lab, "00_start_here")
    run_all(page, "00_start_here")
    page.get_by_text("You made no prediction").first.scroll_into_view_if_needed()
    page.get_by_label("about twice as many").first.check()
    page.wait_for_selector("text=You predicted", timeout=10_000)
    looked_at(page, "00_with_a_prediction")
    page.get_by_role("button", name="Do clicks work?").click()
    page.wait_for_selector("text=Clicks arrive", timeout=10_000)
    page.close()


def test_a_kernel_restarted_in_mid_test_leaves_no_process(browser: Browser, lab: str, tmp_path: Path) -> None:
    page = open_notebook(browser, lab, "00_start_here")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Run All Cells")).click()
    mine = await_true(lambda: [entry for entry in registry.servers() if entry.alive], 60, "no server was started")
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Restart Kernel…|^Restart Kernel\\.\\.\\.")).first.click()
    page.locator(".jp-Dialog button", has_text="Restart").click()
    await_true(lambda: not any(entry.alive for entry in mine), 6, "a server outlived its kernel")
    page.close()
