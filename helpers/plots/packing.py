"""Requests of a timeline, and how their bars are packed into as few rows as they need."""

import heapq
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from helpers.errors import InputError

STAMPS = ("sent", "handled", "started", "done")


@dataclass(frozen=True)
class Request:
    """One request, in ms since the measurement began; None is a stamp that does not exist.

    `handled_ms` is its arrival in the app, `started_ms` the start of the response, `done_ms` the end as the client
    saw it.
    """

    worker: int | None
    sent_ms: float
    handled_ms: float | None
    started_ms: float | None
    done_ms: float
    outcome: str
    connection: int = 0

    @property
    def ok(self) -> bool:
        """Was it answered well?"""
        return self.outcome == "ok"

    @property
    def unseen(self) -> bool:
        """Nobody knows whether a worker had it in hand: the answer that would say so never came."""
        return self.handled_ms is None and not self.ok

    @property
    def left_worker_ms(self) -> float:
        """When the worker was through with it: the start of its response, or else the end."""
        return self.done_ms if self.started_ms is None else self.started_ms

    def phase(self, at_ms: float) -> str:
        """`waits`, `handled` or nothing, at one moment."""
        if not self.sent_ms <= at_ms < self.done_ms:
            return ""
        return "handled" if self.handled_ms is not None and self.handled_ms <= at_ms else "waits"


@dataclass(frozen=True)
class Packed:
    """Requests with the row each was put in, counted from 0."""

    rows: tuple[tuple[int, Request], ...]
    height: int


def requests(frame: pd.DataFrame) -> list[Request]:
    """The rows of a frame, in the order they were sent; stamps in `_s` or `_ms`. Raises InputError without them."""
    unit, per_unit = ("ms", 1.0) if "sent_ms" in frame.columns else ("s", 1000.0)
    columns = ["worker", *(f"{stamp}_{unit}" for stamp in STAMPS), "outcome"]
    if missing := [name for name in columns if name not in frame.columns]:
        raise InputError(
            f"the frame has no column {', '.join(missing)}",
            "give LoadResult.frame(), or a frame with the same names",
        )
    times = frame[columns[1:-1]].astype(float) * per_unit
    connections = frame["connection"] if "connection" in frame.columns else [0] * len(frame)
    stamps = (times[name] for name in times.columns)
    rows = zip(frame["worker"], *stamps, frame["outcome"], connections, strict=True)
    found = [
        Request(
            worker=None if (pid := _number(worker)) is None else int(pid),
            sent_ms=float(sent),
            handled_ms=_number(handled),
            started_ms=_number(started),
            done_ms=math.inf if (end := _number(done)) is None else end,
            outcome=str(outcome),
            connection=int(connection),
        )
        for worker, sent, handled, started, done, outcome, connection in rows
        if _number(sent) is not None
    ]
    return sorted(found, key=lambda request: request.sent_ms)


def settled_ms(found: Sequence[Request], length_ms: float) -> float:
    """From when on every connection has a request in the frame, with `length_ms` left after it; 0 if there is none.

    A frame holds the requests that began in the measured window: at its start, those sent in the warm-up are still in
    flight, but not in the frame.
    """
    firsts: dict[int, float] = {}
    for request in found:
        firsts.setdefault(request.connection, request.sent_ms)
    latest = found[-1].sent_ms - length_ms if found else 0.0
    return max(0.0, min(max(firsts.values(), default=0.0), latest))


def pack(items: Iterable[Request], span: Callable[[Request], tuple[float, float]], slack_ms: float) -> Packed:
    """Put every bar into the lowest row that is free; bars that overlap by up to `slack_ms` count as neighbours.

    That many rows are needed as there are bars at the busiest moment.
    """
    busy: list[tuple[float, int]] = []
    free: list[int] = []
    placed: list[tuple[int, Request]] = []
    rows = 0
    for item in sorted(items, key=lambda request: span(request)[0]):
        start, end = span(item)
        while busy and busy[0][0] <= start + slack_ms:
            heapq.heappush(free, heapq.heappop(busy)[1])
        if free:
            row = heapq.heappop(free)
        else:
            row, rows = rows, rows + 1
        heapq.heappush(busy, (end, row))
        placed.append((row, item))
    return Packed(tuple(placed), rows)


def covered_share(items: Sequence[Request], start_ms: float, end_ms: float) -> float:
    """Share of a stretch of time in which at least one of the requests was in its worker's hands."""
    total, reached = 0.0, start_ms
    spans = [(r.handled_ms, r.left_worker_ms) for r in items if r.handled_ms is not None]
    for low, high in sorted(spans):
        low, high = max(low, reached), min(high, end_ms)
        if high > low:
            total, reached = total + high - low, high
    return total / (end_ms - start_ms)


def _number(value: Any) -> float | None:
    if value is None or value is pd.NA:
        return None
    number = float(value)
    return number if math.isfinite(number) else None
