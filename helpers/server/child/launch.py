"""Starts uvicorn as the post does: this process *is* the uvicorn parent, or with one worker the server itself.

Run by file path with one argument, the launch's settings as a JSON file. Beyond `uvicorn.run(...)` it does three
things: it dies with its owner, it writes the status board, and it puts the instrumentation around the loaded app. All
three are hooked into uvicorn from outside, so that a broken app fails with uvicorn's own message and exit code.

Standard library and uvicorn only; its own modules are loaded by path under private names, so that an app with a package
called `helpers`, or in a virtual environment without ours, still works. In each worker this file is imported once more,
by multiprocessing: at the top level it only defines.
"""

import asyncio
import importlib.util
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SETTINGS_ENV = "LAB_LAUNCH"
OPEN_FILES = 16_384
LOG_CAP_BYTES = 16 * 2**20
LOG_KEPT_BYTES = 2**20
LOG_LOOK_EVERY_S = 0.25


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


class Hooks:
    """What is added to uvicorn inside a process that serves requests."""

    def __init__(self, settings: "dict[str, Any]") -> None:
        self.settings = settings
        self.board_module = load_privately(HERE / "board.py")
        self.board = self.board_module.Board(settings["board"])
        self.row = self.board.claim()

    def install(self) -> None:
        import uvicorn

        self._wrap_life_cycle(uvicorn.Server)
        if self.settings["instrument"]:
            self._wrap_load(uvicorn.Config)
            load_privately(HERE / "instrument.py").write_stacks_when_asked(os.path.dirname(self.settings["board"]))

    def _wrap_life_cycle(self, server_class: Any) -> None:
        startup, shutdown = server_class.startup, server_class.shutdown

        async def startup_and_tell(server: Any, *args: Any, **kwargs: Any) -> None:
            await startup(server, *args, **kwargs)
            if server.started:
                if self.settings["instrument"]:
                    instrument = load_privately(HERE / "instrument.py")
                    threads = instrument.thread_pool(self.settings["threads"])
                    instrument.beat(asyncio.get_running_loop(), self.row, self.board_module, threads)
                self.row.ready()

        async def shutdown_and_tell(server: Any, *args: Any, **kwargs: Any) -> None:
            await shutdown(server, *args, **kwargs)
            self.row.gone()

        server_class.startup, server_class.shutdown = startup_and_tell, shutdown_and_tell

    def _wrap_load(self, config_class: Any) -> None:
        load = config_class.load
        launch = {key: self.settings[key] for key in ("launch", "app", "workers_wanted", "access_log", "loop", "cpus")}

        def load_and_wrap(config: Any) -> None:
            load(config)
            instrument = load_privately(HERE / "instrument.py")
            instrument.leave_access_log_alone()
            config.loaded_app = instrument.Instrumented(
                config.loaded_app,
                board=self.board,
                board_module=self.board_module,
                row=self.row,
                describe=load_privately(HERE / "endpoint.py").describe,
                launch={**launch, "parent": int(os.environ[SETTINGS_ENV].partition(":")[0])},
            )

        config_class.load = load_and_wrap


def serve_as_worker(*args: Any, **kwargs: Any) -> None:
    """Runs in each worker in the place of uvicorn's own first function, which it then calls."""
    launcher, _, settings_path = os.environ[SETTINGS_ENV].partition(":")
    lifeline().die_with_parent(int(launcher))
    from uvicorn._subprocess import subprocess_started

    Hooks(json.loads(Path(settings_path).read_text())).install()
    subprocess_started(*args, **kwargs)


def cap_log(path: str) -> None:
    """Keep the log from filling the disk: past the cap only its last part stays. Writers append: none is disturbed."""
    while True:
        time.sleep(LOG_LOOK_EVERY_S)
        try:
            if os.path.getsize(path) > LOG_CAP_BYTES:
                with open(path, "r+b") as log:
                    log.seek(-LOG_KEPT_BYTES, os.SEEK_END)
                    kept = log.read().partition(b"\n")[2]
                    log.truncate(0)
                with open(path, "ab") as log:
                    log.write(b"[the log passed %d MB; earlier lines were dropped]\n" % (LOG_CAP_BYTES >> 20) + kept)
        except OSError:  # the owner has removed the launch's folder: nothing is left to cap
            return


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
    threading.Thread(target=cap_log, args=(settings["log"],), daemon=True, name="lab-log-cap").start()

    import uvicorn
    import uvicorn._subprocess

    if settings["workers"] == 1:  # as in the post, the number is not even mentioned
        Hooks(settings).install()
        uvicorn.run(settings["app"], **settings["uvicorn"])
    else:
        uvicorn._subprocess.subprocess_started = serve_as_worker
        uvicorn.run(settings["app"], workers=settings["workers"], **settings["uvicorn"])


if __name__ == "__main__":
    main()
