"""Readings of processes and of the whole machine: straight from /proc on Linux, through psutil elsewhere.

They are taken many times a second beside a measurement, so each must cost far less than what it observes:
on Linux a few tens of microseconds, and no package is imported for it. A process may end between two lines of any
reader: what cannot be read any more is None (or an empty list), never an exception.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

LINUX = sys.platform.startswith("linux")
# Two readings of one process's start differ by less than this, also when one is psutil's (whole seconds at boot)
# or the clock was corrected in between; a pid is not handed out again that soon after its first owner started.
SAME_START_S = 1.1
_TICKS_PER_S = float(os.sysconf("SC_CLK_TCK")) if LINUX else 100.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if LINUX else 4096
_LISTEN = b"0A"

T = TypeVar("T")


# ---------------------------------------------------------------------------------------------- the whole machine


def machine_busy_s() -> float:
    """CPU seconds used by everybody since boot, over all cores: user, nice, system and interrupts, without steal."""
    if LINUX:
        user, nice, system, _idle, _iowait, irq, softirq, _steal = _machine_times_s()
        return user + nice + system + irq + softirq
    return sum(_psutil_times(("user", "nice", "system", "irq", "softirq", "interrupt", "dpc")))


def machine_idle_s() -> float:
    """CPU seconds nobody used since boot, over all cores (waiting for a disk is idle too)."""
    if LINUX:
        _user, _nice, _system, idle, iowait, *_ = _machine_times_s()
        return idle + iowait
    return sum(_psutil_times(("idle", "iowait")))


def machine_steal_s() -> float:
    """CPU seconds the host gave to other virtual machines instead of this one; 0.0 where that is unknown."""
    return _machine_times_s()[7] if LINUX else 0.0


def _machine_times_s() -> list[float]:
    line = (_read("/proc/stat", 512) or b"cpu 0 0 0 0 0 0 0 0").split(b"\n", 1)[0]
    values = [int(field) / _TICKS_PER_S for field in line.split()[1:9]]
    return values + [0.0] * (8 - len(values))


def _psutil_times(names: tuple[str, ...]) -> Iterator[float]:
    import psutil

    times = psutil.cpu_times()
    return (float(getattr(times, name, 0.0)) for name in names)


# ------------------------------------------------------------------------------------------------------ one process


def cpu_s(pid: int) -> float | None:
    """CPU seconds process `pid` has used (user + system, all its threads; steps of 10 ms); None when it is gone.

    Works for other users' processes as well. A zombie still tells its last value.
    """
    if LINUX:
        fields = _stat(pid)
        return None if fields is None else (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
    times = _psutil(pid, lambda process: process.cpu_times())
    return None if times is None else float(times.user + times.system)


def ended_children_cpu_s(pid: int) -> float:
    """CPU seconds of the children of `pid` that have ended and that it has waited for; 0 where nobody tells."""
    if LINUX:
        fields = _stat(pid)
        return 0.0 if fields is None else (int(fields[13]) + int(fields[14])) / _TICKS_PER_S
    times = _psutil(pid, lambda process: process.cpu_times())
    return 0.0 if times is None else float(times.children_user + times.children_system)


def run_delay_ns(pid: int | None = None) -> int | None:
    """Nanoseconds the threads of `pid` (default: this process) were runnable but waited for a core.

    Summed over the threads alive now: a thread that ends takes its share along. None where the system does not
    tell (anything but Linux, or a process that is gone).
    """
    if not LINUX:
        return None
    folder = f"/proc/{'self' if pid is None else pid}/task"
    total = 0
    seen = False
    for thread in _listdir(folder):
        fields = (_read(f"{folder}/{thread}/schedstat", 128) or b"").split()
        if len(fields) >= 2:
            total += int(fields[1])
            seen = True
    return total if seen else None


def create_time(pid: int) -> float | None:
    """When process `pid` started, in seconds since 1970; with the pid it tells one process from all others."""
    if LINUX:
        fields = _stat(pid)
        if fields is None:
            return None
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + int(fields[19]) / _TICKS_PER_S
    started = _psutil(pid, lambda process: process.create_time())
    return None if started is None else float(started)


def alive(pid: int, started: float | None = None) -> bool:
    """True while `pid` runs; with `started` (its create_time) only if it is still that very process.

    A zombie has ended and only waits to be collected: not alive. But while another of its threads is still ending, its
    files and sockets are open.
    """
    if LINUX:
        fields = _stat(pid)
        if fields is None or fields[0] in (b"X", b"x") or (fields[0] == b"Z" and int(fields[17]) <= 1):
            return False
    elif _psutil(pid, lambda process: process.status()) in (None, "zombie", "dead"):
        return False
    if started is None:
        return True
    now = create_time(pid)
    return now is not None and abs(now - started) < SAME_START_S


def stopped(pid: int) -> bool:
    """Whether the process stands still because a signal (SIGSTOP, Ctrl-Z) told it to."""
    if LINUX:
        return (_stat(pid) or [b""])[0] == b"T"
    return _psutil(pid, lambda process: process.status()) == "stopped"


def descendants(pid: int) -> list[int]:
    """The pids of the children of `pid`, their children and so on, parents before children; zombies included."""
    if not LINUX:
        found = _psutil(pid, lambda process: [child.pid for child in process.children(recursive=True)])
        return found or []
    # a kernel without the list of children: look at every process once
    children = _children_listed if os.path.exists("/proc/thread-self/children") else _children_scanned()
    result = list(children(pid))
    for child in result:  # grows while it is walked
        result.extend(grandchild for grandchild in children(child) if grandchild not in result)
    return result


def rss_bytes(pid: int) -> int | None:
    """Memory of `pid` that is in RAM now; pages shared with other processes count in full in each of them."""
    if LINUX:
        fields = (_read(f"/proc/{pid}/statm", 128) or b"").split()
        return int(fields[1]) * _PAGE_BYTES if len(fields) > 1 else None
    info = _psutil(pid, lambda process: process.memory_info())
    return None if info is None else int(info.rss)


def pss_bytes(pid: int) -> int | None:
    """Memory of `pid` with every shared page divided among its users, so that a sum over processes is honest.

    None where the system does not tell: only Linux has it, and only for one's own processes. Costs the kernel a
    walk over the memory map (milliseconds for a large process).
    """
    if not LINUX:
        return None
    for line in (_read(f"/proc/{pid}/smaps_rollup", 4096) or b"").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return None


def describe(pid: int, limit: int = 80) -> str:
    """The command line of `pid` in at most `limit` characters, without the folder of the program."""
    if LINUX:
        raw = _read(f"/proc/{pid}/cmdline", 4096)
        words = [] if raw is None else [word.decode(errors="replace") for word in raw.split(b"\0") if word]
        name = (_read(f"/proc/{pid}/comm", 64) or b"").decode(errors="replace").strip()
    else:
        words = _psutil(pid, lambda process: process.cmdline()) or []
        name = _psutil(pid, lambda process: process.name()) or ""
    if not words:
        return name or "a process that has ended"
    # a line break in an argument would tear the one-line message apart
    line = " ".join(" ".join([os.path.basename(words[0]) or words[0], *words[1:]]).split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


def session(leader: int) -> list[int]:
    """The living processes of the session that process `leader` began; none where the system has no sessions."""
    found = []
    for pid in pids() if hasattr(os, "getsid") else []:
        with suppress(OSError):  # it has ended meanwhile
            if os.getsid(pid) == leader and alive(pid):
                found.append(pid)
    return found


def pids() -> list[int]:
    """Every process that can be seen from here; in a container these are its own."""
    if LINUX:
        return sorted(int(name) for name in _listdir("/proc") if name.isdigit())
    import psutil

    return list(psutil.pids())


# --------------------------------------------------------------------------------------------------------- sockets


def listening_pids(port: int) -> list[int]:
    """The pids of the processes that hold a listening TCP socket on `port`; those of other users may stay unseen."""
    if not LINUX:
        return _listening_pids_elsewhere(port)
    return list(dict.fromkeys(pid for pid, _descriptor, _inode in listening_sockets(port)))


def listening_ports(of: Iterable[int]) -> list[int]:
    """The TCP ports on which these processes listen; those of other users may stay unseen."""
    ports = set()
    for pid in of:
        found = _psutil(pid, lambda process: process.net_connections(kind="tcp")) or []
        ports |= {each.laddr.port for each in found if each.status == "LISTEN"}
    return sorted(ports)


def listening_sockets(port: int) -> list[tuple[int, int, int]]:
    """(pid, file descriptor, inode) of each hold on a listening TCP socket on `port`; empty where not told.

    One inode is one socket in the kernel, however many processes hold it.
    """
    inodes = {f"socket:[{inode}]": inode for inode in _listening_inodes(port)} if LINUX else {}
    if not inodes:
        return []
    return [(pid, descriptor, inodes[link]) for pid in pids() for descriptor, link in _links(pid) if link in inodes]


def _listening_inodes(port: int) -> Iterator[int]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in (_read(table) or b"").splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(b":")[2], 16) == port:
                yield int(fields[9])


def _links(pid: int) -> Iterator[tuple[int, str]]:
    folder = f"/proc/{pid}/fd"
    for descriptor in _listdir(folder):
        try:
            yield int(descriptor), os.readlink(f"{folder}/{descriptor}")
        except OSError:
            continue


def _listening_pids_elsewhere(port: int) -> list[int]:
    import psutil

    found = set()
    for process in psutil.process_iter():
        try:
            connections = process.net_connections(kind="tcp")
        except psutil.Error:
            continue
        if any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in connections):
            found.add(process.pid)
    return sorted(found)


# --------------------------------------------------------------------------------------------------------- reading


def _read(path: str, limit: int | None = None) -> bytes | None:
    """The first `limit` bytes of a file in /proc (all of it by default); None where it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # a third of the cost of open()
    except OSError:
        return None
    try:
        if limit is not None:
            return os.read(descriptor, limit)
        pieces = []
        while piece := os.read(descriptor, 65536):
            pieces.append(piece)
        return b"".join(pieces)
    except OSError:  # the process ended between the two calls
        return None
    finally:
        os.close(descriptor)


def _stat(pid: int) -> list[bytes] | None:
    """The fields of /proc/<pid>/stat after the name, which may itself hold spaces and brackets: [0] is the state."""
    raw = _read(f"/proc/{pid}/stat", 1024)
    return raw.rpartition(b")")[2].split() if raw else None


def _listdir(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _children_listed(pid: int) -> list[int]:
    """Children by the kernel's own list, one file per thread (each thread lists those it started)."""
    lists = (_read(f"/proc/{pid}/task/{thread}/children") or b"" for thread in _listdir(f"/proc/{pid}/task"))
    return [int(child) for each in lists for child in each.split()]


def _children_scanned() -> Callable[[int], list[int]]:
    parents = {pid: int(fields[1]) for pid in pids() if (fields := _stat(pid))}
    return lambda wanted: [pid for pid, parent in parents.items() if parent == wanted]


def _psutil(pid: int, read: Callable[[Any], T]) -> T | None:
    import psutil

    try:
        return read(psutil.Process(pid))
    except (psutil.Error, ValueError):  # gone, not ours to look at, or no pid at all
        return None
