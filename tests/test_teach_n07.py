"""Notebook 07: its exercises, its words for every outcome, its pictures, and the experiments on real servers."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from helpers.errors import InputError
from helpers.knee import Knee, Step
from helpers.load import result as result_module
from helpers.load.plan import make_plan
from helpers.load.records import HTTP_5XX, OK, TIMEOUT
from helpers.load.result import RECORD, LoadResult
from helpers.load.run import Retry, load_test
from helpers.load.slo import judge, parse_slo
from helpers.plots.fate import fate_plot
from helpers.plots.load_curve import load_curve_plot, mean_response_ms
from helpers.plots.over_time import Panel, over_time_plot
from helpers.server.backlog import Backlog
from helpers.server.server import Server
from helpers.stall.result import Side, Stall
from helpers.teach.exercises import check
from helpers.teach.outcomes import VOID
from helpers.teach.overload import (
    LEAST_PER_S,
    Dot,
    Fate,
    Knock,
    at_rest,
    attempts_per_s,
    capacity,
    dots,
    fate,
    knock,
    knocks_as_table,
    response_over_time,
    service_of,
    useful_per_s,
)
from helpers.teach.together import Answer, Together, together
from helpers.teach.words import n07, n07_knee
from helpers.teach.words import n07_deeper as deeper
from helpers.teach.words.n07_recap import Measured, checklist, lines, recap
from helpers.theory.service import constant
from tests.pictures import label_faults
from tests.serving import state_folder  # noqa: F401

S, MS = 10**9, 10**6
BY_HAND = ("Little's law", "launch")  # checks that find what is made by hand
SERVICE = constant(0.0025)
STAGES = [(200, "1s"), (800, "1s"), (200, "2s")]


# -------------------------------------------------------------------------------------- results, made by hand


def run(
    intended_s: Sequence[float],
    response_ms: Sequence[float],
    outcomes: Sequence[int] | None = None,
    *,
    void: bool = False,
    **plan: object,
) -> LoadResult:
    """A run with these requests; void ones were broken off."""
    records = np.zeros(len(intended_s), RECORD)
    records["intended_ns"] = records["sent_ns"] = 1 + (np.array(intended_s) * S).astype(np.int64)
    records["done_ns"] = records["intended_ns"] + (np.array(response_ms) * MS).astype(np.int64)
    records["outcome"] = OK if outcomes is None else outcomes
    made = make_plan("http://127.0.0.1:5012/cpu", **plan)  # type: ignore[arg-type]
    return LoadResult(
        plan=made,
        records=records,
        t0_ns=1,
        t1_ns=1 + int(made.duration_s * S),
        worker_pids={},
        before={},  # type: ignore[typeddict-item]
        after=None,
        launch_before=None,
        launch_after=None,
        incomplete="somebody pulled the plug" if void else None,
    )


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests made by hand keep no user busy all the time and come from no launch, which two checks would find."""
    check_all = result_module.check_all
    monkeypatch.setattr(
        result_module, "check_all", lambda facts: tuple(c for c in check_all(facts) if c.name not in BY_HAND)
    )


def users(number: int, response_ms: float, *, void: bool = False) -> LoadResult:
    at_s = np.linspace(0, 0.999, 400)
    return run(at_s, [response_ms] * 400, void=void, users=number, duration=1)


def open_run(first_ms: float, last_ms: float, *, void: bool = False) -> LoadResult:
    at_s = np.linspace(0, 0.999, 520)
    return run(at_s, np.linspace(first_ms, last_ms, 520), void=void, rate=520, duration=1)


FEW, MANY, ARRIVALS = users(8, 20.0), users(32, 80.0), open_run(5.0, 300.0)


def stalled(bad: int, *, void: bool = False) -> Stall:
    """10 s with a stall of 1 s: of the closed run's requests `bad` met it, and of the open run's all that came then."""
    at_s = np.arange(2000) / 200
    sides = []
    for slow, model in ((bad, {"users": 1}), (200, {"rate": 200})):
        came = at_s[(at_s < 4.5) | (at_s >= 5.5) | (at_s < 4.4975 + slow / 200)]
        meets = (came >= 4.5) & (came < 5.5)
        result = run(came, np.where(meets, 1000 * (5.5 - came), 1.0), void=void, duration=10, **model)
        sides.append(Side(result, 1 + int(4.4975 * S), 1 + int(5.4975 * S)))
    return Stall("/sleep", 1.0, *sides)


def searched(rate: float | None, *, void: bool = False) -> Knee:
    steps = []
    slo = parse_slo("p95<15ms")
    for at, time_ms in ((rate, 5.0), (400.0, 100.0)) if rate else ((400.0, 100.0),):
        result = run(np.linspace(0, 0.999, 400), [time_ms] * 400, void=void, rate=at, duration=1)
        steps.append(Step(at, result, judge(result, slo), True))
    return Knee("http://127.0.0.1:5012/cpu", slo, 0.25, tuple(steps), "found" if rate else "none", "it is so")


def ten_requests(*outcomes: str) -> Together:
    answers = [Answer(1, 0.0, 1.0, 2.0, 200.0 if each == "ok" else 4.0, each) for each in outcomes]
    return Together("/sleep?ms=200", tuple(answers))


CLIENTS = Fate("20 clients", 20, 2, 0, 20, 0.3)
FATES = (
    Fate("no limit", 900, 200, 0, 900, 1.5),
    Fate("limit 20", 900, 600, 300, 600, 1.5),
)
DEFAULT = (
    Fate("default loop,\nno limit", 900, 310, 0, 900, 1.5),
    Fate("default loop,\nlimit 20", 900, 300, 0, 900, 1.5),
)
TEN = ten_requests(*["ok"] * 4, *["status 503"] * 6)
CODES = [200, 200, 200, 200, 503, 503]
MINE = Measured(FEW, MANY, ARRIVALS, 400.0, stalled(1), searched(300.0), CLIENTS, TEN, CODES, 1.0, FATES)


def storm_run(*, back: bool, retries: bool = False, void: bool = False) -> LoadResult:
    """Half load, a peak, half load; after the peak everything is too late, for good or for half a second."""
    at_s = [*np.arange(0, 1, 1 / 200), *np.arange(1, 2, 1 / 800)]
    at_s += [*np.arange(2, 4, 1 / (800 if retries else 200))]
    late = [1.2 < at < (2.5 if back else 4) for at in at_s]
    response = [300.0 if each else 5.0 for each in late]
    outcomes = [TIMEOUT if each else OK for each in late]
    return run(at_s, response, outcomes, void=void, rate=STAGES, timeout=0.3)


def retried(result: LoadResult, retry: Retry) -> LoadResult:
    """The same requests, as if they had been sent with these retries."""
    return replace(result, plan=replace(result.plan, retry=retry))


STORM = {
    "no retries": storm_run(back=True),
    "3 retries": retried(storm_run(back=False, retries=True), Retry(times=3, after="50ms")),
}
DOOR = [Knock(number, number <= 9, min(number, 9), 8) for number in range(1, 13)]


# --------------------------------------------------------------------------------------------------------- exercises


def test_the_last_visitor_of_a_peak_waits_for_all_who_came_too_many():
    facts = {"rate": 520.0, "most": 400.0, "lasts_s": 60}
    assert check("07.1", ..., **facts).mark == "open"
    assert check("07.1", 18, **facts).mark == "right"
    wrong = {"60": 60, "78": 78, "number": 120 * 60, "rate": (1 - 400 / 520) * 60, "no line": 0.0025, "other": 3}
    hints = {name: check("07.1", value, **facts) for name, value in wrong.items()}
    assert {hint.mark for hint in hints.values()} == {"wrong"}
    assert hints["60"].says == hints["78"].says
    assert len({hint.says for hint in hints.values()}) == 5
    assert check("07.1", "long", **facts).mark == "wrong"


def test_four_times_the_work_is_reached_at_three_quarters():
    assert check("07.2", ...).mark == "open"
    assert check("07.2", 0.75).mark == "right"
    assert mean_response_ms(0.75, 1.0, 1.0) == pytest.approx(4)
    assert mean_response_ms(6 / 7, 1.0, 0.0) == pytest.approx(4), "the solid line's place has its own hint"
    hints = [check("07.2", wrong) for wrong in (75, 6 / 7, 0.8, 0.25, 1.2, 0.5)]
    assert {hint.mark for hint in hints} == {"wrong"}
    assert len({hint.says for hint in hints}) == 6
    assert check("07.2", None).mark == "wrong"


def test_a_limit_must_be_above_the_connections_that_are_always_open():
    assert check("07.3", ..., connections=20).mark == "open"
    assert check("07.3", 21, connections=20).mark == "right"
    hints = [check("07.3", wrong, connections=20) for wrong in (20, 1, 42, 30, 5, 11)]
    assert {hint.mark for hint in hints} == {"wrong"}
    assert len({hint.says for hint in hints}) == 6
    assert "to each worker?" in hints[-1].says


# ------------------------------------------------------------------------------------------------------------- words


def test_what_users_and_arrivals_did_is_told_for_both_outcomes():
    grew = str(n07.growth_in_words(FEW, MANY, ARRIVALS, 400.0))
    assert "Each second 120 more come" in grew
    assert ("had not settled" in grew) == ("steady" in n07.warned(ARRIVALS))
    assert "steady" in n07.warned(ARRIVALS)
    assert "did not grow" in str(n07.growth_in_words(FEW, MANY, open_run(5, 6), 400.0))
    void = str(n07.growth_in_words(FEW, MANY, open_run(5, 300, void=True), 400.0))
    assert "pulled the plug" in void
    assert "(void)" not in n07.growth_picture(FEW, MANY, ARRIVALS).alt
    assert "520 arrivals/s: void" in n07.growth_picture(FEW, MANY, open_run(5, 300, void=True)).alt


@pytest.mark.parametrize(("bad", "right"), [(1, n07.ONE), (0, n07.NO_SAMPLE), (200, n07.TENTH), (20, n07.BETWEEN)])
def test_the_freeze_bears_out_one_answer(bad: int, right: str):
    seen = stalled(bad)
    assert n07.stall_right(seen) == right
    assert ("coordinated omission" in n07.stall_in_words(seen)) == (bad == 1)


def test_a_void_freeze_leaves_the_prediction_open():
    assert n07.stall_right(stalled(1, void=True)) == VOID
    assert "pulled the plug" in n07.stall_in_words(stalled(1, void=True))


def test_the_curve_is_compared_with_what_theory_says():
    ideal = [Dot(busy / 0.0025, busy, mean_response_ms(busy, 2.5, 0.0), None) for busy in (0.3, 0.6, 0.88)]
    off = [replace(dot, mean_ms=4 * dot.mean_ms) for dot in ideal]
    visitors = open_run(1, 2)

    def told(dots: Sequence[Dot], most: float = 400.0, visitors: LoadResult = visitors) -> str:
        return str(n07_knee.curve_in_words(dots, SERVICE, visitors, most))

    assert n07_knee.follows(ideal, SERVICE) == pytest.approx(1)
    assert n07_knee.follows([], SERVICE) is None
    assert "got nothing but your service time" in told(ideal)
    assert "up to 4.0 times off" in told(off)
    assert "up to" not in told([replace(off[-1], busy=0.95)])
    assert "pulled the plug" in told([], visitors=open_run(1, 2, void=True))
    assert "measured apart" not in told(ideal)
    assert "400/s in this picture; the first section found 388/s" in told(ideal, 388.0)


def test_the_wait_is_compared_not_the_response():
    ideal = [Dot(busy / 0.0025, busy, mean_response_ms(busy, 2.5, 0.0), None) for busy in (0.3, 0.9)]
    told = str(n07_knee.curve_in_words(ideal, SERVICE, open_run(1, 2), 400.0))
    assert "At 90 % utilisation an answer took 5.5 times the work itself, at 30 % 1.2 times" in told
    assert "21.0 times the wait with 3.0 times the visitors" in told
    assert "faster than the load" in told
    idle = [replace(ideal[0], mean_ms=2.4), ideal[1]]
    assert "out of next to nothing" in str(n07_knee.curve_in_words(idle, SERVICE, open_run(1, 2), 400.0))
    disturbed = [replace(ideal[0], mean_ms=9.0), ideal[1]]
    assert "did not grow faster" in str(n07_knee.curve_in_words(disturbed, SERVICE, open_run(1, 2), 400.0))


def test_the_knee_is_told_as_a_share_of_what_the_worker_can_do():
    def told(knee: Knee) -> str:
        return str(n07_knee.knee_in_words(knee, 400.0, SERVICE).text)

    assert "300 requests/s</b> keep p95 &lt; 15 ms: 75 %" in told(searched(300.0))
    assert "It is so" not in told(searched(300.0)), "the picture says so already"
    assert "It is so" in told(replace(searched(300.0), end="at least"))
    assert "2.2 times the work there, 5.5 times at 90 %" in told(searched(300.0))
    assert "too generous" in told(searched(390.0))
    assert "No rate was found" in told(searched(None))
    assert "No rate was found" in told(searched(300.0, void=True))


def test_steps_of_the_search_that_warned_are_shown():
    calm = searched(300.0)
    assert "warned" not in n07_knee.knee_in_words(calm, 400.0, SERVICE).text
    slow = open_run(3, 12)
    warning = replace(calm, steps=(replace(calm.steps[0], result=slow), calm.steps[1]))
    assert "1 of 2 steps warned, the one that met it among them (“steady”): a first look" in str(
        n07_knee.knee_in_words(warning, 400.0, SERVICE)
    )
    both = replace(calm, steps=tuple(replace(step, result=slow) for step in calm.steps))
    assert "“steady” 2 times" in n07_knee.knee_in_words(both, 400.0, SERVICE).text


@pytest.mark.parametrize(
    ("executed", "right"), [(20, n07.ALL), (0, n07.NOBODY), (3, n07.BEGUN), (4, n07.BEGUN), (11, n07.BETWEEN)]
)
def test_the_servers_own_count_bears_out_one_answer(executed: int, right: str):
    clients = n07.left_behind([200, 200, *["left"] * 18], executed, after_s=0.3)
    assert n07.executed_right(clients) == right
    assert ("goodput" in n07.abandoned_in_words(clients)) == (executed > 4)


@pytest.mark.parametrize(
    ("served", "right"), [(10, n07.THEY_WAIT), (5, n07.HALF), (7, n07.HALF), (4, n07.FEWER), (0, n07.NO_CODE)]
)
def test_if_the_limit_queued_the_list_of_codes_would_say_so(served: int, right: str):
    ten = ten_requests(*["ok"] * served, *["status 503"] * (10 - served))
    assert n07.limit_right(ten) == right
    assert ("did let the others wait" in n07.limit_in_words(ten)) == (served == 10)
    assert ("not one waited" in n07.limit_in_words(ten)) == (served < 10)
    assert "cannot be" not in n07.limit_in_words(ten), "the codes alone prove nothing of what is counted"


def test_a_request_without_an_answer_leaves_the_question_open():
    ten = ten_requests(*["ok"] * 9, "ReadError")
    assert n07.limit_right(ten) == VOID
    assert VOID in n07.limit_in_words(ten)


def test_what_the_limit_counts_is_told_for_both_outcomes():
    told = str(n07.idle_in_words(CODES, 1.02, limit=5, keep_alive_s=1))
    assert "Client 5 was refused" in told
    assert "4 idle connections" in told
    assert "do not count" in str(n07.idle_in_words([200] * 6, 0.0, limit=5, keep_alive_s=1))


def test_the_limit_helped_or_did_not_or_refused_nobody():
    helped = str(n07.fates_in_words(FATES, 400.0))
    assert "fail fast" in helped
    assert "towards 0 with every further second" in helped
    assert "did not help" in str(n07.fates_in_words((FATES[1], FATES[1]), 400.0))
    nobody = str(n07.fates_in_words((FATES[0], replace(FATES[1], refused=0)), 400.0))
    assert "That limit refused nobody: it did nothing here" in nobody
    assert "next to nothing was executed for nobody" in str(n07.fates_in_words((FATES[1], FATES[1]), 400.0))
    assert "More than it can do?" not in helped
    assert "More than it can do?" in str(n07.fates_in_words(FATES, 390.0))
    assert "a hog" in str(n07.fates_in_words((replace(FATES[0], void="a hog"), FATES[1]), 400.0))


def test_the_default_loop_is_compared_with_the_other_one_and_with_itself():
    nothing = str(deeper.default_loop_in_words(DEFAULT, FATES))
    assert "So it did nothing" in nothing
    assert "before the door" in nothing
    assert "With asyncio the same limit left 400: try a limit with your own loop" in nothing
    best = (DEFAULT[0], replace(DEFAULT[1], in_time=640))
    assert "no more than that" in str(deeper.default_loop_in_words(best, FATES))
    refuses = (DEFAULT[0], replace(DEFAULT[1], in_time=500, refused=400))
    assert "Here it helped" in str(deeper.default_loop_in_words(refuses, FATES))
    assert "a hog" in str(deeper.default_loop_in_words((replace(DEFAULT[0], void="a hog"), DEFAULT[1]), FATES))
    assert "quick pace" in str(deeper.default_loop_in_words([], FATES))
    assert "quick pace" in str(deeper.default_loop_picture([], 400.0))
    assert "default loop, limit 20: 900 requests" in deeper.default_loop_picture(DEFAULT, 400.0).alt
    void = (FATES[0], replace(FATES[1], void="a hog"))
    assert "With asyncio" not in str(deeper.default_loop_in_words(DEFAULT, void))


def test_the_storm_is_told_for_both_outcomes():
    stays = str(deeper.storm_in_words(STORM, 400.0))
    assert "metastable" in stays
    assert deeper.recovered_s(STORM["3 retries"]) is None
    assert deeper.recovered_s(STORM["no retries"]) == pytest.approx(0.5, abs=0.2)
    calm = {**STORM, "3 retries": retried(storm_run(back=True), Retry(times=3, after="50ms"))}
    assert "could have become 800 attempts" in str(deeper.storm_in_words(calm, 400.0))
    idle = {**STORM, "3 retries": retried(storm_run(back=False), Retry(times=3, after="50ms"))}
    assert "no more than it can do" in str(deeper.storm_in_words(idle, 400.0))
    assert "did not recover before" in str(deeper.storm_in_words({**STORM, "no retries": storm_run(back=False)}, 400.0))
    void = {**STORM, "no retries": storm_run(back=True, void=True)}
    assert "pulled the plug" in str(deeper.storm_in_words(void, 400.0))
    assert "void" in deeper.storm_picture(void, 400.0).alt


def test_of_the_storm_only_those_are_counted_who_came_after_the_peak():
    at_s = [*np.arange(0, 1, 1 / 200), *np.arange(1, 2, 1 / 800), *np.arange(2, 3.05, 1 / 1200)]
    at_s += [*np.arange(3.05, 4, 1 / 800)]
    late = [OK if at < 1.2 else TIMEOUT for at in at_s]
    three = run(at_s, [300.0] * len(at_s), late, rate=STAGES, timeout=0.3, retry=Retry(times=3, after="50ms"))
    still, alone = deeper.still_sent(three)
    assert alone
    assert still == pytest.approx(800, rel=0.02), "four times 200, not what the peak left"
    told = str(deeper.storm_in_words({**STORM, "3 retries": three}, 400.0))
    assert "nobody of the peak asks any more" in told
    slow = retried(three, Retry(times=3, after="1s"))
    assert not deeper.still_sent(slow)[1]
    assert "visitors included" in str(deeper.storm_in_words({**STORM, "3 retries": slow}, 400.0))


def test_a_third_kind_of_retry_is_told_beside_the_others():
    once = retried(storm_run(back=True), Retry(times=1, after="1s"))
    told = str(deeper.storm_in_words({**STORM, "1 retry after 1 s": once}, 400.0))
    assert "metastable" in told
    assert "1 retry after 1 s: back 0.5 s after the peak" in told
    assert "become 400 attempts at most" in told
    assert "so few retries" in told
    at_s = [*np.arange(0, 1, 1 / 200), *np.arange(1, 2, 1 / 800), *np.arange(2, 4, 1 / 400)]
    late = [OK if at < 1.2 else TIMEOUT for at in at_s]
    even = run(at_s, [300.0] * len(at_s), late, rate=STAGES, timeout=0.3, retry=Retry(times=1, after="1s"))
    told = str(deeper.storm_in_words({**STORM, "1 retry after 1 s": even}, 400.0))
    assert "about the 400 it can do" in told
    assert "never gets shorter" in told


def test_the_door_is_told_with_and_without_a_system_that_counts():
    told = str(deeper.door_in_words(DOOR, Backlog(0, 4096), 4096))
    assert "9 of 12 clients" in told
    assert "one more than the backlog" in told
    assert "so the system's limit counts" in told
    blind = [replace(each, waiting=None, limit=None, connected=True) for each in DOOR]
    assert "So many waited" not in str(deeper.door_in_words(blind, None, None))
    assert list(knocks_as_table(DOOR)["connected"]).count("yes") == 9


def test_eighty_percent_means_something_else_for_each_number_of_workers():
    assert deeper.no_law((1, 2, 8)).endswith("67 % with 1 worker, 82 % with 2 workers, 95 % with 8 workers.")


# ------------------------------------------------------------------------------------------- the checklist, the recap


def test_every_line_of_the_checklist_has_its_number_or_says_that_it_has_none():
    core = lines(MINE)
    assert [each.number is None for each in core] == [False] * 7 + [True] * 2
    assert checklist(MINE).text.count("see Going deeper") == 2
    assert "asyncio: 133 without a limit, 400 with it: it helped" in checklist(MINE).text
    whole = checklist(MINE, STORM, DOOR, DEFAULT).text
    assert "default loop: 207 without a limit, 200 with it: it refused nobody" in whole
    assert "see Going deeper" not in whole
    assert whole.count("✔") == 9
    assert "client 5 refused, behind 4 idle" in whole
    assert "3 retries: not back" in whole


def test_a_void_run_takes_its_number_out_of_the_checklist_and_the_recap():
    void = replace(
        MINE,
        arrivals=open_run(5, 300, void=True),
        seen=stalled(1, void=True),
        knee=searched(300.0, void=True),
        idle_codes=[200] * 6,
        ten=ten_requests("ReadError"),
        fates=tuple(replace(each, void="a hog") for each in FATES),
    )
    storm = {name: storm_run(back=True, void=True) for name in STORM}
    blind = [replace(each, waiting=None) for each in DOOR]
    assert [each.number is None for each in lines(void, storm, blind)] == [True, True, True, False, *[True] * 5]
    assert VOID in checklist(void).text
    assert recap(void).text.count(VOID) == 4


def test_the_recap_changes_when_the_results_are_changed():
    told = recap(MINE).text
    assert "1 of 1,801 requests of a user who waits, 200 of 2,000 arrivals" in told
    assert "none waited" in told
    assert recap(replace(MINE, ten=ten_requests(*["ok"] * 10))).text != told
    assert recap(replace(MINE, clients=replace(CLIENTS, executed=7))).text != told
    assert recap(replace(MINE, seen=stalled(30))).text != told


# ------------------------------------------------------------------------------------------------------ measuring


def test_dots_are_the_stages_of_a_load_and_none_of_a_void_one():
    visitors = run(np.arange(0, 1, 0.01), [5.0] * 50 + [9.0] * 50, rate=[(100, 0.5), (100, 0.5)])
    low, high = dots(visitors, SERVICE)
    assert (low.rate_per_s, low.busy, low.mean_ms) == (pytest.approx(100), pytest.approx(0.25), pytest.approx(5))
    assert high.mean_ms == pytest.approx(9)
    assert low.p95_ms is None, "50 requests are too few for a p95"
    assert dots(run([0.1], [5.0], rate=[(100, 1)], void=True), SERVICE) == []


def test_without_a_usable_run_there_is_a_capacity_and_a_service_to_go_on_with():
    nothing = run([], [], users=8, duration=1)
    assert capacity(nothing) == LEAST_PER_S
    assert service_of(nothing).mean_s == pytest.approx(1 / LEAST_PER_S)
    assert capacity(FEW) == pytest.approx(392, rel=0.02)


def test_lines_over_time_count_what_was_sent_and_what_was_of_use():
    times, values = attempts_per_s(STORM["no retries"]) or ((), ())
    assert list(values[:4]) == pytest.approx([200] * 4, abs=8)
    assert values[5] == pytest.approx(800, abs=8)
    assert len(times) == 16
    _, useful = useful_per_s(STORM["3 retries"]) or ((), ())
    assert useful[-1] == 0
    assert response_over_time(open_run(1, 2, void=True)) is None
    at_s, median_ms = response_over_time(ARRIVALS) or ((), ())
    assert (at_s[0], len(at_s)) == (pytest.approx(0.05), 10)
    assert median_ms[-1] > 250


def test_every_request_has_one_fate():
    odd = Fate("more executed than offered", 10, 2, 3, 99, 1.0)
    assert (odd.for_nobody, odd.never, odd.useful_per_s) == (5, 0, 2.0)
    assert Fate("none executed", 10, 2, 3, 0, 1.0).never == 5


# ------------------------------------------------------------------------------------------------------ the pictures


def test_the_curve_shows_dots_theory_and_a_table(monkeypatch: pytest.MonkeyPatch):
    found = [Dot(120.0, 0.3, 3.0, None), Dot(350.0, 0.875, 11.0, 24.0)]
    picture = load_curve_plot(found, service_ms=2.5, cv=0.04)
    assert "88 % busy (350/s): mean 11.0 ms, p95 24 ms" in picture.alt
    assert list(picture.table["p95 (ms)"]) == [None, 24.0]
    assert label_faults({"it": picture}, monkeypatch) == []
    assert "void" in load_curve_plot([], service_ms=2.5, cv=0.04).alt
    past = load_curve_plot([Dot(500.0, 1.25, 90.0, None)], service_ms=2.5, cv=0.04)
    assert past.table["M/G/1 (ms)"][0] is None, "past the limit there is no mean"
    with pytest.raises(InputError, match="no time"):
        load_curve_plot([], service_ms=0, cv=0)


def test_a_bar_is_all_requests_and_a_void_one_has_no_number(monkeypatch: pytest.MonkeyPatch):
    picture = fate_plot(FATES, most_per_s=400.0, bet=0.5)
    assert "no limit: 900 requests offered, 200 answered in time, 700 executed for nobody" in picture.alt
    assert "Your bet was 50 %" in picture.alt
    assert label_faults({"it": picture}, monkeypatch) == []
    void = fate_plot([replace(FATES[0], void="a hog")])
    assert void.alt.endswith("no limit: void.")
    assert void.table["offered"][0] is None
    with pytest.raises(InputError, match="no load"):
        fate_plot([])


def test_panels_share_their_time_axis_and_their_lines(monkeypatch: pytest.MonkeyPatch):
    line = (np.array([0.5, 1.5]), np.array([1.0, 3.0]))
    panels = [Panel("above", {"a": line, "b": None}), Panel("below", {"a": line}, (2.0, "limit"))]
    picture = over_time_plot("Title", "below", panels, xlabel="s", span=(0.2, 0.8, "peak"))
    assert picture.axes[0].get_xlim() == picture.axes[1].get_xlim()
    assert "above, b: void" in picture.alt
    assert list(picture.table["last"]) == [3.0, None, 3.0]
    assert label_faults({"it": picture}, monkeypatch) == []
    with pytest.raises(InputError, match="no lines"):
        over_time_plot("Title", "below", [Panel("empty", {})], xlabel="s")


# -------------------------------------------------------------------------------------------------- on real servers


def test_work_of_clients_who_left_is_executed_all_the_same(state_folder: Path):  # noqa: F811
    with Server() as server:
        past = load_test(
            server.url + "/cpu?units=100", rate=80, duration=0.5, warmup=0, timeout=0.1, new_connections=True,
            progress=False,
        )  # fmt: skip
        found = fate("80/s", past, server)
        assert at_rest(server) >= found.offered
    assert found.in_time < 0.9 * found.offered
    assert found.for_nobody == pytest.approx(found.offered - found.in_time, abs=2)


def test_a_limit_refuses_and_counts_connections_also_idle_ones(state_folder: Path):  # noqa: F811
    with Server(options={"limit_concurrency": 5}) as server:
        ten = together(server.url, "/sleep?ms=200", times=10)
        at_rest(server)
        clients = [httpx.Client(trust_env=False) for _ in range(6)]
        codes = [client.get(server.url + "/health").status_code for client in clients]
        for client in clients:
            client.close()
    assert n07.limit_right(ten) in (n07.FEWER, n07.HALF, n07.NO_CODE)
    assert codes == CODES


def test_what_the_limit_refused_is_told_apart_from_what_came_too_late(state_folder: Path):  # noqa: F811
    with Server(loop="asyncio", options={"limit_concurrency": 5}) as server:
        past = load_test(
            server.url + "/blocking?ms=20", rate=100, duration=0.6, warmup=0, timeout=1, new_connections=True,
            progress=False,
        )  # fmt: skip
        found = fate("limit 5", past, server)
    assert past.outcomes["http_5xx"] == found.refused > 10
    counted = next(each for each in past.checks if each.name == "server's count")
    assert counted.verdict == "pass"
    assert f"{found.refused} refused by the server itself" in counted.why
    assert HTTP_5XX in past.window["outcome"]
    assert found.in_time + found.refused == found.offered


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux")
def test_a_full_door_is_silent(state_folder: Path):  # noqa: F811
    with Server(options={"backlog": 3}) as server:
        found = knock(server, times=6)
        assert httpx.get(server.url + "/health", trust_env=False).status_code == 200, "it goes on"
    assert [each.waiting for each in found] == [1, 2, 3, 4, 4, 4]
    assert [each.connected for each in found] == [True] * 4 + [False] * 2
