"""Which servers are ours: a folder per launch, in the user's own corner of the temporary folder.

A launch is known by pid *and* creation time, so that a pid which the system has given to someone else is never
signalled. The folder holds the settings, the status board and the log, and goes when the server is stopped.
"""

import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from helpers import lifeline, proc
from helpers.errors import StateError

ENTRY_FILE = "entry.json"
YOUNG_S = 60  # a folder without an entry may belong to a launch that is just being written


@dataclass(frozen=True)
class Entry:
    """One registered launch; times of creation are the operating system's, in seconds since the epoch."""

    launch: str
    pid: int
    created: float
    owner_pid: int
    owner_created: float
    port: int
    app: str
    workers: int
    started_at: str
    url: str

    @classmethod
    def mine(cls, launch: str, pid: int, *, created: float, port: int, app: str, workers: int = 1, url: str) -> "Entry":
        """The entry of a launch whose owner is this process, and that was started just now."""
        owner = os.getpid()
        return cls(
            launch=launch,
            pid=pid,
            created=created,
            owner_pid=owner,
            owner_created=proc.create_time(owner) or time.time(),
            port=port,
            app=app,
            workers=workers,
            started_at=datetime.now().astimezone().isoformat(timespec="seconds"),
            url=url,
        )

    @property
    def alive(self) -> bool:
        return proc.alive(self.pid, self.created)

    @property
    def orphan(self) -> bool:
        """Whether the process that started it is gone."""
        return not proc.alive(self.owner_pid, self.owner_created)

    def public(self) -> dict[str, int | str]:
        """The form of `python3 -m helpers servers --json`."""
        keys = ("pid", "port", "app", "workers", "owner_pid", "started_at", "url")
        return {key: getattr(self, key) for key in keys}


def state_folder() -> Path:
    """This user's folder for launches and locks, made when missing; nobody else may write into it."""
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    folder = Path(tempfile.gettempdir()) / f"uvicorn-lab-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        facts = folder.lstat()
    except OSError as error:
        raise StateError(
            f"the folder for running servers cannot be made: {folder} ({error.strerror})",
            "set TMPDIR to a folder that you may write to",
        ) from error
    if hasattr(os, "getuid") and (facts.st_uid != os.getuid() or folder.is_symlink()):
        raise StateError(f"{folder} belongs to someone else", "set TMPDIR to a folder of your own")
    return folder


def make_launch_folder(launch: str) -> Path:
    """The folder of a new launch; what killed owners have left behind is cleared away first."""
    servers()
    folder = state_folder() / f"launch-{launch}"
    folder.mkdir()
    return folder


def register(entry: Entry) -> None:
    """Write the launch's entry, whole or not at all."""
    folder = state_folder() / f"launch-{entry.launch}"
    draft = folder / (ENTRY_FILE + ".new")
    draft.write_text(json.dumps(asdict(entry)))
    draft.replace(folder / ENTRY_FILE)


def remove(launch: str) -> None:
    shutil.rmtree(state_folder() / f"launch-{launch}", ignore_errors=True)


def servers() -> list[Entry]:
    """Our running servers, the oldest first. What earlier owners left behind of dead ones is cleared away."""
    found = []
    for folder in state_folder().glob("launch-*"):
        entry = _read(folder / ENTRY_FILE)
        if entry is not None and entry.alive:
            found.append(entry)
        elif entry is None and _age_s(folder) < YOUNG_S:
            continue
        elif entry is None or entry.orphan:  # else its owner may still want to read the log
            shutil.rmtree(folder, ignore_errors=True)
    return sorted(found, key=lambda entry: entry.created)


def stop(entry: Entry, *, grace_s: float = 3.0) -> None:
    """End a registered server, gracefully and then firmly. Does nothing to a pid that is not that launch any more."""
    members = family(entry.pid, entry.created)
    if not members:
        return
    _signal(entry.pid, entry.created, signal.SIGTERM)
    if not await_gone(members, grace_s):
        kill(members)
    remove(entry.launch)


def drop(child: lifeline.Child, folder: Path, owner: int) -> None:
    """What is left to do when the object that stands for a launch goes: cut the lifeline, leave no folder."""
    if os.getpid() != owner:  # a forked copy of the owner ends; the launch is not the copy's
        return
    child.cut()
    child.kill()
    shutil.rmtree(folder, ignore_errors=True)


def family(pid: int, created: float) -> dict[int, float]:
    """That very process and all below it, with their times of creation; nothing when it has ended."""
    below = {each: proc.create_time(each) for each in proc.descendants(pid)}
    if not proc.alive(pid, created):  # asked last: else the ones below are another process's
        return {}
    return {pid: created} | {each: started for each, started in below.items() if started is not None}


def kill(members: dict[int, float], *, within_s: float = 3.0) -> None:
    """SIGKILL to each process that is still the one meant, and wait until all are gone. Raises StateError."""
    for pid, created in members.items():
        _signal(pid, created, getattr(signal, "SIGKILL", signal.SIGTERM))
    if not await_gone(members, within_s):
        left = [pid for pid, created in members.items() if proc.alive(pid, created)]
        raise StateError(f"processes {left} do not end, not even by SIGKILL", "see `ps -o pid,stat,wchan`")


def await_gone(members: dict[int, float], within_s: float) -> bool:
    """Wait until none of the processes is alive; whether that came true in time."""
    deadline = time.monotonic() + within_s
    while any(proc.alive(pid, created) for pid, created in members.items()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


@contextmanager
def port_lock(port: int) -> Iterator[bool]:
    """Hold the right to launch on that port, among all launches of this user; yields whether it was to be had."""
    try:
        import fcntl
    except ImportError:  # Windows: the socket decides, and readiness notices the loser
        yield True
        return
    with open(state_folder() / f"port-{port}.lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


def _read(file: Path) -> Entry | None:
    try:
        return Entry(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):  # not there yet, or damaged: then nobody can know whose pid it was
        return None


def _age_s(folder: Path) -> float:
    try:
        return time.time() - folder.stat().st_mtime
    except OSError:
        return 0.0


def _signal(pid: int, created: float, number: int) -> None:
    """Signal that very process or nobody: on Linux through a handle that cannot come to mean another process."""
    handle = None
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "pidfd_open"):
            handle = os.pidfd_open(pid)
        if proc.alive(pid, created):
            if handle is None:
                os.kill(pid, number)
            else:
                signal.pidfd_send_signal(handle, number)
    if handle is not None:
        os.close(handle)
