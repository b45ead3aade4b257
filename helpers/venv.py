"""The project's `.venv`: its stamp, and the set-up that makes, completes or remakes it. Standard library alone.

The stamp is read at every start, so what only a set-up needs is imported inside the functions. Output goes to stderr.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, NoReturn

from helpers.errors import LabError

if TYPE_CHECKING:
    import subprocess

    from helpers.wheelhouse import Wheelhouse

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCK = ROOT / ".venv.lock"
UNFINISHED = VENV / "lab-unfinished"  # there while a set-up is at work; found by a later one, it was cut off
REQUIREMENTS = {
    "lab": ("requirements.txt",),
    "test": ("requirements.txt", "tests/requirements.txt"),
    "cluster": ("requirements.txt", "requirements-cluster.txt"),
    "all": ("requirements.txt", "tests/requirements.txt", "requirements-cluster.txt"),
}
NO_SPACE = 28  # errno.ENOSPC
MAKE_SPACE = "free some space on the disk (about 1 GB)"
PROGRESS = ("Downloading", "Using cached", "Processing", "Installing coll", "Successfully inst", "WARNING: Retrying")


class SetupError(LabError):
    """The project's Python cannot be set up."""


def say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


# --- the stamp -------------------------------------------------------------------------------------------------------


def inside_venv() -> bool:
    return os.path.realpath(sys.prefix) == str(VENV)


def venv_python() -> Path:
    return VENV / "Scripts" / "python.exe" if os.name == "nt" else VENV / "bin" / "python"


def packages_folder(version: str) -> Path:
    return VENV / "Lib" / "site-packages" if os.name == "nt" else VENV / "lib" / f"python{version}" / "site-packages"


def running_version() -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def stamp_path(group: str) -> Path:
    return VENV / f"lab-stamp-{group}"


def read_stamp(group: str) -> list[str]:
    """Hash of the requirement files, project folder, Python version, then what was installed; empty without a stamp."""
    try:
        lines = stamp_path(group).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        return []
    return lines if len(lines) > 3 else []


def stamp_identity(group: str) -> int:
    """Tells one set-up from the next: another process may have mended .venv while this one waited."""
    try:
        return stamp_path(group).stat().st_mtime_ns
    except OSError:
        return 0


def requirements_hash(group: str) -> str:
    digest = hashlib.sha256()
    for name in (*REQUIREMENTS[group], "requirements.lock"):
        try:
            digest.update((ROOT / name).read_bytes() + b"\0")
        except FileNotFoundError:
            hint = "get the whole project again: clone it, or unpack its archive"
            raise SetupError(f"{name} is missing in {ROOT}", hint) from None
    return digest.hexdigest()


def stamped(group: str) -> bool:
    """Whether .venv was set up here, from these very files, and nothing that was installed has gone since."""
    wanted, stamp = requirements_hash(group), read_stamp(group)
    if stamp[:2] != [wanted, str(ROOT)] or UNFINISHED.exists() or not venv_python().exists():
        return False
    if inside_venv() and stamp[2] != running_version():
        return False
    try:
        return (VENV / "pyvenv.cfg").exists() and set(stamp[3:]) <= set(os.listdir(packages_folder(stamp[2])))
    except OSError:
        return False


def write_stamp(group: str, version: str) -> None:
    installed = sorted(name for name in os.listdir(packages_folder(version)) if name.endswith(".dist-info"))
    text = "\n".join([requirements_hash(group), str(ROOT), version, *installed])
    stamp_path(group).write_text(text, encoding="utf-8")


# --- setting up ------------------------------------------------------------------------------------------------------


def set_up(group: str, broken: str, seen: int, wheelhouse: Wheelhouse | None = None) -> None:
    """Make .venv complete for `group`. `broken`: why the present one cannot stay; `seen`: its stamp's identity then.

    With a `wheelhouse` every package comes from there and none from the network. Raises SetupError.
    """
    if not broken and stamped(group):
        return
    try:
        with open_lock() as lock:
            if stamped(group) and not (broken and stamp_identity(group) == seen):
                return  # another process did it while this one waited
            broken = broken or find_fault()
            if wheelhouse is not None:  # refused before anything that is there is touched
                wheelhouse.check(group, running_version() if broken or not VENV.exists() else probe_version())
            if broken:
                say(f"the .venv of this project is broken ({broken}): making a new one")
            if broken or not VENV.exists():
                make_venv(lock)
            install(group, lock, wheelhouse)
    except OSError as error:
        hint = "copy the project into a folder where you may write, and run it there"
        if error.errno == NO_SPACE:
            hint = MAKE_SPACE
        raise SetupError(f"cannot set the project up in {ROOT}: {error.strerror or error}", hint) from error


def open_lock() -> IO[bytes]:
    """The lock on this project's .venv, held until it is closed; waits for another set-up, and says so."""
    lock = open(LOCK, "ab")  # noqa: SIM115 - the caller closes it
    try:
        acquire(lock, wait=False)
    except OSError:
        say("another set-up of this project is running: waiting for it")
        acquire(lock, wait=True)
    return lock


if sys.platform == "win32":

    def acquire(lock: IO[bytes], *, wait: bool) -> None:
        import msvcrt

        while True:
            try:
                lock.seek(0)
                return msvcrt.locking(lock.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
            except OSError:  # LK_LOCK gives up after ten seconds
                if not wait:
                    raise
else:

    def acquire(lock: IO[bytes], *, wait: bool) -> None:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


def find_fault() -> str:
    """Why the .venv that is there cannot be completed; empty when it can, or when there is none."""
    if not VENV.exists() and not VENV.is_symlink():
        return ""
    if UNFINISHED.exists():
        return "an earlier set-up was interrupted"
    if not (VENV / "pyvenv.cfg").exists() or not venv_python().exists():
        return "its Python is gone"
    if any(stamp and stamp[1] != str(ROOT) for stamp in map(read_stamp, REQUIREMENTS)):
        return "the project's folder was moved"
    version = probe_version()
    if not version:
        return "its Python does not start, or has no pip"
    if tuple(map(int, version.split("."))) < (3, 11):
        return f"it was made with Python {version}"
    return ""


def probe_version() -> str:
    """Ask the .venv's Python for its version; empty when it does not answer."""
    import subprocess

    probe = [str(venv_python()), "-I", "-c", "import sys, pip; print('%d.%d' % sys.version_info[:2])"]
    try:
        answer = subprocess.run(probe, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def make_venv(lock: IO[bytes]) -> None:
    """A new .venv in place of whatever is there."""
    import importlib.util
    import shutil

    if not all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")):
        refuse_without_venv()
    if VENV.is_dir() and not VENV.is_symlink():
        shutil.rmtree(VENV)
    else:
        VENV.unlink(missing_ok=True)
    VENV.mkdir()
    UNFINISHED.touch()
    say(f"making .venv with Python {running_version()}")
    base = getattr(sys, "_base_executable", "") or sys.executable  # not the .venv's own, which may just have gone
    process = start([base, "-m", "venv", str(VENV)], lock, dict(os.environ))
    output = process.communicate()[0]
    if process.returncode == 0:
        return
    if "ensurepip" in output or "No module named" in output:
        refuse_without_venv()
    last = (output.strip().splitlines() or ["no message"])[-1]
    raise SetupError(f"python -m venv failed: {last}", "mend that, or name another Python: python3.12 -m helpers lab")


def refuse_without_venv() -> NoReturn:
    raise SetupError(
        f"this Python {running_version()} cannot make a virtual environment: its venv or ensurepip module is missing",
        f"on Debian and Ubuntu: sudo apt-get install python{running_version()}-venv; elsewhere: python.org's Python",
    )


def install(group: str, lock: IO[bytes], wheelhouse: Wheelhouse | None = None) -> None:
    UNFINISHED.touch()
    say(f"installing the packages of {', '.join(REQUIREMENTS[group])} (minutes, the first time)")
    asked = [part for name in REQUIREMENTS[group] for part in ("-r", name)]
    settings = {} if wheelhouse is None else wheelhouse.settings()
    errors = run_pip(str(venv_python()), ["install", "--progress-bar", "off", *asked], lock, settings)
    if errors:
        UNFINISHED.unlink()  # pip undoes what it cannot finish: the next run goes on from here
        hint = pip_hint(errors, asked) if wheelhouse is None else wheelhouse.hint(errors)
        raise SetupError(f"pip could not install the packages: {errors[-1]}", hint)
    version = probe_version()
    for done, names in REQUIREMENTS.items():
        if set(names) <= set(REQUIREMENTS[group]):
            write_stamp(done, version)
    UNFINISHED.unlink()
    say("the packages are in place")


def start(command: list[str], lock: IO[bytes], environment: dict[str, str]) -> subprocess.Popen[str]:
    """Start a step of the set-up. It inherits the lock: if this process is killed, others wait for it."""
    import subprocess

    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        pass_fds=() if os.name == "nt" else (lock.fileno(),),
    )


def run_pip(python: str, arguments: list[str], lock: IO[bytes], settings: dict[str, str]) -> list[str]:
    """Run that Python's pip and show its progress; when it fails its errors, the telling one last.

    `settings` are added to its environment.
    """
    misleading = ("PYTHONPATH", "PYTHONHOME", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_QUIET")
    environment = {name: value for name, value in os.environ.items() if name not in misleading}
    environment.update(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1", PYTHONUTF8="1", **settings)
    pip = start([python, "-u", "-m", "pip", *arguments], lock, environment)
    assert pip.stdout is not None
    lines = []
    for line in pip.stdout:
        lines.append(without_hosts(line.strip()))
        show_progress(lines[-1])
    if pip.wait() == 0:
        return []
    told = [line for line in lines if line.startswith("ERROR: ") and "ResolutionImpossible" not in line]
    if told[-1:] == ["ERROR: Exception:"]:  # pip itself broke off: the last line of its traceback tells
        told = lines[-1:]
    return [line.removeprefix("ERROR: ") for line in told] or lines[-1:] or [f"exit code {pip.returncode}"]


def without_hosts(line: str) -> str:
    """pip names the package index in what it says; where somebody's index stands is nobody else's business."""
    import re

    line = re.sub(r"[a-z+]+://[^\s'\",)]*/(?=[^\s/])", "", line)
    line = re.sub(r"[a-z+]+://[^\s'\",)]+", "(index)", line)
    return re.sub(r"(host=|resolve |[Cc]onnection to |located at )'?[\w.:-]+'?", r"\1(index)", line)


def show_progress(line: str) -> None:
    if not line.startswith(PROGRESS) or ".metadata" in line:
        return
    line = line.split(" (from ")[0].split(" (Retry(")[0]
    if line.startswith("Processing"):
        line = f"Processing {os.path.basename(line)}"
    if sys.stderr.isatty():  # one line, rewritten
        sys.stderr.write(f"\r\x1b[K{line[:78]}" + ("\n" if line.startswith("Successfully") else ""))
        sys.stderr.flush()
    else:
        say(line[:118])


def pip_hint(errors: list[str], asked: list[str]) -> str:
    if is_full(errors):
        return MAKE_SPACE
    by_hand = f"{venv_python().relative_to(ROOT)} -m pip install {' '.join(asked)}"
    return (
        "look at the network, the proxy (https_proxy) and pip's index (PIP_INDEX_URL); without a network bring the"
        " packages along: python3 -m helpers wheelhouse DIR where there is one, python3 -m helpers lab --wheelhouse DIR"
        " here;"
        f" for pip's whole answer: {by_hand}"
    )


def is_full(errors: list[str]) -> bool:
    """Whether pip ran out of room on a disk."""
    return any("No space left" in line for line in errors)
