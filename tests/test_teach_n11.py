"""Notebook 11: three mysteries that look alike, its exercises, and its words for every outcome."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from helpers.diagnose import decide as rules
from helpers.diagnose.decide import VERDICTS, Walk
from helpers.load.cpu import CpuSplit
from helpers.server.server import Server
from helpers.server.stacks import Frame, Stacks, Thread, stacks
from helpers.store import RESULTS
from helpers.teach.exercises import check
from helpers.teach.kinds import asked, gain, measure
from helpers.teach.outcomes import VOID
from helpers.teach.predict import predict
from helpers.teach.words import n11
from tests.serving import state_folder  # noqa: F401

REASON = "Other programs used 1.33 cores"


@dataclass
class Planned:
    users: int = 16


@dataclass
class Response:
    mean_ms: float | None


@dataclass
class Measured:
    """The part of a load test's result that words are made of."""

    achieved_per_s: float
    cpu: CpuSplit | None = None
    verdict: str = "pass"
    ok_response: Response = field(default_factory=lambda: Response(20.6))
    plan: Planned = field(default_factory=Planned)

    @property
    def reasons(self) -> list[str]:
        return [REASON] if self.verdict == "void" else []


@dataclass
class Tried:
    change: str
    predicted: float
    measured: float | None


@dataclass
class Diagnosed:
    """The part of a diagnosis that words are made of."""

    verdict: str
    confidence: str = "high"
    summary_text: str = "It stands in `audit()`, at 5 < 6."
    seconds: float = 10.4
    trials: Sequence[Any] = ()
    walk: Walk = field(default_factory=Walk)


def made(rate: float, *, used: float = 0.04, void: bool = False) -> Any:
    cpu = CpuSplit(1.5, 2, {11: used}, 0.0, 0.02, 0.0, 0.01, 1.9, 0.0, 0.0, ())
    return Measured(rate, cpu, "void" if void else "pass")


def three(*rates: float, **how: Any) -> dict[str, Any]:
    return {name: made(rate, **how) for name, rate in zip("ABC", rates, strict=True)}


ONE, TWO = three(48, 50, 47), three(96, 50, 94)
FOUND = {name: Diagnosed(verdict) for name, (verdict, _) in n11.TRUTH.items()}


def standing(*functions: str | None) -> list[Stacks]:
    frames = [() if name is None else (Frame(name, "/srv/app.py", 8),) for name in functions]
    return [Stacks(1, "py-spy", (Thread("MainThread", True, frame),)) for frame in frames]


# --------------------------------------------------------------------------------------------------------- exercises


@pytest.mark.parametrize(
    ("exercise", "right", "wrong"),
    [
        ("11.1", (6, 6.0, "6"), (16, 2.4, 0.133, 10, 50, 6000)),
        (
            "11.2",
            ({"AB": "a second worker", "AC": "stacks"}, {"ab": "A second worker ", "ac": "Stacks"}),
            (
                {"AB": "a second worker"},
                {"AB": "a second worker", "AC": "prayer"},
                {"AB": "64 users", "AC": "stacks"},
                {"AB": "a second worker", "AC": "more cores"},
                {"AB": "stacks", "AC": "stacks"},
                {"AB": "a second worker", "AC": "a second worker"},
            ),
        ),
        (
            "11.3",
            ("cpu_bound", " CPU_bound "),
            ("event_loop_blocked", "lock_bound", "downstream_bound", "threadpool_exhausted", "inconclusive"),
        ),
    ],
)
def test_exercises_are_blank_right_or_wrong_with_a_hint_of_their_own(exercise: str, right: Any, wrong: Any) -> None:
    assert check(exercise, ...).mark == "open"
    assert {check(exercise, answer).mark for answer in right} == {"right"}
    hints = [check(exercise, answer) for answer in wrong]
    assert {hint.mark for hint in hints} == {"wrong"}
    assert len({hint.says for hint in hints}) == len(wrong)
    assert "of another kind" in check(exercise, [1, 2, 3]).says


# -------------------------------------------------------------------------------------------------------------- bets


def test_every_wrong_bet_is_answered_by_a_question_of_its_own() -> None:
    assert set(n11.WORD_OF) == set(n11.ASKS) <= set(VERDICTS)
    for options in (n11.causes(), n11.causes(all_of_them=True)):
        assert all(option.ask.endswith("?") for option in options)
        assert len({option.ask for option in options}) == len({option.words for option in options}) == len(options)
    assert {truth for truth, _ in n11.TRUTH.values()} <= set(n11.OF_THE_MYSTERIES)


def test_a_bet_and_the_diagnosis_stand_together(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("helpers.teach.predict.show", shown.append)
    bet = predict("bet", "what for?", n11.causes()).choose(1)
    bet.reveal(lambda value: "picture", says=n11.why(FOUND["A"]), right=n11.right(FOUND["A"]))
    (area,) = shown
    assert "You predicted <b>for the CPU" in area.value
    assert "measured was <b>for a lock or a small pool that each worker has</b>" in area.value
    assert "How much of a core" in area.value
    bet.choose(4)
    assert "and so it came" in area.value
    open_ = predict("bet", "what for?", n11.causes()).choose(1)
    open_.reveal(lambda value: "picture", says="x", right=n11.right(Diagnosed("inconclusive")))
    assert "It came out as inconclusive: the question stays open" in shown[-1].value


def test_the_learners_second_worker_stands_beside_the_diagnosis() -> None:
    found = Diagnosed("lock_bound", trials=[Tried("workers=2", 2.0, 2.02)])
    assert "× 2.00 in your own measurement, × 2.02 in its own: they agree" in n11.why(found, ONE["A"], TWO["A"])
    assert "they disagree" in n11.why(found, ONE["B"], TWO["B"])
    assert "<code>audit()</code>, at 5 &lt; 6. Confidence: high; it took 10 s." in n11.why(found, ONE["A"], None)
    assert "in its own" not in n11.why(Diagnosed("lock_bound", trials=[Tried("workers=2", 2.0, None)]), ONE["A"])


# ------------------------------------------------------------------------------------------------------------- words


def test_what_is_seen_from_outside_is_told_for_every_outcome() -> None:
    alone = three(48, 48, 48)
    says = n11.outside(alone, ONE).text
    assert "<td>A</td><td>21</td><td>48</td><td>0.04</td><td>1.0</td>" in says
    assert "sees no difference" in says
    assert "They differ" in str(n11.outside(alone, three(48, 90, 47)))
    assert "They differ" in str(n11.outside(alone, three(48, 50, 47, used=0.9)))
    nothing = three(48, 50, 47, void=True)
    assert REASON in str(n11.outside(nothing, nothing))
    assert str(n11.outside({}, ONE)).count(VOID) == 6


def test_a_second_worker_is_told_for_every_outcome() -> None:
    assert "What did the second worker bring along?" in str(n11.second("A", ONE["A"], TWO["A"]))
    assert "brought nothing" in str(n11.second("B", ONE["B"], TWO["B"]))
    assert "run the cell once more" in str(n11.second("B", ONE["B"], made(68)))
    assert REASON in str(n11.second("B", ONE["B"], made(68, void=True)))


def test_the_source_is_opened_with_the_truth_beside_what_was_said() -> None:
    assert "and so it is: one lock in each worker" in str(n11.opened("A", FOUND["A"]))
    assert "it was wrong" in str(n11.opened("B", FOUND["A"]))
    assert "could not tell (inconclusive)" in str(n11.opened("C", Diagnosed("inconclusive", "low")))


def test_each_mystery_has_its_own_part_of_the_file_and_no_name_that_tells() -> None:
    parts = {name: n11.source(name) for name in n11.TRUTH}
    assert "asyncio.Lock()" in parts["A"]
    assert "flock" in parts["B"]
    assert "middleware" in parts["C"]
    for name, part in parts.items():
        assert f"{name.lower()} = FastAPI(" in part
        assert f'@{name.lower()}.get("/")' in part
        assert part.count("FastAPI(") == 1


def test_the_recap_refutes_or_would_bear_out_each_misunderstanding() -> None:
    seen = {"A": standing(None), "C": standing("audit", "audit", None)}
    bets = {name: predict(name, "?", n11.causes()) for name in "ABC"}
    mine = Diagnosed("cpu_bound", trials=[Tried("workers=2", 2.0, 1.93)])
    says = str(n11.recap(ONE, TWO, seen, FOUND, bets, mine))
    assert "no. A and B looked alike; a second worker brought × 2.00 to A and × 1.00 to B" in says
    assert "no. A used 0.04 of a core, and a second worker brought × 2.00" in says
    assert "not in C. Its event loop stood in audit()" in says
    assert "× 2.00 to A, × 1.00 to B, × 2.00 to C. It helps A and C, and cures nobody" in says
    assert "Whom would the other six help?" in str(n11.recap(ONE, ONE, seen, FOUND, bets, mine))
    assert "Right by the source: 3 of 3, in 31 s. You made no bets." in says
    assert "cpu_bound, confidence high (workers=2: × 2 expected, × 1.93)" in says
    bets["A"].choose(4)
    bets["B"].choose(4)
    assert "Of your bets 1 of 2 came true." in str(n11.recap(ONE, TWO, seen, FOUND, bets, mine))
    bets["mine"] = predict("mine", "?", n11.causes(all_of_them=True)).choose(1)
    assert "Of your bets 2 of 3 came true." in str(n11.recap(ONE, TWO, seen, FOUND, bets, mine))
    odd = n11.recap(ONE, three(50, 98, 94), {"C": standing("items")}, {"A": FOUND["B"]}, bets, Diagnosed("failing"))
    assert str(odd).count("Find out why") == 3
    assert "0 of 1" in str(odd)


def test_void_measurements_lead_to_words_and_not_to_a_crash() -> None:
    nothing = three(48, 50, 47, void=True)
    mine = Diagnosed("inconclusive", "low", trials=[Tried("workers=2", 1.0, None)])
    says = str(n11.recap(nothing, nothing, {}, {}, {}, mine))
    assert says.count(VOID) == 4
    assert "met in no line" in says
    assert "differed this time" in str(n11.recap(three(48, 90, 47), TWO, {}, {}, {}, mine))
    assert gain(nothing["A"], TWO["A"]) is None


# ------------------------------------------------------------------------------------------------------ going deeper


def walked(*answers: tuple[str, float, float]) -> Walk:
    walk = Walk()
    for question, value, over in answers:
        walk.asks(question, value, over=over)
    return walk


def test_the_first_difference_of_two_walks_is_named() -> None:
    same, a, b = ("cores", 0.02, 1.25), ("gain of a second worker", 2.02, 1.4), ("gain of a second worker", 1.02, 1.4)
    first, other = Diagnosed("lock_bound", walk=walked(same, a)), Diagnosed("downstream_bound", walk=walked(same, b))
    assert "gain of a second worker (2.02 and 1.02, threshold 1.4)" in str(n11.apart(first, other))
    assert "No question" in str(n11.apart(first, first))
    assert "No question" in str(n11.apart(first, Diagnosed("failing", walk=walked(a))))


def test_the_thresholds_are_shown_with_their_reasons() -> None:
    says = str(n11.thresholds(rules))
    for name in ("FAILS", "SEVERAL_CORES", "FULL_CORE", "GROWS", "HELD", "GAINS", "CLEAR"):
        assert f"{name}{getattr(rules, name)}" in says
    assert "def decide(" in str(n11.folded_source(rules.decide))


def test_the_diagnosis_from_outside_is_told_for_every_outcome() -> None:
    assert "does not guess" in str(n11.from_outside_in_words(FOUND["A"], Diagnosed("inconclusive", "low")))
    assert "from fewer probes" in str(n11.from_outside_in_words(FOUND["A"], Diagnosed("lock_bound", "low")))
    assert "be the referee" in str(n11.from_outside_in_words(FOUND["A"], Diagnosed("failing")))


def test_the_page_is_linked_from_the_notebooks_folder(tmp_path: Path) -> None:
    assert 'href="../results/diagnose-1.html"' in n11.report_link(RESULTS / "diagnose-1.html").text
    assert f'href="{(tmp_path / "a.html").as_uri()}"' in n11.report_link(tmp_path / "a.html").text


# ---------------------------------------------------------------------------------------------------- on real servers


@pytest.mark.full
def test_the_three_look_alike_with_one_worker_and_two_probes_tell_them_apart(
    state_folder: object,  # noqa: F811
) -> None:
    one, two, own = {}, {}, {}
    for name in n11.TRUTH:
        with Server(f"helpers.demo.mystery:{name.lower()}") as server:
            one[name] = measure(server, "/", users=8, duration=0.6)["/"]
            if name != "B":
                looks = [stacks(server.pid).own for _ in asked(server.url, users=4, times=4)]
                own[name] = [look.function for look in looks if look is not None]
            server.relaunch(workers=2, grace_s=1)
            two[name] = measure(server, "/", users=8, duration=0.6)["/"]
    assert n11.alike(one) is not False
    gains = {name: gain(one[name], two[name]) or 0.0 for name in one}
    assert gains["A"] > 1.5
    assert gains["B"] < 1.3
    assert gains["C"] > 1.5
    assert own["A"] == []
    assert own["C"].count("audit") >= 2
