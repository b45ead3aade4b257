"""Notebook 10: how far one machine goes, what a second host brings; sentences and pictures chosen by the numbers."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from helpers.experiment import Ratio, paired_ratio
from helpers.incident.result import Incident
from helpers.load.result import LoadResult
from helpers.plots.picture import count, percent, short
from helpers.teach.kinds import per_s
from helpers.teach.machines import Machines
from helpers.teach.outcomes import GAIN_FROM, NO_GAIN_BELOW, VOID, ratio_in_words
from helpers.teach.widgets import folded, html
from helpers.teach.words.n09 import done, toll, void_of

if TYPE_CHECKING:
    from helpers.plots.growth_plot import Step
    from helpers.plots.picture import Picture

Rounds = Mapping[int, Sequence[LoadResult]]  # number of hosts or replicas -> a measurement for each round

# The answers of the predictions; what was measured bears out one of them, or none clearly.
ONE, FEW, DOZEN, HUNDRED = "1", "2 to 4", "about 10", "about 100"
NONE, IN_HAND, MANY = (
    "none",
    "those that it had in hand",
    "every second one, until somebody takes it out",
)
TAKEN_OUT, PUT_BACK, KILLED = "taken out", "put back", "killed"
MANY_FROM = 0.3  # of those that came until the end
WITHOUT_NGINX = "nginx is not installed, so nothing was measured here"


# ---------------------------------------------------------------------------------------------------- one machine


def cpu_ms_of(machine: LoadResult, cores: int) -> float:
    """CPU (ms) of one request on a machine whose cores were all at work; as 1 / rate of one core where it was void."""
    rate = per_s(machine) or machine.achieved_per_s or 1.0
    return round(1000 * cores / rate, 2)


def machines_right(plan: Machines) -> str:
    """Which answer the plan bears out, without the spare machine."""
    number = plan.advice.machines
    return ONE if number == 1 else FEW if number <= 4 else DOZEN if number <= 30 else HUNDRED


def day_in_words(plan: Machines, alone: LoadResult, machine: LoadResult) -> str:
    """What so many requests per day are in a second."""
    found, values = plan.advice, plan.values
    if per_s(alone) is None or per_s(machine) is None:
        return f"This {VOID}, so the cost of a request is a guess: {short(values['cpu_ms'])} ms."
    told = (
        f"{values['per_day']:,.0f} requests a day are {short(found.mean_per_s)} per second: a day has 86,400 of"
        f" them. At the peak {short(found.peak_per_s)}. Your machine gave {short(per_s(machine) or 0)} answers per"
        f" second with all its cores at work, and should do {percent(values['busy_most'])} of that, or a queue"
        " grows (07)."
    )
    more = f" One more, and one of the {found.machines + 1} may fail at noon." if found.machines < 5 else ""
    return f"{told} That makes {count(found.machines, 'machine')}.{more}"


# ----------------------------------------------------------------------------------------------- the second one


def rates(results: Sequence[LoadResult]) -> list[float]:
    """Answers per second of the valid rounds."""
    return [rate for rate in map(per_s, results) if rate is not None]


def gain(rounds: Rounds) -> Ratio:
    """What the most of them answered, against one: over the rounds in which both were valid."""
    if not rounds:
        return Ratio(None, None, None, 0)
    pairs = zip(rounds[min(rounds)], rounds[max(rounds)], strict=False)
    both = [(one, two) for one, two in ((per_s(a), per_s(b)) for a, b in pairs) if one is not None and two is not None]
    return paired_ratio([one for one, _ in both], [two for _, two in both])


def growth(ways: Mapping[str, Rounds], *, bet: float | None = None) -> "Picture | Any":
    """Bars for one and for two of each; words where nothing was measured. The bet is on the last way."""
    from helpers.plots.growth_plot import growth_plot

    groups = [_steps(thing, rounds) for thing, rounds in ways.items() if any(rounds.values())]
    if not groups:
        return html(f"<p>This {VOID}.</p>")
    some = next(result for rounds in ways.values() for results in rounds.values() for result in results)
    below = f"higher is better · {some.plan.target} · {some.plan.users} users · in brackets: 95 % interval"
    return growth_plot("What the second one brings", groups, below=below, bet=bet)


def _steps(thing: str, rounds: Rounds) -> "list[Step]":
    from helpers.plots.growth_plot import Step

    ratio = gain(rounds)
    against = "" if ratio.value is None else f"× {ratio}".replace("x", "")
    most = max(rounds)
    return [
        Step(count(number, thing), rates(results), against if number == most else "")
        for number, results in sorted(rounds.items())
    ]


def hosts_in_words(rounds: Rounds) -> Any:
    """Folded: two hosts behind nginx against one."""
    return html(folded("What the picture shows", _hosts_in_words(rounds)))


def _hosts_in_words(rounds: Rounds) -> str:
    ratio = gain(rounds)
    if ratio.value is None:
        return f"This {VOID}: {why_void(rounds)}"
    told = f"Two hosts gave {ratio_in_words(ratio)} the answers of one."
    if ratio.value >= GAIN_FROM:
        return (
            f"{told} A host with one worker is to nginx what a worker is to the kernel: somebody to give work to. But"
            " nginx chooses for each request, and looks who has the fewest in hand; the kernel gives connections away,"
            " and does not look at all (09)."
        )
    if ratio.value < NO_GAIN_BELOW:
        return f"{told} Did both have a core? On a machine with one, two hosts share it: look at the CPU (03)."
    return f"{told} These “hosts” share one machine, with nginx and the load generator: real ones would not."


def why_void(rounds: Rounds) -> str:
    """The reason of the first round that has one."""
    void = [result for results in rounds.values() for result in results if result.verdict == "void"]
    reasons = [why for result in void for why in result.reasons]
    return escape(reasons[0]) if reasons else "nothing was measured."


# ------------------------------------------------------------------------------------------------ a host is lost


def lost_right(incident: Incident | None, name: str) -> str:
    """Which answer the loss of a host, or a node, bears out."""
    if incident is None or done(incident, name) is None:
        return VOID
    cost = toll(incident, name)
    if not cost.lost:
        return NONE
    event = incident.event(name)
    since = max(cost.came, int((incident.result.plan.rate_per_s or 0) * (incident.result.duration_s - event.from_s)))
    return MANY if cost.lost > MANY_FROM * since else IN_HAND


def incident_picture(incident: Incident | None, title: str, *, why_not: str = WITHOUT_NGINX) -> "Picture | Any":
    """The course of the load; words where there was none."""
    return html(f"<p>{escape(why_not)}.</p>") if incident is None else incident.picture(title)


def hosts_lost_in_words(incident: Incident | None) -> str:
    """A host taken out, put back, and killed."""
    if incident is None:
        return f"{WITHOUT_NGINX}."
    if void := void_of(incident):
        return void
    lost = {name: toll(incident, name).lost for name in (TAKEN_OUT, PUT_BACK, KILLED)}
    told = (
        f"Of {incident.sent:,} requests {incident.ok:,} were answered. Lost since it was taken out: {lost[TAKEN_OUT]};"
        f" since it was put back: {lost[PUT_BACK]}; since it was killed: {lost[KILLED]}."
    )
    order = " First out of nginx, then stopped: whoever was in its hands was served to the end."
    if not lost[KILLED]:
        again = (
            f" When it was killed, {incident.unfinished} requests were in its hands, by its own count. nginx had their"
            " connections, saw them break, and sent each once more, to the other host."
            if incident.unfinished
            else " When it was killed, it had nothing in hand just then."
        )
        return f"{told}{order}{again} It does so for a GET, which may be repeated; a POST it would answer with 502."
    return f"{told}{order} That was not made good: {escape(str(incident))}."
