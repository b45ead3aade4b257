"""Runs a script that would never end, for a short while and in a process group of its own, and ends all of it.

Between the notebook and the script stands a keeper, this very file run as a program: it kills the whole group, itself
included, when the notebook says so, when the notebook's kernel has ended however it ended, or when time is up. Standard
library only at the top, since the keeper must start fast.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

LOOK_EVERY_S = 0.05
KEEPER_MARGIN_S = 5.0
COMPLETE = "Application startup complete."


@dataclass(frozen=True)
class Brief:
    """What a script wrote while it ran, and how long that was."""

    log: str
    seconds: float

    def __str__(self) -> str:
        return self.log


@dataclass(frozen=True)
class Look:
    """What can be seen of a running script: its output so far, and its processes below it that are workers."""

    log: str
    workers: int

    @property
    def started(self) -> bool:
        """Every process that is to serve has said that it is started."""
        return self.log.count(COMPLETE) >= max(1, self.workers)


def started(look: Look) -> bool:
    """The usual condition for `briefly`: uvicorn is up, with all its workers."""
    return look.started


def briefly(
    script: str,
    *,
    until: Callable[[Look], bool] = started,
    at_most_s: float = 10.0,
    env: Mapping[str, str] | None = None,
) -> Brief:
    """Run `script`, the text of a Python file, until the condition holds or time is up; then end all its processes."""
    with tempfile.TemporaryDirectory() as folder:
        file, output = Path(folder, "script.py"), Path(folder, "output")
        file.write_text(script, encoding="utf-8")
        here = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": path, **(env or {})}
        command = [sys.executable, __file__, str(at_most_s + KEEPER_MARGIN_S), str(file)]
        began = time.monotonic()
        with output.open("wb") as sink:
            keeper = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=sink, stderr=sink, env=environment, start_new_session=True
            )
        try:
            while keeper.poll() is None and time.monotonic() < began + at_most_s:
                if until(Look(_read(output), _workers(keeper.pid))):
                    break
                time.sleep(LOOK_EVERY_S)
            seconds = time.monotonic() - began
            return Brief(_read(output), seconds)
        finally:
            assert keeper.stdin is not None
            keeper.stdin.close()  # tells the keeper
            keeper.wait()


def _read(output: Path) -> str:
    return output.read_text(encoding="utf-8", errors="replace")


def _workers(keeper: int) -> int:
    from helpers import proc

    return sum("spawn_main" in proc.describe(pid, limit=1000) for pid in proc.descendants(keeper))


def keep(seconds: float, script: str) -> None:
    """The keeper's whole life: start the script, wait for one of the three ends, kill the group."""
    child = subprocess.Popen([sys.executable, script], stdin=subprocess.DEVNULL)
    reader = threading.Thread(target=sys.stdin.buffer.read, daemon=True)  # returns when the notebook closes it, or ends
    reader.start()
    deadline = time.monotonic() + seconds
    while reader.is_alive() and child.poll() is None and time.monotonic() < deadline:
        reader.join(LOOK_EVERY_S)
    if os.name == "posix":
        os.killpg(0, signal.SIGKILL)  # its own group: the script, its children, and itself
    else:
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(child.pid)], capture_output=True, check=False)


if __name__ == "__main__":
    keep(float(sys.argv[1]), sys.argv[2])
