"""What a plan makes of its arguments."""

import pytest

from helpers.load.plan import Plan, make_plan, seconds

pytestmark = pytest.mark.calm

URL = "http://127.0.0.1:5012/cpu"


@pytest.mark.parametrize(
    ("given", "meant_s"), [(5, 5), (0.5, 0.5), ("5s", 5), ("500ms", 0.5), ("1m", 60), ("1.5 s", 1.5), ("2", 2)]
)
def test_a_duration_may_be_a_number_or_text(given: float | str, meant_s: float) -> None:
    assert seconds(given, "duration") == pytest.approx(meant_s)


def test_a_plan_survives_the_way_to_the_engine() -> None:
    plan = make_plan(URL, users=3, headers={"X-A": "b"}, method="POST", body=b"\x00\xff", expect_body=b"\xfe")
    assert Plan.from_json(plan.as_json()) == plan


@pytest.mark.parametrize(("duration", "warmup_s"), [(1, 0.5), (5, 0.5), (10, 1), (60, 2)])
def test_the_warm_up_is_a_tenth_but_neither_short_nor_long(duration: float, warmup_s: float) -> None:
    assert make_plan(URL, users=1, duration=duration).warmup_s == warmup_s
    assert make_plan(URL, users=1, duration=duration, warmup="3s").warmup_s == 3


@pytest.mark.parametrize(("users", "apart_s"), [(1, 0.01), (16, 0.01), (100, 0.01), (1000, 0.001), (5000, 0.0002)])
def test_connections_open_apart(users: int, apart_s: float) -> None:
    assert make_plan(URL, users=users).apart_s == pytest.approx(apart_s)
    assert make_plan(URL, users=users, burst=True).apart_s == 0


def test_limits_can_be_raised_by_name() -> None:
    assert make_plan(URL, users=6000, max_users=6000).users == 6000
    assert make_plan(URL, rate=30_000, max_rate=30_000).rate_per_s == 30_000
    assert make_plan(URL, users=1, duration=90, max_duration="2m").duration_s == 90


def test_localhost_is_the_address_that_servers_bind() -> None:
    plan = make_plan("http://localhost:5012/", users=1)
    assert plan.address == "127.0.0.1"
    assert plan.local
    assert b"host: localhost:5012" in plan.request_bytes()


def test_another_host_may_be_named() -> None:
    plan = make_plan("http://192.0.2.7/", users=1, allow_host="192.0.2.7")
    assert not plan.local
    assert plan.port == 80


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://127.0.0.1:1", "/"),
        ("http://127.0.0.1:1/a?b=c&d=1", "/a?b=c&d=1"),
        ("http://127.0.0.1:1/a%20b#part", "/a%20b"),
        ("http://127.0.0.1:1/grüße?ä=ö", "/gr%C3%BC%C3%9Fe?%C3%A4=%C3%B6"),
        ("http://127.0.0.1:1?x", "/?x"),
    ],
)
def test_path_and_query_go_out_as_they_should(url: str, target: str) -> None:
    assert make_plan(url, users=1).target == target


def test_the_request_is_what_http_asks_for() -> None:
    assert make_plan(URL, users=1).request_bytes() == b"GET /cpu HTTP/1.1\r\nhost: 127.0.0.1:5012\r\n\r\n"
    posted = make_plan(URL, users=1, method="post", body="x=1", headers={"Accept": "*/*"}).request_bytes()
    assert posted == b"POST /cpu HTTP/1.1\r\nhost: 127.0.0.1:5012\r\naccept: */*\r\ncontent-length: 3\r\n\r\nx=1"


def test_no_time_to_think_is_no_contradiction_to_a_rate() -> None:
    assert make_plan(URL, rate=5, think="0s").think_s == 0
