"""A chat of a few people: each joins by a connection of its own and says one line; who hears whom, and how soon."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from statistics import median

from websockets.asyncio.client import ClientConnection, connect

NAMES = ("Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hal")
QUIET_S = 0.25  # after so long without a message nobody expects one any more
APART_S = 0.01
TRIES = 3


@dataclass(frozen=True)
class Heard:
    """`people`: by name, the process that serves each. `delay_ms`: how long (who spoke, who heard it) took."""

    people: dict[str, int]
    delay_ms: dict[tuple[str, str], float] = field(default_factory=dict)

    @property
    def arrived(self) -> int:
        return len(self.delay_ms)

    @property
    def of(self) -> int:
        """All that should arrive: everybody hears everybody, and oneself."""
        return len(self.people) ** 2

    @property
    def share(self) -> float:
        return self.arrived / self.of

    @property
    def median_ms(self) -> float | None:
        """How long a message took that arrived; None where none did."""
        return median(self.delay_ms.values()) if self.delay_ms else None

    @property
    def workers(self) -> int:
        """How many processes serve them."""
        return len(set(self.people.values()))

    def __str__(self) -> str:
        return f"{self.arrived} of {self.of} messages arrived"


async def everyone_talks(url: str, names: Sequence[str] = NAMES, *, workers: int = 1) -> Heard:
    """All join, one after the other, then each says one line. Whoever speaks hears it, too.

    With `workers=2` they leave and join again, at most twice, if chance put all of them into the same worker.
    """
    for _ in range(TRIES):
        heard = await _one_evening(url, names)
        if heard.workers >= workers:
            break
    return heard


async def _one_evening(url: str, names: Sequence[str]) -> Heard:
    address, heard = url.replace("http", "ws", 1) + "/chat", Heard({})
    said_at: dict[str, float] = {}
    last_s = 0.0

    async def listen(name: str, connection: ClientConnection) -> None:
        nonlocal last_s
        async for speaker in connection:
            last_s = time.perf_counter()
            heard.delay_ms[str(speaker), name] = (last_s - said_at[str(speaker)]) * 1000

    async with AsyncExitStack() as stack:
        connections = {}
        for name in names:
            connections[name] = await stack.enter_async_context(connect(address, proxy=None))
            heard.people[name] = int(await connections[name].recv())
        async with asyncio.TaskGroup() as listeners:
            for name, connection in connections.items():
                listeners.create_task(listen(name, connection))
            for name, connection in connections.items():
                said_at[name] = last_s = time.perf_counter()
                await connection.send(name)
                await asyncio.sleep(APART_S)
            while heard.arrived < heard.of and time.perf_counter() < last_s + QUIET_S:
                await asyncio.sleep(APART_S)
            for connection in connections.values():
                await connection.close()  # ends its listener
    return heard
