"""Notebook 02, under "Going deeper": its sentences, chosen by the numbers."""

import math
from collections.abc import Sequence
from statistics import mean, median
from typing import Any

from helpers.experiment import SweepResult
from helpers.load.latency import shown
from helpers.load.result import LoadResult
from helpers.teach.outcomes import VOID
from helpers.teach.widgets import folded, html
from helpers.teach.words.n02 import failures, percent_of, void_sentence


def door_explained(newcomers: LoadResult, cliff: SweepResult) -> Any:
    """How many of the users were ever answered on uvloop, against the same number of users on asyncio's loop."""
    if newcomers.verdict == "void":
        return html(f"<p>{void_sentence(newcomers)}</p>")
    users = newcomers.plan.users or 0
    frame = newcomers.frame()
    served = frame[frame.outcome == "ok"].connection.nunique()
    before = failures(cliff).get(users)
    told = f"{percent_of(newcomers.error_ratio)} of the requests failed"
    told += "." if before is None else f", where on asyncio's loop {percent_of(before)} had."
    told += f" {served} of the {users} users ever got an answer."
    if served < users:
        text = f"{told} The others stood before the door until they gave up, and then at its end again."
    else:
        text = f"{told} Nobody was left at the door this time."
    return html(f"<p>{text} Notebook 03 looks at that door.</p>")


def mean_against_percentiles(answers_s: Sequence[float]) -> Any:
    """Mean, median, p95 and the longest of these response times; folded: how many come near the mean."""
    ms = sorted(1000 * time_s for time_s in answers_s if math.isfinite(time_s))
    if not ms:
        return html(f"<p>No answer came: this {VOID}.</p>")
    average, middle = mean(ms), median(ms)
    numbers = {"mean": average, "median": middle, "p95": ms[int(0.95 * len(ms))], "longest": ms[-1]}
    cells = " · ".join(f"{name} <b>{shown(value)}</b>" for name, value in numbers.items())
    near = sum(abs(each - average) <= average / 4 for each in ms) / len(ms)
    text = f"Only {percent_of(near)} of {len(ms)} answers took between 0.75 and 1.25 times the mean."
    if average > 1.25 * middle:
        text += f" The mean is {average / middle:.1f} times the median: a few answers from behind the report carry it."
    else:
        text += " This time the mean is no misleading number: too few answers came behind a report, or most did."
    return html(f"<p>{cells}</p>{folded('Whom does the mean describe?', text)}")
