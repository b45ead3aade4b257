"""Notebook 06, "Going deeper": 2n + 1, who gets the connections, Amdahl and the Universal Scalability Law."""

import importlib.util
import math
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from helpers.errors import LabError
from helpers.experiment import Ratio, SweepResult
from helpers.load.result import LoadResult
from helpers.teach.outcomes import NO_GAIN_BELOW, ratio_in_words, void_in_words
from helpers.teach.widgets import html
from helpers.theory.laws import amdahl_limit, amdahl_serial_fraction
from helpers.theory.scaling import FEWEST_COUNTS, UslFit, fit_usl, usl_throughput

SKEWED_FROM = 0.75  # of two workers, the one that has over 1.5 times its part
CHANCE_MOST = 0.05  # a difference that chance brings more often is none
CELL = "padding:2px 12px;text-align:right"
KNOWN_SIGMA, KNOWN_KAPPA, KNOWN_COUNTS = 0.04, 0.004, (1, 2, 4, 6, 8, 10, 12, 16)

Skewed = tuple[str, str, LoadResult]  # the event loop, how the connections were opened, what was measured


def rule_in_words(sweep: SweepResult, cores: int) -> Any:
    """What 2n + 1 workers did, against n."""
    ratio = sweep.ratio(sweep.cells[-1])
    if ratio.value is None:
        return html(f"<p>{void_in_words(sweep)}</p>")
    says = f"2n + 1 is {2 * cores + 1} here: {ratio_in_words(ratio)} the answers of {cores}."
    if ratio.low is None or ratio.high is None:
        return html(
            f"<p>{says} One pair of launches proves nothing, whatever it says. Run the cell again with"
            " <code>repeats=3</code>.</p>"
        )
    if ratio.value >= NO_GAIN_BELOW and ratio.low > 1:
        return html(f"<p>{says} That is a gain: something in this endpoint waits. Find out what.</p>")
    if ratio.value <= 1 / NO_GAIN_BELOW and ratio.high < 1:
        return html(f"<p>{says} That is a loss, and the memory is paid for it on top.</p>")
    if ratio.high >= NO_GAIN_BELOW or ratio.low <= 1 / NO_GAIN_BELOW:
        return html(
            f"<p>{says} <b>Inconclusive</b>: the interval allows anything from {ratio.low - 1:+.0%} to"
            f" {ratio.high - 1:+.0%}. What is certain is the memory of {cores + 1} more workers. Run the cell again"
            " with more <code>repeats</code>.</p>"
        )
    bought = f"{ratio.high - 1:.0%} more at the very most" if ratio.high > 1 else "nothing"
    return html(
        f"<p>{says} For an endpoint that computes the rule buys {bought} here, and costs the memory of {cores + 1}"
        f" more workers. And in a container, n is the cores that you may use, not those of the host.</p>"
    )


# -------------------------------------------------------------------------------------------- who gets the connections


def loops() -> list[str]:
    """The event loops that are installed here."""
    return [name for name in ("uvloop", "asyncio") if importlib.util.find_spec(name)]


def skew_of(runs: Sequence[Skewed], cores: int) -> Any:
    """How two workers shared the connections in each launch, and what an uneven share cost."""
    import pandas as pd

    from helpers.plots.picture import table_html

    rows = [
        {
            "event loop": loop,
            "connections opened": opened,
            "share of each worker": " / ".join(f"{share:.0%}" for share in sorted(result.worker_share.values())),
            "answers/s": "void" if result.verdict == "void" else f"{result.achieved_per_s:.0f}",
        }
        for loop, opened, result in runs
    ]
    ways = list(dict.fromkeys((loop, opened) for loop, opened, _ in runs))
    items = "".join(f"<li>{_one_way(runs, *way)}</li>" for way in ways)
    table = table_html(pd.DataFrame(rows, dtype=object), cell_style=CELL)
    means = f"<i>Very uneven</i>: one of the two workers had more than {SKEWED_FROM:.0%} of the requests."
    return html(f"{table}<p>{means}</p><ul>{items}</ul><p>{_opening(runs)}</p><p>{_price(runs, cores)}</p>")


def _one_way(runs: Sequence[Skewed], loop: str, opened: str) -> str:
    own = [result for its, how, result in runs if (its, how) == (loop, opened)]
    skewed = sum(_uneven(result) for result in own)
    launches = f"{len(own)} launch{'' if len(own) == 1 else 'es'}"
    return f"{escape(loop)}, opened {escape(opened)}: very uneven in <b>{skewed} of {launches}</b>"


def _opening(runs: Sequence[Skewed]) -> str:
    """Whether it matters how the connections are opened, and how far so few launches can tell."""
    once = [_uneven(result) for _, how, result in runs if how == "at once"]
    apart = [_uneven(result) for _, how, result in runs if how != "at once"]
    if not once or not apart or not any(once + apart):
        return ""
    says = f"Opened at once, {sum(once)} of {len(once)} were very uneven; opened apart, {sum(apart)} of {len(apart)}."
    if sum(apart) / len(apart) >= sum(once) / len(once):
        return f"{says} So here it did not help to open them one after the other."
    chance = _as_few(sum(apart), len(apart), sum(once + apart), len(once + apart))
    if chance > CHANCE_MOST:
        return (
            f"{says} That looks as if it helped, and proves nothing: were it all the same, chance alone would do so in"
            f" {chance:.0%} of such experiments. More launches would tell."
        )
    return f"{says} Chance alone would do so in only {chance:.1%} of such experiments: it does help to open them apart."


def _as_few(found: int, drawn: int, marked: int, of: int) -> float:
    """Fisher's exact test, one-sided: how likely `found` or fewer of the `marked` are among `drawn` out of `of`."""
    ways = sum(math.comb(marked, k) * math.comb(of - marked, drawn - k) for k in range(found + 1))
    return ways / math.comb(of, drawn)


def _price(runs: Sequence[Skewed], cores: int) -> str:
    """What an uneven share cost, each event loop by itself: one may be faster than the other."""
    if not any(_uneven(result) for _, _, result in runs):
        return (
            "This time no launch was very uneven. Nobody promised it: run the cell again, chance decides each time. If"
            " requests were spread evenly by rule, no number of runs would show another picture."
        )
    ratios = {}
    for loop in dict.fromkeys(loop for loop, _, _ in runs):
        valid = [each for its, _, each in runs if its == loop and each.verdict != "void" and each.worker_share]
        uneven = [result.achieved_per_s for result in valid if _uneven(result)]
        even = [result.achieved_per_s for result in valid if not _uneven(result)]
        if uneven and even:
            ratios[loop] = (sum(uneven) / len(uneven)) / (sum(even) / len(even))
    if not ratios:
        return "Requests are not spread evenly by rule. What it costs cannot be said: there is nothing to compare with."
    each = ", ".join(f"with {escape(loop)} <b>{ratio:.2f} times</b>" for loop, ratio in ratios.items())
    says = f"A launch that was very uneven gave, {each} the answers of one that was not."
    if max(ratios.values()) > 1 / NO_GAIN_BELOW:
        why = "With one core, the idle worker's core is missed by nobody." if cores < 2 else "Here it cost little."
        return f"{says} {why}"
    return (
        f"{says} While one worker has a queue, the other has nothing to do: you pay for two and get little more than"
        " one. Nobody spreads the requests; who wakes first takes what waits, and keeps the connection for life."
    )


def _uneven(result: LoadResult) -> bool:
    return max(result.worker_share.values(), default=0.0) > SKEWED_FROM


# ---------------------------------------------------------------------------------------------------- Amdahl and USL


def amdahl_in_words(ratio: Ratio, n: int) -> Any:
    """Which serial fraction a measured speed-up stands for, and what its interval leaves open."""
    if n < 2 or ratio.value is None:
        return html("<p>It takes the speed-up of two workers on two cores, and here is none.</p>")
    serial = min(1.0, max(0.0, amdahl_serial_fraction(ratio.value, n)))
    says = f"{n} workers gave {ratio.value:.2f} times one: a serial share of {serial:.3f}, so {_limit(serial)}."
    if ratio.low is None or ratio.high is None or ratio.low <= 0:
        return html(f"<p>{says} From one pair of launches nobody knows how sure that is.</p>")
    ends = [min(1.0, max(0.0, amdahl_serial_fraction(end, n))) for end in (ratio.high, ratio.low)]
    return html(
        f"<p>{says} But the interval of the ratio, {ratio.low:.2f} to {ratio.high:.2f}, allows every share from"
        f" {ends[0]:.3f} to {ends[1]:.3f}: anything from {_limit(ends[1])} to {_limit(ends[0])}.</p>"
    )


def usl_in_words(sweep: SweepResult, cores: int) -> Any:
    """What a fit says to the measured points: first to those up to the cores, then to all."""
    points = [(run.cell.workers, run.result.achieved_per_s) for run in sweep.runs if not run.void]
    honest = [point for point in points if point[0] <= cores]
    first, second = _fitted(honest), _fitted(points)
    lines = [f"Points with a core for each worker ({_places(honest)}): {_said(first)}"]
    lines.append(f"All points ({_places(points)}): {_said(second)}")
    if isinstance(second, UslFit) and not isinstance(first, UslFit):
        lines.append(
            "The second fit did find numbers, and they mean something else: beyond the cores the line is flat because"
            " the cores are used up, and the law knows only workers that hinder each other. What it calls contention"
            f" and coherency is that the cores end at {cores}, and says nothing about your service."
        )
    return html("<ul>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul>")


def invented(per_s_of_one: float, *, seed: int = 0) -> tuple[list[int], list[float]]:
    """Three launches at each of many numbers of workers, by the law with known coefficients and 2 % of noise."""
    chance = np.random.default_rng(seed)
    counts = list(KNOWN_COUNTS) * 3
    law = [usl_throughput(n, per_s_of_one, KNOWN_SIGMA, KNOWN_KAPPA) for n in counts]
    return counts, [value * math.exp(chance.normal(0, 0.02)) for value in law]


def found_again(fit: UslFit) -> Any:
    """Whether the fit finds what was put into the invented data."""
    lines = []
    for name, put, got, (low, high) in (
        ("sigma", KNOWN_SIGMA, fit.sigma, fit.sigma_ci95),
        ("kappa", KNOWN_KAPPA, fit.kappa, fit.kappa_ci95),
    ):
        inside = "inside" if low <= put <= high else "outside"
        lines.append(f"{name}: put in {put:g}, found {got:.2g} [{low:.2g}, {high:.2g}], {inside} the interval")
    return html("<ul>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul>")


def _fitted(points: Sequence[tuple[int, float]]) -> UslFit | str:
    different = len({workers for workers, _ in points})
    if different < FEWEST_COUNTS:
        return (
            f"At least {FEWEST_COUNTS} different numbers of workers are needed, and here {_are(different)}: the law has"
            " three coefficients, so it passes exactly through any three points, whatever they are"
        )
    try:
        return fit_usl([workers for workers, _ in points], [per_s for _, per_s in points])
    except LabError as error:
        return error.message


def _said(fit: UslFit | str) -> str:
    return f"<b>refused.</b> {escape(fit)}." if isinstance(fit, str) else escape(str(fit)) + "."


def _places(points: Sequence[tuple[int, float]]) -> str:
    return ", ".join(str(workers) for workers in sorted({workers for workers, _ in points})) or "none"


def _are(number: int) -> str:
    return "is 1" if number == 1 else f"are {number}"


def _limit(serial: float) -> str:
    limit = amdahl_limit(serial)
    return "no limit at all" if limit > 1000 else f"a limit of {limit:.1f} times one"
