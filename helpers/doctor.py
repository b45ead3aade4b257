"""Preflight: is this machine ready for the lab? Each check says what it found and, where needed, what to do about it.

A check warns where the lab works but a number or a step may suffer, and fails where something will not work at all.
All of them together take about a second.
"""

import html
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from helpers import proc
from helpers.errors import LabError, PortError
from helpers.machine import GIB, UsableCpus, memory_limits, usable_cpus
from helpers.store import RESULTS

Status = Literal["ok", "warn", "fail"]
SCHEMA = 1
PROJECT = RESULTS.parent
SET_UP = "run `python3 -m helpers lab`: it installs what is missing"
REST_S = 0.5
BUSY_LIMIT = 0.15  # of one core: from here on the load test's own check warns as well (load/checks.py)
LITTLE_MEMORY_BYTES = GIB
LITTLE_DISK_BYTES = 50 * 1024**2
FEW_FILES = 1024
SETTINGS = {"LAB_PACE": ("normal", "quick"), "LAB_REQUIRE_ALL": ("0", "1")}
# set by the lab itself in the processes it starts
INTERNAL = frozenset({"LAB_LIFELINE", "LAB_LAUNCH", "LAB_HANDED_OVER", "LAB_TEST_RUN"})


@dataclass(frozen=True)
class DoctorCheck:
    """One thing looked at: "ok", "warn" or "fail", what was found, and the way out (empty where all is well)."""

    name: str
    status: Status
    detail: str
    remedy: str = ""


@dataclass(frozen=True)
class Report:
    """All checks: prints as text in a terminal, and as one line that unfolds in a notebook."""

    checks: tuple[DoctorCheck, ...]

    @property
    def ready(self) -> bool:
        """True where nothing failed; warnings do not stand in the way."""
        return all(check.status != "fail" for check in self.checks)

    @property
    def headline(self) -> str:
        """One line: ready or not, and how many checks are fine, worth a look, or failing."""
        counts = {status: sum(check.status == status for check in self.checks) for status in ("ok", "warn", "fail")}
        parts = [f"{counts['ok']} of {len(self.checks)} checks are fine"]
        if counts["warn"]:
            parts.append(f"{counts['warn']} worth a look")
        if counts["fail"]:
            parts.append(f"{counts['fail']} failing")
        return f"{'Ready' if self.ready else 'Not ready'}: {', '.join(parts)}"

    def summary(self) -> dict[str, Any]:
        """The JSON form of the command line."""
        return {"schema": SCHEMA, "checks": [asdict(check) for check in self.checks], "ready": self.ready}

    def __str__(self) -> str:
        width = max((len(check.name) for check in self.checks), default=0)
        lines = []
        for check in self.checks:
            lines.append(f"{check.status:<4}  {check.name:<{width}}  {check.detail}")
            if check.remedy:
                lines.append(f"{'':<4}  {'':<{width}}  -> {check.remedy}")
        return "\n".join([*lines, self.headline])

    def _repr_html_(self) -> str:
        cells = ("name", "status", "detail", "remedy")
        head = "".join(f'<th scope="col" style="text-align:left">{title}</th>' for title in _TITLES)
        body = "".join(
            "<tr>" + "".join(_cell(getattr(check, cell), check.status) for cell in cells) + "</tr>"
            for check in self.checks
        )
        return (
            f"<details{'' if self.ready else ' open'}><summary>{html.escape(self.headline)}</summary>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></details>"
        )


_TITLES = ("check", "status", "what was found", "what to do")


def _cell(text: str, status: Status) -> str:
    weight = ";font-weight:bold" if status != "ok" else ""  # no colour: it must read in light and dark alike
    return f'<td style="text-align:left{weight}">{html.escape(text)}</td>'


def report() -> Report:
    """Run every check; a check that breaks is itself a line of the report, never an exception."""
    return Report(tuple(_guarded(name, check) for name, check in CHECKS))


def checks() -> list[DoctorCheck]:
    """The checks of `report()` as a list."""
    return list(report().checks)


def _guarded(name: str, check: Callable[[], DoctorCheck]) -> DoctorCheck:
    try:
        return check()
    except LabError as error:
        return DoctorCheck(name, "fail", error.message, error.hint)
    except Exception as error:  # whatever the machine throws at us: say so and go on with the next check
        return DoctorCheck(name, "warn", f"could not be looked at: {type(error).__name__}: {error}", "go on without it")


# ---------------------------------------------------------------------------------------------------------- software


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> DoctorCheck:
    text = ".".join(map(str, version))
    if version >= (3, 11):
        return DoctorCheck("Python", "ok", text)
    return DoctorCheck("Python", "fail", f"{text} is too old", "install Python 3.11 or newer and start with that one")


def check_packages(requirements: Path = PROJECT / "requirements.txt") -> DoctorCheck:
    """Compare what is installed with the exact versions of requirements.txt."""
    try:
        wanted = pins(requirements.read_text())
    except OSError as error:
        return DoctorCheck("packages", "warn", f"{requirements.name} cannot be read: {error.strerror}", "restore it")
    missing, other = [], []
    for name, version in wanted.items():
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
            continue
        if found != version:
            other.append(f"{name} {found} instead of {version}")
    if missing:
        return DoctorCheck("packages", "fail", f"not installed: {', '.join(missing)}", SET_UP)
    if other:
        return DoctorCheck("packages", "warn", "; ".join(other), "python3 -m pip install -r requirements.txt")
    return DoctorCheck("packages", "ok", f"all {len(wanted)} as in {requirements.name}")


def pins(text: str) -> dict[str, str]:
    """The exact pins (`name[extra]==1.2`) of a requirements file; other lines do not pin anything."""
    lines = (re.match(r"\s*([A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*==\s*([^\s;#*]+)", line) for line in text.splitlines())
    return {line[1]: line[2] for line in lines if line}


def check_widgets() -> DoctorCheck:
    """Found without importing it: that would cost more than all other checks."""
    if importlib.util.find_spec("ipywidgets") is None:
        detail = "ipywidgets is not installed: no sliders and buttons"
        return DoctorCheck("widgets", "warn", detail, f"{SET_UP}; every control also exists as a line of code")
    return DoctorCheck("widgets", "ok", f"ipywidgets {metadata.version('ipywidgets')}")


def check_ps() -> DoctorCheck:
    remedy = "notebook 03 shows the same table without it; on Debian and Ubuntu: apt-get install procps"
    if shutil.which("ps") is None:
        return DoctorCheck("ps", "warn", "the command ps is not installed", remedy)
    ran = subprocess.run(["ps", "-eF"], capture_output=True, timeout=5)
    if ran.returncode:
        return DoctorCheck("ps", "warn", "this ps does not know the post's option -F", remedy)
    return DoctorCheck("ps", "ok", "ps -eF works")


def check_settings(environment: Mapping[str, str] = os.environ) -> DoctorCheck:
    """A misspelt LAB_ variable would otherwise be ignored in silence."""
    wrong = [
        f"{name}={environment[name]!r} (use {' or '.join(allowed)})"
        for name, allowed in SETTINGS.items()
        if name in environment and environment[name] not in allowed
    ]
    names = [name for name in sorted(environment) if name.startswith("LAB_")]
    unknown = [name for name in names if name not in SETTINGS and name not in INTERNAL]
    if wrong:
        return DoctorCheck("settings", "fail", "; ".join(wrong), "set it to one of the values named, or unset it")
    if unknown:
        known = " and ".join(SETTINGS)
        return DoctorCheck("settings", "warn", f"nothing reads {', '.join(unknown)}", f"the lab reads {known}")
    found = [f"{name}={environment[name]}" for name in SETTINGS if name in environment]
    return DoctorCheck("settings", "ok", ", ".join(found) or "no LAB_ variable is set: normal pace")


# ----------------------------------------------------------------------------------------------------------- machine


def check_cpus(cpus: UsableCpus | None = None) -> DoctorCheck:
    cpus = cpus or usable_cpus()
    if cpus.usable >= 2:
        return DoctorCheck("usable CPUs", "ok", cpus.why)
    remedy = "all notebooks run, but what more cores bring cannot be seen here: give the container or VM a second one"
    return DoctorCheck("usable CPUs", "warn", cpus.why, remedy)


def check_pinning() -> DoctorCheck:
    if hasattr(os, "sched_setaffinity"):
        return DoctorCheck("CPU pinning", "ok", "a server can be held on chosen cores")
    detail = "this system cannot hold a process on chosen cores"
    remedy = 'nothing to do: the "one core" column says "cannot be tested on this system"; Linux or WSL shows all of it'
    return DoctorCheck("CPU pinning", "warn", detail, remedy)


def check_memory(root: Path = Path("/")) -> DoctorCheck:
    memory = memory_limits(root)
    if memory.usable_bytes >= LITTLE_MEMORY_BYTES:
        return DoctorCheck("memory", "ok", memory.why)
    remedy = "close other programs, or start with few workers: each takes about 60 MiB"
    return DoctorCheck("memory", "warn", memory.why, remedy)


def check_open_files() -> DoctorCheck:
    """1,000 connections are 1,000 open files in the server, and as many in the load engine."""
    try:
        import resource
    except ImportError:
        return DoctorCheck("open files", "ok", "this system has no such limit")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= FEW_FILES:
        return DoctorCheck("open files", "ok", f"up to {soft if soft >= 0 else 'any number'} per process")
    wanted = 4096 if hard < 0 else min(4096, hard)
    remedy = f"run `ulimit -n {wanted}` in the terminal and start the lab from there"
    return DoctorCheck("open files", "warn", f"only {soft} per process: too few for 1,000 connections", remedy)


def check_rest(seconds: float = REST_S) -> DoctorCheck:
    """Whatever but this process uses the CPU now would be in every measurement."""
    before, busy, began = _cpu_by_process(), proc.machine_busy_s(), time.monotonic()
    time.sleep(seconds)
    busy, passed = proc.machine_busy_s() - busy, time.monotonic() - began
    growth = {pid: used - before.get(pid, used) for pid, used in _cpu_by_process().items()}
    busy -= growth.pop(os.getpid(), 0.0)
    share = max(0.0, busy / passed)
    if share <= BUSY_LIMIT:
        return DoctorCheck("at rest", "ok", f"other programs use {share:.0%} of a core")
    most = ""
    top = max(growth, key=lambda pid: growth[pid], default=os.getpid())
    if growth.get(top, 0.0) > busy / 4:
        most = f", most of it {proc.describe(top, 50)} (pid {top})"
    remedy = "close it or wait; measurements made meanwhile are marked, and void when it takes too much"
    return DoctorCheck("at rest", "warn", f"other programs use {share:.0%} of a core{most}", remedy)


def _cpu_by_process() -> dict[int, float]:
    readings = {pid: proc.cpu_s(pid) for pid in proc.pids()}
    return {pid: used for pid, used in readings.items() if used is not None}


# ----------------------------------------------------------------------------------------------- servers and results


def check_port() -> DoctorCheck:
    from helpers.server import ports

    name = f"port {ports.POSTS_PORT}"
    try:
        with ports.reserved("127.0.0.1", ports.POSTS_PORT):
            return DoctorCheck(name, "ok", "free")
    except PortError as error:
        remedy = "servers take the next free port and say so; to end leftovers: python3 -m helpers servers --stop"
        return DoctorCheck(name, "warn", error.message, remedy)


def check_leftovers() -> DoctorCheck:
    from helpers.server import registry

    running = registry.servers()
    left = [f"port {entry.port} (pid {entry.pid}, {entry.app})" for entry in running if entry.orphan]
    if left:
        return DoctorCheck("leftovers", "warn", "; ".join(left), "python3 -m helpers servers --stop")
    others = f"; {len(running)} running, each with its owner" if running else ""
    return DoctorCheck("leftovers", "ok", f"no server of an earlier run is left{others}")


def check_results(folder: Path = RESULTS) -> DoctorCheck:
    """Try it for real: rights alone say nothing of a read-only or full disk."""
    place = next(path for path in (folder, *folder.parents) if path.exists())
    remedy = "free some space, or give yourself the right to write there; results can also go to another folder"
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"x")
        free = shutil.disk_usage(place).free
    except OSError as error:
        return DoctorCheck("results", "fail", f"nothing can be written in {place}: {error.strerror}", remedy)
    if free < LITTLE_DISK_BYTES:
        return DoctorCheck("results", "warn", f"only {free / 1024**2:.0f} MiB are free in {place}", remedy)
    return DoctorCheck("results", "ok", f"{folder.name}/ can be written, {free / GIB:.1f} GiB free")


CHECKS: tuple[tuple[str, Callable[[], DoctorCheck]], ...] = (
    ("Python", check_python),
    ("packages", check_packages),
    ("widgets", check_widgets),
    ("usable CPUs", check_cpus),
    ("CPU pinning", check_pinning),
    ("memory", check_memory),
    ("open files", check_open_files),
    ("at rest", check_rest),
    ("port 5012", check_port),
    ("leftovers", check_leftovers),
    ("ps", check_ps),
    ("results", check_results),
    ("settings", check_settings),
)
