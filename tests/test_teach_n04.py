"""Notebook 04: its exercises, its words for every outcome, the worker slider and the counter that splits."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from helpers.experiment import Cell, Run, SweepResult
from helpers.load.cpu import CpuSplit
from helpers.machine import ProcessScaling
from helpers.plots.response import response_plot
from helpers.server.server import Server
from helpers.teach.exercises import check
from helpers.teach.outcomes import ratio_in_words, timeline_of
from helpers.teach.predict import Option, predict
from helpers.teach.verdicts import verdicts
from helpers.teach.widgets import rendered
from helpers.teach.words import n04
from tests.serving import get, state_folder  # noqa: F401

CEILING = ProcessScaling(2, 100.0, 190.0, 1.9, (1.9,))
COUNTERS = {11: 61, 12: 39}


# ------------------------------------------------------------------------- results as a sweep gives them, made by hand


@dataclass
class Measured:
    """The part of a load test's result that words are made of."""

    achieved_per_s: float
    p50_ms: float | None
    cpu: CpuSplit | None
    verdict: str = "pass"
    reasons: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        response = {"p50": self.p50_ms, "p95": None, "p99": None}
        return {"achieved_per_s": self.achieved_per_s, "error_ratio": 0.0, "response_ms": response}


def measured(per_s: float, workers: int, used: float, *, users: int, void: bool) -> Measured:
    each = dict.fromkeys(range(11, 11 + workers), used / workers)
    cpu = CpuSplit(1.5, 2, each, 0.0, 0.02, 0.0, 0.01, 2 - used - 0.03, 0.0, 0.0, ())
    why = ["The load generator waited for a core during 20.0% of the time"] if void else []
    return Measured(per_s, 1000 * users / per_s, cpu, "void" if void else "pass", why)


def made(
    per_s: Mapping[tuple[int, int | None], float],
    *,
    launches: int = 3,
    users: int = 16,
    used: Mapping[int, float] | None = None,
    void: bool = False,
    scatter: float = 0.01,
) -> SweepResult:
    """A sweep with that throughput per (workers, cores), a little different from launch to launch."""
    used = used or {1: 0.98, 2: 1.93, 3: 1.95}
    runs = []
    for repeat in range(launches):
        for (workers, cpus), speed in per_s.items():
            noisy = speed * (1 + scatter * ((repeat * (workers + (cpus or 3))) % 3))
            result = measured(noisy, workers, min(used[workers], cpus or 2), users=users, void=void)
            runs.append(Run(Cell(workers, cpus, users), repeat, result))  # type: ignore[arg-type]
    machine = {"cpus_usable": 2, "virtual_machine": True, "cpu_model": "A Processor"}
    return SweepResult("helpers.demo.api:app", "/cpu", {}, machine, tuple(runs))


POST = {(1, 1): 90.0, (2, 1): 89.0, (1, 2): 92.0, (2, 2): 165.0}
FLAT = {(1, 1): 90.0, (2, 1): 89.0, (1, 2): 92.0, (2, 2): 95.0}
ONE_CORE = {(1, 1): 90.0, (2, 1): 89.0}
NO_PINNING = {(1, None): 90.0, (2, None): 165.0}


# --------------------------------------------------------------------------------------------------------- exercises


def test_three_workers_on_two_cores_have_two_cpu_seconds_per_second():
    facts = {"seconds_per_answer": 0.011, "workers": 3, "cores": 2}
    assert check("04.1", ..., **facts).mark == "open"
    assert check("04.1", 2 / 0.011, **facts).mark == "right"
    hints = [check("04.1", wrong, **facts) for wrong in (3 / 0.011, 1 / 0.011, 0.022, 5)]
    assert {hint.mark for hint in hints} == {"wrong"}
    assert len({hint.says for hint in hints}) == 4
    assert "How many does the machine have" in hints[0].says
    assert check("04.1", "many", **facts).mark == "wrong"


def test_without_a_measurement_the_exercise_reckons_with_an_example_and_says_so():
    cost = n04.seconds_per_answer(made(POST, void=True), workers=1)
    assert "an example" in n04.cost_in_words(cost, workers=3, cores=2)
    assert check("04.1", 2 / cost, seconds_per_answer=cost, workers=3, cores=2).mark == "right"
    measured = n04.seconds_per_answer(made(POST), workers=1)
    assert "an example" not in n04.cost_in_words(measured, workers=3, cores=2)


def test_a_bet_is_drawn_at_the_bar_it_speaks_of():
    bet = predict("bet", "?", [Option(words, 2.0) for words in (n04.CORES, n04.WORKERS, n04.TOGETHER)])
    assert n04.bet_at(bet) is None
    assert [n04.bet_at(bet.choose(number)) for number in (1, 2, 3)] == [(1, 2), (2, 1), None]


def test_one_worker_is_enough_for_an_endpoint_that_waits():
    assert check("04.2", ..., users=16).mark == "open"
    assert check("04.2", 1, users=16).mark == "right"
    hints = [check("04.2", wrong, users=16) for wrong in (2, 16, 0, 4)]
    assert {hint.mark for hint in hints} == {"wrong"}
    assert len({hint.says for hint in hints}) == 4


def test_the_next_visitor_is_told_what_one_of_the_counters_says():
    assert check("04.3", ..., counters=COUNTERS).mark == "open"
    assert check("04.3", {62, 40}, counters=COUNTERS).mark == "right"
    assert check("04.3", [40, 62], counters=COUNTERS).mark == "right"
    hints = [check("04.3", wrong, counters=COUNTERS) for wrong in (101, {61, 39}, 62, {5})]
    assert {hint.mark for hint in hints} == {"wrong"}
    assert len({hint.says for hint in hints}) == 4
    assert check("04.3", "whatever", counters=COUNTERS).mark == "wrong"


# ------------------------------------------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("cells", "answer"),
    [
        (POST, n04.TOGETHER),
        (FLAT, n04.NONE_CLEARLY),
        (POST | {(1, 2): 170.0}, n04.CORES),
        (POST | {(2, 1): 170.0}, n04.WORKERS),
        (POST | {(1, 2): 170.0, (2, 2): 350.0}, n04.EACH),
        (ONE_CORE, n04.VOID),
    ],
)
def test_the_grid_bears_out_one_answer_of_the_prediction(cells, answer):
    assert n04.pattern(made(cells)) == answer


def test_launches_that_disagree_bear_out_nothing():
    noisy = made(POST, scatter=0.8)
    assert noisy.ratio(noisy.cells[-1]).low < 1
    assert n04.pattern(noisy) == n04.NONE_CLEARLY
    assert "disagree so much" in n04.grid_in_words(noisy, CEILING)
    assert n04.pattern(made(POST, scatter=0.8, launches=2)) == n04.TOGETHER  # two launches can never tell


def test_the_words_follow_the_numbers():
    gain, flat = n04.grid_in_words(made(POST), CEILING), n04.grid_in_words(made(FLAT), CEILING)
    assert "1.8" in gain
    assert "as far as this machine goes" in gain
    assert "contradicts the post" in flat
    assert "stay below" in n04.grid_in_words(made(POST), ProcessScaling(2, 100.0, 290.0, 2.9, (2.9,)))
    assert "one usable core" in n04.grid_in_words(made(ONE_CORE), CEILING)
    assert "cannot bind" in n04.grid_in_words(made(NO_PINNING), CEILING)


def test_an_interval_that_holds_1_allows_no_claim():
    shown = str(n04.intervals(made(POST)))
    assert shown.count("so it is a gain") == 1
    assert "cannot tell it from no change" in shown
    assert "very wide" in str(n04.intervals(made(POST, launches=2)))
    single = made(POST, launches=1)
    assert "no interval" in ratio_in_words(single.ratio(single.cells[-1]))


def test_the_edges_are_told_for_both_outcomes():
    three = made({(1, 2): 90.0, (3, 2): 166.0})
    assert "only so many CPU seconds" in n04.three_in_words(three, made(POST))
    assert "add something" in n04.three_in_words(made({(1, 2): 90.0, (3, 2): 270.0}), made(POST))
    assert "cannot hold them" in n04.three_in_words(made({(1, None): 90.0, (3, None): 270.0}), made(NO_PINNING))
    same, half = made({(1, 2): 90.0, (2, 2): 89.0}, users=1), made({(1, 2): 90.0, (2, 2): 180.0}, users=1)
    assert "Workers shorten the queue" in n04.one_user_in_words(same)
    assert "faster than it should be" in n04.one_user_in_words(half)
    idle = {1: 0.05, 2: 0.06}
    assert "nothing that a second one could do" in n04.sleep_in_words(made({(1, 2): 150.0, (2, 2): 151.0}, used=idle))
    assert "share per worker" in n04.sleep_in_words(made({(1, 2): 150.0, (2, 2): 300.0}, used=idle))


def test_the_counters_are_told_also_when_one_worker_got_every_visit():
    assert "No counter says 100" in str(n04.counters_in_words(COUNTERS, sent=100))
    assert "nobody promised it" in str(n04.counters_in_words({11: 100, 12: 0}, sent=100))


def recap(grid: SweepResult, *, void: bool = False, counters: Mapping[int, int] = COUNTERS) -> str:
    cpus = grid.cells[-1].cpus
    return str(
        n04.recap(
            grid,
            CEILING,
            three=made({(1, cpus): 90.0, (3, cpus): 166.0}, void=void),
            one_user=made({(1, cpus): 90.0, (2, cpus): 89.0}, users=1, void=void),
            sleep=made({(1, cpus): 150.0, (2, cpus): 151.0}, void=void),
            counters=counters,
        )
    )


def test_the_recap_changes_when_the_results_are_changed():
    post = recap(made(POST))
    assert "1.8" in post
    assert "first look" in post
    assert recap(made(POST | {(2, 2): 140.0})) != post
    assert "find out why" in recap(made(FLAT))
    assert "first look" not in recap(made(POST, launches=5))
    assert recap(made(POST), counters={11: 50, 12: 50}) != post


@pytest.mark.parametrize("cells", [POST, ONE_CORE, NO_PINNING])
def test_a_void_sweep_leads_to_words_and_not_to_a_crash(cells):
    void = made(cells, void=True)
    cpus = void.cells[-1].cpus
    three = made({(1, cpus): 90.0, (3, cpus): 166.0}, void=True)
    reason = "waited for a core"
    assert n04.pattern(void) == n04.VOID
    assert reason in n04.grid_in_words(void, CEILING)
    assert reason in str(n04.cpu_in_words(void))
    assert reason in n04.three_in_words(three, void)
    assert reason in n04.one_user_in_words(void)
    assert reason in n04.sleep_in_words(void)
    assert reason in str(timeline_of(void, workers=2))
    assert "could not be measured" in str(n04.intervals(void))
    assert "could not be measured" in recap(void, void=True)


# ------------------------------------------------------------------------------------------------------ the pictures


def test_the_picture_of_response_times_has_a_bar_per_number_of_workers():
    sweep = made({(1, 2): 90.0, (2, 2): 89.0}, users=1)
    picture = response_plot(sweep.rows(), bet=0.5)
    assert "1 worker: 11.1 ms" in picture.alt
    assert "your bet was 0.5 times" in picture.alt
    assert len(picture.table) == 6
    assert "void" in response_plot(made({(1, 2): 90.0, (2, 2): 89.0}, users=1, void=True).rows()).alt


# ------------------------------------------------------------------------------------------------- the post's claims


def test_the_newest_verdicts_are_shown_and_their_absence_is_said(tmp_path: Path):
    assert "helpers reproduce" in str(verdicts(tmp_path))
    claim = {"id": "C1", "claim": "only <1> worker", "verdict": "holds", "measured": {}, "why": "One process."}
    saved = {"schema": 1, "kind": "reproduce", "created_at": "2026-11-23", "claims": [claim], "first_look": True}
    (tmp_path / "a.json").write_text(json.dumps(saved))
    shown = rendered(verdicts(tmp_path))
    assert "only &lt;1&gt; worker" in shown
    assert ">holds<" in shown
    assert "first look" in shown
    (tmp_path / "a.json").write_text(json.dumps(saved | {"claims": ["C1 holds"]}))
    assert "another format" in str(verdicts(tmp_path))


# -------------------------------------------------------------------------------------------------- on real servers


def test_a_counter_in_a_global_splits_among_the_workers(state_folder: Path):  # noqa: F811
    with Server("helpers.demo.counter:app", workers=2) as server:
        told = dict.fromkeys(server.worker_pids, 0)
        for _ in range(40):
            said = get(server.url, "/visit").json()
            told[said["pid"]] += 1
            assert said["visits"] == told[said["pid"]], "each worker counts its own visits, and only those"
