"""`lab` opens JupyterLab on the first notebook; `run` executes notebooks headless."""

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import pytest

from helpers.cli import main
from helpers.jupyter.start import CONFIG, environment
from helpers.notebooks import execute, find
from tests.waiting import await_true


def test_lab_prints_its_address_and_serves_the_course() -> None:
    command = [sys.executable, "-m", "helpers", "lab", "--no-browser", "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert process.stderr is not None
        seen = []
        for line in process.stderr:
            seen.append(line)
            address = re.search(r"http://127\.0\.0\.1:\d+/\S+", line)
            if address:
                break
        else:
            pytest.fail("no address was printed:\n" + "".join(seen))
        assert "/lab/tree/notebooks/00_start_here.ipynb" in address.group(0)
        text = await_true(lambda: page_of(address.group(0)), 20, "nobody answers at the address")
        assert "jupyter-config-data" in text
        assert "@jupyterlab/apputils-extension:announcements" in text  # among the disabled: nobody asks about news
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=20)
        process.stderr.close()


def page_of(address: str) -> str:
    try:
        with urllib.request.urlopen(address, timeout=20) as page:
            return str(page.read().decode())
    except urllib.error.URLError:  # the address is printed a moment before anybody listens there
        return ""


def test_the_users_own_jupyter_settings_stay_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "/somewhere")
    assert environment()["JUPYTER_CONFIG_PATH"] == os.pathsep.join([str(CONFIG), "/somewhere"])


def notebook(folder: Path, name: str, *cells: str) -> Path:
    document = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    document.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = folder / f"{name}.ipynb"
    nbformat.write(document, path)
    return path


def test_a_notebook_is_run_whole_and_its_outputs_are_kept(tmp_path: Path) -> None:
    path = notebook(tmp_path, "fine", "import os; here = os.getcwd()", "print(here, os.environ['LAB_PACE'])")
    done = execute(path, into=tmp_path / "out", env={"LAB_PACE": "quick"})
    assert done.error == ""
    assert f"{tmp_path} quick" in done.copy.read_text()
    assert "outputs" in path.read_text()
    assert nbformat.read(path, as_version=4).cells[1].outputs == []


def test_a_failing_cell_is_named_and_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = notebook(tmp_path, "broken", "1/0", "print('not reached')")
    monkeypatch.setattr("helpers.store.RESULTS", tmp_path)
    assert main(["run", str(path)]) == 1
    err = capsys.readouterr().err
    assert "broken" in err
    assert "ZeroDivisionError" in err


def test_a_notebook_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "no_such_notebook"]) == 2
    assert "no_such_notebook" in capsys.readouterr().err
    assert find() == sorted(find())
