"""Taking turns: where many people share a machine, one of them measures at a time. LAB_ROTA names the file they share.

The file is a queue of locks, one byte each: whoever has byte 0 measures, byte 1 is next, and so on; everybody moves up
when the byte before is free. The operating system frees the locks of a process that ends, however it ends.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from helpers.errors import Cancelled, InputError
from helpers.progress import tell

ROTA = "LAB_ROTA"
PLACES = 256  # where one enters the queue
LOOK_EVERY_S = 0.05
SAY_AFTER_S = 0.3  # a shorter wait is not worth a line
UNSET = f"unset {ROTA}, and measure one after the other by word of mouth"


@contextmanager
def turn(cancel: threading.Event | None = None, on_wait: Callable[[int], None] | None = None) -> Iterator[None]:
    """Wait for this process's turn to measure, and keep it until the block ends; without LAB_ROTA there is no waiting.

    The measurements of one process, one within or beside another, share a turn. A wait is said in one line;
    `on_wait` gets the number of people before this one whenever it changes. Raises InputError where the file cannot be
    used, Cancelled after `cancel.set()`.
    """
    file = os.environ.get(ROTA, "")
    if not file:
        yield
        return
    _OURS.take(file, cancel or threading.Event(), on_wait)
    try:
        yield
    finally:
        _OURS.give()


def check(environment: Mapping[str, str] = os.environ) -> None:
    """InputError where LAB_ROTA names a file that cannot be used. It is not opened: closing it would lose our turn."""
    file = environment.get(ROTA)
    if file is None:
        return
    _fcntl()
    if not os.path.isabs(file):
        hint = "give the whole path, the same for everybody: else there is a queue per folder"
        raise InputError(f"LAB_ROTA={file!r} is no absolute path", hint)
    there = file if os.path.exists(file) else os.path.dirname(file)
    if not os.access(there, os.R_OK | os.W_OK) or os.path.isdir(file):
        raise _of_no_use(file, "it is a folder" if os.path.isdir(file) else f"{there} cannot be written")


class _Turn:
    """The turn of this process: its first measurement waits for it, others share it, the last gives it back."""

    def __init__(self) -> None:
        self._gate = threading.Lock()  # held while one thread of this process waits in the queue
        self._measuring = 0
        self._descriptor = -1

    def take(self, file: str, cancel: threading.Event, on_wait: Callable[[int], None] | None) -> None:
        while not self._gate.acquire(timeout=LOOK_EVERY_S):
            _stop_if(cancel)
        try:
            if not self._measuring:
                self._descriptor = _queue(file, cancel, on_wait)
            self._measuring += 1
        finally:
            self._gate.release()

    def give(self) -> None:
        with self._gate:
            self._measuring -= 1
            if not self._measuring:
                os.close(self._descriptor)


_OURS = _Turn()


def _queue(file: str, cancel: threading.Event, on_wait: Callable[[int], None] | None) -> int:
    """Stand in the queue until it is our turn; returns the descriptor that holds it."""
    descriptor = _opened(file)
    place, told, said, began_s = PLACES, PLACES, False, time.monotonic()
    try:
        while place:
            if _moved_up(descriptor, place):
                place -= 1
                continue
            if time.monotonic() - began_s >= SAY_AFTER_S and place != told:
                if not said:
                    tell(f"waiting for the turn to measure: {place} before you ({ROTA})")
                if on_wait is not None:
                    on_wait(place)
                told, said = place, True
            _stop_if(cancel)
            time.sleep(LOOK_EVERY_S)
    except BaseException:  # Ctrl-C gives the place back as well
        os.close(descriptor)
        raise
    return descriptor


def _moved_up(descriptor: int, place: int) -> bool:
    """From `place` to the one before, if that is free; the old one is given up only when the new one is had."""
    fcntl = _fcntl()
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place - 1)
    except (BlockingIOError, PermissionError):  # some systems say EACCES for a lock that another process holds
        return False
    if place < PLACES:
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, place)
    return True


def _opened(file: str) -> int:
    """The file, made where it is missing, and such that everybody may lock it."""
    check()
    try:
        try:
            return os.open(file, os.O_RDWR)
        except FileNotFoundError:
            pass
        try:
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        except FileExistsError:  # somebody was a moment faster
            return os.open(file, os.O_RDWR)
        os.fchmod(descriptor, 0o666)  # not as a mode of open(), from which the umask takes away
        return descriptor
    except OSError as error:
        raise _of_no_use(file, error.strerror or str(error)) from error


def _of_no_use(file: str, why: str) -> InputError:
    hint = "name a file in a folder where everybody of this machine may write; it is made at its first use"
    return InputError(f"LAB_ROTA={file!r} cannot be used: {why}", hint)


def _stop_if(cancel: threading.Event) -> None:
    if cancel.is_set():
        raise Cancelled("the load test was cancelled", "It was still waiting for its turn; start it again at any time.")


def _fcntl() -> Any:
    try:
        import fcntl
    except ImportError:
        raise InputError(f"{ROTA} is set, but this system has no locks of that kind", UNSET) from None
    return fcntl
