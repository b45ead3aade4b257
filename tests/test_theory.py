"""theory.py: Little's and Amdahl's laws against numbers worked out by hand."""

import math

import pytest

from helpers import theory
from helpers.errors import InputError


def test_little_gives_each_of_the_three_from_the_other_two():
    assert theory.little_in_system(200, 0.08) == pytest.approx(16)
    assert theory.little_throughput(16, 0.08) == pytest.approx(200)
    assert theory.little_response_s(16, 200) == pytest.approx(0.08)


def test_the_users_of_a_closed_load_wait_and_think():
    assert theory.little_users(10, 0.1) == pytest.approx(1)
    assert theory.little_users(10, 0.1, think_s=0.9) == pytest.approx(10)


def test_past_the_limit_twice_the_users_wait_twice_as_long():
    assert theory.closed_response_s(16, 80) == pytest.approx(0.2)
    assert theory.closed_response_s(32, 80) == pytest.approx(0.4)
    assert theory.closed_response_s(10, 5, think_s=1.5) == pytest.approx(0.5)


def test_users_cannot_send_faster_than_they_think():
    with pytest.raises(InputError, match="cannot send 20") as caught:
        theory.closed_response_s(10, 20, think_s=1)
    assert "10 requests/s" in caught.value.hint


def test_amdahl_without_a_serial_part_doubles_on_two_processors():
    assert theory.amdahl_speedup(0, 2) == 2
    assert theory.amdahl_limit(0) == math.inf


def test_amdahl_with_everything_serial_gains_nothing():
    assert theory.amdahl_speedup(1, 64) == 1
    assert theory.amdahl_limit(1) == 1


def test_amdahl_with_a_tenth_serial():
    assert theory.amdahl_speedup(0.1, 10) == pytest.approx(1 / 0.19)
    assert theory.amdahl_limit(0.1) == pytest.approx(10)


@pytest.mark.parametrize("serial", [0.0, 0.03, 0.5, 1.0])
@pytest.mark.parametrize("n", [2, 3, 10])
def test_the_serial_fraction_is_found_again_from_the_speedup(serial, n):
    assert theory.amdahl_serial_fraction(theory.amdahl_speedup(serial, n), n) == pytest.approx(serial)


def test_a_speedup_above_the_number_of_processors_is_not_hidden():
    assert theory.amdahl_serial_fraction(2.2, 2) < 0
    assert theory.amdahl_serial_fraction(0.9, 2) > 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: theory.little_in_system(-1, 1),
        lambda: theory.little_in_system(math.inf, 1),
        lambda: theory.little_throughput(1, 0),
        lambda: theory.little_response_s(1, math.nan),
        lambda: theory.little_users(1, 1, think_s=-1),
        lambda: theory.closed_response_s(0, 1),
        lambda: theory.amdahl_speedup(1.5, 2),
        lambda: theory.amdahl_speedup(-0.1, 2),
        lambda: theory.amdahl_speedup(0.1, 0),
        lambda: theory.amdahl_limit(2),
        lambda: theory.amdahl_serial_fraction(0, 2),
        lambda: theory.amdahl_serial_fraction(1.5, 1),
    ],
)
def test_a_value_that_makes_no_sense_says_which_and_what_would(call):
    with pytest.raises(InputError) as caught:
        call()
    assert "=" in caught.value.message
    assert caught.value.hint
