"""demo/: the API under test does a fixed amount of work, waits as long as it says, and refuses what is out of range."""

import time

import pytest

from helpers.demo.work import TURNS_PER_UNIT, burn
from helpers.server.server import Server
from tests.serving import get, state_folder, under_load

__all__ = ["state_folder"]


@pytest.fixture(scope="module")
def api():
    with Server() as server:
        yield server


def took_s(server, path):
    began = time.perf_counter()
    assert get(server.url, path).status == 200
    return time.perf_counter() - began


def test_a_unit_of_work_is_ten_thousand_turns():
    assert TURNS_PER_UNIT == 10_000
    assert burn(0) == 0
    assert burn(3) == sum(range(30_000))


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/", {"message": "Hello from the demo API", "docs": "/docs"}),
        ("/health", {"status": "ok"}),
        ("/cpu", {"units": 50, "sum": burn(50)}),
        ("/cpu-def?units=2", {"units": 2, "sum": burn(2)}),
        ("/sleep?ms=1", {"ms": 1}),
        ("/blocking", {"ms": 100}),
        ("/blocking-def?ms=0", {"ms": 0}),
        ("/native?size=4", {"size": 4, "corner": 1.0}),
    ],
)
def test_each_endpoint_answers(api, path, answer):
    assert get(api.url, path).json() == answer


def test_whoami_tells_process_and_thread(api):
    told = get(api.url, "/whoami").json()
    assert told["pid"] == api.pid
    assert told["thread"] == "MainThread"


@pytest.mark.parametrize(
    "path",
    [
        "/cpu?units=0", "/cpu?units=100001", "/cpu?units=x", "/cpu-def?units=-1", "/sleep?ms=-1", "/sleep?ms=60001",
        "/blocking?ms=1e9", "/blocking-def?ms=", "/native?size=0", "/native?size=4001",
    ],
)  # fmt: skip
def test_out_of_range_is_answered_with_fastapis_own_message(api, path):
    answer = get(api.url, path)
    assert answer.status == 422
    (detail,) = answer.json()["detail"]
    assert detail["loc"][0] == "query"
    assert detail["msg"].startswith("Input should be")


def test_without_a_downstream_service_it_says_what_to_start(api):
    answer = get(api.url, "/downstream")
    assert answer.status == 503
    assert "DOWNSTREAM_URL is not set: start helpers.demo.downstream:app" in answer.json()["detail"]


def test_the_work_is_fixed_not_the_time(api):
    units = {units: min(took_s(api, f"/cpu?units={units}") for _ in range(9)) for units in (50, 200)}
    assert 2 < units[200] / units[50] < 8  # a spin "until 10 ms have passed" would give 1


@pytest.mark.parametrize(
    ("path", "overlap"),
    [("/sleep?ms=200", True), ("/blocking?ms=200", False), ("/blocking-def?ms=200", True)],
)
def test_who_waits_for_whom(api, path, overlap):
    before = sum(finished for _, finished in api.counts().values())
    with under_load(api.url, path, users=4):
        time.sleep(1.0)  # what is done within a span of time is what is measured here
        done = sum(finished for _, finished in api.counts().values()) - before
    assert (done >= 8) == overlap  # one at a time can do 5, four at a time 20


def test_downstream_serves_a_few_at_a_time_and_the_api_waits_for_it():
    with Server("helpers.demo.downstream:app", env={"DOWNSTREAM_AT_A_TIME": "2"}) as downstream:
        with Server(env={"DOWNSTREAM_URL": downstream.url}) as server:
            assert get(server.url, "/downstream?ms=5").json() == {"ms": 5}
            with under_load(server.url, "/downstream?ms=100", users=8):
                began, before = time.perf_counter(), downstream.counts()[downstream.pid][1]
                time.sleep(1.0)
                done = downstream.counts()[downstream.pid][1] - before
                assert 5 <= done <= 2 * (time.perf_counter() - began) / 0.1 + 2
        assert get(downstream.url, "/query?ms=60001").status == 422
