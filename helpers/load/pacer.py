"""Wakes the engine at a given nanosecond: on Linux by a kernel timer, since an event loop's own has steps of 1 ms."""

import asyncio
import ctypes
import os
import sys
from collections.abc import Callable
from time import perf_counter_ns as clock_ns

_CLOCK_MONOTONIC = 1
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
_ABSOLUTE = 1


class _Itimerspec(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class Pacer:
    """Calls `due` at (never before) the last time given to wake_at(); elsewhere than on Linux with steps of 1 ms."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._fd = -1
        self._due: Callable[[], None] = lambda: None
        if sys.platform == "linux":
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._fd = self._libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
            self._when = _Itimerspec()
            if self._fd >= 0:
                loop.add_reader(self._fd, self._fired)

    def start(self, due: Callable[[], None]) -> None:
        self._due = due

    def wake_at(self, at_ns: int) -> None:
        if self._fd < 0:
            self._loop.call_later(max(0, at_ns - clock_ns()) / 1e9, self._due)
            return
        # 0 would switch the timer off; a time that has passed fires at once
        self._when.value_s, self._when.value_ns = divmod(max(1, at_ns), 1_000_000_000)
        self._libc.timerfd_settime(self._fd, _ABSOLUTE, ctypes.byref(self._when), None)

    def _fired(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:  # set anew since it fired
            return
        self._due()

    async def lag_at_rest_ns(self, wakes: int = 50, apart_ns: int = 2_000_000) -> int:
        """How late this machine wakes a process that does nothing else: the worst but one of `wakes` tries."""
        lags: list[int] = []
        done = self._loop.create_future()
        due_ns = clock_ns() + apart_ns

        def woken() -> None:
            nonlocal due_ns
            lags.append(clock_ns() - due_ns)
            if len(lags) == wakes:
                done.set_result(None)
                return
            due_ns = clock_ns() + apart_ns
            self.wake_at(due_ns)

        self.start(woken)
        self.wake_at(due_ns)
        await done
        return sorted(lags)[-2]
