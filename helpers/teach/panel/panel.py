"""`Panel()`: sliders for workers, cores and users, the live process tree, and a picture that answers.

    panel = Panel()
    panel

What its controls do, code does as well: `panel.set(workers=2); panel.relaunch(); panel.load(); panel.wait()`.
"""

from collections.abc import Sequence
from typing import Any

from helpers.experiment import PINNING
from helpers.machine import usable_cpus
from helpers.server.server import Server
from helpers.teach.cells import belongs_to_cell
from helpers.teach.panel.model import PanelModel
from helpers.teach.panel.parts import state_line
from helpers.teach.panel.settings import Settings, experiment
from helpers.teach.predict import Prediction
from helpers.teach.widgets import WITHOUT, html, library, show

DEMO = "helpers.demo.api:app"
DEMO_PATHS = ("/cpu", "/cpu-def", "/sleep", "/blocking", "/blocking-def", "/native", "/health")


class Panel:
    """A server with a face. Its server ends with `close()`, with its cell run again, and with the kernel.

    `cores` holds the server to so many of the cores (Linux; default: all that can be used). `bet` is drawn into the
    result: a number (times the first test) or a `predict(...)`. `load=False` leaves the load test out: a slider, a tree
    and no more. `projector=True` is for a wall. `paths` are the endpoints on offer; anything else goes to `Server`.
    """

    def __init__(
        self,
        app: str = DEMO,
        *,
        workers: int = 1,
        cores: int | None = None,
        users: int = 16,
        duration: float = 2.0,
        path: str = "/cpu",
        paths: Sequence[str] = (),
        loop: str = "auto",
        burst: bool = False,
        bet: float | Prediction | None = None,
        load: bool = True,
        projector: bool = False,
        **server: Any,
    ) -> None:
        usable = usable_cpus().usable
        held = min(cores or usable, usable) if PINNING else None
        wanted = Settings(workers, held, loop, users, float(duration), path, burst)
        self.model = PanelModel(wanted, changed=self._changed, app=app, **server)
        self._paths = list(dict.fromkeys([path, *(paths or (DEMO_PATHS if app == DEMO else ()))]))
        self._cores, self._bet, self._with_load, self._projector = usable, bet, load, projector
        self._view: Any = None
        belongs_to_cell(self)  # a cell run again ends the panel that it had made before

    # -------------------------------------------------------------------------------------------- the same, by code

    @property
    def server(self) -> Server:
        """The server behind it."""
        return self.model.server

    def set(self, **changes: Any) -> "Panel":
        """Move the controls: `set(workers=2, users=32)`. Pending until relaunch() or load()."""
        self.model.set(**changes)
        return self

    def relaunch(self) -> "Panel":
        """What the button does; returns at once, wait() when it is done."""
        self.model.relaunch()
        return self

    def load(self) -> "Panel":
        """What the button does; returns at once, wait() when it is done."""
        self.model.load()
        return self

    def stop(self) -> "Panel":
        """End the test or the launch under way, else the server; returns at once."""
        self.model.stop()
        return self

    def wait(self, within_s: float = 60.0) -> "Panel":
        """Until nothing is under way. Raises what went wrong, as code should."""
        self.model.wait(within_s)
        if self.model.problem is not None:
            raise self.model.problem
        return self

    def close(self) -> None:
        """End the server and the live view. Twice does no harm."""
        self.model.close()
        if self._view is not None:
            self._view.close()

    def code(self) -> str:
        """The whole experiment as a cell of its own."""
        return experiment(self.model.wanted, self.model.server_arguments)

    # ----------------------------------------------------------------------------------------------------- showing

    def __repr__(self) -> str:
        return f"<Panel: {self.model.state}, {self.model.wanted}>"

    def _ipython_display_(self) -> None:
        widgets = library()
        if widgets is None:
            show(html(state_line(self.model)))
            print(f"by code: panel.set(workers=2).relaunch().load().wait()\n{self.code()}\n{WITHOUT}")
            return
        if self._view is None:
            from helpers.teach.panel.view import PanelView

            self._view = PanelView(
                widgets, self.model, cores=self._cores, pinning=PINNING, paths=self._paths, bet=self._bet_value,
                with_load=self._with_load, projector=self._projector,
            )  # fmt: skip
            self._view.box.observe(self._widget_closed, names="comm")
        show(self._view.box)

    def _bet_value(self) -> float | None:
        return self._bet.value if isinstance(self._bet, Prediction) else self._bet

    def _changed(self) -> None:
        view = getattr(self, "_view", None)  # the model may speak before the panel is whole
        if view is not None:
            view.refresh()

    def _widget_closed(self, change: Any) -> None:
        if change["new"] is None:
            self.close()
