"""theory: the laws of Little and Amdahl, of scaling and of waiting lines, against numbers worked out by hand."""

import math

import numpy as np
import pytest

from helpers.errors import InputError
from helpers.theory import laws, queues, scaling

pytestmark = pytest.mark.calm


def test_little_gives_each_of_the_three_from_the_other_two():
    assert laws.little_in_system(200, 0.08) == pytest.approx(16)
    assert laws.little_throughput(16, 0.08) == pytest.approx(200)
    assert laws.little_response_s(16, 200) == pytest.approx(0.08)


def test_the_users_of_a_closed_load_wait_and_think():
    assert laws.little_users(10, 0.1) == pytest.approx(1)
    assert laws.little_users(10, 0.1, think_s=0.9) == pytest.approx(10)


def test_past_the_limit_twice_the_users_wait_twice_as_long():
    assert laws.closed_response_s(16, 80) == pytest.approx(0.2)
    assert laws.closed_response_s(32, 80) == pytest.approx(0.4)
    assert laws.closed_response_s(10, 5, think_s=1.5) == pytest.approx(0.5)


def test_users_cannot_send_faster_than_they_think():
    with pytest.raises(InputError, match="cannot send 20") as caught:
        laws.closed_response_s(10, 20, think_s=1)
    assert "10 requests/s" in caught.value.hint


def test_amdahl_without_a_serial_part_doubles_on_two_processors():
    assert laws.amdahl_speedup(0, 2) == 2
    assert laws.amdahl_limit(0) == math.inf


def test_amdahl_with_everything_serial_gains_nothing():
    assert laws.amdahl_speedup(1, 64) == 1
    assert laws.amdahl_limit(1) == 1


def test_amdahl_with_a_tenth_serial():
    assert laws.amdahl_speedup(0.1, 10) == pytest.approx(1 / 0.19)
    assert laws.amdahl_limit(0.1) == pytest.approx(10)


@pytest.mark.parametrize("serial", [0.0, 0.03, 0.5, 1.0])
@pytest.mark.parametrize("n", [2, 3, 10])
def test_the_serial_fraction_is_found_again_from_the_speedup(serial, n):
    assert laws.amdahl_serial_fraction(laws.amdahl_speedup(serial, n), n) == pytest.approx(serial)


def test_a_speedup_above_the_number_of_processors_is_not_hidden():
    assert laws.amdahl_serial_fraction(2.2, 2) < 0
    assert laws.amdahl_serial_fraction(0.9, 2) > 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: laws.little_in_system(-1, 1),
        lambda: laws.little_in_system(math.inf, 1),
        lambda: laws.little_throughput(1, 0),
        lambda: laws.little_response_s(1, math.nan),
        lambda: laws.little_users(1, 1, think_s=-1),
        lambda: laws.closed_response_s(0, 1),
        lambda: laws.amdahl_speedup(1.5, 2),
        lambda: laws.amdahl_speedup(-0.1, 2),
        lambda: laws.amdahl_speedup(0.1, 0),
        lambda: laws.amdahl_limit(2),
        lambda: laws.amdahl_serial_fraction(0, 2),
        lambda: laws.amdahl_serial_fraction(1.5, 1),
    ],
)
def test_a_value_that_makes_no_sense_says_which_and_what_would(call):
    with pytest.raises(InputError) as caught:
        call()
    assert "=" in caught.value.message
    assert caught.value.hint


# ------------------------------------------------------------------------------------------------- law of scaling

COUNTS = (1, 2, 3, 4, 6, 8)


def law(workers, per_s_of_one=90.0, sigma=0.05, kappa=0.012):
    return [scaling.usl_throughput(count, per_s_of_one, sigma, kappa) for count in workers]


def noisy(workers, seed, share=0.03, **coefficients):
    chance = np.random.default_rng(seed)
    return [value * math.exp(chance.normal(0, share)) for value in law(workers, **coefficients)]


def test_without_coherency_the_law_of_scaling_is_amdahls():
    assert scaling.usl_throughput(8, 90, 0.1) / 90 == pytest.approx(laws.amdahl_speedup(0.1, 8))
    assert scaling.usl_throughput(1, 90, 0.3, 0.2) == 90
    assert scaling.usl_throughput(4, 100, 0.05, 0.02) == pytest.approx(400 / (1 + 0.15 + 0.24))


def test_the_law_of_scaling_is_highest_at_its_peak():
    peak = scaling.usl_peak_workers(0.04, 0.015)
    assert peak == pytest.approx(8)
    at_peak, before, after = law([peak, peak - 0.1, peak + 0.1], sigma=0.04, kappa=0.015)
    assert at_peak > max(before, after)
    assert scaling.usl_peak_workers(0.04, 0) == math.inf
    assert scaling.usl_peak_workers(0.5, 2) == 1


def test_a_fit_finds_the_coefficients_again():
    fit = scaling.fit_usl(COUNTS, law(COUNTS))
    assert (fit.per_s_of_one, fit.sigma, fit.kappa) == pytest.approx((90, 0.05, 0.012), rel=1e-3)
    assert fit.peak_workers == pytest.approx(scaling.usl_peak_workers(0.05, 0.012), rel=1e-3)
    assert fit.extrapolated
    assert "beyond the 8 that were measured" in str(fit)
    assert fit.per_s(5) == pytest.approx(law([5])[0], rel=1e-3)


def test_a_fit_never_claims_that_workers_help_each_other():
    fit = scaling.fit_usl([1, 2, 4, 8], [90, 200, 450, 1000])  # more than twice as much from twice as many
    assert (fit.sigma, fit.kappa) == (0, 0)
    assert fit.peak_workers == math.inf
    assert "no peak" in str(fit)


def test_throughput_that_only_falls_peaks_at_one_worker():
    fit = scaling.fit_usl([1, 2, 4, 8], [90, 60, 30, 12])
    assert fit.peak_workers < 1.1
    assert not fit.extrapolated


def test_a_fits_intervals_hold_the_truth_about_as_often_as_they_say():
    truth, held, tries = {"sigma": 0.08, "kappa": 0.012}, 0, 100
    for seed in range(tries):
        fit = scaling.fit_usl(COUNTS * 2, noisy(COUNTS * 2, seed, **truth))
        low, high = fit.sigma_ci95
        held += low <= 0.08 <= high
        assert fit.peak_ci95[0] <= fit.peak_workers <= fit.peak_ci95[1]
    assert 0.9 * tries <= held


def test_few_noisy_points_leave_the_peak_open():
    wide = scaling.fit_usl([1, 2, 3, 4], noisy([1, 2, 3, 4], 3, kappa=0.001)).peak_ci95
    narrow = scaling.fit_usl(COUNTS * 5, noisy(COUNTS * 5, 3, kappa=0.03)).peak_ci95
    assert wide[1] > 100
    assert narrow[1] - narrow[0] < 2
    low, high = scaling.fit_usl(COUNTS * 5, noisy(COUNTS * 5, 3)).per_s_ci95(8)
    assert low < law([8])[0] < high < 1.2 * low


@pytest.mark.parametrize("workers", [[], [1, 2], [1, 2, 2, 2, 1, 1], [1, 2, 4, 4]])
def test_a_fit_refuses_fewer_than_four_numbers_of_workers_and_says_why(workers):
    with pytest.raises(InputError, match="three points always lie on it") as caught:
        scaling.fit_usl(workers, [90.0] * len(workers))
    assert "4 or more" in caught.value.hint


# -------------------------------------------------------------------------------------------------- waiting lines


def test_one_server_waits_by_the_textbooks_formula():
    assert queues.erlang_c(80, 0.01) == pytest.approx(0.8)
    assert queues.mmc_wait_s(80, 0.01) == pytest.approx(0.04)  # rho / (mu - lambda)
    assert queues.mmc_response_s(80, 0.01) == pytest.approx(0.05)  # 1 / (mu - lambda)
    assert queues.mmc_wait_s(0, 0.01, 3) == 0


def test_erlang_c_of_two_and_of_four_servers():
    assert queues.erlang_c(1.6, 1, 2) == pytest.approx(2 * 0.8**2 / 1.8)  # 2 rho^2 / (1 + rho)
    sums = sum(3**k / math.factorial(k) for k in range(4))
    last = 3**4 / math.factorial(4) / (1 - 0.75)
    assert queues.erlang_c(3, 1, 4) == pytest.approx(last / (sums + last))


def test_erlang_c_of_a_thousand_servers_does_not_overflow():
    assert 0 < queues.erlang_c(950, 1, 1000) < queues.erlang_c(990, 1, 1000) < 1


@pytest.mark.parametrize("servers", [1, 3])
def test_the_percentile_of_the_wait_leaves_the_rest_beyond(servers):
    rate = 0.8 * servers
    p99_s = queues.mmc_wait_percentile_s(rate, 1, servers, share=0.99)
    beyond = queues.erlang_c(rate, 1, servers) * math.exp(-(servers - rate) * p99_s)
    assert beyond == pytest.approx(0.01)
    assert queues.mmc_wait_percentile_s(rate, 1, servers, share=0.1) == 0


def test_equal_work_halves_the_wait_and_varied_work_lengthens_it():
    random = queues.mmc_wait_s(80, 0.01)
    assert queues.mg1_wait_s(80, 0.01, cv=1) == pytest.approx(random)
    assert queues.mg1_wait_s(80, 0.01, cv=0) == pytest.approx(random / 2)
    assert queues.mg1_wait_s(80, 0.01, cv=3) == pytest.approx(5 * random)
    assert queues.mg1_response_s(80, 0.01, cv=0) == pytest.approx(random / 2 + 0.01)


@pytest.mark.parametrize(
    "call",
    [lambda: queues.mmc_wait_s(100, 0.01), lambda: queues.mg1_wait_s(150, 0.01, 1), lambda: queues.erlang_c(5, 1, 4)],
)
def test_a_load_that_cannot_be_carried_has_no_mean_wait(call):
    with pytest.raises(InputError, match="utilisation 1") as caught:
        call()
    assert "grows without end" in caught.value.hint


@pytest.mark.parametrize(
    "call",
    [
        lambda: queues.utilisation(1, 0),
        lambda: queues.utilisation(1, 1, 0),
        lambda: queues.erlang_c(0.5, 1, 1.5),
        lambda: queues.mg1_wait_s(0.5, 1, -1),
        lambda: queues.mmc_wait_percentile_s(0.5, 1, share=1),
        lambda: scaling.usl_throughput(0, 90, 0.1),
        lambda: scaling.usl_throughput(2, 90, 1.1),
        lambda: scaling.usl_throughput(2, 90, 0.1, -1),
        lambda: scaling.fit_usl([1, 2, 3, 4], [90, 100, 0, 100]),
        lambda: scaling.fit_usl([1, 2, 3, 4], [90, 100, None, 100]),
        lambda: scaling.fit_usl([0, 2, 3, 4], [90, 100, 110, 100]),
    ],
)
def test_a_value_that_no_queue_has_says_which_and_what_would(call):
    with pytest.raises(InputError) as caught:
        call()
    assert "=" in caught.value.message
    assert caught.value.hint


def test_a_fit_wants_pairs():
    with pytest.raises(InputError, match="no pairs"):
        scaling.fit_usl([1, 2, 3, 4], [90])
