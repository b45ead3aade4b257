"""The search for the highest rate that meets an objective: where it ends, what it keeps, and what it refuses."""

from collections.abc import Iterator

import pytest

from helpers.errors import InputError, TargetError
from helpers.knee import Step, find_knee
from helpers.load import checks
from helpers.load.run import load_test
from helpers.plots.knee import knee_plot
from helpers.server.server import Server
from tests.serving import BARE
from tests.undisturbed import undisturbed  # noqa: F401


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.mark.full
@pytest.mark.usefixtures("undisturbed")
@pytest.mark.parametrize("within", [1.0, 0.1])
def test_the_knee_of_a_busy_endpoint_lies_about_where_it_can_do_no_more(server: Server, within: float) -> None:
    url = server.url + "/cpu"
    most_per_s = load_test(url, users=4, duration="1.5s", progress=False).achieved_per_s
    seen: list[Step] = []
    knee = find_knee(
        url,
        "p50<100ms,errors<1%",
        low=most_per_s / 2,
        duration="1s",
        within=within,
        progress=False,
        on_step=seen.append,
    )
    assert knee.end == "found"
    assert knee.conclusive
    assert knee.rate_per_s is not None
    assert knee.missed_per_s is not None
    assert 0.45 * most_per_s < knee.rate_per_s < 1.4 * most_per_s
    assert 1 < knee.missed_per_s / knee.rate_per_s <= 1 + within + 1e-9
    assert tuple(seen) == knee.steps
    rates = [step.rate_per_s for step in knee.steps]
    assert rates[1] == pytest.approx(2 * rates[0])
    assert len({(step.result.t0_ns, step.rate_per_s) for step in knee.steps}) == len(knee.steps)  # each afresh
    told = knee.summary()
    assert told["rate_per_s"] == knee.rate_per_s
    assert [row["verdict"] for row in told["steps"]] == [step.verdict for step in knee.steps]
    assert f"{knee.rate_per_s:.4g}/s" in str(knee)


@pytest.mark.full
@pytest.mark.usefixtures("undisturbed")
def test_a_rate_that_the_server_cannot_keep_up_with_misses_any_objective(server: Server) -> None:
    knee = find_knee(server.url + "/cpu", "p50<60s", low=160, duration="1s", timeout="70s", within=1, progress=False)
    assert knee.steps[0].judgements[0].verdict == "met"
    assert not knee.steps[0].keeps_up
    assert knee.steps[0].verdict == "missed"
    assert "the queue grows" in str(knee)
    assert knee.steps[-1].rate_per_s < 160


class Enough(Exception):
    """Ends a search from its `on_step`."""


@pytest.mark.full
@pytest.mark.usefixtures("undisturbed")
def test_the_next_step_waits_until_the_server_has_worked_off_the_last(server: Server) -> None:
    seen: list[Step] = []

    def note(step: Step) -> None:
        seen.append(step)
        if len(seen) == 2:
            raise Enough

    further = {"low": 160, "duration": "500ms", "warmup": 0, "timeout": "100ms", "progress": False}
    with pytest.raises(Enough):  # 40 threads need 3 s for what 80 clients gave up waiting for
        find_knee(server.url + "/blocking-def?ms=1500", "errors<1%", on_step=note, **further)  # type: ignore[arg-type]
    launch = seen[1].result.launch_before
    assert launch is not None
    assert launch.started == launch.finished


@pytest.mark.usefixtures("undisturbed")
def test_where_even_the_slowest_rate_misses_there_is_no_knee(server: Server) -> None:
    knee = find_knee(
        server.url + "/sleep?ms=20", "max<5ms", low=64, high=80, duration="500ms", progress=False, warmup=0
    )
    assert knee.end == "none"
    assert knee.conclusive
    assert knee.rate_per_s is None
    assert knee.steps[-1].rate_per_s == 4
    assert "no rate meets it" in str(knee)


@pytest.mark.usefixtures("undisturbed")
def test_the_highest_rate_asked_for_may_meet_it(server: Server) -> None:
    knee = find_knee(server.url + "/sleep?ms=5", "p50<1s", low=100, high=150, duration="1s", progress=False)
    assert knee.end == "at least"
    assert knee.conclusive
    assert knee.rate_per_s == 150
    assert knee.missed_per_s is None
    assert [step.rate_per_s for step in knee.steps] == [100, 150]


def test_a_void_step_is_measured_once_more_and_gives_no_number(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "ENGINE_CPU_VOID", 0.0)
    knee = find_knee(server.url + "/sleep?ms=5", "p50<1s", low=100, duration="500ms", progress=False)
    assert [step.rate_per_s for step in knee.steps] == [100, 100]
    assert knee.end == "cannot tell"
    assert not knee.conclusive
    assert knee.rate_per_s is None
    assert knee.rows()[0]["p50_ms"] is None
    assert "void" in knee.why
    assert "void" in knee.picture().alt


@pytest.mark.usefixtures("undisturbed")
def test_a_server_that_ends_in_mid_search_leaves_what_was_measured() -> None:
    with Server(**BARE) as bare:
        knee = find_knee(
            bare.url + "/", "p50<1s", low=50, duration="500ms", progress=False, on_step=lambda step: bare.stop()
        )
    assert len(knee.steps) == 1
    assert knee.end == "at least"
    assert not knee.conclusive
    assert "nothing listens" in knee.why
    with pytest.raises(TargetError):
        find_knee(knee.url, "p50<1s", duration="500ms", progress=False)


@pytest.mark.parametrize(
    ("slo", "further", "named"),
    [
        ("rate>100/s", {}, "rate>100/s"),
        ("p99>1s", {}, "p99>1s"),
        ("p99<1m", {}, "'m'"),
        ("p99<1s", {"low": 5}, "low=5"),
        ("p50<1s", {"low": 50, "high": 20}, "high=20"),
        ("p50<10s", {"timeout": "5s"}, "timeout='5s'"),
        ("p50<1s", {"within": 0}, "within=0"),
        ("p50<1s", {"users": 3}, "users"),
        ("p50<1s", {"duration": "5 hours"}, "5 hours"),
        ("p50<1s", {"high": 1e6}, "high is 1e+06"),
        ("p50<1s", {"low": -5}, "low is -5"),
        ("p50<1s", {"low": "slow"}, "low is 'slow'"),
    ],
)
def test_a_search_that_can_find_nothing_is_refused_before_it_begins(
    slo: str, further: dict[str, object], named: str
) -> None:
    with pytest.raises(InputError) as caught:
        find_knee("http://127.0.0.1:1/", slo, progress=False, **further)  # type: ignore[arg-type]
    assert named in caught.value.message


def row(rate: float, p50: float, p95: object, verdict: str, errors: float = 0.0) -> dict[str, object]:
    judged = {"verdict": verdict, "why": ""}
    slo = [
        judged | {"target": "p95<100ms", "metric": "p95", "value": p95, "limit": 100.0, "unit": "ms"},
        judged | {"target": "errors<1%", "metric": "errors", "value": errors, "limit": 0.01, "unit": "ratio"},
    ]
    return {
        "rate_per_s": rate, "requests": 100, "achieved_per_s": rate, "error_ratio": errors, "p50_ms": p50,
        "p95_ms": p95, "p99_ms": None, "max_ms": 300.0, "keeps_up": verdict == "met", "slo": slo, "verdict": verdict,
        "load_verdict": "pass", "why": "",
    }  # fmt: skip


def test_the_picture_marks_the_knee_and_says_the_same_in_words_and_as_a_table() -> None:
    rows = [row(40, 12, 20, "met"), row(20, 12, 15, "met"), row(80, 900, {"at_least": 5000}, "missed", 0.3)]
    picture = knee_plot(rows, rate_per_s=40.0, missed_per_s=80.0)
    assert "40 requests/s meet the objective, 80 do not" in picture.alt
    assert "≥ 5,000" in picture.alt
    assert list(picture.table["offered/s"]) == [20, 40, 80]
    assert list(picture.table["objective"]) == ["met", "met", "missed"]
    assert picture.png().startswith(b"\x89PNG")


def test_a_picture_of_nothing_is_refused() -> None:
    with pytest.raises(InputError):
        knee_plot([], rate_per_s=None, missed_per_s=None)
