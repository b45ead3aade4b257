"""What a load test can be asked for beyond one steady load: stages, new connections, retries, an early end, a view."""

import itertools
import socket
import threading

import numpy as np
import pytest

from helpers import proc
from helpers.errors import InputError
from helpers.load.models import offsets_ns
from helpers.load.plan import Plan, make_plan, parse_rate
from helpers.load.progress import Progress, live_line
from helpers.load.result import LoadResult
from helpers.load.retry import Retry
from helpers.load.run import load_test
from helpers.server.server import Server
from tests.raw_servers import OK, serve
from tests.running_loads import engines
from tests.serving import BARE

URL = "http://127.0.0.1:5012/cpu"
FAILED = b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"


def answer_ok(client: socket.socket, _number: int) -> None:
    client.sendall(OK)


def check(result: LoadResult, name: str) -> str:
    return next(one.verdict for one in result.checks if one.name == name)


@pytest.fixture(scope="module")
def server():  # type: ignore[no-untyped-def]
    with Server(workers=1) as running:
        yield running


# ------------------------------------------------------------------------------------------------------------ stages


def test_a_rate_may_be_a_number_text_or_stages() -> None:
    assert parse_rate("50") == 50.0
    assert parse_rate("20:5s, 80:500ms") == [(20.0, "5s"), (80.0, "500ms")]
    plan = make_plan(URL, rate="20:5s,80:500ms")
    assert plan.stages == ((20, 5), (80, 0.5))
    assert plan == make_plan(URL, rate=[(20, 5), (80, 0.5)])
    assert plan.duration_s == 5.5
    assert plan.rate_per_s == pytest.approx((20 * 5 + 80 * 0.5) / 5.5)
    assert plan.peak_per_s == 80


def test_a_plan_with_everything_survives_the_way_to_the_engine() -> None:
    plan = make_plan(URL, rate=[(20, 5), (80, 1)], retry=Retry(2, "50ms", ["timeout"]), stop_if="errors>50%")  # type: ignore[arg-type]
    assert Plan.from_json(plan.as_json()) == plan


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
def test_every_stage_has_its_arrivals(arrivals: str) -> None:
    stages = [(100.0, 10.0), (1000.0, 10.0), (50.0, 10.0)]
    times_s = np.array(list(itertools.takewhile(lambda at: at < 30e9, offsets_ns(stages, arrivals, seed=3)))) / 1e9
    assert (np.diff(times_s) > 0).all()
    counts = np.histogram(times_s, [0, 10, 20, 30])[0]
    expected = np.array([1000, 10_000, 500])
    assert (abs(counts - expected) <= (0 if arrivals == "constant" else 4 * np.sqrt(expected))).all(), counts
    gaps = np.diff(times_s[(times_s >= 10) & (times_s < 20)])
    assert gaps.std() / gaps.mean() == pytest.approx(1 if arrivals == "poisson" else 0, abs=0.05)


def test_random_arrivals_are_those_of_the_seed() -> None:
    first, again, other = (list(itertools.islice(offsets_ns([(10, 1)], "poisson", seed), 50)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_constant_rate_does_not_drift() -> None:
    at_ns = next(itertools.islice(offsets_ns([(3, 1)], "constant", 0), 3_000_000, None))
    assert at_ns == 10**15


def test_a_result_can_be_cut_by_stage(server: Server) -> None:
    result = load_test(server.url + "/sleep?ms=5", rate=[(50, "600ms"), (250, "800ms")], progress=False)
    stages = result.stages()
    assert list(stages.columns) == ["rate", "from_s", "to_s", "achieved_per_s", "p50", "p95", "error_ratio"]
    assert stages["rate"].tolist() == [50, 250]
    assert stages["from_s"].tolist() == pytest.approx([0, 0.6])
    assert stages["to_s"].tolist() == pytest.approx([0.6, 1.4])
    assert result.requests == 30 + 200
    assert stages["achieved_per_s"].tolist() == pytest.approx([50, 250], rel=0.1)
    assert stages["p50"].dropna().between(4, 50).all()
    assert [row["rate"] for row in result.summary()["stages"]] == [50, 250]
    assert "steady" not in [one.name for one in result.checks], "a rate that changes is not to be steady"
    assert "then 250/s" in str(result)


def test_without_stages_there_is_one(server: Server) -> None:
    result = load_test(server.url + "/sleep?ms=5", users=2, duration=0.3, warmup=0, progress=False)
    assert len(result.stages()) == 1
    assert result.summary()["stages"] == []


# --------------------------------------------------------------------------------------------------- new connections


@pytest.mark.parametrize("load", [{"users": 3}, {"rate": 100}], ids=["users", "rate"])
def test_each_request_has_a_connection_of_its_own(load: dict[str, int]) -> None:
    accepted = itertools.count()
    asked: list[int] = []
    with serve(lambda c, n: (asked.append(n), c.sendall(OK))[1], greet=lambda _c: next(accepted)) as url:  # type: ignore[arg-type,return-value,func-returns-value]
        result = load_test(url, new_connections=True, duration=0.5, warmup=0.1, progress=False, **load)  # type: ignore[arg-type]
    looks = 2  # of the load test itself, before the run
    assert next(accepted) - looks == len(asked) == len(result.records)
    assert result.outcomes["ok"] == result.requests > 20
    assert (result.window["sent_ns"] > result.window["intended_ns"]).all(), "opening takes time, which counts"
    assert result.summary()["new_connections"]
    assert "on a new connection" in str(result)


def test_a_client_that_does_not_come_back_says_so() -> None:
    assert b"\r\nconnection: close\r\n" in make_plan(URL, users=1, new_connections=True).request_bytes()
    own = make_plan(URL, users=1, new_connections=True, headers={"Connection": "keep-alive"}).request_bytes()
    assert own.count(b"connection:") == 1


# ------------------------------------------------------------------------------------------------------------ retries


@pytest.mark.parametrize(
    ("given", "message"),
    [({"times": 0}, "times is 0"), ({"times": 99}, "times is 99"), ({"times": 1.5}, "times is 1.5"),
     ({"after": "soon"}, "after is 'soon'"), ({"after": -1}, "after is -1"), ({"on": ()}, "on is"),
     ({"on": ("ok",)}, "on is"), ({"on": "timeout"}, "on is"), ({"on": ("not_sent",)}, "on is")],
)  # fmt: skip
def test_a_policy_that_makes_no_sense_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        Retry(**given)  # type: ignore[arg-type]


def test_nothing_is_sent_again_unless_that_is_asked_for() -> None:
    with serve(lambda client, number: client.sendall(OK if number % 2 else FAILED)) as url:
        result = load_test(url, users=1, duration=0.3, warmup=0, progress=False)
    assert (result.retries, result.gave_up) == (0, result.outcomes["http_5xx"])
    assert result.gave_up > 0
    assert "sent again" not in str(result)


def test_a_user_sends_again_what_failed_and_every_attempt_is_counted() -> None:
    with serve(lambda client, number: client.sendall(OK if number % 2 else FAILED)) as url:
        result = load_test(url, users=1, duration=0.5, warmup=0, retry=Retry(1, "2ms"), progress=False)
    assert sum(result.outcomes.values()) == result.requests
    assert result.error_ratio == pytest.approx(0.5, abs=0.05)
    assert abs(result.retries - result.ok) <= 1
    assert result.gave_up <= 1
    assert check(result, "Little's law") == "pass"
    frame = result.frame()
    assert set(frame[frame["outcome"] == "ok"]["attempt"]) == {1}
    assert set(frame[frame["outcome"] == "http_5xx"]["attempt"]) == {0}
    pauses_ms = (frame["intended_s"] - frame["done_s"].shift())[frame["attempt"] == 1].dropna() * 1e3
    assert pauses_ms.median() == pytest.approx(2, abs=0.01)
    assert {"retries": result.retries, "gave_up": result.gave_up}.items() <= result.summary().items()


def test_a_slow_server_gets_a_storm_of_retries() -> None:
    """What was 50 a second becomes 150 a second, just when the server is slow."""
    policy = Retry(2, "20ms", on=("timeout",))
    with serve(lambda _client, _number: None) as url:
        result = load_test(url, rate=50, duration=1, timeout="100ms", warmup="500ms", retry=policy, progress=False)
    assert result.outcomes["timeout"] == result.requests == pytest.approx(150, abs=20)
    assert result.retries == pytest.approx(100, abs=20)
    assert result.gave_up == pytest.approx(50, abs=12)


def test_only_the_failures_that_were_named_are_sent_again() -> None:
    with serve(lambda client, _number: client.sendall(FAILED)) as url:
        result = load_test(url, users=1, duration=0.2, warmup=0, retry=Retry(3, 0, on=("timeout",)), progress=False)
    assert result.retries == 0
    assert result.gave_up == result.requests


# ---------------------------------------------------------------------------------------------------------- early end


def test_a_run_ends_early_on_its_condition_and_says_so() -> None:
    fails = threading.Event()

    def answer(client: socket.socket, number: int) -> None:
        client.sendall(FAILED if number > 50 else OK)
        if number > 50:
            fails.set()

    with serve(answer) as url:
        result = load_test(url, rate=50, duration=20, warmup=0.1, stop_if="p95>5s, errors>50%", progress=False)
    assert fails.is_set()
    assert 1 < result.duration_s < 8
    assert result.stopped_early is not None
    assert result.stopped_early.startswith("errors>50%: ")
    assert result.summary()["stopped_early"] == result.stopped_early
    assert "complete" not in [one.name for one in result.checks], "what was measured until then is valid"
    assert f"stopped early      {result.stopped_early}" in str(result)
    assert result.requests == pytest.approx(50 * result.duration_s, abs=3)


def test_a_server_that_falls_silent_ends_a_run_by_its_percentile() -> None:
    """No answer comes any more: those that are waited for count with what they have waited until then."""
    with serve(lambda client, number: client.sendall(OK) if number < 30 else None) as url:
        result = load_test(url, rate=50, duration=20, timeout=1.5, warmup=0.1, stop_if="p95>1200ms", progress=False)
    assert result.stopped_early is not None
    assert result.duration_s < 8


def test_a_condition_that_never_holds_changes_nothing(server: Server) -> None:
    result = load_test(server.url + "/sleep?ms=5", users=2, duration=1.5, stop_if="errors>1%", progress=False)
    assert result.stopped_early is None
    assert result.duration_s == pytest.approx(1.5)


# ---------------------------------------------------------------------------------------------------------- live view


def test_the_live_view_shows_the_last_second(server: Server) -> None:
    told: list[Progress] = []
    load_test(server.url + "/sleep?ms=50", users=8, duration=2, progress=False, on_progress=told.append)
    last = [one for one in told if one.phase == "measuring"][-1]
    assert last.per_s == pytest.approx(8 / 0.052, rel=0.2)
    assert last.in_flight in (7, 8)
    assert last.p95_ms == pytest.approx(51, abs=10)
    assert last.error_ratio == 0


def test_the_live_view_in_words() -> None:
    now = Progress("measuring", 1.0, 5.0, 500, 25, per_s=498.7, in_flight=16, p95_ms=31.4, error_ratio=0.05)
    assert live_line(now) == "measuring, 499/s, 16 in flight, p95 31.4 ms, 5% errors"
    assert live_line(Progress("opening", 0.0, 5.0, 0, 0)) == "opening, 0/s, 0 in flight, p95 -, 0% errors"
    assert "p95 2.35 s" in live_line(Progress("measuring", 1.0, 5.0, 9, 0, p95_ms=2345.0))


# ------------------------------------------------------------------------------------------------------------ warm-up


def test_the_warm_up_goes_on_until_every_user_had_an_answer(server: Server) -> None:
    url = server.url + "/cpu?units=4"
    result = load_test(url, users=30, duration=2, progress=False)
    assert check(result, "warm-up") == "pass"
    assert result.plan.warmup_s == 0.5
    assert 0.5 < result.warmup_s < 3.2
    assert result.summary()["warmup_s"] == result.warmup_s


def test_a_warm_up_that_was_asked_for_is_kept_and_its_shortness_said(server: Server) -> None:
    result = load_test(server.url + "/cpu?units=20", users=40, duration=0.5, warmup=0, progress=False)
    found = next(one for one in result.checks if one.name == "warm-up")
    assert found.verdict == "warn"
    assert found.value is not None
    assert 1 <= found.value < 40
    assert "of 40 users had no answer yet" in found.why
    assert "Use a longer warm-up (about " in found.why
    assert result.warmup_s < 0.2


@pytest.mark.parametrize(("duration", "cap_s"), [(1, 3), (10, 10)])
def test_a_warm_up_becomes_at_most_as_long_as_the_duration(duration: float, cap_s: float) -> None:
    assert make_plan(URL, users=1, duration=duration).warmup_cap_s == cap_s
    assert make_plan(URL, users=1, duration=duration, warmup=0.2).warmup_cap_s == 0.2
    assert (
        make_plan(URL, rate=10, duration=duration).warmup_cap_s == make_plan(URL, rate=10, duration=duration).warmup_s
    )


@pytest.mark.full
def test_a_warm_up_is_not_extended_for_ever() -> None:
    with serve(lambda _client, _number: None) as url:
        result = load_test(url, users=2, duration=0.2, timeout=3.2, progress=False)
    assert result.warmup_s == pytest.approx(3, abs=0.2)
    assert check(result, "warm-up") == "warn"


@pytest.mark.full
def test_a_new_connection_for_each_request_takes_no_lasting_memory() -> None:
    """Nobody collects garbage in the engine: what holds itself in a ring would stay."""
    seen: list[tuple[int, int]] = []

    def look(now: Progress) -> None:
        seen.extend((now.requests, used) for used in map(proc.rss_bytes, engines()) if used)

    with Server(**BARE) as bare:  # type: ignore[arg-type]
        load_test(
            bare.url + "/", users=16, duration=1.5, warmup=1, new_connections=True, progress=False, on_progress=look
        )
    warm = next(each for each in seen if each[0] > 1000)
    requests, grown_bytes = (last - first for first, last in zip(warm, seen[-1], strict=True))
    assert requests > 2000
    assert grown_bytes / requests < 250, seen
