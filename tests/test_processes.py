"""processes.py and sampler.py: which processes serve, what each is and costs - on real servers, against real `ps`."""

import os
import subprocess
import sys
import time

import pytest

from helpers import proc
from helpers.errors import StateError
from helpers.server import processes as room
from helpers.server.processes import MEANING, Process, Processes, listening_sockets, processes, ps
from helpers.server.sampler import Sampler
from helpers.server.server import Server
from tests.serving import BARE, get, state_folder, under_load
from tests.tools import require
from tests.waiting import await_true

__all__ = ["state_folder"]
linux_only = pytest.mark.skipif(not proc.LINUX, reason="only Linux tells")


@pytest.fixture(scope="module")
def pair():
    """A server with two workers, for the tests that only look."""
    with Server(workers=2, **BARE) as server:
        yield server


def roles(server):
    return [row.role for row in server.processes(over_s=0.01)]


# --------------------------------------------------------------------------------------------------------- the table


def test_one_worker_is_one_process_without_a_parent():
    with Server(**BARE) as server:
        (row,) = server.processes()
        assert (row.pid, row.ppid, row.role) == (server.pid, os.getpid(), "server")
        assert server.worker_pids == [server.pid]


@pytest.mark.parametrize("workers", [2, 3])
def test_n_workers_are_a_parent_a_resource_tracker_and_n_processes(workers):
    with Server(workers=workers, **BARE) as server:
        table = server.processes()
        assert len(table) == workers + 2
        assert sorted(row.role for row in table) == sorted(["parent", "resource tracker", *["worker"] * workers])
        assert {row.pid for row in table.with_role("worker")} == set(server.worker_pids)
        assert table.rows[0].pid == server.pid
        assert {row.ppid for row in table.rows[1:]} == {server.pid}
        if sys.platform == "linux":
            assert not any("uvicorn" in row.command or "bare" in row.command for row in table.with_role("worker"))


def test_the_roles_are_found_from_the_command_lines_alone(pair):
    found = sorted(row.role for row in processes(pair.pid, over_s=0.01))
    assert found == ["parent", "resource tracker", "worker", "worker"]


def test_a_worker_that_was_replaced_shows_under_its_new_pid():
    with Server(workers=2, **BARE) as server:
        old = server.worker_pids[0]
        os.kill(old, 9)
        await_true(lambda: old not in server.worker_pids and server.state == "ready")
        assert roles(server).count("worker") == 2
        assert old not in {row.pid for row in server.processes(over_s=0.01)}


def test_what_each_costs_is_told():
    with Server(workers=2) as server, under_load(server.url, "/cpu"):
        table = server.processes(over_s=0.5)
        working = sum(row.cpu_percent for row in table.with_role("worker"))
        assert working > 20
        (parent,) = table.with_role("parent")
        assert parent.cpu_percent < 20
        for row in table:
            assert row.threads >= 1
            assert row.rss_mb > 1
            if sys.platform == "linux":
                assert 0 < row.pss_mb <= row.rss_mb * 1.01
                assert row.core in range(os.cpu_count())


def test_the_table_is_a_data_frame_too(pair):
    frame = pair.processes().frame()
    assert list(frame.columns) == [
        "pid", "ppid", "role", "threads", "cpu_percent", "rss_mb", "pss_mb", "core", "command",
    ]  # fmt: skip
    assert set(frame[frame.role == "worker"].pid) == set(pair.worker_pids)


def test_a_process_that_is_gone_has_an_empty_table():
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    assert len(processes(gone.pid, over_s=0)) == 0
    assert str(processes(gone.pid, over_s=0)) == ""


# ---------------------------------------------------------------------------------------------------------- the tree


def row(pid, ppid, role, *, command="python", pss=12.4, threads=1):
    return Process(pid, ppid, role, threads, 50.4, 30.0, pss, 0, command)


FAMILY = Processes(
    (
        row(10, 1, "parent", threads=3),
        row(11, 10, "resource tracker"),
        row(12, 10, "worker"),
        row(14, 12, "child of the app", pss=None),
        row(13, 10, "worker"),
    )
)


def test_the_tree_as_text():
    assert str(FAMILY) == (
        "10  parent  (50 % of a core, 3 threads, 12 MB of its own share)\n"
        "├─ 11  resource tracker  (50 % of a core, 1 thread, 12 MB of its own share)\n"
        "├─ 12  worker  (50 % of a core, 1 thread, 12 MB of its own share)\n"
        "│  └─ 14  child of the app  (50 % of a core, 1 thread, 30 MB)\n"
        "└─ 13  worker  (50 % of a core, 1 thread, 12 MB of its own share)"
    )


def test_the_tree_as_html_says_what_each_is_for():
    html = FAMILY._repr_html_()
    for each in FAMILY:
        assert f"<b>{each.pid}</b>" in html
        assert MEANING[each.role].replace("'", "&#x27;") in html


# ------------------------------------------------------------------------------------------------- sockets, and `ps`


@linux_only
def test_parent_and_workers_hold_one_socket_and_nobody_else_does(pair):
    held = listening_sockets(pair.launch.port)
    assert {socket.pid for socket in held} == {pair.pid, *pair.worker_pids}
    assert len({socket.inode for socket in held}) == 1
    assert os.readlink(f"/proc/{held[0].pid}/fd/{held[0].fd}") == f"socket:[{held[0].inode}]"
    assert listening_sockets(1) == []


@linux_only
def test_ps_as_the_post_calls_it_does_not_show_a_server_without_terminal_and_ps_ef_does(pair):
    require("ps")
    pids = [each.pid for each in pair.processes(over_s=0.01)]
    assert ps("-aF", only=pids).splitlines()[1:] == []
    everybody = ps("-eF", only=pids)
    assert everybody.splitlines()[0].split()[:3] == ["UID", "PID", "PPID"]
    assert [int(line.split()[1]) for line in everybody.splitlines()[1:]] == sorted(pids)


def test_ps_tells_of_every_process_unless_it_is_told_which():
    require("ps")
    assert str(os.getpid()) in ps("-ef")
    assert len(ps("-ef").splitlines()) > len(ps("-ef", only=[os.getpid()]).splitlines()) == 2


@linux_only
def test_options_that_ps_refuses_are_said():
    require("ps")
    with pytest.raises(StateError, match="`ps --no-such-option` failed: ") as caught:
        ps("--no-such-option")
    assert "ps -ef" in caught.value.hint


def test_a_system_without_ps_is_told_how_to_get_it(monkeypatch):
    monkeypatch.setattr(room.shutil, "which", lambda name: None)
    with pytest.raises(StateError, match="there is no `ps`") as caught:
        ps("-ef")
    assert "procps" in caught.value.hint


# -------------------------------------------------------------------------------------------------------- the sampler


@linux_only
def test_the_sampler_finds_who_works():
    with Server(workers=2, loop="asyncio") as server, under_load(server.url, "/cpu", users=8):
        with Sampler(server, every_s=0.2) as sampler:
            await_true(lambda: len(sampler.samples) >= 5, 15)
        pids = server.worker_pids
    samples = sampler.samples[1:]
    working = sum(sum(sample.workers.values()) for sample in samples) / len(samples)
    assert 0.3 < working <= os.cpu_count() + 0.1
    assert {pid for sample in samples for pid in sample.workers} == set(pids)
    for sample in samples:
        total = sum(sample.workers.values()) + sample.parent + sample.generator + sample.notebook
        assert total + sample.others + sample.idle < os.cpu_count() + 0.6
        assert all(1 < megabytes < 2000 for megabytes in sample.memory_mb.values())
        assert sample.parent < 0.3
        assert sample.notebook > 0  # here the requests come from this process itself


@linux_only
def test_an_idle_server_uses_nothing_and_the_sampler_next_to_nothing(pair):
    with Sampler(pair, every_s=0.1) as sampler:
        before = time.thread_time(), time.process_time()
        await_true(lambda: len(sampler.samples) >= 20, 15)
        used = time.process_time() - before[1] - (time.thread_time() - before[0])
        assert max(sum(sample.workers.values()) for sample in sampler.samples) <= 0.25
        assert used / (20 * 0.1) < 0.1  # at 10 looks a second; the default is 4


def test_the_samples_are_a_data_frame_with_a_column_per_worker(pair):
    with Sampler(pair, every_s=0.05) as sampler:
        await_true(lambda: len(sampler.samples) >= 2)
        frame = sampler.frame()
        assert {str(pid) for pid in pair.worker_pids} <= set(frame.columns)
        assert {"at_s", "parent", "generator", "notebook", "others", "idle"} <= set(frame.columns)
        assert frame.at_s.is_monotonic_increasing


def test_a_server_that_is_stopped_under_it_does_not_hurt_the_sampler():
    with Server(workers=2, **BARE) as server, Sampler(server, every_s=0.02) as sampler:
        await_true(lambda: sampler.samples)
        server.stop()
        seen = len(sampler.samples)
        await_true(lambda: len(sampler.samples) >= seen + 2)
        server.start()
        await_true(lambda: set(sampler.samples[-1].workers) == set(server.worker_pids))
        assert get(server.url).status == 200
