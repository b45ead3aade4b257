"""Work that belongs to nobody of the experiment."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hogs(count: int) -> Iterator[None]:
    """Processes that keep a core busy each and belong to nobody of the experiment."""
    # in sessions of their own, as other programs are: Linux shares the CPU among sessions first, then within them
    running = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True) for _ in range(count)
    ]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()
