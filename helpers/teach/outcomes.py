"""What a notebook says about measurements: sentences and pictures chosen by the numbers, never written beforehand."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from helpers.experiment import Ratio, SweepResult
from helpers.load.result import LoadResult
from helpers.teach.predict import Prediction
from helpers.teach.widgets import html

if TYPE_CHECKING:
    from helpers.plots.picture import Picture

VOID = "could not be measured this time"
NO_GAIN_BELOW = 1.25  # a ratio below it is this machine's noise, not a second core
GAIN_FROM = 1.5


def nearest(prediction: Prediction, measured: float | None) -> str:
    """The words of the option that the measured number is closest to (on a ratio scale); of none without a number."""
    options = [option for option in prediction.options if option.value]
    if measured is None or not options:
        return VOID
    return min(options, key=lambda option: max(measured / (option.value or 1), (option.value or 1) / measured)).words


def sample(sweep: SweepResult, *, workers: int, cpus: int | None = None) -> LoadResult | None:
    """One valid measurement with that many workers: on `cpus` cores, else on the most there were."""
    cells = [cell for cell in sweep.cells if cell.workers == workers and cpus in (None, cell.cpus)]
    found = sweep.of(workers=workers, cpus=cells[-1].cpus) if cells else []
    return found[0] if found else None


def cores_used(sweep: SweepResult, *, workers: int) -> float:
    """Cores' worth of CPU that the workers used together, on all the cores there were; nan without a measurement."""
    result = sample(sweep, workers=workers)
    return float("nan") if result is None or result.cpu is None else sum(result.cpu.workers.values())


def cpu_of(sweep: SweepResult, *, counts: Collection[int] | None = None) -> "Picture | Any":
    """Where the CPU time went with each number of workers, or those of `counts`; a sentence where all were void."""
    from helpers.plots.cpu import cpu_entry, cpu_plot

    measured = []
    for workers in sorted({cell.workers for cell in sweep.cells}):
        result = sample(sweep, workers=workers) if counts is None or workers in counts else None
        if result is not None and result.cpu is not None:
            measured.append((f"{workers} worker{'' if workers == 1 else 's'}", result.cpu))
    if not measured:
        return html(f"<p>{void_in_words(sweep)}</p>")
    return cpu_plot([cpu_entry(label, cpu) for label, cpu in measured], cores=measured[0][1].cores)


def void_in_words(sweep: SweepResult) -> str:
    """Why there is no number, and what to do."""
    reasons = [reason for run in sweep.runs if run.void for reason in run.result.reasons]
    return f"This {VOID}: {reasons[0]}" if reasons else f"This {VOID}."


def times(sweep: SweepResult, workers: int, cpus: int | None) -> float | None:
    """That cell's throughput as a multiple of the first cell's; None where it was not measured."""
    cell = next((c for c in sweep.cells if (c.workers, c.cpus) == (workers, cpus)), None)
    return None if cell is None else sweep.ratio(cell).value


def ratio_of(sweep: SweepResult, workers: int, cpus: int | None) -> Ratio:
    """That cell's throughput against the first cell's, with its interval; without a value where there is none."""
    cell = next((c for c in sweep.cells if (c.workers, c.cpus) == (workers, cpus)), None)
    return Ratio(None, None, None, 0) if cell is None else sweep.ratio(cell)


def ratio_in_words(ratio: Ratio) -> str:
    """`1.83 times (95 % interval 1.60 to 2.10)`; without an interval where there was one launch, or words for none."""
    if ratio.value is None:
        return VOID
    if ratio.low is None or ratio.high is None:
        return f"{ratio.value:.2f} times (one pair of launches, so no interval)"
    return f"{ratio.value:.2f} times (95 % interval {ratio.low:.2f} to {ratio.high:.2f})"


def timeline_of(sweep: SweepResult, *, workers: int, length_ms: float = 300.0) -> "Picture | Any":
    """The timeline of one launch with that many workers, on the most cores there were; words where all were void."""
    from helpers.plots.timeline import timeline_plot

    result = sample(sweep, workers=workers)
    if result is None:
        return html(f"<p>{void_in_words(sweep)}</p>")
    return timeline_plot(result.frame(), length_ms=length_ms, workers=list(result.worker_answers))


def without_two_cores(sweep: SweepResult) -> str:
    """What a grid shows where one half of it could not be had: one core only, or no way to bind a server to one."""
    if any(run.void for run in sweep.runs if run.cell.workers == 2 and run.cell.cpus != 1):
        return void_in_words(sweep)
    two = next((cell for cell in sweep.cells if cell.workers == 2), None)
    ratio = None if two is None else sweep.ratio(two).value
    if ratio is None:
        return void_in_words(sweep)
    if all(cell.cpus == 1 for cell in sweep.cells):
        return (
            f"This machine gives one usable core, so the right half of the grid cannot be had. On one core a second"
            f" worker gave {ratio:.2f} times the answers: that half of the post's lesson you can see here."
        )
    return (
        f"This system cannot bind a server to one core, so the one-core column is missing. On all cores two workers"
        f" gave {ratio:.2f} times the answers of one."
    )
