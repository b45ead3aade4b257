"""Can this measurement be trusted? Pure functions from measured facts to checks: pass, warn or void, and why.

A void run says something about the measuring, not about the server: its numbers are not shown.
The limits are those of notebook 02; each check that does not pass says in one sentence what to do.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Verdict = Literal["pass", "warn", "void"]
ORDER: tuple[Verdict, ...] = ("pass", "warn", "void")

ENGINE_CPU_WARN, ENGINE_CPU_VOID = 0.70, 0.90  # of one core
RUN_DELAY_WARN, RUN_DELAY_VOID = 0.05, 0.10  # of the wall time
FOREIGN_WARN, FOREIGN_VOID = 0.15, 0.50  # cores
LAG_FLOOR_MS, LAG_VOID_FACTOR = 1.0, 5.0
LITTLE_WITHIN = 0.02
SHARE_LIMIT = 1.5  # busiest worker / mean
TREND_Z, TREND_LEAST = 2.58, 0.15  # 1 % by chance; and worth mentioning
TREND_SLICES = 10
ENOUGH_REQUESTS = 100
OF_OTHERS = "Where they are other people's, take turns (LAB_ROTA)."
PAUSE_WARN_MS, PAUSE_VOID_MS, PAUSE_VOID_SHARE = 200.0, 500.0, 0.10  # of the window


@dataclass(frozen=True)
class Check:
    """One self-check of a run; `why` is for people: what was found and, unless it passed, what to do."""

    name: str
    value: float | None
    limit: float | None
    unit: str
    verdict: Verdict
    why: str


@dataclass(frozen=True)
class Facts:
    """What the checks need to know of a run; None where it could not be measured."""

    engine_cores: float | None
    run_delay_share: float | None
    foreign_cores: float | None
    little: float | None  # users accounted for / users (closed model)
    lag_p99_ms: float | None  # open model
    rest_lag_ms: float
    offered: int
    outcomes_total: int
    slices: Sequence[float]  # throughput (closed) or mean response (open) in equal parts of the window
    share: Mapping[int, int]  # answers per worker, also those with none
    instrumented: bool
    foreign_answers: int
    same_launch: bool | None
    workers_lost: int
    answered: int  # of the whole run, warm-up and drain included
    sent: int
    finished_most: int | None  # by the server's own count, with and without requests from before the run
    finished_least: int | None
    incomplete: str | None
    users: int = 0
    turned_away: int = 0  # of those answered: by the server itself, before the application, which did not count them
    unanswered: int | None = None  # users without an answer when the window began
    longer_warmup_s: float = 0.0  # that would have given each of them one
    redirects: int = 0
    stopped_s: Mapping[int, float] = field(default_factory=dict)
    pause_ms: float | None = None
    duration_s: float = 0.0


def check_all(facts: Facts) -> tuple[Check, ...]:
    """All checks that apply, in the order in which they are shown."""
    found = [
        _complete(facts),
        engine_cpu(facts.engine_cores),
        run_delay(facts.run_delay_share),
        pauses(facts.pause_ms, facts.duration_s),
        foreign_load(facts.foreign_cores),
        lag(facts.lag_p99_ms, facts.rest_lag_ms),
        little(facts.little),
        outcomes(facts.outcomes_total, facts.offered),
        warmed_up(facts.unanswered, facts.users, facts.longer_warmup_s),
        steady(facts.slices),
        worker_share(facts.share),
        *identity(facts),
        stopped_worker(facts.stopped_s),
        server_count(facts),
        redirects(facts.redirects),
        enough(facts.offered),
    ]
    return tuple(check for check in found if check is not None)


def worst(checks: Sequence[Check]) -> Verdict:
    """The verdict of a run is that of its worst check."""
    return max((check.verdict for check in checks), key=ORDER.index, default="pass")


def _graded(value: float, warn: float, void: float) -> Verdict:
    return "void" if value > void else "warn" if value > warn else "pass"


def _complete(facts: Facts) -> Check | None:
    if facts.incomplete is None:
        return None
    return Check("complete", None, None, "", "void", f"The run ended early: {facts.incomplete}. Run it again.")


def engine_cpu(cores: float | None) -> Check | None:
    """The generator itself must not be what limits the throughput."""
    if cores is None:
        return None
    verdict: Verdict = "void" if cores >= ENGINE_CPU_VOID else "warn" if cores >= ENGINE_CPU_WARN else "pass"
    why = f"The load generator used {cores:.0%} of a core"
    if verdict == "pass":
        why += ": it had room left."
    else:
        why += ", so it may be what limited the rate. Test an endpoint that does more work, or use fewer users."
    return Check("engine CPU", cores, ENGINE_CPU_VOID if verdict == "void" else ENGINE_CPU_WARN, "cores", verdict, why)


def run_delay(share: float | None) -> Check | None:
    """Time in which the generator wanted to run and no core was free: its stamps are late by that."""
    if share is None:
        return None
    verdict = _graded(share, RUN_DELAY_WARN, RUN_DELAY_VOID)
    why = f"The load generator waited for a core during {share:.1%} of the time"
    if verdict == "pass":
        why += ": its clock readings are on time."
    else:
        why += (
            ", so what it measured is partly its own waiting. Close other programs, use fewer workers, "
            f"or test an endpoint that does more work per request. {OF_OTHERS}"
        )
    return Check("run delay", share, RUN_DELAY_VOID if verdict == "void" else RUN_DELAY_WARN, "share", verdict, why)


def pauses(longest_ms: float | None, duration_s: float) -> Check | None:
    """A generator that stood still stamped late whatever came meanwhile, also where it never asked for a core."""
    if longest_ms is None:
        return None
    void_ms = max(PAUSE_VOID_MS, PAUSE_VOID_SHARE * duration_s * 1e3)
    verdict = _graded(longest_ms, PAUSE_WARN_MS, void_ms)
    why = f"The longest pause of the load generator was {longest_ms:.0f} ms"
    why += (
        ": its clock readings are on time."
        if verdict == "pass"
        else ", and what was answered meanwhile seems that much slower. Close other programs and measure again."
    )
    return Check("pauses", longest_ms, void_ms if verdict == "void" else PAUSE_WARN_MS, "ms", verdict, why)


def foreign_load(cores: float | None) -> Check | None:
    """CPU used by processes that are neither the server, nor the generator, nor the program that asked."""
    if cores is None:
        return None
    verdict = _graded(cores, FOREIGN_WARN, FOREIGN_VOID)
    why = f"Other programs used {cores:.2f} cores"
    why += (
        ": too little to matter."
        if verdict == "pass"
        else f", which the server did not get. Close them and measure again. {OF_OTHERS}"
    )
    return Check("foreign load", cores, FOREIGN_VOID if verdict == "void" else FOREIGN_WARN, "cores", verdict, why)


def lag(p99_ms: float | None, rest_ms: float) -> Check | None:
    """Open model: requests must leave when they were meant to; the limit is what this machine does at rest."""
    if p99_ms is None:
        return None
    limit_ms = max(LAG_FLOOR_MS, 2 * rest_ms)
    verdict = _graded(p99_ms, limit_ms, LAG_VOID_FACTOR * limit_ms)
    why = f"99 % of the requests left within {p99_ms:.2f} ms of their time"
    why += "." if verdict == "pass" else ": too late. Lower the rate, or free a core for the load generator."
    return Check("lag", p99_ms, limit_ms * (LAG_VOID_FACTOR if verdict == "void" else 1), "ms", verdict, why)


def little(ratio: float | None) -> Check | None:
    """Closed model: at every moment each user waits for an answer or thinks (Little's law)."""
    if ratio is None:
        return None
    fine = abs(ratio - 1) <= LITTLE_WITHIN
    why = f"Waiting and thinking account for {ratio:.1%} of the users' time (Little's law)"
    why += "." if fine else ": time is missing, so do not trust the throughput. Run it again; if it stays, report it."
    return Check("Little's law", ratio, 1 + LITTLE_WITHIN, "ratio", "pass" if fine else "void", why)


def outcomes(total: int, offered: int) -> Check:
    """Every request that was offered has exactly one outcome."""
    fine = total == offered
    why = f"{total} outcomes for {offered} requests"
    why += ": nothing was dropped in silence." if fine else ": requests were lost in counting. Please report this."
    return Check("outcomes", total, offered, "requests", "pass" if fine else "void", why)


def warmed_up(unanswered: int | None, users: int, longer_s: float) -> Check | None:
    """Closed model: before the window every user had an answer, so the server has taken up every connection."""
    if unanswered is None:
        return None
    if not unanswered:
        why = "Every user had an answer before the measured time began."
    else:
        why = f"{unanswered} of {users} users had no answer yet when the measured time began: the server was still "
        why += f"taking up connections. Use a longer warm-up (about {longer_s:g} s), or fewer users."
    return Check("warm-up", unanswered, 0, "users", "warn" if unanswered else "pass", why)


def steady(slices: Sequence[float]) -> Check | None:
    """No trend over the window: Mann-Kendall's test, and a change (Theil-Sen) large enough to matter."""
    if len(slices) < TREND_SLICES or not any(slices):
        return None
    z, change = trend(slices)
    moving = abs(z) > TREND_Z and abs(change) > TREND_LEAST
    why = f"From begin to end it changed by {change:+.0%}"
    why += (
        ": it had not settled. Use a longer warm-up or duration, or look for what grows in the server."
        if moving
        else ", no more than chance does."
    )
    return Check("steady", change, TREND_LEAST, "relative change", "warn" if moving else "pass", why)


def trend(values: Sequence[float]) -> tuple[float, float]:
    """Mann-Kendall's z, and the median slope (Theil-Sen) over the whole length relative to the median."""
    n = len(values)
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    signs = sum((values[j] > values[i]) - (values[j] < values[i]) for i, j in pairs)
    z = math.copysign(max(0, abs(signs) - 1), signs) / math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    slope = statistics.median((values[j] - values[i]) / (j - i) for i, j in pairs)
    middle = statistics.median(values) or statistics.fmean(values)
    return z, slope * n / middle if middle else 0.0


def worker_share(share: Mapping[int, int]) -> Check | None:
    """A worker that got most of the connections makes "more workers do not help" out of chance."""
    if len(share) < 2 or not sum(share.values()):
        return None
    ratio = max(share.values()) * len(share) / sum(share.values())
    fine = ratio <= SHARE_LIMIT
    parts = ", ".join(f"{pid}: {count / sum(share.values()):.0%}" for pid, count in sorted(share.items()))
    why = f"The workers answered {parts}"
    why += "." if fine else ". Relaunch the server and repeat; use at least 8 connections per worker, and no burst."
    return Check("worker share", ratio, SHARE_LIMIT, "busiest / mean", "pass" if fine else "warn", why)


def identity(facts: Facts) -> list[Check]:
    """Every answer came from the launch that was asked before the run."""
    if not facts.instrumented:
        why = (
            "The server does not say who it is, so neither the worker behind an answer nor its own count can be "
            "compared. Start it with Server(...) to have both."
        )
        return [Check("launch", None, None, "", "warn", why)]
    found = []
    if facts.foreign_answers or facts.same_launch is False:
        why = "Answers came from another launch of the server: it was restarted, or two share the port. Run it again."
        found.append(Check("launch", facts.foreign_answers, 0, "answers", "void", why))
    elif facts.same_launch is None:
        why = "After the run the server did not come to say whether it is still the same launch."
        found.append(Check("launch", 0, 0, "answers", "warn", why))
    else:
        found.append(Check("launch", 0, 0, "answers", "pass", "Every answer came from this launch of the server."))
    if facts.workers_lost:
        why = f"{facts.workers_lost} worker(s) ended during the run; see the server's log for the reason."
        found.append(Check("workers", facts.workers_lost, 0, "workers", "warn", why))
    return found


def stopped_worker(stopped_s: Mapping[int, float]) -> Check | None:
    """A process of the server that a signal had stopped: alive by every other sign, and answering nobody."""
    if not stopped_s:
        return None
    pid, longest_s = max(stopped_s.items(), key=lambda item: item[1])
    why = f"Process {pid} of the server was stopped (SIGSTOP or Ctrl-Z) for about {longest_s:.1f} s of the run. "
    why += f"Let it go on with `kill -CONT {pid}`, or relaunch the server."
    return Check("stopped worker", longest_s, 0, "s", "warn", why)


def redirects(count: int) -> Check | None:
    """An answer that points elsewhere is quickly given, and is not the work that was to be measured."""
    if not count:
        return None
    why = f"{count} answers point elsewhere (status 3xx). Redirects are not followed: use the final address."
    return Check("redirects", count, 0, "answers", "warn", why)


def server_count(facts: Facts) -> Check | None:
    """answered <= finished by the server's own count <= sent."""
    least, most = facts.finished_least, facts.finished_most
    if least is None or most is None or facts.workers_lost:  # what a killed worker had in hand nobody counted
        return None
    answered = facts.answered - facts.turned_away
    span = f"{answered} answers, {most} requests finished by the server's own count, {facts.sent} sent"
    if facts.turned_away:
        span += f", {facts.turned_away} refused by the server itself (limit_concurrency)"
    if most < answered:
        why = f"{span}: answers came from somebody else. Check what else listens on this port."
    elif least > facts.sent:
        why = f"{span}: somebody else used the server meanwhile. Stop them and repeat."
    else:
        return Check("server's count", most, facts.sent, "requests", "pass", f"{span}: they agree.")
    return Check("server's count", most, facts.sent, "requests", "warn", why)


def enough(requests: int) -> Check:
    """Too few requests make every percentile a matter of chance."""
    fine = requests >= ENOUGH_REQUESTS
    why = f"{requests} requests were measured"
    why += "." if fine else ": few. Use a longer duration."
    return Check("enough requests", requests, ENOUGH_REQUESTS, "requests", "pass" if fine else "warn", why)
