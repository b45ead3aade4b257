"""What to send, how fast, for how long and to whom: checked before anything is started."""

import ipaddress
import math
import re
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from helpers.errors import InputError, TargetError

Seconds = float | int | str  # 5, 0.5, "5s", "500ms", "1m"
Arrivals = Literal["constant", "poisson"]

MAX_DURATION_S = 60.0
MAX_USERS = 5_000
MAX_RATE_PER_S = 20_000.0
OPEN_APART_S = 0.010  # opened at once, all connections of a test can land on one worker
SPREAD_S = 1.0  # above 100 connections they share this much time

_UNITS_S = {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0, "min": 60.0}
_DURATION = re.compile(r"\s*([0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?)\s*(ms|s|min|m|)\s*", re.IGNORECASE)
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = ("host", "content-length", "transfer-encoding")  # headers the engine writes itself


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

    @property
    def model(self) -> str:
        return "closed" if self.users is not None else "open"

    @property
    def url(self) -> str:
        return f"http://{_bracketed(self.host)}:{self.port}{self.target}"

    @property
    def connections(self) -> int:
        """How many are opened before the first measured request; the open model opens more when it needs them."""
        if self.users is not None:
            return self.users
        assert self.rate_per_s is not None
        return min(self.max_inflight, max(16, min(100, math.ceil(self.rate_per_s / 10))))

    @property
    def apart_s(self) -> float:
        """Time between two openings of a connection."""
        return 0.0 if self.burst else min(OPEN_APART_S, SPREAD_S / self.connections)

    def request_bytes(self) -> bytes:
        """The request as it goes over the wire, the same every time."""
        lines = [f"{self.method} {self.target} HTTP/1.1", f"host: {_bracketed(self.host)}:{self.port}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.body or self.method in ("POST", "PUT", "PATCH"):
            lines.append(f"content-length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body

    def as_json(self) -> dict[str, Any]:
        expect = None if self.expect_body is None else self.expect_body.decode("latin-1")
        return asdict(self) | {"body": self.body.decode("latin-1"), "expect_body": expect}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Plan":
        expect = fields["expect_body"]
        return cls(
            **fields
            | {
                "headers": tuple((name, value) for name, value in fields["headers"]),
                "body": fields["body"].encode("latin-1"),
                "expect_body": None if expect is None else expect.encode("latin-1"),
            }
        )


def make_plan(
    url: str,
    *,
    users: int | None = None,
    rate: float | None = None,
    arrivals: Arrivals = "constant",
    duration: Seconds = 5.0,
    warmup: Seconds | None = None,
    timeout: Seconds = 5.0,
    burst: bool = False,
    think: Seconds = 0.0,
    max_inflight: int | None = None,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | str | None = None,
    expect_body: bytes | str | None = None,
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
    host, port, target = split_url(url)
    address, local = resolve(host, port, allow_host)
    duration_s = seconds(duration, "duration", at_most=seconds(max_duration, "max_duration"), raise_with="max_duration")
    return Plan(
        host=host,
        port=port,
        target=target,
        address=address,
        users=None if users is None else _count(users, "users", max_users, raise_with="max_users"),
        rate_per_s=None if rate is None else _rate(rate, max_rate),
        arrivals=arrivals,
        duration_s=duration_s,
        # at least a few rounds of waiting for answers, and short beside what is measured
        warmup_s=min(2.0, max(0.5, duration_s / 10)) if warmup is None else seconds(warmup, "warmup", zero=True),
        timeout_s=seconds(timeout, "timeout", at_most=600.0),
        think_s=seconds(think, "think", zero=True),
        burst=bool(burst),
        max_inflight=1_000 if max_inflight is None else _count(max_inflight, "max_inflight", max_users, "max_users"),
        method=_method(method),
        headers=_headers(headers or {}),
        body=_bytes(body or b"", "body"),
        expect_body=None if expect_body is None else _bytes(expect_body, "expect_body"),
        seed=_whole(seed, "seed"),
        local=local,
    )


def at_address(plan: Plan, address: str) -> Plan:
    """The same plan, sent to another of the addresses its host resolves to."""
    return replace(plan, address=address)


def seconds(
    value: Seconds, name: str, *, zero: bool = False, at_most: float = 3_600.0, raise_with: str | None = None
) -> float:
    """Seconds from 5, 0.5, "5s", "500ms" or "1m"; InputError when it is no duration or out of range."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match:
        number = float(match[1]) * _UNITS_S[match[2].lower()]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    else:
        raise InputError(f"{name} is {value!r}, no duration", 'Write seconds, or text such as "5s" or "500ms".')
    if not math.isfinite(number) or number < 0 or (number == 0 and not zero):
        least = "0 or more" if zero else "more than 0"
        raise InputError(f"{name} is {value!r}", f'It must be {least} seconds, for example "5s".')
    if number > at_most:
        more = f", or raise the limit with {raise_with}=..." if raise_with else ""
        raise InputError(f"{name} is {value!r}, more than {at_most:g} s", f"Use at most {at_most:g} s{more}.")
    return number


def split_url(url: str) -> tuple[str, int, str]:
    """Host, port and target (path and query) of an http URL; InputError when it is none."""
    example = "Write it like http://127.0.0.1:5012/cpu"
    if not isinstance(url, str) or not url.strip():
        raise InputError(f"the URL is {url!r}", f"{example}.")
    if any(character.isspace() or not character.isprintable() for character in url):
        raise InputError(f"the URL {url!r} contains a space or a control character", f"{example}; a space is %20.")
    if "://" not in url:
        raise InputError(f"the URL {url!r} does not say http://", f"Write http://{url.lstrip('/')}.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InputError(f"the URL {url!r} is malformed: {error}", f"{example}.") from None
    if parts.scheme == "https":
        raise InputError(
            f"the URL {url!r} says https, but load is sent as plain http",
            "Write http:// and the port on which the server itself listens (uvicorn speaks http).",
        )
    if parts.scheme != "http" or not parts.hostname:
        raise InputError(f"the URL {url!r} is no http address with a host", f"{example}.")
    if parts.username is not None:
        raise InputError("the URL contains a user name", 'Send it as headers={"authorization": ...} instead.')
    if port == 0:
        raise InputError(f"the URL {url!r} has port 0", f"{example}, with the port the server listens on.")
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    if parts.query:
        target += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~-._?[]")
    return parts.hostname, port or 80, target


def resolve(host: str, port: int, allow_host: str | None) -> tuple[str, bool]:
    """The address to load and whether it is this machine's own; TargetError when that may not be loaded."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise TargetError(
            f"the host {host!r} cannot be resolved ({error})", "Check its spelling; a server here is 127.0.0.1."
        ) from None
    addresses = [str(entry[4][0]) for entry in found]
    foreign = [address for address in addresses if not ipaddress.ip_address(address.partition("%")[0]).is_loopback]
    if foreign and allow_host != host:
        raise TargetError(
            f"{host} is not this machine: it resolves to {foreign[0]}",
            "A load test slows down or stops whatever it hits, so only loopback addresses are loaded. "
            f'If that server is yours and may be loaded, say so with allow_host="{host}".',
        )
    # most servers bind 127.0.0.1 alone, also where "localhost" means ::1 first
    return min(addresses, key=lambda address: ":" in address), not foreign


def _one_model(users: int | None, rate: float | None, think: Seconds) -> None:
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
    if users is None and think:
        raise InputError(f"think is {think!r}, but at a rate nobody waits", "Leave think out, or use users=N.")


def _whole(value: int, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{name} is {value!r}, which is no whole number", f"Write a number such as {name}=16.")
    return value


def _count(value: int, name: str, at_most: int, raise_with: str) -> int:
    if _whole(value, name) < 1:
        raise InputError(f"{name} is {value}", f"Use at least 1, for example {name}=16.")
    if value > at_most:
        raise InputError(
            f"{name} is {value}, more than {at_most}",
            f"Each is an open connection. Use at most {at_most}, or raise the limit with {raise_with}=...",
        )
    return value


def _rate(value: float, at_most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"rate is {value!r}, which is no number", "Write requests per second, for example rate=50.")
    if value <= 0:
        raise InputError(f"rate is {value}", "It must be more than 0 requests per second, for example rate=50.")
    if value > at_most:
        raise InputError(
            f"rate is {value:g}, more than {at_most:g} per second",
            f"Use at most {at_most:g}, or raise the limit with max_rate=...",
        )
    return float(value)


def _method(method: str) -> str:
    if not isinstance(method, str) or method.upper() not in _METHODS:
        raise InputError(f"method is {method!r}", f"Use one of {', '.join(_METHODS)}.")
    return method.upper()


def _headers(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    for name, value in headers.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise InputError(f"{name!r} is no name of a header", 'Write headers={"accept": "application/json"}.')
        if name.lower() in _OURS:
            raise InputError(f"the header {name!r} is written by the engine itself", "Leave it out of headers.")
        if not isinstance(value, str) or not value.isprintable() or not value.isascii():
            raise InputError(f"the header {name!r} has the value {value!r}", "Use printable ASCII text.")
    return tuple((name.lower(), value) for name, value in headers.items())


def _bytes(value: bytes | str, name: str) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if not isinstance(value, bytes):
        raise InputError(f"{name} is a {type(value).__name__}", "Give bytes or text.")
    return value


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
