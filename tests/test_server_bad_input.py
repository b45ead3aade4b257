"""What cannot be served: each wrong value is named, each hint says what to do, and nothing stays running."""

import errno
import os
import socket
import subprocess
import sys
import tempfile
import time

import pytest

from helpers import proc
from helpers.errors import InputError, LabError, PortError, StartError, StateError
from helpers.server import ports, registry
from helpers.server.server import Server
from tests.serving import APPS, BARE, ROOT, free_port, get, launch_folders, processes_of, state_folder
from tests.waiting import await_true

__all__ = ["state_folder"]
linux_only = pytest.mark.skipif(not proc.LINUX, reason="a Linux mechanism")


@pytest.fixture(autouse=True)
def nothing_is_left(state_folder):
    yield
    await_true(
        lambda: set(processes_of(state_folder)) <= {os.getpid()}, 3, "a process was left"
    )  # one may just be ending
    assert launch_folders() == []


def refused(kind, **arguments):
    """The error that these arguments raise at once, before anything is started."""
    with pytest.raises(kind) as caught:
        Server(**{**BARE, **arguments})
    assert type(caught.value) is kind
    return caught.value


def not_started(app, *, kind=StartError, folder=APPS, **arguments):
    """The error of a start, with the log's last lines in it."""
    server = Server(app, app_dir=folder, **arguments)
    with pytest.raises(kind) as caught:
        server.start()
    assert server.state == "stopped"
    assert type(caught.value) is kind
    return caught.value


# ---------------------------------------------------------------------------------------------------------------- app


@pytest.mark.parametrize("app", ["bare", "bare:", ":app", ""])
def test_an_app_without_colon(app):
    error = refused(InputError, app=app)
    assert error.message == f"app={app!r} is not of the form module:variable"
    assert '"helpers.demo.api:app"' in error.hint


def test_an_app_object():
    error = refused(InputError, app=object())
    assert error.message == "app=object object: the app must be given as text"
    assert "each worker is a new process and imports the app itself" in error.hint


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("instrument", [True, False])
def test_a_module_that_is_not_there(workers, instrument):
    error = not_started("no_such_module:app", workers=workers, instrument=instrument)
    assert (
        error.message
        == "'no_such_module:app' did not start: there is no module 'no_such_module' to import the app from"
    )
    assert "check the spelling" in error.hint
    assert str(APPS) in error.hint
    assert 'Could not import module "no_such_module"' in error.log_tail
    assert error.log_tail in str(error)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("instrument", [True, False])
def test_an_attribute_that_is_not_there(workers, instrument):
    error = not_started("bare:application", workers=workers, instrument=instrument)
    assert error.message == "'bare:application' did not start: module 'bare' has no 'application'"
    assert "app = FastAPI()" in error.hint
    assert 'Attribute "application" not found' in error.log_tail


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("instrument", [True, False])
def test_an_app_that_fails_while_it_is_imported(workers, instrument):
    began = time.perf_counter()
    error = not_started("broken_import:app", workers=workers, instrument=instrument)
    assert time.perf_counter() - began < 3  # with two workers it would be started again for ever
    assert error.message == (
        "'broken_import:app' did not start: the app raised an exception: "
        "broken_import.Unconfigured: DATABASE_URL is not set"
    )
    assert 'python -c "import broken_import"' in error.hint
    assert "broken_import.Unconfigured: DATABASE_URL is not set" in error.log_tail


def test_an_app_that_cannot_import_something_else():
    error = not_started("needs_missing:app")
    assert error.message.endswith("the app raised an exception: ModuleNotFoundError: No module named 'not_installed'")


@pytest.mark.parametrize("workers", [1, 2])
def test_an_app_whose_lifespan_fails(workers):
    error = not_started("broken_lifespan:app", workers=workers)
    assert "the app's start-up (lifespan) failed: ConnectionRefusedError: the database is not there" in error.message
    assert "traceback" in error.hint
    assert "Application startup failed. Exiting." in error.log_tail


def test_an_app_factory_that_fails():
    error = not_started("made:fail", options={"factory": True})
    assert error.message.endswith("the app raised an exception: ValueError: no settings were found")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_factory_that_needs_arguments(workers):
    error = not_started("bare:app", options={"factory": True}, workers=workers)
    assert "the app factory failed: " in error.message
    assert "function without arguments" in error.hint


@pytest.mark.parametrize("workers", [1, 2])
def test_a_start_up_that_is_slower_than_the_time_out(workers):
    error = not_started("slow_start:app", workers=workers, start_timeout_s=2)
    assert error.message == f"'slow_start:app' did not start: 0 of {workers} workers ready after 2 s"
    assert "start_timeout_s" in error.hint
    assert "Waiting for application startup." in error.log_tail


def test_an_app_that_ends_its_process():
    error = not_started("ends_at_once:app")
    assert error.message == "'ends_at_once:app' did not start: its process ended with exit code 7"


def test_an_app_dir_that_is_none():
    error = refused(InputError, app_dir="/nowhere/at/all")
    assert error.message == "app_dir='/nowhere/at/all' is not a folder"
    assert error.hint


# ------------------------------------------------------------------------------------------------------------ numbers


@pytest.mark.parametrize(
    ("workers", "message", "hint"),
    [
        (0, "workers=0 is too few", "1 is the least"),
        (-1, "workers=-1 is too few", "1 is the least"),
        ("two", "workers='two' is not a whole number", "workers=2"),
        (2.0, "workers=2.0 is not a whole number", "workers=2"),
        (True, "workers=True is not a whole number", "workers=2"),
        (1000, "workers=1000 is too many", "at most 64"),
    ],
)
def test_a_number_of_workers_that_cannot_be(workers, message, hint):
    error = refused(InputError, workers=workers)
    assert error.message == message
    assert hint in error.hint


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), "long", None])
def test_a_time_out_that_is_none(seconds):
    error = refused(InputError, start_timeout_s=seconds)
    assert error.message == f"start_timeout_s={seconds!r} is no time"
    assert "30" in error.hint


# -------------------------------------------------------------------------------------------------------------- ports


def test_a_port_that_someone_else_has_names_pid_and_command():
    code = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "the-other-one"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        port = int(other.stdout.readline())
        error = not_started("bare:app", kind=PortError, port=port)
        other.communicate("\n")
    assert error.message.startswith(f"port {port} cannot be used: pid {other.pid} listens there (python")
    assert "helpers servers --stop" in error.hint
    assert "leave port out" in error.hint


def test_a_port_of_one_of_our_own_servers():
    with Server(**BARE) as server:
        error = not_started("bare:app", kind=PortError, port=server.launch.port)
        assert error.message.endswith(f"cannot be used: your server of {BARE['app']} has it (pid {server.pid})")
        assert get(server.url).status == 200


def test_a_port_on_which_another_launch_is_just_starting():
    port = free_port()
    with registry.port_lock(port):
        error = not_started("bare:app", kind=PortError, port=port)
    assert "another launch is just starting there" in error.message


@pytest.mark.parametrize("port", [0, -1, 70000])
def test_a_port_that_does_not_exist(port):
    error = refused(InputError, port=port)
    assert error.message == f"port={port} does not exist"
    assert "from 1 to 65535" in error.hint


@pytest.mark.parametrize("port", ["5012", 5012.0, True])
def test_a_port_that_is_no_number(port):
    error = refused(InputError, port=port)
    assert error.message == f"port={port!r} is not a whole number"
    assert error.hint


WITHOUT_RIGHTS = """
import os, sys
from helpers.errors import PortError
from helpers.server import ports
if os.geteuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
try:
    with ports.reserved("127.0.0.1", int(sys.argv[1])):
        print("it may")
except PortError as error:
    print(error.message, error.hint, sep="\\n")
"""


@linux_only
def test_port_80_without_rights():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # pytest's own folder is closed to other users
        os.chmod(folder, 0o777)
        ran = subprocess.run(
            [sys.executable, "-c", WITHOUT_RIGHTS, "80"],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": folder},
            capture_output=True,
            text=True,
            check=True,
        )
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as first:
        everybodys = int(first.read()) <= 80
    if everybodys or holds_the_right_to_bind():  # then the message is tested with a kernel that says no by itself
        assert ran.stdout.startswith(("it may", "port 80 cannot be used: pid"))
        return
    message, hint = ran.stdout.splitlines()
    assert message == "port 80 cannot be used: this user may not listen there (Permission denied)"
    assert "below 1024" in hint
    assert "servers --stop" not in hint


def holds_the_right_to_bind():
    """Whether this user, not being root, may bind low ports all the same (a capability of the container)."""
    return os.geteuid() != 0 and can_bind(80)


def can_bind(port):
    with socket.socket() as trial:
        try:
            trial.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return True


@pytest.mark.parametrize("port", [None, 25999])
@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_a_host_that_is_not_this_machine(host, port):
    error = not_started("bare:app", kind=InputError, host=host, port=port)
    assert error.message.startswith(f"host={host!r} is no address of this machine (")
    assert '"127.0.0.1"' in error.hint


@pytest.mark.parametrize("host", ["", None, 127])
def test_a_host_that_is_no_text(host):
    error = refused(InputError, host=host)
    assert error.message == f"host={host!r} is not an address"
    assert '"127.0.0.1"' in error.hint


def test_no_free_port_at_all(monkeypatch):
    port = free_port()
    monkeypatch.setattr(ports, "POSTS_PORT", port)
    monkeypatch.setattr(ports, "TRIED_AFTER_IT", 1)
    with socket.create_server(("127.0.0.1", port)):
        error = not_started("bare:app", kind=PortError)
    assert error.message == f"none of the ports {port} to {port} is free on 127.0.0.1"
    assert "helpers servers" in error.hint


# --------------------------------------------------------------------------------------------------------------- cpus


@linux_only
@pytest.mark.parametrize("cpus", [0, -1, set(), []])
def test_cpus_that_leave_none(cpus):
    error = refused(InputError, cpus=cpus)
    assert error.message == f"cpus={cpus!r} leaves no CPU to run on"
    assert "this process may use CPU" in error.hint


@linux_only
@pytest.mark.parametrize("cpus", [100_000, {100_000}, {-1}])
def test_cpus_out_of_range(cpus):
    error = refused(InputError, cpus=cpus)
    assert error.message == f"cpus={cpus!r} is out of range"
    assert "this process may use CPU" in error.hint


@linux_only
@pytest.mark.parametrize("cpus", ["0", True, 1.0, {"a"}, [[0]], {0, "a"}])
def test_cpus_of_another_kind(cpus):
    error = refused(InputError, cpus=cpus)
    assert error.message == f"cpus={cpus!r} is neither a number nor a set of numbers"
    assert "cpus={0}" in error.hint


def test_cpus_on_a_system_that_cannot_bind_processes():
    program = (
        "import os\n"
        "if hasattr(os, 'sched_setaffinity'): del os.sched_setaffinity\n"
        "from helpers.errors import InputError\nfrom helpers.server.server import Server\n"
        "try: Server(cpus=1)\n"
        "except InputError as error: print(error.message, error.hint, sep='\\n')"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    message, hint = ran.stdout.splitlines()
    assert message == "cpus=1 cannot be done on this system"
    assert "only Linux" in hint


# ------------------------------------------------------------------------------------------------------------ choices


@pytest.mark.parametrize("loop", ["trio", None, ["asyncio"]])
def test_an_unknown_loop(loop):
    error = refused(InputError, loop=loop)
    assert error.message == f"loop={loop!r} is unknown"
    assert "asyncio" in error.hint


@pytest.mark.parametrize("runner", ["hypercorn", None, ["uvicorn"]])
def test_an_unknown_runner(runner):
    error = refused(InputError, runner=runner)
    assert error.message == f"there is no runner {runner!r}"
    assert "uvicorn" in error.hint


def test_an_unknown_option():
    error = refused(InputError, options={"limit_concurency": 5})
    assert error.message == "uvicorn.run has no argument 'limit_concurency'"
    assert "uvicorn --help" in error.hint


def test_an_option_that_belongs_to_the_server_itself():
    error = refused(InputError, options={"workers": 5})
    assert error.message == "options cannot set 'workers'"
    assert "workers=..." in error.hint


def test_an_option_that_cannot_leave_this_process():
    error = refused(InputError, options={"http": object})
    assert error.message == "options['http'] = <class 'object'> cannot be handed to another process"
    assert "text" in error.hint


@pytest.mark.parametrize("options", ["factory", ["factory"], {1: 2}])
def test_options_that_are_no_dict(options):
    error = refused(InputError, options=options)
    assert error.message == f"options={options!r} is not a dict with names as keys"


@pytest.mark.parametrize("env", [{"N": 4}, {"": "x"}, {"A=B": "x"}, {"A": "a\0b"}])
def test_an_environment_variable_that_cannot_be(env):
    error = refused(InputError, env=env)
    assert "is no environment variable" in error.message
    assert "text" in error.hint


def test_an_option_with_a_value_that_uvicorn_refuses():
    error = not_started("bare:app", options={"log_level": "shouting"})
    assert "shouting" in error.message


# ------------------------------------------------------------------------------------------------- a running server


def test_a_bad_relaunch_leaves_the_running_server_alone():
    with Server(**BARE) as server:
        pid = server.pid
        for changes, message in (
            ({"unknown": 1}, "Server has no argument 'unknown'"),
            ({"workers": 0}, "workers=0 is too few"),
            ({"port": 70000}, "port=70000 does not exist"),
            ({"app": "bare"}, "app='bare' is not of the form module:variable"),
        ):
            with pytest.raises(InputError) as caught:
                server.relaunch(**changes)
            assert caught.value.message == message
        assert "it has: app, workers, host, port" in str(refusal(server, unknown=1))
        assert server.pid == pid
        assert get(server.url).status == 200


def refusal(server, **changes):
    with pytest.raises(LabError) as caught:
        server.relaunch(**changes)
    return caught.value.hint


def test_scaling_a_server_with_one_worker():
    with Server(**BARE) as server:
        with pytest.raises(StateError) as caught:
            server.scale(2)
        assert caught.value.message.startswith("a server started with workers=1 cannot be scaled")
        assert "relaunch(workers=2)" in caught.value.hint
        assert server.state == "ready"


@linux_only
def test_scaling_a_server_that_has_died():
    with Server(workers=2, **BARE) as server:
        os.kill(server.pid, 9)
        await_true(lambda: server.state == "died")
        with pytest.raises(StateError, match="the server has died") as caught:
            server.scale(3)
        assert "start()" in caught.value.hint


@pytest.mark.parametrize(
    ("workers", "message"),
    [(0, "workers=0 is too few"), ("x", "workers='x' is not a whole number")],
)
def test_scaling_to_what_cannot_be(workers, message):
    with Server(workers=2, **BARE) as server:
        with pytest.raises(InputError) as caught:
            server.scale(workers)
        assert caught.value.message == message
        assert len(server.worker_pids) == 2
