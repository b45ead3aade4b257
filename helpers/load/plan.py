"""What to send, how fast, for how long and to whom: checked before anything is started."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from helpers.errors import InputError
from helpers.load.retry import Retry
from helpers.load.slo import parse_slo
from helpers.load.stages import Rate, parse_rate, stages_of
from helpers.load.target import bracketed, resolve, split_url
from helpers.load.values import Seconds, as_bytes, count, header_pairs, method_name, rate_per_s, seconds, whole

__all__ = [
    "MAX_DURATION_S", "MAX_RATE_PER_S", "MAX_USERS", "Plan", "Rate", "Retry", "Seconds", "at_address",
    "make_plan", "parse_rate", "resolve", "seconds", "split_url",
]  # fmt: skip

MAX_DURATION_S = 60.0
MAX_USERS = 5_000
MAX_RATE_PER_S = 20_000.0
DURATION_S = 5.0
OPEN_APART_S = 0.010  # opened at once, all connections of a test can land on one worker
SPREAD_S = 1.0  # above 100 connections they share this much time
LEAST_WARMUP_CAP_S = 3.0


@dataclass(frozen=True)
class Plan:
    """One load test. Closed: `users` wait for each answer. Open: requests start at `rate_per_s`, come what may."""

    host: str
    port: int
    target: str  # path and query
    address: str  # what `host` resolved to
    users: int | None
    rate_per_s: float | None
    arrivals: str
    duration_s: float
    warmup_s: float
    timeout_s: float
    think_s: float
    burst: bool
    max_inflight: int
    method: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    expect_body: bytes | None
    seed: int
    local: bool  # the address is this machine's own
    stages: tuple[tuple[float, float], ...] = ()  # (per s, s) one after the other; `rate_per_s` is then their mean
    new_connections: bool = False  # each request on a connection of its own
    retry: Retry | None = None
    stop_if: str | None = None  # conditions, any of which ends the run
    warmup_extends: bool = False  # until every user was answered once, but not beyond `warmup_cap_s`

    @property
    def model(self) -> str:
        return "closed" if self.users is not None else "open"

    @property
    def url(self) -> str:
        return f"http://{bracketed(self.host)}:{self.port}{self.target}"

    @property
    def connections(self) -> int:
        """How many are opened before the first measured request; the open model opens more when it needs them."""
        if self.users is not None:
            return self.users
        if self.new_connections:
            return 0
        return min(self.max_inflight, max(16, min(100, math.ceil(self.peak_per_s / 10))))

    @property
    def peak_per_s(self) -> float:
        """The highest rate of the open model."""
        return max((rate for rate, _length_s in self.stages), default=self.rate_per_s or 0.0)

    @property
    def warmup_cap_s(self) -> float:
        """How long a warm-up that was not asked for may become."""
        return max(LEAST_WARMUP_CAP_S, self.duration_s) if self.warmup_extends else self.warmup_s

    @property
    def apart_s(self) -> float:
        """Time between two openings of a connection."""
        return 0.0 if self.burst else min(OPEN_APART_S, SPREAD_S / max(1, self.connections))

    def request_bytes(self) -> bytes:
        """The request as it goes over the wire, the same every time."""
        lines = [f"{self.method} {self.target} HTTP/1.1", f"host: {bracketed(self.host)}:{self.port}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.new_connections and "connection" not in dict(self.headers):
            lines.append("connection: close")  # as a client does that will not come back
        if self.body or self.method in ("POST", "PUT", "PATCH"):
            lines.append(f"content-length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body

    def as_json(self) -> dict[str, Any]:
        expect = None if self.expect_body is None else self.expect_body.decode("latin-1")
        return asdict(self) | {"body": self.body.decode("latin-1"), "expect_body": expect}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Plan":
        expect, retry = fields["expect_body"], fields["retry"]
        return cls(
            **fields
            | {
                "headers": tuple((name, value) for name, value in fields["headers"]),
                "body": fields["body"].encode("latin-1"),
                "expect_body": None if expect is None else expect.encode("latin-1"),
                "stages": tuple((rate, length_s) for rate, length_s in fields["stages"]),
                "retry": None if retry is None else Retry(**retry),
            }
        )


def make_plan(
    url: str,
    *,
    users: int | None = None,
    rate: Rate | None = None,
    arrivals: str = "constant",
    duration: Seconds | None = None,
    warmup: Seconds | None = None,
    timeout: Seconds = 5.0,
    burst: bool = False,
    think: Seconds = 0.0,
    max_inflight: int | None = None,
    new_connections: bool = False,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | str | None = None,
    expect_body: bytes | str | None = None,
    retry: Retry | None = None,
    stop_if: str | None = None,
    seed: int = 0,
    allow_host: str | None = None,
    max_duration: Seconds = MAX_DURATION_S,
    max_users: int = MAX_USERS,
    max_rate: float = MAX_RATE_PER_S,
) -> Plan:
    """A checked plan; raises InputError (a value cannot be used) or TargetError (that address may not be loaded)."""
    _one_model(users, rate, think)
    if arrivals not in ("constant", "poisson"):
        raise InputError(f"arrivals is {arrivals!r}", 'Use "constant" (evenly spaced) or "poisson" (random).')
    if retry is not None and not isinstance(retry, Retry):
        raise InputError(f"retry is {retry!r}", 'Write for example retry=Retry(times=2, after="100ms").')
    if stop_if is not None:
        parse_slo(stop_if)
    host, port, target = split_url(url)
    address, local = resolve(host, port, allow_host)
    mean_per_s, stages = _rate(rate, max_rate, seconds(max_duration, "max_duration"))
    duration_s = _duration(duration, stages, seconds(max_duration, "max_duration"))
    return Plan(
        host=host,
        port=port,
        target=target,
        address=address,
        users=None if users is None else count(users, "users", max_users, raise_with="max_users"),
        rate_per_s=mean_per_s,
        arrivals=arrivals,
        duration_s=duration_s,
        # at least a few rounds of waiting for answers, and short beside what is measured
        warmup_s=min(2.0, max(0.5, duration_s / 10)) if warmup is None else seconds(warmup, "warmup", zero=True),
        timeout_s=seconds(timeout, "timeout", at_most=600.0),
        think_s=seconds(think, "think", zero=True),
        burst=bool(burst),
        max_inflight=1_000 if max_inflight is None else count(max_inflight, "max_inflight", max_users, "max_users"),
        method=method_name(method),
        headers=header_pairs(headers or {}),
        body=as_bytes(body or b"", "body"),
        expect_body=None if expect_body is None else as_bytes(expect_body, "expect_body"),
        seed=whole(seed, "seed"),
        local=local,
        stages=stages,
        new_connections=bool(new_connections),
        retry=retry,
        stop_if=stop_if,
        warmup_extends=warmup is None and users is not None,
    )


def at_address(plan: Plan, address: str) -> Plan:
    """The same plan, sent to another of the addresses its host resolves to."""
    return replace(plan, address=address)


def _one_model(users: int | None, rate: Rate | None, think: Seconds) -> None:
    if users is not None and rate is not None:
        raise InputError(
            "users and rate are both given",
            "users=N sends the next request after an answer, rate=R at fixed times: choose one of the two.",
        )
    if users is None and rate is None:
        raise InputError(
            "neither users nor rate is given",
            "Say users=16 for 16 users who wait for each answer, or rate=50 for 50 requests per second.",
        )
    if users is None and seconds(think, "think", zero=True):
        raise InputError(f"think is {think!r}, but at a rate nobody waits", "Leave think out, or use users=N.")


def _rate(
    rate: Rate | None, max_rate: float, max_duration_s: float
) -> tuple[float | None, tuple[tuple[float, float], ...]]:
    """The rate (of stages: their mean) and the stages."""
    given = parse_rate(rate) if isinstance(rate, str) else rate
    if given is None:
        return None, ()
    if isinstance(given, list | tuple):
        stages = stages_of(given, max_rate, max_duration_s)
        return sum(rate * length_s for rate, length_s in stages) / sum(length_s for _rate, length_s in stages), stages
    return rate_per_s(given, max_rate), ()  # type: ignore[arg-type]


def _duration(duration: Seconds | None, stages: tuple[tuple[float, float], ...], max_duration_s: float) -> float:
    if not stages:
        given = DURATION_S if duration is None else duration
        return seconds(given, "duration", at_most=max_duration_s, raise_with="max_duration")
    if duration is not None:
        raise InputError(
            f"duration is {duration!r}, but the stages of rate say how long they take", "Leave duration out."
        )
    return sum(length_s for _rate, length_s in stages)
