"""The door of a cluster: bytes go in and out between the machine's loopback and the network that Ray has for itself.

Its listening socket was made outside, its own connections are made inside; it does not look at what it carries.
"""

import asyncio
import socket
from typing import Any

WAITING_MOST = 2048


class Side(asyncio.Protocol):
    """One of two connections that belong together: what comes here goes out there."""

    transport: Any = None  # uvloop's is no asyncio.Transport
    other: "Side | None" = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        """Who does not read is not read for, either."""
        if self.other is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """An orderly end is handed on when all is written, a broken connection at once and as what it is."""
        if self.other is not None:
            end = self.other.transport.close if error is None else self.other.transport.abort
            end()


class Outside(Side):
    """A client's connection; the one inside is made for it at once."""

    def __init__(self, inside: tuple[str, int]) -> None:
        self._inside = inside
        self._early = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self._early += data
        else:
            super().data_received(data)

    async def _connect(self) -> None:
        try:
            _, other = await asyncio.get_running_loop().create_connection(Side, *self._inside)
        except OSError:  # nobody serves there
            self.transport.abort()
            return
        other.other, self.other = self, other
        if self._early:
            other.transport.write(bytes(self._early))
        if self.transport.is_closing():
            other.transport.close()


async def open_door(listening: socket.socket, inside: tuple[str, int]) -> None:
    """Let clients of the listening socket through to the address inside, from now on."""
    await asyncio.get_running_loop().create_server(lambda: Outside(inside), sock=listening, backlog=WAITING_MOST)
