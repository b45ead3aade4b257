"""Without a network: what `wheelhouse DIR` gathers, `lab --wheelhouse DIR` installs; and what a folder may lack."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.test_bootstrap import (
    NOBODY_THERE,
    ROOT,
    Project,
    assert_refuses,
    make_project,
    wheels,  # noqa: F401  a fixture
)
from tests.tools import small_disk

pytestmark = pytest.mark.calm

GATHER = """
import sys
from pathlib import Path
from helpers.errors import LabError
from helpers.wheelhouse import gather
try:
    print(gather(Path(sys.argv[1])))
except LabError as error:
    sys.stderr.write(f"error: {error.message}\\nhint: {error.hint}\\n")
    sys.exit(error.exit_code)
"""
NO_NETWORK = {"PIP_INDEX_URL": NOBODY_THERE, "PIP_RETRIES": "0", "PIP_NO_INDEX": "", "PIP_FIND_LINKS": ""}
# A build back-end as small as can be: it makes the project importable, as `-e .` wants it.
BACK_END = """
import os, zipfile

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(os.path.join(wheel_directory, "course-0-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("course.pth", os.getcwd())
        wheel.writestr("course-0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: course\\nVersion: 0\\n")
        wheel.writestr("course-0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("course-0.dist-info/RECORD", "")
    return "course-0-py3-none-any.whl"

build_wheel = build_editable
"""


def a_course(root: Path, index: Path) -> Project:
    """A project that is itself installed (`-e .`), so that pip first needs a build back-end of `index`."""
    project = make_project(root, index)
    (root / "requirements.txt").write_text("-c requirements.lock\n-e .\n\ntiny==1.0\n")
    (root / "pyproject.toml").write_text('[build-system]\nrequires = ["tiny-build>=1"]\nbuild-backend = "tiny_build"\n')
    return project


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Path:  # noqa: F811
    """Where the network would be: what a project may want, and more."""
    folder = Path(shutil.copytree(wheels, tmp_path_factory.mktemp("index") / "wheels"))
    with zipfile.ZipFile(folder / "tiny_build-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_build.py", BACK_END)
        info = "tiny_build-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-build\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return folder


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory, index: Path) -> Project:
    return a_course(tmp_path_factory.mktemp("course") / "a folder with spaces", index)


@pytest.fixture(scope="module")
def gathered(course: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheelhouse, gathered from the index; its name has spaces."""
    folder = tmp_path_factory.mktemp("stick") / "usb stick"
    answer = gather(course, folder)
    assert answer.returncode == 0, answer.stderr
    assert "2 packages" in answer.stdout
    assert f"lab --wheelhouse '{folder}'" in answer.stdout
    return folder


@pytest.fixture
def house(gathered: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(gathered, tmp_path / "house"))


def gather(project: Project, folder: Path) -> subprocess.CompletedProcess[str]:
    """As the command does it, without a .venv of the project's own."""
    command = [sys.executable, "-c", GATHER, str(folder)]
    return subprocess.run(command, cwd=project.root, env=project.environment(), capture_output=True, text=True)


def test_it_holds_the_packages_and_what_builds_the_project_and_no_other(gathered: Path):
    names = {path.name for path in gathered.iterdir()}
    assert names == {
        "tiny-1.0-py3-none-any.whl", "tiny_build-1.0-py3-none-any.whl", "lab-wheelhouse.json",
    }  # fmt: skip


def test_it_installs_without_a_network_and_is_not_asked_for_again(course: Project, gathered: Path):
    answer = course.run("lab", "--wheelhouse", str(gathered), "--no-browser", **NO_NETWORK)
    assert answer.returncode == 0, answer.stderr
    assert "Successfully installed course-0 tiny-1.0" in answer.stderr
    assert json.loads(answer.stdout)["argv"] == ["lab", "--no-browser"]
    again = course.run("lab", "--wheelhouse=/nowhere/at/all", **NO_NETWORK)
    assert (again.returncode, again.stderr) == (0, ""), "all is in place: the stick may be gone"


def remove(name: str):
    return lambda house: (house / name).unlink()


def tell(**changed: str):
    def change(house: Path) -> None:
        manifest = house / "lab-wheelhouse.json"
        told = json.loads(manifest.read_text())
        told["held"][0].update(changed)
        manifest.write_text(json.dumps(told))

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, "there is no folder"),
        (remove("lab-wheelhouse.json"), "is no wheelhouse: nothing was gathered into it, or not to the end"),
        (lambda house: (house / "lab-wheelhouse.json").write_text("["), "is no wheelhouse"),
        (tell(python="3.99"), "was gathered for Python 3.99 on "),
        (tell(system="Darwin arm64"), " on Darwin arm64, and this is Python "),
        (remove("tiny-1.0-py3-none-any.whl"), " lacks tiny 1.0"),
        (remove("tiny_build-1.0-py3-none-any.whl"), " lacks tiny-build"),
    ],
)
def test_a_folder_of_no_use_is_refused_with_the_reason_before_anything_is_made(
    damage, message: str, house: Path, tmp_path: Path, index: Path
):
    project = a_course(tmp_path / "project", index)
    damage(house)
    assert_refuses(project.run("lab", "--wheelhouse", str(house), **NO_NETWORK), message, "wheelhouse DIR")
    assert not project.venv.exists()


def test_a_group_that_was_not_gathered_is_named_with_the_option_that_brings_it(
    house: Path, tmp_path: Path, index: Path
):
    project = a_course(tmp_path / "project", index)
    answer = project.run("lab", "--cluster", f"--wheelhouse={house}", **NO_NETWORK)
    assert_refuses(answer, " lacks tinyray 1.0", "wheelhouse DIR --cluster")


def test_the_option_without_a_folder_is_refused(tmp_path: Path, index: Path):
    project = a_course(tmp_path / "project", index)
    assert_refuses(project.run("lab", "--wheelhouse"), "--wheelhouse is given no folder", "lab --wheelhouse DIR")


@pytest.mark.full
def test_what_pip_misses_all_the_same_is_told_in_its_words(house: Path, tmp_path: Path, index: Path):
    """A package that another one needs, and that no line of the project names."""
    project = a_course(tmp_path / "project", index)
    with zipfile.ZipFile(house / "tiny-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny-1.0.dist-info/METADATA", METADATA + "Requires-Dist: tinier\n")
        wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("tiny-1.0.dist-info/RECORD", "")
    answer = project.run("lab", "--wheelhouse", str(house), **NO_NETWORK)
    assert_refuses(answer, "No matching distribution found for tinier", "the wheelhouse is not whole")


METADATA = "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n"


def test_a_gathering_that_fails_promises_nothing(house: Path, tmp_path: Path, index: Path):
    project = a_course(tmp_path / "project", index)
    (project.root / "requirements.txt").write_text("tiny==9.0\n")
    (project.root / "requirements.lock").write_text("")
    answer = gather(project, house)
    assert_refuses(answer, "pip could not gather the packages: No matching distribution found for tiny==9", "network")
    assert json.loads((house / "lab-wheelhouse.json").read_text())["held"] == []


def test_a_folder_that_cannot_be_made_is_refused(course: Project, tmp_path: Path):
    (tmp_path / "file").write_text("")
    answer = gather(course, tmp_path / "file")
    assert_refuses(answer, f"cannot gather packages in {tmp_path / 'file'}: File exists", "where you may write")


@pytest.mark.full
def test_one_folder_serves_several_pythons(course: Project, house: Path):
    tell(python="3.99")(house)
    assert gather(course, house).returncode == 0
    held = json.loads((house / "lab-wheelhouse.json").read_text())["held"]
    assert [kind["python"] for kind in held] == ["3.99", f"{sys.version_info[0]}.{sys.version_info[1]}"]


@pytest.mark.full
def test_a_full_disk_is_said(course: Project, tmp_path: Path):
    with small_disk(tmp_path, "4k"):
        assert_refuses(gather(course, tmp_path), "", "free some space")


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_the_real_packages_install_from_a_wheelhouse_while_the_index_refuses(tmp_path: Path):
    ignored = shutil.ignore_patterns(".git", ".venv*", "results", "__pycache__", "*.egg-info", ".*_cache")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    base, house = getattr(sys, "_base_executable", sys.executable), tmp_path / "usb stick"

    def run(root: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [base, "-m", "helpers", *arguments]
        return subprocess.run(command, cwd=root, env={**clean, **more}, capture_output=True, text=True)

    here, there = (Path(shutil.copytree(ROOT, tmp_path / name, ignore=ignored)) for name in ("here", "there"))
    gathered = run(here, "wheelhouse", str(house))
    assert gathered.returncode == 0, gathered.stderr[-3000:]
    shutil.rmtree(here)
    nowhere = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": NOBODY_THERE, "PIP_RETRIES": "0"}
    answer = run(there, "lab", "--wheelhouse", str(house), "--version", **nowhere, PIP_NO_CACHE_DIR="1")
    assert answer.returncode == 0, answer.stderr[-3000:]
    assert answer.stdout.strip() in (ROOT / "requirements.lock").read_text().partition("jupyterlab==")[2]
    ready = run(there, "doctor", "--json", **nowhere)
    assert {"name": "packages", "status": "ok"}.items() <= json.loads(ready.stdout)["checks"][1].items()
