"""Saved results against each other: ratio, interval and verdict, and what is no comparison at all."""

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers import store
from helpers.cli import main
from helpers.compare import compare
from helpers.errors import InputError, StoreError

pytestmark = pytest.mark.calm

DATA = Path(__file__).parent / "data"
LOAD = store.load(DATA / "load.json")
SWEEP = store.load(DATA / "sweep.json")


def load(factor: float = 1.0, **changes: Any) -> dict[str, Any]:
    """The sample run, `factor` times as fast."""
    saved = copy.deepcopy(LOAD) | changes
    saved["achieved_per_s"] *= factor
    saved["response_ms"] = {name: value and value / factor for name, value in saved["response_ms"].items()}
    return saved


def sweep(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    saved = copy.deepcopy(SWEEP)
    for row in saved["rows"]:
        change(row)
    return saved


WEATHER = (1.0, 0.9, 1.1, 1.05, 0.95)  # of the moments at which the pairs ran
NOISE = (1.01, 0.99, 1.0, 1.02, 0.98)


@pytest.mark.parametrize(("factor", "verdict"), [(1.5, "faster"), (0.7, "slower"), (1.002, "inconclusive")])
def test_several_runs_of_each_give_an_interval_and_a_verdict(factor: float, verdict: str) -> None:
    base = [load(weather) for weather in WEATHER]
    other = [load(factor * weather * noise) for weather, noise in zip(WEATHER, NOISE, strict=True)]
    found = compare(base, other)
    throughput = found.leading[0]
    assert throughput.quantity == "throughput"
    assert found.verdict == verdict
    assert throughput.ratio.value == pytest.approx(factor, rel=0.02)
    assert throughput.ratio.low is not None
    assert throughput.ratio.high is not None
    assert throughput.ratio.low < factor < throughput.ratio.high
    p50 = next(row for row in found.rows if row.quantity == "p50 response")
    assert p50.ratio.value == pytest.approx(1 / factor, rel=0.02)  # a shorter time is the faster one
    assert p50.verdict == verdict


def test_one_run_each_allows_no_interval_and_so_no_verdict() -> None:
    found = compare(load(), load(3.0))
    assert found.verdict == "inconclusive"
    assert found.leading[0].ratio.value == pytest.approx(3)
    assert found.leading[0].ratio.low is None
    assert "One run each allows no interval" in found.why


def test_few_pairs_are_a_first_look() -> None:
    found = compare([load(), load(1.01), load(0.99)], [load(2), load(2.02), load(1.99)])
    assert found.verdict == "faster"
    assert "first look" in found.why


def test_at_a_rate_the_response_time_decides() -> None:
    open_run = {"model": "open", "users": None, "rate_per_s": 50.0, "response_ms": LOAD["response_ms"] | {"p95": 20.0}}
    base = [load(weather, **open_run) for weather in WEATHER]
    found = compare(base, [copy.deepcopy(each) for each in base])
    assert found.leading[0].quantity == "p95 response"


def test_a_pair_with_a_void_run_takes_no_part() -> None:
    base, other = [load(), load(1.01), load()], [load(2), load(2.02), load(verdict="void")]
    found = compare(base, other)
    assert found.leading[0].ratio.pairs == 2
    assert "1 of 3 pairs take no part" in found.notes[0]
    with pytest.raises(InputError, match="void"):
        compare(load(), load(verdict="void"))


def test_a_percentile_among_time_outs_gives_no_ratio() -> None:
    censored = load()
    censored["response_ms"] = LOAD["response_ms"] | {"p50": {"at_least": 5000}}
    found = compare(load(), censored)
    assert "p50 response" not in [row.quantity for row in found.rows]
    assert any("p50 response: no number in 1 of 1" in note for note in found.notes)


@pytest.mark.parametrize(
    ("aspect", "changes", "named"),
    [
        ("endpoint", {"url": "http://127.0.0.1:5012/sleep?ms=5"}, "/sleep?ms=5"),
        ("load", {"users": 64}, "users 4 / 64"),
        ("load", {"method": "POST"}, "method GET / POST"),
        ("load", {"burst": True}, "burst False / True"),
        ("machine", {"machine": LOAD["machine"] | {"cpus_usable": 64}}, "/ 64"),
        ("machine", {"machine": LOAD["machine"] | {"cpu_model": "another"}}, "another"),
    ],
)
def test_what_is_not_alike_is_refused_unless_said(aspect: str, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError) as caught:
        compare(load(), load(**changes))
    assert aspect in caught.value.message
    assert named in caught.value.message
    assert f"--despite {aspect}" in caught.value.hint
    found = compare(load(), load(**changes), despite=[aspect])
    assert named in found.differences[0]
    assert named in str(found)


def test_another_port_is_no_difference_and_another_server_is_one_that_may_be() -> None:
    assert compare(load(), load(url="http://127.0.0.1:5099/cpu")).differences == ()
    found = compare(load(), load(server=LOAD["server"] | {"workers_wanted": 1}))
    assert found.differences == ("server: workers_wanted 2 / 1",)


def test_an_upgrade_is_told() -> None:
    packages = LOAD["machine"]["packages"] | {"uvicorn": "9.9"}
    found = compare(load(), load(machine=LOAD["machine"] | {"packages": packages}))
    assert "9.9" in found.differences[0]


def test_what_an_older_version_did_not_write_down_cannot_differ() -> None:
    older = {
        key: value for key, value in load().items() if key not in ("method", "think_s", "stages", "new_connections")
    }
    assert compare(older, load()).differences == ()


def test_the_runs_of_one_set_must_be_alike() -> None:
    with pytest.raises(InputError, match="second set are not alike"):
        compare([load(), load()], [load(), load(users=64)])


def test_sets_of_unequal_size_are_no_pairs() -> None:
    with pytest.raises(InputError, match="1 runs against 2"):
        compare([load()], [load(), load()])


def test_sweeps_are_compared_cell_by_cell_with_their_repeats_as_pairs() -> None:
    def faster(row: dict[str, Any]) -> None:
        if row["workers"] == 2:
            row["achieved_per_s"] *= 1.4

    found = compare(sweep(lambda row: None), sweep(faster))
    by_setting = {row.setting: row for row in found.leading}
    assert list(by_setting) == ["1 worker, 4 users", "2 workers, 4 users"]
    assert by_setting["1 worker, 4 users"].ratio.value == pytest.approx(1)
    assert by_setting["2 workers, 4 users"].ratio.value == pytest.approx(1.4)
    assert by_setting["2 workers, 4 users"].verdict == "faster"
    assert found.verdict == "inconclusive"
    assert "disagree" in found.why


def test_a_cell_of_one_sweep_only_is_told_and_nothing_in_common_refused() -> None:
    def rename(row: dict[str, Any]) -> None:
        if row["workers"] == 2:
            row["workers"] = 3

    found = compare(sweep(lambda row: None), sweep(rename))
    assert [row.setting for row in found.leading] == ["1 worker, 4 users"]
    assert any(note.startswith("3 workers, 4 users") for note in found.notes)
    with pytest.raises(InputError, match="no setting in common"):
        compare(sweep(lambda row: None), sweep(lambda row: row.update(users=99)))


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([], [LOAD], "first set is empty"),
        (LOAD, SWEEP, "a load and a sweep"),
        (DATA / "reproduce.json", DATA / "reproduce.json", "'reproduce'"),
        ({"schema": 1}, LOAD, "no saved result"),
    ],
)
def test_what_is_no_comparison_is_refused(a: Any, b: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        compare(a, b)


def test_what_may_differ_must_be_something_that_can() -> None:
    with pytest.raises(InputError, match="weather"):
        compare(load(), load(), despite=["weather"])


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(StoreError, match="nowhere"):
        compare("nowhere.json", DATA / "load.json")


@pytest.mark.parametrize("kind", ["load", "sweep", "knee", "reproduce"])
def test_a_result_stored_by_an_earlier_version_can_still_be_read(kind: str) -> None:
    saved = store.load(DATA / f"{kind}.json")
    assert saved["kind"] == kind
    assert saved["schema"] == 1
    assert saved["machine"]["cpus_usable"] >= 1
    if kind in ("load", "sweep"):
        ratios = [row.ratio.value for row in compare(saved, saved).rows]
        assert ratios
        assert all(math.isclose(ratio, 1) for ratio in ratios if ratio is not None)
    if kind == "knee":
        from helpers.plots.knee import knee_plot

        picture = knee_plot(saved["steps"], rate_per_s=saved["rate_per_s"], missed_per_s=saved["missed_per_s"])
        assert len(picture.table) == len(saved["steps"])


# ------------------------------------------------------------------------------------------------- the command line


def write(folder: Path, name: str, saved: dict[str, Any]) -> str:
    file = folder / name
    file.write_text(json.dumps(saved))
    return str(file)


def test_the_command_exits_by_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slow = ",".join(write(tmp_path, f"a{i}.json", load(w)) for i, w in enumerate(WEATHER))
    fast = ",".join(
        write(tmp_path, f"b{i}.json", load(2 * w * n)) for i, (w, n) in enumerate(zip(WEATHER, NOISE, strict=True))
    )
    assert main(["compare", slow, fast]) == 0
    assert capsys.readouterr().out.strip().splitlines()[-1].startswith("faster: ")
    assert main(["compare", slow, slow.replace("a0", "a1"), "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert next(iter(told)) == "schema"
    assert told["verdict"] == "inconclusive"
    assert {"quantity", "ratio", "ci95", "pairs", "verdict"} <= set(told["rows"][0])


@pytest.mark.parametrize(
    ("changes", "further", "named"),
    [
        ({"users": 64}, [], "users 4 / 64"),
        ({}, ["--despite", "weather"], "weather"),
        ({"kind": "note"}, [], "note"),
        ({"schema": 99}, [], "schema 99"),
    ],
)
def test_the_command_refuses_with_one_error_and_one_hint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], further: list[str], named: str
) -> None:
    a, b = write(tmp_path, "a.json", load()), write(tmp_path, "b.json", load(**changes))
    assert main(["compare", a, b, *further]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.strip().splitlines()
    assert [line.partition(":")[0] for line in lines] == ["error", "hint"]
    assert named in lines[0]
