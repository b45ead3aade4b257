"""Notebook 05: the sentences of its second part, "Going deeper"."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from helpers.load.result import LoadResult
from helpers.server.stacks import py_spy
from helpers.teach.kinds import Held, cores_of, gain, per_s
from helpers.teach.outcomes import GAIN_FROM, NO_GAIN_BELOW
from helpers.teach.together import Together
from helpers.teach.widgets import html
from helpers.teach.words.n05 import void_in_words

PROJECT = Path(__file__).resolve().parents[3]


def forty_in_words(forty: Together, more: Together) -> Any:
    """As many calls at once as a worker has threads, and one more."""
    if forty.took_s is None or more.took_s is None:
        return html("<p>Not all of them were answered this time. Run the cell once more.</p>")
    says = f"{len(forty.answers)} calls: {forty.took_s:.2f} s. {len(more.answers)} calls: {more.took_s:.2f} s."
    if more.took_s < GAIN_FROM * forty.took_s:
        return html(f"<p>{says} No step to be seen: was the machine busy, or has this server more threads?</p>")
    return html(f"<p>{says} The last one found no thread free, and had to wait until another call was over.</p>")


def gil_in_words(one: LoadResult, two: LoadResult) -> Any:
    """Threads that all want to run Python: overlapping bars, one core's worth."""
    used, times = cores_of(one), gain(one, two)
    if used is None or times is None:
        return html(f"<p>{void_in_words(one, two)}</p>")
    if used >= GAIN_FROM:
        return html(f"<p>One worker used {used:.2f} cores' worth: this Python runs threads side by side.</p>")
    more = "have one lock each" if times >= GAIN_FROM else "have one lock each, but no second core was free for them"
    return html(
        f"<p>The bars overlap, and still the worker used {used:.2f} cores' worth. Its threads take turns: Python's"
        f" <b>GIL</b> (global interpreter lock) lets one thread of a process run Python at a time. Two workers {more}:"
        f" {times:.2f} times the answers.</p>"
    )


def blas_in_words(results: Mapping[str, LoadResult]) -> Any:
    """Native code with one and two workers, and with as many library threads as asked for, against the first."""
    first, *others = results
    lines = []
    for name, result in results.items():
        rate, used = per_s(result), cores_of(result)
        if rate is None or used is None:
            lines.append(f"<li>{name}: {void_in_words(result)}</li>")
            continue
        times = gain(results[first], result)
        against = "" if name == first or times is None else f", × {times:.2f}"
        lines.append(f"<li>{name}: {rate:.0f} answers per second{against}, {used:.2f} cores' worth</li>")
    return html(f"<ul>{''.join(lines)}</ul><p>{_blas(results, first, others)}</p>")


def _blas(results: Mapping[str, LoadResult], first: str, others: list[str]) -> str:
    crowded, *calm = [gain(results[first], results[name]) for name in others]
    used = cores_of(results[first])
    if crowded is None or used is None:
        return "Where a line is void, run the cell once more."
    if used < NO_GAIN_BELOW:
        return "Here one call uses one core: this library starts no threads of its own, so workers are what helps."
    if crowded >= NO_GAIN_BELOW:
        return "A second worker did help here: the library left cores unused."
    best = max((each for each in calm if each is not None), default=None)
    if best is not None and best > max(crowded, 1.0):
        return (
            "One worker used several cores by itself. A second one adds as many threads again, and they stand in each"
            " other's way. With one library thread per call each finds a core: more answers from the same cores."
        )
    return "One worker used several cores by itself, so a second one had none to add."


def pools_in_words(held: Mapping[int, Held], *, pool_size: int) -> Any:
    """The most requests that the downstream service had at once, by the number of workers before it."""
    found = {workers: each.most for workers, each in held.items()}
    says = ", ".join(f"{workers} worker{'' if workers == 1 else 's'}: <b>{most}</b>" for workers, most in found.items())
    if all(most == workers * pool_size for workers, most in found.items()):
        end = f"Exactly workers × {pool_size}: each worker has a pool of its own, and none knows of the others."
    elif max(found.values()) <= pool_size:
        end = f"Never more than {pool_size}: only one worker's pool was in use. Look at the share per worker."
    else:
        end = f"At most workers × {pool_size}: each worker has a pool of its own, and none knows of the others."
    return html(f"<p>The most at once at the downstream service - {says}. {end}</p>")


def in_terminals(port: int = 5020) -> str:
    """What to type into three terminals, to see the same without a notebook."""
    python, program = sys.executable, py_spy() or "py-spy"
    missing = "" if py_spy() else f"    (py-spy is to be installed first: '{python}' -m pip install py-spy)\n"
    return (
        f"cd '{PROJECT}'    (in each of the three)\n\n"
        f"1   '{python}' -m uvicorn helpers.demo.api:app --port {port}\n"
        f"2   '{python}' -m helpers load http://127.0.0.1:{port}/blocking --users 4 --duration 60s\n"
        f"3   '{program}' dump --pid PID    (the number in “Started server process [PID]”)\n{missing}"
    )
