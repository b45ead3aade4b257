"""What a replica of Ray Serve adds around the app: the same stamps and counts as a worker of uvicorn has.

Loaded by path into a replica, whose other modules are Ray's and the app's own.
"""

import importlib
import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def build(settings: "dict[str, Any]", launch: Any) -> "Replica":
    """The app of these settings, imported here and instrumented; `launch` is the module of the server's launcher."""
    keep_to_loopback()
    sys.path.insert(0, settings["app_dir"])
    module, _, attribute = settings["app"].partition(":")
    app = getattr(importlib.import_module(module), attribute)
    return Replica(app, settings, launch)


def keep_to_loopback() -> None:
    """Ray Serve opens a port of each replica on every address of the machine; here nobody else needs it."""
    from ray.serve._private import replica

    everywhere = replica.add_port_to_grpc_server
    replica.add_port_to_grpc_server = lambda server, address: everywhere(server, address.replace("[::]", "127.0.0.1"))


class Replica:
    """The instrumented app; its row on the board says when it serves and when it is gone."""

    def __init__(self, app: Any, settings: "dict[str, Any]", launch: Any) -> None:
        parts = Path(settings["server_child"])
        self._board_module = launch.load_privately(parts / "board.py")
        self._instrument = launch.load_privately(parts / "instrument.py")
        board = self._board_module.Board(settings["board"])
        self._row = board.claim()
        self._app = self._instrument.Instrumented(
            app,
            board=board,
            board_module=self._board_module,
            row=self._row,
            describe=launch.load_privately(parts / "endpoint.py").describe,
            launch=settings["launch"],
        )
        self._instrument.write_stacks_when_asked(os.path.dirname(settings["board"]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, self._watched(send))

    def _watched(self, send: Send) -> Send:
        async def watch(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                import asyncio

                threads = self._instrument.thread_pool(None)
                self._instrument.beat(asyncio.get_running_loop(), self._row, self._board_module, threads)
                self._row.ready()
            elif message["type"].startswith("lifespan.shutdown"):
                self._row.gone()
            await send(message)

        return watch
