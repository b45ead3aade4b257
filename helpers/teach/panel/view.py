"""The panel's face: ipywidgets around a PanelModel. It asks the model and draws what the model says, nothing more."""

import threading
import time
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from helpers import store
from helpers.errors import LabError, StateError
from helpers.server.sampler import Look, Sample, between
from helpers.teach.panel import history, parts
from helpers.teach.panel.model import PanelModel
from helpers.teach.panel.settings import experiment, lines_of_code
from helpers.teach.widgets import SLIDERS_NAMED, rendered, shell

LOOK_EVERY_S = 0.5
CELL_RUNS_AFTER_S = 0.4  # a cell that is over sooner is not worth a word
USERS = tuple(2**power for power in range(13))
DURATIONS_S = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0)
LOG_LINES = 14
ROW_PX, ROW_PROJECTOR_PX, AREA_PX = 21, 30, 600
NO_TIMELINE = "After a load test: every request as a bar, grey while it waits, in colour while a worker has it."
TABS = ("timeline", "history", "code", "log")


class PanelView:
    """Widgets for one model. `box` is to be displayed; `close()` ends the live thread."""

    def __init__(
        self,
        widgets: Any,
        model: PanelModel,
        *,
        cores: int,
        pinning: bool,
        paths: Sequence[str],
        bet: Callable[[], float | None],
        with_load: bool,
        projector: bool,
    ) -> None:
        self._widgets, self._model, self._cores, self._bet = widgets, model, cores, bet
        self._with_load = with_load
        self._drawing = threading.RLock()
        self._end = threading.Event()
        self._drawn: object = None
        self._sample: Sample | None = None
        self._look: Look | None = None
        self._cell_began: float | None = None
        self._said = ""  # what a click on CSV led to
        self._launch: tuple[int | None, set[int]] = (None, set())  # its first process, and every worker it has had
        self._build(pinning, paths, projector)
        self.refresh()
        self._thread = threading.Thread(target=self._live, name="lab-panel-live", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the live view; the last picture stays."""
        self._end.set()
        self._listen(False)
        if self._thread is not threading.current_thread():
            self._thread.join()
        self.refresh()

    def refresh(self) -> None:
        """Draw what the model says now. Called from any thread; sends only what has changed."""
        model = self._model
        with self._drawing:
            busy, state = model.busy, model.state
            self._put("state", parts.state_line(model))
            self._put("message", f'<div class="lab-message">{parts.message(model, self._cell_runs())}</div>')
            for name, line in lines_of_code(model.wanted).items():
                _set(self._codes[name], f"<code>{escape(line)}</code>{self._ranges.get(name, '')}")
                self._follow(self._controls[name], getattr(model.wanted, name))
            for button in (self.relaunch, self.load):
                button.disabled = busy or state == "closed"
            self.relaunch.description = "Launch" if state in ("stopped", "died") else "Relaunch"
            self.stop.disabled = state in ("stopped", "died", "closed")
            self.stop.description = {"loading": "Stop test", "launching": "Stop launch"}.get(state, "Stop server")
            self._put("who", parts.who_works(self._rows(), self._cores))
            if self._with_load:
                self._put("results", parts.results(model.history, self._cores, self._bet()))
            self._draw_area()

    # ---------------------------------------------------------------------------------------------------- building

    def _build(self, pinning: bool, paths: Sequence[str], projector: bool) -> None:
        widgets, wanted = self._widgets, self._model.wanted
        self._codes: dict[str, Any] = {}
        self._ranges: dict[str, str] = {}
        self._controls: dict[str, Any] = {}
        wide = {"width": "100%"}
        most = 2 * self._cores
        self.workers = self._control("workers", widgets.IntSlider, wanted.workers, min=1, max=max(most, wanted.workers))
        self.cores = self._control(
            "cores", widgets.IntSlider, wanted.cores or self._cores, min=1, max=self._cores, disabled=not pinning
        )
        users = sorted({*USERS, wanted.users})
        self.users = self._control("users", widgets.SelectionSlider, wanted.users, options=users)
        durations = sorted({*DURATIONS_S, wanted.duration_s})
        self.duration = self._control(
            "duration_s", widgets.SelectionSlider, wanted.duration_s, "seconds", options=durations
        )
        self.path = self._control("path", widgets.Dropdown, wanted.path, "endpoint", options=list(paths))
        self.loop = self._control(
            "loop", widgets.Dropdown, wanted.loop, "event loop", options=["auto", "uvloop", "asyncio"]
        )
        opened = [("10 ms apart", False), ("all at once", True)]
        self.burst = self._control("burst", widgets.Dropdown, wanted.burst, "connections", options=opened)
        self.size = widgets.Checkbox(projector, description="projector size", indent=False)
        self.more = widgets.ToggleButton(False, description="More ▸", tooltip="duration, endpoint, loop, connections")
        self.relaunch = widgets.Button(description="Relaunch", tooltip="start the server with these workers and cores")
        self.load = widgets.Button(description="Load test", tooltip="load the server that runs", button_style="primary")
        self.stop = widgets.Button(description="Stop server", tooltip="ends a test or a launch, else the server")
        self.tab = widgets.ToggleButtons(options=TABS, value=TABS[0], tooltips=[f"show the {name}" for name in TABS])
        self.tab.style.button_width = "auto"
        self.csv = widgets.Button(description="Save as CSV", tooltip="all tests, into results/")
        self.clear = widgets.Button(description="Clear", tooltip="forget all tests of this panel")
        names = ("style", "state", "message", "who", "results", "area", "said")
        self._texts = {name: widgets.HTML(layout=widgets.Layout(**wide)) for name in names}
        self._texts["style"].value = parts.STYLE + SLIDERS_NAMED
        self._texts["style"].layout.display = "none"  # it applies all the same, and takes no room
        self._wire()
        self.box = self._layout()
        self._resize(projector)

    def _control(self, name: str, kind: Any, value: Any, words: str = "", **options: Any) -> Any:
        widgets = self._widgets
        if kind in (widgets.IntSlider, widgets.SelectionSlider):
            options |= {"continuous_update": False}
        made = kind(value=value, description=words or name, layout=widgets.Layout(width="100%"), **options)
        made.style.description_width = "6.2em"
        made.layout.height = "32px"
        if kind is widgets.IntSlider:
            self._ranges[name] = f" <span class='soft'>{options['min']} to {options['max']}</span>"
        self._controls[name] = made
        made.observe(lambda change: self._model.set(**{name: change["new"]}), names="value")
        self._codes[name] = widgets.HTML()
        return made

    def _wire(self) -> None:
        for button, request in (
            (self.relaunch, self._model.relaunch),
            (self.load, self._model.load),
            (self.stop, self._model.stop),
            (self.clear, self._clear),
        ):
            button.on_click(lambda _, request=request: request())
        self.csv.on_click(lambda _: self._save())
        self.more.observe(lambda change: self._unfold(change["new"]), names="value")
        self.size.observe(lambda change: self._resize(change["new"]), names="value")
        self.tab.observe(lambda _: self.refresh(), names="value")
        self._listen(True)

    def _layout(self) -> Any:
        widgets, texts = self._widgets, self._texts

        def row(*children: Any, **layout: Any) -> Any:
            return widgets.HBox(list(children), layout=widgets.Layout(**{"width": "100%", **layout}))

        def control(name: str, widget: Any) -> Any:
            return widgets.VBox([widget, self._codes[name]], layout=widgets.Layout(flex="1 1 15em", min_width="0"))

        sight = [control("workers", self.workers), control("cores", self.cores)]
        further = [control("loop", self.loop)]
        if self._with_load:
            sight.append(control("users", self.users))
            further = [
                control("duration_s", self.duration), control("path", self.path), *further, control("burst", self.burst)
            ]  # fmt: skip
        self._further = widgets.VBox(
            [row(*further, flex_flow="row wrap"), self.size], layout=widgets.Layout(display="none", width="100%")
        )
        actions = [self.relaunch] + ([self.load] if self._with_load else [])
        rows = [
            texts["style"],
            row(texts["state"], self.stop),
            row(*sight, self.more, flex_flow="row wrap"),
            self._further,
            row(texts["message"], *actions),
        ]
        half = {"flex": "1 1 24em", "min_width": "0", "overflow": "hidden auto"}
        for name in ("who", "results"):
            texts[name].layout = widgets.Layout(**half)
        rows.append(row(texts["who"], *([texts["results"]] if self._with_load else []), flex_flow="row wrap"))
        if self._with_load:
            self._keep = row(self.csv, self.clear, texts["said"], display="none")
            rows += [self.tab, self._keep, texts["area"]]
        box = widgets.VBox(rows, layout=widgets.Layout(width="100%"))
        box.add_class("lab-panel")
        return box

    def _resize(self, projector: bool) -> None:
        """Fixed heights: whatever the pieces hold, nothing below them moves."""
        row_px = ROW_PROJECTOR_PX if projector else ROW_PX
        rows = max(2 * self._cores + 5, parts.BARS_MOST) if self._with_load else 2 * self._cores + 5
        height = min(row_px * (rows + 2), AREA_PX)
        for name in ("who", "results"):
            self._texts[name].layout.height = f"{height}px"
        self._texts["message"].layout.height = f"{3 * row_px}px"
        self._texts["area"].layout.height = f"{AREA_PX}px"
        self._texts["area"].layout.overflow = "auto"
        (self.box.add_class if projector else self.box.remove_class)("lab-projector")

    def _unfold(self, more: bool) -> None:
        self._further.layout.display = "flex" if more else "none"
        self.more.description = "Less ▾" if more else "More ▸"

    # ------------------------------------------------------------------------------------------------------ drawing

    def _put(self, name: str, text: str) -> None:
        _set(self._texts[name], text)

    def _rows(self) -> list[parts.Row]:
        server = self._model.server
        try:
            root: int | None = server.pid
        except StateError:
            root = None
        if root not in (None, self._launch[0]):
            self._launch = (root, set())
        pids = server.worker_pids
        self._launch[1].update(pids)
        parent = None if root in pids else root
        return parts.tree(pids, parent, self._sample, seen=sorted(self._launch[1]), load=self._with_load)

    def _follow(self, control: Any, value: Any) -> None:
        """Where code has asked for something, the control shows it, also beyond its own range."""
        if value is None or control.value == value:
            return
        if hasattr(control, "max"):
            control.min, control.max = min(control.min, value), max(control.max, value)
        elif value not in (known := [each[1] if isinstance(each, tuple) else each for each in control.options]):
            control.options = [*known, value] if isinstance(value, str) else sorted([*known, value])
        control.value = value

    def _draw_area(self) -> None:
        if not self._with_load:
            return
        chosen = self.tab.value
        self._keep.layout.display = "flex" if chosen == "history" else "none"
        before, self._drawn = self._drawn, (chosen, self._model.result)
        if chosen == "timeline":
            if before != self._drawn:  # a picture takes a while: not again for each sample
                self._put("area", self._timeline())
        elif chosen == "history":
            self._put("area", history.table(self._model.history.trials))
            self._put("said", escape(self._said))
        elif chosen == "code":
            self._put("area", self._code())
        else:
            tail = "\n".join(self._model.server.log.splitlines()[-LOG_LINES:])
            self._put("area", f"<pre>{escape(tail) or 'no line yet'}</pre>")

    def _timeline(self) -> str:
        from helpers.plots.timeline import timeline_plot

        result = self._model.result
        if result is None:
            return f"<p class='soft'>{NO_TIMELINE}</p>"
        stamp = "<p><b>void</b>: look at its shape, and quote no number of it</p>" if result.verdict == "void" else ""
        pids = sorted({*self._launch[1], *result.worker_answers})
        return stamp + rendered(timeline_plot(result.frame(), length_ms=300, workers=pids))

    def _code(self) -> str:
        code = experiment(self._model.wanted, self._model.server_arguments)
        copy = "navigator.clipboard.writeText(this.nextElementSibling.textContent);this.textContent='Copied'"
        return (
            "<p>The whole experiment as a cell of its own:</p>"
            f'<button class="jupyter-button" onclick="{copy}">Copy as code</button><pre>{escape(code)}</pre>'
        )

    def _clear(self) -> None:
        self._said = ""
        self._model.clear()

    def _save(self) -> None:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        try:
            path = store.save_text(f"panel-{stamp}.csv", self._model.history.csv())
            self._said = f"saved: {store.shown(path)}"
        except LabError as error:
            self._said = f"{error.message}; {error.hint}"
        self.refresh()

    # --------------------------------------------------------------------------------------------------------- live

    def _live(self) -> None:
        import helpers.plots.timeline  # noqa: F401  now, so that the first result need not wait for it

        while not self._end.wait(LOOK_EVERY_S):
            self._model.look()
            now = Look.take(self._model.server)
            if self._look is not None:
                self._sample = between(self._look, now, now.at_s)
            self._look = now
            self.refresh()

    def _cell_runs(self) -> bool:
        began = self._cell_began
        return began is not None and time.monotonic() - began > CELL_RUNS_AFTER_S

    def _listen(self, on: bool) -> None:
        """Know when a cell runs: until it ends no click arrives, which the panel then says."""
        running = shell()
        if running is None:
            return
        for event, heard in (("pre_run_cell", self._cell_begins), ("post_run_cell", self._cell_ends)):
            if on:
                running.events.register(event, heard)
            elif heard in running.events.callbacks[event]:
                running.events.unregister(event, heard)

    def _cell_begins(self, *_: object) -> None:
        self._cell_began = time.monotonic()

    def _cell_ends(self, *_: object) -> None:
        self._cell_began = None


def _set(widget: Any, text: str) -> None:
    if widget.value != text:
        widget.value = text
