"""Notebook 02: its sentences and pictures, chosen by the numbers."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from helpers.experiment import SweepResult
from helpers.load.checks import ENGINE_CPU_WARN, Check
from helpers.load.result import LoadResult
from helpers.teach.outcomes import VOID, void_in_words
from helpers.teach.widgets import folded, html, rendered

if TYPE_CHECKING:
    import pandas as pd

    from helpers.plots.picture import Picture

Watched = Mapping[str, Any]  # label, answers_per_s, generator (cores' worth), workers {pid: cores' worth}
AGREES_WITHIN = 0.15
STEADY_WITHIN = 0.25
FAILS_FROM = 0.01
IDLE_UNKNOWN = "How much was idle was not measured."

# ------------------------------------------------------------------------------------------------ the own load tester


def distribution(answers_s: Mapping[int, Sequence[float]], bet: float | None) -> "Picture":
    """The response times for each number of users; the predicted median with 16 as a line."""
    from helpers.plots.latency import latency_plot
    from helpers.plots.picture import HALO, INK, count

    drawn = {users: times for users, times in answers_s.items() if users <= 16}  # more would press these together
    lost = {users: sum(map(math.isinf, times)) for users, times in drawn.items()}
    picture = latency_plot(
        {count(users, "user"): [1000 * time_s for time_s in times] for users, times in drawn.items()},
        timeouts={count(users, "user"): number for users, number in lost.items()},
        timeout_ms=5_000.0,
    )
    if bet is not None:
        axes, height = picture.axes[0], 1000 * bet * median(answers_s[1])
        axes.axhline(height, color=INK, linestyle=(0, (2, 2)), linewidth=1.5, zorder=2)
        words = f"your prediction for 16 users: {height:.0f} ms"
        axes.text(0.03, height, words, va="bottom", size=10.5, color=INK, path_effects=HALO, zorder=7)
        picture.alt += f" You predicted {height:.0f} ms for the median with 16 users."
    return picture


def median_in_words(mine: "pd.DataFrame") -> str:
    """What became of the median and of the throughput from 1 to 16 users."""
    slower = mine.median_ms[16] / mine.median_ms[1]
    more = mine.answers_per_s[16] / mine.answers_per_s[1]
    told = (
        f"From 1 user to 16 the median went from {mine.median_ms[1]:.0f} to {mine.median_ms[16]:.0f} ms, that is"
        f" <b>{slower:.1f} times</b>, and the throughput from {mine.answers_per_s[1]:.0f} to"
        f" {mine.answers_per_s[16]:.0f} answers/s, {more:.2f} times."
    )
    if abs(more - 1) <= STEADY_WITHIN:
        return (
            f"{told} With one user the worker already gave about as many answers as with sixteen: there are no more to"
            " be had, so the users stand in line, and each waits for those in front."
        )
    return (
        f"{told} Here the throughput changed as well. Either one user alone could not keep the worker busy, or"
        " something else used this machine: run the cell again and see whether it stays so."
    )


def timeline_explained(result: LoadResult, mine: "pd.DataFrame") -> Any:
    """Folded: how long a request waits and is worked on, and whether the two load testers agree."""
    if result.verdict == "void":
        return html(
            f"<p>{void_sentence(result)} The picture shows the shape of it all the same; trust no number in it.</p>"
        )
    frame = result.frame()
    waits, works = frame.waiting_ms.median(), frame.handling_ms.median()
    text = (
        f"Half of the requests wait longer than <b>{waits:.0f} ms</b> and are worked on for <b>{works:.0f} ms</b>:"
        f" {percent_of(works / (waits + works))} of their time is work. At any moment one request is in the worker's"
        " hands and the others stand in line. An endpoint twice as fast would halve all of it; a second core would"
        " shorten nothing, since the one worker would still take up one request after the other."
    )
    return html(folded("What the picture shows", f"{text}<br>{_agreement(mine.answers_per_s[16], result)}"))


def _agreement(mine_per_s: float, result: LoadResult) -> str:
    difference = mine_per_s / result.achieved_per_s - 1 if result.achieved_per_s else math.inf
    told = f"Your load tester counted {mine_per_s:.0f} answers/s with 16 users, this one {result.achieved_per_s:.0f}"
    if abs(difference) <= AGREES_WITHIN:
        return f"{told}: at this endpoint yours is right."
    return f"{told}: they differ by {abs(difference):.0%}. Keep that in mind; further down you find out who lies."


# ------------------------------------------------------------------------------------------------------- time-outs


def cliff_picture(cliff: SweepResult, bet: float | None) -> "Picture":
    """Throughput, p95 and failures against users; the predicted number of users as a line, if it fits in."""
    from helpers.plots.picture import HALO, INK
    from helpers.plots.scaling import users_plot

    picture = users_plot(cliff.rows())
    if bet is None:
        return picture
    failures = picture.axes[2]
    low, high = failures.get_xlim()
    inside = low < bet < high
    if inside:
        failures.axvline(bet, color=INK, linestyle=(0, (2, 2)), linewidth=1.5)
    place: dict[str, Any] = {"transform": failures.get_xaxis_transform(), "va": "top", "size": 10.5, "zorder": 7}
    words = f"your prediction: {bet:,.0f} users" + ("" if inside else " →" if bet > high else "")
    at = bet if inside else high if bet > high else low
    ha = "left" if at < math.sqrt(low * high) else "right"
    failures.text(at, 0.94, f" {words} ", ha=ha, color=INK, path_effects=HALO, **place)
    picture.alt += f" You predicted failures from {bet:,.0f} users on."
    return picture


def timeouts_in_words(cliff: SweepResult, fits: float) -> str:
    """From how many users on requests failed, and why there."""
    measured = failures(cliff)
    if not measured:
        return void_in_words(cliff)
    parts = [
        f"with {users} {'user' if users == 1 else 'users'} {percent_of(share)}" for users, share in measured.items()
    ]
    told = f"Requests that failed: {', '.join(parts)}."
    beyond = [users for users, share in measured.items() if share > FAILS_FROM]
    if not beyond:
        return (
            f"{told} Your throughput says that about {fits} users fit into one second; here more fitted. What would"
            " have to be true? Compare the throughput in the upper panel with your own."
        )
    return (
        f"{told} One worker answers about {fits} requests in a second; whoever stands further back is still in line"
        " when the time is up. That has nothing to do with how many connections async can hold: they are all held, and"
        " they wait. Nor does only the surplus fail: the worker goes on with requests whose clients have left, and so"
        " those behind them come too late as well."
    )


def limit_found(cliff: SweepResult, fits: float) -> float | None:
    """The number of users from which on requests fail; None where none failed, or nothing could be measured."""
    return fits if any(share > FAILS_FROM for share in failures(cliff).values()) else None


def failures(cliff: SweepResult) -> dict[int, float]:
    """Share of failed requests by users, of the runs that count."""
    runs = [(run.cell.users, run.result.error_ratio) for run in cliff.runs if not run.void]
    return dict(sorted(runs))


# ---------------------------------------------------------------------------------------------------- who is lying


def who_was_busy(each: Watched, shared: Watched, engine: LoadResult) -> "Picture":
    """Cores' worth of the server and of the generator, for the three ways to test one endpoint with 64 users."""
    from helpers.plots.cpu import cpu_plot

    entries = [
        {**test, "label": f"{name}\n{test['answers_per_s']:,.0f} answers/s"}
        for name, test in (("a client each", each), ("one shared client", shared))
    ]
    speed = "void" if engine.verdict == "void" else f"{engine.achieved_per_s:,.0f} answers/s"
    ours = {"label": f"load_test\n{speed}"}
    if engine.cpu is not None:
        ours |= {"workers": engine.cpu.workers, "generator": engine.cpu.generator}  # type: ignore[dict-item]
    picture = cpu_plot([*entries, ours], cores=2 if engine.cpu is None else engine.cpu.cores)
    for text in picture.texts:  # idle time is not asked for here, so do not complain of it
        if text.get_text() == IDLE_UNKNOWN:
            text.set_text("/health, 64 users, one and the same server: who was busy?")
    picture.alt = picture.alt.replace(f"{IDLE_UNKNOWN} ", "")
    return picture


def who_is_to_blame(shared: Watched) -> str:
    """Who was busy in the test that collapsed, in the words of the prediction."""
    generator, server = shared["generator"], sum(shared["workers"].values())
    return "the load generator" if generator > server else "the server"


def liar_in_words(each: Watched, shared: Watched, engine: LoadResult) -> str:
    """Why the shared client collapses, and that the good tester is at its end as well."""
    generator, server = shared["generator"], sum(shared["workers"].values())
    told = (
        f"With the shared client the generator used <b>{generator:.2f}</b> cores' worth and the server"
        f" <b>{server:.2f}</b>."
    )
    if who_is_to_blame(shared) == "the server":
        return f"{told} This time the server was the busier one: run the cell again and look once more."
    parts = [
        f"{told} The server had nothing to do: it waited for your load generator. A shared client keeps all its"
        " connections in one pool, and for every request looks through all of them: with 64 users that is the work.",
    ]
    if each["generator"] >= ENGINE_CPU_WARN:
        parts.append(
            f"But the good version used {each['generator']:.2f} cores' worth too: its {each['answers_per_s']:,.0f}"
            " answers/s say how fast <i>it</i> is, not how fast the server is."
        )
    if engine.verdict == "void":
        parts.append(void_sentence(engine))
    elif engine.achieved_per_s > 1.2 * each["answers_per_s"]:
        parts.append(
            f"The same server answered {engine.achieved_per_s:,.0f} requests/s when asked by a leaner generator,"
            f" {engine.achieved_per_s / shared['answers_per_s']:.0f} times what the shared client measured."
        )
    return " ".join(parts)


def own_check_explained(found: Check) -> Any:
    """What the engine's first check says of the own load tester."""
    said = f"<p><b>{found.verdict}</b>: {found.why}"
    if found.verdict == "pass":
        said += (
            " That is less than it takes when this machine is quiet: other programs left it no more. A check of its own"
            " CPU alone does not see that, which is why <code>run delay</code> and <code>foreign load</code> exist."
        )
    return html(f"{said}</p>")


def sharing_explained(each: Watched, shared: Watched, each4: Watched, shared4: Watched) -> Any:
    """The two versions with 64 and with 4 users: a table, and folded what it means."""
    import pandas as pd

    from helpers.plots.picture import table_html

    table = pd.DataFrame(
        [(64, each["answers_per_s"], shared["answers_per_s"]), (4, each4["answers_per_s"], shared4["answers_per_s"])],
        columns=["users", "a client each (answers/s)", "one shared client (answers/s)"],
    )
    few, many = (a["answers_per_s"] / b["answers_per_s"] for a, b in ((shared4, each4), (shared, each)))
    told = (
        f"With 4 users the shared client reaches {percent_of(few)} of the other's throughput,"
        f" with 64 {percent_of(many)}."
    )
    rule = (
        "So do not conclude that a client must never be shared. <b>Inside an app</b> that asks another service, one"
        " shared client is right: it has few connections, and keeps them open from request to request. In a load test"
        " each user needs a connection of their own, and there the one pool becomes the bottleneck."
    )
    if few < 0.5:
        rule = "Here sharing costs much even with 4 users; was the machine busy? Run it again. " + rule
    return html(table_html(table, cell_style="padding:2px 10px;text-align:right") + folded(told, rule))


def referee(colleague: LoadResult, mine: LoadResult) -> Any:
    """The colleague's claim, and where the CPU time went in both runs; the verdict is left to the learner."""
    from helpers.plots.cpu import cpu_entry, cpu_plot

    usual = "" if mine.verdict == "void" else f", where you measured {mine.achieved_per_s:.0f}"
    claim = f"<p>The colleague says: “/cpu gives {colleague.achieved_per_s:.0f} answers/s with 16 users{usual}.”</p>"
    if mine.verdict == "void":
        claim += (
            "<p>Your own run was disturbed as well, so the two bars below may look alike: run the cell with"
            " <code>sixteen</code> again first.</p>"
        )
    split = [(name, each.cpu) for name, each in (("your run", mine), ("the colleague's", colleague)) if each.cpu]
    if not split:
        return html(claim)
    picture = cpu_plot([cpu_entry(name, cpu) for name, cpu in split], cores=split[0][1].cores)
    return html(claim + rendered(picture))


# ----------------------------------------------------------------------------------------------- recap, going deeper


def recap(
    mine: "pd.DataFrame",
    cliff: SweepResult,
    fits: float,
    each: Watched,
    shared: Watched,
    engine: LoadResult,
    sixteen: LoadResult,
) -> Any:
    """The recap of notebook 02, computed from the learner's own numbers."""
    from helpers.plots.picture import count

    lines = [
        f"One worker gave about <b>{mine.answers_per_s[16]:.0f} answers/s</b> on /cpu with 16 users, and"
        f" {mine.answers_per_s[64]:.0f} with 64; the median went from {mine.median_ms[16]:.0f} to"
        f" {mine.median_ms[64]:.0f} ms. More users did not make it faster; they made it wait.",
        f"Users divided by throughput predicts {1000 * 64 / mine.answers_per_s[64]:.0f} ms with 64 users: measured was"
        f" a mean of {mine.mean_ms[64]:.0f} ms.",
    ]
    if sixteen.verdict == "void":
        lines.append("(The run of <code>load_test</code> beside yours was disturbed, so yours may have been, too.)")
    beyond = [users for users, share in failures(cliff).items() if share > FAILS_FROM]
    within = [users for users, share in failures(cliff).items() if share <= FAILS_FROM]
    if beyond:
        without = f"with {count(max(within), 'user')} none failed, " if within else ""
        lines.append(
            f"With a time-out of 1 s, {without}with {count(beyond[0], 'user')} requests did: one worker answers about"
            f" {fits} in a second. That is the post's symptom, on your machine, from one worker's queue and no fault at"
            " all."
        )
    elif within:
        lines.append(f"With a time-out of 1 s and up to {count(max(within), 'user')} no request failed here.")
    else:
        lines.append(f"From how many users on requests fail {VOID}.")
    if who_is_to_blame(shared) == "the load generator":
        lines.append(
            f"With 64 users on /health a shared client reported {shared['answers_per_s']:,.0f} answers/s and"
            f" {_other_number(each, engine)}, of one and the same server. <b>Before you believe a load test, look whose"
            " CPU was busy.</b>"
        )
    lines.append(
        "All of this holds for /cpu, which works in Python. What would change if it waited instead of working? And what"
        " if there were two workers? (03, 04)"
    )
    return html("<ul>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul>")


def _other_number(each: Watched, engine: LoadResult) -> str:
    if engine.verdict == "void":
        return f"a client per user {each['answers_per_s']:,.0f}"
    return f"<code>load_test</code> {engine.achieved_per_s:,.0f}"


def void_sentence(result: LoadResult) -> str:
    """Why the run of `load_test` gives no number."""
    which = "The run of <code>load_test</code>"
    return f"{which} {VOID}: {result.reasons[0]}" if result.reasons else f"{which} {VOID}."


def percent_of(share: float) -> str:
    """A share in words of percent."""
    from helpers.plots.picture import percent

    return percent(share)
