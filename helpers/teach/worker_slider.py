"""The worker slider: choose a number, relaunch with it, load it again; what the slider says is pending until then."""

import threading
from html import escape
from typing import Any

from helpers.errors import LabError, StateError
from helpers.experiment import Cell, Run
from helpers.load.result import LoadResult
from helpers.load.run import Cancelled, load_test
from helpers.machine import usable_cpus
from helpers.plots.scaling import scaling_plot
from helpers.server.server import Server
from helpers.teach.widgets import WITHOUT, library, rendered, show

_shown: "WorkerSlider | None" = None  # one per notebook: a cell run again ends the server of the slider before


def worker_slider(name: str, *, cpus: int | None, path: str = "/cpu", users: int = 16, duration: float = 1.5) -> Any:
    """A slider over the number of workers, with a button; `name` is the variable it is assigned to.

    The last line of a cell shows it. `run(3)` does by code what the button does.
    """
    global _shown
    if _shown is not None:
        _shown.stop()
    _shown = WorkerSlider(name, Server(cpus=cpus), path, users, duration)
    return _shown


class WorkerSlider:
    """A server, the number of workers that is wanted next, and every load so far."""

    def __init__(self, name: str, server: Server, path: str, users: int, duration_s: float) -> None:
        self.name, self.server = name, server
        self.path, self.users, self.duration_s = path, users, duration_s
        self.wanted = 2
        self.most = 2 * usable_cpus().usable
        self.runs: list[Run] = []
        self._doing = ""
        self._problem: Exception | None = None
        self._busy = threading.Lock()
        self._cancel = threading.Event()
        self._thread: threading.Thread | None = None
        self._parts: dict[str, Any] = {}

    def run(self, workers: int) -> LoadResult:
        """Relaunch with so many workers, load them, and add the result to the picture.

        Raises what Server and load_test raise, and StateError while another run is under way.
        """
        if not self._busy.acquire(blocking=False):
            raise StateError("a load is running already", "wait until it is done, then press again")
        try:
            self._problem = None
            self._cancel.clear()
            self._say(f"relaunching with {_workers(workers)} …")
            self.server.relaunch(workers=workers)
            self.wanted = workers
            self._say(f"{_workers(workers)} ready; {self.users} users for {self.duration_s:g} s …")
            address = self.server.url + self.path
            load: dict[str, Any] = {"users": self.users, "duration": self.duration_s, "cancel": self._cancel}
            result = load_test(address, progress=False, **load)
            cell = Cell(workers, self._cores(), self.users)
            self.runs.append(Run(cell, sum(run.cell == cell for run in self.runs), result))
            return result
        except LabError as error:
            self._problem = None if isinstance(error, Cancelled) else error
            raise
        finally:
            self._busy.release()
            self._say("")

    def stop(self) -> None:
        """End the load, if one runs, and the server."""
        self._cancel.set()
        self.server.stop()
        self._say("")

    def press(self) -> threading.Thread:
        """What the button does: run with the slider's number, in a thread, so that the page stays alive."""
        if self._thread is None or not self._thread.is_alive():  # a second click meanwhile is none
            self._thread = threading.Thread(target=self._run_wanted, name="worker slider", daemon=True)
            self._thread.start()
        return self._thread

    @property
    def says(self) -> str:
        """The state in one line: what runs, and what the slider only asks for."""
        state, runs = self.server.state, self.server.workers
        if self._doing:
            return f"… {self._doing}"
        if self._problem is not None:
            return f"▲ {_words(self._problem)}"
        if state != "ready":
            return f"○ {state}: no server runs. The slider asks for {_workers(self.wanted)}: press the button."
        if runs != self.wanted:
            return f"! pending: the slider asks for {_workers(self.wanted)}, the server still runs {runs}."
        return f"● READY: {_workers(runs)}, as the slider says."

    def picture(self) -> Any:
        """All loads so far; None before the first."""
        return scaling_plot([run.row() for run in self.runs]) if self.runs else None

    def _cores(self) -> int | None:
        cpus = self.server.launch.cpus
        return None if cpus is None else len(cpus)

    def _run_wanted(self) -> None:
        try:
            self.run(self.wanted)
        except Cancelled:
            return
        except Exception as error:  # a thread has nobody to raise to: it is shown in the state's line
            if self._problem is None:
                self._problem = error
                self._say("")

    # ------------------------------------------------------------------------------------------------------ the view

    def _say(self, doing: str) -> None:
        self._doing = doing
        if not self._parts:
            return
        if not doing and self.runs:
            self._parts["picture"].value = rendered(self.picture())
        self._parts["button"].disabled = bool(doing)
        self._parts["state"].value = f"<b>{escape(self.says)}</b>"

    def _ipython_display_(self) -> None:
        widgets = library()
        by_code = f"{self.name}.run(3)"
        if widgets is None:
            print(f"{self.says}\nby code: {by_code}; then {self.name}.picture()\n{WITHOUT}")
            return
        wide = widgets.Layout(width="28em")
        slider = widgets.IntSlider(
            self.wanted, 1, self.most, description="workers", continuous_update=False, layout=wide
        )
        button = widgets.Button(description="Relaunch and load", button_style="primary")
        self._parts = {"slider": slider, "state": widgets.HTML(), "button": button, "picture": widgets.HTML()}

        def moved(change: Any) -> None:
            self.wanted = change["new"]
            self._say(self._doing)

        slider.observe(moved, names="value")
        button.on_click(lambda _: self.press())
        code = widgets.HTML(f"<small>by code: <code>{escape(by_code)}</code></small>")
        self._say(self._doing)
        show(widgets.VBox([widgets.HBox([slider, button]), self._parts["state"], code, self._parts["picture"]]))


def _workers(number: int) -> str:
    return "1 worker" if number == 1 else f"{number} workers"


def _words(error: Exception) -> str:
    if isinstance(error, LabError):
        return f"{error.message} · hint: {error.hint}"
    return f"{type(error).__name__}: {error}"
