"""Objectives: what is read, what is refused and at which character, and when they are met, missed or cannot be told."""

import subprocess
import sys

import numpy as np
import pytest

from helpers.errors import InputError
from helpers.load.plan import make_plan
from helpers.load.records import HTTP_5XX, OK, TIMEOUT
from helpers.load.result import RECORD, LoadResult
from helpers.load.slo import Target, judge, overall, parse_slo, requests_needed

pytestmark = pytest.mark.calm

MS = 1_000_000


def run_of(*response_ms: float, timeouts: int = 0, failed: int = 0, incomplete: str | None = None) -> LoadResult:
    """A run of one second that answered so fast, with so many time-outs (after 5 s) and 500s (after 1 ms) besides."""
    times = [*response_ms, *[5000.0] * timeouts, *[1.0] * failed]
    records = np.zeros(len(times), RECORD)
    records["intended_ns"] = records["sent_ns"] = 1 + np.linspace(0, 1e9 - 2, len(times)).astype(int)
    records["done_ns"] = records["intended_ns"] + (np.array(times) * MS).astype(int)
    records["outcome"] = [*[OK] * len(response_ms), *[TIMEOUT] * timeouts, *[HTTP_5XX] * failed]
    return LoadResult(
        plan=make_plan("http://127.0.0.1:5012/cpu", rate=max(1, len(times)), duration=1),
        records=records,
        t0_ns=1,
        t1_ns=1 + 10**9,
        worker_pids={},
        before={},  # type: ignore[typeddict-item]
        after=None,
        launch_before=None,
        launch_after=None,
        incomplete=incomplete,
    )


def test_an_objective_is_conditions_separated_by_commas() -> None:
    assert parse_slo("p99<250ms, errors <= 1%,mean<1.5s,RATE>=100/s,max<.5 s") == (
        Target("p99", "<", 250.0, "p99<250ms"),
        Target("errors", "<=", 0.01, "errors <= 1%"),
        Target("mean", "<", 1500.0, "mean<1.5s"),
        Target("rate", ">=", 100.0, "RATE>=100/s"),
        Target("max", "<", 500.0, "max<.5 s"),
    )


@pytest.mark.parametrize(
    ("text", "at", "named"),
    [
        ("p98<250ms", 1, "'p98' is no metric"),
        ("p99<250ms,errs<1%", 11, "'errs' is no metric"),
        ("p99<250ms,", 11, "missing"),
        ("p99<250ms,,errors<1%", 11, "missing"),
        (",p99<250ms", 1, "missing"),
        ("p99", 4, "is missing after 'p99'"),
        ("p99=250ms", 4, "is missing after 'p99'"),
        ("p99<", 5, "a number is missing"),
        ("p99<fast", 5, "'fast' is no number"),
        ("p99<-1ms", 5, "'-1ms' is no number"),
        ("p99<nan", 5, "'nan' is no number"),
        ("p99<250", 8, "p99 needs a unit"),
        ("p99<250sec", 8, "'sec' is no unit of p99"),
        ("p99<1%", 6, "'%' is no unit of p99"),
        ("errors<1", 9, "errors needs a unit"),
        ("errors<10ms", 10, "'ms' is no unit of errors"),
        ("errors<200%", 8, "at most 100 %"),
        ("errors<0%", 8, "cannot be less than 0"),
        ("p50<0ms", 5, "cannot be less than 0"),
        ("p50<1e999s", 5, "too large"),
        ("p99<250ms;errors<1%", 8, "'ms;errors<1%' is no unit"),
        ("p99<250ms and errors<1%", 8, "no unit"),
        ("<250ms", 1, "no metric"),
        ("250ms", 1, "no metric"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_place(text: str, at: int, named: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_slo(text)
    assert f"at character {at}:" in caught.value.message
    assert named in caught.value.message
    assert repr(text) in caught.value.message
    assert len(caught.value.hint) > 10


@pytest.mark.parametrize("text", ["", "   ", None, 5])
def test_an_objective_that_says_nothing_is_refused(text: object) -> None:
    with pytest.raises(InputError, match="says nothing"):
        parse_slo(text)  # type: ignore[arg-type]


def test_a_very_long_text_is_not_repeated_whole() -> None:
    with pytest.raises(InputError) as caught:
        parse_slo("x" * 10_000)
    assert len(caught.value.message) < 300


def test_times_errors_and_rate_are_judged() -> None:
    result = run_of(*[10.0] * 95, *[30.0] * 105, failed=2)
    verdicts = {
        j.target.text: j.verdict for j in judge(result, "p50<20ms,p50<40ms,max<30ms,max<=30ms,errors<1%,errors<=1%")
    }
    assert verdicts == {
        "p50<20ms": "missed", "p50<40ms": "met", "max<30ms": "missed", "max<=30ms": "met", "errors<1%": "met",
        "errors<=1%": "met",
    }  # fmt: skip
    assert [j.verdict for j in judge(result, "rate>100/s,rate>1000/s,mean<25ms,mean<15ms")] == [
        "met", "missed", "met", "missed",
    ]  # fmt: skip


def test_a_percentile_without_enough_samples_cannot_be_told() -> None:
    (judgement,) = judge(run_of(*[10.0] * 999), "p99<20ms")
    assert judgement.verdict == "cannot tell"
    assert judgement.value is None
    assert "1000 requests, there were 999" in str(judgement)
    assert judge(run_of(*[10.0] * 1000), "p99<20ms")[0].verdict == "met"


def test_a_lower_percentile_beyond_the_limit_settles_a_higher_one() -> None:
    (judgement,) = judge(run_of(*[10.0] * 100), "p99<5ms")
    assert judgement.verdict == "missed"
    assert judgement.as_json()["value"] == {"at_least": 10.0}
    assert judge(run_of(*[10.0] * 100), "p99>5ms")[0].verdict == "met"


def test_time_outs_hide_what_lies_beyond_them() -> None:
    result = run_of(*[10.0] * 50, timeouts=50)  # each of them took 5 s or more
    verdicts = [j.verdict for j in judge(result, "p90<4s,p90<5s,p90<6s,p90>4s,mean<1s,mean<9s")]
    assert verdicts == ["missed", "missed", "cannot tell", "met", "missed", "cannot tell"]
    assert "time-out above 6000 ms" in judge(result, "p90<6s")[0].why


def test_a_void_run_meets_and_misses_nothing() -> None:
    result = run_of(*[10.0] * 100, incomplete="it was killed")
    judgements = judge(result, "p50<1s,errors<100%")
    assert [judgement.verdict for judgement in judgements] == ["cannot tell"] * 2
    assert overall(judgements) == "cannot tell"


def test_one_missed_target_decides_then_one_that_cannot_be_told() -> None:
    result = run_of(*[10.0] * 100)
    assert overall(judge(result, "p50<20ms,p99<20ms,max<5ms")) == "missed"
    assert overall(judge(result, "p50<20ms,p99<20ms")) == "cannot tell"
    assert overall(judge(result, "p50<20ms")) == "met"


def test_how_many_requests_an_objective_needs() -> None:
    assert requests_needed(parse_slo("p95<1s,errors<1%")) == 200
    assert requests_needed(parse_slo("errors<1%")) == 1


def test_reading_a_condition_costs_the_engine_no_numpy() -> None:
    code = "import sys, helpers.load.slo; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
