"""Percentiles: time-outs stay in, few samples give none."""

import numpy as np
import pytest

from helpers.load.latency import AtLeast, latency, shown

pytestmark = pytest.mark.calm


def test_percentiles_are_samples_by_nearest_rank() -> None:
    found = latency(np.arange(1.0, 1001.0))
    assert (found.p50, found.p90, found.p95, found.p99, found.max) == (500, 900, 950, 990, 1000)


@pytest.mark.parametrize(
    ("count", "given"), [(19, []), (20, ["p50"]), (199, ["p50", "p90"]), (200, ["p50", "p90", "p95"])]
)
def test_a_percentile_needs_ten_samples_beyond_it(count: int, given: list[str]) -> None:
    found = latency(np.arange(1.0, count + 1))
    assert [name for name in ("p50", "p90", "p95", "p99") if getattr(found, name) is not None] == given
    assert found.max == count


def test_no_samples_give_no_numbers() -> None:
    found = latency(np.array([]))
    assert (found.p50, found.max, found.mean_ms, found.at_most(0.99)) == (None, None, None, None)


def test_a_percentile_among_time_outs_is_a_lower_bound() -> None:
    values = np.concatenate([np.full(950, 10.0), np.full(50, 5003.0)])
    found = latency(values, values > 5000, 5000)
    assert (found.p50, found.p90, found.p95) == (10, 10, 10)
    assert found.p99 == found.max == AtLeast(5000)
    assert found.as_json()["p99"] == {"at_least": 5000}
    assert shown(found.p99) == ">= 5000 ms"


def test_an_aborted_request_counts_as_larger_than_all_that_finished() -> None:
    found = latency(np.array([*range(1, 31), 2.5]), np.array([False] * 30 + [True]))
    assert found.p50 == 16
    assert found.max == AtLeast(2.5)


def test_times_are_shown_with_three_digits() -> None:
    assert [shown(value) for value in (0.1234, 12.34, 123.4, None)] == [
        "0.12 ms",
        "12.3 ms",
        "123 ms",
        "too few samples",
    ]
