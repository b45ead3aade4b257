"""How a server program is started, and what it can do while it runs: one small interface, one class per program."""

import importlib.util
import inspect
import json
import os
import re
import signal
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from helpers.errors import InputError

CHILD = Path(__file__).parent / "child"
_PLAIN = r"(?:int|float|bool|str)(?: \| None)?"
GRACEFUL_SHUTDOWN_S = 3  # the programs' own defaults wait for requests in hand for long, or without limit


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


class Runner(ABC):
    """A server program. `options` are its own settings by its own names."""

    name: ClassVar[str]
    # What is an argument of Server itself, or would take the launch out of its hands.
    reserved: ClassVar[frozenset[str]]
    options_are: ClassVar[str]  # how its settings are called, and where they are described
    described_in: ClassVar[str]

    @abstractmethod
    def known(self) -> Collection[str]:
        """The names of its settings."""

    @abstractmethod
    def arguments(self, launch: Launch) -> dict[str, Any]:
        """What its child program is to hand to it, `launch.options` apart."""

    def refuses(self, option: str, value: Any) -> str | None:
        """Why it would not take that value, where this can be told without starting it."""
        return None

    def has_parent(self, workers: int) -> bool:
        """Whether a process stands above that many workers, which replaces a dead one and takes signals for all."""
        return True

    def scale_signal(self, up: bool) -> int | None:
        """The signal that adds or removes one worker; None where there is none."""
        return _signal("SIGTTIN" if up else "SIGTTOU")

    def restart_signal(self) -> int | None:
        """The signal that replaces all workers while it serves; None where there is none."""
        return _signal("SIGHUP")

    def require(self) -> None:
        """Raises InputError where this interpreter does not have it."""
        if importlib.util.find_spec(self.name) is None:
            raise InputError(
                f"runner={self.name!r}: {self.name} is not installed", f"python -m pip install {self.name}"
            )

    def check(self, options: Mapping[str, Any]) -> None:
        """Raises InputError for an option that it does not know, or would refuse."""
        if not options:
            return  # to look at its settings costs 0.1 s
        self.require()
        known = set(self.known())
        for option, value in options.items():
            if option in self.reserved:
                raise InputError(
                    f"options cannot set {option!r}", f"pass {option}=... to Server itself, where it exists"
                )
            if option not in known:
                raise InputError(f"{self.options_are} {option!r}", self.described_in)
            try:
                json.dumps(value)
            except (TypeError, ValueError):
                raise InputError(
                    f"options[{option!r}] = {value!r} cannot be handed to another process",
                    "give it as text, a number, a list or a dict; a class by its import string, such as 'h11'",
                ) from None
            if why := self.refuses(option, value):
                raise InputError(f"options[{option!r}] = {value!r} cannot be: {why}", self.described_in)

    def command(self, launch: Launch, settings_file: Path) -> list[str]:
        """The command line that starts it."""
        return [launch.python, str(CHILD / "launch.py"), str(settings_file)]

    def settings(self, launch: Launch) -> dict[str, Any]:
        """What its child program reads from the settings file, beside the paths that the launch adds."""
        return {
            "runner": self.name,
            "app": launch.app,
            "workers": launch.workers,
            "workers_wanted": launch.workers,
            "app_dir": launch.app_dir,
            "cpus": launch.cpus,
            "loop": launch.loop,
            "access_log": launch.access_log,
            "instrument": launch.instrument,
            "threads": launch.threads,
            "arguments": {**self.arguments(launch), **launch.options},
        }


class Uvicorn(Runner):
    """uvicorn, started through `uvicorn.run` as the post does."""

    name = "uvicorn"
    reserved = frozenset(
        {"app", "host", "port", "workers", "loop", "access_log", "app_dir", "uds", "fd", "reload", "use_colors"}
    )
    options_are = "uvicorn.run has no argument"
    described_in = "see `uvicorn --help`; names are written with underscores, such as limit_concurrency"

    def known(self) -> Collection[str]:
        import uvicorn

        return inspect.signature(uvicorn.run).parameters

    def arguments(self, launch: Launch) -> dict[str, Any]:
        return {
            "host": launch.host,
            "port": launch.port,
            "loop": launch.loop,
            "access_log": launch.access_log,
            "use_colors": False,
            "timeout_graceful_shutdown": GRACEFUL_SHUTDOWN_S,
        }

    def has_parent(self, workers: int) -> bool:
        return workers > 1


class Gunicorn(Runner):
    """gunicorn with its own ASGI worker, as `gunicorn -k asgi` starts it."""

    name = "gunicorn"
    reserved = frozenset(
        {"bind", "workers", "worker_class", "asgi_loop", "accesslog", "chdir", "wsgi_app", "config", "daemon", "reload"}
        | {"post_fork", "post_worker_init", "worker_exit", "nworkers_changed"}  # the hooks of child/under_gunicorn.py
    )
    options_are = "gunicorn has no setting"
    described_in = "see `gunicorn --help`; names are written with underscores, such as reuse_port or timeout"

    def require(self) -> None:
        if os.name != "posix":
            raise InputError(
                "runner='gunicorn': it does not run on this system",
                "it does in WSL; uvicorn and granian run here as well",
            )
        super().require()

    def known(self) -> Collection[str]:
        from gunicorn.config import KNOWN_SETTINGS

        return [setting.name for setting in KNOWN_SETTINGS]

    def refuses(self, option: str, value: Any) -> str | None:
        from gunicorn.config import Config

        try:
            Config().set(option, value)
        except Exception as error:  # each setting raises what it likes
            return str(error)
        return None

    def arguments(self, launch: Launch) -> dict[str, Any]:
        host = f"[{launch.host}]" if ":" in launch.host else launch.host
        return {
            "bind": f"{host}:{launch.port}",
            "worker_class": "asgi",
            "asgi_loop": launch.loop,
            "accesslog": "-" if launch.access_log else None,
            "graceful_timeout": GRACEFUL_SHUTDOWN_S,
            "control_socket_disable": True,  # it would be one for all gunicorns of this user
        }


class Granian(Runner):
    """granian with its ASGI interface."""

    name = "granian"
    reserved = frozenset(
        {"target", "address", "port", "uds", "interface", "workers", "loop", "log_access", "working_dir", "reload"}
    )
    options_are = "granian has no argument"
    described_in = "see `granian --help`; names are written with underscores, such as workers_kill_timeout"

    def known(self) -> Collection[str]:
        return self._parameters()

    def refuses(self, option: str, value: Any) -> str | None:
        from granian import constants, log

        kind = self._parameters()[option].annotation  # as text
        choices = getattr(constants, kind, getattr(log, kind, None))
        if choices is not None:
            names = [choice.value for choice in choices]
            return None if value in names else f"choose one of: {', '.join(names)}"
        return None if re.fullmatch(_PLAIN, kind) else "it takes an object, which cannot be handed to another process"

    def arguments(self, launch: Launch) -> dict[str, Any]:
        return {
            "address": launch.host,
            "port": launch.port,
            "log_access": launch.access_log,
            "workers_kill_timeout": GRACEFUL_SHUTDOWN_S,
        }

    def _parameters(self) -> Mapping[str, inspect.Parameter]:
        from granian.server.common import AbstractServer

        return inspect.signature(AbstractServer).parameters

    def scale_signal(self, up: bool) -> int | None:
        return None


RUNNERS: dict[str, Runner] = {runner.name: runner for runner in (Uvicorn(), Gunicorn(), Granian())}


def runner_named(name: str) -> Runner:
    """The runner of that name. Raises InputError with the names there are."""
    try:
        return RUNNERS[name]
    except (KeyError, TypeError):
        raise InputError(f"there is no runner {name!r}", f"choose one of: {', '.join(RUNNERS)}") from None


def _signal(name: str) -> int | None:
    number = getattr(signal, name, None)  # Windows has none of them
    return None if number is None else int(number)
