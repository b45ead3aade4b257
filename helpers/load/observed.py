"""What the engine noticed of itself and of the server beside the records."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Observed:
    """Of one run; the defaults stand for a run of which this is not known."""

    warmup_s: float | None = None  # as it was: it may have been extended
    unanswered: int | None = None  # users none of whose requests had come to an end when the window began
    stopped_early: str | None = None  # the condition that ended the run
    redirects: int = 0  # answers that point elsewhere, of the whole run
    stopped_s: Mapping[int, float] = field(default_factory=dict)  # pid of the server -> time for which it was stopped
    pause_ms: float | None = None  # the longest for which the engine itself did not get on


def observed(window: Mapping[str, Any], done: Mapping[str, Any] | None) -> Observed:
    """From what the engine says at the begin and at the end of the window; it may have ended before the latter."""
    done = done or {}
    return Observed(
        warmup_s=window["warmup_s"],
        unanswered=window["unanswered"],
        stopped_early=done.get("stopped_early"),
        redirects=done.get("redirects", 0),
        stopped_s={int(pid): stopped_s for pid, stopped_s in done.get("stopped_s", {}).items()},
        pause_ms=done.get("pause_ms"),
    )
