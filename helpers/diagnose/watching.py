"""Looks at the server while it is loaded: how late its event loops are, and where its threads stand."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from helpers.errors import LabError, StateError
from helpers.server.running import Loop
from helpers.server.server import Server
from helpers.server.stacks import Stacks, stacks

LOOK_EVERY_S = 0.02
STACK_EVERY_S = 0.04


@contextmanager
def looking(server: Server | None) -> Iterator[list[Loop]]:
    """Fifty looks a second at the event loops of the server's workers, until the block ends."""
    seen: list[Loop] = []

    def look() -> None:
        if server is not None:
            with suppress(LabError):
                seen.extend(server.loops().values())

    with _again_and_again(look, LOOK_EVERY_S):
        yield seen


def stacks_while(pid: int, during: Callable[[], object]) -> list[Stacks]:
    """The stacks of that process, read again and again while `during` runs; none where it cannot be read."""
    taken: list[Stacks] = []

    def read() -> None:
        with suppress(StateError):  # neither way is open, or it has ended: what there is counts
            taken.append(stacks(pid))

    with _again_and_again(read, STACK_EVERY_S):
        during()
    return taken


@contextmanager
def _again_and_again(act: Callable[[], None], every_s: float) -> Iterator[None]:
    end = threading.Event()

    def run() -> None:
        while not end.wait(every_s):
            act()

    thread = threading.Thread(target=run, daemon=True, name="lab-looks")
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
