"""The start-up log, line by line: which process wrote it, and what the line means."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

LEVEL = re.compile(r"^[A-Z]+:\s+")
SERVES = re.compile(r"Started server process \[(\d+)\]")
PARENT = re.compile(r"Started parent process \[(\d+)\]")
BANNER = "Uvicorn running on"
COMPLETE = "Application startup complete"
WAITING = "Waiting for application startup"
NOT_SAID = "one of the workers: the line does not say which"


@dataclass(frozen=True)
class Line:
    """One line of the log. `pid` is None where nobody can tell from the log which process wrote it."""

    text: str
    pid: int | None
    role: str
    means: str

    @property
    def process(self) -> str:
        """The process in words."""
        return NOT_SAID if self.pid is None else f"{self.pid}, {self.role}"


@dataclass(frozen=True)
class Explained:
    """A log with its explanation; shows itself as a table."""

    lines: tuple[Line, ...]

    def frame(self) -> "pd.DataFrame":
        """A row per line."""
        import pandas as pd

        rows = [(line.text, line.process, line.means) for line in self.lines]
        return pd.DataFrame(rows, columns=["line", "written by", "means"])

    def __str__(self) -> str:
        return "\n".join(f"{line.text}\n    {line.process}: {line.means}" for line in self.lines)

    def _repr_html_(self) -> str:
        from helpers.plots.picture import table_html  # late: it draws, and drawing takes a while to import

        return table_html(self.frame(), cell_style="text-align:left;vertical-align:top;padding:2px 10px")


def explain(log: str) -> Explained:
    """Explain a start-up log of uvicorn, with one worker or with several."""
    parents, servers = PARENT.findall(log), serving(log)
    first = int(parents[0]) if parents else servers[0] if servers else None
    alone = not parents
    texts = [LEVEL.sub("", text).strip() for text in log.splitlines() if text.strip()]
    return Explained(tuple(_line(text, first, alone=alone) for text in texts))


def serving(log: str) -> list[int]:
    """The pids that a log names as serving."""
    return [int(pid) for pid in SERVES.findall(log)]


def _line(text: str, parent: int | None, *, alone: bool) -> Line:
    role = "the one process" if alone else "parent"
    unnamed = parent if alone else None
    if found := SERVES.search(text):
        means = "it has imported the app, and will serve requests"
        return Line(text, int(found[1]), role if alone else "worker", means)
    if PARENT.search(text):
        return Line(text, parent, role, "it starts the workers and looks after them; it never imports the app")
    if BANNER in text and alone:
        return Line(text, parent, role, "it listens on this address: written last, when it is so")
    if BANNER in text:
        return Line(
            text, parent, role, "it has reserved this address for its workers: written first, nobody listens yet"
        )
    if WAITING in text:
        return Line(text, unnamed, role, "the app's own start-up code (lifespan) runs")
    if COMPLETE in text:
        return Line(text, unnamed, role, "that code is done; listening comes next")
    return Line(text, unnamed, role, "not part of a plain start: a message of the app's, or of uvicorn's")
