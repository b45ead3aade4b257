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

    phase: str  # "opening", "warm-up", "measuring" or "draining"
    elapsed_s: float
    total_s: float  # without the draining, whose length depends on the server
    requests: int
    failed: int


Watcher = Callable[[Progress], None]


@contextlib.contextmanager
def watching(plan: Plan, bar: bool, on_progress: Watcher | None) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function to be called with each event of the engine."""
    total_s = plan.connections * plan.apart_s + plan.warmup_s + plan.duration_s
    begin_s = time.monotonic()
    with contextlib.ExitStack() as stack:
        watchers = [stack.enter_context(_bar(plan, total_s))] if bar else []
        watchers += [on_progress] if on_progress else []

        def watch(event: dict[str, Any]) -> None:
            if event["event"] != "progress":
                return
            elapsed_s = time.monotonic() - begin_s
            now = Progress(event["phase"], elapsed_s, total_s, event["requests"], event["failed"])
            for watcher in watchers:
                watcher(now)

        yield watch


@contextlib.contextmanager
def _bar(plan: Plan, total_s: float) -> Iterator[Watcher]:
    load = f"{plan.rate_per_s:g}/s" if plan.users is None else f"{plan.users} user{'s' if plan.users > 1 else ''}"
    layout = "{desc} |{bar}| {n:.1f}/{total:.1f} s{postfix}"
    with bar_class()(total=total_s, desc=load, bar_format=layout, leave=False) as bar:

        def show(now: Progress) -> None:
            failed = f", {now.failed} failed" if now.failed else ""
            bar.set_postfix_str(f"{now.phase}, {now.requests} requests{failed}", refresh=False)
            bar.update(min(now.elapsed_s, total_s) - bar.n)

        yield show
