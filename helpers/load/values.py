"""The single values of a plan, each checked by itself: durations, counts, rates, headers, bodies."""

import math
import re
from collections.abc import Mapping

from helpers.errors import InputError

Seconds = float | int | str  # 5, 0.5, "5s", "500ms", "1m"

_UNITS_S = {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0, "min": 60.0}
_DURATION = re.compile(r"\s*([0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?)\s*(ms|s|min|m|)\s*", re.IGNORECASE)
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = ("host", "content-length", "transfer-encoding")  # headers the engine writes itself


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


def whole(value: int, name: str) -> int:
    """A whole number; InputError when it is none."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{name} is {value!r}, which is no whole number", f"Write a number such as {name}=16.")
    return value


def count(value: int, name: str, at_most: int, raise_with: str) -> int:
    """A number of connections, 1 to `at_most`; InputError when it is none."""
    if whole(value, name) < 1:
        raise InputError(f"{name} is {value}", f"Use at least 1, for example {name}=16.")
    if value > at_most:
        raise InputError(
            f"{name} is {value}, more than {at_most}",
            f"Each is an open connection. Use at most {at_most}, or raise the limit with {raise_with}=...",
        )
    return value


def rate_per_s(value: float, at_most: float, name: str = "rate") -> float:
    """Requests per second, more than 0 and at most `at_most`; InputError when it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{name} is {value!r}, which is no number", "Write requests per second, for example rate=50.")
    if value <= 0:
        raise InputError(f"{name} is {value}", "It must be more than 0 requests per second, for example rate=50.")
    if value > at_most:
        raise InputError(
            f"{name} is {value:g}, more than {at_most:g} per second",
            f"Use at most {at_most:g}, or raise the limit with max_rate=...",
        )
    return float(value)


def method_name(method: str) -> str:
    """The method in capitals; InputError when it is not one of HTTP's."""
    if not isinstance(method, str) or method.upper() not in _METHODS:
        raise InputError(f"method is {method!r}", f"Use one of {', '.join(_METHODS)}.")
    return method.upper()


def header_pairs(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Names (in small letters) and values; InputError for what would break the request, such as a line break."""
    for name, value in headers.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise InputError(f"{name!r} is no name of a header", 'Write headers={"accept": "application/json"}.')
        if name.lower() in _OURS:
            raise InputError(f"the header {name!r} is written by the engine itself", "Leave it out of headers.")
        if not isinstance(value, str) or not value.isprintable() or not value.isascii():
            raise InputError(f"the header {name!r} has the value {value!r}", "Use printable ASCII text.")
    return tuple((name.lower(), value) for name, value in headers.items())


def as_bytes(value: bytes | str, name: str) -> bytes:
    """Text as UTF-8; InputError when it is neither text nor bytes."""
    if isinstance(value, str):
        return value.encode()
    if not isinstance(value, bytes):
        raise InputError(f"{name} is a {type(value).__name__}", "Give bytes or text.")
    return value
