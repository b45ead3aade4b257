"""How far a load test has come: a bar in notebook or terminal, and a call for whoever draws their own."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from helpers.load.plan import Plan
from helpers.progress import bar_class


@dataclass(frozen=True)
class Progress:
    """How far a load test has come; counts are of the whole run, its warm-up included."""

    phase: str  # "opening", "warm-up", "measuring" or "draining"; "waiting, 2 before you" where turns are taken
    elapsed_s: float
    total_s: float  # without the draining, whose length depends on the server
    requests: int
    failed: int
    per_s: float = 0.0  # this and the following: of the last second
    in_flight: int = 0
    p95_ms: float | None = None  # None where no request came to an end
    error_ratio: float | None = None


Watcher = Callable[[Progress], None]


def waiting(on_progress: Watcher | None) -> Callable[[int], None] | None:
    """Who wants to know of the progress is told of the wait for a turn as well: how many people come before."""
    if on_progress is None:
        return None
    return lambda before: on_progress(Progress(f"waiting, {before} before you", 0.0, 0.0, 0, 0))


@contextlib.contextmanager
def watching(plan: Plan, bar: bool, on_progress: Watcher | None) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function to be called with each event of the engine."""
    total_s = plan.connections * plan.apart_s + plan.warmup_s + plan.duration_s
    begin_s = time.monotonic()
    with contextlib.ExitStack() as stack:
        watchers = [stack.enter_context(_bar(plan, total_s))] if bar else []
        watchers += [on_progress] if on_progress else []

        def watch(event: dict[str, Any]) -> None:
            nonlocal total_s
            elapsed_s = time.monotonic() - begin_s
            if event["event"] == "window":  # the warm-up may have taken longer than planned
                total_s = elapsed_s + plan.duration_s
            if event["event"] != "progress":
                return
            live = {name: event[name] for name in ("requests", "failed", "per_s", "in_flight", "p95_ms", "error_ratio")}
            now = Progress(event["phase"], elapsed_s, total_s, **live)
            for watcher in watchers:
                watcher(now)

        yield watch


@contextlib.contextmanager
def _bar(plan: Plan, total_s: float) -> Iterator[Watcher]:
    load = f"{plan.rate_per_s:.4g}/s" if plan.users is None else f"{plan.users} user{'s' if plan.users > 1 else ''}"
    layout = "{desc} |{bar}| {n:.1f}/{total:.1f} s{postfix}"
    with bar_class()(total=total_s, desc=load, bar_format=layout, leave=False) as bar:

        def show(now: Progress) -> None:
            if bar.total != now.total_s:
                bar.reset(now.total_s)  # a widget does not look at `total` again by itself
            bar.n = min(now.elapsed_s, now.total_s)
            bar.set_postfix_str(live_line(now))  # redraws: the engine tells four times a second

        yield show
        bar.n = bar.total  # a widget that ends before its total takes it for a failure: it turns red, and stays


def live_line(now: Progress) -> str:
    """The last second in words: phase, rate, requests in flight, p95, errors."""
    p95 = "p95 -" if now.p95_ms is None else f"p95 {now.p95_ms:.3g} ms" if now.p95_ms < 1000 else _seconds(now.p95_ms)
    errors = f"{now.error_ratio or 0:.0%} errors"
    return f"{now.phase}, {now.per_s:.0f}/s, {now.in_flight} in flight, {p95}, {errors}"


def _seconds(milliseconds: float) -> str:
    return f"p95 {milliseconds / 1e3:.3g} s"
