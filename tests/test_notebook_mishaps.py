"""What a learner does to a notebook: interrupts it, runs cells twice or out of order, works on a busy machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import psutil
import pytest

from helpers.notebooks import execute, find
from helpers.server import registry
from helpers.teach.missing import bound, comes_first, maker
from tests.hogs import hogs
from tests.kernels import Kernel, kernel
from tests.waiting import await_true

BY_NAME = {path.stem[:2]: path for path in find()}
LOADS = ("load_test(", "sweep(", "grid(", "measure(", "lost_counts(", "incident(")
OF_11 = ("diagnose(APPS",)  # its loads by hand are too short to be met
VOID = "could not be measured this time"


class Learner:
    """Runs cells of one notebook in its kernel, in any order."""

    def __init__(self, one: Kernel, notebook: Path) -> None:
        self.kernel = one
        document = nbformat.read(notebook, as_version=4)
        self.cells = [cell.source for cell in document.cells if cell.cell_type == "code"]

    def run_above(self, position: int) -> None:
        for source in self.cells[:position]:
            self.kernel.says(source)


@contextmanager
def learner(number: str, **env: str) -> Iterator[Learner]:
    notebook = BY_NAME[number]
    with kernel(notebook.parent, **env) as one:
        one.await_ready()
        yield Learner(one, notebook)


# ---------------------------------------------------------------------------------------------------------- interrupt


@pytest.mark.full
@pytest.mark.parametrize("number", ["00", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11"])
def test_a_kernel_interrupted_in_mid_load_can_run_the_cell_again(number: str) -> None:
    with learner(number) as learns:
        calls = OF_11 if number == "11" else LOADS
        position = next(i for i, source in enumerate(learns.cells) if any(call in source for call in calls))
        learns.run_above(position)
        message = learns.kernel.start(learns.cells[position])
        engine = await_true(lambda: engines(learns.kernel.process), 30, "no load was started")
        learns.kernel.manager.interrupt_kernel()
        assert learns.kernel.outcome(message)[0] == "KeyboardInterrupt"
        await_true(lambda: not any(each.is_running() for each in engine), 5, "the load ran on")
        error, said = learns.kernel.run(learns.cells[position])
        assert error == "", said
        assert learns.kernel.run(learns.cells[-1] if "finish" in learns.cells[-1] else "finish()")[0] == ""
        assert [entry for entry in registry.servers() if entry.owner_pid == learns.kernel.process.pid] == []


def engines(of: psutil.Process) -> list[psutil.Process]:
    """The load generators that the kernel has running."""
    found = []
    for process in of.children(recursive=True):
        try:
            if any("load" in Path(part).parts or "helpers.load" in part for part in process.cmdline()):
                found.append(process)
        except psutil.Error:  # it ended meanwhile
            continue
    return found


# ------------------------------------------------------------------------------------------- twice, and out of order


@pytest.mark.full
@pytest.mark.parametrize("number", sorted(BY_NAME))
def test_every_cell_can_be_run_twice(number: str, tmp_path: Path) -> None:
    document = nbformat.read(BY_NAME[number], as_version=4)
    twice = [nbformat.from_dict({**cell}) for cell in document.cells if cell.cell_type == "code" for _ in range(2)]
    for position, cell in enumerate(twice):
        cell["id"] = f"twice-{position}"
    document.cells = twice
    copy = tmp_path / BY_NAME[number].name
    nbformat.write(document, copy)
    done = execute(copy, into=tmp_path / "out", env={"LAB_PACE": "quick"})
    assert done.error == ""
    assert [entry for entry in registry.servers() if entry.orphan] == []


def test_a_cell_out_of_order_says_which_cell_comes_first() -> None:
    with learner("03", JPY_SESSION_NAME=str(BY_NAME["03"])) as learns:
        learns.kernel.run(learns.cells[0])
        error, said = learns.kernel.run("server.processes()")
        assert error == "NameError"
        assert "`server` does not exist yet" in said
        assert "it is made under “What the post types, and what one sees”" in said
        assert "Run All Above Selected Cell" in said


def test_a_name_that_no_cell_makes_is_called_missing_all_the_same(tmp_path: Path) -> None:
    assert "a cell above makes it" in comes_first("nobody", BY_NAME["03"])
    assert "a cell above makes it" in comes_first("server", None)
    (tmp_path / "broken.ipynb").write_text("{")
    assert maker("server", tmp_path / "broken.ipynb") is None


def test_every_way_of_making_a_name_is_seen() -> None:
    source = "import a.b, c as d\nfrom e import f\ng = h, i = 1\ndef j(): ...\nwith k() as l:\n    m = n()\n"
    assert bound(source) == {"a", "d", "f", "g", "h", "i", "j", "l", "m"}
    assert bound("%matplotlib inline") == set()


# --------------------------------------------------------------------------------------------------- a busy machine


@pytest.mark.full
@pytest.mark.timeout(900)  # void launches are measured again, each as slow as the first
@pytest.mark.parametrize("number", ["00", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11"])
def test_a_notebook_on_a_busy_machine_says_what_could_not_be_measured_and_goes_on(number: str, tmp_path: Path) -> None:
    with hogs(3 * (os.cpu_count() or 1)):
        done = execute(BY_NAME[number], into=tmp_path, env={"LAB_PACE": "quick"})
    assert done.error == ""
    assert VOID in done.copy.read_text()
    assert [entry for entry in registry.servers() if entry.orphan] == []
