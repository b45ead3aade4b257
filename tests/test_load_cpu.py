"""Where the machine's CPU time went: the parts add up, and each goes to who used it."""

import os

import pytest

from helpers.load.cpu import Snapshot, split

CORES = os.cpu_count() or 1
BEFORE: Snapshot = {
    "at_ns": 0, "engine_s": 1.0, "run_delay_ns": 0, "busy_s": 0.0, "idle_s": 100.0, "steal_s": 0.0, "owner_s": 5.0,
    "server_s": {"10": 1.0, "11": 2.0, "12": 3.0},
    "server_ended_s": 0.0,
}  # fmt: skip


def after(**changes: object) -> Snapshot:
    idle_s = 100.0 + 10 * CORES - 8.0  # 8 of the seconds were used
    used = {"at_ns": 10 * 10**9, "engine_s": 2.0, "run_delay_ns": 10**8, "busy_s": 8.0, "idle_s": idle_s}
    return {**BEFORE, **used, "owner_s": 5.5, "server_s": {"10": 1.1, "11": 4.0, "12": 6.0}, **changes}  # type: ignore[typeddict-item]


def test_each_part_is_in_cores_and_the_rest_is_others() -> None:
    found = split(BEFORE, after(), workers={11, 12}, parent=10)
    assert found.workers == pytest.approx({11: 0.2, 12: 0.3})
    assert found.rest_of_server == pytest.approx(0.01)
    assert found.generator == pytest.approx(0.1)
    assert found.owner == pytest.approx(0.05)
    assert found.others == pytest.approx(0.8 - 0.5 - 0.01 - 0.1 - 0.05)
    assert found.run_delay_share == pytest.approx(0.01)
    parts = sum(found.workers.values()) + found.rest_of_server + found.generator + found.owner + found.others
    assert parts + found.idle + found.steal == pytest.approx(CORES)


def test_a_single_worker_is_its_own_parent() -> None:
    assert split(BEFORE, after(server_s={"10": 3.0}), workers={10}, parent=10).workers == pytest.approx({10: 0.2})


def test_a_worker_started_meanwhile_counts_with_all_it_used_and_one_that_ended_is_told() -> None:
    found = split(BEFORE, after(server_s={"10": 1.0, "12": 6.0, "13": 0.5}), workers={11, 12, 13}, parent=10)
    assert found.workers == pytest.approx({11: 0.0, 12: 0.3, 13: 0.05})
    assert found.server_gone == (11,)


def test_processes_that_the_server_started_and_waited_for_are_the_servers() -> None:
    found = split(BEFORE, after(server_ended_s=1.0), workers={11, 12}, parent=10)
    assert found.rest_of_server == pytest.approx(0.01 + 0.1)
    assert found.others == pytest.approx(0.8 - 0.5 - 0.01 - 0.1 - 0.1 - 0.05)


def test_of_one_that_ended_meanwhile_only_what_it_used_since_counts() -> None:
    found = split(BEFORE, after(server_s={"10": 1.1, "11": 4.0}, server_ended_s=3.0 + 1.0), workers={11}, parent=10)
    assert found.server_gone == ()
    assert found.rest_of_server == pytest.approx(0.01 + 0.1)


def test_counting_errors_never_make_a_part_negative() -> None:
    assert split(BEFORE, after(idle_s=100.0 + 10 * CORES), workers={11, 12}, parent=10).others == 0
