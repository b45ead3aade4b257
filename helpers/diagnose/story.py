"""The diagnosis told: one sentence for each verdict, and the evidence, probe by probe, with what each means."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from helpers.diagnose.advice import Case
from helpers.diagnose.decide import FULL_CORE, HELD, SEVERAL_CORES
from helpers.diagnose.seen import Place, Probe
from helpers.diagnose.trials import Trial
from helpers.plots.picture import short

BY_A_SECOND_WORKER = ("lock_bound", "downstream_bound")  # what a second worker brings tells these two apart


@dataclass(frozen=True)
class Evidence:
    """One probe: what was done, what was seen, and what that means."""

    probe: str
    observed: str
    means: str


def summary(verdict: str, case: Case) -> str:
    """The verdict in one or two sentences, with its numbers."""
    return _SUMMARIES[verdict](case, case.probe)


def evidence(verdict: str, case: Case) -> Iterator[Evidence]:
    """What the verdict rests on, in the order in which it was found."""
    probe = case.probe
    yield Evidence(
        "one request after the other", f"{case.request_s * 1e3:.1f} ms each", "how long it takes when nobody else asks"
    )
    if probe is None or probe.void:
        return
    if probe.users > 1:
        yield Evidence(_load(probe), _seen(case, probe), _meaning(case, probe))
    if probe.threads_size and probe.threads_busy >= 1:
        waiting = f", and {probe.threads_awaited:.0f} requests wait for one"
        yield Evidence(
            "the thread pool meanwhile",
            f"{probe.threads_busy:.0f} of {probe.threads_size} threads are taken"
            + (waiting if probe.threads_awaited else ""),
            "every thread is in use" if probe.threads_awaited else "`def` code runs in threads, and there are enough",
        )
    if case.looks.places:
        place = case.looks.places[0]
        yield Evidence(
            f"the stacks, read {case.looks.count} times ({case.looks.way})",
            f"{_who(place)} in {place}",
            _what_it_does(place, probe),
        )
    for trial in case.trials:
        yield _tried(trial, decided=verdict in BY_A_SECOND_WORKER and trial.workers == 2)


def _who(place: Place) -> str:
    if place.in_loop:
        return f"at {place.looks:.0%} of the looks the event loop's thread stood"
    return (
        f"{place.looks:.0f} threads stood"
        if place.looks >= 1.5
        else f"at {place.looks:.0%} of the looks a thread stood"
    )


def _load(probe: Probe) -> str:
    return f"{probe.users} users"


def _seen(case: Case, probe: Probe) -> str:
    parts = [f"{short(probe.per_s)} answers/s", f"{probe.mean_ms:.0f} ms each" if probe.mean_ms else ""]
    if probe.cores is not None:
        parts.append(f"{probe.cores:.2f} cores used")
    if case.held is not None and probe.late_ms is not None and not _full(probe):
        late = max(probe.late_ms, 1.0)
        parts.append(f"event loop late by {late:.0f} ms" if case.held > HELD else "event loop free when needed")
    parts.append(f"{case.at_once:.2g} of them get on at once")
    return ", ".join(part for part in parts if part)


def _what_it_does(place: Place, probe: Probe) -> str:
    if _full(probe):
        return "that is where the CPU goes"
    return "that line holds the event loop" if place.in_loop else "that line is what the threads do, or wait for"


def _full(probe: Probe) -> bool:
    return probe.cores is not None and probe.cores > FULL_CORE


def _meaning(case: Case, probe: Probe) -> str:
    if _full(probe):
        return "the CPU is what they wait for"
    if case.held is not None and case.held > HELD:
        return "the CPU idles, and yet nobody else is served: something waits inside the event loop"
    if case.at_once > 0.7 * probe.users:
        return "they all get on at the same time: waiting costs nothing here"
    return f"the CPU idles, the event loop is free, and {case.at_once:.2g} of {probe.users} get on: they wait in line"


def _tried(trial: Trial, *, decided: bool) -> Evidence:
    measured = f"not measured: {trial.lacking}" if trial.measured is None else f"× {trial.measured:.2f} answers"
    if trial.confirmed is None:
        means = f"× {trial.predicted:.2g} was expected"
    elif trial.confirmed and decided:
        means = "this decided it: × 2 where each worker brings its own, × 1 where they share"
    elif trial.confirmed:
        means = f"× {trial.predicted:.2g} was expected: as predicted"
    elif trial.beyond:
        means = (
            f"× {trial.predicted:.2g} was expected: more, so the first load was disturbed, or it slows down with use"
        )
    else:
        means = f"× {trial.predicted:.2g} was expected: not as predicted, so read the verdict with care"
    return Evidence(f"{trial.change}, {trial.users} users", measured, means)


# -------------------------------------------------------------------------------------------------- one per verdict


def _cpu_bound(case: Case, probe: Probe | None) -> str:
    assert probe is not None
    if probe.cores is not None and probe.cores > SEVERAL_CORES:
        return (
            f"One worker burns {probe.cores:.2f} cores for {short(probe.per_s)} answers/s: its threads fight for one "
            "GIL, and a second worker, with a GIL of its own, gives far more. Workers help, fewer threads may too."
        )
    return (
        f"One worker fills one core ({probe.cores:.2f}) at {short(probe.per_s)} answers/s: it is work that takes the "
        f"time, under one GIL. More cores alone change nothing; {_workers_help(case.usable_cpus)}."
    )


def _event_loop_blocked(case: Case, probe: Probe | None) -> str:
    assert probe is not None
    place = case.looks.place(in_loop=True)
    line = f" It stands in {place}." if place else ""
    return (
        f"While one request waits, no other gets on ({short(probe.per_s)} answers/s), and the CPU idles "
        f"({_cores(probe)} of a core): something waits inside the event loop.{line}"
    )


def _threadpool_exhausted(case: Case, probe: Probe | None) -> str:
    assert probe is not None
    size = probe.threads_size or 40
    return (
        f"`def` code runs in threads, and all {size} of a worker are taken: with {probe.users} users "
        f"{probe.threads_awaited:.0f} requests wait for a thread while the CPU idles ({_cores(probe)} of a core)."
    )


def _lock_bound(case: Case, probe: Probe | None) -> str:
    assert probe is not None
    return (
        f"{_through(case)}, while CPU ({_cores(probe)} of a core), event loop and threads are free, and "
        "a second worker brings its own: the limit is a lock or a pool inside each process."
    )


def _downstream_bound(case: Case, probe: Probe | None) -> str:
    assert probe is not None
    return (
        f"{_through(case)}, while the CPU idles ({_cores(probe)} of a core), and a second worker "
        "changes nothing: the limit is something outside of the process that all workers share."
    )


def _native_parallel(case: Case, probe: Probe | None) -> str:
    assert probe is not None
    return (
        f"One worker already uses {probe.cores:.2f} cores: its work runs in compiled code outside of the GIL, or in "
        "processes of its own. More workers only share out the same cores."
    )


def _scales_by_awaiting(case: Case, probe: Probe | None) -> str:
    assert probe is not None
    slower = probe.mean_ms / case.request_s / 1e3 if probe.mean_ms and case.request_s else 1.0
    return (
        f"{probe.users} users at once are answered in {slower:.1f} x the time of one, with {_cores(probe)} of a core: "
        "it waits asynchronously, and one worker is enough at this load."
    )


def _client_bound(case: Case, probe: Probe | None) -> str:
    return "The load generator was the limit, not the API: what it could send is less than what the API could answer."


def _inconclusive(case: Case, probe: Probe | None) -> str:
    return "The measurement cannot tell what limits this API."


def _workers_help(cores: int) -> str:
    if cores == 1:
        return "workers would, but there is only one core here"
    return f"workers, up to the {cores} cores here, do"


def _through(case: Case) -> str:
    many = round(case.at_once)
    return "One request at a time gets on" if many <= 1 else f"No more than {many} requests get on at once"


def _cores(probe: Probe) -> str:
    return "unknown" if probe.cores is None else f"{probe.cores:.2f}"


_SUMMARIES: dict[str, Callable[[Case, Probe | None], str]] = {
    "cpu_bound": _cpu_bound,
    "event_loop_blocked": _event_loop_blocked,
    "threadpool_exhausted": _threadpool_exhausted,
    "lock_bound": _lock_bound,
    "downstream_bound": _downstream_bound,
    "native_parallel": _native_parallel,
    "scales_by_awaiting": _scales_by_awaiting,
    "client_bound": _client_bound,
    "inconclusive": _inconclusive,
}
