"""The engine's process, seen from its owner: start it, listen to it, and leave nothing of it running."""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from helpers import lifeline
from helpers.errors import Cancelled, InputError
from helpers.load.plan import Plan

PROJECT = Path(__file__).resolve().parents[2]
SILENCE_S = 20.0  # the engine speaks four times a second
_LOOK_EVERY_S = 0.1
_AGAIN = "Run it again; if it happens every time, look for what ends it (memory, a limit of the container)."


@dataclass(frozen=True)
class Job:
    """What the engine is told beside the plan."""

    plan: Plan
    records: Path
    launch: str | None
    server_pids: list[int]

    def as_line(self) -> str:
        fields = {
            "plan": self.plan.as_json(),
            "records": str(self.records),
            "launch": self.launch,
            "server_pids": self.server_pids,
            "owner_pid": os.getpid(),
        }
        return json.dumps(fields) + "\n"


@dataclass
class Report:
    """What the engine has said so far; `failure` says why it ended early."""

    window: dict[str, Any] | None = None
    done: dict[str, Any] | None = None
    workers: dict[str, int] = field(default_factory=dict)
    failure: str | None = None
    hint: str = ""


def run_engine(job: Job, watch: Callable[[dict[str, Any]], None], cancel: threading.Event) -> Report:
    """Run the engine to its end; raises Cancelled, or InputError for what this system cannot do.

    However this returns or raises, KeyboardInterrupt included, the engine has ended.
    """
    report = Report()
    with _started(job) as (process, lines, complaints):
        for line in _events(lines, cancel):
            if line is None:
                break
            event = json.loads(line)
            _note(report, event)
            watch(event)
        if report.done is None and report.failure is None:
            report.failure, report.hint = _how_it_ended(process, complaints), _AGAIN
    return report


def _note(report: Report, event: dict[str, Any]) -> None:
    kind = event["event"]
    if kind == "cannot":
        raise InputError(event["message"], event["hint"])
    if kind == "error":
        report.failure, report.hint = event["message"], event["hint"]
    elif kind == "window":
        report.window = event
    elif kind == "done":
        report.done = event
    report.workers = event.get("workers", report.workers)


@contextlib.contextmanager
def _started(job: Job) -> Iterator[tuple["subprocess.Popen[str]", "queue.Queue[str | None]", Path]]:
    complaints = job.records.with_name("stderr")
    with complaints.open("wb") as stderr:
        child = lifeline.spawn(
            [sys.executable, "-m", "helpers.load.engine"],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    process = child.process
    assert process.stdin is not None
    assert process.stdout is not None
    lines: queue.Queue[str | None] = queue.Queue()
    reader = threading.Thread(target=_read, args=(process.stdout, lines), daemon=True, name="lab-load-engine")
    try:
        reader.start()
        with contextlib.suppress(BrokenPipeError):  # it ended at once: how, is seen by the caller
            process.stdin.write(job.as_line())
            process.stdin.close()
        yield process, lines, complaints
    finally:
        process.kill()  # it has nothing to tidy up
        process.wait()
        child.cut()
        reader.join()
        process.stdout.close()


def _read(stream: IO[str], lines: "queue.Queue[str | None]") -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _events(lines: "queue.Queue[str | None]", cancel: threading.Event) -> Iterator[str | None]:
    """The engine's lines as they come, None at their end; raises Cancelled within a tenth of a second of `cancel`."""
    heard_s = time.monotonic()
    while True:
        if cancel.is_set():
            raise Cancelled("the load test was cancelled", "Nothing of it is left running; start it again at any time.")
        try:
            yield lines.get(timeout=_LOOK_EVERY_S)
            heard_s = time.monotonic()
        except queue.Empty:
            if time.monotonic() - heard_s > SILENCE_S:
                return


def _how_it_ended(process: "subprocess.Popen[str]", complaints: Path) -> str:
    try:
        code = process.wait(timeout=1.0)
    except subprocess.TimeoutExpired:
        return f"the load engine said nothing for {SILENCE_S:g} s"
    said = complaints.read_text(errors="replace").strip().splitlines()
    how = f"was killed (signal {-code})" if code < 0 else f"ended with exit code {code}"
    return f"the load engine {how} before its run was over" + (f": {said[-1]}" if said else "")
