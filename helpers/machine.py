"""This machine: the CPUs and the memory that can really be used, its speed, its own scaling, its fingerprint.

`os.cpu_count()` says how many cores the machine has. A container or an affinity mask may grant this process far
fewer, and that smaller number is the one that decides how many workers make sense.
"""

import contextlib
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from helpers.cgroups import cpu_quota, memory_limits_of_cgroups, positive, read
from helpers.demo.work import burn
from helpers.errors import InputError, LabError
from helpers.rota import turn

GIB = 1024**3
PACKAGES_THAT_MATTER = ("fastapi", "starlette", "uvicorn", "uvloop", "httptools", "httpx", "numpy")


# ------------------------------------------------------------------------------------------------------------ CPUs


@dataclass(frozen=True)
class UsableCpus:
    """How many cores this process can keep busy at once, and why not more.

    `logical` cores of the machine; `affinity` the cores it may run on (None: this system has no such mask);
    `quota` the cores' worth of CPU time its container grants (None: no limit); `usable` the whole cores that remain.
    """

    logical: int
    affinity: tuple[int, ...] | None
    quota: float | None
    usable: int
    why: str


def usable_cpus(root: Path = Path("/"), *, logical: int | None = None) -> UsableCpus:
    """Usable CPUs = the least of: cores of the machine, affinity mask, cgroup CPU quota (v1 or v2, any ancestor).

    With `logical`, for another machine: one of so many cores and no affinity mask, whose files stand under `root`.
    """
    if logical is not None:
        return _usable(logical, None, cpu_quota(root))
    affinity = tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else None
    return _usable(os.cpu_count() or 1, affinity, cpu_quota(root))


def _usable(logical: int, affinity: tuple[int, ...] | None, quota: float | None) -> UsableCpus:
    allowed = min(logical, len(affinity)) if affinity else logical
    usable = max(1, math.floor(min(allowed, quota))) if quota else allowed
    if quota is not None and quota < allowed:
        part = " (less than one whole core)" if quota < 1 else ""
        why = f"{usable} of {logical}: the cgroup quota is {round(quota, 2)} cores{part}"
    elif affinity and allowed < logical:
        which = "core" if allowed == 1 else "cores"
        why = f"{usable} of {logical}: the affinity mask allows only the {which} {_ranges(affinity)}"
    else:
        why = f"{usable} of {logical}: neither an affinity mask nor a cgroup quota takes any away"
    return UsableCpus(logical, affinity, quota, usable, why)


def _ranges(numbers: Sequence[int]) -> str:
    """`0, 1, 2, 5` as `0-2, 5`."""
    groups: list[list[int]] = []
    for number in numbers:
        if groups and groups[-1][-1] == number - 1:
            groups[-1].append(number)
        else:
            groups.append([number])
    return ", ".join(str(group[0]) if len(group) == 1 else f"{group[0]}-{group[-1]}" for group in groups)


# ---------------------------------------------------------------------------------------------------------- memory


@dataclass(frozen=True)
class MemoryLimits:
    """Memory of the machine, what is free of it, the container's limit (None: no limit) and what is left to use."""

    total_bytes: int
    available_bytes: int
    cgroup_limit_bytes: int | None
    usable_bytes: int
    why: str


def memory_limits(root: Path = Path("/")) -> MemoryLimits:
    """Usable memory = the least of: what the machine has available, what each cgroup limit leaves."""
    total, available = _machine_memory(root)
    limits = [(limit, used) for limit, used in memory_limits_of_cgroups(root) if limit < total]
    if not limits:
        why = f"{_gib(available)} of {_gib(total)} are free, and no cgroup limits this process"
        return MemoryLimits(total, available, None, available, why)
    limit = min(limit for limit, _ in limits)
    left = max(0, min(limit - used for limit, used in limits))
    usable = min(available, left)
    why = f"{_gib(usable)} of {_gib(total)}: the cgroup limit is {_gib(limit)}, and {_gib(left)} of it are left"
    if available < left:
        why = f"{_gib(usable)} of {_gib(total)} are free; the cgroup limit of {_gib(limit)} is not the bottleneck"
    return MemoryLimits(total, available, limit, usable, why)


def _machine_memory(root: Path) -> tuple[int, int]:
    fields = {}
    for line in (read(root / "proc/meminfo") or "").splitlines():
        name, _, value = line.partition(":")
        fields[name] = (positive(value.removesuffix("kB")) or 0) * 1024
    if fields.get("MemTotal") and "MemAvailable" in fields:
        return fields["MemTotal"], fields["MemAvailable"]
    import psutil  # not Linux, or no usual one

    memory = psutil.virtual_memory()
    return memory.total, memory.available


def _gib(size_bytes: float) -> str:
    return f"{size_bytes / GIB:.1f} GiB"


# ----------------------------------------------------------------------------------------------------------- speed


def ms_per_unit() -> float:
    """Milliseconds of one core that a unit of the demo's work takes here: the fastest of 9 batches of 20 units.

    The fastest, because other programs can only ever make a batch slower. Takes about 50 ms.
    """
    batches = []
    for _ in range(9):
        started = time.perf_counter()
        burn(20)
        batches.append((time.perf_counter() - started) * 1000 / 20)
    return min(batches)


@dataclass(frozen=True)
class ProcessScaling:
    """What several bare processes do together against one alone: the most that workers can gain on this machine.

    `one_per_s` and `many_per_s` are units of work per second (medians); `ratio` is the median of `rounds`, the
    ratio of each round.
    """

    processes: int
    one_per_s: float
    many_per_s: float
    ratio: float
    rounds: tuple[float, ...]


# Answers "<seconds>" with the units per second it did in that time, until its input ends: so it also ends with us.
_BARE_PROCESS = """
import os, sys, time
root, core = sys.argv[1:]
sys.path.insert(0, root)
from helpers.cgroups import cpu_quota, memory_limits_of_cgroups, positive, read
from helpers.demo.work import burn
if core != "any":
    os.sched_setaffinity(0, {int(core)})
burn(50)
print("ready", flush=True)
for line in sys.stdin:
    units, began = 0, time.perf_counter()
    while time.perf_counter() - began < float(line):
        burn(2)
        units += 2
    print(units / (time.perf_counter() - began), flush=True)
"""


def process_scaling(
    processes: int = 2, *, seconds: float = 0.4, rounds: int = 3, cpus: Sequence[int] | None = None
) -> ProcessScaling:
    """Measure how much `processes` bare processes do together, compared with one: no server, no HTTP.

    Each is pinned to a core of its own (Linux; out of `cpus`, by default all this process may use) as long as there
    are enough. In every round one works alone for `seconds`, another one each time, then all together; takes about
    2 x seconds x rounds, after a wait for its turn where people take turns (rota.py). Raises InputError for numbers out
    of range and LabError where a process ends early.
    """
    if not 1 <= processes <= 256 or not 0.01 <= seconds <= 60 or not 1 <= rounds <= 100:
        asked = f"processes={processes}, seconds={seconds}, rounds={rounds}"
        hint = "use 1-256 processes, 0.01-60 seconds, 1-100 rounds"
        raise InputError(f"process_scaling cannot run with {asked}", hint)
    with turn():
        pairs = _rounds(processes, seconds, rounds, cpus)
    ratios = tuple(many / one for one, many in pairs)
    one, many = (statistics.median(column) for column in zip(*pairs, strict=True))
    return ProcessScaling(processes, one, many, statistics.median(ratios), ratios)


def _rounds(processes: int, seconds: float, rounds: int, cpus: Sequence[int] | None) -> list[tuple[float, float]]:
    """Units per second of one process and of all together, for each round."""
    started: list[subprocess.Popen[str]] = []
    try:
        for core in _cores_for(processes, cpus):
            started.append(_start_bare_process(core))
        for process in started:
            _answer(process)
        pairs = []
        for number in range(rounds):
            alone = _work([started[number % processes]], seconds)
            pairs.append((alone, _work(started, seconds)))
    finally:
        for process in started:
            process.kill()
        for process in started:
            process.communicate()
    return pairs


def _cores_for(processes: int, cpus: Sequence[int] | None) -> list[str]:
    if not hasattr(os, "sched_setaffinity"):
        return ["any"] * processes
    allowed = os.sched_getaffinity(0)
    cores = sorted(allowed if cpus is None else set(cpus))
    if not cores or not allowed.issuperset(cores):
        usable = _ranges(sorted(allowed))
        raise InputError(f"cpus={cpus} names a core this process may not use, or none", f"usable here: {usable}")
    return [str(cores[number % len(cores)]) for number in range(processes)]


def _start_bare_process(core: str) -> subprocess.Popen[str]:
    root = str(Path(__file__).resolve().parents[1])
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _BARE_PROCESS, root, core],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for us: we end them
    )


def _work(processes: Sequence[subprocess.Popen[str]], seconds: float) -> float:
    for process in processes:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it ended: the missing answer tells, with its reason
            process.stdin.write(f"{seconds}\n")
            process.stdin.flush()
    return sum(float(_answer(process)) for process in processes)


def _answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    if not line:
        last = (process.stderr.read().strip().splitlines() or ["nothing"])[-1]
        raise LabError(
            f"a bare process ended before it had measured anything; it said: {last}",
            "try again; if it stays so, check that this Python can start another one",
        )
    return line


# ----------------------------------------------------------------------------------------------------- fingerprint


def fingerprint() -> dict[str, Any]:
    """What a reader must know of the machine to compare numbers; nothing that tells whose machine it is.

    Holds no host name, user name or path.
    """
    cpus, memory = usable_cpus(), memory_limits()
    return {
        "os": _os_name(),
        "kernel": platform.release(),
        "cpu_model": _cpu_model(),
        "architecture": platform.machine(),
        "cpus_logical": cpus.logical,
        "cpus_usable": cpus.usable,
        "cpus_why": cpus.why,
        "memory_gib": round(memory.total_bytes / GIB, 1),
        "memory_limit_gib": memory.cgroup_limit_bytes and round(memory.cgroup_limit_bytes / GIB, 1),
        "virtual_machine": _virtual_machine(),
        "container": _container(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": dict(_versions(PACKAGES_THAT_MATTER)),
    }


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.mac_ver()[0]}".strip()


def _cpu_model() -> str:
    match = re.search(r"^(?:model name|Model)\s*: (.+)$", read(Path("/proc/cpuinfo")) or "", re.MULTILINE)
    if match:
        return match[1].strip()
    if sys.platform == "darwin":
        asked = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True)
        return asked.stdout.strip() or platform.processor()
    return platform.processor() or platform.machine()


def _virtual_machine() -> bool | None:
    """The processor says so itself on x86; None where nobody tells."""
    flags = re.search(r"^flags\s*:(.*)$", read(Path("/proc/cpuinfo")) or "", re.MULTILINE)
    return "hypervisor" in flags[1].split() if flags else None


def _container() -> bool:
    signs = ("/.dockerenv", "/run/.containerenv", "/run/systemd/container")
    return any(Path(sign).exists() for sign in signs) or "KUBERNETES_SERVICE_HOST" in os.environ


def _versions(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
