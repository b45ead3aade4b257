"""Notebook 05: its table of bets, its exercises, its words for every outcome, its pictures, and the cured endpoints."""

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from helpers import proc
from helpers.errors import InputError
from helpers.load.cpu import CpuSplit
from helpers.plots.decision import LEAVES, decision_plot
from helpers.plots.matrix import Kind, matrix_plot
from helpers.plots.versus import Variant, versus_plot
from helpers.server.server import Server
from helpers.server.stacks import Frame, Stacks, Thread
from helpers.teach.exercises import check
from helpers.teach.kinds import KINDS, Held, InHand, asked, gain, in_hand, measure, per_s
from helpers.teach.predict_table import Line, PredictionTable, predict_table
from helpers.teach.together import Answer, Together
from helpers.teach.words import n05, n05_deeper, n05_matrix
from tests.pictures import label_faults
from tests.serving import get, state_folder  # noqa: F401
from tests.waiting import await_true

VOID = "could not be measured"
REASON = "Other programs used 1.33 cores"


# ------------------------------------------------------------------------ results as a load test gives them, by hand


@dataclass
class Planned:
    users: int = 16


@dataclass
class Measured:
    """The part of a load test's result that words are made of."""

    achieved_per_s: float
    cpu: CpuSplit | None = None
    verdict: str = "pass"
    plan: Planned = field(default_factory=Planned)

    @property
    def reasons(self) -> list[str]:
        return [REASON] if self.verdict == "void" else []


def made(rate: float, *, used: float = 0.05, users: int = 16, void: bool = False) -> Any:
    cpu = CpuSplit(1.5, 2, {11: used}, 0.0, 0.02, 0.0, 0.01, 1.9, 0.0, 0.0, ())
    return Measured(rate, cpu, "void" if void else "pass", Planned(users))


HERE = {
    "/cpu": (84, 172), "/cpu-def": (91, 160), "/sleep": (160, 160), "/blocking": (10, 19.6),
    "/blocking-def": (158, 158), "/downstream": (79, 78), "/native": (600, 200),
}  # fmt: skip
USED = {"/cpu": 0.99, "/cpu-def": 1.0, "/native": 1.5}


def both(changed: Mapping[str, tuple[float, float]] | None = None, *, void: bool = False) -> Any:
    rates = HERE | dict(changed or {})
    found = [
        {path: made(pair[i], used=USED.get(path, 0.05), void=void) for path, pair in rates.items()} for i in (0, 1)
    ]
    return found[0], found[1]


def remedies(*, await_: float = 159, void: bool = False) -> Any:
    _, two = both(void=void)
    return {
        "async work": ("process pool", made(180, void=void)),
        "def work": ("the second worker", two["/cpu-def"]),
        "blocking in async def": ("await", made(await_, void=void)),
        "shared downstream": ("it admits 16", made(233, void=void)),
        "native code": ("1 library thread", made(1000, void=void)),
    }


def crowd(*, void: bool = False) -> list[Any]:
    return [made(rate, users=64, void=void) for rate in (397, 639, 635)]


# ---------------------------------------------------------------------------------------------------- the table of bets


def table() -> PredictionTable:
    return predict_table("bets", "how much?", n05.ANSWERS, n05.LINES)


def test_nothing_is_preselected_and_a_row_is_answered_by_code() -> None:
    bets = table()
    assert bets.values == {}
    assert bets.choose("awaiting", 2).choose("native code", 3) is bets
    assert bets.values == {"awaiting": 1.0, "native code": 2.0}
    bets.choose("awaiting", 1)
    assert bets.values["awaiting"] == 0.5
    for kind, number in (("magic", 1), ("awaiting", 0), ("awaiting", 4), ("awaiting", True), ("awaiting", "1")):
        with pytest.raises(InputError, match="there is no"):
            bets.choose(kind, number)  # type: ignore[arg-type]


def test_a_bet_made_later_is_drawn_into_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("helpers.teach.predict.show", shown.append)
    bets, drawn = table(), []
    right = dict.fromkeys(bets.kinds, n05.SAME)
    bets.reveal(lambda mine: drawn.append(dict(mine)) or "picture", says=lambda: "because", right=right)
    (area,) = shown
    assert "You made no bets" in area.value
    assert "because" in area.value
    bets.choose("awaiting", 2).choose("shared downstream", 3)
    assert drawn == [{}, {"awaiting": 1.0}, {"awaiting": 1.0, "shared downstream": 2.0}]
    assert "1 of your 2 bets came as you said" in area.value
    assert "Where is the queue" in area.value
    assert "How many of the 16" not in area.value


def test_the_table_has_a_row_of_buttons_per_kind_and_one_that_is_clicked_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("helpers.teach.predict_table.show", shown.append)
    bets = table()
    bets.choose("def work", 3)
    bets._ipython_display_()
    rows = shown[0].children[1:-1]
    assert len(rows) == len(KINDS) == 7
    buttons = {kind: row.children[1] for kind, row in zip(KINDS, rows, strict=True)}
    assert [each.index for each in buttons.values()] == [None, 2, *[None] * 5]
    buttons["awaiting"].index = 1
    assert bets.values == {"def work": 2.0, "awaiting": 1.0}
    bets.choose("awaiting", 3)
    assert buttons["awaiting"].index == 2


def test_without_widgets_the_table_is_text(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    table()._ipython_display_()
    text = capsys.readouterr().out
    assert 'bets.choose("async work", 1)' in text
    assert "native code" in text
    assert "about twice" in text


def test_every_wrong_bet_is_answered_by_a_question_and_gives_nothing_away() -> None:
    assert tuple(line.kind for line in n05.LINES) == tuple(KINDS)
    for line in n05.LINES:
        assert isinstance(line, Line)
        assert len(line.asks) == len(n05.ANSWERS)
        assert all(ask.endswith("?") for ask in line.asks)


# --------------------------------------------------------------------------------------------------------- exercises


@pytest.mark.parametrize(
    ("exercise", "right", "wrong"),
    [
        ("05.1", (12, 12.0, "12"), (4, 16, 0.75, 100)),
        ("05.2", (40, 40.0), (160, 10, 80, 7)),
        (
            "05.3",
            ({"A": "workers", "B": "await", "C": "downstream"}, {"a": "Workers", "b": "AWAIT ", "c": "downstream"}),
            (
                {"A": "await", "B": "await", "C": "downstream"},
                {"A": "workers", "B": "workers", "C": "downstream"},
                {"A": "workers", "B": "await", "C": "threads"},
                {"A": "workers", "B": "await"},
                {"A": "workers", "B": "pray", "C": "nothing"},
            ),
        ),
    ],
)
def test_exercises_are_blank_right_or_wrong_with_a_hint_of_their_own(exercise: str, right: Any, wrong: Any) -> None:
    assert check(exercise, ...).mark == "open"
    assert {check(exercise, answer).mark for answer in right} == {"right"}
    hints = [check(exercise, answer) for answer in wrong]
    assert {hint.mark for hint in hints} == {"wrong"}
    assert len({hint.says for hint in hints}) == len(wrong)
    assert "of another kind" in check(exercise, "whatever").says


# ------------------------------------------------------------------------------------------------------------- words


def test_two_that_block_on_one_core_are_told_for_every_outcome() -> None:
    assert "one core is enough" in n05.blocked_in_words(made(19.8), pinned=True)
    assert "sleeping needs no core" in n05.blocked_in_words(made(19.8), pinned=False)
    assert "hardly more than one worker" in n05.blocked_in_words(made(10.5), pinned=True)
    assert "did not stop their workers" in n05.blocked_in_words(made(150), pinned=True)
    assert REASON in n05.blocked_in_words(made(19.8, void=True), pinned=True)
    assert REASON in str(n05.timeline(made(19.8, void=True)))
    assert REASON in str(n05.cpu_time({"two workers": made(19.8, void=True)}))
    assert "ONE core" in n05.where(True)
    assert "cannot hold" in n05.where(False)


def standing(*lines: int | None) -> list[Stacks]:
    frames = [() if line is None else (Frame("blocking", "/srv/app.py", line),) for line in lines]
    return [Stacks(1, "faulthandler", (Thread("MainThread", True, frame),)) for frame in frames]


def test_the_line_is_told_with_how_often_it_was_seen() -> None:
    says = str(n05.line_in_words({"/blocking": standing(8, 8, None, 9), "/sleep": standing(None, None)}))
    assert "2 times in /srv/app.py:8" in says
    assert "2 looks: the event loop's thread stood in no line of the app" in says
    assert "faulthandler" in says
    assert str(n05.line_in_words({"/sleep": []}))


def test_the_deleted_word_is_told_for_every_outcome() -> None:
    one, _ = both()
    assert "15.8 times" in n05.word_in_words(one)
    assert "only <code>await</code>" in n05.word_in_words(one)
    assert "no difference" in n05.word_in_words(both({"/blocking-def": (10.2, 20)})[0])
    assert REASON in n05.word_in_words(both(void=True)[0])


def test_the_downstream_is_told_for_every_outcome() -> None:
    assert "wait no faster" in n05.downstream_in_words(made(79), made(78))
    assert "That is a gain" in n05.downstream_in_words(made(40, used=0.9), made(79))
    assert REASON in n05.downstream_in_words(made(79), made(78, void=True))
    assert "about <b>12</b> wait" in n05.queue_in_words(Held(16, 16), Held(16, 16), admits=4).text
    assert "hardly anybody" in str(n05.queue_in_words(Held(0, 3), Held(2, 3), admits=4))


@pytest.mark.parametrize(
    ("times", "words"),
    [(None, n05.VOID), (0.33, n05.LESS), (1.02, n05.SAME), (1.4, n05.BETWEEN), (1.96, n05.TWICE), (16, n05.MORE)],
)
def test_a_gain_bears_out_one_answer_or_says_that_it_bears_out_none(times: float | None, words: str) -> None:
    assert n05.in_words(times) == words


def test_the_matrix_is_told_by_the_numbers() -> None:
    one, two = both()
    says = n05_matrix.matrix_in_words(one, two, remedies(), crowd())
    assert "about twice for <i>async work</i>, <i>def work</i>, <i>blocking in async def</i>" in says
    assert "clearly fewer for <i>native code</i>" in says
    assert "did gain from a second worker, 1.96 times, the cure 15.9 times with these 16 users" in says
    assert "GIL" in says
    assert "64 users" in says
    assert "one worker gave 2.9 times the answers." in says
    moved = remedies() | {"shared downstream": ("it admits 16", made(233, used=0.97))}
    assert "the queue has moved" in n05_matrix.matrix_in_words(one, two, moved, crowd())
    alone = n05_matrix.matrix_in_words(*both(dict.fromkeys(HERE, (90, 91))), remedies(), crowd())
    assert "about twice for none" in alone
    assert "gained nothing to speak of" in alone
    assert n05.right(one, two)["native code"] == n05.LESS


def test_the_cures_of_one_call_are_told_for_every_outcome() -> None:
    cured = {"/await": made(160), "/def": made(158), "/to-thread": made(60)}
    assert "about 6 calls at a time" in str(n05_matrix.cures_in_words(made(10), cured))
    assert "about equal" in str(n05_matrix.cures_in_words(made(10), cured | {"/to-thread": made(159)}))
    assert REASON in str(n05_matrix.cures_in_words(made(10), cured | {"/def": made(1, void=True)}))


def test_the_questions_under_the_matrix_are_answered_by_the_numbers() -> None:
    one, _ = both()
    says = str(n05_matrix.everywhere_in_words(one, remedies(), crowd(), made(636, users=64)))
    assert "× 15.9 with 16 users, since each user waits for nobody" in says
    assert "brought × 1.08 in one worker, so nothing" in says
    assert "397 answers per second" in says
    odd = both({"/cpu-def": (160, 160)})[0]
    says = str(n05_matrix.everywhere_in_words(odd, remedies(await_=60), crowd(), made(636, users=64)))
    assert "a limit of its own" in says
    assert "something: was it disturbed" in says


def test_the_tree_says_what_each_way_to_cure_a_blocking_call_brought() -> None:
    one, two = both()
    assert "here: × 15.9, 15.8, 6.0" in n05_matrix.tree(one, two, remedies(), crowd(), made(60)).alt
    assert "here: × 15.9, 15.8, void" in n05_matrix.tree(one, two, remedies(), crowd(), made(60, void=True)).alt


def test_the_recap_refutes_or_would_bear_out_each_misunderstanding() -> None:
    one, two = both()
    says = str(n05_matrix.recap(one, two, remedies(), crowd()))
    assert "had about 16 in hand" in says
    assert "brought 15.8 times the answers" in says
    assert "you would need about 16 workers" in says
    odd = both({"/sleep": (10, 20), "/blocking-def": (10, 20), "/blocking": (10, 19)})
    borne_out = str(n05_matrix.recap(*odd, remedies(await_=20), crowd()))
    assert borne_out.count("Find out why") == 3


def test_void_measurements_lead_to_words_and_not_to_a_crash() -> None:
    one, two = both(void=True)
    cures, many = remedies(void=True), crowd(void=True)
    assert str(n05_matrix.recap(one, two, cures, many)).count(VOID) >= 10
    assert "for none" in n05_matrix.matrix_in_words(one, two, cures, many)
    assert set(n05.right(one, two).values()) == {n05.VOID}
    assert "void" in n05_matrix.matrix(one, two, cures, many, {"awaiting": 2.0}).alt
    assert "here:" not in n05_matrix.tree(one, two, cures, many, made(1, void=True)).alt
    assert REASON in str(n05_matrix.everywhere_in_words(one, cures, many, made(1, void=True)))
    assert "void" in n05.versus("x", one, bet=2.0).alt
    assert gain(None, made(1)) is None
    assert per_s(made(0)) is None


def test_going_deeper_is_told_for_every_outcome() -> None:
    def took(calls: int, ms: float, outcome: str = "ok") -> Together:
        return Together("/", tuple(Answer(1, 0.0, 1.0, 2.0, ms, outcome) for _ in range(calls)))

    assert "no thread free" in str(n05_deeper.forty_in_words(took(40, 320), took(41, 610)))
    assert "No step" in str(n05_deeper.forty_in_words(took(40, 320), took(41, 330)))
    assert "once more" in str(n05_deeper.forty_in_words(took(40, 320), took(41, 330, "ReadTimeout")))
    assert "GIL" in str(n05_deeper.gil_in_words(made(91, used=1.0), made(170)))
    assert "no second core" in str(n05_deeper.gil_in_words(made(91, used=1.0), made(92)))
    assert "side by side" in str(n05_deeper.gil_in_words(made(91, used=1.9), made(170)))
    assert REASON in str(n05_deeper.gil_in_words(made(91), made(170, void=True)))
    assert "Exactly workers × 5" in str(n05_deeper.pools_in_words({1: Held(5, 5), 2: Held(9, 10)}, pool_size=5))
    assert "At most" in str(n05_deeper.pools_in_words({1: Held(5, 5), 2: Held(9, 9)}, pool_size=5))
    assert "only one worker" in str(n05_deeper.pools_in_words({1: Held(5, 5), 2: Held(5, 5)}, pool_size=5))
    assert "uvicorn helpers.demo.api:app --port 5020" in n05_deeper.in_terminals()
    assert "dump --pid PID" in n05_deeper.in_terminals()


def test_native_code_is_told_for_every_outcome() -> None:
    names = ("one worker", "two workers", "one, one thread", "two, one thread each")

    def says(*rates: float, used: float = 1.5, void: int = -1) -> str:
        made_ = [made(rate, used=used, void=i == void) for i, rate in enumerate(rates)]
        return str(n05_deeper.blas_in_words(dict(zip(names, made_, strict=True))))

    assert "in each other's way" in says(600, 200, 1000, 1500).replace("in each other&#x27;s", "in each other's")
    assert "none to add" in says(600, 590, 500, 580)
    assert "did help" in says(600, 1100, 600, 1100)
    assert "workers are what helps" in says(600, 1100, 600, 1100, used=1.0)
    assert REASON in says(600, 200, 1000, 1500, void=1)


# ------------------------------------------------------------------------------------------------------ the pictures


def test_the_matrix_draws_each_bet_and_names_each_cure() -> None:
    one, two = both()
    picture = n05_matrix.matrix(one, two, remedies(), crowd(), {"awaiting": 2.0})
    assert "awaiting: second worker 1.00, your bet 2, nothing to cure" in picture.alt
    assert "blocking in async def: second worker 1.96, await 15.9" in picture.alt
    assert len(picture.table) == 8
    assert picture.png()
    with pytest.raises(InputError):
        matrix_plot([])


def test_a_second_worker_without_a_first_is_not_compared() -> None:
    kind = Kind("awaiting", None, 160.0, 170.0, "more")
    assert (kind.times(160.0), kind.times(None)) == (None, None)
    assert matrix_plot([kind], bets={"awaiting": 1.0}).png()


def test_the_tree_leads_to_every_leaf_and_shows_what_was_measured() -> None:
    picture = decision_plot({"await": 15.9, "native": None})
    assert len(picture.table) == len(LEAVES) == 6
    assert picture.alt.count("here:") == 1
    assert "here: × 15.9" in picture.alt
    assert picture.png()


def test_variants_are_compared_with_the_first() -> None:
    picture = versus_plot(
        "Cures", [Variant("blocking", 10.0), Variant("def", 158.0), Variant("x", None)], users=16, bet=2
    )
    assert "def: 158 answers per second (15.8 times the first), x: void" in picture.alt
    assert "your bet was 2 times" in picture.alt
    assert versus_plot("Void", [Variant("a", None), Variant("b", 3.0)], users=16, bet=2.0).png()
    with pytest.raises(InputError):
        versus_plot("Nothing", [], users=16)


def test_no_label_of_these_pictures_leaves_it_or_covers_another(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = both()
    nothing, void = both(void=True)
    cures = remedies(), remedies(void=True)
    bets = {"awaiting": 2.0, "native code": 0.5}
    found = {
        "matrix": n05_matrix.matrix(one, two, cures[0], crowd(), bets),
        "matrix, void": n05_matrix.matrix(nothing, void, cures[1], crowd(void=True), bets),
        "tree": n05_matrix.tree(one, two, cures[0], crowd(), made(60)),
        "tree, void": n05_matrix.tree(nothing, void, cures[1], crowd(void=True), made(60, void=True)),
        "versus": n05.versus("One word deleted", {"async def": made(10), "def": made(158)}, bet=16.0),
        "versus, void": n05.versus("Void", {"a": made(10, void=True), "b": made(158)}, bet=2.0),
    }
    assert label_faults(found, monkeypatch) == []


# -------------------------------------------------------------------------------------------------- on real servers


def test_the_cures_answer_and_their_processes_do_not_outlive_a_killed_worker(
    state_folder: object,  # noqa: F811
) -> None:
    with Server("helpers.demo.cures:app", env={"THREADS": "3", "PROCESSES": "2"}) as server:
        for path in ("/await?ms=1", "/def?ms=1", "/to-thread?ms=1"):
            assert get(server.url, path).json() == {"ms": 1}
        assert get(server.url, "/process-pool?units=2").json() == {"units": 2, "sum": sum(range(20_000))}
        assert get(server.url, "/await?ms=-1").status == 422
        pool = [pid for pid in proc.descendants(server.pid) if "spawn_main" in proc.describe(pid, limit=1000)]
        assert len(pool) == 2
        with InHand(server) as held:
            threads = measure(server, "/def", users=8, duration=0.5)["/def"]
        assert held[server].most == 8
        assert threads.achieved_per_s < 45, "three threads of 100 ms give 30 a second; eight would give 80"
        assert max(in_hand(list(server.counts().values())) for _ in asked(server.url + "/def", users=3)) == 3
        os.kill(server.pid, signal.SIGKILL)
        await_true(lambda: not any(proc.alive(pid) for pid in pool), 5, "the pool lives on without its worker")


def test_what_is_in_hand_is_what_was_begun_and_is_not_finished() -> None:
    assert in_hand([(5, 3), (2, 2), (0, 1)]) == 2
    assert in_hand([]) == 0


def test_a_pool_of_connections_is_each_workers_own(state_folder: object) -> None:  # noqa: F811
    with Server("helpers.demo.downstream:app", env={"DOWNSTREAM_AT_A_TIME": "100"}) as behind:
        variables = {"DOWNSTREAM_URL": behind.url, "POOL_SIZE": "3"}
        with Server("helpers.demo.cures:app", env=variables) as server, InHand(behind) as held:
            measure(server, "/pooled", users=8, duration=0.5)
        assert held[behind].most == 3
