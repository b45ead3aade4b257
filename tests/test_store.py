"""store.py: a result is written whole or not at all, and a bad file never hides the good ones."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys

import numpy
import pytest

from helpers import store
from helpers.errors import InputError, StoreError
from tests.tools import small_disk

pytestmark = pytest.mark.calm


def put(folder, name, text):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def test_what_is_saved_can_be_loaded(tmp_path):
    path = store.save("load", {"achieved_per_s": 81.5, "users": 16, "verdict": "größer"}, folder=tmp_path)
    result = store.load(path)
    assert next(iter(result)) == "schema"
    assert result["schema"] == 1
    assert result["kind"] == "load"
    assert result["achieved_per_s"] == 81.5
    assert result["verdict"] == "größer"
    assert result["machine"]["cpus_usable"] >= 1
    assert result["created_at"].endswith("+00:00")


def test_the_default_folder_is_results_beside_helpers():
    assert store.RESULTS.name == "results"
    assert (store.RESULTS.parent / "helpers" / "store.py").exists()


def test_a_missing_folder_is_made(tmp_path):
    assert store.save("load", {}, folder=tmp_path / "a" / "b").exists()


def test_a_machine_and_a_time_that_came_with_the_result_are_kept(tmp_path):
    path = store.save("sweep", {"machine": {"cpu_model": "Z80"}, "created_at": "1976-01-01"}, folder=tmp_path)
    assert store.load(path)["machine"] == {"cpu_model": "Z80"}
    assert store.load(path)["created_at"] == "1976-01-01"


def test_a_result_cannot_pass_for_another_schema_or_kind(tmp_path):
    result = store.load(store.save("load", {"schema": 99, "kind": "x"}, folder=tmp_path))
    assert (result["schema"], result["kind"]) == (1, "load")


def test_two_hundred_results_of_one_second_get_names_of_their_own(tmp_path):
    paths = {store.save("load", {"number": number}, folder=tmp_path) for number in range(200)}
    assert len(paths) == 200
    assert len(store.entries("load", folder=tmp_path)) == 200


def test_numbers_json_has_no_word_for_become_null(tmp_path):
    payload = {"a": float("nan"), "b": [float("inf"), 1.0], "c": {"d": -float("inf")}, "e": numpy.float64("nan")}
    path = store.save("load", payload, folder=tmp_path)
    result = json.loads(path.read_text(), parse_constant=lambda word: pytest.fail(f"{word} in the file"))
    assert (result["a"], result["b"], result["c"], result["e"]) == (None, [None, 1.0], {"d": None}, None)


def test_numpy_numbers_and_pids_as_keys_are_stored_plainly(tmp_path):
    payload = {"n": numpy.int64(3), "v": numpy.array([1.5, 2.5]), "share": {4711: 0.5}, "t": (1, 2)}
    result = store.load(store.save("load", payload, folder=tmp_path))
    assert (result["n"], result["v"], result["share"], result["t"]) == (3, [1.5, 2.5], {"4711": 0.5}, [1, 2])


@pytest.mark.parametrize("payload", [{"x": object()}, {"x": b"raw"}, {("a", "b"): 1}, {"x": {1, 2}}])
def test_what_json_cannot_hold_is_refused_and_nothing_is_written(tmp_path, payload):
    with pytest.raises(InputError, match="cannot be stored as JSON"):
        store.save("load", payload, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["", "../up", "Load", "a/b", "x" * 50])
def test_a_kind_that_is_no_plain_word_is_refused(tmp_path, kind):
    with pytest.raises(InputError, match="cannot name a result"):
        store.save(kind, {}, folder=tmp_path)


# ------------------------------------------------------------------------------------------------------- bad folders


@pytest.mark.skipif(os.name == "nt", reason="rights work differently on Windows")
def test_a_folder_without_the_right_to_write_is_named(tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    program = (  # root may write everywhere: there it becomes nobody first
        "import os, sys\nfrom helpers import store\n"
        "os.chdir(sys.argv[1])\n"
        "os.geteuid() or os.setuid(65534)\n"
        "store.save('load', {'machine': {'cpu_model': 'any'}}, folder='.')"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, cwd=store.RESULTS.parent
    )
    assert "the folder . is not writable" in ran.stderr
    assert "choose another folder" in ran.stderr
    assert list(folder.iterdir()) == []


def test_a_file_in_place_of_the_folder_is_named(tmp_path):
    put(tmp_path, "results", "")
    with pytest.raises(StoreError, match="is not a folder") as caught:
        store.save("load", {}, folder=tmp_path / "results")
    assert "another folder" in caught.value.hint


def test_a_full_disk_is_said_and_no_half_file_stays(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    with small_disk(folder, "64k"):
        store.save("load", {"small": 1}, folder=folder)
        with pytest.raises(StoreError, match="the disk is full") as caught:
            store.save("load", {"large": "x" * 200_000}, folder=folder)
        assert "free some space" in caught.value.hint
        assert "another folder" in caught.value.hint
        assert len(list(folder.iterdir())) == 1
        assert store.latest("load", folder=folder)["small"] == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limit")
def test_a_limit_on_file_sizes_is_said_and_no_half_file_stays(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(StoreError, match="more than may be written"):
            store.save("load", {"large": "x" * 200_000}, folder=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []


def test_a_used_up_quota_is_told_apart_from_a_full_disk(tmp_path):
    error = store._not_saved(tmp_path, OSError(errno.EDQUOT, "Disk quota exceeded"), 4096)
    assert "your disk quota is used up" in error.message


def test_a_writer_killed_in_the_middle_leaves_no_file_under_a_real_name(tmp_path):
    program = (
        "import os, signal, sys\nfrom helpers import store\n"
        "os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)\n"
        "store.save('load', {'a': 1}, folder=sys.argv[1])"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=store.RESULTS.parent)
    assert store.entries(folder=tmp_path) == []
    store.save("load", {"a": 2}, folder=tmp_path)
    assert store.latest("load", folder=tmp_path)["a"] == 2


# --------------------------------------------------------------------------------------------------------- bad files


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"there is no result .*nothing\.json"):
        store.load(tmp_path / "nothing.json")


def test_a_missing_file_is_answered_with_the_newest_that_there_are(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "RESULTS", tmp_path)
    with pytest.raises(StoreError) as caught:
        store.load("A.json")
    assert "--save" in caught.value.hint
    kept = store.save("load", {"a": 1})
    with pytest.raises(StoreError) as caught:
        store.load("A.json")
    assert kept.name in caught.value.hint


@pytest.mark.parametrize("text", ["", '{"schema": 1, "kind": "lo', "\0\0\0", "[" * 100_000])
def test_a_damaged_file_is_named_with_what_to_do(tmp_path, text):
    path = put(tmp_path, "load-x.json", text)
    with pytest.raises(StoreError, match=r"load-x\.json is damaged") as caught:
        store.load(path)
    assert "delete or move" in caught.value.hint


def test_a_file_that_is_not_utf8_is_damaged(tmp_path):
    (tmp_path / "load-x.json").write_bytes(b'{"schema": 1, "kind": "\xff\xfe"}')
    with pytest.raises(StoreError, match="is damaged"):
        store.load(tmp_path / "load-x.json")


def test_a_newer_schema_says_both_numbers(tmp_path):
    path = put(tmp_path, "load-x.json", '{"schema": 7, "kind": "load"}')
    with pytest.raises(StoreError, match="written by a newer version: schema 7, this one reads up to 1") as caught:
        store.load(path)
    assert "update" in caught.value.hint


def test_an_older_schema_is_read(tmp_path):
    assert store.load(put(tmp_path, "load-x.json", '{"schema": 0, "kind": "load"}'))["schema"] == 0


@pytest.mark.parametrize("text", ["[]", "{}", '{"schema": "1", "kind": "load"}', '{"schema": true, "kind": "load"}'])
def test_a_file_of_somebody_else_is_no_result(tmp_path, text):
    with pytest.raises(StoreError, match="is no result of this project"):
        store.load(put(tmp_path, "package.json", text))


def test_the_list_holds_the_bad_files_with_their_problem_and_the_good_ones_in_order(tmp_path):
    put(tmp_path, "load-20200101-000000-000000-ab.json", "{")
    put(tmp_path, "load-20300101-000000-000000-cd.json", '{"schema": 7, "kind": "load"}')
    put(tmp_path, "notes.txt", "not ours")
    good = store.save("load", {"a": 1, "created_at": "2025-01-01T00:00:00+00:00"}, folder=tmp_path)
    store.save("sweep", {}, folder=tmp_path)
    found = store.entries("load", folder=tmp_path)
    assert [entry.path for entry in found if not entry.problem] == [good]
    assert [entry.created_at[:4] for entry in found] == ["2020", "2025", "2030"]
    assert "damaged" in found[0].problem
    assert "newer version" in found[2].problem
    assert len(store.entries(folder=tmp_path)) == 4


def test_an_empty_or_missing_folder_lists_nothing(tmp_path):
    assert store.entries(folder=tmp_path) == []
    assert store.entries(folder=tmp_path / "none") == []


def test_the_latest_is_the_newest_that_can_be_used(tmp_path):
    store.save("load", {"number": 1}, folder=tmp_path)
    store.save("load", {"number": 2}, folder=tmp_path)
    put(tmp_path, "load-29990101-000000-000000-ab.json", "{")
    assert store.latest("load", folder=tmp_path)["number"] == 2


def test_without_a_usable_result_the_error_says_what_is_wrong_with_those_there(tmp_path):
    with pytest.raises(StoreError, match="no result of the kind 'load' is stored\n"):
        store.latest("load", folder=tmp_path)
    put(tmp_path, "load-20200101-000000-000000-ab.json", "{")
    with pytest.raises(StoreError, match=r"1 cannot be used, the newest: .* is damaged"):
        store.latest("load", folder=tmp_path)
