"""Notebook 01: its sentences, chosen by the numbers."""

import re
from collections.abc import Collection, Mapping
from html import escape
from typing import Any

from helpers.plots.picture import count
from helpers.plots.startup import Start
from helpers.server.processes import Processes
from helpers.teach.briefly import Brief
from helpers.teach.log_lines import serving
from helpers.teach.outcomes import VOID
from helpers.teach.together import Together
from helpers.teach.widgets import html

ONE, PER_CORE, BANNER, COMPLETE, ANSWER = (
    "a single one: it listens, and it serves",
    "one per core",
    "the line “Uvicorn running on ...”",
    "the line “Application startup complete.”",
    "a request that is answered",
)
LEFT = 'style="text-align:left"'
OVERLAPS_UP_TO = 2.0  # ten at once take no longer than two one after the other
QUEUES_FROM = 6.0


# ---------------------------------------------------------------------------------------------- which option it was


def borne_out(pids: Collection[int], cores: int) -> str:
    """The words of the option for so many serving processes."""
    return {cores: PER_CORE, 1: ONE}.get(len(set(pids)), VOID)


def proof(starts: Collection[Start]) -> str:
    """The words of what proved that several workers serve; the banner only if no request was refused after it."""
    several = [start for start in starts if start.workers > 1]
    if not several or any(start.claim_s is None for start in several):
        return VOID
    return ANSWER if any(start.refused_after_banner for start in several) else BANNER


def times_alone(many: Together, one: Together) -> float | None:
    """How many times longer the requests took together than one of them alone; None where one failed."""
    return None if many.took_s is None or not one.took_s else many.took_s / one.took_s


# ------------------------------------------------------------------------------------------------ what happened there


def serving_in_words(pids: Collection[int], found: Processes, cores: int) -> str:
    """How many processes answered, and how many there are."""
    different = sorted(set(pids))
    told = f"{count(len(pids), 'answer')} came from {count(len(different), 'process')}".replace("processs", "processes")
    if different == [found.rows[0].pid] and len(found) == 1:
        end = (
            f"This machine gives you {count(cores, 'core')}: nothing in the post's line asked uvicorn to look."
            if cores > 1
            else "This machine gives you one core, so “one” and “one per core” cannot be told apart on it."
        )
        return (
            f"{told}, pid {different[0]}, and that is also the only process there is: no parent, no helper. It listens,"
            f" it reads the request, it runs your code, it writes the answer. {end}"
        )
    return f"{told}, and the tree shows {len(found)}. That is not what the default gives: is this the server you think?"


def waiting_in_words(sleeping: Together) -> str:
    """Ten waits of a second each, at the one worker."""
    took, times = sleeping.took_s, len(sleeping.answers)
    if took is None:
        return _failed(sleeping)
    if took < OVERLAPS_UP_TO:
        return (
            f"{times} requests of one second each were answered after {took:.1f} s, by"
            f" {count(len(sleeping.workers), 'worker')}. Point at the lane: all {times} are in its hands at once."
            " <code>await asyncio.sleep(1)</code> hands control back to the worker's <b>event loop</b>, the one loop in"
            " which it runs whatever can go on next; while one request waits, it takes up the others. One worker is"
            " <b>not</b> one request at a time."
        )
    return (
        f"{times} requests of one second each took {took:.1f} s here, longer than waiting needs. The lane shows how"
        " many the worker had in hand at once: was the machine busy with something else? Run the cell once more."
    )


def working_in_words(working: Together, alone: Together) -> str:
    """Ten pieces of work at the one worker, against one piece alone."""
    ratio, times = times_alone(working, alone), len(working.answers)
    if ratio is None or working.took_s is None or alone.took_s is None:
        return _failed(working if working.took_s is None else alone)
    told = (
        f"One alone took {1000 * alone.took_s:.0f} ms, {times} at once {1000 * working.took_s:.0f} ms:"
        f" {ratio:.1f} times as long."
    )
    if ratio >= QUEUES_FROM:
        return (
            f"{told} The same worker, the same <code>async def</code> - but this code never awaits. It works from its"
            " first line to its last, and until it is through, the event loop takes up nobody else. Follow the lowest"
            " row of the upper part: how much of it is coloured?"
        )
    return (
        f"{told} Work of this kind queues in one process, so about {times} times would be expected. Was the one request"
        " alone a slow one, as a first request may be? Run the cell once more, and see whether that stays."
    )


def readiness_in_words(starts: Collection[Start]) -> str:
    """The banner against the first answer, with one and with several workers."""
    several = next((start for start in starts if start.workers > 1), None)
    alone = next((start for start in starts if start.workers == 1), None)
    if several is None or several.banner_s is None or several.answer_s is None:
        return f"The start {VOID}: no request was answered, or the log stayed empty."
    if not several.refused_after_banner:
        return (
            f"Here the first request after the banner was answered at once ({several.answer_s:.1f} s), so nothing is"
            " refuted this time. Which process has to import the app before anybody can listen?"
        )
    refused = count(several.refused_after_banner, "request")
    text = (
        f"With {several.workers} workers the banner stood in the log after {several.banner_s:.1f} s, and the first"
        f" answer came after {several.answer_s:.1f} s; {refused} in between found nobody listening (a cross before the"
        " banner only asked too early). The parent writes the banner when it has <i>reserved</i> the address; then it"
        " starts the workers, each imports the app, and the first that is through begins to listen."
    )
    if alone is not None and alone.claim_s is not None and not alone.refused_after_banner:
        text += (
            f" With one worker there is no parent: the same line is written last, here after {alone.banner_s:.1f} s,"
            " and no request was refused after it. The same words, true in one case and not in the other: so ask the"
            " server, not its log."
        )
    return text


# -------------------------------------------------------------------------------------------------------- going deeper


def respawns_in_words(run: Brief) -> Any:
    """The endless loop of a script without the guard."""
    deaths = run.log.count("died")
    found = re.search(r"An attempt has been made .*? phase", run.log, re.DOTALL)
    if not deaths:
        return html(f"<p>In {run.seconds:.1f} s no worker died: this script {VOID} as a loop on this machine.</p>")
    said = f" Python's reason: <code>{escape(' '.join(found[0].split()))}</code>." if found else ""
    return html(
        f"<p>In {run.seconds:.1f} s there were <b>{count(deaths, 'death')}</b> of workers, each followed by a new"
        f" start, and {len(serving(run.log))} ever served; then it was ended from outside.{said}</p>"
    )


def counted(runs: Mapping[str, Brief]) -> Any:
    """How many processes served, per line of code."""
    rows = "".join(
        f"<tr><td {LEFT}><code>{escape(line)}</code></td><td><b>{len(serving(run.log))}</b></td></tr>"
        for line, run in runs.items()
    )
    return html(f"<table><tr><th {LEFT}>line</th><th>processes that serve</th></tr>{rows}</table>")


# --------------------------------------------------------------------------------------------------------------- recap


def recap(
    pids: Collection[int], sleeping: Together, working: Together, alone: Together, starts: Collection[Start]
) -> Any:
    """The recap of notebook 01, computed from the learner's own numbers."""
    different = len(set(pids))
    lines = [
        f"The post's line started <b>{different} serving process{'' if different == 1 else 'es'}</b> here;"
        f" {len(pids)} answers prove it."
    ]
    ratio = times_alone(working, alone)
    if sleeping.took_s is not None and ratio is not None:
        lines.append(
            f"{len(sleeping.answers)} requests that each <i>wait</i> for a second took {sleeping.took_s:.1f} s in all;"
            f" {len(working.answers)} that <i>work</i> took <b>{ratio:.1f} times</b> as long as one. One process waits"
            " for many things at once, and runs one piece of Python at a time."
        )
    lines += [_recap_of(start) for start in starts if start.claim_s is not None]
    lines.append("The one thing that proves <b>ready</b> is an answer. A load balancer's health check does just that.")
    return html("<ul>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul>")


def _recap_of(start: Start) -> str:
    which = f"With {count(start.workers, 'worker')}"
    if not start.refused_after_banner:
        return f"{which} no request was refused after the banner."
    refused = count(start.refused_after_banner, "request")
    return f"{which} the banner came <b>{start.claim_s:.1f} s</b> before the first answer; {refused} met nobody."


def _failed(requests: Together) -> str:
    failed = sorted({answer.outcome for answer in requests.answers} - {"ok"})
    return f"This {VOID}: {len(requests.answers)} x {requests.path} ended with {', '.join(failed)}. Run the cell again."
