"""What a run looks like from moment to moment: for the live view, for conditions that end it early, for its checks.

Times are of a sample (Recorder.recent) and of the requests that have waited for longer than a second already.
"""

import asyncio
import math
from collections import deque
from collections.abc import Iterable, Sequence
from time import perf_counter_ns as clock_ns
from typing import Any

from helpers import proc
from helpers.load.connection import Connection
from helpers.load.records import Recorder
from helpers.load.slo import Target, parse_slo

SPAN_NS = 1_000_000_000  # what counts as now
FEWEST = 10  # requests; a condition looks back so far
PULSE_S = 0.05
_REMEMBERED = 1024  # looks
_QUANTILES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}


class Live:
    """Looks at the run at every progress line; `stopped_early` becomes the reason when a condition came true."""

    def __init__(self, recorder: Recorder, stop_if: str | None) -> None:
        self._recorder = recorder
        self._conditions: Sequence[Target] = parse_slo(stop_if) if stop_if else ()
        self._looks: deque[tuple[int, int, int]] = deque(maxlen=_REMEMBERED)  # (at, requests, failed)
        self._begin_ns = 0  # of the measured window, 0 outside of it
        self._pids: tuple[int, ...] = ()
        self._stopped_ns: dict[int, int] = {}
        self._last_ns = 0
        self._pause_ns = 0
        self.stopped_early: str | None = None

    def begin(self, server_pids: Iterable[int]) -> None:
        """The measured window begins; from here on the server's processes are watched."""
        self._begin_ns = self._last_ns = clock_ns()
        self._pids = tuple(server_pids)
        self._pause_ns = 0
        self._looks.clear()
        self._looks.append((self._begin_ns, self._recorder.count, self._recorder.failed))

    def end(self) -> None:
        self._begin_ns = 0

    def found(self) -> dict[str, Any]:
        """What the whole window was like, for the run's checks."""
        return {
            "stopped_early": self.stopped_early,
            "stopped_s": {str(pid): nanoseconds / 1e9 for pid, nanoseconds in self._stopped_ns.items()},
            "pause_ms": self._pause_ns / 1e6,
        }

    def look(self, connections: Sequence[Connection]) -> dict[str, Any]:
        """The last second in four numbers; None where nothing came to an end."""
        now_ns = clock_ns()
        counts = (now_ns, self._recorder.count, self._recorder.failed)
        began = [one.intended_ns for one in connections if one.intended_ns]
        long_ns = [now_ns - intended_ns for intended_ns in began if now_ns - intended_ns > SPAN_NS]
        self._looks.append(counts)
        since = self._since(now_ns, 0)
        if self._begin_ns:
            self._watch_server(now_ns)
            self._judge(counts, long_ns)
        finished = counts[1] - since[1]
        times_ns = self._times_ns(since[0], long_ns)
        return {
            "per_s": finished * 1e9 / max(1, now_ns - since[0]),
            "in_flight": len(began),
            "p95_ms": _metric("p95", times_ns) / 1e6 if times_ns else None,
            "error_ratio": (counts[2] - since[2]) / finished if finished else None,
        }

    def _since(self, now_ns: int, fewest: int) -> tuple[int, int, int]:
        """The youngest look that is a second old and has `fewest` requests after it; else the oldest."""
        count = self._recorder.count
        for look in reversed(self._looks):
            if now_ns - look[0] >= SPAN_NS and count - look[1] >= fewest:
                return look
        return self._looks[0]

    def _times_ns(self, since_ns: int, long_ns: Iterable[int]) -> list[int]:
        return sorted([took for done, took in self._recorder.recent if done >= since_ns] + list(long_ns))

    def _judge(self, counts: tuple[int, int, int], long_ns: Sequence[int]) -> None:
        now_ns = counts[0]
        if self.stopped_early is not None or now_ns - self._begin_ns < SPAN_NS:
            return
        since = self._since(now_ns, FEWEST)
        finished, failed, span_s = counts[1] - since[1], counts[2] - since[2], (now_ns - since[0]) / 1e9
        times_ns = self._times_ns(since[0], long_ns)
        for target in self._conditions:
            if target.metric == "rate":
                value = (finished - failed) / span_s
            elif target.metric == "errors":
                value = failed / finished if finished >= FEWEST else math.nan
            else:
                value = _metric(target.metric, times_ns) / 1e6 if len(times_ns) >= FEWEST else math.nan
            if target.holds(value):  # nan fulfils nothing
                self.stopped_early = f"{target.text.strip()}: {target.shown(value)} in the last {span_s:.1f} s"
                return

    def _watch_server(self, now_ns: int) -> None:
        for pid in self._pids:
            if proc.stopped(pid):
                self._stopped_ns[pid] = self._stopped_ns.get(pid, 0) + now_ns - self._last_ns
        self._last_ns = now_ns

    async def listen_to_own_pulse(self) -> None:
        """Notes the longest time for which this process did not get on: whatever came meanwhile was stamped late."""
        while True:
            due_ns = clock_ns() + int(PULSE_S * 1e9)
            await asyncio.sleep(PULSE_S)
            if self._begin_ns:
                self._pause_ns = max(self._pause_ns, clock_ns() - due_ns)


def _metric(name: str, times_ns: Sequence[int]) -> float:
    """Of sorted times, by nearest rank."""
    if name == "max":
        return times_ns[-1]
    if name == "mean":
        return sum(times_ns) / len(times_ns)
    return times_ns[max(0, math.ceil(len(times_ns) * _QUANTILES[name]) - 1)]
