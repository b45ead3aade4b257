"""The first and the last cell of every notebook: says what is used here, helps with cells out of order, cleans up."""

import os
from dataclasses import dataclass

from helpers import rota
from helpers.experiment import PINNING, Pace, pace
from helpers.machine import usable_cpus
from helpers.server import registry
from helpers.teach.cells import close_all
from helpers.teach.missing import explain_missing_names
from helpers.teach.widgets import html, show


@dataclass(frozen=True)
class Session:
    """What a notebook measures with: the pace (durations and repeats) and the cores it has."""

    pace: Pace
    cores: int
    pinning: bool

    @property
    def both(self) -> bool:
        """Whether one core can be compared with two here."""
        return self.cores >= 2 and self.pinning

    @property
    def two_cores(self) -> int | None:
        """What to give as `cpus=` for a server on two cores: as many of them as there are; None where all are taken."""
        return min(2, self.cores) if self.pinning else None


def begin() -> Session:
    """Call it in the first cell. Prints one line; set LAB_PACE=quick before starting JupyterLab for shorter runs.

    Raises InputError for a setting of no use.
    """
    at = pace()
    cpus = usable_cpus()
    session = Session(at, cpus.usable, PINNING)
    parts = [f"pace: <b>{at.name}</b>", f"usable cores: <b>{cpus.usable}</b> of {cpus.logical}"]
    if at.first_look:
        parts.append("results are a <b>first look</b> (short runs, few launches)")
    if cpus.usable < 2:
        parts.append("with one core the difference between cores cannot be seen, and fast endpoints may come out void")
    elif not PINNING:
        parts.append("this system cannot bind a server to one core: that column stays empty")
    if rota.ROTA in os.environ:
        rota.check()
        parts.append("people take <b>turns</b> to measure here: a measurement may wait, and says so")
    explain_missing_names()
    show(html(" &nbsp;·&nbsp; ".join(parts)))
    return session


def finish() -> None:
    """Call it in the last cell: stops what this notebook has running, and says what it stopped."""
    close_all()
    mine = [entry for entry in registry.servers() if entry.owner_pid == os.getpid()]
    for entry in mine:
        registry.stop(entry)
    stopped = ", ".join(f"{entry.url} (pid {entry.pid})" for entry in mine)
    print(f"stopped: {stopped}" if mine else "nothing of this notebook is running")
