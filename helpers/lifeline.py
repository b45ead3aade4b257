"""A child process that cannot outlive its owner, by the kernel and not by a thread.

The owner keeps the only writing end of a pipe; nothing is ever written to it. When the owner ends, however it ends,
the kernel closes that end, and signals the reader: with F_SETSIG the signal is SIGKILL, which no Python code has to run
to receive (a thread waiting for end-of-file was still waiting after 8 s behind a regex that held the GIL).

Standard library only, and loadable by file path: the server's processes must not depend on this package.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

ENV = "LAB_LIFELINE"  # "<reading end>:<pid of the owner>:<1 for the whole process group, else 0>"
ON_LINUX = sys.platform == "linux"
LOOK_EVERY_S = 0.5
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class _WritingEnd:
    """The owner's end of one lifeline. Closed once: the system soon hands the same number out for another file."""

    def __init__(self, descriptor: int) -> None:
        self._descriptors = [descriptor]
        _open_ends.add(self)

    def close(self) -> None:
        _open_ends.discard(self)
        with suppress(IndexError):  # closed before; pop() lets only one of two threads through
            os.close(self._descriptors.pop())


_open_ends: set[_WritingEnd] = set()


def _close_all() -> None:
    for end in tuple(_open_ends):
        end.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_all)  # a forked child that lives on must not keep the servers alive


@dataclass(frozen=True)
class Child:
    """A started child and the owner's end of its lifeline."""

    process: "subprocess.Popen[Any]"
    group: bool
    _writing_end: _WritingEnd

    def cut(self) -> None:
        """Close the owner's end: on Linux the child is killed at once, elsewhere within half a second."""
        self._writing_end.close()

    def kill(self) -> None:
        """SIGKILL to what is tied, the child or its process group, if the child has not ended; and collect it."""
        if self.process.poll() is None:
            if self.group and os.name == "posix":
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()
        self.process.wait()


def spawn(argv: Sequence[str], *, group: bool = False, env: Mapping[str, str] | None = None, **popen: Any) -> Child:
    """Start `argv` in a session of its own, tied to this process; the child calls `die_with_owner()` first thing.

    A session of its own, because an interrupt of a notebook cell goes to the kernel's whole process group.
    With `group` everything that the child starts, and leaves in its process group, is tied as well.
    `popen` goes to subprocess.Popen. Raises OSError as Popen does.
    """
    reading_end, descriptor = os.pipe()  # neither is inherited by other children that this process executes
    writing_end = _WritingEnd(descriptor)
    try:
        environment = {**(os.environ if env is None else env), ENV: f"{reading_end}:{os.getpid()}:{group:d}"}
        if os.name == "posix":
            popen |= {"pass_fds": (reading_end,), "start_new_session": True}
        process = subprocess.Popen(argv, env=environment, **popen)
    except BaseException:
        writing_end.close()
        raise
    finally:
        os.close(reading_end)
    return Child(process, group, writing_end)


def die_with_owner() -> None:
    """In the child: from now on, be killed when the owner ends. Does nothing in a process that nobody tied."""
    tie = os.environ.pop(ENV, None)  # popped: the child's own children have other owners
    if tie is None:
        return
    reading_end, owner, group = (int(part) for part in tie.split(":"))
    if ON_LINUX:
        _be_killed_at_end_of_file(reading_end, group=bool(group))
    # The second line: compiled code of the owner's may fork without Python knowing, and the copy keeps the end open.
    threading.Thread(target=_watch_parent, args=(owner, bool(group)), daemon=True, name="lab-lifeline").start()


def die_with_parent(parent: int) -> None:
    """In a worker: be killed by the kernel when the parent's main thread, which started it, ends.

    Not for a child of a notebook kernel: the signal follows the *thread* that started the process.
    """
    if ON_LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=_watch_parent, args=(parent, False), daemon=True, name="lab-lifeline").start()
    if os.name == "posix" and os.getppid() != parent:  # it ended before the line above
        os._exit(1)


def _be_killed_at_end_of_file(reading_end: int, *, group: bool) -> None:
    import fcntl  # not there on Windows

    fcntl.fcntl(reading_end, fcntl.F_SETOWN, -os.getpgrp() if group else os.getpid())
    fcntl.fcntl(reading_end, fcntl.F_SETSIG, signal.SIGKILL)
    flags = fcntl.fcntl(reading_end, fcntl.F_GETFL)
    fcntl.fcntl(reading_end, fcntl.F_SETFL, flags | os.O_ASYNC | os.O_NONBLOCK)
    os.set_inheritable(reading_end, group)  # a group is tied for as long as anyone in it holds this end
    readable, _, _ = select.select([reading_end], [], [], 0)
    if readable:  # the owner ended before the signal was asked for
        os._exit(1)


def _watch_parent(owner: int, group: bool) -> None:
    while os.getppid() == owner:
        time.sleep(LOOK_EVERY_S)
    if os.name == "posix":
        os.kill(0 if group else os.getpid(), signal.SIGKILL)  # 0: everyone in this process's group
    os._exit(1)
