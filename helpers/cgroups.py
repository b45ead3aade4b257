"""The limits a container or a service manager sets on this process: Linux control groups, version 1, 2 or both.

The kernel describes them in /proc/self/cgroup (which groups this process is in) and /proc/self/mountinfo (where the
trees of groups can be read). Any of these files may be missing: then there is no limit to be seen. Every function
takes the `root` under which it looks, so that tests can give it a tree of their own.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def cpu_quota(root: Path) -> float | None:
    """The smallest CPU quota in cores along the path from this process's cgroups to the root; None without one."""
    quotas = []
    for folder in _folders(root, "cpu"):
        quota, period = [*(read(folder / "cpu.max") or "").split(), "", ""][:2]
        quotas.append(_cores(quota, period))
        quotas.append(_cores(read(folder / "cpu.cfs_quota_us"), read(folder / "cpu.cfs_period_us")))
    return min((quota for quota in quotas if quota is not None), default=None)


def _cores(quota_us: str | None, period_us: str | None) -> float | None:
    quota, period = positive(quota_us), positive(period_us)
    return quota / period if quota and period else None


def positive(text: str | None) -> int | None:
    """A number above zero; None for a missing file, "max", -1 and anything unreadable."""
    try:
        number = int(text or "")
    except ValueError:
        return None
    return number if number > 0 else None


def memory_limits_of_cgroups(root: Path) -> Iterator[tuple[int, int]]:
    """(limit, used) of each cgroup with a limit; pages of files that the kernel can drop do not count as used."""
    for folder in _folders(root, "memory"):
        # v1 counts a group's own pages and, as total_, those of the groups below it as well
        stat = re.findall(r"^(?:total_)?inactive_file (\d+)$", read(folder / "memory.stat") or "", re.MULTILINE)
        droppable = max(map(int, stat), default=0)
        for limit_file, used_file in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            limit = positive(read(folder / limit_file))
            if limit is not None:
                used = positive(read(folder / used_file)) or 0
                yield limit, max(0, used - droppable)


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """The folders that hold this process's limits: its own cgroup first, then every visible ancestor.

    A hybrid machine has a v1 tree for each controller and a v2 tree beside them; both are looked at.
    """
    mounts = list(_mounts(root, controller))
    for path, wanted in _paths(root, controller):
        matching = [(shown, point) for kind, shown, point in mounts if kind == wanted]
        inside = [(shown, point) for shown, point in matching if _inside(path, shown) is not None]
        # Where the path lies outside of everything mounted here ("/../.." in a container), the top of the mount
        # is the nearest place that can be seen.
        for shown, point in inside or matching[:1]:
            top = root / point.lstrip("/")
            folder = top / (_inside(path, shown) or "")
            yield folder
            while folder != top:
                folder = folder.parent
                yield folder


def _paths(root: Path, controller: str) -> Iterator[tuple[str, str]]:
    """This process's path in the tree of each kind: ("/docker/ab12", "cgroup") for v1, ("/", "cgroup2") for v2."""
    for line in (read(root / "proc/self/cgroup") or "").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            yield path, "cgroup2"
        elif controller in controllers.split(","):
            yield path, "cgroup"


def _mounts(root: Path, controller: str) -> Iterator[tuple[str, str, str]]:
    """(kind, part of the tree that is mounted, where) of each mount; the format is in proc(5), mountinfo."""
    for line in (read(root / "proc/self/mountinfo") or "").splitlines():
        before, _, after = line.partition(" - ")
        where, what = before.split(" "), after.split(" ")
        if len(where) < 5 or len(what) < 3:
            continue
        if what[0] == "cgroup2" or (what[0] == "cgroup" and controller in what[2].split(",")):
            yield what[0], _unescape(where[3]), _unescape(where[4])


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def _inside(path: str, shown: str) -> str | None:
    """`path` relative to the mounted part `shown` of the tree; None where it is not in there."""
    try:
        relative = PurePosixPath(path).relative_to(shown)
    except ValueError:
        return None
    return None if ".." in relative.parts else str(relative)


def read(path: Path) -> str | None:
    """The text of a file without the white space around it; None where it cannot be read."""
    try:
        return path.read_text().strip()
    except (OSError, UnicodeError):
        return None
