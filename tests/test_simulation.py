"""The simulated server against the formulas, and against what this machine really does."""

import math
import statistics

import numpy as np
import pytest

from helpers.errors import InputError
from helpers.load.result import LoadResult
from helpers.load.run import load_test
from helpers.machine import process_scaling
from helpers.server.server import Server
from helpers.theory import queues, service
from helpers.theory.cores import capacity
from helpers.theory.service import ServiceTimes, calibrate
from helpers.theory.simulation import Simulated, simulate

pytestmark = pytest.mark.calm

WORK_S = 0.01
RANDOM = service.exponential(WORK_S)


def run(times: ServiceTimes = RANDOM, *, users: int = 16, **further) -> Simulated:
    return simulate(times, users=users, **further)


# ------------------------------------------------------------------------------------------------- known answers


@pytest.mark.parametrize(
    ("times", "workers", "busy", "expected_s"),
    [
        (RANDOM, 1, 0.5, queues.mmc_wait_s(50, WORK_S)),
        (RANDOM, 4, 0.6, queues.mmc_wait_s(240, WORK_S, 4)),
        (service.constant(WORK_S), 1, 0.6, queues.mg1_wait_s(60, WORK_S, cv=0)),
        (service.lognormal(WORK_S, 0.5), 1, 0.5, queues.mg1_wait_s(50, WORK_S, cv=0.5)),
    ],
    ids=["M/M/1", "M/M/4", "M/D/1", "M/G/1"],
)
def test_the_mean_wait_is_that_of_the_formula(times, workers, busy, expected_s):
    rate = busy * workers / WORK_S
    result = simulate(times, workers=workers, rate_per_s=rate, duration_s=120_000 / rate)
    assert result.waits_s.mean() == pytest.approx(expected_s, rel=0.05)
    assert result.per_s == pytest.approx(rate, rel=0.02)
    assert result.busy == pytest.approx(busy, rel=0.05)


@pytest.mark.full
@pytest.mark.parametrize(("workers", "busy"), [(1, 0.8), (4, 0.8)])
def test_over_many_seeds_the_mean_wait_comes_nearer_still(workers, busy):
    rate = busy * workers / WORK_S
    means = [
        simulate(RANDOM, workers=workers, rate_per_s=rate, duration_s=150_000 / rate, seed=seed).waits_s.mean()
        for seed in range(10)
    ]
    assert np.mean(means) == pytest.approx(queues.mmc_wait_s(rate, WORK_S, workers), rel=0.04)


def test_waits_are_spread_as_the_formula_says():
    result = simulate(RANDOM, workers=2, rate_per_s=140, duration_s=800)
    waited = np.count_nonzero(result.waits_s > 1e-12) / len(result.waits_s)
    assert waited == pytest.approx(queues.erlang_c(140, WORK_S, 2), rel=0.05)
    expected_s = queues.mmc_wait_percentile_s(140, WORK_S, 2, share=0.95)
    assert np.quantile(result.waits_s, 0.95) == pytest.approx(expected_s, rel=0.08)


@pytest.mark.parametrize("times", [RANDOM, service.constant(WORK_S)], ids=str)
def test_cores_shared_in_slices_serve_as_processor_sharing_does(times):
    """With always a free worker: R = S / (1 - rho), whatever the distribution (L. Kleinrock, J. ACM 14, 1967)."""
    result = simulate(times, workers=100, cores=1, rate_per_s=60, duration_s=1000)
    assert result.waits_s.max() == 0
    assert result.responses_s.mean() == pytest.approx(WORK_S / 0.4, rel=0.05)


@pytest.mark.parametrize(("users", "think_s"), [(1, 0.0), (16, 0.0), (16, 0.2)])
def test_littles_law_holds_in_the_simulation_too(users, think_s):
    result = run(users=users, think_s=think_s, workers=2)
    assert result.per_s * (result.responses_s.mean() + think_s) == pytest.approx(users, rel=0.02)


# -------------------------------------------------------------------------------------------- workers and policies


def test_two_workers_double_the_throughput_only_where_there_are_two_cores():
    one, two = run().per_s, run(workers=2).per_s
    assert one == pytest.approx(100, rel=0.05)
    assert two / one == pytest.approx(2, rel=0.05)
    assert run(workers=2, cores=1).per_s / one == pytest.approx(1, rel=0.05)
    assert run(workers=4, cores=2).per_s / one == pytest.approx(2, rel=0.05)
    assert run(workers=2, speedup=1.7).per_s / one == pytest.approx(1.7, rel=0.05)


def test_connections_that_all_stay_with_one_worker_leave_the_other_idle():
    result = run(workers=2, policy="pinned", shares=(1, 0))
    assert result.connections == (16, 0)
    assert list(result.shares) == [1, 0]
    assert list(result.busy) == pytest.approx([1, 0], abs=0.01)
    assert result.per_s == pytest.approx(run().per_s, rel=0.02)


def test_pinned_connections_are_drawn_anew_with_each_seed_and_stay_where_they_are():
    splits = {run(workers=2, policy="pinned", users=6, duration_s=1, seed=seed).connections for seed in range(30)}
    assert {sum(split) for split in splits} == {6}
    assert len(splits) >= 4
    uneven = run(workers=2, policy="pinned", users=40, shares=(0.9, 0.1), duration_s=60)
    assert uneven.connections[0] > 2 * uneven.connections[1] > 0
    assert uneven.shares == pytest.approx([0.5, 0.5], abs=0.05)  # both are busy: fewer users each wait less


def test_skewed_requests_make_the_busier_worker_the_limit():
    result = run(workers=2, policy="skewed", shares=(4, 1), duration_s=120)
    assert result.shares == pytest.approx([0.8, 0.2], abs=0.02)
    assert result.per_s == pytest.approx(100 / 0.8, rel=0.05)
    assert result.busy == pytest.approx([1, 0.25], abs=0.03)


def test_one_line_waits_less_than_two_and_far_less_than_uneven_ones():
    waits = [
        simulate(RANDOM, workers=2, rate_per_s=100, duration_s=300, **policy).waits_s.mean()
        for policy in (
            {"policy": "fair"},
            {"policy": "skewed", "shares": (0.5, 0.5)},
            {"policy": "pinned", "connections": 3, "shares": (0.7, 0.3)},
        )
    ]
    assert waits[0] < 0.7 * waits[1] < waits[2]
    assert waits[1] == pytest.approx(queues.mmc_wait_s(50, WORK_S), rel=0.1)


def test_the_same_seed_gives_the_same_run_and_another_one_another():
    first, again, other = (run(workers=2, policy="pinned", duration_s=5, seed=seed) for seed in (3, 3, 4))
    assert (first.done_s == again.done_s).all()
    assert len(first.done_s) != len(other.done_s) or (first.done_s != other.done_s).any()


def test_under_one_seed_every_policy_meets_the_same_arrivals():
    runs = [simulate(RANDOM, workers=2, rate_per_s=50, duration_s=5, cores=cores) for cores in (1, 2)]
    assert (np.sort(runs[0].arrived_s) == np.sort(runs[1].arrived_s)).all()


def test_a_simulated_run_has_the_row_of_a_sweep():
    row = run(workers=2, cores=2).row()
    assert (row["workers"], row["cpus"], row["users"], row["verdict"]) == (2, 2, 16, "simulated")
    assert row["p50_ms"] == pytest.approx(80, rel=0.1)
    assert row["p50_ms"] < row["p95_ms"] < row["p99_ms"]
    assert run(duration_s=1).row()["p99_ms"] is None  # some 100 requests: one beyond it


def test_more_arrivals_than_the_workers_can_carry_pile_up_and_are_served_in_the_end():
    result = simulate(service.constant(WORK_S), rate_per_s=150, duration_s=20, warmup_s=0)
    assert result.per_s == pytest.approx(100, rel=0.02)
    assert result.waits_s.max() == pytest.approx(10, rel=0.1)
    assert len(result.waits_s) == pytest.approx(3000, rel=0.06)


# --------------------------------------------------------------------------------------------------- service times


@pytest.mark.parametrize(
    "times", [service.constant(0.02), service.exponential(0.02), service.lognormal(0.02, 0.5)], ids=str
)
def test_drawn_times_have_the_mean_and_the_spread_they_say(times):
    drawn = times.draw(np.random.default_rng(1), 50_000)
    assert drawn.mean() == pytest.approx(times.mean_s, rel=0.02)
    assert drawn.std() / drawn.mean() == pytest.approx(times.cv, rel=0.02, abs=1e-9)
    stream = times.stream(np.random.default_rng(1))
    assert [next(stream) for _ in range(3)] == list(times.draw(np.random.default_rng(1), 4096)[:3])


def test_measured_times_are_drawn_again_and_none_is_made_up():
    values = np.linspace(0.01, 0.02, 50)
    times = service.measured(values, overhead_s=0.001)
    assert times.mean_s == pytest.approx(0.016)
    assert set(times.draw(np.random.default_rng(0), 5000)) == set(values + 0.001)


def test_calibration_gives_the_rest_of_a_busy_workers_time_to_its_requests():
    times = calibrate([9.0, 10.0, 11.0, math.nan] * 30, per_s=95)
    assert times.mean_s == pytest.approx(1 / 95)
    assert times.overhead_s == pytest.approx(1 / 95 - 0.01)
    assert run(times).per_s == pytest.approx(95, rel=0.01)
    assert calibrate([9.0, 10.0, 11.0] * 30).mean_s == pytest.approx(0.01)
    assert calibrate([9.0, 10.0, 11.0] * 30, per_s=103).overhead_s == 0  # within the noise of a measurement


def test_times_that_overlapped_are_no_service_times():
    with pytest.raises(InputError, match="4 requests at a time") as caught:
        calibrate([100.0] * 50, per_s=40)
    assert "/cpu" in caught.value.hint


# -------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("further", "message"),
    [
        ({}, "do not say one load"),
        ({"users": 4, "rate_per_s": 10}, "do not say one load"),
        ({"users": 0}, "users=0"),
        ({"users": 2.5}, "users=2.5"),
        ({"users": "4"}, "users='4'"),
        ({"users": math.inf}, "users=inf"),
        ({"rate_per_s": 0}, "rate_per_s=0"),
        ({"rate_per_s": 10, "think_s": 1}, "think_s=1"),
        ({"users": 4, "workers": 0}, "workers=0"),
        ({"users": 4, "cores": 0}, "cores=0"),
        ({"users": 4, "workers": 2, "speedup": 0}, "speedup=0"),
        ({"users": 4, "cores": 1, "speedup": 1.5}, "both say"),
        ({"users": 4, "duration_s": 0}, "duration_s=0"),
        ({"users": 4, "warmup_s": -1}, "warmup_s=-1"),
        ({"users": 4, "think_s": math.nan}, "think_s=nan"),
        ({"users": 4, "policy": "random"}, "policy='random'"),
        ({"users": 4, "workers": 2, "policy": "skewed"}, "without shares"),
        ({"users": 4, "workers": 2, "shares": (1, 1)}, "shares="),
        ({"users": 4, "workers": 2, "policy": "skewed", "shares": (1,)}, "2 workers"),
        ({"users": 4, "workers": 2, "policy": "pinned", "shares": (0, 0)}, "2 workers"),
        ({"users": 4, "workers": 2, "policy": "pinned", "shares": (1, -1)}, "2 workers"),
        ({"rate_per_s": 10, "workers": 2, "policy": "pinned"}, "no connections"),
        ({"users": 4, "connections": 4}, "connections=4"),
        ({"rate_per_s": 100_000}, "2,000,000"),
    ],
)
def test_a_simulation_that_makes_no_sense_is_refused_with_a_hint(further, message):
    with pytest.raises(InputError, match=message) as caught:
        simulate(RANDOM, **further)
    assert caught.value.hint


@pytest.mark.parametrize(
    "call",
    [
        lambda: service.exponential(0),
        lambda: service.constant(-1),
        lambda: service.lognormal(0.01, -1),
        lambda: service.measured([0.01] * 5),
        lambda: service.measured([0.01] * 50 + [-0.01]),
        lambda: service.measured([0.01] * 50 + [math.inf]),
        lambda: service.measured([0.0] * 50),
        lambda: calibrate([math.nan] * 50, per_s=10),
        lambda: calibrate([10.0] * 50, per_s=0),
    ],
)
def test_service_times_that_cannot_be_drawn_from_are_refused(call):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.hint


def test_capacity_counts_cores_or_grows_to_the_measured_speedup():
    assert capacity(3) == (1, 2, 3)
    assert capacity(4, cores=2) == (1, 2, 2, 2)
    assert capacity(3, speedup=2.5) == (1, 1.75, 2.5)
    assert capacity(1, speedup=1) == (1,)


# ----------------------------------------------------------------------------------------------------- this machine


WANTED_ROUNDS, MOST_ROUNDS = 3, 6


def measure(workers: int) -> LoadResult:
    """A measurement that is not void, or else the last."""
    for _ in range(3):
        with Server(workers=workers) as server:
            result = load_test(server.url + "/cpu", users=16, duration=2.5, progress=False)
        if result.verdict != "void":
            break
    return result


def predicted_against_measured() -> tuple[bool, float]:
    """Two workers' throughput, predicted from one, over the measured one; and whether nothing else was at work."""
    one = measure(1)
    bare = process_scaling(2, seconds=0.4, rounds=5)
    two = measure(2)
    times = calibrate(one.frame()["handling_ms"], per_s=one.achieved_per_s)
    predicted = simulate(times, workers=2, users=16, policy="pinned", speedup=bare.ratio)
    steady = max(bare.rounds) - min(bare.rounds) < 0.15 * bare.ratio
    quiet = steady and one.verdict == two.verdict == "pass"
    return quiet, predicted.per_s / two.achieved_per_s


@pytest.mark.full
def test_two_workers_of_this_machine_are_predicted_from_one_and_from_bare_processes():
    """Rounds of one worker, bare processes, two workers; disturbed ones count where there is no other."""
    rounds: list[tuple[bool, float]] = []
    while sum(quiet for quiet, _ in rounds) < WANTED_ROUNDS and len(rounds) < MOST_ROUNDS:
        rounds.append(predicted_against_measured())
    ratios = [ratio for quiet, ratio in rounds if quiet] or [ratio for _, ratio in rounds]
    assert statistics.median(ratios) == pytest.approx(1, abs=0.1), rounds
