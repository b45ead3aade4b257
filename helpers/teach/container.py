"""How many CPUs: what each way of asking says here, in a process bound to one core, and in a container's files."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from helpers.errors import StateError
from helpers.machine import UsableCpus

PERIOD_US = 100_000  # the kernel's default: a quota is CPU time per 100 ms
OURS = "usable_cpus()"
NOT_HERE = "not on this system"
NEWER = "Python 3.13 and newer"  # what os.process_cpu_count() takes

Said = Mapping[str, int | float | str]

_ASK = """
import json, os, sys
root, core = sys.argv[1:]
if core != "any":
    os.sched_setaffinity(0, {int(core)})
sys.path.insert(0, root)
from helpers.machine import usable_cpus
found = usable_cpus()
print(json.dumps([
    os.cpu_count(),
    len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
    os.process_cpu_count() if hasattr(os, "process_cpu_count") else None,
    found.quota, found.usable,
]))
"""
_NO_PROCESS_COUNT = NEWER if sys.version_info < (3, 13) else NOT_HERE
WAYS = ("os.cpu_count()", "len(os.sched_getaffinity(0))", "os.process_cpu_count()", "cgroup quota", OURS)


def who_says(*, bound: bool = False) -> Said:
    """What each way of asking for the number of CPUs says in a new process; `bound`: one held to a single core."""
    core = str(min(os.sched_getaffinity(0))) if bound and hasattr(os, "sched_getaffinity") else "any"
    root = str(Path(__file__).resolve().parents[2])
    command = [sys.executable, "-c", _ASK, root, core]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise StateError(f"a small Python process failed: {last}", "run the cell again")
    count, affinity, process, quota, usable = json.loads(done.stdout)
    answers = (count, affinity or NOT_HERE, process or _NO_PROCESS_COUNT, quota or "none", usable)
    return dict(zip(WAYS, answers, strict=True))


def said_inside(found: UsableCpus) -> Said:
    """The same inside a container: only the quota is told by its files, the rest is the host's."""
    process = found.logical if hasattr(os, "process_cpu_count") else _NO_PROCESS_COUNT
    answers = (found.logical, found.logical, process, found.quota or "none", found.usable)
    return dict(zip(WAYS, answers, strict=True))


@contextmanager
def container(*, quota: float, memory_mib: int = 1024) -> Iterator[Path]:
    """A folder with the files that the kernel shows inside a container with these limits (cgroup v2)."""
    with tempfile.TemporaryDirectory(prefix="lab-container-") as folder:
        root = Path(folder)
        files = {
            "proc/self/cgroup": "0::/",
            "proc/self/mountinfo": "31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw",
            "proc/meminfo": f"MemTotal: {128 * 2**20} kB\nMemAvailable: {100 * 2**20} kB",
            "sys/fs/cgroup/cpu.max": f"{quota * PERIOD_US:.0f} {PERIOD_US}",
            "sys/fs/cgroup/memory.max": str(memory_mib * 2**20),
            "sys/fs/cgroup/memory.current": "0",
        }
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n", encoding="ascii")
        yield root
