"""Which port a launch gets: 5012 as in the post, else the next free one, and no two launches at a time on one."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from helpers import proc
from helpers.errors import InputError, PortError
from helpers.server import registry

POSTS_PORT = 5012
TRIED_AFTER_IT = 200


@dataclass(frozen=True)
class _Problem:
    what: str
    hint: str


@contextmanager
def reserved(
    host: str, port: int | None, *, first: int | None = None, skip: frozenset[int] = frozenset()
) -> Iterator[int]:
    """Hold a port that can be bound, against all other launches, until the block ends.

    `port=None` takes `first` if it is free, else the first free one from 5012 on, without those in `skip`.
    Raises PortError, and InputError for a host that is not this machine.
    """
    for candidate in _candidates(port, first):
        if candidate in skip:
            continue
        with registry.port_lock(candidate) as mine:
            problem = _problem(host, candidate) if mine else _taken("another launch is just starting there")
            if problem is None:
                yield candidate
                return
            if port is not None:
                raise PortError(f"port {port} cannot be used: {problem.what}", problem.hint)
    raise PortError(
        f"none of the ports {POSTS_PORT} to {POSTS_PORT + TRIED_AFTER_IT - 1} is free on {host}",
        "see who holds them with `python3 -m helpers servers`, or name a port yourself",
    )


def any_free(host: str) -> int:
    """A port that is free at this moment, far from the post's."""
    with socket.create_server((host, 0)) as trial:
        return int(trial.getsockname()[1])


def taken_by(port: int) -> str:
    """Who listens on the port, for people: a server that this process started, else pid and command if known."""
    for entry in registry.servers():
        if entry.port == port and entry.owner_pid == os.getpid():
            return f"your server of {entry.app} has it (pid {entry.pid})"
    pids = proc.listening_pids(port)
    return f"pid {pids[0]} listens there ({proc.describe(pids[0])})" if pids else "someone else listens there"


def _candidates(port: int | None, first: int | None) -> list[int]:
    if port is not None:
        return [port]
    return [*([] if first is None else [first]), *range(POSTS_PORT, POSTS_PORT + TRIED_AFTER_IT)]


def _taken(what: str) -> _Problem:
    return _Problem(
        what,
        "stop it (`python3 -m helpers servers --stop`, if it is one of ours), choose another port, "
        "or leave port out to get the next free one",
    )


def _problem(host: str, port: int) -> _Problem | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as uvicorn does
        try:
            trial.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return _taken(taken_by(port))
            if error.errno in (errno.EACCES, errno.EPERM):
                return _Problem(
                    f"this user may not listen there ({error.strerror})",
                    "ports below 1024 are for the administrator; use one above, or leave port out",
                )
            raise InputError(
                f"host={host!r} is no address of this machine ({error.strerror or error})",
                'use "127.0.0.1": every machine has it, and only this machine can reach it',
            ) from None
    return None
