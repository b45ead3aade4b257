"""From any Python >= 3.11 to one that has the project's packages, then the command. Standard library alone.

A second run finds the stamp in `.venv` and hands over at once: nothing heavy is imported before that.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from helpers import venv
from helpers.errors import LabError

if TYPE_CHECKING:
    from helpers.wheelhouse import Wheelhouse

HANDED_OVER = "LAB_HANDED_OVER"  # how often this start was handed over already: ends a loop
BASE_PYTHON_GONE = 103  # what the starter of a Windows .venv answers then
REMOVE = "delete the folder .venv and run the same command again"
WHEELHOUSE = "--wheelhouse"
TEST_USAGE = """usage: python3 -m helpers test [--full] [--cluster] [--wheelhouse DIR] [pytest's own arguments]

Runs the tests in the project's Python. --full runs everything (long); without it the tests marked `full` stay out.
--cluster installs requirements-cluster.txt (Ray, large) for the tests that want it; --full does so, too.
--wheelhouse installs from a folder that `python3 -m helpers wheelhouse DIR --tests` has filled, without a network.
"""


class Damaged(Exception):
    """A package that should be there cannot be imported."""


def main(argv: list[str]) -> int:
    """Run one command of the lab in the right interpreter; returns the exit code."""
    try:
        return run_or_hand_over(argv)
    except LabError as error:
        venv.say(f"error: {error.message}\nhint: {error.hint}")
        return error.exit_code
    except KeyboardInterrupt:
        venv.say("stopped")
        return 130


def run_or_hand_over(argv: list[str]) -> int:
    wheelhouse, argv = with_wheelhouse(argv)
    group = group_of(argv)
    earlier = {"1": 1, "2": 2}.get(os.environ.pop(HANDED_OVER, ""), 0)
    seen = venv.stamp_identity(group)
    broken = ""
    try:
        if runs_here(group, first_start=earlier == 0):
            return dispatch(argv)
    except Damaged as missing:
        broken = f"{missing} cannot be imported" if venv.inside_venv() else ""
    if earlier == 2:
        fault = broken or "its Python does not run as it was set up"
        raise venv.SetupError(f"the .venv of this project does not work: {fault}", REMOVE)
    venv.set_up(group, broken, seen, wheelhouse)
    try:
        return hand_over(argv, earlier + 1)
    except OSError as error:
        venv.set_up(group, f"its Python does not start: {error.strerror}", venv.stamp_identity(group), wheelhouse)
        return hand_over(argv, 2)


def with_wheelhouse(argv: list[str]) -> tuple[Wheelhouse | None, list[str]]:
    """The folder to install from, if `lab` or `test` is given one, and the other arguments."""
    for place, argument in enumerate(argv):
        name, equals, value = argument.partition("=")
        if name != WHEELHOUSE or argv[0] not in ("lab", "test"):
            continue
        given = [value] if equals else argv[place + 1 : place + 2]
        if not given or not given[0]:
            raise venv.SetupError(f"{WHEELHOUSE} is given no folder", f"python3 -m helpers {argv[0]} {WHEELHOUSE} DIR")
        from helpers.wheelhouse import Wheelhouse

        return Wheelhouse(Path(given[0])), argv[:place] + argv[place + (1 if equals else 2) :]
    return None, argv


def group_of(argv: list[str]) -> str:
    """Which packages the command needs; those of the cluster are large, and wanted by one notebook and its tests."""
    if argv[:1] == ["test"]:
        return "all" if {"--full", "--cluster"} & set(argv) else "test"
    return "cluster" if argv[:1] == ["lab"] and "--cluster" in argv else "lab"


def runs_here(group: str, *, first_start: bool) -> bool:
    """Whether this interpreter is the one to use: the stamped .venv, or where there is none, any with all packages."""
    if venv.stamped(group):
        return venv.inside_venv()
    return first_start and satisfied(group)


def satisfied(group: str) -> bool:
    """Whether the running interpreter has every pinned package, and finds `helpers` from any folder."""
    beyond_the_current_folder = sys.path if sys.flags.safe_path else sys.path[1:]
    if str(venv.ROOT) not in (os.path.realpath(entry) for entry in beyond_the_current_folder if entry):
        return False
    import importlib.metadata
    import re

    text = "\n".join((venv.ROOT / name).read_text(encoding="utf-8") for name in venv.REQUIREMENTS[group])
    for package, wanted in re.findall(r"^([\w.-]+)(?:\[.*?\])?==(\S+)", text, re.MULTILINE):
        try:
            if importlib.metadata.version(package) != wanted:
                return False
        except importlib.metadata.PackageNotFoundError:
            return False
    return True


def hand_over(argv: list[str], times: int) -> int:
    """Become the .venv's Python, in the environment that activating it would give; OSError when it does not start."""
    python = str(venv.venv_python())
    environment = {**os.environ, HANDED_OVER: str(times), "VIRTUAL_ENV": str(venv.VENV)}
    environment["PATH"] = os.path.dirname(python) + os.pathsep + os.environ.get("PATH", os.defpath)
    command = [python, "-m", "helpers", *argv]
    if os.name != "nt":
        os.execve(python, command, environment)
    import subprocess  # on Windows exec returns to the shell at once

    code = subprocess.run(command, env=environment).returncode
    if code == BASE_PYTHON_GONE:
        raise OSError(code, "the Python it was made with is gone")
    return code


def dispatch(argv: list[str]) -> int:
    try:
        if argv[:1] == ["test"]:
            return run_tests(argv[1:])
        from helpers.cli import main as run_command
    except ModuleNotFoundError as error:
        if (error.name or "helpers").split(".")[0] == "helpers":
            raise
        raise Damaged(error.name) from error
    return run_command(argv)


def run_tests(argv: list[str]) -> int:
    """pytest on the project: all but the tests marked `full`, unless `--full` or an own `-m` is given."""
    if "-h" in argv or "--help" in argv:
        sys.stdout.write(TEST_USAGE)
        return 0
    import pytest

    own_choice = any(argument.startswith("-m") for argument in argv)
    choice = [] if "--full" in argv or own_choice else ["-m", "not full"]
    os.chdir(venv.ROOT)
    code = pytest.main([*choice, *(argument for argument in argv if argument not in ("--full", "--cluster"))])
    return 1 if code == pytest.ExitCode.NO_TESTS_COLLECTED else int(code)
