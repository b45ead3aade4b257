"""Rates that change during a run, such as a ramp or a spike: stages of (requests per second, duration)."""

from collections.abc import Sequence

from helpers.errors import InputError
from helpers.load.values import Seconds, rate_per_s, seconds

Stage = tuple[float, Seconds]
Rate = float | str | Sequence[Stage]  # 50, "50", "20:5s,80:5s" or [(20, "5s"), (80, "5s")]

_EXAMPLE = 'Write the stages one after the other, for example rate=[(20, "5s"), (80, "5s")].'


def parse_rate(text: str) -> float | list[Stage]:
    """Requests per second from "50", or stages from "20:5s,80:5s"; InputError when it is neither."""
    if ":" not in text:
        return _number(text, text)
    stages: list[Stage] = []
    for part in text.split(","):
        rate, colon, duration = part.partition(":")
        if not colon:
            raise InputError(f"rate is {text!r}, but {part.strip()!r} is no stage", "Write for example 20:5s,80:5s.")
        stages.append((_number(rate, text), duration.strip()))
    return stages


def stages_of(rate: Sequence[Stage], max_rate: float, max_duration_s: float) -> tuple[tuple[float, float], ...]:
    """Checked stages of (requests per second, seconds); each begins where the one before it ends."""
    if not isinstance(rate, Sequence) or not rate:
        raise InputError(f"rate is {rate!r}: no stages", _EXAMPLE)
    found = []
    for number, stage in enumerate(rate, 1):
        if isinstance(stage, str) or not isinstance(stage, Sequence) or len(stage) != 2:
            raise InputError(
                f"stage {number} of rate is {stage!r}, not (rate, duration)",
                f"Stages cannot overlap: each begins where the one before it ends. {_EXAMPLE}",
            )
        name = f"of stage {number}"
        found.append((rate_per_s(stage[0], max_rate, f"rate {name}"), seconds(stage[1], f"duration {name}")))
    total_s = sum(length_s for _rate, length_s in found)
    if total_s > max_duration_s:
        raise InputError(
            f"the stages of rate take {total_s:g} s, more than {max_duration_s:g} s",
            f"Use at most {max_duration_s:g} s in all, or raise the limit with max_duration=...",
        )
    return tuple(found)


def _number(text: str, whole: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(
            f"rate is {whole!r}, but {text.strip()!r} is no number", "Write for example 50, or stages: 20:5s,80:5s."
        ) from None
