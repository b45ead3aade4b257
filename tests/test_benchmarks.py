"""The benchmarks are run by hand; here: that they still run, and that their tables say what was found."""

import pytest

from tests.benchmarks.__main__ import measure
from tests.benchmarks.agreement import Seen, parsed
from tests.benchmarks.figure import cost_picture
from tests.benchmarks.findings import Finding, Report
from tests.benchmarks.rivals import Cost
from tests.tools import require

WRK = """Running 1s test @ http://127.0.0.1:1/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.51ms    1.96ms  14.23ms   80.21%
    Req/Sec    26.84k     8.16k   46.06k    80.00%
  Latency Distribution
     50%  171.00us
     75%    3.39ms
     90%    5.07ms
     99%    1.88s
  53539 requests in 2.01s, 4.80MB read
Requests/sec:  26659.17
"""


@pytest.mark.parametrize(
    ("limits", "rounds", "met"),
    [
        ({}, [3.0], None),
        ({"at_most": 2.0}, [1.0, 9.0, 2.0], True),
        ({"at_most": 2.0}, [1.0, 9.0, 2.1], False),
        ({"at_most": 2.0, "enough": True}, [9.0], True),
        ({"at_most": 2.0, "untold": True}, [9.0], None),
        ({"at_most": 2.0, "untold": True}, [1.0], True),
        ({"at_least": 45_000}, [44_000, 46_000, 47_000], True),
        ({"at_least": 45_000}, [44_000], False),
    ],
)
def test_a_target_is_met_by_the_median_of_the_rounds(
    limits: dict[str, float], rounds: list[float], met: bool | None
) -> None:
    finding = Finding("nginx", "CPU", "x", rounds, **limits)  # type: ignore[arg-type]
    assert finding.met is met
    assert ("MISSED" in str(finding)) is (met is False)


def test_what_wrk_prints_is_read_in_every_unit() -> None:
    assert parsed(WRK) == Seen(26659.17, 0.171, 1880.0)


def test_the_picture_ranks_the_clients_and_has_its_table_twin() -> None:
    costs = {"nginx": {"engine": [Cost(1000, 0.007, 1.0)] * 2, "wrk": [Cost(1000, 0.005, 1.0)] * 2}}
    picture = cost_picture(costs, users=64)
    assert "against nginx: wrk 5.0 µs, engine 7.0 µs" in picture.alt
    assert list(picture.table["client"]) == ["wrk", "engine"]
    assert list(picture.table["engine / this"]) == pytest.approx([1.4, 1.0])


@pytest.mark.full
def test_the_engines_memory_and_start_are_measured() -> None:
    require("nginx")
    require("taskset")
    report = Report(rounds=1, duration_s=0.5, tell=lambda _line: None)
    measure(report, {"memory", "start"}, records=20_000)
    found = {finding.name: finding.value for finding in report.findings}
    assert 0 < found["call of load_test to first request"] < 5
    assert -5 < found["engine, over the empty one"] < 64
    assert "records; engine" in report.markdown()
