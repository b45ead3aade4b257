"""The panel without its face: a server, what is wanted of it, what runs, and what was measured. No widgets in here.

Whatever is slow runs in one thread of the model's own. A new request calls off the one under way and replaces one that
has not begun: the last one wins.
"""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from helpers.errors import InputError, LabError, StateError
from helpers.load.progress import Progress
from helpers.load.result import LoadResult
from helpers.load.run import Cancelled, load_test
from helpers.server.server import Server
from helpers.teach.panel.history import History
from helpers.teach.panel.settings import Settings, pending

State = Literal["stopped", "launching", "ready", "loading", "stopping", "degraded", "died", "closed"]
Request = Literal["relaunch", "load", "stop"]
_TESTING = threading.Lock()  # held by the panel that measures
STOP_GRACE_S = 0.4  # a click on Stop is answered within a second


class PanelModel:
    """`set(workers=2)` asks, `relaunch()`, `load()` and `stop()` do; each returns at once, `wait()` when all is done.

    `changed` is called, from whatever thread, after every change.
    """

    def __init__(self, wanted: Settings, *, changed: Callable[[], None] = lambda: None, **server: Any) -> None:
        self.server_arguments = server
        self.server = Server(**server, **wanted.launch)
        self.wanted = wanted
        self.running = wanted
        self.history = History()
        self.result: LoadResult | None = None
        self.progress: Progress | None = None
        self.problem: LabError | None = None
        self.note = ""  # what happened last, where neither state nor result says it
        self._changed = changed
        self._doing: Request | Literal["launch"] | None = None
        self._next: Request | None = None
        self._closed = False
        self._telling = False  # it is done, but has not been drawn yet
        self._told_of_death = False
        self._cancel = threading.Event()
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopper: threading.Thread | None = None

    # ------------------------------------------------------------------------------------------------- what it is

    @property
    def state(self) -> State:
        """What is true now: of what is being done first, else of the server's processes."""
        if self._closed:
            return "closed"
        if self._doing == "load":
            return "loading"
        if self._doing == "stop":
            return "stopping"
        if self._doing is not None:
            return "launching"
        found = self.server.state
        return "launching" if found == "starting" else found

    @property
    def busy(self) -> bool:
        """Whether something is under way, or about to be."""
        return self._doing is not None or self._next is not None

    @property
    def pending(self) -> list[str]:
        """What is wanted of the server and is not so yet; nothing while no server runs."""
        return pending(self.wanted, self.running) if self.server.state in ("ready", "degraded") else []

    @property
    def in_hand(self) -> int:
        """Requests that the workers have begun and not finished: after a test, those whose users have left."""
        try:
            return max(0, sum(started - finished for started, finished in self.server.counts().values()))
        except LabError:
            return 0

    # ------------------------------------------------------------------------------------------------ what it does

    def set(self, **changes: Any) -> None:
        """Ask for other settings. They are pending until the next relaunch or load. Raises InputError for a name."""
        unknown = set(changes) - set(Settings.__dataclass_fields__)
        if unknown:
            raise InputError(
                f"the panel has no setting {min(unknown)!r}", f"{', '.join(Settings.__dataclass_fields__)}"
            )
        wanted = replace(self.wanted, **changes)
        if wanted != self.wanted:
            self.wanted = wanted
            self._tell()

    def relaunch(self) -> None:
        """Start the server with what is wanted, or start it anew."""
        self._request("relaunch")

    def load(self) -> None:
        """Load the server that runs; where none does, launch it first."""
        self._request("load")

    def stop(self) -> None:
        """End the load test or the launch that is under way, else the server."""
        self._request("stop")

    def clear(self) -> None:
        """Forget what was measured."""
        self.history, self.result, self.note = History(), None, ""
        self._tell()

    def close(self) -> None:
        """End everything, for good. Twice does no harm."""
        with self._wake:
            self._closed, self._next = True, None
            self._cancel.set()
            self._wake.notify_all()
        self.server.stop(grace_s=0.0)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        self._tell()

    def wait(self, within_s: float = 60.0) -> "PanelModel":
        """Return when nothing is under way any more. Raises StateError when that takes too long."""
        with self._wake:
            if not self._wake.wait_for(lambda: not (self.busy or self._telling) or self._closed, within_s):
                raise StateError(
                    f"the panel is still {self.state} after {within_s:g} s", "stop() ends what is under way"
                )
        return self

    def look(self) -> None:
        """Notice what happened to the server from outside. The view calls it twice a second."""
        if self.busy or self._closed:
            return
        if self._notice_death():
            self._tell()

    # --------------------------------------------------------------------------------------------------- plumbing

    def _request(self, request: Request) -> None:
        if self._closed:
            raise StateError("this panel is closed", "run its cell again")
        with self._wake:
            doing = self._doing
            self._cancel.set()  # whatever runs: what is asked now replaces it
            called_off = doing is not None or self._next is not None
            self._next = None if request == "stop" and called_off else request
            self._wake.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="lab-panel", daemon=True)
                self._thread.start()
            if doing in ("relaunch", "launch"):  # a start holds the server's lock until it is called off
                self._stopper = threading.Thread(target=self.server.stop, kwargs={"grace_s": 0.0}, daemon=True)
                self._stopper.start()
        self._tell()

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._next is not None or self._closed)
                if self._closed or self._next is None:
                    return
                request, self._next = self._next, None
                up = self.server.state in ("ready", "degraded")
                self._doing = "launch" if request == "load" and not up else request
                self._telling = True
                stopper = self._stopper
                self._cancel.clear()
                self.problem, self.note = None, ""
            self._tell()
            if stopper is not None:
                stopper.join()  # it is meant for the launch before
            try:
                self._do(request)
            except Cancelled:
                self.note = "The load test was stopped; nothing of it is kept."
            except LabError as error:
                self._keep(error)
            except Exception as error:  # a thread has nobody to raise to: it is shown in the panel
                self._keep(_fault(error))
            finally:
                self._notice_death()
                self._doing, self.progress = None, None
                self._tell()
                with self._wake:
                    self._telling = False
                    self._wake.notify_all()

    def _do(self, request: Request) -> None:
        if request == "stop":
            self.server.stop(grace_s=STOP_GRACE_S)
            return
        if request == "relaunch" or self.server.state not in ("ready", "degraded"):
            self._launch()
        if request == "load" and not self._cancel.is_set():
            self._load()

    def _launch(self) -> None:
        self._doing, self._told_of_death = "launch", False
        wanted = self.wanted
        self.server.relaunch(grace_s=STOP_GRACE_S, **wanted.launch)
        self.running = wanted
        self._tell()

    def _load(self) -> None:
        if not _TESTING.acquire(blocking=False):
            raise StateError(
                "another panel of this notebook is testing", "wait until it is done: two tests at once void each other"
            )
        try:
            self._load_alone()
        finally:
            _TESTING.release()

    def _load_alone(self) -> None:
        self._doing = "load"
        launched = self.running
        chosen = replace(self.wanted, workers=launched.workers, cores=launched.cores, loop=launched.loop)
        self._tell()
        url = self.server.url + chosen.path
        result = load_test(url, **chosen.load, progress=False, on_progress=self._heard, cancel=self._cancel)
        self.result = result
        self.history = self.history.with_trial(chosen, result)

    def _heard(self, progress: Progress) -> None:
        self.progress = progress

    def _notice_death(self) -> bool:
        """Say once that the server has died; True when that is news."""
        if self.server.state != "died" or self._told_of_death:
            return False
        self._told_of_death = True
        self.problem = StateError(
            "the server has ended, and not through this panel", "its log says how far it came; Relaunch starts it again"
        )
        return True

    def _tell(self) -> None:
        """A picture that cannot be drawn must not end the thread that everything else waits for."""
        try:
            self._changed()
        except Exception as error:
            self.problem = _fault(error)

    def _keep(self, error: LabError) -> None:
        """A problem is shown, unless it is only that somebody called it off."""
        if not self._cancel.is_set():
            self.problem = error


def _fault(error: Exception) -> LabError:
    return LabError(f"{type(error).__name__}: {error}", "this is a fault of the panel itself; Relaunch goes on")
