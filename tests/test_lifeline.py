"""lifeline.py: a child process ends when its owner ends, however either of them is occupied."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from helpers import lifeline, proc
from tests.serving import ROOT
from tests.waiting import await_true

linux_only = pytest.mark.skipif(not proc.LINUX, reason="elsewhere the death of an owner is noticed on a best effort")
CHILD = "from helpers import lifeline; lifeline.die_with_owner(); print('tied', flush=True); "
SLEEPS = CHILD + "import time; time.sleep(60)"
HOLDS_THE_GIL = CHILD + "import re; re.match(r'(a+)+$', 'a' * 60 + 'b')"
IGNORES_SIGNALS = (
    CHILD + "import signal, time; [signal.signal(s, signal.SIG_IGN) for s in (1, 2, 15, 29)]; time.sleep(60)"
)


@contextmanager
def tied(code: str, **popen) -> Iterator[lifeline.Child]:
    child = lifeline.spawn([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT, **popen)
    with child.process:
        try:
            assert child.process.stdout.readline() == "tied\n"
            yield child
        finally:
            child.process.kill()
            child.cut()


@contextmanager
def owner_of(code: str, *, then: str = "") -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """An owner process, and the pid of the child that is tied to it and runs `code`."""
    program = (
        "import os, subprocess, sys, threading, time\nfrom helpers import lifeline\n"
        "child = lifeline.spawn([sys.executable, '-c', sys.argv[1]], stdout=subprocess.PIPE, text=True)\n"
        "child.process.stdout.readline(); print(child.process.pid, flush=True)\n" + then + "\ntime.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, code], stdout=subprocess.PIPE, text=True, cwd=ROOT) as owner:
        pid = int(owner.stdout.readline())
        try:
            yield owner, pid
        finally:
            owner.kill()
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@linux_only
@pytest.mark.parametrize("code", [SLEEPS, HOLDS_THE_GIL, IGNORES_SIGNALS])
def test_the_kernel_ends_the_child_of_a_killed_owner_at_once(code):
    for _ in range(3):
        with owner_of(code) as (owner, child):
            assert proc.alive(child)
            owner.kill()
            await_true(lambda child=child: not proc.alive(child), 1)


@linux_only
def test_a_stopped_child_is_ended_too():
    with owner_of(SLEEPS) as (owner, child):
        os.kill(child, signal.SIGSTOP)
        owner.kill()
        await_true(lambda: not proc.alive(child), 1)


@pytest.mark.parametrize("ending", ["sys.exit(0)", "1 / 0", "os._exit(0)", "os.kill(os.getpid(), 15)"])
def test_it_ends_with_an_owner_that_ends_in_any_other_way(ending):
    with owner_of(SLEEPS, then=ending) as (_, child):
        await_true(lambda: not proc.alive(child), 3)


def test_the_child_lives_as_long_as_its_owner_not_as_the_thread_that_started_it():
    ties = ExitStack()
    children = []
    thread = threading.Thread(target=lambda: children.append(ties.enter_context(tied(SLEEPS))))
    thread.start()
    thread.join()
    with ties, pytest.raises(subprocess.TimeoutExpired):
        children[0].process.wait(1.2)  # twice the time in which it looks at its parent


@linux_only
def test_cut_ends_the_child():
    with tied(HOLDS_THE_GIL) as child:
        child.cut()
        assert child.process.wait(1) == -signal.SIGKILL


@linux_only
def test_cutting_twice_does_not_close_a_file_that_got_the_same_number():
    with tied(SLEEPS) as child:
        (number,) = child._writing_end._descriptors
        child.cut()
        with open(os.devnull) as innocent:
            copies = [os.dup(innocent.fileno()) for _ in range(3)]
            try:
                assert number in {innocent.fileno(), *copies}
                child.cut()
                assert [os.fstat(copy) for copy in copies]
                assert innocent.read() == ""
            finally:
                for copy in copies:
                    os.close(copy)


@linux_only
def test_a_forked_copy_of_the_owner_holds_no_end_of_the_line():
    with tied(SLEEPS) as child:
        copy = os.fork()
        if copy == 0:
            os._exit(0 if child._writing_end._descriptors == [] else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1]) == 0
        assert child.process.poll() is None
        assert child._writing_end._descriptors != []


@linux_only
def test_a_child_whose_owner_is_gone_before_it_ties_itself_does_not_start():
    late = "import sys; print('up', flush=True); sys.stdin.readline(); " + SLEEPS
    program = (
        "import os, subprocess, sys\nfrom helpers import lifeline\n"
        "child = lifeline.spawn([sys.executable, '-c', sys.argv[1]], stdin=0)\n"
        "print(child.process.pid, flush=True)\nos._exit(0)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, late], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as owner:
        said = {owner.stdout.readline(), owner.stdout.readline()} - {"up\n"}
        pid = int(said.pop())
        created = proc.create_time(pid)
        owner.wait()
        assert proc.alive(pid, created)
        owner.stdin.write("\n")
        owner.stdin.flush()
        await_true(lambda: not proc.alive(pid, created), 3)
        assert "tied" not in owner.stdout.read()


@linux_only
def test_a_tie_leaves_no_open_file_behind():
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with tied(SLEEPS):
            pass
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(FileNotFoundError):
        lifeline.spawn(["/no/such/program"])
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_process_that_nobody_tied_lives_on():
    ran = subprocess.run(
        [sys.executable, "-c", CHILD + "import os; print(lifeline.ENV in os.environ)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == "tied\nFalse\n"


def test_the_childs_own_children_do_not_inherit_the_tie():
    look = "import os; from helpers import lifeline; print(lifeline.ENV in os.environ, flush=True); "
    with tied(CHILD + look + "import time; time.sleep(60)") as child:
        assert child.process.stdout.readline() == "False\n"


@linux_only
def test_an_interrupt_of_the_owners_group_does_not_reach_the_child():
    with tied(SLEEPS) as child:
        assert os.getsid(child.process.pid) == child.process.pid != os.getsid(0)


@linux_only
@pytest.mark.parametrize("occupied", ["time.sleep(60)", "re.match(r'(a+)+$', 'a' * 60 + 'b')"])
def test_a_worker_ends_with_the_parent_that_started_it(occupied):
    worker = (
        "import os, re, time; from helpers import lifeline; lifeline.die_with_parent(os.getppid());"
        f" print('tied', flush=True); {occupied}"
    )
    program = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdout=subprocess.PIPE, text=True)\n"
        "child.stdout.readline(); print(child.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, worker], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as parent:
        pid = int(parent.stdout.readline())
        parent.kill()
        await_true(lambda: not proc.alive(pid), 1)


def test_a_worker_whose_parent_is_another_one_already_does_not_start():
    code = "import os; from helpers import lifeline; lifeline.die_with_parent(os.getppid() + 1); print('alive')"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 1 or os.name != "posix"
    assert ran.stdout == ""


@linux_only
def test_it_needs_nothing_but_the_standard_library():
    code = f"import runpy; runpy.run_path({str(ROOT / 'helpers' / 'lifeline.py')!r}); print('loaded')"
    ran = subprocess.run([sys.executable, "-I", "-S", "-c", code], cwd="/", capture_output=True, text=True, check=True)
    assert ran.stdout == "loaded\n"
