"""The kernel's queue in front of a listening socket: connections that are open, and that no worker has taken in yet."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

LISTENING = "0A"  # the state of a listening socket in /proc/net/tcp
SS_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Backlog:
    """`waiting` connections (what `ss -ltn` calls Recv-Q), and at most how many may (its Send-Q; None: not told)."""

    waiting: int
    limit: int | None


def read_backlog(port: int, *, proc: Path = Path("/proc")) -> Backlog | None:
    """The queue of the socket that listens on `port`, by `ss` where it is installed, else from /proc/net/tcp.

    None where nobody listens, and on a system that has neither.
    """
    return _by_ss(port) or _by_proc(port, proc)


def somaxconn(*, proc: Path = Path("/proc")) -> int | None:
    """The kernel's own limit, above which no program gets; None on a system that does not tell."""
    try:
        return int((proc / "sys/net/core/somaxconn").read_text())
    except (OSError, ValueError):
        return None


def parse_ss(text: str, port: int) -> Backlog | None:
    """From the lines of `ss -ltnH`: state, Recv-Q, Send-Q, local address, peer."""
    found = [line.split() for line in text.splitlines()]
    queues = [(int(each[1]), int(each[2])) for each in found if len(each) >= 4 and each[3].endswith(f":{port}")]
    return Backlog(sum(waiting for waiting, _ in queues), max(limit for _, limit in queues)) if queues else None


def parse_proc(text: str, port: int) -> Backlog | None:
    """From the lines of /proc/net/tcp, whose rx_queue of a listening socket is the same number; no limit there."""
    waiting = []
    for line in text.splitlines()[1:]:
        _, local, _, state, queues, *_ = line.split()
        if state == LISTENING and int(local.rpartition(":")[2], 16) == port:
            waiting.append(int(queues.partition(":")[2], 16))
    return Backlog(sum(waiting), None) if waiting else None


def _by_ss(port: int) -> Backlog | None:
    program = shutil.which("ss")
    if program is None:
        return None
    command = [program, "-ltnH", f"sport = :{port}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SS_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_ss(done.stdout, port)


def _by_proc(port: int, proc: Path) -> Backlog | None:
    found = []
    for name in ("tcp", "tcp6"):
        try:
            found.append(parse_proc((proc / "net" / name).read_text(), port))
        except OSError:
            continue
    return next((each for each in found if each is not None), None)
