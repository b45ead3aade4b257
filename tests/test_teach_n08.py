"""Notebook 08: its exercises, its words in every direction, its pictures, and the code that it shows."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest

from helpers.errors import InputError
from helpers.notebooks import execute, find
from helpers.plots.counters import Told, counters_plot
from helpers.plots.heard import heard_plot
from helpers.plots.outbox import outbox_plot
from helpers.plots.wrong import Group, wrong_plot
from helpers.teach.chat import NAMES, Heard
from helpers.teach.exercises import check
from helpers.teach.memory import Reading
from helpers.teach.outcomes import VOID
from helpers.teach.shop import Mail, Reply, Wrong
from helpers.teach.words import n08, n08_repairs
from helpers.teach.words import n08_deeper as deeper
from helpers.teach.words.n08 import Seen
from helpers.teach.words.n08_recap import NOT_YET, Measured, all_seven, recap
from tests.pictures import label_faults
from tests.test_notebooks import cells


def told(*pids: int) -> list[dict[str, int]]:
    """Visits answered by these workers in turn, each with a counter of its own."""
    return [{"visits": pids[: place + 1].count(pid), "pid": pid} for place, pid in enumerate(pids)]


def one_counter(*pids: int) -> list[dict[str, int]]:
    return [{"visits": place, "pid": pid} for place, pid in enumerate(pids, 1)]


def talked(first: int, *, between: bool = False, own: bool = False, delay_ms: float = 1.0) -> Heard:
    """So many people are served by worker 11 and the others by 12; who hears whom beside oneself is said."""
    people = {name: 11 if place < first else 12 for place, name in enumerate(NAMES)}
    pairs = [(a, b) for a in NAMES for b in NAMES if a == b or (not own and (between or people[a] == people[b]))]
    return Heard(people, dict.fromkeys(pairs, delay_ms))


def sent(*pids: int) -> list[Mail]:
    return [Mail(0.5 + 0.1 * place, pid, "the shop is open") for place, pid in enumerate(pids)]


SPLIT = told(*[11, 12, 11] * 60, *[12] * 20)
CHAT = talked(4)
ALONE = Seen(told(*[10] * 200), talked(8), sent(10))
BOTH = Seen(SPLIT, CHAT, sent(11, 12, 13))
LOST = {
    1: {"/visit/read-then-write": Wrong(500, 900), "/visit/with-lock": Wrong(0, 900)},
    2: {"/visit/read-then-write": Wrong(400, 1000), "/visit/with-lock": Wrong(90, 1100)},
}
LOST[2] |= {"/visit/in-transaction": Wrong(0, 800), "/visit": Wrong(0, 1000)}
BROKEN = {
    "cache": Wrong(20, 40),
    "rate limiter": Wrong(10, 20),
    "session": Wrong(19, 40, (21, 19)),
    "scheduler": Wrong(11, 23),
    "one connection": Wrong(0, 40, (40,)),
}
FINE = {name: Wrong(0, 40) for name in BROKEN}
FOUND = {deeper.ONE: FINE, deeper.TWO: BROKEN, deeper.SQLITE: FINE, deeper.REDIS: FINE}
MEMORY = {
    "one worker": (Reading(1, 60, 40), Reading(1, 120, 100)),
    "two workers": (Reading(2, 90, 60), Reading(2, 210, 180)),
    "two workers, mapped from a file": (Reading(2, 90, 60), Reading(2, 210, 122)),
}


@dataclass
class Result:
    """The part of a load test's result that words are made of."""

    achieved_per_s: float
    verdict: str = "pass"
    p50_ms: float = 2.0
    p95_ms: float | None = None
    plan: Any = field(default_factory=lambda: SimpleNamespace(users=8))
    reasons: Sequence[str] = ("somebody pulled the plug",)


COST: dict[str, Any] = {
    n08_repairs.IN_MEMORY: Result(5000),
    n08_repairs.THREAD: Result(2500),
    n08_repairs.REDIS: Result(3000),
    n08_repairs.SQLITE: Result(2000),
}
MINE = Measured(
    ALONE,
    BOTH,
    LOST,
    {"SQLite": talked(4, between=True, delay_ms=12.0), "Redis": talked(4, between=True, delay_ms=2.0)},
    sent(11),
    COST,
)


# --------------------------------------------------------------------------------------------------------- exercises


def test_what_lies_outside_of_both_workers_is_shared() -> None:
    assert check("08.1", ...).mark == "open"
    assert check("08.1", {"B", "D", "F"}).mark == "right"
    assert check("08.1", ["f", "d", "b"]).mark == "right"
    wrong = (
        {"A", "B", "D", "F"},
        {"B", "C", "D", "F"},
        {"B", "D", "E", "F"},
        {"D", "F"},
        {"B", "F"},
        {"B", "D"},
        set(),
    )
    hints = [check("08.1", answer) for answer in wrong]
    assert {hint.mark for hint in hints} == {"wrong"}
    assert len({hint.says for hint in hints}) == len(wrong)
    assert all(hint.says.endswith("?") or "None of them?" in hint.says for hint in hints)
    assert "another kind" in check("08.1", 3).says
    assert "another kind" in check("08.1", {"G"}).says


def test_only_what_leaves_no_moment_in_between_counts_right() -> None:
    assert check("08.2", ...).mark == "open"
    assert check("08.2", {"C", "D"}).mark == "right"
    wrong = ({"A", "C", "D"}, {"B", "C", "D"}, {"D"}, {"C"})
    hints = [check("08.2", answer) for answer in wrong]
    assert {hint.mark for hint in hints} == {"wrong"}
    assert len({hint.says for hint in hints}) == 4
    assert check("08.2", {"E"}).mark == "wrong"


def test_the_cost_is_a_share_of_the_work_that_was_there_before() -> None:
    facts = {"cost_ms": 0.4, "work_ms": 10}
    assert check("08.3", ..., **facts).mark == "open"
    assert check("08.3", 4, **facts).mark == "right"
    hints = [check("08.3", wrong, **facts) for wrong in (0.04, 104, 2500, 40)]
    assert {hint.mark for hint in hints} == {"wrong"}
    assert len({hint.says for hint in hints}) == 4
    assert "its part of the new time" in check("08.3", 100 * 5 / 15, cost_ms=5, work_ms=10).says
    assert check("08.3", "much", **facts).mark == "wrong"


# ---------------------------------------------------------------------------------------------------- the three breaks


@pytest.mark.parametrize(
    ("visits", "right", "says"),
    [
        (SPLIT, n08.EACH, "Each process has a variable of its own"),
        (one_counter(*[11, 12] * 50), n08.ONE_FOR_ALL, "What do these two share?"),
        (told(*[11] * 100), VOID, "Nobody promised it"),
        ([*told(*[11, 12] * 50)[:-1], {"visits": 70, "pid": 12}], n08.COLLIDE, "neither one counter nor two"),
    ],
)
def test_the_numbers_told_bear_out_one_answer(visits: list[dict[str, int]], right: str, says: str) -> None:
    assert n08.counter_right(visits) == right
    assert says in n08.counter_in_words(visits)


def test_visitors_with_a_number_that_somebody_else_holds_are_counted() -> None:
    assert n08.given_twice(told(11, 12, 11)) == 2
    assert n08.given_twice(one_counter(11, 12, 11)) == 0
    assert "160 visitors hold a number that somebody else holds" in n08.counter_in_words(SPLIT)


@pytest.mark.parametrize(
    ("heard", "right", "says"),
    [
        (talked(4), n08.SAME_WORKER, "There are two rooms"),
        (talked(5), n08.SAME_WORKER, "34 of 64"),
        (talked(4, between=True), n08.ALL_HEAR, "What do these two share?"),
        (talked(4, own=True), n08.ONLY_ONESELF, "neither one room nor two"),
        (talked(8), VOID, "served by the same worker"),
        (replace(talked(4), delay_ms={("Ada", "Ada"): 1.0}), VOID, "neither one room nor two"),
    ],
)
def test_the_messages_bear_out_one_answer(heard: Heard, right: str, says: str) -> None:
    assert n08.chat_right(heard) == right
    assert says in n08.chat_in_words(heard)


@pytest.mark.parametrize(
    ("pids", "right"),
    [
        ((11,), n08.ONCE),
        ((11, 12), n08.PER_WORKER),
        ((11, 12, 13), n08.EACH_THAT_STARTED),
        ((), VOID),
        ((11, 11, 12), VOID),
        ((1, 2, 3, 4), n08.EACH_THAT_STARTED),
    ],
)
def test_the_outbox_bears_out_one_answer(pids: tuple[int, ...], right: str) -> None:
    assert n08.start_up_right(sent(*pids)) == right
    assert ("belongs to the worker" in n08.start_up_in_words(sent(*pids))) == (right == n08.EACH_THAT_STARTED)
    assert ("nobody sent anything" in str(n08.mails(sent(*pids)))) == (not pids)


def test_one_worker_is_told_as_three_numbers() -> None:
    said = str(n08.all_right(ALONE))
    assert "told 200" in said
    assert "64 of 64" in said
    assert "sent once" in said
    assert "sent twice" in str(n08.all_right(replace(ALONE, mails=sent(1, 2))))


def test_what_each_worker_had_stands_side_by_side() -> None:
    table = n08.copied(BOTH).text
    assert [f"worker {pid}" in table for pid in (11, 12, 13)] == [True] * 3
    assert "4 people" in table
    assert "lines of 3 processes" in table
    assert "2 of them answered visits" in table


# --------------------------------------------------------------------------------------------------------- the repairs


def losses(one: int, two: int, *, locked: int = 90, of: int = 1000) -> dict[int, dict[str, Wrong]]:
    return {
        workers: {**LOST[workers], n08_repairs.NAIVE: Wrong(number, of), n08_repairs.LOCKED: Wrong(lock, 1000)}
        for workers, number, lock in ((1, one, 0), (2, two, locked))
    }


@pytest.mark.parametrize(
    ("two", "right"),
    [(0, VOID), (20, n08_repairs.FEW), (70, n08_repairs.BETWEEN), (300, n08_repairs.MANY)],
)
def test_the_losses_bear_out_one_answer(two: int, right: str) -> None:
    assert n08_repairs.lost_right(losses(5, two)) == right
    assert ("That proves nothing" in n08_repairs.lost_in_words(losses(5, two))) == (two == 0)


def test_that_one_worker_loses_too_is_said_only_where_it_does() -> None:
    assert "threads" in n08_repairs.lost_in_words(losses(5, 300))
    assert "threads" not in n08_repairs.lost_in_words(losses(0, 300))
    shares = losses(0, 300)
    shares[2][n08_repairs.NAIVE] = Wrong(300, 1000, (450, 550))
    assert "the workers served 450 and 550" in n08_repairs.lost_in_words(shares)
    assert n08_repairs.lost_right(losses(0, 0, of=0)) == VOID
    assert VOID in n08_repairs.lost_in_words(losses(0, 0, of=0))


def test_the_lock_is_told_as_it_came() -> None:
    assert "right with one worker and wrong with two" in str(n08_repairs.compared(losses(5, 300)))
    lucky = str(n08_repairs.compared(losses(5, 300, locked=0)))
    assert "B, C and D lost nothing this time" in lucky
    assert "B had luck" in lucky


def test_the_ways_of_a_message_are_compared_also_without_redis() -> None:
    said = n08_repairs.rooms_in_words(ALONE.chat, CHAT, MINE.rooms).text
    assert "32 of 64" in said
    assert "12.0 ms" in said
    assert "Redis calls every worker at once" in said
    without = n08_repairs.rooms_in_words(ALONE.chat, CHAT, {"SQLite": MINE.rooms["SQLite"], "Redis": None}).text
    assert n08_repairs.NO_REDIS in without
    assert "nothing is shown of it" in without
    slow = {"SQLite": MINE.rooms["SQLite"], "Redis": talked(4, between=True, delay_ms=30.0)}
    assert "no slower here" in n08_repairs.rooms_in_words(ALONE.chat, CHAT, slow).text


def test_the_repaired_start_up_is_told_as_it_came() -> None:
    assert "An empty list" in str(n08_repairs.once_in_words(BOTH.mails, sent(11), 3))
    assert "should have been one" in str(n08_repairs.once_in_words(BOTH.mails, sent(11, 12), 3))


def test_the_cost_is_told_for_every_outcome() -> None:
    said = n08_repairs.cost_in_words(COST)
    assert "In SQLite: 40 % of the visits per second in memory" in said
    assert "asks nobody at all has 50 %: so most of the cost is the thread" in said
    assert "a part of the cost" in n08_repairs.cost_in_words(COST | {n08_repairs.THREAD: Result(4000)})
    assert "next to nothing is the database" in n08_repairs.cost_in_words(COST | {n08_repairs.THREAD: Result(1900)})
    assert "asks nobody" not in n08_repairs.cost_in_words(COST | {n08_repairs.THREAD: Result(0, "void")})
    assert "through a socket: 60 %" in said
    assert "0.50 ms instead of 0.20 ms" in said
    assert n08_repairs.cost_ms(COST) == pytest.approx(0.3)
    assert "as many visits per second" in n08_repairs.cost_in_words(COST | {"SQLite": Result(5100)})
    without = {name: result for name, result in COST.items() if name != n08_repairs.REDIS}
    assert "is not installed here" in n08_repairs.cost_in_words(without)
    void = COST | {"SQLite": Result(0, "void")}
    assert "pulled the plug" in n08_repairs.cost_in_words(void)
    assert n08_repairs.left(void) is None
    assert n08_repairs.to_reckon_with(void) > 0
    assert "void" in n08_repairs.cost(void).alt
    assert "2.00 ms" in n08_repairs.response_table(COST).text
    assert n08_repairs.response_table(void).text.count("–") == 2


def test_the_recap_changes_when_the_results_are_changed() -> None:
    said = str(recap(MINE))
    for number in ("120 and 80", "32 of 64", "3 times", "400 of 1,000 visits lost", "90 of 1,100", "40 %", "60 %"):
        assert number in said, number
    assert str(recap(replace(MINE, both=replace(BOTH, chat=talked(5))))) != said
    assert VOID in str(recap(replace(MINE, cost=COST | {"SQLite": Result(0, "void")})))
    without = replace(MINE, rooms=dict(MINE.rooms) | {"Redis": None}, cost=COST | {"Redis": Result(0, "void")})
    assert "Redis" not in str(recap(without))


# ------------------------------------------------------------------------------------------------------- going deeper


def test_the_four_bear_out_an_answer_each() -> None:
    assert set(deeper.four_right(FOUND).values()) == {deeper.SOMETIMES}
    assert set(deeper.four_right(FOUND | {deeper.TWO: FINE}).values()) == {deeper.NEVER}
    assert deeper.four_right(FOUND | {deeper.TWO: {"cache": Wrong(40, 40)}}) == {"cache": deeper.ALWAYS}
    assert [line.kind for line in deeper.LINES] == list(BROKEN)[:4]
    assert all(len(line.asks) == len(deeper.ANSWERS) for line in deeper.LINES)


def test_the_four_are_told_with_their_repairs() -> None:
    said = deeper.four_in_words(FOUND)
    assert "10 of 20 searches" in said
    assert "one and the same break" in said
    assert said.count("all four are right") == 2
    assert "chance brought all requests to one worker" in deeper.four_in_words(FOUND | {deeper.TWO: FINE})
    assert "no redis-server" in deeper.four_in_words(FOUND | {deeper.REDIS: None})
    assert "still wrong: session" in deeper.four_in_words(FOUND | {deeper.SQLITE: FINE | {"session": Wrong(1, 40)}})


def test_a_connection_that_is_kept_hides_it() -> None:
    said = str(deeper.connections_in_words(FOUND))
    assert "answered 21 and 19 pages, and 19 of 40 asked" in said
    assert "One connection: 40 pages, and 0 of 40" in said
    assert "may see nothing wrong" in said
    for name in ("session", "one connection"):
        odd = FOUND | {deeper.TWO: BROKEN | {name: Wrong(40 if name == "one connection" else 0, 40, (40,))}}
        assert "chance" in str(deeper.connections_in_words(odd))


def test_a_handover_is_told_as_it_came() -> None:
    mails = [Mail(at, pid, "newsletter") for at, pid in [(1.0, 11), (1.1, 11), (1.5, 12), (1.6, 12)]]
    said = str(deeper.handover_in_words(mails, {11: 1.15}, every_s=0.1))
    assert "400 ms after its last" in said
    assert "At no time did two send" in said
    assert "Nobody took over" in str(deeper.handover_in_words(mails[:2], {11: 1.15}, every_s=0.1))
    mixed = [*mails[:1], Mail(1.05, 12, "newsletter"), *mails[1:]]
    assert "look at the lanes" in str(deeper.handover_in_words(mixed, {11: 1.15}, every_s=0.1))


def test_how_often_the_model_is_in_memory_is_counted() -> None:
    said = str(deeper.models_in_words(MEMORY, model_mib=60))
    assert (
        "one worker: all processes together 100 MiB, without the model 40. So it is in memory 1.0 times: once." in said
    )
    assert "2.0 times: once per worker" in said
    assert "1.0 times: once for both" in said
    half = {"two workers": (Reading(2, 90, 60), Reading(2, 200, 144))}
    assert "1.4 times: in between" in str(deeper.models_in_words(half, model_mib=60))
    assert "quick pace" in str(deeper.models_in_words({}, model_mib=60))
    unknown = {"two workers": (Reading(2, 90, None), Reading(2, 200, None))}
    assert "does not tell the PSS" in str(deeper.models_in_words(unknown, model_mib=60))
    assert deeper.times_in_memory(unknown, model_mib=60) == {"two workers": None}


def test_a_locked_database_is_told_as_it_came() -> None:
    fine = Reply("GET /visit", 200, "{'visits': 1}", 0.002)
    locked = Reply("GET /visit", 503, "the database: database is locked", 0.21)
    replies = {"before": fine, "a visit": locked, "reading": fine, "afterwards": fine}
    assert "database is locked" in deeper.replies(replies).text
    assert "waited 210 ms" in str(deeper.locked_in_words(replies, patience_s=0.2))
    assert "not what one expects" in str(deeper.locked_in_words(replies | {"a visit": fine}, patience_s=0.2))
    assert "cannot count" in str(deeper.gone_in_words({"before": fine, "after": locked}))
    assert "not what one expects" in str(deeper.gone_in_words({"before": fine, "after": fine}))
    assert "no redis-server" in str(deeper.replies({}))
    assert str(deeper.gone_in_words({})) == ""


def test_the_table_of_all_seven_says_what_was_not_measured() -> None:
    whole = all_seven(MINE, FOUND, deeper.times_in_memory(MEMORY, model_mib=60)).text
    assert NOT_YET not in whole
    for number in (
        "200 of 200",
        "120 and 80 of 200",
        "32 of 64 arrive",
        "ran 3 times",
        "ran once",
        "2.0 times in memory",
    ):
        assert number in whole, number
    part = all_seven(MINE, FOUND | {deeper.REDIS: None, deeper.SQLITE: None}, {})
    assert part.text.count(NOT_YET) == 4 + 3


# ------------------------------------------------------------------------------------------------------- the pictures


def test_no_label_of_a_picture_leaves_it_or_covers_another(monkeypatch: pytest.MonkeyPatch) -> None:
    gallery = {f"counter, bet {bet}": n08.counters(SPLIT, bet=bet) for bet in (None, 200, 190, 100)}
    gallery |= {"one counter": n08.counters(ALONE.told), "long pids": n08.counters(told(*[4194301, 4194302] * 100))}
    gallery |= {f"chat, bet {bet}": n08.chat(CHAT, bet=bet) for bet in (None, 1.0, 0.5)}
    gallery |= {"chat, 7": n08.chat(talked(7)), "chat, 8": n08.chat(talked(8), bet=0.125)}
    gallery |= {"mails": n08.mails(BOTH.mails, {11: 0.62}, bet=2), "one mail": n08.mails(sent(11))}
    gallery |= {f"lost, bet {bet}": n08_repairs.lost(LOST, n08_repairs.NAIVE, bet=bet) for bet in (0.0, 0.3)}
    gallery |= {"all ways": n08_repairs.lost(LOST), "four": deeper.four(FOUND, dict.fromkeys(BROKEN, 0.5))}
    gallery |= {"four without redis": deeper.four(FOUND | {deeper.REDIS: None}, dict.fromkeys(BROKEN, 1.0))}
    gallery |= {f"cost, bet {bet}": n08_repairs.cost(COST, bet=bet) for bet in (0.9, 0.03)}
    assert label_faults(gallery, monkeypatch) == []


def test_a_picture_says_in_one_sentence_what_it_shows() -> None:
    assert (
        "worker 11 came to 120, worker 12 came to 80; your bet for the last one was 190"
        in n08.counters(SPLIT, bet=190).alt
    )
    assert (
        "4 with worker 11, 4 with worker 12; 32 of 64 messages arrived; your bet was 64" in n08.chat(CHAT, bet=1.0).alt
    )
    assert "worker 11 sent 1, and was killed" in n08.mails(BOTH.mails, {11: 0.62}).alt
    assert "A: read, then write: one worker 500 of 900, two workers 400 of 1,000; B:" in n08_repairs.lost(LOST).alt
    assert "two, with Redis not measured" in deeper.four(FOUND | {deeper.REDIS: None}, {"cache": 0.5}).alt
    assert "(your bet: 50 %)" in deeper.four(FOUND, {"cache": 0.5}).alt


def test_nothing_to_draw_is_refused_with_a_hint() -> None:
    for draw in (
        lambda: counters_plot([]),
        lambda: heard_plot({}, set()),
        lambda: outbox_plot("mails", []),
        lambda: wrong_plot("wrong", [], what="of all"),
    ):
        with pytest.raises(InputError) as refused:
            draw()
        assert refused.value.hint
    assert counters_plot([Told(1, 11)]).table.shape == (1, 3)
    assert wrong_plot("w", [Group("a", {"one": None})], what="x").table.iloc[0]["one"] == "not measured"


# ----------------------------------------------------------------------------------------------- the code that is shown


SHOWN = [
    ("state", 'send_mail("the shop is open")'),
    ("shared", 'if ask("INSERT INTO done VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING 1", f"opened {RELEASE}", ME):'),
    ("shared", "n = CASE WHEN since < ?2 - 60 THEN 1 ELSE n + 1 END,"),
    ("shared", "ON CONFLICT DO UPDATE SET owner = ?1, until = ?2 + ?3 WHERE owner = ?1 OR until < ?2 RETURNING owner"),
    ("shared_redis", 'both.expire(f"asked {client}", 60, nx=True)'),
]


@pytest.mark.parametrize(("module", "line"), SHOWN)
def test_a_statement_that_the_notebook_shows_is_one_of_the_shop(module: str, line: str) -> None:
    (notebook,) = find(["08"])
    code = (notebook.parents[1] / f"helpers/demo/{module}.py").read_text()
    assert line in " ".join(code.split())
    assert line in " ".join("\n".join(cells(notebook, "markdown")).split())


@pytest.mark.full
def test_without_a_redis_server_it_runs_on_and_says_what_it_does_not_show(tmp_path: Path) -> None:
    (notebook,) = find(["08"])
    document = nbformat.read(notebook, as_version=4)
    nowhere = "from helpers.server.companion import Redis\nRedis.program = 'redis-server-that-is-not-there'"
    document.cells.insert(0, nbformat.v4.new_code_cell(nowhere, id="without-redis"))
    copy = tmp_path / notebook.name
    nbformat.write(document, copy)
    done = execute(copy, into=tmp_path / "out", env={"LAB_PACE": "quick"})
    assert done.error == ""
    said = done.copy.read_text()
    assert said.count(n08_repairs.NO_REDIS) >= 3
    assert "What Redis costs is not shown" in said
