"""Load tests that run in the background while something happens to them."""

import os
import threading

from helpers import proc
from helpers.load.run import Progress, load_test


def engines() -> list[int]:
    """The engines that run for this process."""
    below = proc.descendants(os.getpid())
    return [pid for pid in below if proc.alive(pid) and "helpers.load.engine" in proc.describe(pid)]


def run_until_measuring(url: str, **options: object) -> tuple[threading.Thread, list[object]]:
    """A load test in a thread, waited for until it measures; its result or error comes into the list."""
    found: list[object] = []
    measuring = threading.Event()

    def watch(progress: Progress) -> None:
        if progress.phase == "measuring":
            measuring.set()

    chosen = {"users": 2, "duration": 30, "warmup": 0.1} | options

    def run() -> None:
        try:
            found.append(load_test(url, progress=False, on_progress=watch, **chosen))  # type: ignore[arg-type]
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert measuring.wait(20), found
    return thread, found
