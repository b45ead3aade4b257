"""The status board of one launch: a small file, mapped into memory by every worker and by the owner.

A row of 64-bit integers per worker. Each row has one writer, its worker; an aligned 8-byte store is not torn,
so nobody locks to read or to count. The claim of a row alone is guarded, by a lock on the file.
Standard library only: it runs inside the server's processes.
"""

import mmap
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

ROWS = 512  # more than any launch needs: a respawned worker takes a fresh row while there is one
FIELDS = (
    "pid", "state", "started", "finished", "loop_lag_ns", "beat_ns", "claimed_ns", "ready_ns",
    "threads", "threads_busy", "threads_awaited",
)  # fmt: skip
PID, STATE, STARTED, FINISHED, LOOP_LAG_NS, BEAT_NS, CLAIMED_NS, READY_NS = range(8)
THREADS, THREADS_BUSY, THREADS_AWAITED = range(8, len(FIELDS))
FREE, STARTING, READY, GONE = range(4)
STATES = ("free", "starting", "ready", "gone")
_ROW_BYTES = 8 * len(FIELDS)
BOARD_BYTES = ROWS * _ROW_BYTES


def create(path: str) -> None:
    """Make an empty board; the owner calls this once per launch."""
    with open(path, "xb") as file:
        file.truncate(BOARD_BYTES)


class Board:
    """The mapped file. `rows()` reads; a worker claims a row once and writes its own cells."""

    def __init__(self, path: str) -> None:
        self._path = path
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), BOARD_BYTES)
        self._cells = memoryview(self._map).cast("q")

    def close(self) -> None:
        self._cells.release()
        self._map.close()

    def rows(self) -> "list[tuple[int, ...]]":
        """Every row in use, in the order of FIELDS, those of workers that are gone included; none once closed."""
        try:
            cells = self._map[:]
        except ValueError:  # another thread has closed it meanwhile
            return []
        return [row for row in struct.iter_unpack(f"{len(FIELDS)}q", cells) if row[STATE] != FREE]

    def claim(self) -> "Row":
        """Take a free row for this process; where none is left, the oldest row of a worker that is gone."""
        with _locked(self._path):
            states = [self._cells[index * len(FIELDS) + STATE] for index in range(ROWS)]
            wanted = FREE if FREE in states else GONE
            if wanted not in states:
                raise RuntimeError(f"all {ROWS} rows of the status board are taken by living workers")
            start = states.index(wanted) * len(FIELDS)
            values = {PID: os.getpid(), CLAIMED_NS: time.perf_counter_ns()}
            for field in set(range(len(FIELDS))) - {STATE}:
                self._cells[start + field] = values.get(field, 0)
            self._cells[start + STATE] = STARTING  # last: a reader that sees it set finds the other cells filled
        return Row(self._cells, start)


class Row:
    """One worker's cells. Only that worker's event loop writes them."""

    def __init__(self, cells: "memoryview[int]", start: int) -> None:
        self._cells = cells
        self._start = start

    def add(self, field: int) -> None:
        self._cells[self._start + field] += 1

    def put(self, field: int, value: int) -> None:
        self._cells[self._start + field] = value

    def ready(self) -> None:
        self.put(READY_NS, time.perf_counter_ns())
        self.put(STATE, READY)

    def gone(self) -> None:
        self.put(STATE, GONE)


@contextmanager
def _locked(path: str) -> "Iterator[None]":
    try:
        import fcntl
    except ImportError:  # Windows: two workers that claim in the same microsecond may meet; readiness then times out
        yield
        return
    with open(path, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
