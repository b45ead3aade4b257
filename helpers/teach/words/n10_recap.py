"""Notebook 10: its recap, computed from the learner's own numbers."""

from collections.abc import Mapping
from typing import Any

from helpers.incident.result import Incident
from helpers.load.result import LoadResult
from helpers.plots.picture import count, duration, short
from helpers.plots.reach_plot import people
from helpers.teach.kinds import per_s
from helpers.teach.machines import Machines
from helpers.teach.outcomes import VOID, ratio_in_words
from helpers.teach.widgets import html
from helpers.teach.words.n09 import void_of
from helpers.teach.words.n10 import KILLED, TAKEN_OUT, WITHOUT_NGINX, Rounds, gain
from helpers.teach.words.n10_ray import ledger, prices

NO_RAY = "not measured here: there is no cluster"


def recap(
    plan: Machines,
    machine: LoadResult,
    hosts: Rounds,
    moved: Incident | None,
    replicas: Rounds,
    price: tuple[Mapping[str, LoadResult], Mapping[str, LoadResult]],
    lost: Incident | None,
) -> Any:
    """What was seen, in the learner's own numbers."""
    said = [_of_the_machine(plan, machine), _of_hosts(hosts), _of_the_host(moved)]
    said += [_of_replicas(replicas), _of_the_price(*price), _of_the_node(lost)]
    look = (
        "<p>Hosts and nodes on one machine share its cores and its fate: the ratios are a first look, and too low.</p>"
    )
    return html("<ul>" + "".join(f"<li>{line}</li>" for line in said) + f"</ul>{look}")


def _of_the_machine(plan: Machines, machine: LoadResult) -> str:
    rate = per_s(machine)
    if rate is None:
        return f"One machine: {VOID}."
    wanted = f"{people(plan.values['per_day'])} requests a day, at the peak {plan.values['peak']:g} times the average"
    return (
        f"This machine answers {short(rate)}/s of this endpoint; {wanted}, want"
        f" {count(plan.advice.machines, 'machine')} of its kind and {plan.advice.spare} spare."
    )


def _of_hosts(hosts: Rounds) -> str:
    if not any(hosts.values()):
        return f"{WITHOUT_NGINX}."
    ratio = gain(hosts)
    return f"A second host behind nginx: {VOID if ratio.value is None else ratio_in_words(ratio)}."


def _of_the_host(moved: Incident | None) -> str:
    if moved is None or void_of(moved):
        return f"A host out, in, and killed: {VOID}."
    return (
        f"A host {TAKEN_OUT}, put back, {KILLED}: {moved.lost} of {moved.sent:,} requests lost;"
        f" {moved.unfinished} were begun twice."
    )


def _of_replicas(replicas: Rounds) -> str:
    ratio = gain(replicas)
    if not any(replicas.values()):
        return f"A second replica: {NO_RAY}."
    return f"A second replica on Ray Serve: {VOID if ratio.value is None else ratio_in_words(ratio)}."


def _of_the_price(uvicorn: Mapping[str, LoadResult], ray: Mapping[str, LoadResult]) -> str:
    light, heavy = prices(uvicorn, ray)
    if light.added_ms is None or heavy.added_ms is None:
        return f"The price of Ray Serve: {VOID if ray else NO_RAY}."
    at_work = duration(heavy.added_ms) if heavy.seen else "nothing that stands out"
    return f"Its price per answer: {duration(light.added_ms)} where there is no work, {at_work} at /cpu."


def _of_the_node(lost: Incident | None) -> str:
    if lost is None:
        return "A lost node: not measured here."
    return f"A lost node: {VOID if void_of(lost) else ledger('', lost)}."
