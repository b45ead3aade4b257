"""How a server program is started, and what it can do while it runs: one small interface, one class per program."""

import inspect
import json
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from helpers.errors import InputError

CHILD = Path(__file__).parent / "child"
# These are arguments of Server itself, or would take the launch out of its hands.
RESERVED = {"app", "host", "port", "workers", "loop", "access_log", "app_dir", "uds", "fd", "reload", "use_colors"}
GRACEFUL_SHUTDOWN_S = 3  # uvicorn's own default waits for requests in hand without limit


@dataclass(frozen=True)
class Launch:
    """Everything one launch was asked for, after validation.

    `cpus` are the ids of the CPUs it may use; `port` is 0 where it was left open and is not chosen yet.
    """

    app: str
    workers: int
    host: str
    port: int
    cpus: tuple[int, ...] | None
    loop: str
    access_log: bool
    instrument: bool
    options: Mapping[str, Any]
    app_dir: str
    runner: str
    env: Mapping[str, str]
    python: str
    threads: int | None
    start_timeout_s: float


class Runner(Protocol):
    """A server program. `options` are its own settings by its own names."""

    name: str

    def check(self, options: Mapping[str, Any]) -> None:
        """Raises InputError for an option that the program does not know."""

    def command(self, launch: Launch, settings_file: Path) -> list[str]:
        """The command line that starts it."""

    def settings(self, launch: Launch) -> dict[str, Any]:
        """What its child program reads from the settings file, beside the paths that the launch adds."""

    def scale_signal(self, up: bool) -> int | None:
        """The signal that adds or removes one worker; None where it cannot."""


class Uvicorn:
    """uvicorn, started through `uvicorn.run` as the post does."""

    name = "uvicorn"

    def check(self, options: Mapping[str, Any]) -> None:
        if not options:
            return
        import uvicorn  # late: 0.1 s that a launch without options need not pay

        known = set(inspect.signature(uvicorn.run).parameters) - RESERVED
        for option in options:
            if option in RESERVED:
                raise InputError(
                    f"options cannot set {option!r}", f"pass {option}=... to Server itself, where it exists"
                )
            if option not in known:
                raise InputError(
                    f"uvicorn.run has no argument {option!r}",
                    "see `uvicorn --help`; names are written with underscores, such as limit_concurrency",
                )
            try:
                json.dumps(options[option])
            except (TypeError, ValueError):
                raise InputError(
                    f"options[{option!r}] = {options[option]!r} cannot be handed to another process",
                    "give it as text, a number, a list or a dict; a class by its import string, such as 'h11'",
                ) from None

    def command(self, launch: Launch, settings_file: Path) -> list[str]:
        return [launch.python, str(CHILD / "launch.py"), str(settings_file)]

    def settings(self, launch: Launch) -> dict[str, Any]:
        return {
            "app": launch.app,
            "workers": launch.workers,
            "workers_wanted": launch.workers,
            "app_dir": launch.app_dir,
            "cpus": launch.cpus,
            "loop": launch.loop,
            "access_log": launch.access_log,
            "instrument": launch.instrument,
            "threads": launch.threads,
            "uvicorn": {
                "host": launch.host,
                "port": launch.port,
                "loop": launch.loop,
                "access_log": launch.access_log,
                "use_colors": False,
                "timeout_graceful_shutdown": GRACEFUL_SHUTDOWN_S,
                **launch.options,
            },
        }

    def scale_signal(self, up: bool) -> int | None:
        name = "SIGTTIN" if up else "SIGTTOU"
        number = getattr(signal, name, None)  # Windows has neither
        return None if number is None else int(number)


RUNNERS: dict[str, Runner] = {runner.name: runner for runner in (Uvicorn(),)}


def runner_named(name: str) -> Runner:
    """The runner of that name. Raises InputError with the names there are."""
    try:
        return RUNNERS[name]
    except (KeyError, TypeError):
        raise InputError(f"there is no runner {name!r}", f"choose one of: {', '.join(RUNNERS)}") from None
