"""Starts a server program as its own command would: this process *is* the program's parent, or its only process.

Run by file path with one argument, the launch's settings as a JSON file. Beyond starting the program it does three
things: it dies with its owner, it writes the status board, and it puts the instrumentation around the loaded app. How
each program is told so stands in under_<program>.py; a broken app fails with the program's own message and exit code.

Standard library and the program only; its own modules are loaded by path under private names, so that an app with a
package called `helpers`, or in a virtual environment without ours, still works. Where workers are spawned (uvicorn's
always) each imports this file once more, by multiprocessing: at the top level it only defines.
"""

import asyncio
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SETTINGS_ENV = "LAB_LAUNCH"
OPEN_FILES = 16_384


def load_privately(path: Path) -> Any:
    """The module in that file, under a name that no app can have or see."""
    name = f"_lab_{path.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
    return sys.modules[name]


def lifeline() -> Any:
    return load_privately(HERE.parents[1] / "lifeline.py")


def under(program: str) -> Any:
    return load_privately(HERE / f"under_{program}.py")


class Slot:
    """One worker: its row on the status board, and what it adds around the app."""

    def __init__(self, settings: "dict[str, Any]") -> None:
        self.settings = settings
        self._board_module = load_privately(HERE / "board.py")
        self._board = self._board_module.Board(settings["board"])
        self._row = self._board.claim()
        if settings["instrument"]:
            load_privately(HERE / "instrument.py").write_stacks_when_asked(os.path.dirname(settings["board"]))

    def wrap(self, app: Any) -> Any:
        """The app with its instrumentation; the app itself where it is to be left alone."""
        if not self.settings["instrument"]:
            return app
        instrument = load_privately(HERE / "instrument.py")
        instrument.leave_access_log_alone()
        told = ("launch", "app", "workers_wanted", "access_log", "loop", "cpus", "runner")
        return instrument.Instrumented(
            app,
            board=self._board,
            board_module=self._board_module,
            row=self._row,
            describe=load_privately(HERE / "endpoint.py").describe,
            launch={**{key: self.settings[key] for key in told}, "parent": launcher()[0]},
        )

    def serves(self) -> None:
        """To be called in a task of the event loop, as soon as the worker takes requests."""
        if self.settings["instrument"]:
            instrument = load_privately(HERE / "instrument.py")
            threads = instrument.thread_pool(self.settings["threads"])
            instrument.beat(asyncio.get_running_loop(), self._row, self._board_module, threads)
        self._row.ready()

    def gone(self) -> None:
        self._row.gone()


def launcher() -> "tuple[int, str]":
    """The pid of the process that was launched, and its settings file."""
    pid, _, path = os.environ[SETTINGS_ENV].partition(":")
    return int(pid), path


def worker_slot() -> Slot:
    """First thing in a worker: tie it to its parent, and take its place."""
    parent, path = launcher()
    lifeline().die_with_parent(parent)
    return Slot(json.loads(Path(path).read_text()))


def uvicorn_worker(*args: Any, **kwargs: Any) -> None:
    """Runs in each of uvicorn's workers in the place of its own first function, which it then calls."""
    slot = worker_slot()
    under("uvicorn").run_worker(slot, *args, **kwargs)


def granian_app() -> Any:
    """Loads the app in each of granian's workers."""
    slot = worker_slot()
    return under("granian").load(slot)


def allow_many_connections() -> None:
    """Raise the soft limit of open files: with the usual 1,024 a thousand waiting users would not fit."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main() -> None:
    settings = json.loads(Path(sys.argv[1]).read_text())
    if settings["cpus"] is not None:  # before the first thread is started: it holds for those started later only
        os.sched_setaffinity(0, settings["cpus"])
    lifeline().die_with_owner()
    allow_many_connections()
    os.environ[SETTINGS_ENV] = f"{os.getpid()}:{sys.argv[1]}"
    sys.path[0] = settings["app_dir"]  # not this file's folder, as if the app's own script had been started
    sys.argv[1:] = []
    load_privately(HERE / "log_cap.py").start(settings["log"])
    under(settings["runner"]).serve(settings, sys.modules[__name__])


if __name__ == "__main__":
    main()
