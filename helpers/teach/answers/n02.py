"""Notebook 02: the judges of its exercises."""

from typing import Any

from helpers.load.result import LoadResult
from helpers.teach.exercises import exercise

WITHIN = 0.1


@exercise("02.1", wants="a number of milliseconds")
def mean_of_32(answer: Any, *, per_s: float) -> tuple[bool, str]:
    """The mean response time in ms with 32 users, from the throughput measured with 16."""
    given, right = float(answer), 1000 * 32 / per_s
    if _near(given, right):
        return (
            True,
            f"{right:.0f} ms: 32 users divided by {per_s:.0f} answers/s. Run load() with 32 and see.",
        )
    if _near(given, right / 1000):
        return False, "The right number of seconds. How many ms are that?"
    if _near(given, right / 32):
        return False, "That is how long one request takes. How many stand in line with it?"
    if _near(given, right / 2):
        return False, "That was it with 16 users. What happened to it whenever the users were doubled?"
    if _near(given, per_s / 32):
        return False, "Turned round: the more users, the shorter? Look again which one is divided by which."
    if _near(given, 32 * per_s):
        return False, "Does a higher throughput make the users wait longer?"
    return False, "Users divided by throughput gives seconds: which two numbers are that here?"


@exercise("02.2", wants="a number of users")
def users_until_the_proxy_gives_up(answer: Any, *, per_s: float) -> tuple[bool, str]:
    """The number of users whose requests take ten seconds."""
    given, right = float(answer), 10 * per_s
    if _near(given, right):
        return (
            True,
            f"About {right:.0f}: so many are answered in 10 s, and whoever stands behind them is too late.",
        )
    if _near(given, 10 / per_s):
        return False, "You divided. How many requests are answered in those 10 s?"
    if _near(given, per_s):
        return False, "So many are answered in one second. How many seconds does the proxy wait?"
    if _near(given, per_s / 10):
        return False, "Would fewer users fail if the proxy were more patient?"
    if _near(given, 1000 * right) or _near(given, right / 1000):
        return False, "Throughput is per second: is your time-out in seconds, too?"
    if given > 2 * right:
        return False, "Where in the line is the last of these users, 10 s after asking?"
    return False, "How many requests does the worker answer while the proxy waits?"


@exercise("02.3", wants="the name of a check, in quotes")
def check_that_tells(answer: Any, *, result: LoadResult) -> tuple[bool, str]:
    """The name of the check that made the run void (or, on an odd machine, of the worst there is)."""
    found = {check.name.lower(): check for check in result.checks}
    name = str(answer).strip().lower()
    if name not in found:
        return False, f"Give the name of one check: {', '.join(check.name for check in result.checks)}."
    check = found[name]
    if check.verdict == result.verdict:
        return True, check.why
    if name == "engine cpu":
        return False, "How long is the generator's own piece of the bar? It had time left."
    if name == "little's law":
        return False, "The law holds in a disturbed run as well: the users did wait that long. What made them wait?"
    if name in ("worker share", "workers", "launch", "server's count"):
        return False, "That would be the server's doing. Which piece of the bar is new, compared with your own run?"
    return False, f"That one found nothing to say: {check.why} Compare the two bars: which piece is new?"


def _near(given: float, right: float) -> bool:
    return abs(given - right) <= WITHIN * abs(right)
