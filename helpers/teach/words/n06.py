"""Notebook 06: its sentences, chosen by the numbers."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from helpers.experiment import Ratio, SweepResult
from helpers.machine import UsableCpus
from helpers.server.processes import Processes
from helpers.teach.container import OURS, PERIOD_US, Said
from helpers.teach.memory import Reading, Straight, straight
from helpers.teach.outcomes import NO_GAIN_BELOW, VOID, cores_used, ratio_in_words, void_in_words
from helpers.teach.widgets import html
from helpers.teach.words.n06_simulated import deviations, per_s_of
from helpers.theory.simulation import Simulated
from helpers.theory.workers import Advice

if TYPE_CHECKING:
    from helpers.plots.picture import Picture

COLLAPSE_BELOW = 0.75
CELL = "padding:2px 12px;text-align:right"


# ------------------------------------------------------------------------------------------------------- which CPUs


def paid_for(found: UsableCpus) -> float:
    """The cores' worth of CPU time that a container gets: its quota, or the host's cores without one."""
    return min(found.logical, math.inf if found.quota is None else found.quota)


def says_table(columns: Mapping[str, Said]) -> Any:
    """What each way of asking says, a column for each process that was asked."""
    import pandas as pd

    from helpers.plots.picture import table_html

    ways = list(next(iter(columns.values())))
    rows = [{"who is asked": way} | {name: str(said[way]) for name, said in columns.items()} for way in ways]
    return html(table_html(pd.DataFrame(rows, dtype=object), cell_style=CELL))


def quota_in_words(found: UsableCpus) -> str:
    """How many workers a container with that quota can keep busy."""
    if found.quota is None or found.quota >= found.logical:
        return "No quota was found in these files, so all cores of the host could be used. That should not be."
    return (
        f"The container sees {found.logical} cores, and its threads may run on any of them. But the kernel counts their"
        f" CPU time: {found.quota:g} cores' worth, that is {found.quota * PERIOD_US / 1000:g} ms in every"
        f" {PERIOD_US / 1000:g} ms, whoever spends it. Then all of them stand still until the next period. The quota"
        f" stands in one file, <code>cpu.max</code>, and <code>os.cpu_count()</code> does not read it. This course's"
        f" function does, and rounds down to whole cores: <b>{found.usable}</b>."
        + _with_pauses(found.quota, found.usable)
    )


def _with_pauses(quota: float, usable: int) -> str:
    """What one worker more than whole cores would do; nothing where the quota is a whole number."""
    if quota <= usable:
        return ""
    return (
        f" With {usable + 1} workers nothing of the quota is left over, but when all are busy, all stand still for"
        f" {1 - quota / (usable + 1):.0%} of every period."
    )


def apis_in_words(here: Said, bound: Said) -> Any:
    """Whether the ways of asking agree on this machine, and which of them notices a mask."""
    numbers = {way: value for way, value in here.items() if isinstance(value, int | float)}
    counts = [f"{way}: {value:g}" for way, value in numbers.items()]
    if len(set(numbers.values())) == 1:
        says = f"Here all agree: {next(iter(numbers.values())):g}. On such a machine nobody notices whom one asks."
    else:
        says = f"Here they do not agree ({'; '.join(counts)}): something takes cores away, and only some notice."
    if bound["os.cpu_count()"] == bound[OURS]:
        return html(f"<p>{says} Held to one core, nothing changes: there is only one.</p>")
    return html(
        f"<p>{says} Held to one core, <code>os.cpu_count()</code> still says {bound['os.cpu_count()']}: it counts the"
        f" machine's cores, not those that this process may use. What it may use is {bound[OURS]}.</p>"
    )


# -------------------------------------------------------------------------------------------------------- the sweep


def worker_counts(cores: int) -> tuple[int, ...]:
    """Which numbers of workers to measure from 1 to twice the cores: all of them, or five where there are many."""
    if cores <= 2:
        return tuple(range(1, 2 * max(2, cores) + 1))
    return tuple(sorted({1, max(2, cores // 2), cores, round(1.5 * cores), 2 * cores}))


def twice(cores: int) -> str:
    """`4 workers on 2 cores`."""
    return f"{2 * cores} workers on {_counted(cores, 'core')}"


def intervals_of(sweep: SweepResult) -> dict[int, tuple[float, float]]:
    """The interval of each number of workers that was launched more than once."""
    found = {cell.workers: per_s_of(sweep, cell.workers) for cell in sweep.cells}
    return {n: (each.low, each.high) for n, each in found.items() if each.low is not None and each.high is not None}


def picture_of(
    sweep: SweepResult,
    cores: int,
    *,
    bet: float | None = None,
    simulated: Mapping[int, Sequence[Simulated]] | None = None,
) -> "Picture":
    """The sweep as dots and intervals; the bet at twice the cores; simulated runs dashed, by their cores."""
    from helpers.plots.workers_plot import workers_plot

    lines = {
        _counted(own, "core"): [(run.workers, run.per_s) for run in runs]
        for own, runs in sorted((simulated or {}).items())
    }
    return workers_plot(
        sweep.rows(), cores=cores, intervals=intervals_of(sweep), simulated=lines, bet=bet, bet_at=2 * cores
    )


def ratio_at_twice(sweep: SweepResult, cores: int) -> Ratio:
    """Twice as many workers as cores, against as many, over pairs of launches."""
    cells = {cell.workers: cell for cell in sweep.cells}
    if not {cores, 2 * cores} <= set(cells):
        return Ratio(None, None, None, 0)
    return sweep.ratio(cells[2 * cores], cells[cores])


def sweep_in_words(sweep: SweepResult, cores: int) -> str:
    """What twice as many workers as cores did, for any outcome."""
    ratio, used = ratio_at_twice(sweep, cores), cores_used(sweep, workers=cores)
    if ratio.value is None or math.isnan(used):
        return void_in_words(sweep)
    says = f"{twice(cores)} gave {ratio_in_words(ratio)} the answers of {_counted(cores, 'worker')}."
    if ratio.value < COLLAPSE_BELOW:
        return f"{says} They lost much: what did they take from each other? Look at the memory, and at other programs."
    if ratio.value >= NO_GAIN_BELOW:
        return (
            f"{says} It still rose. Then {_counted(cores, 'worker')} had not used what there is: {used:.2f} cores'"
            " worth. Look for what they waited for, and measure once more."
        )
    return (
        f"{says} What is scarce is CPU time: {_counted(cores, 'worker')} used {used:.2f} cores' worth already, and"
        f" further ones only share it among more. They do not take much away either: processes that wait for"
        " a core cost memory, and almost no time."
    )


def default_in_words(sweep: SweepResult, cores: int) -> Any:
    """How many workers uvicorn's default is, and how many cores' worth it used under full load."""
    from uvicorn import Config

    default, used = Config("api:app").workers, cores_used(sweep, workers=1)
    starts = f'<code>uvicorn.Config("api:app").workers</code> says <b>{default}</b>.'
    if default != 1:
        return html(f"<p>{starts} Here the variable WEB_CONCURRENCY is set: without it, it would be 1.</p>")
    if math.isnan(used):
        return html(f"<p>{starts} How much of the machine it uses: {void_in_words(sweep)}</p>")
    if cores < 2:
        return html(f"<p>{starts} It used {used:.2f} cores' worth, and one core is all there is to be used here.</p>")
    if used > NO_GAIN_BELOW:
        return html(
            f"<p>{starts} It used {used:.2f} cores' worth: more than one process can in Python. Who helped it?</p>"
        )
    return html(
        f"<p>{starts} Under the load of {sweep.cells[0].users} users it used <b>{used:.2f} cores' worth</b>, of {cores}"
        f" that it might have had. A default that uses all cores would look like the bar of {cores} workers."
        f"{_beyond(sweep, cores)}</p>"
    )


def _beyond(sweep: SweepResult, cores: int) -> str:
    """A word on a bar that ends beyond the cores; nothing where none does."""
    most = max((cores_used(sweep, workers=cell.workers) for cell in sweep.cells), default=math.nan)
    if math.isnan(most) or most <= cores:
        return ""
    return (
        f" A bar that ends a little beyond {cores} is no core that you did not know of: the processes' times are read"
        " one after another, not in the same instant."
    )


# ------------------------------------------------------------------------------------------------------------ memory


def worker_rss_mib(found: Processes) -> float:
    """The RSS of one worker of a running server."""
    return found.with_role("worker")[0].rss_mb


def fits_against_rss(readings: Sequence[Reading], *, limit_mib: float, by_rss: int) -> float | None:
    """How many workers fit by PSS, as a multiple of what dividing by the RSS says; None where nobody tells the PSS."""
    line = straight(readings)
    return None if line is None or not by_rss else line.fit_into(limit_mib) / by_rss


def memory_in_words(readings: Sequence[Reading], *, limit_mib: float, by_rss: int) -> str:
    """What one more worker really costs."""
    line, doubled = straight(readings), straight(readings, shared_once=False)
    if line is None or doubled is None:
        return "This system does not tell the PSS, so what the workers share cannot be counted here."
    fit, summed = line.fit_into(limit_mib), doubled.fit_into(limit_mib)
    says = (
        f"One more worker adds {line.each_mib:.0f} MiB to the sum of the PSS, and {doubled.each_mib:.0f} MiB to the sum"
        f" of the RSS. So {fit} fit into {limit_mib:,.0f} MiB, where the sum of the RSS allows {summed}"
    )
    if summed != by_rss:
        says += f" ({by_rss}, the limit divided by one worker's RSS, leaves out what is there besides the workers)"
    says += "."
    if fit > NO_GAIN_BELOW * by_rss:
        return (
            f"{says} Libraries written in C are in memory once, and a sum of RSS counts them in every process. What a"
            " worker has built for itself in Python is its own: that is most of it."
        )
    return f"{says} Hardly anything is shared here: what a worker holds it has built for itself."


def model_in_words(plain: Straight | None, loaded: Straight | None, *, model_mib: float) -> Any:
    """What one more worker costs with a model, against one without: whether the model is shared."""
    if plain is None or loaded is None:
        return html("<p>This system does not tell the PSS, so nobody can say here whether the model is shared.</p>")
    more = round(loaded.each_mib - plain.each_mib)
    says = f"A third worker adds {loaded.each_mib:.0f} MiB with the model, {plain.each_mib:.0f} MiB without it:"
    says += f" <b>{more:+} MiB</b>."
    if more > 0.5 * model_mib:
        return html(
            f"<p>{says} The model has {model_mib:.0f} MiB, and it is there once <i>per worker</i>: each worker is a new"
            " process that imports the app, and loads the model, for itself.</p>"
        )
    return html(
        f"<p>{says} The model has {model_mib:.0f} MiB, so here it is shared: the workers read the same pages.</p>"
    )


def costs(readings: Sequence[Reading]) -> tuple[float, float]:
    """MiB without workers and MiB per further one, to reckon with: by PSS, else by RSS, which is more."""
    line = straight(readings) or straight(readings, shared_once=False)
    assert line is not None
    return line.base_mib, line.each_mib


def biting_limit(base_mib: float, each_mib: float) -> int:
    """A limit of about 2 GiB at which one worker too many seems to fit if `base_mib` is forgotten, rounded or not."""
    middle = 1 - 0.5 * min(1.0, base_mib / each_mib)  # of a worker that is left over: then the base is what is missing

    def off(limit: int) -> float:
        return abs((limit - base_mib) / each_mib % 1 - middle)

    return min(range(1536, 2561, 32), key=lambda limit: (round(off(limit), 1), abs(limit - 2048)))


def rss_each(readings: Sequence[Reading]) -> float:
    """What a further worker adds to the sum of the RSS."""
    line = straight(readings, shared_once=False)
    assert line is not None
    return line.each_mib


def advice_in_words(*advice: Advice) -> Any:
    """Each advice as a line that wraps between words."""
    return html("".join(f"<p>{escape(str(each))}.</p>" for each in advice))


# ------------------------------------------------------------------------------------------------------------- recap


def recap(
    inside: UsableCpus,
    sweep: SweepResult,
    *,
    cores: int,
    here: Sequence[Simulated],
    ten: Sequence[Simulated],
    plain: Sequence[Reading],
    loaded: Sequence[Reading],
    advice: Advice,
) -> Any:
    """The recap of notebook 06, computed from the learner's own numbers."""
    line, heavy = straight(plain), straight(loaded)
    each = VOID if line is None else f"{line.each_mib:.0f} MiB for each further worker"
    with_model = f", {heavy.each_mib:.0f} MiB with a model in it" if line and heavy else ""
    lines = [
        f"A container with a quota of {paid_for(inside):g} on a host of {inside.logical} cores: {inside.usable} whole"
        f" core{'' if inside.usable == 1 else 's'}. Ask for the quota, not for <code>os.cpu_count()</code>.",
        _recap_of_default(sweep, cores),
        _recap_of_twice(sweep, cores),
        f"Memory: {each}{with_model}.",
        _recap_of_ten(sweep, here, ten),
        f"<b>Your boss's container</b>, by the calculator: {escape(str(advice))}. With a request's work as on this"
        " machine, and a number to start measuring from.",
    ]
    look = "<p>All of it is a first look: few launches, short ones.</p>" if sweep.first_look else ""
    return html("<ul>" + "".join(f"<li>{line}</li>" for line in lines) + f"</ul>{look}")


def _recap_of_default(sweep: SweepResult, cores: int) -> str:
    used = cores_used(sweep, workers=1)
    return f"uvicorn's default, one worker: {VOID if math.isnan(used) else f'{used:.2f} cores used of {cores}'}."


def _recap_of_twice(sweep: SweepResult, cores: int) -> str:
    ratio = ratio_at_twice(sweep, cores)
    if ratio.value is None:
        return f"{twice(cores)}: {VOID}."
    interval = "" if ratio.low is None else f" [{ratio.low:.2f}, {ratio.high:.2f}]"
    return f"{twice(cores)}: {ratio.value:.2f} times{interval} the answers of {_counted(cores, 'worker')}."


def _recap_of_ten(sweep: SweepResult, here: Sequence[Simulated], ten: Sequence[Simulated]) -> str:
    speeds = {run.workers: run.per_s for run in ten}
    says = f"Ten cores, <i>simulated</i>: ten workers give {speeds[10] / speeds[1]:.1f} times the answers of one"
    beyond = [off for workers, off, _ in deviations(sweep, here) if workers > 1]
    if not beyond:
        return f"{says}; nobody could check the simulation here."
    worst = max(beyond, key=lambda off: abs(math.log(off)))
    return f"{says}. Where you could check the simulation it was off by {abs(worst - 1):.1%} at most."


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
