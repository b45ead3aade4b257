"""Where the threads of a running process stand, line by line: asked of py-spy where that is permitted, else of itself.

py-spy reads another process's memory, which containers and some systems forbid. So every instrumented worker can also
be asked by a signal to write its own stacks (faulthandler), which it does even while its event loop is blocked.
"""

import json
import linecache
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Literal

from helpers import proc
from helpers.errors import InputError, StateError
from helpers.server import registry
from helpers.server.child.instrument import STACKS_FILE, STACKS_SIGNAL

Way = Literal["py-spy", "faulthandler"]
PY_SPY_TIMEOUT_S = 20.0
ANSWER_WITHIN_S = 5.0
LOOK_EVERY_S = 0.01
_HEAD = re.compile(r"^(?:Current thread|Thread) (0x[0-9a-f]+)", re.IGNORECASE)
_FRAME = re.compile(r'^  File "(.*)", line (\d+|\?\?\?) in (.*)$')
_LOOPS = ("asyncio/runners.py", "asyncio/base_events.py", "selectors.py", "uvicorn/server.py", "uvloop/__init__.py")
_STDLIB = re.compile(r"/lib/python3\.\d+/")  # also of another interpreter than this one
_ROOT = Path(__file__).resolve().parents[2]
_OF_THE_COURSE = (f"{_ROOT}/helpers/server/", f"{_ROOT}/helpers/lifeline.py", "<")  # what it adds to every worker
_INSTALLED = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
_LIBRARIES = tuple({str(folder) for path in _INSTALLED for folder in (Path(path), Path(path).resolve())})


@dataclass(frozen=True)
class Frame:
    """One function that has been called and has not returned, and the line it stands in."""

    function: str
    file: str
    line: int

    @property
    def source(self) -> str:
        """The text of that line; empty where the file cannot be read."""
        return linecache.getline(self.file, self.line).strip()

    @property
    def place(self) -> str:
        """`helpers/demo/api.py:62`: relative to the installed packages, the project or the current folder."""
        inside = self.file.rpartition("site-packages/")[2]
        roots = [str(folder) for folder in (_ROOT, Path.cwd(), *_LIBRARIES)]
        root = next((folder for folder in roots if inside.startswith(f"{folder}/")), "")
        return f"{inside.removeprefix(root).lstrip('/') if root else inside}:{self.line}"

    @property
    def of_a_library(self) -> bool:
        """Python's own code, an installed package, our instrumentation, or code that has no file."""
        inside = "site-packages" in self.file or self.file.startswith(_OF_THE_COURSE)
        of_python = self.file.startswith(_LIBRARIES) or bool(_STDLIB.search(self.file))
        return inside or (of_python and not self.file.startswith(str(_ROOT)))


@dataclass(frozen=True)
class Thread:
    """One thread; its frames begin with the innermost. `main` is the one in which uvicorn's event loop runs."""

    name: str
    main: bool
    frames: tuple[Frame, ...]

    @property
    def waits(self) -> bool:
        """Whether an event loop's thread waits for something to happen: no callback runs in it."""
        return not self.frames or self.frames[0].file.endswith(_LOOPS)

    @property
    def own(self) -> Frame | None:
        """The innermost line that is the app's own; None while only library code runs, as in waiting for events."""
        return next((frame for frame in self.frames if not frame.of_a_library), None)


@dataclass(frozen=True)
class Stacks:
    """All threads of one process at one moment, and by which way they were read."""

    pid: int
    by: Way
    threads: tuple[Thread, ...]

    @property
    def loop(self) -> Thread | None:
        """The main thread: the event loop's."""
        return next((thread for thread in self.threads if thread.main), None)

    @property
    def own(self) -> Frame | None:
        """The app's own line in which the event loop's thread stands; None when it stands in none."""
        return None if self.loop is None else self.loop.own

    def __str__(self) -> str:
        where = "waits for events: no line of the app holds it"
        if self.own is not None:
            where = f"stands in {self.own.place}, in {self.own.function}():  {self.own.source}".rstrip(": ")
        return f"process {self.pid} (read by {self.by}): the event loop's thread {where}"

    def _repr_html_(self) -> str:
        lines = [escape(str(self))]
        for thread in self.threads:
            lines += ["", escape(f"{thread.name}{' (the event loop)' if thread.main else ''}, innermost first:")]
            lines += [f"  {escape(frame.place)}  {escape(frame.function)}" for frame in thread.frames]
        head, *rest = lines
        body = "\n".join(rest)
        return f"<div>{head}</div><details><summary>all its threads</summary><pre>{body}</pre></details>"


def stacks(pid: int, *, by: Way | None = None) -> Stacks:
    """Where every thread of `pid` stands now. `by` insists on one way; by default py-spy, and else faulthandler.

    Raises InputError for an unknown way; StateError where the process is gone or neither way is open.
    """
    if by not in (None, "py-spy", "faulthandler"):
        raise InputError(f"by={by!r} is no way to read stacks", 'leave it out, or use "py-spy" or "faulthandler"')
    if not proc.alive(pid):
        raise StateError(f"there is no process {pid}", "server.worker_pids has those that serve now")
    if by == "py-spy":
        return _by_py_spy(pid)
    if by == "faulthandler":
        return _by_faulthandler(pid)
    try:
        return _by_py_spy(pid)
    except StateError as refused:
        try:
            return _by_faulthandler(pid)
        except StateError as error:
            raise StateError(f"{refused.message}; {error.message}", error.hint) from None


# ----------------------------------------------------------------------------------------------------------- py-spy


def py_spy() -> str | None:
    """The program: beside this Python, else on the path; None where it is not installed."""
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    return shutil.which("py-spy", path=os.pathsep.join(folders))


def _by_py_spy(pid: int) -> Stacks:
    program = py_spy()
    if program is None:
        raise StateError("py-spy is not installed", "python -m pip install py-spy")
    command = [program, "dump", "--json", "--pid", str(pid)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PY_SPY_TIMEOUT_S, check=False)
        if done.returncode == 0:
            return from_py_spy(pid, done.stdout)
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[0]
    except (OSError, ValueError, LookupError, subprocess.TimeoutExpired) as error:
        reason = f"{type(error).__name__}: {error}"
    raise StateError(
        f"py-spy could not read process {pid} ({reason})",
        "it needs the right to trace other processes: root, or CAP_SYS_PTRACE in a container",
    )


def from_py_spy(pid: int, text: str) -> Stacks:
    """The stacks in what `py-spy dump --json` printed. Raises ValueError or LookupError for something else."""
    found = []
    for each in json.loads(text):
        name = each.get("thread_name") or f"thread {each['thread_id']}"
        main = name == "MainThread" or each.get("os_thread_id") == pid
        frames = tuple(Frame(frame["name"], frame["filename"], int(frame["line"])) for frame in each["frames"])
        found.append(Thread(name, main, frames))
    return Stacks(pid, "py-spy", tuple(found))


# ----------------------------------------------------------------------------------------------------- faulthandler


def _by_faulthandler(pid: int) -> Stacks:
    file = next(registry.state_folder().glob(f"launch-*/{STACKS_FILE.format(pid=pid)}"), None)
    if file is None or STACKS_SIGNAL is None or not _catches(pid, STACKS_SIGNAL):
        raise StateError(
            f"process {pid} cannot be asked for its stacks",
            "only a worker of a Server(...) with instrument=True can, on systems that have signals",
        )
    before = file.stat().st_size
    os.kill(pid, STACKS_SIGNAL)
    deadline = time.monotonic() + ANSWER_WITHIN_S
    size = before
    while size == before or file.stat().st_size > size:  # until nothing more comes
        if time.monotonic() > deadline:
            raise StateError(
                f"process {pid} did not write its stacks", "perhaps the app has taken the signal for itself"
            )
        size = file.stat().st_size
        time.sleep(LOOK_EVERY_S)
    text = file.read_bytes()
    main = text.split(b"\n", 1)[0].decode()
    return from_faulthandler(pid, text[before:].decode(errors="replace"), main=int(main, 16))


def _catches(pid: int, number: int) -> bool:
    """Whether the process has a handler for the signal: one that has none would be killed by it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # not Linux: the file that the worker has written is the word for it
        return True
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)", status, re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


def from_faulthandler(pid: int, text: str, *, main: int) -> Stacks:
    """The stacks in what faulthandler wrote; `main` is the identity of the main thread."""
    return Stacks(pid, "faulthandler", tuple(_threads(text, main)))


def _threads(text: str, main: int) -> Iterator[Thread]:
    """faulthandler begins with the thread that took the signal; the main thread is put first."""
    found: dict[int, list[Frame]] = {}
    frames: list[Frame] = []
    for line in text.splitlines():
        if head := _HEAD.match(line):
            frames = found.setdefault(int(head[1], 16), [])
        elif frame := _FRAME.match(line):
            number = int(frame[2]) if frame[2].isdigit() else 0
            frames.append(Frame(frame[3], frame[1], number))
    for thread in sorted(found, key=lambda each: each != main):
        name = "MainThread" if thread == main else f"thread {thread}"
        yield Thread(name, thread == main, tuple(found[thread]))
