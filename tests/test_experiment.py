"""Sweeps and their statistics: the interval is right as often as it says, and every cell is a fresh launch."""

import math
import random

import pytest

from helpers.errors import InputError
from helpers.experiment import Cell, pace, paired_ratio, sweep


def test_the_interval_covers_the_true_ratio_as_often_as_it_says() -> None:
    chance = random.Random(20)
    truth, covered, rounds = 1.8, 0, 2000
    for _ in range(rounds):
        base = [100 * math.exp(chance.gauss(0, 0.07)) for _ in range(5)]
        other = [180 * math.exp(chance.gauss(0, 0.07)) for _ in range(5)]
        ratio = paired_ratio(base, other)
        assert ratio.low is not None
        assert ratio.high is not None
        covered += ratio.low <= truth <= ratio.high
    assert 0.93 <= covered / rounds <= 0.97


def test_pairing_cancels_what_both_launches_of_a_repeat_share() -> None:
    weather = [1.0, 0.5, 2.0, 0.7, 1.4]  # a noisy machine: both cells of a repeat are slowed alike
    ratio = paired_ratio([100 * w for w in weather], [170 * w for w in weather])
    assert ratio.value == pytest.approx(1.7)
    assert ratio.low == pytest.approx(1.7)
    assert ratio.high == pytest.approx(1.7)


def test_one_pair_gives_a_ratio_without_an_interval_and_none_gives_nothing() -> None:
    assert paired_ratio([100], [150]).low is None
    assert str(paired_ratio([100], [150])) == "1.50x"
    assert paired_ratio([], []).value is None
    with pytest.raises(InputError):
        paired_ratio([1, 2], [1])


@pytest.mark.full
def test_a_sweep_measures_every_cell_on_fresh_launches_in_turning_order() -> None:
    seen = []
    result = sweep(
        path="/cpu?units=10", workers=(1, 2), users=(4,), repeats=2, duration=1.0, progress=False, on_run=seen.append
    )
    assert [run.cell.workers for run in seen] == [1, 2, 2, 1]
    assert [run.repeat for run in seen] == [0, 0, 1, 1]
    assert tuple(seen) == result.runs
    launches = {run.result.launch_before.id for run in seen}
    assert len(launches) == 4
    base, other = result.cells
    assert (base, other) == (Cell(1, None, 4), Cell(2, None, 4))
    valid = sum(run.cell == base and not run.void for run in seen)
    assert result.ratio(base).value == (pytest.approx(1.0) if valid else None)
    assert result.first_look
    assert [row["workers"] for row in result.rows()] == [1, 2, 2, 1]
    assert len(result.frame()) == 4


def test_the_pace_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAB_PACE", raising=False)
    assert not pace().first_look
    monkeypatch.setenv("LAB_PACE", "quick")
    assert pace().first_look
    monkeypatch.setenv("LAB_PACE", "warp")
    with pytest.raises(InputError, match="warp"):
        pace()
