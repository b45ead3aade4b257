"""What holds beside the verdict: each finding a pure function of what was seen, or None."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from helpers.diagnose.prober import Age, Prober
from helpers.diagnose.seen import Answer, Probe
from helpers.machine import memory_limits, usable_cpus

SLOW_FIRST, SLOW_FIRST_MS = 3.0, 100.0  # times the usual, and more than it by so much
DRIFT, DRIFT_MS = 1.3, 3.0
GROWN_MB, GROWN_BYTES_PER_REQUEST = 16.0, 1_000.0
STILL_GROWS = 0.5  # as fast in the last load as over all
SLOW_START_S = 1.5  # importing FastAPI takes about half a second
LARGE_BYTES, LARGE_FOR_SURE_BYTES, SENDING = 256 * 1024, 2**20, 0.3
MEMORY_SHARE = 0.5  # of what is free, by as many workers as there are cores
UNEVEN = 1.5  # busiest worker against the mean: as in the load test's own check
_NUMBER = re.compile(rb"-?\d+")


@dataclass(frozen=True)
class Finding:
    """Something that holds beside the verdict: what was seen, and what to do about it."""

    name: str
    seen: str
    advice: str

    def __str__(self) -> str:
        return f"{self.name}: {self.seen} {self.advice}"


def findings(api: Prober, first: Answer, again: Sequence[Answer], verdict: str) -> list[Finding]:
    """All that hold, in the order in which a request meets them.

    Workers that queue for one shared thing may get it unevenly: that is told by the verdict, and is no finding.
    """
    one = next((probe for probe in api.probes if probe.users == 1), None)
    two = next((probe for probe in api.probes if probe.workers == 2 and not probe.void), None)
    found = [
        does_not_start(api.start_trouble),
        slow_start_up(api.start_up_s),
        slow_first(first.ms, [answer.ms for answer in again]),
        drifting(api.ages, api.fresh_ms),
        memory_grows(api.ages),
        memory_per_worker(api.ages, usable_cpus().usable, memory_limits().usable_bytes / 2**20),
        large_bodies(len(first.body), None if one is None or one.void else _sending(one)),
        keep_alive(again[-1] if again else first),
        None
        if two is None or verdict == "downstream_bound"
        else uneven_share(two.result.worker_answers, two.connections, alone=verdict == "scales_by_awaiting"),
        differs_between_workers([answer.body for answer in again], api.told_by),
        left_behind(api.left_behind),
    ]
    return [finding for finding in found if finding is not None]


def does_not_start(trouble: str) -> Finding | None:
    if not trouble:
        return None
    return Finding(
        "one_worker_only",
        f"With one worker it starts, with more it does not: {trouble}.",
        "Each worker imports the app: what can be had only once (a port, a lock, a file) does not belong there.",
    )


def left_behind(processes: int) -> Finding | None:
    if not processes:
        return None
    return Finding(
        "left_behind",
        f"Processes that the app had started ran on after its end ({processes} in all launches); they were ended here.",
        "End them in lifespan, after `yield`, or start them with a supervisor of their own.",
    )


def slow_start_up(start_up_s: float | None) -> Finding | None:
    if start_up_s is None or start_up_s < SLOW_START_S:
        return None
    return Finding(
        "slow_start_up",
        f"A worker needs {start_up_s:.1f} s from its begin to its first request (imports and lifespan), and each of N "
        "workers pays that by itself, at every restart.",
        "Load less at start-up, or what all can share once; let the load balancer wait for a readiness endpoint.",
    )


def slow_first(first_ms: float, again_ms: Sequence[float]) -> Finding | None:
    usual_ms = float(np.median(again_ms)) if len(again_ms) else first_ms
    if first_ms < SLOW_FIRST * usual_ms or first_ms < usual_ms + SLOW_FIRST_MS:
        return None
    return Finding(
        "first_requests_slow",
        f"The first request of a fresh worker took {first_ms:.0f} ms, the next ones {usual_ms:.0f} ms.",
        "Something is made at first use: make it in lifespan, before the worker is ready, and no user waits for it.",
    )


def drifting(ages: Sequence[Age], fresh_ms: float | None) -> Finding | None:
    """`fresh_ms`: a request alone to a fresh worker, asked later: where that is slow as well, it is the machine."""
    asked = [(age.requests, age.ms) for age in ages if age.ms is not None]
    if len(asked) < 2:
        return None
    (_none, begun_ms), (requests, old_ms) = asked[0], asked[-1]
    young_ms = max(begun_ms, fresh_ms or 0.0)
    if old_ms < DRIFT * young_ms or old_ms < young_ms + DRIFT_MS:
        return None
    return Finding(
        "drifting",
        f"One request alone took {young_ms:.1f} ms in a fresh worker and {old_ms:.1f} ms after {requests:,} requests.",
        "Something grows with every request: a list or a cache that is walked, a queue that is never emptied.",
    )


def memory_grows(ages: Sequence[Age]) -> Finding | None:
    """By every request: what threads and buffers take at the first load, they do not take again at the second."""
    if len(ages) < 3:
        return None
    young, old = ages[0], ages[-1]
    per_request, lately = _bytes_per_request(young, old), _bytes_per_request(ages[-2], old)
    grown_mb = (old.memory_mb or 0.0) - (young.memory_mb or 0.0)
    if grown_mb < GROWN_MB or per_request < GROWN_BYTES_PER_REQUEST or lately < per_request * STILL_GROWS:
        return None
    return Finding(
        "memory_grows",
        f"The worker grew from {young.memory_mb:.0f} to {old.memory_mb:.0f} MiB in {old.requests - young.requests:,} "
        f"requests: {per_request / 1000:.1f} kB each.",
        "Bound what is kept (a cache with a size); `limit_max_requests` with jitter is a stop-gap, not a cure.",
    )


def memory_per_worker(ages: Sequence[Age], cpus: int, free_mb: float) -> Finding | None:
    old = ages[-1] if ages else None
    if old is None or old.memory_mb is None or old.memory_mb * cpus < MEMORY_SHARE * free_mb:
        return None
    return Finding(
        "memory_per_worker",
        f"A worker takes {old.memory_mb:,.0f} MiB; one per core ({cpus}) would take {old.memory_mb * cpus:,.0f} of the "
        f"{free_mb:,.0f} MiB that are free.",
        "Here memory limits the number of workers: share what is read only (a mapped file), or use fewer workers.",
    )


def large_bodies(size_bytes: int, sending: float | None) -> Finding | None:
    if size_bytes < LARGE_BYTES or (size_bytes < LARGE_FOR_SURE_BYTES and (sending or 0.0) < SENDING):
        return None
    part = "" if sending is None else f", and {sending:.0%} of the response time passes between its first and last byte"
    return Finding(
        "large_bodies",
        f"An answer has {size_bytes / 1e6:.1f} MB{part}.",
        "Send less (pages, fields, compression by the proxy), or let nginx or an object store send files.",
    )


def keep_alive(answer: Answer) -> Finding | None:
    if (answer.header("connection") or "").lower() != "close":
        return None
    return Finding(
        "keep_alive",
        "Every answer carries `Connection: close`, so each request pays for a connection of its own.",
        "Leave that header out; a proxy's idle time must be shorter than uvicorn's (`timeout_keep_alive`, 5 s).",
    )


def uneven_share(answers: Mapping[int, int], connections: Mapping[int, int], *, alone: bool = False) -> Finding | None:
    """Both by the worker's pid: whether one of them gave far more answers, and whether its connections explain it.

    `alone`: no request waits for another one, so that each connection gets as many answers as its worker is quick.
    """
    per_connection = {pid: count / connections[pid] for pid, count in answers.items() if connections.get(pid)}
    slower = _uneven(per_connection) if alone else not _uneven(connections)
    if not (_uneven(answers) or (alone and slower)):
        return None
    total = sum(answers.values())
    parts = " and ".join(f"{count / total:.0%}" for count in sorted(answers.values(), reverse=True))
    seen = f"Of two workers one answered {parts.replace(' and ', ', the other ')} of the requests"
    if slower:
        few, many = min(per_connection.values()), max(per_connection.values())
        return Finding(
            "uneven_share",
            f"{seen}; a connection to one got {many:.3g} answers while one to the other got {few:.3g}.",
            "A connection stays with its worker: look for what makes one slower, and put least_conn in front (nginx).",
        )
    most, all_of_them = max(connections.values()), sum(connections.values())
    return Finding(
        "uneven_share",
        f"{seen}: it had got {most} of the {all_of_them} connections.",
        "A connection stays with its worker for life: put least_conn in front (nginx), or close idle ones sooner.",
    )


def _uneven(counts: Mapping[int, float]) -> bool:
    total = sum(counts.values())
    return len(counts) > 1 and total > 0 and max(counts.values()) * len(counts) / total > UNEVEN


def differs_between_workers(one: Sequence[bytes], two: Sequence[tuple[str, bytes]]) -> Finding | None:
    """`one`: what a single worker answered, one after the other; `two`: (pid, answer) of two, one after the other."""
    if len({pid for pid, _ in two}) < 2 or len(one) < 3:
        return None
    advice = "Keep what requests share outside of the processes: a database, Redis; or derive it from the request."
    of_each = {pid: {body for other, body in two if other == pid} for pid, _ in two}
    if len(set(one)) == 1:
        if all(len(bodies) == 1 for bodies in of_each.values()) and len(set.union(*of_each.values())) > 1:
            seen = (
                "Two workers answer the same request differently, each always in its own way: that is their own state."
            )
            return Finding("differs_between_workers", seen, advice)
        return None
    if _counts(one) and not _counts([body for _, body in two]):
        seen = (
            "With one worker a number in the answers grows from request to request, with two it does not: if it is a "
        )
        seen += "counter, each worker counts for itself."
        return Finding("differs_between_workers", seen, advice)
    return None


def _bytes_per_request(young: Age, old: Age) -> float:
    if young.memory_mb is None or old.memory_mb is None:
        return 0.0
    return (old.memory_mb - young.memory_mb) * 2**20 / max(1, old.requests - young.requests)


def _counts(bodies: Sequence[bytes]) -> bool:
    """Whether a number in the answers grows by the same step from each to the next."""
    rows = [[int(number) for number in _NUMBER.findall(body)] for body in bodies]
    if len({len(row) for row in rows}) != 1:
        return False
    columns = zip(*rows, strict=True)
    return any(len(set(steps)) == 1 and steps[0] > 0 for steps in map(_steps, columns))


def _steps(column: Sequence[int]) -> list[int]:
    return [after - before for before, after in itertools.pairwise(column)]


def _sending(probe: Probe) -> float:
    """Part of the response time between the first and the last byte of the answers."""
    answered = probe.result.window[probe.result.window["first_ns"] > 0]
    whole = (answered["done_ns"] - answered["sent_ns"]).sum()
    return float((answered["done_ns"] - answered["first_ns"]).sum() / whole) if whole else 0.0
