"""granian with its ASGI interface, as `granian --interface asgi module:app`; a function of ours loads the app."""

import asyncio
import os
import socket
from multiprocessing import util
from typing import Any

from granian import Granian, constants
from granian._internal import load_target
from granian.log import LogLevels

LOOK_EVERY_S = 0.002


def serve(settings: "dict[str, Any]", launch: Any) -> None:
    kinds = {
        "http": constants.HTTPModes,
        "runtime_mode": constants.RuntimeModes,
        "task_impl": constants.TaskImpl,
        "log_level": LogLevels,
    }
    arguments = {name: kinds.get(name, _as_it_is)(value) for name, value in settings["arguments"].items()}
    Granian(
        settings["app"],
        interface=constants.Interfaces.ASGI,
        loop=constants.Loops(settings["loop"]),
        workers=settings["workers"],
        **arguments,
    ).serve(target_loader=launch.granian_app, wrap_loader=False)


def load(slot: Any) -> Any:
    """In a worker, whose event loop has been made and does not run yet."""
    arguments = slot.settings["arguments"]
    app = slot.wrap(load_target(slot.settings["app"], factory=arguments.get("factory", False)))
    telling = asyncio.get_event_loop().create_task(_tell_when_listening(slot, arguments["port"]))
    slot.telling = telling  # an event loop does not hold its tasks
    util.Finalize(None, slot.gone, exitpriority=0)  # multiprocessing's own end of a process, which knows no atexit
    return app


async def _tell_when_listening(slot: Any, port: int) -> None:
    """The app's start-up comes first: only after it granian opens the worker's socket."""
    while not _listens(port):
        await asyncio.sleep(LOOK_EVERY_S)
    slot.serves()


def _listens(port: int) -> bool:
    """Whether this process holds a listening socket on that port."""
    if os.name != "posix":  # nothing to look it up in
        return True
    for descriptor in map(int, os.listdir("/dev/fd")):
        try:
            held = socket.socket(fileno=descriptor)
        except OSError:  # another kind of file
            continue
        try:
            listening = held.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            if listening and held.family in (socket.AF_INET, socket.AF_INET6) and held.getsockname()[1] == port:
                return True
        finally:
            held.detach()  # it stays whose it is
    return False


def _as_it_is(value: Any) -> Any:
    return value
