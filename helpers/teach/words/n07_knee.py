"""Notebook 07: the words of the curve and of the knee."""

from collections.abc import Sequence
from html import escape
from typing import Any

from helpers.knee import Knee
from helpers.load.result import LoadResult
from helpers.plots.picture import count, duration, percent
from helpers.teach.outcomes import VOID
from helpers.teach.overload import Dot
from helpers.teach.widgets import folded, html
from helpers.teach.words.n07 import void_of, warned
from helpers.theory.queues import mg1_response_s
from helpers.theory.service import ServiceTimes

FOLLOWS_WITHIN = 1.5  # measured mean / theory: a first look of a few seconds is no closer
NO_WAIT = 0.05  # of the work: a wait below it is next to nothing


def follows(dots: Sequence[Dot], service: ServiceTimes) -> float | None:
    """The worst factor between measured means and theory, below 90 % utilisation; None without such dots."""
    ratios = [
        dot.mean_ms / (1e3 * mg1_response_s(dot.rate_per_s, service.mean_s, service.cv))
        for dot in dots
        if dot.busy < 0.9
    ]
    return max((max(ratio, 1 / ratio) for ratio in ratios), default=None)


def curve_in_words(dots: Sequence[Dot], service: ServiceTimes, visitors: LoadResult, most: float) -> Any:
    """Folded: the wait from the first dot to the last, and whether the theory knew it."""
    title = "What the picture shows"
    if not dots:
        return html(folded(title, void_of(visitors) or f"This {VOID}."))
    work_ms = 1e3 * service.mean_s
    told = _wait_grows(dots[0], dots[-1], work_ms) + _apart(service, most)
    off = follows(dots, service)
    if off is None:
        return html(folded(title, told))
    if off <= FOLLOWS_WITHIN:
        knew = (
            f" The formula got nothing but your service time ({work_ms:.1f} ms, cv {service.cv:.2f}) and is at most"
            f" {off:.2f} times off below 90 %."
        )
    else:
        knew = (
            f" The formula is up to {off:.1f} times off below 90 %. It knows of no other program on this core, and it"
            " gives the mean of hours, not of seconds: look where the dots leave the line, then run it once more."
        )
    return html(folded(title, told + knew))


def _wait_grows(low: Dot, high: Dot, work_ms: float) -> str:
    """The wait (response without the work) at the lowest and at the highest step."""
    waits = [max(0.0, dot.mean_ms - work_ms) for dot in (low, high)]
    visitors = high.rate_per_s / low.rate_per_s
    told = (
        f"At {percent(high.busy)} utilisation an answer took {high.mean_ms / work_ms:.1f} times the work itself, at"
        f" {percent(low.busy)} {low.mean_ms / work_ms:.1f} times. Take the work off, and the <i>wait</i> is left:"
        f" {duration(waits[0])} became {duration(waits[1])}"
    )
    if waits[0] < NO_WAIT * work_ms:
        grew = waits[1] > visitors * NO_WAIT * work_ms
        told += f", out of next to nothing, with {visitors:.1f} times the visitors."
    else:
        grew = waits[1] > visitors * waits[0]
        told += f", {waits[1] / waits[0]:.1f} times the wait with {visitors:.1f} times the visitors."
    if grew:
        return f"{told} The work of each request is the same all along: what grows is the line, faster than the load."
    return f"{told} Here the wait did not grow faster than the load: was the first step disturbed? Run it once more."


def _apart(service: ServiceTimes, most: float) -> str:
    """That what the worker can do was measured twice; empty where both came to the same."""
    full = 1 / service.mean_s
    if round(full) == round(most):
        return ""
    return (
        f" (100 % is {full:.0f}/s in this picture; the first section found {most:.0f}/s for the same worker. Both are"
        " short runs, measured apart.)"
    )


def knee_in_words(knee: Knee, most: float, service: ServiceTimes) -> Any:
    """Folded: the highest rate that met the objective, as a share of what the worker can do, and how sure it is."""
    title, rate = "What the search found", knee.rate_per_s
    objective = escape(", ".join(str(target) for target in knee.slo))
    if rate is None:
        return html(folded(title, f"No rate was found at which {objective} holds: {knee.why.rstrip('.')}."))
    told = (
        f"<b>{rate:.0f} requests/s</b> keep {objective}: {percent(rate / most)} of the {most:.0f}/s that this worker"
        f" can do."
    )
    if knee.end != "found":
        told += f" {knee.why[0].upper()}{knee.why[1:]}."
    if rate < 0.95 * most:
        told += " The rest is no waste: without it nobody would be served at once when two come at the same moment."
    else:
        told += " That is about all it can do. Is the objective too generous, or did the worker get faster meanwhile?"
    return html(folded(title, told + _how_sure(knee) + _no_law(service)))


def _how_sure(knee: Knee) -> str:
    """How many steps warned, and of what; and whether the one that met the objective is among them."""
    names = [(step, warned(step.result)) for step in knee.steps if step.result.verdict == "warn"]
    if not names:
        return ""
    every = [name for _, found in names for name in found]
    why = ", ".join(
        f"“{name}”" + (f" {every.count(name)} times" if every.count(name) > 1 else "") for name in dict.fromkeys(every)
    )
    met = any(step.verdict == "met" and step.rate_per_s == knee.rate_per_s for step, _ in names)
    which = ", the one that met it among them" if met else ""
    return f" {len(names)} of {count(len(knee.steps), 'step')} warned{which} ({why}): a first look, no fact."


def _no_law(service: ServiceTimes) -> str:
    """What the theory says of the 70 % of notebook 06, and of 90 %."""
    at_70, at_90 = (
        mg1_response_s(busy / service.mean_s, service.mean_s, service.cv) / service.mean_s for busy in (0.7, 0.9)
    )
    return (
        f" And the 70 % of notebook 06? By the formula an answer takes {at_70:.1f} times the work there, {at_90:.1f}"
        " times at 90 %: no law says which is too long, the objective decides."
    )
