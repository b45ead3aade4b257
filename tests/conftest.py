"""What holds for every test: no process that it started outlives it."""

import os
import signal
import sys
import time
import uuid
from collections.abc import Iterator

import psutil
import pytest

from tests.browsing import browser, lab  # noqa: F401  fixtures of every test that opens a page

TOKEN = f"LAB_TEST_RUN={uuid.uuid4().hex}"  # in the environment of everything this run starts, and of nothing else
GRACE_S = 3.0


def pytest_configure() -> None:
    # A run in the background of a script inherits "interrupts are ignored", and so would every process under test.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    name, value = TOKEN.split("=")
    os.environ[name] = value


@pytest.hookimpl(trylast=True)  # when the tests that were not asked for are gone
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The notebooks, which run in processes of their own, come last; what measures nothing is tested meanwhile."""
    kinds: dict[str, list[pytest.Item]] = {"others": [], "notebooks": [], "calm": []}
    for item in items:
        in_a_notebook = "quick_runs" in getattr(item, "fixturenames", ())
        calm = item.get_closest_marker("calm") is not None
        kinds["notebooks" if in_a_notebook else "calm" if calm else "others"].append(item)
    first, rest = kinds["notebooks"][:1], kinds["notebooks"][1:]
    items[:] = [*kinds["others"], *first, *kinds["calm"], *rest]


@pytest.fixture(scope="session", autouse=True)
def _session_leaves_no_process() -> Iterator[None]:
    before = pids()
    yield
    fail_on_leftovers(before, "the whole run")


@pytest.fixture(autouse=True)
def _test_leaves_no_process(request: pytest.FixtureRequest) -> Iterator[None]:
    before = pids()
    yield
    fail_on_leftovers(before, request.node.name)


def fail_on_leftovers(before: set[int], who: str) -> None:
    left = leftovers(before)
    end = time.monotonic() + GRACE_S
    while left and time.monotonic() < end:  # one that is just ending is no leftover
        time.sleep(0.02)
        left = [process for process in left if is_ours(process)]
    if not left:
        return
    names = [describe(process) for process in left]
    for process in left:  # it would disturb the tests that follow
        process.kill()
    pytest.fail(f"{who} left {len(left)} process(es) running:\n" + "\n".join(names))


def pids() -> set[int]:
    if sys.platform == "linux":  # 0.3 ms, where psutil needs several
        return {int(name) for name in os.listdir("/proc") if name.isdigit()}
    return set(psutil.pids())


def leftovers(before: set[int]) -> list[psutil.Process]:
    found = []
    for pid in pids() - before:
        try:
            process = psutil.Process(pid)
        except psutil.Error:
            continue
        if is_ours(process) and not of_a_fixture(process, before):
            found.append(process)
    return found


def of_a_fixture(process: psutil.Process, before: set[int]) -> bool:
    """Below a process that a longer-living fixture started before this test, such as a browser: its end is checked."""
    try:
        above = [parent.pid for parent in process.parents()]
    except psutil.Error:
        return False
    ours = above[: above.index(os.getpid())] if os.getpid() in above else []
    return any(pid in before for pid in ours)


def is_ours(process: psutil.Process) -> bool:
    """Started by this run and alive. Python's own resource tracker may stay: it ends with pytest."""
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        descends = os.getpid() in (parent.pid for parent in process.parents())
        if not descends and TOKEN not in (f"{name}={value}" for name, value in process.environ().items()):
            return False
        own_tracker = process.ppid() == os.getpid() and "resource_tracker" in " ".join(process.cmdline())
        return not own_tracker
    except psutil.Error:
        return False


def describe(process: psutil.Process) -> str:
    try:
        return f"  {process.pid}: {' '.join(process.cmdline())[:200] or process.name()}"
    except psutil.Error:
        return f"  {process.pid}: (ended meanwhile)"
