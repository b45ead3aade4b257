"""Service level objectives: "p99<250ms,errors<1%" as targets, and whether a load test met them."""

import math
import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from helpers.errors import InputError

if TYPE_CHECKING:  # the engine reads conditions too, and imports no numpy
    from helpers.load.latency import Latency, Milliseconds
    from helpers.load.result import LoadResult

Met = Literal["met", "missed", "cannot tell"]

TIMES = ("p50", "p90", "p95", "p99", "max", "mean")
METRICS = (*TIMES, "errors", "rate")
EXAMPLE = "write for instance p99<250ms,errors<1%"

_OPERATORS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_UNITS = {"ms": 1.0, "s": 1000.0}  # in ms
_BEYOND = {"p50": 20, "p90": 100, "p95": 200, "p99": 1000}  # requests that the percentile needs
_SHOWN = 80  # characters of a text in an error
_PART = re.compile(
    r"\s*(?P<metric>[A-Za-z_]\w*)?\s*(?P<op><=|>=|<|>)?\s*(?P<number>\d+\.?\d*(?:e[+-]?\d+)?|\.\d+)?\s*(?P<unit>\S.*?)?\s*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Target:
    """One condition. `limit` is in ms for times, a share of 1 for errors, per second for rate."""

    metric: str  # one of METRICS
    op: str  # <, <=, > or >=
    limit: float
    text: str  # as it was written

    @property
    def unit(self) -> str:
        """Of the limit, for JSON: "ms", "ratio" or "per_s"."""
        return {"errors": "ratio", "rate": "per_s"}.get(self.metric, "ms")

    @property
    def upper(self) -> bool:
        """Whether the limit is the most that is allowed, rather than the least."""
        return self.op.startswith("<")

    def holds(self, value: float) -> bool:
        """Whether a value (same unit as the limit) fulfils the condition."""
        return bool(_OPERATORS[self.op](value, self.limit))

    def shown(self, value: float) -> str:
        """A value of this metric for people."""
        if self.metric == "errors":
            return f"{value * 100:.3g} %"
        if self.metric == "rate":
            return f"{value:.4g}/s"
        return f"{value:.0f} ms" if value >= 100 else f"{value:.3g} ms"

    def __str__(self) -> str:
        return f"{self.metric} {self.op} {self.shown(self.limit)}"


@dataclass(frozen=True)
class Judgement:
    """What became of one target. `value` is a lower bound where `at_least`, None where there is none."""

    target: Target
    verdict: Met
    value: float | None
    at_least: bool = False
    why: str = ""  # it cannot be told

    def as_json(self) -> dict[str, Any]:
        value = {"at_least": self.value} if self.at_least else self.value
        return {
            "target": self.target.text,
            "metric": self.target.metric,
            "value": value,
            "limit": self.target.limit,
            "unit": self.target.unit,
            "verdict": self.verdict,
            "why": self.why,
        }

    @property
    def measured(self) -> str:
        """What was measured, or why there is nothing to say, in words."""
        if self.value is None or self.why:
            return self.why
        return (">= " if self.at_least else "") + self.target.shown(self.value)

    def __str__(self) -> str:
        return f"{self.target}: {self.verdict} ({self.measured})"


def parse_slo(text: str) -> tuple[Target, ...]:
    """Conditions separated by commas, all of which are to hold: `metric < limit`, also with <=, > and >=.

    Times (p50 p90 p95 p99 max mean) take ms or s, errors take %, rate takes /s or nothing. InputError names the
    character at which a text cannot be read.
    """
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"the objective {text!r} says nothing", EXAMPLE)
    targets, at = [], 0
    for part in text.split(","):
        targets.append(_target(text, part, at))
        at += len(part) + 1
    return tuple(targets)


def judge(result: "LoadResult", slo: str | Sequence[Target]) -> tuple[Judgement, ...]:
    """Each target against the response times of all requests sent, the share of errors and the throughput.

    A percentile without enough samples cannot be told, nor can a limit above the time-out where requests timed out,
    nor anything of a void run.
    """
    targets = parse_slo(slo) if isinstance(slo, str) else slo
    return tuple(_judge(result, target) for target in targets)


def overall(judgements: Sequence[Judgement]) -> Met:
    """One verdict of all: missed where one is missed, met where all are."""
    verdicts = {judgement.verdict for judgement in judgements}
    return "missed" if "missed" in verdicts else "cannot tell" if "cannot tell" in verdicts else "met"


def requests_needed(targets: Sequence[Target]) -> int:
    """How many requests it takes until every target can be told: a percentile needs ten slower ones."""
    return max((_BEYOND.get(target.metric, 1) for target in targets), default=1)


# --------------------------------------------------------------------------------------------------------- reading


def _target(text: str, part: str, at: int) -> Target:
    match = _PART.fullmatch(part)
    assert match is not None  # every group may be absent
    begin = at + len(part) - len(part.lstrip())
    metric = (match["metric"] or "").lower()
    if not part.strip():
        raise _unreadable(text, begin, "a condition is missing")
    if metric not in METRICS:
        word = match["metric"] or part.strip()
        raise _unreadable(text, begin, f"{_short(word)!r} is no metric", f"the metrics are {', '.join(METRICS)}")
    if not match["op"]:
        raise _unreadable(text, at + match.end("metric"), f"<, <=, > or >= is missing after {metric!r}")
    if not match["number"]:
        problem = f"{_short(match['unit'])!r} is no number" if match["unit"] else "a number is missing"
        raise _unreadable(text, at + match.end("op"), problem)
    limit = float(match["number"]) * _scale(text, metric, match, at)
    impossible = _impossible(metric, match["op"], limit)
    if impossible:
        raise _unreadable(text, at + match.start("number"), *impossible)
    return Target(metric, match["op"], limit, part.strip())


def _scale(text: str, metric: str, match: re.Match[str], at: int) -> float:
    """What the number is to be multiplied with; a time without a unit would be guessed, so it is refused."""
    unit = (match["unit"] or "").lower()
    if metric == "rate" and unit in ("", "/s"):
        return 1.0
    if metric == "errors" and unit == "%":
        return 0.01
    if metric in TIMES and unit in _UNITS:
        return _UNITS[unit]
    wanted = {"errors": "%, as in errors<1%", "rate": "/s, as in rate>100/s"}.get(metric, "ms or s, as in p99<250ms")
    where = at + (match.start("unit") if unit else match.end("number"))
    problem = f"{_short(match['unit'])!r} is no unit of {metric}" if unit else f"{metric} needs a unit"
    raise _unreadable(text, where, problem, f"the unit of {metric} is {wanted}")


def _impossible(metric: str, op: str, limit: float) -> tuple[str, str] | None:
    """Problem and hint where no measurement could make the condition true, or all do."""
    if not math.isfinite(limit):
        return "the number is too large", EXAMPLE
    if metric == "errors" and limit > 1:
        return "errors are at most 100 %", "write for instance errors<1%"
    if limit == 0 and op == "<":
        return f"{metric} cannot be less than 0", "write errors<=0%" if metric == "errors" else EXAMPLE
    return None


def _unreadable(text: str, at: int, problem: str, hint: str = EXAMPLE) -> InputError:
    return InputError(f"{_short(text)!r} cannot be read at character {at + 1}: {problem}", hint)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


# --------------------------------------------------------------------------------------------------------- judging


def _judge(result: "LoadResult", target: Target) -> Judgement:
    if result.verdict == "void":
        return Judgement(target, "cannot tell", None, why="the run is void")
    if not result.requests:
        return Judgement(target, "cannot tell", None, why="no request was sent")
    if target.metric == "errors":
        return _known(target, result.error_ratio)
    if target.metric == "rate":
        return _known(target, result.achieved_per_s)
    latency = result.response
    if target.metric == "mean":  # with time-outs among them it is a lower bound, as the slowest is
        return _time(target, latency.mean_ms, not isinstance(latency.max, float))
    value: Milliseconds = getattr(latency, target.metric)
    if value is None:
        return _from_below(target, latency)
    return _time(target, float(value), not isinstance(value, float))


def _from_below(target: Target, latency: "Latency") -> Judgement:
    """Without enough samples: a lower percentile that is beyond the limit already settles it."""
    for name in ("p95", "p90", "p50"):
        lower: Milliseconds = getattr(latency, name)
        if lower is not None and _BEYOND[name] < _BEYOND[target.metric] and target.holds(float(lower)) != target.upper:
            return _time(target, float(lower), at_least=True)
    needed = _BEYOND[target.metric]
    why = f"{target.metric} needs {needed} requests, there were {latency.count}"
    return Judgement(target, "cannot tell", None, why=why)


def _known(target: Target, value: float) -> Judgement:
    return Judgement(target, "met" if target.holds(value) else "missed", value)


def _time(target: Target, value_ms: float | None, at_least: bool) -> Judgement:
    if value_ms is None:
        return Judgement(target, "cannot tell", None, why="no request was sent")
    if not at_least:
        return _known(target, value_ms)
    if value_ms >= target.limit:  # the true time is above the one at which the wait was given up
        return Judgement(target, "missed" if target.upper else "met", value_ms, at_least=True)
    limit = target.shown(target.limit)
    why = f"time-outs hide it: it is above {target.shown(value_ms)}; give a time-out above {limit}"
    return Judgement(target, "cannot tell", value_ms, at_least=True, why=why)
