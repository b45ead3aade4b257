"""Which processes serve, what each is, and what each costs: the table, the tree, the sockets, and what `ps` says."""

import os
import shutil
import subprocess
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from helpers import proc
from helpers.errors import StateError

if TYPE_CHECKING:
    import pandas as pd

Role = Literal["server", "parent", "resource tracker", "worker", "child of the app"]
MEANING: dict[Role, str] = {
    "server": "the one and only: it listens and it serves",
    "parent": "supervises; answers no request",
    "resource tracker": "multiprocessing's helper; answers no request",
    "worker": "serves requests",
    "child of the app": "started by the app itself",
}


@dataclass(frozen=True)
class Process:
    """One process of a server. `cpu_percent` is of one core; `core` the one it last ran on; None: not told here."""

    pid: int
    ppid: int
    role: Role
    threads: int
    cpu_percent: float
    rss_mb: float
    pss_mb: float | None
    core: int | None
    command: str


@dataclass(frozen=True)
class Socket:
    """A listening socket as one process holds it. One inode is one socket, however many processes hold it."""

    pid: int
    fd: int
    inode: int


@dataclass(frozen=True)
class Processes:
    """The processes of one server, the started one first. Shows itself as a tree in a notebook."""

    rows: tuple[Process, ...]

    def __iter__(self) -> Iterator[Process]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def with_role(self, role: Role) -> list[Process]:
        return [row for row in self.rows if row.role == role]

    def frame(self) -> "pd.DataFrame":
        """The same as a table, a row per process."""
        import pandas as pd

        columns = [field.name for field in fields(Process)]
        return pd.DataFrame([[getattr(row, name) for name in columns] for row in self.rows], columns=columns)

    def __str__(self) -> str:
        """The tree as text."""
        return "\n".join(f"{lead}{row.pid}  {row.role}  ({_cost(row)})" for lead, row in self._walk())

    def _repr_html_(self) -> str:
        lines = (
            f"{lead}<b>{row.pid}</b> {escape(row.role)} "
            f'<span style="opacity:.7">{escape(MEANING[row.role])}; {escape(_cost(row))}</span>'
            for lead, row in self._walk()
        )
        return f'<pre style="line-height:1.5">{"<br>".join(lines)}</pre>'

    def _walk(self) -> Iterator[tuple[str, Process]]:
        """Each process with the branches drawn before it, parents before children."""

        def below(pid: int, stem: str) -> Iterator[tuple[str, Process]]:
            children = [row for row in self.rows if row.ppid == pid]
            for position, row in enumerate(children):
                last = position == len(children) - 1
                yield stem + ("└─ " if last else "├─ "), row
                yield from below(row.pid, stem + ("   " if last else "│  "))

        for root in self.rows[:1]:
            yield "", root
            yield from below(root.pid, "")


def processes(pid: int, *, workers: Collection[int] = (), over_s: float = 0.1) -> Processes:
    """The process `pid` and all below it. CPU % is measured over the next `over_s` seconds.

    `workers` are the pids known to serve; elsewhere the role is read from the command line.
    """
    pids = [pid, *proc.descendants(pid)]
    before = {each: proc.cpu_s(each) for each in pids}
    began = time.perf_counter()
    time.sleep(over_s)
    elapsed = time.perf_counter() - began
    rows = []
    for each in pids:
        used, used_before = proc.cpu_s(each), before[each]
        if used is None or used_before is None or not proc.alive(each):
            continue
        row = _process(each, pid, workers, alone=len(pids) == 1, cpu_percent=100 * (used - used_before) / elapsed)
        if row is not None:
            rows.append(row)
    return Processes(tuple(rows))


def listening_sockets(port: int) -> list[Socket]:
    """Who holds a listening socket on the port. Empty where the system does not tell (anything but Linux)."""
    return [Socket(*held) for held in proc.listening_sockets(port)]


def ps(*options: str, only: Collection[int] | None = None) -> str:
    """What the real `ps` prints with these options, such as `ps("-aF")` as in the post; `only` keeps those pids' lines.

    Raises StateError where there is no `ps`, or where it refuses the options.
    """
    program = shutil.which("ps")
    if program is None:
        raise StateError("there is no `ps` on this system", "install it (Debian: apt-get install procps)")
    done = subprocess.run([program, *options], capture_output=True, text=True, check=False)
    if not done.stdout:  # where only no process matches, the exit code is 1 as well, but the header is printed
        raise StateError(
            f"`ps {' '.join(options)}` failed: {done.stderr.strip().splitlines()[0] if done.stderr else 'no reason'}",
            "its options differ between systems; `ps -ef` works on most",
        )
    header, *lines = done.stdout.splitlines()
    if only is not None:
        column = header.split().index("PID")
        wanted = {str(pid) for pid in only}
        lines = [line for line in lines if line.split()[column] in wanted]
    return "\n".join([header, *lines])


def _process(pid: int, root: int, workers: Collection[int], *, alone: bool, cpu_percent: float) -> Process | None:
    import psutil

    try:
        process = psutil.Process(pid)
        with process.oneshot():
            command = process.cmdline()
            pss = proc.pss_bytes(pid)
            return Process(
                pid=pid,
                ppid=process.ppid(),
                role=_role(pid, process.ppid(), root, workers, command, alone=alone),
                threads=process.num_threads(),
                cpu_percent=round(cpu_percent, 1),
                rss_mb=round((proc.rss_bytes(pid) or 0) / 2**20, 1),
                pss_mb=None if pss is None else round(pss / 2**20, 1),
                core=_last_core(process),
                command=" ".join([os.path.basename(command[0]), *command[1:]]) if command else process.name(),
            )
    except psutil.Error:  # it ended while it was looked at
        return None


def _last_core(process: Any) -> int | None:
    return int(process.cpu_num()) if hasattr(process, "cpu_num") else None


def _role(pid: int, ppid: int, root: int, workers: Collection[int], command: list[str], *, alone: bool) -> Role:
    line = " ".join(command)
    if pid == root:
        return "server" if alone or pid in workers else "parent"
    if ppid == root and "resource_tracker" in line:
        return "resource tracker"
    if pid in workers or (not workers and ppid == root and "spawn_main" in line):
        return "worker"
    return "child of the app"


def _cost(row: Process) -> str:
    memory = f"{row.rss_mb:.0f} MB" if row.pss_mb is None else f"{row.pss_mb:.0f} MB of its own share"
    return f"{row.cpu_percent:.0f} % of a core, {row.threads} thread{'s' if row.threads != 1 else ''}, {memory}"
