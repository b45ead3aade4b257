"""The desk: a load that goes on, and a slider for the workers under it.

    desk = Desk("/blocking?ms=50", rate=65)
    desk

By code: `desk.start()`, `desk.scale(3)`, `desk.stop()`. Each returns at once; `wait()` when the workers are as wanted.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from html import escape
from typing import Any

from helpers.cluster.cluster import Cluster
from helpers.errors import LabError, StateError
from helpers.incident.result import Course, Event
from helpers.incident.run import incident
from helpers.load.run import Cancelled
from helpers.plots.incident_plot import incident_plot
from helpers.plots.picture import count
from helpers.server.server import Server
from helpers.server.settings import checked_workers
from helpers.teach.cells import belongs_to_cell
from helpers.teach.live_course import DRAW_EVERY_S
from helpers.teach.widgets import SLIDERS_NAMED, WITHOUT, html, library, rendered, show

MOST = 6  # workers on the slider
LENGTH_S = 40.0
GRACE_S = 0.4  # a click on Stop is answered within a second


class Desk:
    """A server under an open load of `rate` requests per second on `path`, for `duration` seconds at most.

    Nothing runs before `start()`; `stop()`, a run of its cell, `finish()` and the end of the kernel end it. `load` goes
    to load_test. `server` is what is loaded, by default a Server with so many workers; a Cluster has replicas. `most`
    is the end of the slider.
    """

    def __init__(
        self,
        path: str,
        *,
        rate: float,
        workers: int = 2,
        duration: float = LENGTH_S,
        server: Server | Cluster | None = None,
        most: int = MOST,
        **load: Any,
    ) -> None:
        self._path, self._duration, self._load = path, duration, {"rate": rate, "warmup": 0, "progress": False, **load}
        self.server = Server(workers=workers) if server is None else server
        self.wanted, self.most = workers, most
        self.course: Course | None = None
        self.problem: LabError | None = None
        self._first = self._asked = workers  # at the start; in the last call of Server.scale
        self._events: list[Event] = []
        self._began_s = 0.0
        self._cancel = threading.Event()
        self._change = threading.Condition()
        self._threads: list[threading.Thread] = []
        self.running = False
        self._view: _View | None = None
        belongs_to_cell(self)

    # ------------------------------------------------------------------------------------------------ what it does

    def start(self) -> "Desk":
        """Start server and load; does nothing while they run."""
        if self.running:
            return self
        self._join()
        self.running = True
        self._cancel.clear()
        self.wanted = self._asked = self._first
        self.course, self.problem, self._events = None, None, []
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._run, self._follow)]
        for thread in self._threads:
            thread.start()
        self._show()
        return self

    def scale(self, workers: int) -> "Desk":
        """What the slider does: ask for so many workers; they come and go one by one. Raises InputError, StateError."""
        workers = checked_workers(workers)
        if not self.running:
            raise StateError("no load is running", "start() first, or press Start")
        with self._change:
            self.wanted = workers
            self._change.notify_all()
        self._show()
        return self

    def stop(self) -> "Desk":
        """End load and server."""
        self._cancel.set()
        with self._change:
            self._change.notify_all()
        return self

    def wait(self, within_s: float = 30.0) -> "Desk":
        """Until as many workers serve as are wanted, or the load is over. Raises what went wrong."""
        deadline = time.monotonic() + within_s
        while self.running and not self.settled and self.problem is None:
            if time.monotonic() > deadline:
                raise StateError(
                    f"{count(self.serving, self.crew[:-1])} serve after {within_s:g} s", "its server's log says why"
                )
            time.sleep(0.01)
        if self.problem is not None:
            raise self.problem
        return self

    def close(self) -> None:
        """End everything. Twice does no harm."""
        self.stop()
        self._join()

    # ------------------------------------------------------------------------------------------------- what it is

    @property
    def crew(self) -> str:
        """What those are called who serve."""
        return "workers" if isinstance(self.server, Server) else "replicas"

    @property
    def by_code(self) -> str:
        """The same as its buttons and its slider."""
        return f"desk.start(), desk.scale({min(3, self.most)}), desk.stop()"

    @property
    def serving(self) -> int:
        """How many workers serve now."""
        return len(self.server.worker_pids)

    @property
    def settled(self) -> bool:
        """Whether the load is on, and as many workers serve as are wanted."""
        return self.course is not None and self.serving == self.wanted

    def words(self) -> str:
        """One line: what runs, and what is pending."""
        if self.problem is not None:
            return f"▲ {self.problem.message}; {self.problem.hint}"
        if not self.running:
            return "○ nothing runs" + ("" if self.course is None else "; the picture shows the last load")
        if self.course is None:
            return "◐ the server starts"
        how = "one signal at a time" if isinstance(self.server, Server) else "Ray starts or ends them"
        pending = f" · {self.wanted} are wanted: {how}" if self.serving != self.wanted else ""
        return f"● {count(self.serving, self.crew[:-1])} serve{pending}"

    def __repr__(self) -> str:
        return f"<Desk: {self.words()}>"

    def _ipython_display_(self) -> None:
        widgets = library()
        if widgets is None:
            show(html(f"<p>{escape(self.words())}</p>"))
            print(f"by code: {self.by_code}\n{WITHOUT}")
            return
        if self._view is None:
            self._view = _View(widgets, self)
        show(self._view.box)

    # --------------------------------------------------------------------------------------------------- plumbing

    def _run(self) -> None:
        """The load's thread: from the start of the server to its end. One that had been started before goes on."""
        ours = self.server.state in ("stopped", "died")
        try:
            try:
                self.server.start()
                incident(
                    self.server, self._path, [], duration=self._duration, on_look=self._look,
                    cancel=self._cancel, **self._load,
                )  # fmt: skip
            except Cancelled:
                pass
            finally:
                if ours and isinstance(self.server, Server):
                    self.server.stop(grace_s=GRACE_S)
                elif ours:
                    self.server.stop()
        except LabError as error:
            self.problem = error
        finally:
            self.stop()
            self.running = False
            self._show()

    def _follow(self) -> None:
        """The slider's thread: one move after the other; of several moves meanwhile the last one counts."""
        while True:
            with self._change:
                self._change.wait_for(lambda: self._cancel.is_set() or (self.course and self.wanted != self._asked))
                if self._cancel.is_set():
                    return
                self._asked = self.wanted
            from_s = self._at_s()
            self._events.append(Event(f"scale({self._asked})", from_s, from_s))
            try:
                self.server.scale(self._asked)
            except LabError as error:
                self.problem = None if self._cancel.is_set() else error
            self._events[-1] = replace(self._events[-1], to_s=self._at_s())

    def _at_s(self) -> float:
        """Seconds of the measured time."""
        return time.monotonic() - self._began_s

    def _look(self, course: Course) -> None:
        """Called four times a second while the load goes on."""
        self._began_s = time.monotonic() - course.until_s
        with self._change:
            self.course = replace(course, events=tuple(self._events))
            self._change.notify_all()
        self._show()

    def _show(self) -> None:
        if self._view is not None:
            self._view.refresh()

    def _join(self) -> None:
        for thread in self._threads:
            thread.join()


class _View:
    """Buttons, slider, state and picture of a desk."""

    def __init__(self, widgets: Any, desk: Desk) -> None:
        self._desk = desk
        self._next_s, self._drawn = 0.0, False
        self._lock = threading.RLock()  # setting the slider's value calls back
        self._start = widgets.Button(description="Start the load", button_style="primary")
        self._stop = widgets.Button(description="Stop")
        self._workers = widgets.IntSlider(
            desk.wanted, min=1, max=desk.most, description=desk.crew, continuous_update=False, disabled=True
        )
        self._state, self._picture = widgets.HTML(), widgets.HTML()
        code = widgets.HTML(f"<small>by code: <code>{escape(desk.by_code)}</code></small>{SLIDERS_NAMED}")
        self._start.on_click(lambda _: self._do(desk.start))
        self._stop.on_click(lambda _: self._do(desk.stop))
        self._workers.observe(lambda change: self._moved(change["new"]), names="value")
        row = widgets.HBox([self._start, self._stop, self._workers])
        self.box = widgets.VBox([row, self._state, code, self._picture])
        self.box.add_class("lab-desk")
        self.refresh()

    def refresh(self) -> None:
        """Draw what is so now; the picture at most once a second. Called from any thread."""
        desk = self._desk
        with self._lock:
            running, course = desk.running, desk.course
            self._state.value = f'<div role="status">{escape(desk.words())}</div>'
            self._start.disabled, self._stop.disabled, self._workers.disabled = running, not running, not running
            self._workers.value = desk.wanted
            if course is not None and (course.over or time.monotonic() >= self._next_s):
                self._next_s = time.monotonic() + DRAW_EVERY_S
                self._picture.value = rendered(incident_plot(course, f"Your load, and your {desk.crew}"))

    def _moved(self, workers: int) -> None:
        if workers != self._desk.wanted:
            self._do(lambda: self._desk.scale(workers))

    def _do(self, action: Callable[[], object]) -> None:
        try:
            action()
        except LabError as error:  # an error in a callback would be lost
            self._state.value = f'<div role="alert">{escape(error.message)}; {escape(error.hint)}</div>'
