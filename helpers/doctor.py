"""Preflight: is this machine ready for the lab? Each check says what it found and, where needed, what to do about it.

A check warns where the lab works but a number or a step may suffer, and fails where something will not work at all.
All of them together take about a second.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path

from helpers import proc
from helpers.doctor_report import DoctorCheck, Report, open_check
from helpers.errors import LabError, PortError
from helpers.machine import GIB, UsableCpus, memory_limits, usable_cpus
from helpers.store import RESULTS

PROJECT = RESULTS.parent
SET_UP = "run `python3 -m helpers lab`: it installs what is missing"
REST_S = 0.5
BUSY_LIMIT = 0.15  # of one core: from here on the load test's own check warns as well (load/checks.py)
LITTLE_MEMORY_BYTES = GIB
LITTLE_DISK_BYTES = 50 * 1024**2
FEW_FILES = 1024
SETTINGS = {"LAB_PACE": ("normal", "quick"), "LAB_ROTA": (), "LAB_REQUIRE_ALL": ("0", "1")}  # (): a file
# set by the lab itself in the processes it starts
INTERNAL = frozenset({"LAB_LIFELINE", "LAB_LAUNCH", "LAB_HANDED_OVER", "LAB_TEST_RUN"})


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
        return DoctorCheck(name, "fail", error.message, error.hint, shared=type(error).__name__)
    except Exception as error:  # whatever the machine throws at us: say so and go on with the next check
        kind = f"could not be looked at: {type(error).__name__}"
        return DoctorCheck(name, "warn", f"{kind}: {error}", "go on without it", shared=kind)


# ---------------------------------------------------------------------------------------------------------- software


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> DoctorCheck:
    text = ".".join(map(str, version))
    if version >= (3, 11):
        return open_check("Python", "ok", text)
    return open_check("Python", "fail", f"{text} is too old", "install Python 3.11 or newer and start with that one")


def check_packages(requirements: Path = PROJECT / "requirements.txt") -> DoctorCheck:
    """Compare what is installed with the exact versions of requirements.txt."""
    try:
        wanted = pins(requirements.read_text())
    except OSError as error:
        return open_check("packages", "warn", f"{requirements.name} cannot be read: {error.strerror}", "restore it")
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
        return open_check("packages", "fail", f"not installed: {', '.join(missing)}", SET_UP)
    if other:
        return open_check("packages", "warn", "; ".join(other), "python3 -m pip install -r requirements.txt")
    return open_check("packages", "ok", f"all {len(wanted)} as in {requirements.name}")


def pins(text: str) -> dict[str, str]:
    """The exact pins (`name[extra]==1.2`) of a requirements file; other lines do not pin anything."""
    lines = (re.match(r"\s*([A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*==\s*([^\s;#*]+)", line) for line in text.splitlines())
    return {line[1]: line[2] for line in lines if line}


def check_programs() -> DoctorCheck:
    """What stands beside the API in some notebooks is no Python package, so it is in no requirements file."""
    from helpers.server.companion import Redis
    from helpers.server.nginx import Nginx

    missing = [companion for companion in (Redis, Nginx) if not companion.available()]
    if not missing:
        return open_check("programs", "ok", f"{Redis.program} and {Nginx.program} are installed")
    told = f"without {' and '.join(one.program for one in missing)}, notebooks 08 to 10 leave parts out"
    return open_check("programs", "warn", told, "; ".join(one.install for one in missing))


def check_widgets() -> DoctorCheck:
    """Found without importing it: that would cost more than all other checks."""
    if importlib.util.find_spec("ipywidgets") is None:
        detail = "ipywidgets is not installed: no sliders and buttons"
        return open_check("widgets", "warn", detail, f"{SET_UP}; every control also exists as a line of code")
    return open_check("widgets", "ok", f"ipywidgets {metadata.version('ipywidgets')}")


def check_ps() -> DoctorCheck:
    remedy = "notebook 03 shows the same table without it; on Debian and Ubuntu: apt-get install procps"
    if shutil.which("ps") is None:
        return open_check("ps", "warn", "the command ps is not installed", remedy)
    ran = subprocess.run(["ps", "-eF"], capture_output=True, timeout=5)
    if ran.returncode:
        return open_check("ps", "warn", "this ps does not know the post's option -F", remedy)
    return open_check("ps", "ok", "ps -eF works")


def check_settings(environment: Mapping[str, str] = os.environ) -> DoctorCheck:
    """A misspelt LAB_ variable would otherwise be ignored in silence. Raises InputError for a rota of no use."""
    from helpers import rota

    rota.check(environment)
    wrong = [
        f"{name}={environment[name]!r} (use {' or '.join(allowed)})"
        for name, allowed in SETTINGS.items()
        if allowed and name in environment and environment[name] not in allowed
    ]
    names = [name for name in sorted(environment) if name.startswith("LAB_")]
    unknown = [name for name in names if name not in SETTINGS and name not in INTERNAL]
    if wrong:
        remedy, told = "set it to one of the values named, or unset it", "a LAB_ variable has a value of no use"
        return DoctorCheck("settings", "fail", "; ".join(wrong), remedy, shared=told)
    if unknown:
        known, told = ", ".join(SETTINGS), "a LAB_ variable is set that nothing reads"
        detail = f"nothing reads {', '.join(unknown)}"
        return DoctorCheck("settings", "warn", detail, f"the lab reads {known}", shared=told)
    found = {name: environment[name] for name in SETTINGS if name in environment}
    detail = ", ".join(f"{name}={value}" for name, value in found.items())
    told = ", ".join(f"{name}={value}" if SETTINGS[name] else f"{name} is set" for name, value in found.items())
    normal = "no LAB_ variable is set: normal pace"
    return DoctorCheck("settings", "ok", detail or normal, shared=told or normal)


# ----------------------------------------------------------------------------------------------------------- machine


def check_cpus(cpus: UsableCpus | None = None) -> DoctorCheck:
    cpus = cpus or usable_cpus()
    if cpus.usable >= 2:
        return open_check("usable CPUs", "ok", cpus.why)
    remedy = "all notebooks run, but what more cores bring cannot be seen here: give the container or VM a second one"
    return open_check("usable CPUs", "warn", cpus.why, remedy)


def check_pinning() -> DoctorCheck:
    if hasattr(os, "sched_setaffinity"):
        return open_check("CPU pinning", "ok", "a server can be held on chosen cores")
    detail = "this system cannot hold a process on chosen cores"
    remedy = 'nothing to do: the "one core" column says "cannot be tested on this system"; Linux or WSL shows all of it'
    return open_check("CPU pinning", "warn", detail, remedy)


def check_memory(root: Path = Path("/")) -> DoctorCheck:
    memory = memory_limits(root)
    if memory.usable_bytes >= LITTLE_MEMORY_BYTES:
        return open_check("memory", "ok", memory.why)
    remedy = "close other programs, or start with few workers: each takes about 60 MiB"
    return open_check("memory", "warn", memory.why, remedy)


def check_open_files() -> DoctorCheck:
    """1,000 connections are 1,000 open files in the server, and as many in the load engine."""
    try:
        import resource
    except ImportError:
        return open_check("open files", "ok", "this system has no such limit")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= FEW_FILES:
        return open_check("open files", "ok", f"up to {soft if soft >= 0 else 'any number'} per process")
    wanted = 4096 if hard < 0 else min(4096, hard)
    remedy = f"run `ulimit -n {wanted}` in the terminal and start the lab from there"
    return open_check("open files", "warn", f"only {soft} per process: too few for 1,000 connections", remedy)


def check_rest(seconds: float = REST_S) -> DoctorCheck:
    """Whatever but this process uses the CPU now would be in every measurement."""
    before, busy, began = _cpu_by_process(), proc.machine_busy_s(), time.monotonic()
    time.sleep(seconds)
    busy, passed = proc.machine_busy_s() - busy, time.monotonic() - began
    growth = {pid: used - before.get(pid, used) for pid, used in _cpu_by_process().items()}
    busy -= growth.pop(os.getpid(), 0.0)
    share = max(0.0, busy / passed)
    if share <= BUSY_LIMIT:
        return open_check("at rest", "ok", f"other programs use {share:.0%} of a core")
    told, most = f"other programs use {share:.0%} of a core", ""
    top = max(growth, key=lambda pid: growth[pid], default=os.getpid())
    if growth.get(top, 0.0) > busy / 4:
        most = f", most of it {proc.describe(top, 50)} (pid {top})"
    remedy = "close it or wait; measurements made meanwhile are marked, and void when it takes too much"
    return DoctorCheck("at rest", "warn", told + most, remedy, shared=told)


def _cpu_by_process() -> dict[int, float]:
    readings = {pid: proc.cpu_s(pid) for pid in proc.pids()}
    return {pid: used for pid, used in readings.items() if used is not None}


# ----------------------------------------------------------------------------------------------- servers and results


def check_port() -> DoctorCheck:
    from helpers.server import ports

    name = f"port {ports.POSTS_PORT}"
    try:
        with ports.reserved("127.0.0.1", ports.POSTS_PORT):
            return open_check(name, "ok", "free")
    except PortError as error:
        remedy = "servers take the next free port and say so; to end leftovers: python3 -m helpers servers --stop"
        return DoctorCheck(name, "warn", error.message, remedy, shared="taken, or not to be had")


def check_leftovers() -> DoctorCheck:
    from helpers.server import registry

    running = registry.servers()
    left = [f"port {entry.port} (pid {entry.pid}, {entry.app})" for entry in running if entry.orphan]
    if left:
        told, remedy = f"{len(left)} left of earlier runs", "python3 -m helpers servers --stop"
        return DoctorCheck("leftovers", "warn", "; ".join(left), remedy, shared=told)
    others = f"; {len(running)} running, each with its owner" if running else ""
    return open_check("leftovers", "ok", f"no server of an earlier run is left{others}")


def check_results(folder: Path = RESULTS) -> DoctorCheck:
    """Try it for real: rights alone say nothing of a read-only or full disk."""
    place = next(path for path in (folder, *folder.parents) if path.exists())
    remedy = "free some space, or give yourself the right to write there; results can also go to another folder"
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"x")
        free = shutil.disk_usage(place).free
    except OSError as error:
        detail = f"nothing can be written in {place}: {error.strerror}"
        return DoctorCheck("results", "fail", detail, remedy, shared=f"nothing can be written: {error.strerror}")
    if free < LITTLE_DISK_BYTES:
        told = f"only {free / 1024**2:.0f} MiB are free"
        return DoctorCheck("results", "warn", f"{told} in {place}", remedy, shared=told)
    return open_check("results", "ok", f"{folder.name}/ can be written, {free / GIB:.1f} GiB free")


CHECKS: tuple[tuple[str, Callable[[], DoctorCheck]], ...] = (
    ("Python", check_python),
    ("packages", check_packages),
    ("programs", check_programs),
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
