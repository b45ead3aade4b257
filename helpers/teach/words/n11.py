"""Notebook 11: the sentences of its rounds, chosen by the numbers and by what the diagnosis said."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Protocol

from helpers import store
from helpers.load.result import LoadResult
from helpers.server.stacks import Stacks
from helpers.teach.kinds import cores_of, gain, per_s
from helpers.teach.outcomes import GAIN_FROM, NO_GAIN_BELOW, VOID
from helpers.teach.predict import Option, Prediction
from helpers.teach.widgets import html
from helpers.teach.words.n05 import void_in_words

MYSTERIES = Path(__file__).resolve().parents[2] / "demo" / "mystery.py"
ALIKE = 1.3  # largest against smallest: who only has these numbers cannot tell them apart
WORD_OF = {  # the verdicts, as one would bet on them
    "cpu_bound": "for the CPU: it works, on one core",
    "event_loop_blocked": "for a call that holds the event loop",
    "threadpool_exhausted": "for a free thread: all 40 are taken",
    "lock_bound": "for a lock or a small pool that each worker has",
    "downstream_bound": "for something that all workers share",
    "native_parallel": "for all the cores: compiled code uses several",
    "scales_by_awaiting": "for nobody: all of them get on at the same time",
}
ASKS = {
    "cpu_bound": "How much of a core did the worker use?",
    "event_loop_blocked": "Was the event loop free when needed? And where it was not: how much of a core was used?",
    "threadpool_exhausted": "How many users are there, and how many threads has a worker?",
    "lock_bound": "What would a second worker with a lock of its own bring? And does who awaits a lock hold the loop?",
    "downstream_bound": "If two workers waited for the same thing, what would the second one bring?",
    "native_parallel": "How many cores did ONE worker use?",
    "scales_by_awaiting": "How many of the users' requests get on at once?",
}
OF_THE_MYSTERIES = ("cpu_bound", "event_loop_blocked", "threadpool_exhausted", "lock_bound", "downstream_bound")
TRUTH = {
    "A": ("lock_bound", "one lock in each worker, and a second worker brings a second lock"),
    "B": ("downstream_bound", "one file, locked by whoever writes, in whichever worker"),
    "C": ("event_loop_blocked", "the middleware waits inside the event loop; the endpoint behind it waits for nobody"),
}


class Told(Protocol):
    """The part of a diagnosis that words are made of."""

    @property
    def verdict(self) -> str: ...
    @property
    def confidence(self) -> str: ...
    @property
    def summary_text(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def trials(self) -> Sequence[Any]: ...
    @property
    def walk(self) -> Any: ...


# ------------------------------------------------------------------------------------------------------------- bets


def causes(*, all_of_them: bool = False) -> list[Option]:
    """What 16 users may wait for, as answers of a prediction; `all_of_them` for an API that nobody knows yet."""
    verdicts = tuple(WORD_OF) if all_of_them else OF_THE_MYSTERIES
    return [Option(WORD_OF[verdict], ask=ASKS[verdict]) for verdict in verdicts]


def right(found: Told) -> str:
    """The words of the answer that the diagnosis bears out, or words for none of them."""
    return WORD_OF.get(found.verdict, f"came out as {found.verdict}")


def why(found: Told, one: LoadResult | None = None, two: LoadResult | None = None) -> str:
    """The diagnosis in a paragraph, and its second worker beside the learner's own."""
    said = f"{_rich(found.summary_text)} Confidence: {found.confidence}; it took {found.seconds:.0f} s."
    mine, its = gain(one, two), _second_worker(found)
    if mine is None or its is None:
        return said
    both = f" A second worker: × {mine:.2f} in your own measurement, × {its:.2f} in its own"
    if (mine > GAIN_FROM) == (its > GAIN_FROM):
        return f"{said}{both}: they agree."
    return f"{said}{both}: they disagree. Which of the two was disturbed? Run both once more."


def _second_worker(found: Told) -> float | None:
    return next((trial.measured for trial in found.trials if trial.change == "workers=2"), None)


# ----------------------------------------------------------------------------------------------------- from outside


def outside(alone: Mapping[str, LoadResult], one: Mapping[str, LoadResult]) -> Any:
    """What is seen of one worker: a request alone, and 16 users."""
    rows = "".join(_row(name, alone.get(name), each) for name, each in one.items())
    heads = ("API", "1 user: ms", "16 users: answers/s", "cores used", "answers/s × time alone = at once")
    head = "".join(f"<th>{each}</th>" for each in heads)
    return html(f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table><p>{alike_in_words(one)}</p>")


def _row(name: str, alone: LoadResult | None, many: LoadResult) -> str:
    rate, used, alone_ms = per_s(many), cores_of(many), alone_in_ms(alone)
    once = None if rate is None or alone_ms is None else rate * alone_ms / 1e3
    cells = [name, _said(alone_ms, ".0f"), _said(rate, ".0f"), _said(used, ".2f"), _said(once, ".1f")]
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def alone_in_ms(alone: LoadResult | None) -> float | None:
    """How long one request takes when nobody else asks; None where that was not measured."""
    return None if alone is None or alone.verdict == "void" else alone.ok_response.mean_ms


def alike(one: Mapping[str, LoadResult]) -> bool | None:
    """Whether all of them give about as many answers, on an idle CPU; None where one was not measured."""
    rates, used = [per_s(each) for each in one.values()], [cores_of(each) for each in one.values()]
    known = [rate for rate in rates if rate is not None]
    if not known or len(known) < len(rates):
        return None
    return max(known) / min(known) < ALIKE and all((each or 0.0) < 0.5 for each in used)


def alike_in_words(one: Mapping[str, LoadResult]) -> str:
    """What the numbers of one worker tell, or do not."""
    verdict = alike(one)
    if verdict is None:
        return void_in_words(*one.values())
    if verdict:
        return "Three teams, three programs, one row of numbers. Whoever looks only from here sees no difference."
    return "They differ: was this machine busy with something else? Run the cell once more, or go on and see."


# ---------------------------------------------------------------------------------------------------------- probes


def second(name: str, one: LoadResult, two: LoadResult) -> Any:
    """What a second worker brought, and the question that follows."""
    times, used = gain(one, two), cores_of(one)
    if times is None:
        return html(f"<p>{name}: {void_in_words(one, two)}</p>")
    idle = "" if used is None else f" One worker had used {used:.2f} cores' worth of CPU."
    says = f"<b>{name}</b>: {per_s(one):.0f} answers per second with one worker, {per_s(two):.0f} with two"
    says += f": × {times:.2f}.{idle}"
    if times < NO_GAIN_BELOW:
        return html(f"<p>{says} The second one brought nothing. For what do both of them wait?</p>")
    if times < GAIN_FROM:
        return html(f"<p>{says} Neither nothing nor twice: run the cell once more.</p>")
    return html(f"<p>{says} What did the second worker bring along?</p>")


def opened(name: str, found: Told) -> Any:
    """The source, folded, with what is true of it and whether the diagnosis said so."""
    verdict, truth = TRUTH[name]
    if found.verdict == verdict:
        said = f"<code>diagnose</code> said <b>{found.verdict}</b> (confidence {found.confidence}), and so it is"
    elif found.verdict in WORD_OF:
        said = (
            f"<code>diagnose</code> said <b>{found.verdict}</b> (confidence {found.confidence}), and <b>it was wrong"
            f"</b>. Be its referee: <code>print(found[{name!r}].explain())</code>. In truth it is"
        )
    else:
        said = f"<code>diagnose</code> could not tell ({found.verdict}). It is"
    return html(
        f"<details><summary><b>The source of {name}</b>, and whether <code>diagnose</code> was right</summary>"
        f"{_code(source(name))}<p>{said}: {truth}.</p></details>"
    )


def source(name: str) -> str:
    """The part of the mysteries' file that is this one."""
    parts = re.split(r"^# -+ (\w)$", MYSTERIES.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[name.lower()].strip()


# -------------------------------------------------------------------------------------------------------- your own


def report_link(path: Path) -> Any:
    """A link to the page, from a notebook's folder."""
    shown = store.shown(path)
    address = path.as_uri() if Path(shown).is_absolute() else f"../{shown}"
    return html(f'<p>The page for your colleagues: <a href="{escape(address)}" target="_blank">{escape(shown)}</a></p>')


# ----------------------------------------------------------------------------------------------------------- recap


def recap(
    one: Mapping[str, LoadResult],
    two: Mapping[str, LoadResult],
    seen: Mapping[str, Sequence[Stacks]],
    found: Mapping[str, Told],
    bets: Mapping[str, Prediction],
    mine: Told,
) -> Any:
    """The recap of notebook 11, computed from the learner's own numbers."""
    lines = [_same_cause(one, two), _idle(one, two), _culprit(seen.get("C", ())), _eight(one, two)]
    lines += [_score(found, bets, mine), _own(mine)]
    return html(f"<ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>")


def _same_cause(one: Mapping[str, LoadResult], two: Mapping[str, LoadResult]) -> str:
    claim = "“The same numbers, so the same cause”"
    a, b = gain(one.get("A"), two.get("A")), gain(one.get("B"), two.get("B"))
    if a is None or b is None or alike(one) is None:
        return f"{claim}: {VOID}."
    if not alike(one):
        return f"{claim}: the numbers of one worker differed this time."
    if a > GAIN_FROM and b < NO_GAIN_BELOW:
        return f"{claim}: no. A and B looked alike; a second worker brought × {a:.2f} to A and × {b:.2f} to B."
    return f"{claim}: a second worker brought × {a:.2f} to A and × {b:.2f} to B. Find out why."


def _idle(one: Mapping[str, LoadResult], two: Mapping[str, LoadResult]) -> str:
    claim = "“The CPU idles, so workers cannot help”"
    times, used = gain(one.get("A"), two.get("A")), cores_of(one.get("A"))
    if times is None or used is None:
        return f"{claim}: {VOID}."
    if times < GAIN_FROM:
        return f"{claim}: here it looks so, × {times:.2f} for A. Find out why."
    return (
        f"{claim}: no. A used {used:.2f} of a core, and a second worker brought × {times:.2f}: it brings its own lock,"
        " not only its own core. That opens a second door for the queue; the cure is a wider one."
    )


def _culprit(looks: Sequence[Stacks]) -> str:
    claim = "“The slow line stands in the endpoint”"
    frames = [look.own for look in looks if look.own is not None]
    if not frames:
        return f"{claim}: C's event loop was met in no line this time. Read its stacks once more."
    functions = [frame.function for frame in frames]
    function = max(functions, key=functions.count)
    if function == "items":
        return f"{claim}: here it did, in <code>{function}()</code>. Find out why."
    return f"{claim}: not in C. Its event loop stood in <code>{escape(function)}()</code>, which every request passes."


def _eight(one: Mapping[str, LoadResult], two: Mapping[str, LoadResult]) -> str:
    claim = "“Eight workers, please”"
    gains = {name: gain(one.get(name), two.get(name)) for name in TRUTH}
    known = {name: times for name, times in gains.items() if times is not None}
    if len(known) < len(gains):
        return f"{claim}: {VOID}."
    brought = ", ".join(f"× {times:.2f} to {name}" for name, times in known.items())
    helped = [name for name, times in known.items() if times > GAIN_FROM]
    if not helped:
        return f"{claim}: the second one brought {brought}. Whom would the other six help?"
    return (
        f"{claim}: the second one brought {brought}. It helps {' and '.join(helped)}, and cures nobody: in each worker"
        " the requests still wait, one for the other. Eight workers are eight such queues, and eight times the memory."
    )


def _score(found: Mapping[str, Told], bets: Mapping[str, Prediction], mine: Told) -> str:
    verdicts = ", ".join(f"{name} {each.verdict} ({each.confidence})" for name, each in found.items())
    correct = sum(each.verdict == TRUTH[name][0] for name, each in found.items())
    seconds = sum(each.seconds for each in found.values())
    made = {name: bet.chosen.words for name, bet in bets.items() if bet.chosen is not None}
    hit = sum(words == (WORD_OF[TRUTH[name][0]] if name in TRUTH else right(mine)) for name, words in made.items())
    you = f"Of your bets {hit} of {len(made)} came true." if made else "You made no bets."
    return (
        f"<code>diagnose</code> said: {verdicts}. Right by the source: {correct} of {len(found)}, in {seconds:.0f} s."
        f" {you}"
    )


def _own(mine: Told) -> str:
    tried = "; ".join(
        f"{trial.change}: × {trial.predicted:.2g} expected, {_said(trial.measured, '.2f', '× ')}"
        for trial in mine.trials
    )
    return f"Your own API: <b>{mine.verdict}</b>, confidence {mine.confidence}{f' ({tried})' if tried else ''}."


# ---------------------------------------------------------------------------------------------------- going deeper


def apart(first: Told, other: Told) -> Any:
    """The first question of two walks that was answered differently."""
    for one, two in zip(first.walk.steps, other.walk.steps, strict=False):
        if one.question == two.question and one.yes != two.yes:
            values = f"{_said(one.value, '.2f')} and {_said(two.value, '.2f')}, threshold {one.over:g}"
            return html(f"<p>The first answer that differs: <b>{escape(one.question)}</b> ({values}).</p>")
        if one.question != two.question:
            break
    return html("<p>No question that both were asked was answered differently this time.</p>")


def thresholds(rules: Any) -> Any:
    """The constants of the decision, with the reason that its source gives."""
    pattern = re.compile(r"^([A-Z_]+) = ([\d.]+)  # (.+)$", re.MULTILINE)
    rows = "".join(
        f"<tr><td><code>{name}</code></td><td>{value}</td><td style='text-align:left'>{escape(reason)}</td></tr>"
        for name, value, reason in pattern.findall(inspect.getsource(rules))
    )
    return html(f"<table><tbody>{rows}</tbody></table>")


def folded_source(function: Callable[..., Any]) -> Any:
    """The source of a function, folded."""
    code = _code(inspect.getsource(function))
    return html(f"<details><summary><code>{function.__name__}()</code></summary>{code}</details>")


def from_outside_in_words(inside: Told, outer: Told) -> Any:
    """The same API diagnosed by its import string, and by its address."""
    says = (
        f"By its import string: <b>{inside.verdict}</b> ({inside.confidence}). By its address: <b>{outer.verdict}</b>"
    )
    says += f" ({outer.confidence})."
    if outer.verdict == "inconclusive":
        end = "It does not guess: the deciding question needs a second worker, and nobody can start one from outside."
    elif outer.verdict == inside.verdict:
        end = "The same verdict, from fewer probes. Which question could it leave out?"
    else:
        end = "Two verdicts for one API: be the referee. Which of them had more probes to go by?"
    return html(f"<p>{says} {end}</p>")


def _said(value: float | None, form: str, before: str = "") -> str:
    return VOID if value is None else f"{before}{value:{form}}"


def _rich(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _code(text: str) -> str:
    return f'<pre style="font-family:monospace">{escape(text)}</pre>'
