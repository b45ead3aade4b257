"""What may be asked of a Server: each argument checked, each error naming the value and the way out."""

import os
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from helpers.errors import InputError
from helpers.machine import usable_cpus
from helpers.server.runners import Launch, runner_named

WORKERS_MOST = 64
THREADS_MOST = 1_000
LOOPS = ("auto", "asyncio", "uvloop")


def checked(
    app: str,
    *,
    workers: int,
    host: str,
    cpus: int | Collection[int] | None,
    loop: str,
    access_log: bool,
    runner: str,
    instrument: bool,
    options: Mapping[str, Any] | None,
    app_dir: str | os.PathLike[str] | None,
    port: int | None,
    env: Mapping[str, str] | None,
    python: str | os.PathLike[str] | None,
    threads: int | None,
    start_timeout_s: float,
) -> Launch:
    """The launch that these arguments describe. Raises InputError."""
    settings = _mapping("options", options, 'such as {"limit_concurrency": 5}')
    program = runner_named(runner)
    if python is None:
        program.require()
    program.check(settings)
    if loop not in LOOPS:
        raise InputError(f"loop={loop!r} is unknown", f"choose one of: {', '.join(LOOPS)}")
    return Launch(
        app=_app(app),
        workers=checked_workers(workers),
        host=_host(host),
        port=checked_port(port) or 0,
        cpus=_cpus(cpus),
        loop=loop,
        access_log=bool(access_log),
        instrument=bool(instrument),
        options=settings,
        app_dir=_folder(app_dir),
        runner=runner,
        env=_env(env),
        python=_python(python),
        threads=_threads(threads),
        start_timeout_s=_seconds(start_timeout_s),
    )


def checked_workers(workers: int, *, least: int = 1) -> int:
    """The number of workers, if it is one. Raises InputError."""
    if isinstance(workers, bool) or not isinstance(workers, int):
        raise InputError(f"workers={workers!r} is not a whole number", "give a number such as workers=2")
    if workers < least:
        raise InputError(f"workers={workers} is too few", f"{least} is the least: somebody has to serve")
    if workers > WORKERS_MOST:
        raise InputError(
            f"workers={workers} is too many",
            f"this course starts at most {WORKERS_MOST}; more workers than cores do not make a service faster",
        )
    return workers


def checked_port(port: int | None) -> int | None:
    """The port, if it is one; None means: 5012, else the next free one. Raises InputError."""
    if port is None:
        return None
    if isinstance(port, bool) or not isinstance(port, int):
        raise InputError(f"port={port!r} is not a whole number", "give a number such as port=5012, or leave it out")
    if not 1 <= port <= 65535:
        raise InputError(f"port={port} does not exist", "ports go from 1 to 65535; leave it out to get a free one")
    return port


def _app(app: str) -> str:
    if not isinstance(app, str):
        raise InputError(
            f"app={type(app).__name__} object: the app must be given as text",
            'write "module:variable", such as "api:app": each worker is a new process and imports the app itself',
        )
    module, colon, attribute = app.partition(":")
    if not (module and colon and attribute):
        raise InputError(f"app={app!r} is not of the form module:variable", 'write for instance "helpers.demo.api:app"')
    return app


def _host(host: str) -> str:
    if not isinstance(host, str) or not host:
        raise InputError(f"host={host!r} is not an address", 'use "127.0.0.1": only this machine can reach it')
    return host


def _cpus(cpus: int | Collection[int] | None) -> tuple[int, ...] | None:
    """The ids of the CPUs: the first so many of the usable ones for a number, those themselves for a set of ids."""
    if cpus is None:
        return None
    if not hasattr(os, "sched_setaffinity"):
        raise InputError(
            f"cpus={cpus!r} cannot be done on this system",
            "only Linux can bind a process to CPUs; leave cpus out, and look at the cores' worth of CPU instead",
        )
    usable = sorted(os.sched_getaffinity(0))
    ids = [cpus] if isinstance(cpus, int) else cpus
    if not isinstance(ids, Collection) or not all(isinstance(cpu, int) and not isinstance(cpu, bool) for cpu in ids):
        raise InputError(
            f"cpus={cpus!r} is neither a number nor a set of numbers", "write cpus=1, or ids such as cpus={0}"
        )
    wanted = tuple(usable[: max(cpus, 0)]) if isinstance(cpus, int) else tuple(sorted(set(cpus)))
    if not wanted:
        raise InputError(f"cpus={cpus!r} leaves no CPU to run on", f"this process may use {_listed(usable)}")
    missing = [cpu for cpu in wanted if cpu not in usable] or (isinstance(cpus, int) and cpus > len(usable))
    if missing:
        raise InputError(
            f"cpus={cpus!r} is out of range", f"{usable_cpus().why}; this process may use {_listed(usable)}"
        )
    return wanted


def _python(python: str | os.PathLike[str] | None) -> str:
    """The interpreter as it was named: a virtual environment's is a link, which must not be followed."""
    if python is None:
        return sys.executable
    path = Path(python).expanduser().absolute()
    if path.is_dir():  # the environment's own folder
        path = path / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not path.is_file() or not os.access(path, os.X_OK):
        raise InputError(
            f"python={str(python)!r} is no interpreter", "give its file, such as ../service/.venv/bin/python"
        )
    return str(path)


def _threads(threads: int | None) -> int | None:
    if threads is None:
        return None
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= THREADS_MOST:
        raise InputError(
            f"threads={threads!r} is no size of a thread pool", f"give 1 to {THREADS_MOST}, or leave it out"
        )
    return threads


def _mapping(name: str, given: Mapping[str, Any] | None, example: str) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(key, str) for key in given):
        raise InputError(f"{name}={given!r} is not a dict with names as keys", f"write a dict {example}")
    return dict(given)


def _env(env: Mapping[str, str] | None) -> dict[str, str]:
    variables = _mapping("env", env, 'such as {"DOWNSTREAM_URL": "http://127.0.0.1:5013"}')
    for name, value in variables.items():
        if not isinstance(value, str) or not name or "=" in name or "\0" in name + value:
            raise InputError(
                f"env: {name!r} = {value!r} is no environment variable", "name and value are text, such as {'N': '4'}"
            )
    return variables


def _seconds(start_timeout_s: float) -> float:
    number = isinstance(start_timeout_s, int | float) and not isinstance(start_timeout_s, bool)
    if not number or not start_timeout_s > 0:
        raise InputError(f"start_timeout_s={start_timeout_s!r} is no time", "give seconds, such as 30")
    return float(start_timeout_s)


def _listed(ids: list[int]) -> str:
    return f"CPU {ids[0]}" if len(ids) == 1 else f"CPUs {', '.join(map(str, ids))}"


def _folder(app_dir: str | os.PathLike[str] | None) -> str:
    folder = Path.cwd() if app_dir is None else Path(app_dir).expanduser().resolve()
    if not folder.is_dir():
        raise InputError(f"app_dir={str(app_dir)!r} is not a folder", "give the folder from which the app is imported")
    return str(folder)
