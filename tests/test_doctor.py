"""doctor.py: each check meets the trouble it is there for, and says what to do about it."""

import getpass
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from helpers import doctor, proc
from helpers.cli import main
from helpers.doctor_report import DoctorCheck, Report, open_check
from helpers.errors import InputError
from helpers.machine import UsableCpus
from helpers.server import registry
from helpers.server.companion import Redis
from tests.tools import small_disk

FINE = DoctorCheck("Python", "ok", "3.12.1")
LOOK = DoctorCheck("ps", "warn", "not <here>", "install it & go on")
BROKEN = DoctorCheck("results", "fail", "disk full", "free some space")


def needs_attention(check, status, words):
    assert check.status == status
    assert words in check.detail
    assert check.remedy


# ------------------------------------------------------------------------------------------------------------ report


def test_every_check_runs_and_has_a_line_of_its_own():
    found = doctor.checks()
    assert len(found) == len(doctor.CHECKS) == len({check.name for check in found})
    assert [check.name for check in found] == [name for name, _ in doctor.CHECKS]
    for check in found:
        assert check.detail
        assert bool(check.remedy) == (check.status != "ok")
        assert "could not be looked at" not in check.detail


def test_a_fresh_start_takes_at_most_two_seconds():
    program = "from helpers import doctor; doctor.report()"
    tries = []
    for _ in range(2):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], cwd=doctor.PROJECT, check=True)
        tries.append(time.perf_counter() - began)
    assert min(tries) <= 2.0


def test_the_summary_is_the_json_form_of_the_command_line():
    assert Report((FINE, BROKEN)).summary() == {
        "schema": 1,
        "checks": [
            {"name": "Python", "status": "ok", "detail": "3.12.1", "remedy": ""},
            {"name": "results", "status": "fail", "detail": "disk full", "remedy": "free some space"},
        ],
        "ready": False,
    }


def test_a_warning_does_not_stand_in_the_way_but_a_failure_does():
    assert Report((FINE, LOOK)).ready
    assert not Report((FINE, LOOK, BROKEN)).ready


def test_the_text_names_each_check_and_puts_the_remedy_below():
    lines = str(Report((FINE, LOOK, BROKEN))).splitlines()
    assert lines[0].split() == ["ok", "Python", "3.12.1"]
    assert lines[1].split(maxsplit=2) == ["warn", "ps", "not <here>"]
    assert lines[2].strip() == "-> install it & go on"
    assert lines[-1] == "Not ready: 1 of 3 checks are fine, 1 worth a look, 1 failing"


def test_in_a_notebook_it_is_one_line_that_unfolds():
    page = Report((FINE, LOOK))._repr_html_()
    assert page.startswith("<details><summary>Ready: 1 of 2 checks are fine, 1 worth a look</summary><table>")
    assert "not &lt;here&gt;" in page
    assert "install it &amp; go on" in page
    assert page.count("<tr>") == 3


def test_in_a_notebook_a_failure_is_shown_unfolded():
    assert Report((BROKEN,))._repr_html_().startswith("<details open>")


def test_a_check_that_breaks_is_a_line_and_not_a_crash():
    def broken():
        raise ZeroDivisionError("by zero")

    needs_attention(doctor._guarded("odd", broken), "warn", "could not be looked at: ZeroDivisionError: by zero")


def test_an_error_of_the_lab_keeps_its_hint():
    def refuses():
        raise InputError("that folder is not yours", "use your own")

    kept = DoctorCheck("odd", "fail", "that folder is not yours", "use your own", shared="InputError")
    assert doctor._guarded("odd", refuses) == kept


def test_a_program_that_later_notebooks_want_is_named_with_the_way_to_install_it(monkeypatch):
    monkeypatch.setattr(Redis, "program", "no-such-redis")
    needs_attention(doctor.check_programs(), "warn", "without no-such-redis")
    assert "apt-get install" in doctor.check_programs().remedy


# ------------------------------------------------------------------------------------------- the file for others


def private_words() -> list[str]:
    """What tells whose machine this is; a name of few letters stands in other words as well."""
    words = [str(Path.home()), socket.gethostname(), getpass.getuser(), str(doctor.PROJECT), tempfile.gettempdir()]
    return [word for word in words if len(word) > 4]


def test_the_file_for_others_says_what_was_found_and_of_what_machine():
    told = json.loads(Report((open_check("Python", "ok", "3.12.1"), BROKEN)).for_others())
    assert (told["schema"], told["kind"], told["ready"]) == (1, "doctor", False)
    assert told["checks"] == [
        {"name": "Python", "status": "ok", "found": "3.12.1"},
        {"name": "results", "status": "fail", "found": ""},  # whoever wrote that check did not say it may be told
    ]
    assert told["machine"]["cpus_usable"] >= 1
    assert "kernel" not in told["machine"]


def test_nothing_personal_gets_into_the_file_for_others_whatever_the_checks_find(monkeypatch, tmp_path, own_registry):
    """Each check as it stands, and again in a place where it has something to complain of by name."""

    def breaks():
        raise OSError(13, "Permission denied", str(Path.home() / "thesis.tex"))

    monkeypatch.setenv("LAB_ROTA", str(tmp_path / "nowhere" / "rota"))
    monkeypatch.setenv("LAB_PACE", f"{getpass.getuser()}'s")
    an_entry(os.getpid(), owner_pid=2**22 + 1, owner_created=1.0, app="secret_project:app")
    (tmp_path / "results").write_text("")
    code = "print(1, flush=True)\nwhile True: pass"
    hog = subprocess.Popen([sys.executable, "-c", code, "for-the-secret-customer"], stdout=subprocess.PIPE)
    with hog, ExitStack() as stack:
        hog.stdout.readline()
        with suppress(OSError):  # somebody has the port already: as good
            stack.enter_context(socket.create_server(("127.0.0.1", 5012)))
        try:
            found = list(doctor.report().checks)
        finally:
            hog.kill()
    found += [
        doctor._guarded("odd", breaks),
        doctor._guarded("settings", doctor.check_settings),
        doctor.check_settings({"LAB_PACE": f"{getpass.getuser()}'s"}),
        doctor.check_settings({f"LAB_OF_{getpass.getuser().upper()}": "1"}),
        doctor.check_settings({"LAB_ROTA": str(tmp_path / "rota")}),
        doctor.check_results(tmp_path / "results"),
    ]
    seen = str(Report(tuple(found)))
    assert "thesis.tex" in seen
    assert "secret_project" in seen
    told = Report(tuple(found)).for_others()
    for word in [
        *private_words(),
        "thesis",
        "secret",
        str(tmp_path),
        f"pid {hog.pid}",
        f"{getpass.getuser()}'s",
        "LAB_OF",
    ]:
        assert word not in told
    assert [each["name"] for each in json.loads(told)["checks"]] == [each.name for each in found]


def test_the_command_shows_the_file_before_it_writes_it(tmp_path, capsys):
    file = tmp_path / "ana.json"
    assert main(["doctor", "--json", "--file", str(file)]) in (0, 1)
    out, err = capsys.readouterr()
    assert json.loads(out).keys() == {"schema", "checks", "ready"}
    shown, written = err.split("written: ")
    assert file.read_text() in shown
    assert written.strip() == str(file)
    assert list(tmp_path.iterdir()) == [file]


def test_a_place_where_no_file_can_be_is_refused_before_anything_is_looked_at(tmp_path, capsys):
    (tmp_path / "taken").write_text("")
    assert main(["doctor", "--file", str(tmp_path / "taken" / "ana.json")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "cannot be written" in err


# ---------------------------------------------------------------------------------------------------------- software


def test_an_old_python_fails():
    needs_attention(doctor.check_python((3, 10, 14)), "fail", "3.10.14 is too old")
    assert doctor.check_python((3, 11, 0)).status == "ok"


def test_only_exact_pins_are_compared():
    text = "-c lock\n-e .\n# a==1\n\nuvicorn[standard]==0.54.0\nhttpx == 0.28.1 # why\nx==1; python_version<'3'\ny>=2\n"
    assert doctor.pins(text) == {"uvicorn": "0.54.0", "httpx": "0.28.1", "x": "1"}


def test_the_projects_own_requirements_are_read():
    assert {"fastapi", "uvicorn", "jupyterlab"} <= set(doctor.pins((doctor.PROJECT / "requirements.txt").read_text()))
    assert doctor.check_packages().status in ("ok", "warn")


def test_a_missing_package_fails_and_another_version_warns(tmp_path):
    file = tmp_path / "requirements.txt"
    file.write_text("pytest==0.1\nno-such-package-at-all==1.0\n")
    needs_attention(doctor.check_packages(file), "fail", "not installed: no-such-package-at-all")
    file.write_text("pytest==0.1\n")
    needs_attention(doctor.check_packages(file), "warn", f"pytest {pytest.__version__} instead of 0.1")
    file.write_text(f"pytest=={pytest.__version__}\n")
    assert doctor.check_packages(file).status == "ok"


def test_missing_requirements_are_said(tmp_path):
    needs_attention(doctor.check_packages(tmp_path / "requirements.txt"), "warn", "cannot be read")


def test_missing_widgets_warn(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    needs_attention(doctor.check_widgets(), "warn", "not installed")


def test_a_missing_ps_warns(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    needs_attention(doctor.check_ps(), "warn", "not installed")


@pytest.mark.skipif(os.name == "nt", reason="no shell scripts on Windows")
def test_a_ps_without_the_posts_option_warns(monkeypatch, tmp_path):
    (tmp_path / "ps").write_text("#!/bin/sh\necho 'ps: unrecognized option: F' >&2\nexit 1\n")
    (tmp_path / "ps").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    needs_attention(doctor.check_ps(), "warn", "does not know")


# ---------------------------------------------------------------------------------------------------------- settings


def test_settings_that_exist_are_fine():
    assert doctor.check_settings({}).status == "ok"
    assert doctor.check_settings({"JUPYTERLAB_X": "1", "LAB_LIFELINE": "7"}).status == "ok"
    assert (
        doctor.check_settings({"LAB_PACE": "quick", "LAB_REQUIRE_ALL": "1"}).detail
        == "LAB_PACE=quick, LAB_REQUIRE_ALL=1"
    )


@pytest.mark.parametrize("value", ["fast", "", "QUICK", "1"])
def test_nonsense_in_a_setting_fails_and_says_what_it_can_be(value):
    needs_attention(doctor.check_settings({"LAB_PACE": value}), "fail", f"LAB_PACE={value!r} (use normal or quick)")


def test_a_misspelt_setting_warns():
    needs_attention(doctor.check_settings({"LAB_PASE": "quick"}), "warn", "nothing reads LAB_PASE")


def test_the_paces_are_those_of_the_experiments():
    from helpers.experiment import PACES

    assert set(doctor.SETTINGS["LAB_PACE"]) == set(PACES)


def test_every_lab_variable_the_project_uses_is_known_to_the_doctor():
    files = [*Path(doctor.PROJECT, "helpers").rglob("*.py"), *Path(doctor.PROJECT, "tests").glob("*.py")]
    used = {
        name
        for file in files
        if file.name != "test_doctor.py"
        for name in re.findall(r"\"(LAB_[A-Z_]+)\"", file.read_text())
    }
    assert used <= set(doctor.SETTINGS) | doctor.INTERNAL


# ----------------------------------------------------------------------------------------------------------- machine


def test_one_usable_cpu_warns_with_the_reason():
    one = UsableCpus(8, tuple(range(8)), 1.0, 1, "1 of 8: the cgroup quota is 1.0 cores")
    needs_attention(doctor.check_cpus(one), "warn", "1 of 8: the cgroup quota is 1.0 cores")


def test_a_system_without_pinning_warns_kindly(monkeypatch):
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    needs_attention(doctor.check_pinning(), "warn", "cannot hold a process")
    assert "nothing to do" in doctor.check_pinning().remedy


def test_little_memory_warns(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 2000000 kB\nMemAvailable: 300000 kB\n")
    needs_attention(doctor.check_memory(tmp_path), "warn", "0.3 GiB of 1.9 GiB")


def test_few_open_files_warn_with_the_command():
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
    try:
        needs_attention(doctor.check_open_files(), "warn", "only 512")
        assert "ulimit -n" in doctor.check_open_files().remedy
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_hog_on_the_machine_is_noticed_and_named():
    code = "print(1, flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as hog:
        hog.stdout.readline()
        try:
            found = doctor.check_rest()
        finally:
            hog.kill()
    needs_attention(found, "warn", "of a core")
    assert f"(pid {hog.pid})" in found.detail or "most of it" not in found.detail


def test_this_process_itself_does_not_count_as_a_hog():
    with subprocess.Popen([sys.executable, "-c", SPIN_AND_LOOK], stdout=subprocess.PIPE, text=True) as process:
        everybody, ours, found = (float(word) for word in process.stdout.read().split())
    assert ours > 20
    assert found < everybody - ours / 2


# A thread spins while the check looks; all three numbers are per cent of a core over the same span.
SPIN_AND_LOOK = """
import os, re, threading, time
from helpers import doctor, proc
from helpers.cli import main
threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()
busy, own, began = proc.machine_busy_s(), proc.cpu_s(os.getpid()), time.perf_counter()
found = re.search("([0-9]+)%", doctor.check_rest(1.0).detail)[1]
passed = (time.perf_counter() - began) / 100
print((proc.machine_busy_s() - busy) / passed, (proc.cpu_s(os.getpid()) - own) / passed, found, flush=True)
os._exit(0)
"""


# ----------------------------------------------------------------------------------------------- servers and results


def test_a_taken_port_warns_and_names_who_has_it(own_registry):
    try:
        holder = socket.create_server(("127.0.0.1", 5012))
    except OSError:  # somebody has it already: as good
        holder = None
    found = doctor.check_port()
    if holder is not None:
        holder.close()
        if proc.LINUX:
            assert f"pid {os.getpid()}" in found.detail
    needs_attention(found, "warn", "5012")
    assert "next free" in found.remedy


@pytest.fixture
def own_registry(monkeypatch, tmp_path):
    """A folder of its own for launches, so that real servers of this user play no part."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def an_entry(pid, owner_pid, owner_created, app="helpers.demo.api:app"):
    launch = f"test{pid}"
    registry.make_launch_folder(launch)
    registry.register(
        registry.Entry(
            launch=launch,
            pid=pid,
            created=proc.create_time(pid),
            owner_pid=owner_pid,
            owner_created=owner_created,
            port=5099,
            app=app,
            workers=2,
            started_at="2026-01-01T00:00:00+00:00",
            url="http://127.0.0.1:5099",
        )
    )


def test_a_server_whose_owner_is_gone_is_a_leftover(own_registry):
    an_entry(os.getpid(), owner_pid=2**22 + 1, owner_created=1.0)
    needs_attention(doctor.check_leftovers(), "warn", f"port 5099 (pid {os.getpid()}, helpers.demo.api:app)")
    assert doctor.check_leftovers().remedy == "python3 -m helpers servers --stop"


def test_a_server_with_its_owner_is_none(own_registry):
    an_entry(os.getpid(), owner_pid=os.getpid(), owner_created=proc.create_time(os.getpid()))
    assert doctor.check_leftovers().status == "ok"
    assert "1 running" in doctor.check_leftovers().detail


def test_without_servers_nothing_is_left(own_registry):
    assert doctor.check_leftovers() == open_check("leftovers", "ok", "no server of an earlier run is left")


def test_results_can_be_written_also_before_the_folder_exists(tmp_path):
    assert doctor.check_results(tmp_path / "results").status == "ok"
    assert not (tmp_path / "results").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_results_folder_that_is_a_file_fails(tmp_path):
    (tmp_path / "results").write_text("")
    needs_attention(doctor.check_results(tmp_path / "results"), "fail", "nothing can be written")


def test_a_nearly_full_disk_warns(tmp_path):
    with small_disk(tmp_path, "1m"):
        needs_attention(doctor.check_results(tmp_path / "results"), "warn", "only 1 MiB are free")
