"""Notebook 06, the simulation: calibrated by one worker, compared with what was measured, carried on to ten cores."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from helpers.experiment import Ratio, SweepResult, paired_ratio
from helpers.machine import ProcessScaling
from helpers.teach.outcomes import void_in_words
from helpers.teach.widgets import folded, html
from helpers.theory.service import ServiceTimes, calibrate, constant
from helpers.theory.simulation import Simulated

EXAMPLE_WORK_S = 0.0125  # a request's work to reckon with where nothing could be measured
FEWEST_TIMES = 30  # handling times that are enough to draw from
CLOSE_ENOUGH = 0.1  # a prediction that is off by less helps to choose a number of workers
RESOLUTION = 0.01  # about a second holds some hundred answers: two launches may agree to the last by chance
CELL = "padding:2px 12px;text-align:right"
_WORDS = {True: "inside", False: "outside", None: "one launch"}


def per_s_of(sweep: SweepResult, workers: int) -> Ratio:
    """Requests per second with that many workers: the geometric mean of the launches, with the 95 % interval of it."""
    speeds = [result.achieved_per_s for result in sweep.of(workers=workers)]
    return paired_ratio([1.0] * len(speeds), speeds)


def work_of_one(sweep: SweepResult) -> ServiceTimes:
    """How long a request keeps its worker busy, from every launch with one worker; an example where all were void."""
    launches = sweep.of(workers=1)
    if not launches:
        return constant(EXAMPLE_WORK_S)
    import pandas as pd

    handling_ms = pd.concat([result.frame()["handling_ms"] for result in launches])
    if handling_ms.count() < FEWEST_TIMES:
        return constant(len(launches) / sum(result.achieved_per_s for result in launches))
    per_s = per_s_of(sweep, 1).value
    return calibrate(handling_ms, per_s=per_s)


def deviations(sweep: SweepResult, simulated: Sequence[Simulated]) -> list[tuple[int, float, Ratio]]:
    """For each simulated number of workers that was measured: workers, simulated / measured, the measurement."""
    found = []
    for run in simulated:
        measured = per_s_of(sweep, run.workers)
        if measured.value:
            found.append((run.workers, run.per_s / measured.value, measured))
    return found


def agreement(sweep: SweepResult, simulated: Sequence[Simulated], ceiling: ProcessScaling) -> Any:
    """The simulation beside the measurement, how far it is off, and whether that is more than the interval allows."""
    import pandas as pd

    from helpers.plots.picture import table_html

    found = deviations(sweep, simulated)
    if not found:
        return html(f"<p>{void_in_words(sweep)} So nobody knows how good the simulation is.</p>")
    speeds = {run.workers: run.per_s for run in simulated}
    rows = [
        {
            "workers": str(workers),
            "simulated/s": f"{speeds[workers]:.1f}",
            "measured/s": f"{measured.value:.1f}",
            "95 % interval": "–" if measured.low is None else f"{measured.low:.1f} to {measured.high:.1f}",
            "off by": f"{off - 1:+.1%}",
            "": "calibrated" if workers == 1 else _WORDS[_inside(speeds[workers], measured)],
        }
        for workers, off, measured in found
    ]
    table = table_html(pd.DataFrame(rows, dtype=object), cell_style=CELL)
    return html(table + folded("What to make of it", _verdict_on(found, speeds, ceiling)))


def _verdict_on(found: Sequence[tuple[int, float, Ratio]], speeds: Mapping[int, float], ceiling: ProcessScaling) -> str:
    beyond = [each for each in found if each[0] > 1]
    if not beyond:
        return "Only one worker could be compared, and the simulation was calibrated with that: it proves nothing."
    off = max((each[1] for each in beyond), key=lambda each: abs(math.log(each)))
    says = f"One worker agrees because it was calibrated with that. The others are predictions. {_how_far(beyond)}"
    chance = _by_chance(beyond, speeds)
    says += f", {chance}"
    if off > 1 + CLOSE_ENOUGH:
        verdict = "So it promises too much: take its line of ten cores for the most that can be."
    elif off < 1 - CLOSE_ENOUGH:
        verdict = "So it promises too little: were the launches with one worker disturbed, and slow? Measure again."
    else:
        verdict = "Yet that is" if "more than chance" in chance else "That is"
        verdict += " good enough to choose a number of workers by, and no proof for ten cores."
    return (
        f"{says}. {verdict} What it has never heard of: memory, a network, the load generator, other programs, and"
        f" cores that disturb each other. Two bare processes, without any server, reach {ceiling.ratio:.2f} times one"
        " here."
    )


def _how_far(beyond: Sequence[tuple[int, float, Ratio]]) -> str:
    """`They are 4.6 % to 8.4 % too high`, or how far they are off to both sides."""
    ends = min(each[1] for each in beyond) - 1, max(each[1] for each in beyond) - 1
    if ends[0] * ends[1] <= 0:
        return f"They are off by {ends[0]:+.1%} to {ends[1]:+.1%}"
    low, high = sorted(abs(end) for end in ends)
    size = f"{low:.1%}" if len(beyond) == 1 else f"{low:.1%} to {high:.1%}"
    return f"They are {size} too {'high' if ends[0] > 0 else 'low'}"


def _by_chance(beyond: Sequence[tuple[int, float, Ratio]], speeds: Mapping[int, float]) -> str:
    """Whether the deviations are more than the launches' own differences."""
    outside = [str(each[0]) for each in beyond if _inside(speeds[each[0]], each[2]) is False]
    if outside:
        return f"and outside of the measured interval for {', '.join(outside)} workers: that is more than chance"
    if all(each[2].low is not None for each in beyond):
        return "and none lies outside of its measured interval (which is wide with so few launches)"
    return "and from single launches nobody knows what is chance"


def _inside(value: float, measured: Ratio) -> bool | None:
    if measured.low is None or measured.high is None:
        return None
    return measured.low * (1 - RESOLUTION) <= value <= measured.high * (1 + RESOLUTION)


def ten_in_words(ten: Sequence[Simulated]) -> Any:
    """What the simulated ten cores say: the gain up to ten workers, and beyond."""
    speeds = {run.workers: run.per_s for run in ten}
    one, full, most = speeds[1], speeds[10], speeds[max(speeds)]
    beyond = f"with {max(speeds)} workers {most / full:.2f} times as many as with ten"
    return html(
        folded(
            "What the dashed line says",
            f"Simulated, ten cores: one worker gives {one:.0f} answers per second, whatever the machine; ten give"
            f" {full / one:.1f} times as many, and {beyond}. It bends where the cores end.",
        )
    )
