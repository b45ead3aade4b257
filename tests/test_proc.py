"""proc.py: its readings against psutil, against known behaviour, and against processes that vanish."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from helpers import proc
from helpers.demo.work import burn

linux_only = pytest.mark.skipif(not proc.LINUX, reason="only Linux tells")
NOBODY = 2**22 + 1  # above the largest pid Linux hands out


@pytest.fixture(params=["this system", "psutil"])
def reader(request, monkeypatch):
    """Each reading in its Linux form and in the one for other systems, which psutil gives on Linux as well."""
    if request.param == "psutil":
        monkeypatch.setattr(proc, "LINUX", False)


@contextmanager
def running(code, *arguments):
    """A Python process that has printed a line, and so runs its code."""
    with subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline()
            yield process
        finally:
            process.kill()


def asleep(*arguments):
    return running("import time; print(1, flush=True); time.sleep(60)", *arguments)


def await_true(condition, within_s=5.0):
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.005)


def test_a_spinning_process_shows_its_cpu_seconds(reader):
    before, wall = proc.cpu_s(os.getpid()), time.perf_counter()
    burn(1500)
    used, wall = proc.cpu_s(os.getpid()) - before, time.perf_counter() - wall
    assert 0.1 < used <= wall + 0.05


def test_a_sleeping_process_uses_no_cpu(reader):
    with asleep() as process:
        before = proc.cpu_s(process.pid)
        burn(500)
        assert proc.cpu_s(process.pid) - before <= 0.02


def test_the_machine_is_at_least_as_busy_as_this_process(reader):
    busy, own = proc.machine_busy_s(), proc.cpu_s(os.getpid())
    burn(1500)
    assert proc.machine_busy_s() - busy >= 0.9 * (proc.cpu_s(os.getpid()) - own) - 0.05


def test_busy_and_idle_add_up_to_all_cores(reader):
    began, wall = proc.machine_busy_s() + proc.machine_idle_s() + proc.machine_steal_s(), time.perf_counter()
    time.sleep(0.5)  # a span of time is what is measured here
    passed = proc.machine_busy_s() + proc.machine_idle_s() + proc.machine_steal_s() - began
    assert passed == pytest.approx((time.perf_counter() - wall) * psutil.cpu_count(), rel=0.3)


@linux_only
def test_other_users_processes_can_be_read(reader):
    with asleep() as process:
        assert proc.cpu_s(1) is not None
        assert proc.cpu_s(process.pid) is not None


def test_the_start_of_a_process_is_what_psutil_says(reader):
    with asleep() as process:
        assert proc.create_time(process.pid) == pytest.approx(psutil.Process(process.pid).create_time(), abs=1.05)
        assert proc.create_time(process.pid) == pytest.approx(time.time(), abs=5)


def test_a_process_is_alive_until_it_ends(reader):
    with asleep() as process:
        assert proc.alive(process.pid)
        assert proc.alive(process.pid, proc.create_time(process.pid))
        process.kill()
        process.wait()
        assert not proc.alive(process.pid)


def test_a_zombie_is_not_alive(reader):
    with asleep() as process:
        process.kill()
        await_true(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
        assert not proc.alive(process.pid)
        assert not proc.alive(process.pid, proc.create_time(process.pid))


def test_a_stopped_process_is_alive(reader):
    with asleep() as process:
        process.send_signal(signal.SIGSTOP)
        await_true(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
        assert proc.alive(process.pid)


def test_the_same_pid_with_another_start_is_another_process(reader):
    with asleep() as process:
        assert not proc.alive(process.pid, proc.create_time(process.pid) - 5)


@pytest.mark.parametrize("pid", [NOBODY, -1])
def test_what_is_gone_reads_as_nothing(reader, pid):
    assert proc.cpu_s(pid) is None
    assert proc.create_time(pid) is None
    assert not proc.alive(pid)
    assert proc.descendants(pid) == []
    assert proc.rss_bytes(pid) is None
    assert proc.pss_bytes(pid) is None
    assert proc.run_delay_ns(pid) is None
    assert proc.describe(pid) == "a process that has ended"


FAMILY = """
import subprocess, sys, threading
inner = "import time; print(1, flush=True); time.sleep(60)"
middle = "import subprocess, sys; c = subprocess.Popen([sys.executable, '-c', sys.argv[1]]); print(c.pid); c.wait()"
start = lambda: subprocess.Popen([sys.executable, "-c", middle, inner], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
child = start()
line = child.stdout.readline()
thread = threading.Thread(target=lambda: started.append(start()))
started = []
thread.start(); thread.join()
print(child.pid, started[0].pid, flush=True)
started[0].stdout.readline()
sys.stdin.read()
"""


@pytest.mark.parametrize("listed", [True, False])
def test_descendants_reach_grandchildren_and_the_children_of_threads(reader, listed, monkeypatch):
    if not listed:  # as on a kernel without /proc/<pid>/task/<tid>/children
        monkeypatch.setattr(os.path, "exists", lambda path: False)
    with subprocess.Popen(
        [sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    ) as process:
        try:
            children = [int(pid) for pid in process.stdout.readline().split()]
            await_true(lambda: len(proc.descendants(process.pid)) == 4)
            found = proc.descendants(process.pid)
            assert set(children) <= set(found)
            assert sorted(found) == sorted(child.pid for child in psutil.Process(process.pid).children(recursive=True))
        finally:
            for pid in [process.pid, *proc.descendants(process.pid)]:
                os.kill(pid, signal.SIGKILL)


def test_memory_is_what_psutil_says(reader):
    with asleep() as process:
        facts = psutil.Process(process.pid).memory_info()
        assert proc.rss_bytes(process.pid) == pytest.approx(facts.rss, rel=0.2)


@linux_only
def test_proportional_memory_is_no_more_than_resident_memory():
    with asleep() as one, asleep():
        assert 0 < proc.pss_bytes(one.pid) < psutil.Process(one.pid).memory_info().rss * 1.05


@linux_only
def test_run_delay_grows_where_two_processes_share_one_core():
    code = (
        "import os\nos.sched_setaffinity(0, {int(__import__('sys').argv[1])})\nprint(1, flush=True)\nwhile True: pass"
    )
    core = str(min(os.sched_getaffinity(0)))
    with running(code, core) as one, running(code, core):
        before, wall = proc.run_delay_ns(one.pid), time.perf_counter()
        await_true(lambda: proc.run_delay_ns(one.pid) - before > 0.1e9)
        assert proc.run_delay_ns(one.pid) - before <= (time.perf_counter() - wall) * 1.1e9


@linux_only
def test_run_delay_counts_all_threads_and_defaults_to_this_process():
    code = (
        "import threading\ndef spin():\n    while True: pass\n"
        "for _ in range(4): threading.Thread(target=spin, daemon=True).start()\n"
        "print(1, flush=True)\nthreading.Event().wait()"
    )
    with running(code) as process:  # four threads and one lock: each gets its share of waiting
        single = Path(f"/proc/{process.pid}/schedstat")
        await_true(lambda: len(os.listdir(f"/proc/{process.pid}/task")) >= 4)
        main = int(single.read_text().split()[1])
        await_true(lambda: proc.run_delay_ns(process.pid) > main + 1e7)
    assert isinstance(proc.run_delay_ns(), int)


def test_who_listens_on_a_port_is_found(reader):
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert proc.listening_pids(server.getsockname()[1]) == [os.getpid()]


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_who_listens_on_ipv6_is_found():
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 loopback here")
    with server:
        assert proc.listening_pids(server.getsockname()[1]) == [os.getpid()]


def test_a_port_that_is_only_bound_or_connected_to_has_no_listener(reader):
    with socket.socket() as bound, socket.create_server(("127.0.0.1", 0)) as server:
        bound.bind(("127.0.0.1", 0))
        assert proc.listening_pids(bound.getsockname()[1]) == []
        with socket.create_connection(server.getsockname()) as client:
            assert proc.listening_pids(client.getsockname()[1]) == []


def test_a_command_line_is_short_and_without_the_folder_of_the_program(reader):
    with asleep("a\nb", "x" * 500) as process:
        line = proc.describe(process.pid)
        assert line.startswith("python")
        assert "\n" not in line
        assert len(line) == 80
        assert proc.describe(process.pid, limit=200).count("x") > 80


@linux_only
def test_a_process_with_brackets_and_spaces_in_its_name_is_read():
    code = "open('/proc/self/comm', 'w').write('a) R (b'); import time; print(1, flush=True); time.sleep(60)"
    with running(code) as process:
        assert proc.alive(process.pid)
        assert proc.cpu_s(process.pid) is not None


def test_nothing_raises_while_processes_come_and_go():
    done = threading.Event()
    failures = []

    def read_everything():
        while not done.is_set():
            try:
                for pid in proc.descendants(os.getpid()):
                    readings = (proc.cpu_s, proc.rss_bytes, proc.pss_bytes, proc.run_delay_ns, proc.alive)
                    for reading in (*readings, proc.create_time, proc.describe, proc.descendants):
                        reading(pid)
            except Exception as error:
                failures.append(error)
                return

    thread = threading.Thread(target=read_everything)
    thread.start()
    for _ in range(30):
        subprocess.run([sys.executable, "-I", "-S", "-c", ""])
    done.set()
    thread.join()
    assert failures == []


@linux_only
def test_a_reading_costs_far_less_than_a_tenth_of_a_millisecond():
    pid = os.getpid()
    for reading in (proc.machine_busy_s, lambda: proc.cpu_s(pid), lambda: proc.rss_bytes(pid), lambda: proc.alive(pid)):
        rounds = []
        for _ in range(5):
            began = time.perf_counter()
            for _ in range(200):
                reading()
            rounds.append((time.perf_counter() - began) / 200)
        assert min(rounds) < 100e-6


@linux_only
def test_on_linux_no_package_is_imported():
    code = "import sys; from helpers import proc; proc.cpu_s(1); print('psutil' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
