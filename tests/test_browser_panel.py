"""The panel in JupyterLab, by mouse and by keyboard; every state that it names is held against the processes."""

import os
import random
import re
import socket
import time
from collections.abc import Iterator

import nbformat
import psutil
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.accessible import faults
from tests.browsing import ROOT, launches, looked_at, open_notebook, process_family
from tests.waiting import await_true

IMPORT = "from helpers.teach.panel.panel import Panel\n"
QUICK = IMPORT + "panel = Panel(duration=1)\npanel"
APPS = ROOT / "tests" / "apps"
LONG_MS = 30_000


@pytest.fixture
def page(browser: Browser, lab: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """JupyterLab with a notebook of the given cells, the first of them run."""
    marker = request.node.get_closest_marker("cells")
    cells = marker.args if marker else (QUICK,)
    path = ROOT / "results" / "panel-in-the-browser.ipynb"
    path.parent.mkdir(exist_ok=True)
    document = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    document.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    nbformat.write(document, path)
    opened = open_notebook(browser, lab.replace("notebooks/00_start_here", "results/00_start_here"), path.stem)
    run_cell(opened, 0)
    expect(opened.locator(".lab-panel").first).to_be_visible(timeout=LONG_MS)
    yield opened
    opened.get_by_role("menuitem", name="Kernel", exact=True).click()
    opened.get_by_role("menuitem", name=re.compile("^Shut Down Kernel")).first.click()
    await_true(lambda: not launches(), 10, "a server outlived its kernel")
    opened.close()
    path.unlink()


def run_cell(page: Page, number: int) -> None:
    page.locator(".jp-NotebookPanel:visible .jp-CodeCell .cm-content").nth(number).click()
    page.keyboard.press("Control+Enter")


def panel(page: Page, number: int = 0) -> Locator:
    return page.locator(".lab-panel").nth(number)


def button(page: Page, name: str, number: int = 0) -> Locator:
    return panel(page, number).get_by_role("button", name=name, exact=True)


def launch(page: Page, number: int = 0) -> Locator:
    return panel(page, number).get_by_role("button", name=re.compile("^(Launch|Relaunch)$"))


def said(page: Page, words: str, number: int = 0, within_ms: int = LONG_MS) -> None:
    expect(panel(page, number).get_by_role("status")).to_contain_text(words, timeout=within_ms)


def serving() -> list[int]:
    """How many processes serve, launch by launch, by the system's own tables."""
    found = []
    for entry in launches():
        children = psutil.Process(entry.pid).children()
        workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        found.append(len(workers) or 1)
    return found


def drag(page: Page, handle: Locator, by_px: float) -> None:
    box = handle.bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by_px, y, steps=8)
    page.mouse.up()


def bars(page: Page) -> list[str]:
    return panel(page).locator("table").nth(1).locator("td.num").all_inner_texts()


def test_by_mouse_from_one_worker_to_two_and_the_second_bar_is_the_higher_one(page: Page) -> None:
    said(page, "STOPPED")
    button(page, "Load test").click()
    said(page, "LOADING")
    expect(launch(page)).to_be_disabled()
    said(page, "READY")
    said(page, "1 worker")
    assert serving() == [1]
    handle = panel(page).locator(".noUi-handle").first
    track = panel(page).locator(".noUi-base").first.bounding_box()
    assert track
    drag(page, handle, track["width"] / 3)  # from 1 to 2 of 1 to 4
    expect(panel(page)).to_contain_text("! pending")
    assert serving() == [1]
    launch(page).click()
    said(page, "2 workers")
    said(page, "READY")
    assert serving() == [2]
    expect(panel(page)).to_contain_text("worker B")
    button(page, "Load test").click()
    said(page, "LOADING")
    said(page, "READY")
    shown = bars(page)
    if len(shown) == 2 and "void" not in shown:  # a disturbed machine gives no number; only the last one is shown void
        assert per_s(shown[1]) > per_s(shown[0])
    looked_at(page, "panel_1400_light")
    assert faults(page, ".lab-panel") == []


def per_s(text: str) -> float:
    return float(text.removesuffix("/s").replace(",", ""))


def test_by_keyboard_alone(page: Page) -> None:
    panel(page).locator(".noUi-handle").first.focus()
    page.keyboard.press("ArrowRight")
    expect(panel(page)).to_contain_text("server.relaunch(workers=2)")
    tab_to(page, "Launch")
    page.keyboard.press("Enter")
    said(page, "2 workers")
    said(page, "READY")
    assert serving() == [2]
    tab_to(page, "Load test")
    page.keyboard.press("Space")
    said(page, "LOADING")
    tab_to(page, "Stop test", backwards=True)
    page.keyboard.press("Enter")
    said(page, "READY", within_ms=2_000)
    assert serving() == [2]


def tab_to(page: Page, name: str, *, backwards: bool = False) -> None:
    for _ in range(40):
        page.keyboard.press("Shift+Tab" if backwards else "Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == name:
            return
    pytest.fail(f"{name!r} cannot be reached by the Tab key")


@pytest.mark.full
@pytest.mark.cells(IMPORT + "Panel(duration=30)")
def test_stop_ends_a_test_within_a_second_and_then_the_server(page: Page) -> None:
    button(page, "Load test").click()
    said(page, "measuring")
    began = time.monotonic()
    button(page, "Stop test").click()
    said(page, "READY")
    assert time.monotonic() - began < 1.5  # one second, and the way through the browser
    assert serving() == [1]
    button(page, "Stop server").click()
    said(page, "STOPPED", within_ms=2_000)
    await_true(lambda: serving() == [], 1)


@pytest.mark.full
@pytest.mark.cells(IMPORT + "Panel(duration=30)")
def test_a_kernel_restarted_in_mid_test_leaves_no_process(page: Page) -> None:
    button(page, "Load test").click()
    said(page, "measuring")
    engines = [each for each in process_family(os.getpid()) if "helpers.load.engine" in each.cmdline()]
    assert engines
    mine = launches()
    assert mine
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Restart Kernel…|^Restart Kernel\\.\\.\\.")).first.click()
    page.locator(".jp-Dialog button", has_text="Restart").click()
    await_true(lambda: not any(entry.alive for entry in mine), 6, "a server outlived its kernel")
    await_true(lambda: not any(each.is_running() for each in engines), 6, "a load generator outlived its kernel")


@pytest.mark.full
@pytest.mark.cells(QUICK)
def test_a_cell_run_again_ends_the_server_of_the_run_before(page: Page) -> None:
    launch(page).click()
    said(page, "READY")
    before = launches()[0]
    run_cell(page, 0)
    await_true(lambda: not before.alive, 5, "the panel before kept its server")
    said(page, "STOPPED")


@pytest.mark.full
@pytest.mark.cells(QUICK, QUICK.replace("panel", "other").replace("teach.other.other", "teach.panel.panel"))
def test_two_panels_in_one_notebook_are_independent(page: Page) -> None:
    run_cell(page, 1)
    expect(panel(page, 1)).to_be_visible(timeout=LONG_MS)
    for number in (0, 1):
        launch(page, number).click()
        said(page, "READY", number)
    assert serving() == [1, 1]
    button(page, "Stop server", 0).click()
    said(page, "STOPPED", 0)
    said(page, "READY", 1)
    assert serving() == [1]


@pytest.mark.full
@pytest.mark.cells(IMPORT + f"Panel('broken_import:app', app_dir={str(APPS)!r})")
def test_a_broken_app_shows_its_hint_and_the_panel_stays_usable(page: Page) -> None:
    launch(page).click()
    expect(panel(page).get_by_role("alert")).to_contain_text("did not start", timeout=LONG_MS)
    said(page, "STOPPED")
    expect(launch(page)).to_be_enabled()
    looked_at(page, "panel_with_a_problem")


TAKEN = socket.socket()
TAKEN.bind(("127.0.0.1", 0))
TAKEN.listen()


@pytest.mark.full
@pytest.mark.cells(IMPORT + f"Panel(port={TAKEN.getsockname()[1]})")
def test_a_taken_port_shows_its_hint(page: Page) -> None:
    launch(page).click()
    expect(panel(page).get_by_role("alert")).to_contain_text(str(TAKEN.getsockname()[1]), timeout=LONG_MS)
    said(page, "STOPPED")


@pytest.mark.full
@pytest.mark.cells(QUICK, "import time\ntime.sleep(4)")
def test_while_a_cell_runs_the_panel_says_what_to_do(page: Page) -> None:
    run_cell(page, 1)
    expect(panel(page)).to_contain_text("press ■ (interrupt)", timeout=3_000)
    expect(panel(page)).not_to_contain_text("press ■ (interrupt)", timeout=6_000)


@pytest.mark.full
def test_a_server_killed_from_outside_is_said_within_two_seconds(page: Page) -> None:
    launch(page).click()
    said(page, "READY")
    psutil.Process(launches()[0].pid).kill()
    said(page, "ENDED BY ITSELF", within_ms=2_500)
    expect(panel(page).get_by_role("alert")).to_contain_text("not through this panel")
    launch(page).click()
    said(page, "READY")


@pytest.mark.full
def test_thirty_random_clicks_and_drags_never_leave_it_stuck(page: Page) -> None:
    chance = random.Random(11)
    for _ in range(30):
        if chance.random() < 0.4:
            handle = panel(page).locator(".noUi-handle").nth(chance.randrange(2))
            drag(page, handle, chance.uniform(-150, 150))
        else:
            name = chance.choice([re.compile("aunch$"), "Load test", re.compile("^Stop")])
            chosen = panel(page).get_by_role("button", name=name).first
            if chosen.is_enabled():
                chosen.click(timeout=2_000, force=True)
        page.wait_for_timeout(chance.uniform(50, 500))  # what a hand would wait
    expect(launch(page)).to_be_enabled(timeout=LONG_MS)
    launch(page).click()
    said(page, "READY")
    expect(panel(page)).not_to_contain_text("! pending")
    shown = int(re.search(r"(\d+) worker", panel(page).get_by_role("status").inner_text()).group(1))
    assert serving() == [shown]


@pytest.mark.full
def test_it_looks_well_in_both_themes_and_widths(page: Page) -> None:
    button(page, "Load test").click()
    said(page, "LOADING")
    said(page, "READY")
    page.set_viewport_size({"width": 900, "height": 1500})
    nothing_is_cut_off(page)
    looked_at(page, "panel_900_light")
    page.set_viewport_size({"width": 1400, "height": 1250})
    page.get_by_role("menuitem", name="Settings", exact=True).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Theme$")).hover()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile("^JupyterLab Dark$")).click()
    await_true(lambda: page.locator("body[data-jp-theme-light='false']").count(), 10, "the theme stayed light")
    nothing_is_cut_off(page)
    looked_at(page, "panel_1400_dark")
    assert faults(page, ".lab-panel") == []
    button(page, "More ▸").click()
    assert faults(page, ".lab-panel") == []
    panel(page).get_by_label("projector size").check()
    looked_at(page, "panel_projector_dark")


def nothing_is_cut_off(page: Page) -> None:
    """No button or slider sticks out of the panel."""
    whole = panel(page).bounding_box()
    assert whole
    for each in panel(page).locator("button:visible, .noUi-base:visible, select:visible").all():
        box = each.bounding_box()
        assert box
        assert box["x"] >= whole["x"] - 1
        assert box["x"] + box["width"] <= whole["x"] + whole["width"] + 1
