"""machine.py and cgroups.py: limits found in fake trees, the machine's own scaling, a fingerprint that names nobody."""

import getpass
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from helpers import machine
from helpers.cgroups import cpu_quota
from helpers.errors import InputError, LabError

GIB = 1024**3
V2 = "31 23 0:28 {shown} {point} rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate"
V1 = "32 31 0:29 {shown} {point} rw,relatime - cgroup cgroup rw,{controllers}"
NO_LIMIT_V1 = 9223372036854771712
linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="CPU pinning exists on Linux only")


class Tree:
    """A made-up file system: only the files that tell about control groups."""

    def __init__(self, root):
        self.root = root
        self.mounts = ["22 1 8:1 / / rw - ext4 /dev/sda1 rw", "nonsense", "23 22 0:21 / /proc rw - proc proc rw"]
        self.write("proc/meminfo", "MemTotal: 16777216 kB\nMemFree: 1 kB\nMemAvailable: 8388608 kB\n")

    def write(self, path, text):
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
        return self

    def groups(self, *lines):
        return self.write("proc/self/cgroup", "\n".join(lines))

    def v2(self, shown="/", point="/sys/fs/cgroup"):
        return self._mount(V2.format(shown=shown, point=point))

    def v1(self, controllers, shown="/", point=None):
        point = point or f"/sys/fs/cgroup/{controllers}"
        return self._mount(V1.format(shown=shown, point=point, controllers=controllers))

    def _mount(self, line):
        self.mounts.append(line)
        return self.write("proc/self/mountinfo", "\n".join(self.mounts))

    def quota_v1(self, folder, quota, period=100000):
        self.write(f"{folder}/cpu.cfs_quota_us", quota)
        return self.write(f"{folder}/cpu.cfs_period_us", period)


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


# ---------------------------------------------------------------------------------------------------------- v2 quota


def test_v2_the_quota_of_a_container_that_sees_itself_as_the_root(tree):
    tree.groups("0::/").v2().write("sys/fs/cgroup/cpu.max", "200000 100000")
    assert cpu_quota(tree.root) == 2.0


def test_v2_the_smallest_quota_of_all_ancestors_counts(tree):
    tree.groups("0::/a.slice/b.slice/c.scope").v2()
    tree.write("sys/fs/cgroup/a.slice/b.slice/c.scope/cpu.max", "max 100000")
    tree.write("sys/fs/cgroup/a.slice/b.slice/cpu.max", "400000 100000")
    tree.write("sys/fs/cgroup/a.slice/cpu.max", "150000 100000")
    assert cpu_quota(tree.root) == 1.5


def test_v2_a_sibling_does_not_count(tree):
    tree.groups("0::/mine").v2()
    tree.write("sys/fs/cgroup/mine/cpu.max", "max 100000").write("sys/fs/cgroup/other/cpu.max", "10000 100000")
    assert cpu_quota(tree.root) is None


def test_v2_a_group_that_is_not_shown_leaves_the_visible_ancestors(tree):
    tree.groups("0::/a.slice/gone").v2().write("sys/fs/cgroup/a.slice/cpu.max", "300000 100000")
    assert cpu_quota(tree.root) == 3.0


@pytest.mark.parametrize("path", ["/..", "/../..", "/../../other"])
def test_v2_a_path_above_the_namespace_falls_back_to_the_top_of_the_mount(tree, path):
    tree.groups(f"0::{path}").v2()
    tree.write("sys/fs/cgroup/cpu.max", "100000 100000").write("sys/cpu.max", "1000 100000")
    assert cpu_quota(tree.root) == 1.0


def test_v2_a_path_beside_the_mounted_part_falls_back_to_the_top_of_the_mount(tree):
    tree.groups("0::/elsewhere").v2(shown="/docker/ab12").write("sys/fs/cgroup/cpu.max", "100000 100000")
    assert cpu_quota(tree.root) == 1.0


def test_v2_a_mount_that_starts_above_the_namespace_is_followed(tree):
    tree.groups("0::/../mine").v2(shown="/..").write("sys/fs/cgroup/mine/cpu.max", "50000 100000")
    assert cpu_quota(tree.root) == 0.5


def test_v2_only_a_part_of_the_tree_is_mounted(tree):
    tree.groups("0::/kubepods/pod1/c1").v2(shown="/kubepods/pod1")
    tree.write("sys/fs/cgroup/c1/cpu.max", "250000 100000").write("sys/fs/cgroup/kubepods/cpu.max", "1 100000")
    assert cpu_quota(tree.root) == 2.5


def test_a_mount_point_with_a_space_is_found(tree):
    tree.groups("0::/").v2(point="/my\\040groups").write("my groups/cpu.max", "200000 100000")
    assert cpu_quota(tree.root) == 2.0


@pytest.mark.parametrize("text", ["max 100000", "max", "", "nonsense", "0 100000", "100000 0", "-1 100000", "100000"])
def test_v2_no_limit_and_nonsense_are_no_quota(tree, text):
    tree.groups("0::/").v2().write("sys/fs/cgroup/cpu.max", text)
    assert cpu_quota(tree.root) is None


# ---------------------------------------------------------------------------------------------------------- v1 quota


def test_v1_docker_without_a_namespace(tree):
    tree.groups("4:memory:/docker/ab12", "3:cpu,cpuacct:/docker/ab12", "1:name=systemd:/docker/ab12")
    tree.v1("cpu,cpuacct", shown="/docker/ab12").quota_v1("sys/fs/cgroup/cpu,cpuacct", 150000)
    assert cpu_quota(tree.root) == 1.5


def test_v1_the_smallest_quota_of_all_ancestors_counts(tree):
    tree.groups("3:cpu:/a/b").v1("cpu")
    tree.quota_v1("sys/fs/cgroup/cpu/a/b", -1).quota_v1("sys/fs/cgroup/cpu/a", 50000, 25000)
    tree.quota_v1("sys/fs/cgroup/cpu", -1)
    assert cpu_quota(tree.root) == 2.0


@pytest.mark.parametrize("quota", [-1, 0, "max", "nonsense", ""])
def test_v1_no_limit_and_nonsense_are_no_quota(tree, quota):
    tree.groups("3:cpu:/").v1("cpu").quota_v1("sys/fs/cgroup/cpu", quota)
    assert cpu_quota(tree.root) is None


def test_v1_a_quota_without_its_period_is_none(tree):
    tree.groups("3:cpu:/").v1("cpu").write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", 100000)
    assert cpu_quota(tree.root) is None


def test_cpuset_and_cpuacct_are_not_taken_for_cpu(tree):
    tree.groups("3:cpuset:/", "2:cpuacct:/").v1("cpuset").v1("cpuacct")
    tree.quota_v1("sys/fs/cgroup/cpuset", 100000).quota_v1("sys/fs/cgroup/cpuacct", 100000)
    assert cpu_quota(tree.root) is None


def test_hybrid_the_v1_tree_holds_the_quota_and_the_v2_tree_is_empty(tree):
    tree.groups("3:cpu,cpuacct:/a", "0::/a").v1("cpu,cpuacct").v2(point="/sys/fs/cgroup/unified")
    tree.quota_v1("sys/fs/cgroup/cpu,cpuacct/a", 300000).write("sys/fs/cgroup/unified/a/cgroup.procs", "1")
    assert cpu_quota(tree.root) == 3.0


def test_hybrid_the_smaller_of_both_trees_counts(tree):
    tree.groups("3:cpu:/a", "0::/a").v1("cpu").v2(point="/sys/fs/cgroup/unified")
    tree.quota_v1("sys/fs/cgroup/cpu/a", 300000).write("sys/fs/cgroup/unified/a/cpu.max", "200000 100000")
    assert cpu_quota(tree.root) == 2.0


def test_without_any_of_the_files_there_is_no_limit(tmp_path):
    assert cpu_quota(tmp_path) is None
    assert machine.usable_cpus(tmp_path).quota is None
    assert machine.memory_limits(tmp_path).cgroup_limit_bytes is None


# ------------------------------------------------------------------------------------------------------- usable CPUs


@pytest.mark.parametrize(
    ("logical", "affinity", "quota", "usable", "why"),
    [
        (64, tuple(range(64)), 2.0, 2, "2 of 64: the cgroup quota is 2.0 cores"),
        (64, tuple(range(64)), 2.5, 2, "2 of 64: the cgroup quota is 2.5 cores"),
        (8, tuple(range(8)), 0.5, 1, "1 of 8: the cgroup quota is 0.5 cores (less than one whole core)"),
        (8, (0, 1, 2, 5), None, 4, "4 of 8: the affinity mask allows only the cores 0-2, 5"),
        (8, (3,), None, 1, "1 of 8: the affinity mask allows only the core 3"),
        (8, (0, 1), 4.0, 2, "2 of 8: the affinity mask allows only the cores 0-1"),
        (8, (0, 1, 2, 3), 3.0, 3, "3 of 8: the cgroup quota is 3.0 cores"),
        (8, None, None, 8, "8 of 8: neither an affinity mask nor a cgroup quota takes any away"),
        (4, (0, 1, 2, 3), 16.0, 4, "4 of 4: neither an affinity mask nor a cgroup quota takes any away"),
        (1, (0,), None, 1, "1 of 1: neither an affinity mask nor a cgroup quota takes any away"),
    ],
)
def test_the_least_of_count_mask_and_quota_counts_and_the_reason_is_said(logical, affinity, quota, usable, why):
    found = machine._usable(logical, affinity, quota)
    assert (found.usable, found.why) == (usable, why)


def test_a_quota_in_a_tree_reaches_the_answer(tree):
    tree.groups("0::/").v2().write("sys/fs/cgroup/cpu.max", "50000 100000")
    found = machine.usable_cpus(tree.root)
    assert found.usable == 1
    assert found.quota == 0.5
    assert found.logical == os.cpu_count()


@linux_only
def test_a_narrower_mask_is_noticed():
    core = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, {{{core}}}); from helpers.machine import usable_cpus as u; print(u())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"affinity=({core},)" in ran.stdout
    assert "usable=1" in ran.stdout


@linux_only
def test_a_real_quota_is_found(tmp_path):
    """Not a made-up tree: this test makes a cgroup, joins it and reads."""
    tops = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - cgroup " in line]
    tops = [Path(top) for top in tops if (Path(top) / "cpu.cfs_quota_us").exists()]
    if not tops or not os.access(tops[0], os.W_OK) or os.geteuid() != 0:
        pytest.skip("needs root and a writable v1 cpu controller")
    group = tops[0] / f"uvicorn-lab-test-{os.getpid()}"
    group.mkdir()
    try:
        (group / "cpu.cfs_period_us").write_text("100000")
        (group / "cpu.cfs_quota_us").write_text("50000")
        code = (
            "import os, sys; open(sys.argv[1] + '/cgroup.procs', 'w').write(str(os.getpid()))\n"
            "from helpers.machine import usable_cpus; print(usable_cpus().quota)"
        )
        ran = subprocess.run([sys.executable, "-c", code, str(group)], capture_output=True, text=True, check=True)
        assert ran.stdout == "0.5\n"
    finally:
        group.rmdir()


# ------------------------------------------------------------------------------------------------------------ memory


def test_v2_memory_is_the_limit_less_what_is_used(tree):
    tree.groups("0::/a").v2()
    tree.write("sys/fs/cgroup/a/memory.max", 2 * GIB).write("sys/fs/cgroup/a/memory.current", GIB)
    tree.write("sys/fs/cgroup/a/memory.stat", f"anon 5\ninactive_file {GIB // 2}\nactive_file 7")
    found = machine.memory_limits(tree.root)
    assert found.total_bytes == 16 * GIB
    assert found.available_bytes == 8 * GIB
    assert found.cgroup_limit_bytes == 2 * GIB
    assert found.usable_bytes == 1.5 * GIB
    assert found.why == "1.5 GiB of 16.0 GiB: the cgroup limit is 2.0 GiB, and 1.5 GiB of it are left"


def test_v2_the_tightest_ancestor_counts(tree):
    tree.groups("0::/a/b").v2()
    tree.write("sys/fs/cgroup/a/b/memory.max", "max").write("sys/fs/cgroup/a/memory.max", GIB)
    tree.write("sys/fs/cgroup/a/memory.current", GIB * 2)
    found = machine.memory_limits(tree.root)
    assert (found.cgroup_limit_bytes, found.usable_bytes) == (GIB, 0)


def test_v1_memory_and_its_total_of_droppable_pages(tree):
    tree.groups("4:memory:/docker/ab").v1("memory", shown="/docker/ab")
    tree.write("sys/fs/cgroup/memory/memory.limit_in_bytes", 4 * GIB)
    tree.write("sys/fs/cgroup/memory/memory.usage_in_bytes", 3 * GIB)
    tree.write("sys/fs/cgroup/memory/memory.stat", f"inactive_file 4096\ntotal_inactive_file {GIB}")
    found = machine.memory_limits(tree.root)
    assert (found.cgroup_limit_bytes, found.usable_bytes) == (4 * GIB, 2 * GIB)


@pytest.mark.parametrize("limit", [NO_LIMIT_V1, 2**63 - 1, 17 * GIB, -1, "nonsense"])
def test_v1_the_huge_number_that_means_no_limit_is_none(tree, limit):
    tree.groups("4:memory:/").v1("memory").write("sys/fs/cgroup/memory/memory.limit_in_bytes", limit)
    found = machine.memory_limits(tree.root)
    assert found.cgroup_limit_bytes is None
    assert found.usable_bytes == 8 * GIB
    assert "no cgroup limits" in found.why


def test_a_limit_larger_than_what_is_free_is_not_the_bottleneck(tree):
    tree.groups("0::/").v2().write("sys/fs/cgroup/memory.max", 12 * GIB)
    found = machine.memory_limits(tree.root)
    assert (found.cgroup_limit_bytes, found.usable_bytes) == (12 * GIB, 8 * GIB)
    assert "not the bottleneck" in found.why


def test_this_machines_memory_is_what_psutil_says(tmp_path):
    for root in (Path("/"), tmp_path):  # tmp_path holds no meminfo: psutil's own answer
        assert machine.memory_limits(root).total_bytes == pytest.approx(psutil.virtual_memory().total, rel=0.01)


# ------------------------------------------------------------------------------------------------------------- speed


def test_a_unit_of_work_has_a_plausible_and_steady_cost():
    costs = [machine.ms_per_unit() for _ in range(5)]
    assert 0.02 < min(costs) < 20
    assert sorted(costs)[2] < 2.5 * min(costs)


@linux_only
def test_two_processes_on_one_core_gain_nothing():
    core = min(os.sched_getaffinity(0))
    found = machine.process_scaling(2, seconds=0.25, cpus=[core])
    assert 0.75 < found.ratio < 1.3
    assert found.processes == 2
    assert len(found.rounds) == 3


def test_two_processes_on_two_cores_do_more_than_one():
    if machine.usable_cpus().usable < 2:
        pytest.skip("needs two usable cores")
    found = machine.process_scaling(2)
    assert found.ratio > 1.2
    assert found.many_per_s > found.one_per_s > 0


@linux_only
def test_each_process_gets_a_core_of_its_own():
    assert machine._cores_for(3, cpus=None)[0] == str(min(os.sched_getaffinity(0)))
    usable = len(os.sched_getaffinity(0))
    assert len(set(machine._cores_for(usable, cpus=None))) == usable
    assert len(machine._cores_for(usable + 1, cpus=None)) == usable + 1


@pytest.mark.parametrize(
    "arguments", [{"processes": 0}, {"processes": 1000}, {"seconds": 0}, {"seconds": 1000}, {"rounds": 0}]
)
def test_numbers_out_of_range_are_named(arguments):
    with pytest.raises(InputError) as caught:
        machine.process_scaling(**arguments)
    assert "{}={}".format(*next(iter(arguments.items()))) in caught.value.message


@linux_only
@pytest.mark.parametrize("cpus", [[], [4096], [0, 4096]])
def test_cores_that_cannot_be_had_are_named_with_those_that_can(cpus):
    with pytest.raises(InputError, match="names a core this process may not use") as caught:
        machine.process_scaling(cpus=cpus)
    assert "usable here: " in caught.value.hint


def test_a_process_that_cannot_work_is_reported_with_its_last_words(monkeypatch):
    monkeypatch.setattr(machine, "_BARE_PROCESS", "raise SystemExit('no more')")
    with pytest.raises(LabError, match="it said: no more"):
        machine.process_scaling(2, seconds=0.01)
    assert psutil.Process().children() == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send")
def test_ctrl_c_leaves_no_process_behind():
    code = "from helpers.machine import process_scaling; print(1, flush=True); process_scaling(2, seconds=20)"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        process.stdout.readline()
        children = await_children(process.pid, 2)
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=5)
    assert process.returncode == -signal.SIGINT  # interrupted, and no error of a process that ended meanwhile
    assert psutil.wait_procs(children, timeout=3)[1] == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_processes_end_when_their_owner_is_killed():
    code = (
        "from helpers.machine import process_scaling; print(1, flush=True); process_scaling(2, seconds=0.5, rounds=9)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        children = await_children(process.pid, 2)
        process.kill()
    assert psutil.wait_procs(children, timeout=5)[1] == []


def await_children(pid, count, within_s=10):
    deadline = time.monotonic() + within_s
    while len(children := psutil.Process(pid).children()) < count:
        assert time.monotonic() < deadline, "the processes did not start"
        time.sleep(0.01)
    return children


# ------------------------------------------------------------------------------------------------------- fingerprint


def test_the_fingerprint_says_what_a_reader_needs():
    found = machine.fingerprint()
    assert found["cpus_usable"] == machine.usable_cpus().usable
    assert found["cpus_why"]
    assert found["memory_gib"] > 0
    assert found["python"] == f"{platform.python_implementation()} {platform.python_version()}"
    assert {"fastapi", "uvicorn"} <= set(found["packages"])
    assert all(found[key] for key in ("os", "kernel", "cpu_model", "architecture"))


def test_the_fingerprint_names_neither_host_nor_user_nor_path():
    text = repr(machine.fingerprint())
    words = {word.strip("'\",:{}()") for word in text.split()}
    assert not words & {platform.node(), getpass.getuser()} - {""}
    assert str(Path.home()) not in text
    assert str(Path(machine.__file__).parents[1]) not in text
