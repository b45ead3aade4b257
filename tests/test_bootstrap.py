"""The bootstrap: from a bare Python to the project's packages, and what it says when that cannot be.

Each test runs `python -m helpers` in a copy of the project whose packages are one tiny wheel, so that a real set-up
(venv, pip, stamp, hand-over) takes seconds and no network. The real packages are installed by the test marked `full`.
"""

import ast
import ctypes
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from helpers.venv import without_hosts
from tests.tools import unavailable

pytestmark = pytest.mark.calm

ROOT = Path(__file__).resolve().parent.parent
MODULES = ("__init__.py", "__main__.py", "bootstrap.py", "venv.py", "wheelhouse.py", "errors.py")
CLI = """
import json, sys
import tiny

def main(argv: list[str]) -> int:
    print(json.dumps({"prefix": sys.prefix, "argv": argv, "tiny": tiny.VERSION}))
    return 7 if "seven" in argv else 0
"""
NOBODY_THERE = "http://127.0.0.1:9/simple"
CAP_DAC_OVERRIDE, PR_CAPBSET_DROP = 1, 24


@dataclass(frozen=True)
class Project:
    """A small copy of the project, in a folder whose name has spaces."""

    root: Path
    wheels: Path

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    def environment(self, **more: str) -> dict[str, str]:
        own = ("PIP_", "PYTHON", "UV_", "VIRTUAL_ENV")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        pip = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels)}
        return {**clean, **pip, **more}

    def start(self, *arguments: str, python: str = sys.executable, **more: str) -> subprocess.Popen[str]:
        command = [python, "-m", "helpers", *arguments]
        pipe, env = subprocess.PIPE, self.environment(**more)
        return subprocess.Popen(command, cwd=self.root, env=env, stdout=pipe, stderr=pipe, text=True)

    def run(self, *arguments: str, python: str = sys.executable, **more: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, python=python, **more)
        stdout, stderr = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    for name, version in (("tiny", "1.0"), ("tiny", "2.0"), ("tinytest", "1.0"), ("tinyray", "1.0")):
        with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            info = f"{name}-{version}.dist-info"
            wheel.writestr(f"{name}/__init__.py", f"VERSION = {version!r}\n")
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
    return folder


def make_project(root: Path, wheels: Path) -> Project:
    (root / "helpers").mkdir(parents=True)
    (root / "tests").mkdir()
    for name in MODULES:
        shutil.copy(ROOT / "helpers" / name, root / "helpers" / name)
    (root / "helpers" / "cli.py").write_text(CLI)
    (root / "requirements.txt").write_text("-c requirements.lock\ntiny==1.0\n")
    (root / "requirements.lock").write_text("tiny==1.0\ntinytest==1.0\ntinyray==1.0\n")
    (root / "requirements-cluster.txt").write_text("-c requirements.lock\ntinyray==1.0\n")
    (root / "tests" / "requirements.txt").write_text("-c ../requirements.lock\ntinytest==1.0\n")
    return Project(root, wheels)


@pytest.fixture
def fresh(tmp_path: Path, wheels: Path) -> Project:
    """Nothing set up yet."""
    return make_project(tmp_path / "a folder with spaces", wheels)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Project:
    return make_project(tmp_path_factory.mktemp("shared") / "a folder with spaces", wheels)


@pytest.fixture
def ready(shared: Project) -> Project:
    """Set up; what a test breaks in it is mended before the next one."""
    assert shared.run("doctor").returncode == 0
    return shared


def assert_refuses(answer: subprocess.CompletedProcess[str], message: str, hint: str) -> None:
    """Exit code 2, nothing on stdout, no traceback; the last two lines say what is wrong and what to do."""
    assert answer.returncode == 2, answer.stderr
    assert answer.stdout == ""
    assert "Traceback" not in answer.stderr
    error_line, hint_line = answer.stderr.splitlines()[-2:]
    assert error_line.startswith("error: ")
    assert message in error_line
    assert hint_line.startswith("hint: ")
    assert hint in hint_line


# --- what it does ----------------------------------------------------------------------------------------------------


def test_the_first_run_sets_up_and_hands_over_with_the_same_arguments(fresh: Project):
    answer = fresh.run("doctor", "--json", "an argument", "")
    assert answer.returncode == 0, answer.stderr
    told = json.loads(answer.stdout)
    assert told == {"prefix": str(fresh.venv), "argv": ["doctor", "--json", "an argument", ""], "tiny": "1.0"}
    assert "Successfully installed tiny-1.0" in answer.stderr


def test_the_exit_code_comes_through(ready: Project):
    assert ready.run("seven").returncode == 7


def test_the_second_run_has_nothing_to_do_and_says_nothing(ready: Project):
    answer = ready.run("doctor")
    assert (answer.returncode, answer.stderr) == (0, "")


def test_it_runs_inside_an_activated_venv_without_another_hand_over(ready: Project):
    python = str(ready.venv / "bin" / "python")
    answer = ready.run("doctor", python=python, LAB_HANDED_OVER="nonsense")
    assert (answer.returncode, answer.stderr) == (0, "")


def test_a_second_run_adds_less_than_a_fifth_of_a_second(ready: Project):
    def seconds(python: str) -> float:
        start = time.perf_counter()
        assert ready.run("doctor", python=python).returncode == 0
        return time.perf_counter() - start

    inside, outside = str(ready.venv / "bin" / "python"), sys.executable
    pairs = [(seconds(outside), seconds(inside)) for _ in range(7)]
    assert statistics.median(with_hand_over - direct for with_hand_over, direct in pairs) < 0.2


@pytest.mark.full
def test_changed_requirements_are_installed_into_the_venv_that_is_there(fresh: Project):
    fresh.run("doctor")
    made = (fresh.venv / "pyvenv.cfg").stat().st_mtime_ns
    (fresh.root / "requirements.txt").write_text("-c requirements.lock\ntiny==2.0\n")
    (fresh.root / "requirements.lock").write_text("tiny==2.0\ntinytest==1.0\n")
    answer = fresh.run("doctor")
    assert json.loads(answer.stdout)["tiny"] == "2.0"
    assert "broken" not in answer.stderr
    assert (fresh.venv / "pyvenv.cfg").stat().st_mtime_ns == made


@pytest.mark.full
def test_the_packages_of_the_tests_are_installed_when_the_tests_run_and_leave_the_rest_alone(fresh: Project):
    fresh.run("doctor")
    first = fresh.run("test", "--help")
    assert "Successfully installed tinytest-1.0" in first.stderr
    assert first.stdout.startswith("usage: python3 -m helpers test")
    assert fresh.run("test", "--help").stderr == ""
    assert fresh.run("doctor").stderr == ""


@pytest.mark.full
def test_the_packages_of_the_cluster_are_installed_when_lab_is_asked_for_them_and_stay(fresh: Project):
    fresh.run("doctor")
    assert "Successfully installed tinyray-1.0" in fresh.run("lab", "--cluster").stderr
    assert fresh.run("lab", "--cluster").stderr == ""
    assert fresh.run("lab").stderr == "", "without the word nothing is taken away"
    assert fresh.run("doctor").stderr == ""


def test_an_interpreter_that_has_everything_is_used_as_it_is(fresh: Project):
    (fresh.root / "requirements.txt").write_text(f"pytest=={pytest.__version__}\n")
    (fresh.root / "helpers" / "cli.py").write_text(CLI.replace("import tiny", "tiny = sys; tiny.VERSION = ''"))
    answer = fresh.run("doctor", PYTHONPATH=str(fresh.root))
    assert json.loads(answer.stdout)["prefix"] == sys.prefix
    assert not fresh.venv.exists()


@pytest.mark.full
def test_two_first_runs_at_once_make_one_venv(fresh: Project):
    processes = [fresh.start("doctor") for _ in range(2)]
    answers = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], answers
    told = "".join(stderr for _, stderr in answers)
    assert told.count("making .venv") == 1
    assert told.count("waiting for it") == 1
    assert all(json.loads(stdout)["prefix"] == str(fresh.venv) for stdout, _ in answers)


# --- a .venv that cannot stay ----------------------------------------------------------------------------------------


def lose_python(project: Project) -> None:
    for link in (project.venv / "bin").glob("python*"):
        link.unlink()
        link.symlink_to("/nowhere/python3")


def cannot_start(project: Project) -> None:
    for link in (project.venv / "bin").glob("python*"):
        link.unlink()
        link.write_text("")
        link.chmod(0o755)


def lose_configuration(project: Project) -> None:
    (project.venv / "pyvenv.cfg").unlink()


def lose_packages(project: Project) -> None:
    shutil.rmtree(project.venv / "lib")


def lose_a_folder(project: Project) -> None:
    shutil.rmtree(next(project.venv.glob("lib/*/site-packages/tiny")))


def is_a_file(project: Project) -> None:
    shutil.rmtree(project.venv)
    project.venv.write_text("")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        pytest.param(lose_python, "its Python is gone", marks=pytest.mark.full),
        (cannot_start, "its Python does not start"),
        pytest.param(lose_configuration, "its Python is gone", marks=pytest.mark.full),
        pytest.param(lose_packages, "its Python does not start, or has no pip", marks=pytest.mark.full),
        pytest.param(lose_a_folder, "tiny cannot be imported", marks=pytest.mark.full),
        pytest.param(is_a_file, "its Python is gone", marks=pytest.mark.full),
    ],
)
def test_a_broken_venv_is_named_and_made_anew(ready: Project, damage, said: str):
    damage(ready)
    answer = ready.run("doctor", "--json")
    assert answer.returncode == 0, answer.stderr
    assert f"the .venv of this project is broken ({said}" in answer.stderr
    assert json.loads(answer.stdout)["prefix"] == str(ready.venv)


def test_a_package_that_was_taken_away_is_put_back(ready: Project):
    uninstall = [ready.venv / "bin" / "python", "-m", "pip", "uninstall", "-y", "tiny"]
    subprocess.run(uninstall, check=True, capture_output=True)
    answer = ready.run("doctor")
    assert answer.returncode == 0
    assert "Successfully installed tiny-1.0" in answer.stderr
    assert "broken" not in answer.stderr


def test_a_package_that_was_added_by_hand_stays(ready: Project):
    by_hand = ready.run("doctor", python=str(ready.venv / "bin" / "python"))
    install = [ready.venv / "bin" / "python", "-m", "pip", "install", "tinytest"]
    subprocess.run(install, check=True, capture_output=True, env=ready.environment())
    assert by_hand.returncode == 0
    assert ready.run("doctor").stderr == ""


@pytest.mark.full
def test_a_moved_project_gets_a_new_venv(ready: Project, tmp_path: Path):
    moved = Project(Path(shutil.copytree(ready.root, tmp_path / "moved", symlinks=True)), ready.wheels)
    answer = moved.run("doctor")
    assert "the project's folder was moved" in answer.stderr
    assert json.loads(answer.stdout)["prefix"] == str(moved.venv)


@pytest.mark.full
def test_a_venv_made_by_hand_is_completed(fresh: Project):
    subprocess.run([sys.executable, "-m", "venv", str(fresh.venv)], check=True)
    answer = fresh.run("doctor")
    assert answer.returncode == 0, answer.stderr
    assert "making" not in answer.stderr


@pytest.mark.full
def test_a_set_up_that_was_killed_is_mended_by_the_next(fresh: Project):
    process = fresh.start("doctor")
    await_condition(lambda: psutil.Process(process.pid).children())
    process.send_signal(signal.SIGKILL)
    process.communicate()
    answer = fresh.run("doctor")
    assert answer.returncode == 0, answer.stderr
    assert "waiting for it" in answer.stderr, "the step that the killed one had started was still at work"
    assert "an earlier set-up was interrupted" in answer.stderr


def test_ctrl_c_ends_a_set_up_with_one_line(fresh: Project):
    process = fresh.start("doctor")
    await_condition(lambda: (fresh.venv / "lab-unfinished").exists())
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (130, "")
    assert stderr.splitlines()[-1] == "stopped"
    assert fresh.run("doctor").returncode == 0


def await_condition(condition, timeout_s: float = 30) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.005)


# --- what it refuses -------------------------------------------------------------------------------------------------


def test_an_old_python_is_refused_in_its_own_words(fresh: Project):
    pretend = "import runpy, sys; sys.version_info = (3, 9, 2, 'final', 0); sys.argv[1:] = ['lab']; "
    command = [sys.executable, "-c", pretend + "runpy.run_module('helpers', run_name='__main__')"]
    answer = subprocess.run(command, cwd=fresh.root, env=fresh.environment(), capture_output=True, text=True)
    assert_refuses(answer, "Python 3.9 is too old: the lab needs Python 3.11 or newer", "python3.12 -m helpers lab")


@pytest.mark.parametrize("name", ["__init__.py", "__main__.py"])
def test_an_old_python_can_parse_what_refuses_it(name: str):
    ast.parse((ROOT / "helpers" / name).read_text(), feature_version=(3, 6))


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_a_python_without_venv_is_refused_with_the_package_to_install(fresh: Project, tmp_path: Path, module: str):
    """As Debian ships it without python3-venv."""
    (tmp_path / "sitecustomize.py").write_text(f"import sys; sys.modules[{module!r}] = None\n")
    answer = fresh.run("lab", PYTHONPATH=str(tmp_path))
    assert_refuses(answer, "cannot make a virtual environment", "-venv")
    assert not fresh.venv.exists()


def test_without_a_network_pips_last_word_and_the_way_out_are_given(fresh: Project):
    (fresh.root / "requirements.txt").write_text("tiny==1.0\n")
    answer = fresh.run("lab", PIP_INDEX_URL=NOBODY_THERE, PIP_RETRIES="0", PIP_NO_INDEX="", PIP_FIND_LINKS="")
    assert_refuses(answer, "pip could not install the packages: No matching distribution", "wheelhouse DIR")
    assert "127.0.0.1" not in answer.stderr
    later = fresh.run("doctor")
    assert later.returncode == 0, later.stderr
    assert "broken" not in later.stderr


@pytest.mark.full
def test_a_requirement_that_the_lock_contradicts_is_told_in_pips_words(fresh: Project):
    (fresh.root / "requirements.txt").write_text("-c requirements.lock\ntiny==2.0\n")
    assert_refuses(fresh.run("lab"), "packages: Cannot install tiny==2.0", "-m pip install -r requirements.txt")


def test_a_folder_that_cannot_be_written_is_refused(fresh: Project):
    fresh.root.chmod(0o555)
    try:
        command = [sys.executable, "-m", "helpers", "lab"]
        env, bound = fresh.environment(), bind_root_to_permissions if os.getuid() == 0 else None
        answer = subprocess.run(command, cwd=fresh.root, env=env, capture_output=True, text=True, preexec_fn=bound)
    finally:
        fresh.root.chmod(0o755)
    assert_refuses(answer, f"cannot set the project up in {fresh.root}: Permission denied", "copy the project")


def bind_root_to_permissions() -> None:
    """From here on, root may only do what the permission bits say (Linux)."""
    if ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0) != 0:
        raise OSError("cannot drop the capability")


def test_a_missing_requirements_file_is_named(fresh: Project):
    (fresh.root / "requirements.lock").unlink()
    assert_refuses(fresh.run("lab"), "requirements.lock is missing", "get the whole project")


@pytest.mark.parametrize(
    "line",
    [
        "Looking in indexes: https://user:secret@index.example.org/simple, https://index.example.org:8443",
        "Downloading https://index.example.org/files/ab/tiny-1.0-py3-none-any.whl (1 kB)",
        "WARNING: HTTPSConnectionPool(host='index.example.org', port=443): Read timed out.",
        "WARNING: Failed to resolve 'index.example.org' ([Errno -2] Name or service not known)",
        "WARNING: 'Connection to index.example.org timed out. (connect timeout=15)'",
        "WARNING: The repository located at index.example.org is not a trusted or secure host",
    ],
)
def test_no_line_of_pips_tells_where_the_index_is(line: str):
    assert "example.org" not in without_hosts(line)
    assert "secret" not in without_hosts(line)


# --- the tests' own start --------------------------------------------------------------------------------------------

OWN_TESTS = """
import pytest

def test_short(): pass

@pytest.mark.full
def test_long(): assert False
"""


@pytest.fixture
def tested(fresh: Project) -> Project:
    """A project whose `test` runs in this very interpreter."""
    (fresh.root / "requirements.txt").write_text(f"pytest=={pytest.__version__}\n")
    (fresh.root / "tests" / "requirements.txt").write_text("")
    (fresh.root / "requirements-cluster.txt").write_text("")
    (fresh.root / "tests" / "test_own.py").write_text(OWN_TESTS)
    (fresh.root / "pyproject.toml").write_text('[tool.pytest.ini_options]\nmarkers = ["full: long"]\n')
    return fresh


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 0, "1 passed, 1 deselected"),
        (["--full"], 1, "1 failed, 1 passed"),
        (["-m", "full"], 1, "1 failed, 1 deselected"),
        (["-k", "nothing_has_this_name"], 1, "2 deselected"),
        (["--no-such-option"], 4, "unrecognized arguments"),
    ],
)
def test_pytests_arguments_and_exit_code_come_through(tested: Project, arguments: list[str], code: int, said: str):
    answer = tested.run("test", *arguments, PYTHONPATH=str(tested.root))
    assert answer.returncode == code, answer.stderr
    assert said in answer.stdout + answer.stderr


# --- the real packages -----------------------------------------------------------------------------------------------


def pins(path: Path) -> set[tuple[str, str]]:
    """Names and versions; the lock may give one package two, each for some versions of Python."""
    found = re.findall(r"^([\w.-]+)(?:\[.*?\])?==([^\s;]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {(canonical(name), version) for name, version in found}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("name", ["requirements.txt", "tests/requirements.txt", "requirements-cluster.txt"])
def test_every_direct_package_is_pinned_to_the_locked_version(name: str):
    assert pins(ROOT / name) <= pins(ROOT / "requirements.lock")
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and line[0] not in "#-" and "==" not in line] == []


def test_the_lock_holds_pinned_packages_and_nothing_else():
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not re.match(r" *#|[\w.-]+==[\w.]+( ; .+)?$", line)] == []


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_the_real_packages_install_from_the_lock_in_a_folder_with_spaces(tmp_path: Path):
    ignored = shutil.ignore_patterns(".git", ".venv*", "results", "__pycache__", "*.egg-info", ".*_cache")
    root = Path(shutil.copytree(ROOT, tmp_path / "a folder with spaces", ignore=ignored))
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    base = getattr(sys, "_base_executable", sys.executable)

    def start(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [base, "-m", "helpers", *arguments]
        return subprocess.run(command, cwd=root, env=clean, capture_output=True, text=True)

    answer = start("--help")
    assert answer.returncode == 0, answer.stderr[-3000:]
    freeze = [root / ".venv" / "bin" / "python", "-m", "pip", "list", "--format=json"]
    listed = json.loads(subprocess.run(freeze, capture_output=True, text=True, check=True).stdout)
    own = {"pip", "setuptools", "wheel", "fastapi-workers-lab"}
    installed = {(canonical(entry["name"]), entry["version"]) for entry in listed if entry["name"] not in own}
    assert installed <= pins(root / "requirements.lock")
    assert subprocess.run([*freeze[:3], "check"], capture_output=True).returncode == 0
    again = start("doctor", "--json")
    assert isinstance(json.loads(again.stdout)["ready"], bool), again.stderr
    elsewhere = [root / ".venv" / "bin" / "python", "-c", "import helpers.bootstrap as b; print(b.__file__)"]
    found = subprocess.run(elsewhere, cwd=root / "notebooks", env=clean, capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()) == root / "helpers" / "bootstrap.py"


if sys.platform == "win32":
    unavailable("the folders of a .venv have other names on Windows")
