"""Notebook 04: its sentences, chosen by the numbers."""

import math
from collections.abc import Mapping
from typing import Any

from helpers.experiment import Ratio, SweepResult, paired_ratio
from helpers.machine import ProcessScaling
from helpers.teach.outcomes import (
    GAIN_FROM,
    NO_GAIN_BELOW,
    VOID,
    cores_used,
    ratio_in_words,
    ratio_of,
    sample,
    times,
    void_in_words,
    without_two_cores,
)
from helpers.teach.predict import Prediction
from helpers.teach.widgets import html

# The answers of the first prediction: what the grid bears out is one of them, or none clearly.
CORES, WORKERS, EACH, TOGETHER = (
    "the second core alone: about twice the answers, also with one worker",
    "the second worker alone: about twice the answers, also on one core",
    "each of them doubles it, and both make four times",
    "neither alone, both together about twice",
)
NONE_CLEARLY = "none of them clearly"
SCATTERED = (
    "But launches of the same combination disagree so much that no change at all is still possible (look at the dots):"
    " something else wanted these cores. Measure once more when the machine is quiet."
)
EXAMPLE_COST_S = 0.0125  # CPU seconds of an answer, to reckon with where nothing could be measured
CLOSE_TO_CEILING = 0.85  # of what two bare processes gain
ALMOST_TWO = 1.95
FOUR_TIMES = 3.0  # two workers on two cores beyond this would be "each doubles it"
TELLING_PAIRS = 3  # an interval of fewer launches is so wide that it would never allow a claim


# ------------------------------------------------------------------------------------------------------- the grid


def pattern(sweep: SweepResult) -> str:
    """Which answer of the first prediction the grid bears out."""
    cores, workers, both = times(sweep, 1, 2), times(sweep, 2, 1), times(sweep, 2, 2)
    if cores is None or workers is None or both is None:
        return VOID
    if _scattered(sweep):
        return NONE_CLEARLY
    if both >= FOUR_TIMES:
        return EACH
    if cores >= GAIN_FROM:
        return CORES
    if workers >= GAIN_FROM:
        return WORKERS
    if both >= GAIN_FROM and max(cores, workers) < NO_GAIN_BELOW:
        return TOGETHER
    return NONE_CLEARLY


def _scattered(sweep: SweepResult) -> bool:
    """Whether the launches behind what looks like a gain disagree so much that there may be none."""
    told = [ratio for cell in sweep.cells[1:] if (ratio := sweep.ratio(cell)).pairs >= TELLING_PAIRS]
    return any((ratio.value or 0) >= GAIN_FROM and (ratio.low or 0) <= 1 for ratio in told)


def bet_at(bet: Prediction) -> tuple[int, int | None] | None:
    """The (workers, cores) that the chosen answer speaks of; None for the last bar."""
    chosen = "" if bet.chosen is None else bet.chosen.words
    return {CORES: (1, 2), WORKERS: (2, 1)}.get(chosen)


def grid_in_words(sweep: SweepResult, ceiling: ProcessScaling) -> str:
    """What the grid shows on this machine, against its own ceiling, for any outcome."""
    both = times(sweep, 2, 2)
    found = pattern(sweep)
    if found == VOID or both is None:
        return void_in_words(sweep) if len(sweep.cells) == 4 else without_two_cores(sweep)
    cores, workers = times(sweep, 1, 2), times(sweep, 2, 1)
    alone = f"A second core alone: {cores:.2f} times the answers. A second worker alone: {workers:.2f} times."
    together = f"Both: <b>{both:.2f} times</b>, where two bare processes without any HTTP reach {ceiling.ratio:.2f}."
    why = SCATTERED if _scattered(sweep) else _why(found, both, ceiling.ratio)
    return f"{alone} {together} {why}"


def _why(found: str, both: float, most: float) -> str:
    if found == TOGETHER and both >= CLOSE_TO_CEILING * most:
        missing = ": what is missing to 2 is missing without FastAPI too" if most < ALMOST_TWO else ""
        return (
            "A worker runs Python on one core at a time, so the second core waits for a second worker, and the second"
            f" worker for a core. With both, the service comes as far as this machine goes{missing}."
        )
    if found == TOGETHER:
        return (
            "Neither helps by itself, both together do, but they stay below what the machine can do. What else wanted"
            " a core meanwhile? The load generator did; look for it in the picture of the CPU time."
        )
    if found == NONE_CLEARLY and both < NO_GAIN_BELOW:
        return (
            "That contradicts the post. What would have to be true? Compare the ceiling: if two bare processes gain no"
            " more, this machine has no second core to give at the moment."
        )
    return (
        "That is not the post's pattern, or not clearly. What would have to be true? Compare the ceiling, the dots of"
        " the single launches, and who used the CPU time below; then measure once more on a quiet machine."
    )


def intervals(sweep: SweepResult) -> Any:
    """Every ratio of the grid with its interval, and what the interval lets one say."""
    first, *others = sweep.cells
    lines = []
    for cell in others:
        ratio = sweep.ratio(cell)
        what = f"{_counted(cell.workers, 'worker')} on {_cores(cell.cpus)}"
        lines.append(f"<li>{what}: <b>{ratio_in_words(ratio)}</b>{_interval_says(ratio)}</li>")
    base = f"{_counted(first.workers, 'worker')} on {_cores(first.cpus)}"
    two = any(sweep.ratio(cell).pairs == 2 for cell in others)
    few = "<p>With so few launches an interval must be very wide; from five on one may publish.</p>" if two else ""
    return html(f"<p>Against {base}:</p><ul>{''.join(lines)}</ul>{few}")


def _interval_says(ratio: Ratio) -> str:
    if ratio.low is None or ratio.high is None:
        return ""
    if ratio.low > 1 and ratio.high < NO_GAIN_BELOW:
        return ": it lies above 1, but so little that a whole core or worker cannot be the reason"
    if ratio.low > 1:
        return ": it lies above 1, so it is a gain"
    if ratio.high < 1:
        return ": it lies below 1, so it is a loss"
    return ": 1 lies inside it, so these launches cannot tell it from no change at all"


def cpu_in_words(sweep: SweepResult) -> Any:
    """How many cores' worth each number of workers used, and what the load generator took."""
    one, two = cores_used(sweep, workers=1), cores_used(sweep, workers=2)
    result = sample(sweep, workers=2)
    if math.isnan(one) or math.isnan(two) or result is None or result.cpu is None:
        return html(f"<p>{void_in_words(sweep)}</p>")
    bias = (
        f"With two workers the generator took {result.cpu.generator:.2f} cores' worth. It sits on the same cores,"
        " so two workers can only look <i>worse</i> than they are."
    )
    used = f"One worker used <b>{one:.2f}</b> cores' worth, two workers used <b>{two:.2f}</b>."
    return html(
        f"<details><summary><b>In words</b> (open it when you have looked)</summary><p>{used} {bias}</p></details>"
    )


# -------------------------------------------------------------------------------------------- where the gain ends


def three_in_words(three: SweepResult, grid: SweepResult) -> str:
    """Three workers on two cores, against what two reached there."""
    cpus = three.cells[0].cpus
    ratio = ratio_of(three, 3, cpus)
    two = _against_one_worker(grid, cpus)
    used = cores_used(three, workers=3)
    if ratio.value is None or math.isnan(used):
        return void_in_words(three)
    had = "" if two is None else f"; two workers had {two:.2f}, against one on the same cores"
    says = f"Three workers on {_cores(cpus)}: {ratio_in_words(ratio)} the answers of one worker{had}."
    spent = f" Together they used {used:.2f} cores' worth of CPU."
    if cpus is None:
        return says + spent + " This system cannot hold them to two cores: they use what there is."
    if two is not None and ratio.value > NO_GAIN_BELOW * two:
        return says + spent + " The third did add something: what else took CPU time while two were measured?"
    return says + spent + f" There are only so many CPU seconds in a second of {_cores(cpus)}, whoever shares them."


def _against_one_worker(grid: SweepResult, cpus: int | None) -> float | None:
    cells = {cell.workers: cell for cell in grid.cells if cell.cpus == cpus}
    return grid.ratio(cells[2], cells[1]).value if {1, 2} <= set(cells) else None


def response_ratio(sweep: SweepResult) -> Ratio:
    """The last cell's median response time against the first one's, over pairs of launches."""
    first, last = sweep.cells[0], sweep.cells[-1]
    medians: dict[Any, dict[int, float]] = {first: {}, last: {}}
    for run in sweep.runs:
        if run.cell in medians and not run.void and isinstance(run.result.p50_ms, float):
            medians[run.cell][run.repeat] = run.result.p50_ms
    both = sorted(medians[first].keys() & medians[last].keys())
    return paired_ratio([medians[first][each] for each in both], [medians[last][each] for each in both])


def one_user_in_words(sweep: SweepResult) -> str:
    """One user and two workers."""
    ratio = response_ratio(sweep)
    if ratio.value is None:
        return void_in_words(sweep)
    says = f"With two workers the median answer took {ratio_in_words(ratio)} as long as with one."
    if ratio.value > 1 / NO_GAIN_BELOW:
        return (
            f"{says} One user has one request at a time, and one request is worked on by one worker: the other has"
            " nothing to do. Workers shorten the queue, not the work."
        )
    return f"{says} That is faster than it should be: one request at a time cannot use two workers. Measure again."


def sleep_in_words(sweep: SweepResult) -> str:
    """An endpoint that waits, with one and with two workers."""
    ratio = sweep.ratio(sweep.cells[-1])
    used, result = cores_used(sweep, workers=1), sample(sweep, workers=1)
    if ratio.value is None or result is None or math.isnan(used):
        return void_in_words(sweep)
    says = f"Two workers gave {ratio_in_words(ratio)} the answers of one"
    if ratio.value < NO_GAIN_BELOW:
        return (
            f"{says}. While it awaits, a worker serves the others: one of them held {sweep.cells[0].users} requests at"
            f" once, and needed {used:.2f} cores' worth of CPU for it. There was nothing that a second one could do."
        )
    return f"{says}, although one worker used only {used:.2f} cores' worth. Look at the share per worker, and repeat."


# --------------------------------------------------------------------------------------------------- before you ship


def counters_in_words(counters: Mapping[int, int], sent: int) -> Any:
    """What each worker's own counter says after `sent` visits."""
    each = " and ".join(f"worker {pid} says <b>{count}</b>" for pid, count in counters.items())
    if len(counters) < 2:
        return html(f"<p>{sent} visits: {each}.</p>")
    if min(counters.values()) == 0:
        return html(
            f"<p>{sent} visits: {each}. This time one worker got them all, so its counter looks right. Run the cell"
            " again: nobody promised it.</p>"
        )
    return html(
        f"<p>{sent} visits: {each}. No counter says {sent}. Each process has its own copy of the variable, and which"
        " one you read depends on who answers.</p>"
    )


# ------------------------------------------------------------------------------------------------------------ recap


def seconds_per_answer(sweep: SweepResult, *, workers: int) -> float:
    """CPU seconds that the workers spent on one answer; the example's without a measurement."""
    result = sample(sweep, workers=workers)
    used = cores_used(sweep, workers=workers)
    if result is None or not result.achieved_per_s or math.isnan(used):
        return EXAMPLE_COST_S
    return used / result.achieved_per_s


def cost_in_words(cost: float, *, workers: int, cores: int) -> str:
    """What exercise 04.1 starts from."""
    example = f" (an example, since it {VOID})" if cost == EXAMPLE_COST_S else ""
    return f"cost of one answer: {cost:.4f} CPU seconds{example}; workers: {workers}, cores: {cores}"


def upper(cores: int | None) -> str:
    """`TWO cores`, for the question of a prediction."""
    return {1: "ONE core", 2: "TWO cores"}.get(cores or 0, "ALL cores")


def recap(
    grid: SweepResult,
    ceiling: ProcessScaling,
    *,
    three: SweepResult,
    one_user: SweepResult,
    sleep: SweepResult,
    counters: Mapping[int, int],
) -> Any:
    """The recap of notebook 04, computed from the learner's own numbers."""
    cpus = three.cells[0].cpus
    two = _against_one_worker(grid, cpus)
    longer, waiting = response_ratio(one_user), sleep.ratio(sleep.cells[-1])
    lines = [
        _recap_of_cores(grid),
        _recap_of_both(grid, ceiling),
        f"Three workers on {_cores(cpus)}: {_short(ratio_of(three, 3, cpus), 'the answers of one')}"
        f"{'' if two is None else f'; two workers had {two:.2f}'}.",
        f"One user, two workers: {_short(longer, 'as long for an answer')}"
        f"{'; without a queue there is nothing to share' if _same(longer) else ''}.",
        f"An endpoint that waits, two workers: {_short(waiting, 'the answers')}"
        f"{'; the CPU was not what was missing' if _same(waiting) else ''}.",
        _recap_of_counters(counters),
    ]
    look = "<p>All of it is a first look: few launches, short ones.</p>" if grid.first_look else ""
    return html("<ul>" + "".join(f"<li>{line}</li>" for line in lines) + f"</ul>{look}")


def _recap_of_cores(grid: SweepResult) -> str:
    ratio, used = ratio_of(grid, 1, 2), cores_used(grid, workers=1)
    if ratio.value is None or math.isnan(used):
        return f"A second core for one worker: {VOID if grid.cells[-1].cpus == 2 else 'cannot be had here'}."
    return f"A second core for one worker: {_short(ratio, 'the answers')}; it used {used:.2f} cores' worth."


def _recap_of_both(grid: SweepResult, ceiling: ProcessScaling) -> str:
    both = times(grid, 2, 2)
    if both is None:
        return f"Two workers on two cores: {VOID}." if len(grid.cells) == 4 else without_two_cores(grid)
    if both < NO_GAIN_BELOW:
        return f"Both together gave only {both:.2f} times here, the bare processes {ceiling.ratio:.2f}: find out why."
    part = both / ceiling.ratio
    reached = f"{part:.0%} of" if part < 1 else "all of"
    return (
        f"Two workers on two cores: <b>{_short(ratio_of(grid, 2, 2), 'the answers')}</b> of <i>this</i> endpoint,"
        f" {reached} what this machine has to give ({ceiling.ratio:.2f})."
    )


def _short(ratio: Ratio, of_what: str) -> str:
    if ratio.value is None:
        return VOID
    interval = "" if ratio.low is None else f" [{ratio.low:.2f}, {ratio.high:.2f}]"
    return f"{ratio.value:.2f} times{interval} {of_what}"


def _same(ratio: Ratio) -> bool:
    return ratio.value is not None and 1 / NO_GAIN_BELOW < ratio.value < NO_GAIN_BELOW


def _recap_of_counters(counters: Mapping[int, int]) -> str:
    said = " and ".join(str(count) for count in counters.values())
    return f"A global counter, two workers: they said {said}. Look for such variables <i>before</i> you set workers."


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _cores(cpus: int | None) -> str:
    return "all cores" if cpus is None else _counted(cpus, "core")
