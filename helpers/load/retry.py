"""What a client does after a failure: tries again, so many times, after a pause. Off unless it is asked for."""

from dataclasses import dataclass
from functools import cached_property

from helpers.errors import InputError
from helpers.load.records import ATTEMPT_SHIFT, FLAG_RETRY, OUTCOMES
from helpers.load.values import Seconds, seconds, whole

MOST = 15  # the number of an attempt has 4 bits in a record
NEVER = ("ok", "not_sent", "aborted")  # nothing failed, or the engine itself ended it
USUAL = ("http_5xx", "refused", "reset", "stale_conn", "connect_timeout", "timeout")


@dataclass(frozen=True)
class Retry:
    """Send a request again, up to `times`, `after` each failure of a kind in `on`. Every attempt is one record."""

    times: int = 1
    after: Seconds = "100ms"
    on: tuple[str, ...] = USUAL

    def __post_init__(self) -> None:
        if not 1 <= whole(self.times, "times") <= MOST:
            raise InputError(f"times is {self.times}", f"Retry 1 to {MOST} times; without retry, leave retry out.")
        seconds(self.after, "after", zero=True, at_most=60.0)
        known = [name for name in OUTCOMES if name not in NEVER]
        wrong = [self.on] if isinstance(self.on, str) else [name for name in self.on if name not in known]
        if wrong or not self.on:
            raise InputError(f"on is {self.on!r}", f'Name outcomes in brackets, on=("timeout",): {", ".join(known)}.')
        object.__setattr__(self, "on", tuple(self.on))  # a list is fine, too

    @cached_property
    def after_s(self) -> float:
        return seconds(self.after, "after", zero=True)

    @cached_property
    def codes(self) -> frozenset[int]:
        """The outcomes after which a request is sent again, as they stand in the records."""
        return frozenset(OUTCOMES.index(name) for name in self.on)

    def flags_of_next(self, flags: int, outcome: int) -> int:
        """The flags of the attempt after one with `flags` and `outcome`; 0 where there is none."""
        attempt = (flags >> ATTEMPT_SHIFT) + 1
        return FLAG_RETRY | attempt << ATTEMPT_SHIFT if attempt <= self.times and outcome in self.codes else 0
