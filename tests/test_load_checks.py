"""Can a measurement be trusted? Each check on facts whose verdict is known."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.load.checks import Check, Facts, check_all, trend, worst

pytestmark = pytest.mark.calm

GOOD = Facts(
    engine_cores=0.2,
    run_delay_share=0.005,
    foreign_cores=0.02,
    little=1.0,
    lag_p99_ms=None,
    rest_lag_ms=0.1,
    offered=1000,
    outcomes_total=1000,
    slices=[100.0, 101, 99, 100, 102, 98, 100, 101, 99, 100],
    share={11: 510, 12: 490},
    instrumented=True,
    foreign_answers=0,
    same_launch=True,
    workers_lost=0,
    answered=1100,
    sent=1100,
    finished_most=1100,
    finished_least=1100,
    incomplete=None,
)


def verdict_of(name: str, **changes: object) -> str:
    return found(name, **changes).verdict


def found(name: str, **changes: object) -> Check:
    return next(check for check in check_all(replace(GOOD, **changes)) if check.name == name)  # type: ignore[arg-type]


def test_a_good_run_passes_every_check() -> None:
    checks = check_all(GOOD)
    assert [check.name for check in checks if check.verdict != "pass"] == []
    assert worst(checks) == "pass"
    assert [check.name for check in checks] == [
        "engine CPU", "run delay", "foreign load", "Little's law", "outcomes", "steady", "worker share", "launch",
        "server's count", "enough requests",
    ]  # fmt: skip


@pytest.mark.parametrize("disturbed", [{"run_delay_share": 0.06}, {"foreign_cores": 0.3}])
def test_where_others_disturb_it_the_way_out_on_a_shared_machine_is_told_as_well(disturbed: dict[str, float]) -> None:
    [check] = [each for each in check_all(replace(GOOD, **disturbed)) if each.verdict != "pass"]
    assert "Close " in check.why
    assert check.why.endswith("Where they are other people's, take turns (LAB_ROTA).")


@pytest.mark.parametrize(
    ("name", "changes", "verdict"),
    [
        ("engine CPU", {"engine_cores": 0.69}, "pass"),
        ("engine CPU", {"engine_cores": 0.70}, "warn"),
        ("engine CPU", {"engine_cores": 0.90}, "void"),
        ("run delay", {"run_delay_share": 0.049}, "pass"),
        ("run delay", {"run_delay_share": 0.06}, "warn"),
        ("run delay", {"run_delay_share": 0.13}, "void"),
        ("foreign load", {"foreign_cores": 0.14}, "pass"),
        ("foreign load", {"foreign_cores": 0.2}, "warn"),
        ("foreign load", {"foreign_cores": 0.6}, "void"),
        ("lag", {"lag_p99_ms": 0.9}, "pass"),
        ("lag", {"lag_p99_ms": 2.0}, "warn"),
        ("lag", {"lag_p99_ms": 2.0, "rest_lag_ms": 1.5}, "pass"),
        ("lag", {"lag_p99_ms": 6.0}, "void"),
        ("Little's law", {"little": 1.019}, "pass"),
        ("Little's law", {"little": 0.97}, "void"),
        ("outcomes", {"outcomes_total": 999}, "void"),
        ("worker share", {"share": {11: 75, 12: 25}}, "pass"),
        ("worker share", {"share": {11: 76, 12: 24}}, "warn"),
        ("worker share", {"share": {11: 100, 12: 0}}, "warn"),
        ("launch", {"foreign_answers": 1}, "void"),
        ("launch", {"same_launch": False}, "void"),
        ("launch", {"same_launch": None}, "warn"),
        ("launch", {"instrumented": False}, "warn"),
        ("workers", {"workers_lost": 1}, "warn"),
        ("server's count", {"finished_most": 1099}, "warn"),
        ("server's count", {"finished_most": 1000, "turned_away": 100}, "pass"),
        ("server's count", {"finished_least": 1101}, "warn"),
        ("enough requests", {"offered": 99, "outcomes_total": 99}, "warn"),
        ("warm-up", {"unanswered": 0, "users": 16}, "pass"),
        ("warm-up", {"unanswered": 1, "users": 16, "longer_warmup_s": 3.0}, "warn"),
        ("pauses", {"pause_ms": 199.0, "duration_s": 5.0}, "pass"),
        ("pauses", {"pause_ms": 201.0, "duration_s": 5.0}, "warn"),
        ("pauses", {"pause_ms": 501.0, "duration_s": 5.0}, "void"),
        ("pauses", {"pause_ms": 900.0, "duration_s": 10.0}, "warn"),
        ("stopped worker", {"stopped_s": {11: 0.5}}, "warn"),
        ("redirects", {"redirects": 1}, "warn"),
        ("complete", {"incomplete": "the engine was killed"}, "void"),
    ],
)
def test_each_limit_is_where_it_is_said_to_be(name: str, changes: dict[str, object], verdict: str) -> None:
    check = found(name, **changes)
    assert check.verdict == verdict
    assert check.why.endswith(".")
    if verdict != "pass":
        assert worst(check_all(replace(GOOD, **changes))) == verdict  # type: ignore[arg-type]


def test_what_could_not_be_measured_is_not_checked() -> None:
    unknown = replace(
        GOOD, run_delay_share=None, foreign_cores=None, little=None, share={}, finished_most=None, finished_least=None
    )
    names = [check.name for check in check_all(unknown)]
    assert names == ["engine CPU", "outcomes", "steady", "launch", "enough requests"]


def test_one_worker_has_no_share_to_judge() -> None:
    assert "worker share" not in [check.name for check in check_all(replace(GOOD, share={11: 1000}))]


def test_a_growing_latency_or_falling_rate_is_not_steady() -> None:
    assert verdict_of("steady", slices=[100 - 4 * i for i in range(10)]) == "warn"
    assert verdict_of("steady", slices=[10 + i for i in range(10)]) == "warn"


def test_a_trend_too_small_to_matter_is_steady() -> None:
    assert verdict_of("steady", slices=[1000 + i for i in range(10)]) == "pass"


def test_noise_seldom_looks_like_a_trend() -> None:
    random = np.random.default_rng(1)
    alarms = sum(verdict_of("steady", slices=random.normal(100, 25, 10).tolist()) == "warn" for _ in range(1000))
    assert alarms <= 20


def test_the_trend_of_a_line_is_its_slope() -> None:
    z, change = trend([90.0 + 2 * i for i in range(11)])
    assert z == pytest.approx(4.2, abs=0.1)  # 54 / sqrt(11 * 10 * 27 / 18)
    assert change == pytest.approx(2 * 11 / 100)
