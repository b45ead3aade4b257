"""Notebook 05: the matrix of all kinds, the cures, the tree and the recap, computed from the learner's numbers."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from helpers.load.result import LoadResult
from helpers.teach.kinds import KINDS, cores_of, gain, per_s
from helpers.teach.outcomes import GAIN_FROM, NO_GAIN_BELOW, VOID
from helpers.teach.widgets import html
from helpers.teach.words.n05 import BLOCKS_S, LESS, LESS_BELOW, SAME, TWICE, in_words, void_in_words

if TYPE_CHECKING:
    from helpers.plots.picture import Picture

CROWD = "def, 64 users"
BUSY_FROM = 0.8  # cores' worth of one worker: Python runs on one core at a time
Cures = Mapping[str, tuple[str, LoadResult]]


def matrix(
    one: Mapping[str, LoadResult],
    two: Mapping[str, LoadResult],
    cures: Cures,
    crowd: Sequence[LoadResult],
    bets: Mapping[str, float],
) -> "Picture":
    """The picture of all kinds; `crowd` is the last row: one worker, two workers, and cured."""
    from helpers.plots.matrix import Kind, matrix_plot

    kinds = []
    for kind, path in KINDS.items():
        name, cured = cures.get(kind, ("", None))
        kinds.append(Kind(kind, per_s(one.get(path)), per_s(two.get(path)), per_s(cured), name, _users(one.get(path))))
    rates = [per_s(each) for each in crowd]
    kinds.append(Kind(CROWD, rates[0], rates[1], rates[2], "more threads", _users(crowd[0])))
    return matrix_plot(kinds, bets=bets)


def matrix_in_words(
    one: Mapping[str, LoadResult], two: Mapping[str, LoadResult], cures: Cures, crowd: Sequence[LoadResult]
) -> str:
    """What the matrix shows: which kinds gained, what the blocking calls gained, and what the cure did."""
    found = {kind: gain(one.get(path), two.get(path)) for kind, path in KINDS.items()}
    named = {name: [kind for kind, times in found.items() if in_words(times) == name] for name in (TWICE, SAME, LESS)}
    parts = [
        f"A second worker brought {TWICE} for {_listed(named[TWICE])}; {SAME} for {_listed(named[SAME])}"
        f"{f'; {LESS} for {_listed(named[LESS])}' if named[LESS] else ''}."
    ]
    blocked, await_ = found["blocking in async def"], cured_gain("blocking in async def", one, cures)
    if blocked is not None and await_ is not None:
        did = "did gain" if blocked >= NO_GAIN_BELOW else "gained nothing to speak of"
        more = f", the cure {await_:.1f} times with these {_users(one['/blocking'])} users" if await_ > blocked else ""
        parts.append(f"Blocking calls {did} from a second worker, {blocked:.2f} times{more}.")
    work = found["def work"]
    used = cores_of(one.get("/cpu-def"))
    if work is not None and used is not None:
        lock = "they share one lock, the GIL, and only its holder runs Python" if used < GAIN_FROM else "look at that"
        parts.append(f"The threads of <i>def work</i> used {used:.2f} cores' worth together: {lock}.")
    parts += [_eased(one, cures), _native(one, two, cures)]
    more_users = gain(crowd[0], crowd[1])
    if more_users is not None and more_users >= NO_GAIN_BELOW:
        parts.append(
            "With 64 users the 40 threads are not enough: a second worker has 40 more, and so has one setting."
        )
    return " ".join(part for part in parts if part)


def everywhere_in_words(
    one: Mapping[str, LoadResult], cures: Cures, crowd: Sequence[LoadResult], awaiting: LoadResult
) -> Any:
    """The three questions under the matrix: the cure at other numbers of users, `def` for work, `def` for many."""
    lines = []
    cure, users = cured_gain("blocking in async def", one, cures), _users(one.get("/blocking"))
    if cure is not None:
        each = "each user waits for nobody but the call" if cure > 0.8 * users else "the cure has a limit of its own"
        lines.append(f"The cure: × {cure:.1f} with {users} users, since {each}. With 4 users it can be × 4 at most.")
    work = gain(one.get("/cpu"), one.get("/cpu-def"))
    if work is not None:
        other = "nothing" if NO_GAIN_BELOW > work > LESS_BELOW else "something: was it disturbed?"
        lines.append(f"Work: the same Python in <code>def</code> brought × {work:.2f} in one worker, so {other}.")
    threads, free = per_s(crowd[0]), per_s(awaiting)
    if threads is not None and free is not None:
        lines.append(
            f"Many who wait: with {_users(crowd[0])} users <code>def</code> gave {threads:.0f} answers per second,"
            f" <code>await</code> {free:.0f}: it needs no thread for each."
        )
    if not lines:
        return html(f"<p>{void_in_words(*one.values(), *crowd)}</p>")
    body = "".join(f"<li>{line}</li>" for line in lines)
    return html(f"<details><summary>Compare</summary><ul>{body}</ul></details>")


def _eased(one: Mapping[str, LoadResult], cures: Cures) -> str:
    """Where the downstream service admits more: what is the next limit?"""
    eased = cures["shared downstream"][1] if "shared downstream" in cures else None
    times, used = gain(one.get("/downstream"), eased), cores_of(eased)
    if times is None or used is None:
        return ""
    says = (
        f"Where the <i>downstream</i> service admits four times as many, one worker gave {times:.1f} times the answers"
    )
    if times >= NO_GAIN_BELOW and used > BUSY_FROM:
        return f"{says}, and uses {used:.2f} cores' worth itself now: the queue has moved to the next in line."
    return f"{says}."


def cured_gain(kind: str, one: Mapping[str, LoadResult], cures: Cures) -> float | None:
    """How many times the answers of one uncured worker."""
    return gain(one.get(KINDS[kind]), cures[kind][1]) if kind in cures else None


def _native(one: Mapping[str, LoadResult], two: Mapping[str, LoadResult], cures: Cures) -> str:
    times, cured = gain(one.get("/native"), two.get("/native")), cured_gain("native code", one, cures)
    used = cores_of(one.get("/native"))
    if times is None or used is None:
        return ""
    says = f"<i>Native code</i> used {used:.2f} cores' worth with one worker"
    if used < NO_GAIN_BELOW:
        return f"{says}: its library runs on one core here."
    lost = " and two of them stood in each other's way" if times < LESS_BELOW else ""
    better = f"; with one library thread per call it was {cured:.2f} times" if cured is not None else ""
    return f"{says} already{lost}{better}."


def cures_in_words(blocked: LoadResult, cured: Mapping[str, LoadResult]) -> Any:
    """The ways to cure one blocking call, compared."""
    rates = {name: per_s(cured.get(f"/{name}")) for name in ("await", "def", "to-thread")}
    if per_s(blocked) is None or None in rates.values():
        return html(f"<p>{void_in_words(blocked, *cured.values())}</p>")
    least = min(rates, key=lambda name: rates[name] or 0.0)
    if least == "to-thread" and (rates["to-thread"] or 0) * NO_GAIN_BELOW < (rates["def"] or 0):
        held = (rates["to-thread"] or 0) * BLOCKS_S
        return html(
            f"<p><code>asyncio.to_thread</code> has a pool of its own, of <i>cores + 4</i> threads (32 at most): about"
            f" {held:.0f} calls at a time here. <code>def</code> has 40 threads, <code>await</code> needs none.</p>"
        )
    return html("<p>At this number of users all three are about equal: each had a place for every user.</p>")


def tree(
    one: Mapping[str, LoadResult],
    two: Mapping[str, LoadResult],
    cures: Cures,
    crowd: Sequence[LoadResult],
    in_thread: LoadResult,
) -> "Picture":
    """The decision tree with what each cure brought here; `in_thread` is the blocking call cured by to_thread."""
    from helpers.plots.decision import decision_plot

    to_thread = gain(one.get("/blocking"), in_thread)
    return decision_plot(
        {
            "workers": gain(one.get("/cpu"), two.get("/cpu")),
            "native": cured_gain("native code", one, cures),
            "await": cured_gain("blocking in async def", one, cures),
            "def": gain(one.get("/blocking"), one.get("/blocking-def")),
            "to_thread": to_thread,
            "threads": gain(crowd[0], crowd[2]),
            "downstream": cured_gain("shared downstream", one, cures),
        }
    )


# ------------------------------------------------------------------------------------------------------------ recap


def recap(
    one: Mapping[str, LoadResult], two: Mapping[str, LoadResult], cures: Cures, crowd: Sequence[LoadResult]
) -> Any:
    """The recap of notebook 05, computed from the learner's own numbers."""
    kinds = "; ".join(f"{kind} {_short(gain(one.get(path), two.get(path)))}" for kind, path in KINDS.items())
    threads, wider = gain(crowd[0], crowd[2]), cured_gain("shared downstream", one, cures)
    lines = [
        f"A second worker, times the answers of one at 16 users: {kinds}.",
        _one_at_a_time(one.get("/sleep")),
        _async_blocks(one),
        _workers_cure(one, two, cures),
        f"Shared downstream: admitting more <i>there</i>: {_short(wider)}.",
        f"64 users on <code>def</code>: more threads in one worker: {_short(threads)}.",
    ]
    items = "".join(f"<li>{line}</li>" for line in lines)
    return html(f"<ul>{items}</ul><p>All of it is a first look: one launch each.</p>")


def _one_at_a_time(sleep: LoadResult | None) -> str:
    claim = "“One worker serves one request at a time”"
    rate = per_s(sleep)
    if rate is None:
        return f"{claim}: {VOID}."
    held = rate * BLOCKS_S
    if held < 2:
        return f"{claim}: here it looks so, {held:.1f} at a time also where it awaits. Find out why."
    return f"{claim}: no. Where it awaits, one worker had about {held:.0f} in hand at a time."


def _async_blocks(one: Mapping[str, LoadResult]) -> str:
    claim = "“<code>async def</code> makes code non-blocking”"
    times = gain(one.get("/blocking"), one.get("/blocking-def"))
    if times is None:
        return f"{claim}: {VOID}."
    if times < GAIN_FROM:
        return f"{claim}: here it seems so, deleting the word brought {times:.2f} times. Find out why."
    return f"{claim}: no. Deleting the word <code>async</code> brought {times:.1f} times the answers."


def _workers_cure(one: Mapping[str, LoadResult], two: Mapping[str, LoadResult], cures: Cures) -> str:
    claim = "“More workers cure blocking calls”"
    times, cure = gain(one.get("/blocking"), two.get("/blocking")), cured_gain("blocking in async def", one, cures)
    if times is None or cure is None:
        return f"{claim}: {VOID}."
    if times >= 0.8 * cure:
        return f"{claim}: here they did as much as the cure ({times:.1f} and {cure:.1f} times). Find out why."
    name, users = cures["blocking in async def"][0], _users(one["/blocking"])
    return (
        f"{claim}: they soothe. A second one brought {times:.2f} times, the cure ({name}) {cure:.1f} times with"
        f" {users} users: you would need about {cure:.0f} workers for the same."
    )


def _short(times: float | None) -> str:
    return VOID if times is None else f"× {times:.2f}" if times < 10 else f"× {times:.1f}"


def _users(result: LoadResult | None) -> int:
    return 16 if result is None else result.plan.users or 0


def _listed(kinds: Sequence[str]) -> str:
    return ", ".join(f"<i>{kind}</i>" for kind in kinds) if kinds else "none"
