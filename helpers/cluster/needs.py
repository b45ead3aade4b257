"""What a cluster needs of this machine: Ray itself, memory, room for its object store; found out before any start.

Ray is not imported here: that alone takes a second.
"""

import importlib.metadata
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from helpers import proc
from helpers.errors import StateError
from helpers.machine import memory_limits

APART = Path(__file__).parent / "child" / "apart.py"
SHARED_MEMORY = Path("/dev/shm")
INSTALL = "python3 -m helpers lab --cluster"
MIB = 2**20
HEAD_MIB, NODE_MIB, REPLICA_MIB = 600, 350, 140  # measured as PSS, rounded up
OBJECT_STORE_MIB = 80  # for each node: Ray takes no less than 75
TRY_WITHIN_S = 10.0


@dataclass(frozen=True)
class Found:
    """What there is: Ray's version, whether it can have a network of its own, and what stands in the way of a start."""

    ray: str | None
    apart: bool
    why_not: str = ""
    hint: str = ""

    @property
    def ready(self) -> bool:
        return not self.why_not

    @property
    def nodes_most(self) -> int:
        """Without a network of its own a second node would have to be reachable from outside."""
        return 4 if self.apart else 1

    def __str__(self) -> str:
        if not self.ready:
            return f"no cluster here: {self.why_not}; {self.hint}"
        where = "in a network of its own, with nothing but loopback" if self.apart else "on loopback alone, as one node"
        return f"Ray {self.ray} is installed, and will run {where}"

    def _repr_html_(self) -> str:
        return f"<div>{'●' if self.ready else '▲'} {self}</div>"


def look(nodes: int = 2, replicas: int = 2) -> Found:
    """Whether a cluster of that size can be started here, and if not, why, and what to do."""
    version, apart = _version(), may_be_apart()
    why_not, hint = _obstacle(version, nodes if apart else 1, replicas)
    return Found(version, apart, why_not, hint)


def require(nodes: int, replicas: int) -> Found:
    """What there is. Raises StateError where a start would fail."""
    found = look(nodes, replicas)
    if not found.ready:
        raise StateError(f"a cluster cannot be started here: {found.why_not}", found.hint)
    return found


def may_be_apart() -> bool:
    """Whether this user may have a network of its own."""
    trial = subprocess.run([sys.executable, "-I", "-S", str(APART)], capture_output=True, timeout=TRY_WITHIN_S)
    return trial.returncode == 0


def others() -> list[int]:
    """Ray that runs here already, ours or somebody else's, by the pid of its nodes: it is left alone."""
    return [pid for pid in proc.pids() if proc.describe(pid, limit=30).startswith("raylet ")]


def _version() -> str | None:
    try:
        return importlib.metadata.version("ray")
    except importlib.metadata.PackageNotFoundError:
        return None


def _obstacle(version: str | None, nodes: int, replicas: int) -> tuple[str, str]:
    if version is None:
        return "Ray is not installed", f"install it (about 0.5 GB) with `{INSTALL}`"
    if os.name != "posix":
        return "this system cannot end a group of processes as one", "use WSL, Linux or macOS"
    free_mib = memory_limits().usable_bytes // MIB
    wanted_mib = HEAD_MIB + NODE_MIB * nodes + REPLICA_MIB * replicas
    if free_mib < wanted_mib:
        what = f"{free_mib:,} MiB of memory are free, and {nodes} node(s) of Ray want about {wanted_mib:,} MiB"
        return what, "close something, give the container more memory, or take fewer nodes"
    shared_mib = shared_memory_mib()
    if shared_mib is not None and shared_mib < OBJECT_STORE_MIB * nodes:
        what = f"{SHARED_MEMORY} has room for {shared_mib:,} MiB, and Ray's object stores want"
        return f"{what} {OBJECT_STORE_MIB * nodes} MiB", "a container gets more by `--shm-size=512m`"
    return "", ""


def shared_memory_mib() -> int | None:
    """What is free in the shared memory of this system; None where it has no such place."""
    try:
        facts = os.statvfs(SHARED_MEMORY)
    except (OSError, AttributeError):
        return None
    return facts.f_bavail * facts.f_frsize // MIB
