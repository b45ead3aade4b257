"""Watching while it happens: who uses the CPU during a load test, and how a killed worker comes back."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from statistics import median
from types import TracebackType

from helpers.errors import StateError
from helpers.server.sampler import Sample, Sampler, Watched
from helpers.server.server import Server
from helpers.teach.widgets import html, library, show

REDRAW_S = 0.1
LOOK_S = 0.005
PARTS = (("generator", "load generator"), ("notebook", "notebook"), ("others", "other programs"), ("idle", "idle"))
GREY = "#6E7781"


class Live:
    """`with Live(server) as live: load_test(...)`: bars of cores' worth, four times a second; at the end the medians.

    Without widgets the medians alone are shown. `live.samples` and `live.frame()` keep every look.
    """

    def __init__(self, server: Watched) -> None:
        self._sampler = Sampler(server)
        self._end = threading.Event()
        widgets = library()
        self._area = None if widgets is None else widgets.HTML()
        self._thread = threading.Thread(target=self._run, daemon=True, name="lab-live")
        self.frame = self._sampler.frame

    @property
    def samples(self) -> list[Sample]:
        """Every look so far."""
        return self._sampler.samples

    def __enter__(self) -> "Live":
        self._sampler.__enter__()
        if self._area is not None:
            show(self._area)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sampler.__exit__(kind, error, trace)
        self._end.set()
        if self._area is None:
            show(html(self._medians()))
            return
        self._thread.join()
        self._area.value = self._medians()

    def _run(self) -> None:
        drawn = 0
        while not self._end.wait(REDRAW_S):
            if len(self.samples) > drawn and self._area is not None:
                drawn = len(self.samples)
                now = self.samples[-1]
                self._area.value = bars(f"after {now.at_s:.1f} s", cores_of([now]))

    def _medians(self) -> str:
        samples = self.samples
        if not samples:
            return "<p>It was over before the first look.</p>"
        return bars(f"median of {len(samples)} looks in {samples[-1].at_s:.1f} s", cores_of(samples))


def cores_of(samples: Sequence[Sample]) -> dict[str, float]:
    """Cores' worth of each part, the median over the looks; workers first, by pid."""
    pids = sorted({pid for sample in samples for pid in sample.workers})
    found = {f"worker {pid}": median(sample.workers.get(pid, 0.0) for sample in samples) for pid in pids}
    if len(pids) != 1:  # a server with one worker has no parent
        found["parent"] = median(sample.parent for sample in samples)
    return found | {words: median(getattr(sample, part) for sample in samples) for part, words in PARTS}


def bars(title: str, parts: Mapping[str, float]) -> str:
    """HTML: a bar per part, all on one scale that ends where all parts together would end."""
    from helpers.plots.picture import worker_colour

    rows, workers, whole = [], 0, max(1.0, round(sum(parts.values())))
    for name, used in parts.items():
        colour = GREY
        if name.startswith("worker "):
            colour, workers = worker_colour(workers), workers + 1
        wide = 100 * min(max(used, 0.0) / whole, 1.0)
        bar = f'<div style="background:{colour};width:{wide:.1f}%;height:1em"></div>'
        rows.append(
            f'<tr><th scope="row" style="text-align:left;font-weight:normal;padding:0 1em">{escape(name)}</th>'
            f'<td style="width:24em;background:rgba(128,128,128,.15)">{bar}</td>'
            f'<td style="text-align:right;padding:0 1em">{max(used, 0.0):.2f}</td></tr>'
        )
    caption = f'<caption style="text-align:left">cores\' worth of CPU, {escape(title)}</caption>'
    return f'<table style="border-collapse:collapse">{caption}{"".join(rows)}</table>'


@dataclass(frozen=True)
class Moment:
    """How a server stood at one moment after a worker was killed."""

    after_s: float
    state: str
    workers: tuple[int, ...]

    def __str__(self) -> str:
        return f"after {self.after_s:4.2f} s   {self.state:9} serving: {', '.join(map(str, self.workers)) or 'nobody'}"


def until_replaced(server: Server, gone: int, *, within_s: float = 15.0) -> list[Moment]:
    """Watch until the server is ready without the worker `gone`: a moment for each change. Raises StateError."""
    moments: list[Moment] = []
    began = time.perf_counter()
    # the state and the pids are two readings: each must say so
    while not (moments and moments[-1].state == "ready" and len({*moments[-1].workers} - {gone}) >= server.workers):
        now = Moment(time.perf_counter() - began, server.state, tuple(server.worker_pids))
        if not moments or (now.state, now.workers) != (moments[-1].state, moments[-1].workers):
            moments.append(now)
        if now.after_s > within_s:
            raise StateError(f"worker {gone} was not replaced within {within_s:g} s", "look at server.log for why")
        time.sleep(LOOK_S)
    return moments
