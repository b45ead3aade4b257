"""Notebook 06: its exercises, its words for every outcome, containers, memory, the calculator and its two pictures."""

import inspect
import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from helpers.errors import InputError
from helpers.experiment import Cell, Ratio, Run, SweepResult, sweep
from helpers.load.cpu import CpuSplit
from helpers.machine import ProcessScaling, UsableCpus, memory_limits, usable_cpus
from helpers.plots.laws_plot import usl_plot
from helpers.plots.memory_plot import Sums, memory_plot
from helpers.plots.picture import Picture
from helpers.server.server import Server
from helpers.teach import controls as controls_module
from helpers.teach.calculator import calculator
from helpers.teach.container import OURS, container, said_inside, who_says
from helpers.teach.exercises import check
from helpers.teach.live_grid import LiveGrid
from helpers.teach.memory import Reading, memory_picture, reading, straight
from helpers.teach.outcomes import cpu_of, nearest
from helpers.teach.predict import Option, predict
from helpers.teach.widgets import rendered
from helpers.teach.words import n06, n06_deeper, n06_simulated
from helpers.theory.scaling import fit_usl
from helpers.theory.service import constant
from helpers.theory.simulation import Simulated, simulate
from helpers.theory.workers import how_many_workers
from tests.pictures import label_faults
from tests.serving import get, state_folder  # noqa: F401

CEILING = ProcessScaling(2, 100.0, 190.0, 1.9, (1.9,))
WORK = constant(0.01)
linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="PSS and affinity are Linux's")


# ------------------------------------------------------------------------- results as a sweep gives them, made by hand


@dataclass
class Measured:
    """The part of a load test's result that words are made of."""

    achieved_per_s: float
    cpu: CpuSplit | None
    worker_share: Mapping[int, float] = field(default_factory=dict)
    verdict: str = "pass"
    reasons: list[str] = field(default_factory=list)
    handling_ms: float = 9.8

    def frame(self) -> pd.DataFrame:
        return pd.DataFrame({"handling_ms": [self.handling_ms] * int(self.achieved_per_s)})

    def summary(self) -> dict[str, Any]:
        response = {"p50": 10.0, "p95": None, "p99": None}
        return {"achieved_per_s": self.achieved_per_s, "error_ratio": 0.0, "response_ms": response}


def measured(per_s: float, workers: int, *, void: bool = False, used: float | None = None) -> Measured:
    total = min(workers, 2) * 0.98 if used is None else used
    each = dict.fromkeys(range(11, 11 + workers), total / workers)
    cpu = CpuSplit(1.5, 2, each, 0.0, 0.02, 0.0, 0.01, 2 - total - 0.03, 0.0, 0.0, ())
    why = ["The load generator waited for a core during 20.0% of the time"] if void else []
    return Measured(per_s, cpu, {11: 1.0}, "void" if void else "pass", why)


def made(
    per_s: Mapping[int, float],
    *,
    launches: int = 3,
    void: Sequence[int] = (),
    cpus: int | None = 2,
    noise: float = 0.01,
) -> SweepResult:
    """A sweep with that throughput per number of workers, a little different from launch to launch."""
    runs = []
    for repeat in range(launches):
        for workers, speed in per_s.items():
            noisy = speed * (1 + noise * ((repeat * 7 + workers) % 3 - 1))
            result = measured(noisy, workers, void=workers in void)
            runs.append(Run(Cell(workers, cpus, 16), repeat, result))  # type: ignore[arg-type]
    return SweepResult("helpers.demo.api:app", "/cpu", {}, {}, tuple(runs))


FLAT = {1: 100.0, 2: 195.0, 3: 196.0, 4: 197.0}
RISING = {1: 100.0, 2: 195.0, 3: 290.0, 4: 380.0}
COLLAPSE = {1: 100.0, 2: 195.0, 3: 150.0, 4: 90.0}
EVERYTHING = (1, 2, 3, 4)


def simulated(counts: Sequence[int] = (1, 2, 3, 4), cores: int = 2, work_s: float = 0.01) -> list[Simulated]:
    return [simulate(constant(work_s), workers=n, users=40, cores=cores, duration_s=4) for n in counts]


TEN = simulated((1, 2, 10, 20), cores=10)
PLAIN = [Reading(2, 172.0, 129.0), Reading(3, 238.0, 172.0), Reading(4, 305.0, 217.0)]
HEAVY = [Reading(2, 300.0, 245.0), Reading(3, 430.0, 350.0)]
NOT_TOLD = [Reading(2, 172.0, None), Reading(3, 238.0, None)]


# --------------------------------------------------------------------------------------------------------- exercises


def hints_of(name: str, wrong: Sequence[Any], **facts: Any) -> list[str]:
    checked = [check(name, answer, **facts) for answer in wrong]
    assert {each.mark for each in checked} == {"wrong"}
    assert len({each.says for each in checked}) == len(wrong), "two mistakes got the same hint"
    return [each.says for each in checked]


def test_busy_workers_stand_still_when_the_quota_is_spent():
    facts = {"quota": 1.5, "workers": 8}
    assert check("06.1", ..., **facts).mark == "open"
    assert check("06.1", 81.25, **facts).mark == "right"
    hints = hints_of("06.1", (18.75, 0, 150, 87.5, 55), **facts)
    assert "how long they run" in hints[0]
    assert check("06.1", "long", **facts).mark == "wrong"


def test_memory_holds_as_many_workers_as_what_each_further_one_adds():
    facts = {"limit_mib": 2048, "base_mib": 30.0, "each_mib": 104.0, "rss_mib": 128.0}
    assert check("06.2", ..., **facts).mark == "open"
    assert check("06.2", 19, **facts).mark == "right"
    hints = hints_of("06.2", (16, 20, 2018 / 104, 3), **facts)
    assert "RSS" in hints[0]
    bites = facts | {"limit_mib": n06.biting_limit(30.0, 104.0)}
    forgot = hints_of("06.2", (math.floor(bites["limit_mib"] / 104),), **bites)
    assert "besides the workers" in forgot[0]
    assert check("06.2", None, **facts).mark == "wrong"


@pytest.mark.parametrize("cost_ms", [2.0, 5.9, 12.2, 55.0])
def test_a_load_needs_enough_workers_to_leave_each_some_rest(cost_ms: float):
    facts = {"wanted": round(5300 / cost_ms), "cost_ms": cost_ms, "busy_most": 0.7}
    busy = facts["wanted"] * cost_ms / 1000
    assert check("06.3", ..., **facts).mark == "open"
    assert check("06.3", math.ceil(busy / 0.7), **facts).mark == "right"
    hints = hints_of("06.3", (6, 4, busy / 0.7, 7, 21), **facts)
    for near in (busy, 5, 5.3, 6):
        assert "nearly all the time" in check("06.3", near, **facts).says
    assert "nearly all the time" in hints[0]
    assert "Less time per worker" in check("06.3", busy * 0.7, **facts).says
    assert check("06.3", [], **facts).mark == "wrong"


@pytest.mark.parametrize("each_mib", [44.0, 98.5, 105.3, 106.1, 128.0])
@pytest.mark.parametrize("base_mib", [5.0, 26.4, 40.0, 150.0])
def test_who_forgets_the_base_counts_a_worker_too_many(base_mib: float, each_mib: float):
    limit = n06.biting_limit(base_mib, each_mib)
    for base, each in ((base_mib, each_mib), (round(base_mib), each_mib)):
        assert math.floor(limit / each) > math.floor((limit - base) / each)
    assert 1500 < limit < 2600


# -------------------------------------------------------------------------------------------------------- containers


def test_a_container_is_found_out_by_the_very_functions_that_ask_the_machine():
    with container(quota=1.5, memory_mib=512) as root:
        found, memory = usable_cpus(root, logical=32), memory_limits(root)
        assert not usable_cpus(root).why.startswith("1 of 32")
    assert (found.logical, found.quota, found.usable) == (32, 1.5, 1)
    assert "quota is 1.5" in found.why
    assert memory.cgroup_limit_bytes == 512 * 2**20
    assert not root.exists()


def test_the_quota_decides_the_prediction_and_its_absence_would_be_said():
    found = UsableCpus(32, None, 1.5, 1, "")
    bet = predict("quota", "?", [Option("32", 32), Option("65", 65), Option("one or two", 1.5)])
    assert nearest(bet, n06.paid_for(found)) == "one or two"
    assert nearest(bet, n06.paid_for(UsableCpus(32, None, None, 32, ""))) == "32"
    assert "150 ms in every 100 ms" in n06.quota_in_words(found)
    assert "25% of every period" in n06.quota_in_words(found)
    assert "stand still for" not in n06.quota_in_words(UsableCpus(32, None, 2.0, 2, ""))
    assert "should not be" in n06.quota_in_words(UsableCpus(32, None, None, 32, ""))
    assert said_inside(found) == said_inside(found) | {"os.cpu_count()": 32, "cgroup quota": 1.5, OURS: 1}
    newer = said_inside(found)["os.process_cpu_count()"]
    assert newer == (32 if sys.version_info >= (3, 13) else "Python 3.13 and newer")


@linux_only
def test_a_process_held_to_one_core_is_told_so_by_some_ways_and_not_by_others():
    here, bound = who_says(), who_says(bound=True)
    assert here[OURS] == usable_cpus().usable
    assert bound["len(os.sched_getaffinity(0))"] == bound[OURS] == 1
    assert bound["os.cpu_count()"] == here["os.cpu_count()"]
    assert "<table" in rendered(n06.says_table({"here": here, "bound": bound}))


def test_the_words_say_whether_the_ways_of_asking_agree():
    ways = ("os.cpu_count()", "len(os.sched_getaffinity(0))", "cgroup quota", OURS)
    same, one = dict(zip(ways, (2, 2, "none", 2), strict=True)), dict(zip(ways, (1, 1, "none", 1), strict=True))
    masked = dict(zip(ways, (8, 2, "none", 2), strict=True))
    bound = dict(zip(ways, (2, 1, "none", 1), strict=True))
    assert "all agree: 2" in str(n06.apis_in_words(same, bound))
    assert "still says 2" in str(n06.apis_in_words(same, bound))
    assert "do not agree" in str(n06.apis_in_words(masked, bound))
    assert "there is only one" in str(n06.apis_in_words(one, one))


# -------------------------------------------------------------------------------------------------------- the sweep


def test_all_numbers_of_workers_are_measured_where_there_are_few_cores():
    assert n06.worker_counts(1) == (1, 2, 3, 4)
    assert n06.worker_counts(2) == (1, 2, 3, 4)
    assert n06.worker_counts(4) == (1, 2, 4, 6, 8)
    assert n06.worker_counts(10) == (1, 5, 10, 15, 20)
    assert all({1, n, 2 * n} <= set(n06.worker_counts(n)) for n in range(1, 40))


@pytest.mark.parametrize(
    ("per_s", "answer", "says"),
    [
        (FLAT, "flat", "What is scarce is CPU time"),
        (RISING, "rising", "still rose"),
        (COLLAPSE, "collapse", "lost much"),
    ],
)
def test_each_outcome_of_the_sweep_has_its_words(per_s, answer, says):
    bet = predict("many", "?", [Option("rising", 1.9), Option("flat", 1.0), Option("collapse", 0.5)])
    swept = made(per_s)
    assert nearest(bet, n06.ratio_at_twice(swept, 2).value) == answer
    assert says in n06.sweep_in_words(swept, 2)


def test_a_void_sweep_says_why_and_nothing_breaks():
    void = made(FLAT, void=EVERYTHING)
    assert "waited for a core" in n06.sweep_in_words(void, 2)
    assert "waited for a core" in str(n06.default_in_words(void, 2))
    assert "waited for a core" in str(n06_simulated.agreement(void, simulated(), CEILING))
    assert "waited for a core" in str(n06_deeper.rule_in_words(void, 2))
    assert n06_simulated.work_of_one(void).mean_s == n06_simulated.EXAMPLE_WORK_S
    assert n06.intervals_of(void) == {}
    assert "void" in n06.picture_of(void, 2, simulated={10: TEN}).alt
    half = made(FLAT, void=(4,))
    assert n06.ratio_at_twice(half, 2).value is None
    assert "waited for a core" in n06.sweep_in_words(half, 2)


def test_the_default_would_be_caught_if_it_used_all_cores(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    assert "0.98 cores' worth" in str(n06.default_in_words(made(FLAT), 2))
    greedy = SweepResult("", "", {}, {}, (Run(Cell(1, 2, 16), 0, measured(190.0, 1, used=1.9)),))  # type: ignore[arg-type]
    assert "Who helped it" in str(n06.default_in_words(greedy, 2))
    assert "one core is all there is" in str(n06.default_in_words(made(FLAT), 1))
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    assert "WEB_CONCURRENCY is set" in str(n06.default_in_words(made(FLAT), 2))
    monkeypatch.delenv("WEB_CONCURRENCY")
    assert "same instant" not in str(n06.default_in_words(made(FLAT), 2))
    runs = [Run(Cell(n, 2, 16), 0, measured(190.0, n, used=used)) for n, used in ((1, 0.98), (4, 2.02))]  # type: ignore[arg-type]
    assert "same instant" in str(n06.default_in_words(SweepResult("", "", {}, {}, tuple(runs)), 2))


def test_the_cpu_picture_can_leave_numbers_of_workers_out():
    shown = cpu_of(made(FLAT), counts=(1, 2, 4))
    assert "4 workers" in shown.alt
    assert "3 workers" not in shown.alt


def test_a_live_picture_draws_what_it_is_given_after_every_launch():
    seen: list[int] = []

    def draw(so_far: SweepResult) -> Picture:
        seen.append(len(so_far.runs))
        return n06.picture_of(so_far, 2)

    live = LiveGrid(draw)
    for run in made(FLAT).runs[:3]:
        live(run)
    assert seen == [1, 2, 3]


# ---------------------------------------------------------------------------------------------------- the simulation


def test_the_work_is_calibrated_with_all_launches_of_one_worker():
    swept = made(FLAT, noise=0)
    assert n06_simulated.work_of_one(swept).mean_s == pytest.approx(0.01)
    few = made({1: 5.0, 2: 10.0}, noise=0)
    assert n06_simulated.work_of_one(few).mean_s == pytest.approx(0.2)


def test_a_simulation_is_judged_by_the_measurement():
    good = str(n06_simulated.agreement(made(FLAT), simulated(), CEILING))
    assert "good enough" in good
    assert "1.90 times" in good
    high = str(n06_simulated.agreement(made({1: 100.0, 2: 191.0, 4: 186.0}), simulated(), CEILING))
    assert "too high, and outside of the measured interval" in high
    assert "Yet that is good enough" in high
    assert "calibrated" in good
    too_high = str(n06_simulated.agreement(made({1: 100.0, 2: 150.0, 4: 151.0}), simulated(), CEILING))
    assert "promises too much" in too_high
    assert "more than chance" in too_high
    assert "outside" in too_high
    assert "1.90 times" in too_high
    too_low = str(n06_simulated.agreement(made({1: 100.0, 2: 250.0, 4: 260.0}), simulated(), CEILING))
    assert "promises too little" in too_low
    alike = made({1: 100.0, 2: 200.5, 4: 201.0}, launches=2, noise=0)
    assert "more than chance" not in str(n06_simulated.agreement(alike, simulated(), CEILING))
    single = str(n06_simulated.agreement(made(FLAT, launches=1), simulated(), CEILING))
    assert "one launch" in single
    assert "what is chance" in single
    assert "proves nothing" in str(n06_simulated.agreement(made({1: 100.0}), simulated(), CEILING))


def test_ten_cores_are_told_as_simulated():
    assert "10.0 times as many" in str(n06_simulated.ten_in_words(TEN))


# ------------------------------------------------------------------------------------------------------------ memory


def test_a_line_through_the_readings_says_what_one_more_worker_costs():
    by_pss, by_rss = straight(PLAIN), straight(PLAIN, shared_once=False)
    assert by_pss is not None
    assert by_rss is not None
    assert by_pss.each_mib == pytest.approx(44)
    assert by_pss.fit_into(1024) == 22
    assert by_rss.fit_into(1024) == 14
    assert by_pss.fit_into(10) == 0
    assert straight(NOT_TOLD) is None
    assert straight(PLAIN[:1]) is None


def test_the_words_about_memory_follow_the_readings():
    both = n06.memory_in_words(PLAIN, limit_mib=1024, by_rss=15)
    assert "counts them in every process" in both
    assert "the sum of the RSS allows 14 (15, the limit divided" in both
    assert "divided" not in n06.memory_in_words(PLAIN, limit_mib=1024, by_rss=14)
    private = [Reading(2, 172.0, 171.0), Reading(3, 238.0, 237.0)]
    assert "Hardly anything is shared" in n06.memory_in_words(private, limit_mib=1024, by_rss=15)
    assert "does not tell" in n06.memory_in_words(NOT_TOLD, limit_mib=1024, by_rss=15)
    assert n06.fits_against_rss(PLAIN, limit_mib=1024, by_rss=15) == pytest.approx(22 / 15)
    assert n06.fits_against_rss(NOT_TOLD, limit_mib=1024, by_rss=15) is None
    assert n06.costs(NOT_TOLD) == pytest.approx((40, 66))
    assert n06.rss_each(HEAVY) == pytest.approx(130)


def test_a_model_that_were_shared_would_be_told_to_be():
    plain, heavy = straight(PLAIN), straight(HEAVY)
    assert "once <i>per worker</i>" in n06.model_in_words(plain, heavy, model_mib=60).text
    assert "it is shared" in str(n06.model_in_words(plain, plain, model_mib=60))
    assert "nobody can say" in str(n06.model_in_words(plain, None, model_mib=60))


def test_advice_is_a_line_each() -> None:
    said = str(n06.advice_in_words(how_many_workers(cores=2), how_many_workers(cores=32, quota=1.5)))
    assert "2 workers; the cores decided" in said
    assert "the quota decided" in said


def test_the_recap_is_computed_for_every_outcome():
    inside = UsableCpus(32, None, 1.5, 1, "")
    advice = how_many_workers(cores=2)

    def shown(swept: SweepResult, plain: Sequence[Reading] = PLAIN, loaded: Sequence[Reading] = HEAVY) -> str:
        facts = {"cores": 2, "here": simulated(), "ten": TEN, "plain": plain, "loaded": loaded, "advice": advice}
        return str(n06.recap(inside, swept, **facts))

    full = shown(made(FLAT))
    assert "1.01 times" in full
    assert "105 MiB with a model" in full
    assert "off by" in full
    assert "first look" in full
    assert "first look" not in shown(made(FLAT, launches=5))
    void = shown(made(FLAT, void=EVERYTHING), NOT_TOLD, NOT_TOLD)
    assert void.count("could not be measured") == 3
    assert "nobody could check" in void


# ------------------------------------------------------------------------------------------------------- the formula


def test_the_cores_decide_where_nothing_else_is_scarce():
    advice = how_many_workers(cores=8, cpu_ms=10)
    assert (advice.workers, advice.decided, advice.enough) == (8, "cores", None)
    assert advice.per_s == pytest.approx(800)
    assert "at most 12,500 answers/s" in str(how_many_workers(cores=50, cpu_ms=4))
    assert how_many_workers(cores=8, waiting_share=0.9).workers == 8, "who awaits serves others meanwhile"


@pytest.mark.parametrize(("quota", "workers", "decided"), [(1.5, 1, "quota"), (0.5, 1, "quota"), (40, 8, "cores")])
def test_a_quota_decides_where_it_is_below_the_cores(quota, workers, decided):
    advice = how_many_workers(cores=8, quota=quota)
    assert (advice.workers, advice.decided) == (workers, decided)
    assert how_many_workers(cores=8, quota=0.5, cpu_ms=10).per_s == pytest.approx(50)


def test_a_quota_between_two_numbers_of_workers_is_a_trade():
    trade = how_many_workers(cores=8, quota=1.5, cpu_ms=6).trade
    assert trade.startswith("or 2 workers: up to 250 answers/s")
    assert "25% of every period" in trade
    assert trade in str(how_many_workers(cores=8, quota=1.5, cpu_ms=6))
    assert "50% of every period" in how_many_workers(cores=8, quota=0.5).trade
    for whole in ({"quota": 2}, {"quota": 1}, {}, {"quota": 1.5, "memory_mib": 60}, {"quota": 2.5, "wanted_per_s": 1}):
        assert how_many_workers(cores=8, **whole).trade == ""
    stands = how_many_workers(cores=8, quota=1.5, waiting_share=0.5, waits="block")
    assert (stands.workers, stands.trade) == (3, "")


def test_memory_decides_and_may_leave_room_for_nobody():
    advice = how_many_workers(cores=8, memory_mib=512, mib_per_worker=100, base_mib=30)
    assert (advice.workers, advice.decided) == (4, "memory")
    assert how_many_workers(cores=8, memory_mib=500, mib_per_worker=100).workers == 5
    none = how_many_workers(cores=8, memory_mib=20, mib_per_worker=100, base_mib=30)
    assert none.workers == 0
    assert "not even one" in str(none)


def test_workers_that_stand_still_are_more_by_goetzs_formula():
    half = how_many_workers(cores=4, waiting_share=0.5, waits="block", cpu_ms=10)
    assert half.workers == 8  # cores x (1 + wait / work)
    assert half.per_s == pytest.approx(400)
    assert how_many_workers(cores=2, waiting_share=0.9, waits="block").workers == 20
    assert "50%" in half.why


def test_a_load_needs_no_more_workers_than_keep_each_below_its_share():
    light = how_many_workers(cores=32, cpu_ms=10, wanted_per_s=500)
    assert (light.workers, light.decided, light.enough) == (8, "load", True)
    heavy = how_many_workers(cores=4, cpu_ms=10, wanted_per_s=500)
    assert (heavy.workers, heavy.decided, heavy.enough) == (4, "cores", False)
    assert "not enough" in str(heavy)
    assert how_many_workers(cores=4, wanted_per_s=0).workers == 1
    exact = how_many_workers(cores=10, cpu_ms=10, wanted_per_s=700)
    assert (exact.workers, exact.enough) == (10, True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"cores": 0},
        {"cores": math.nan},
        {"cores": 4, "quota": 0},
        {"cores": 4, "cpu_ms": 0},
        {"cores": 4, "waiting_share": 1},
        {"cores": 4, "waits": "sleeps"},
        {"cores": 4, "memory_mib": -1},
        {"cores": 4, "memory_mib": 100, "mib_per_worker": 0},
        {"cores": 4, "wanted_per_s": -1},
        {"cores": 4, "busy_most": 0},
    ],
)
def test_a_value_that_makes_no_sense_is_refused_with_a_hint(wrong):
    with pytest.raises(InputError) as caught:
        how_many_workers(**wrong)
    assert caught.value.hint


# ------------------------------------------------------------------------------------------------------ the calculator


def test_the_calculator_starts_with_this_machine_and_ends_in_a_sweep_that_can_be_run():
    advisor = calculator(cpu_ms=10.0)
    assert advisor.advice.workers == usable_cpus().usable
    code = advisor.code()
    call = re.search(r"sweep\((.*)\)$", code, re.DOTALL)
    assert call
    bound = inspect.signature(sweep).bind(*eval(f"(lambda *a, **k: (a, k))({call[1]})")[0])
    assert bound.arguments["path"] == "/cpu"
    compile(code, "<code>", "exec")
    assert f"workers={(1, 3, 4, 5)}, users=(40,)" in calculator(cores=4, quota=None).code()
    assert "users=(1000,)" in calculator(cores=64, quota=None, waiting_share=0.99).code()


def test_the_line_of_code_fits_the_request_and_the_machine():
    here = calculator(path="/cpu?units=25", cpu_ms=6)
    assert "/cpu?units=25" in here.code()
    assert "Now measure:" in rendered(here)
    waits = calculator(cpu_ms=6, waiting_share=0.95)
    assert "'/sleep?ms=114'" in waits.code()
    blocks = waits.set(waits="block", cores=2, quota=None)
    assert "'/blocking?ms=114'" in blocks.code()
    assert "workers=(1, 39, 40, 41), users=(328,)" in blocks.code()
    assert "only waits" in rendered(blocks)
    assert "'/mine'" in calculator("mine:app", "/mine", waiting_share=0.5).code()
    elsewhere = calculator(cores=usable_cpus().logical + 8, quota=1.5)
    assert "on that machine" in rendered(elsewhere)
    assert "quota of 1.5" in rendered(elsewhere)
    assert "pause" in rendered(elsewhere)
    none = calculator(memory_mib=10)
    assert none.code() == ""
    assert "sweep(" not in rendered(none) + repr(none)


def test_the_calculator_answers_within_a_few_milliseconds():
    import time

    advisor = calculator(cores=4)
    began = time.perf_counter()
    for cores in range(1, 51):
        advisor.set(cores=cores)
    assert (time.perf_counter() - began) / 50 < 0.02


def test_another_input_lets_another_limit_decide():
    advisor = calculator(cores=4, quota=None)
    assert advisor.advice.decided == "cores"
    assert advisor.set(quota=1.5).advice.decided == "quota"
    assert advisor.set(quota=None, memory_mib=128).advice.decided == "memory"
    assert advisor.set(memory_mib=None, wanted_per_s=10).advice.decided == "load"
    assert "1 worker" in rendered(advisor)
    assert "Not enough" in rendered(advisor.set(wanted_per_s=100_000))


def test_a_wrong_input_by_code_is_refused_and_changes_nothing():
    advisor = calculator(cores=4, quota=None)
    with pytest.raises(InputError, match="no input 'core'"):
        advisor.set(core=2)
    with pytest.raises(InputError):
        advisor.set(cpu_ms=0)
    assert advisor.values["cpu_ms"] == 10
    assert advisor.advice.workers == 4


def test_the_controls_and_the_code_move_the_same_numbers():
    ipywidgets = pytest.importorskip("ipywidgets")
    advisor = calculator(cores=4, quota=None)
    advisor._build(ipywidgets)
    controls = advisor._controls
    controls["quota"].value = 2.5
    assert advisor.advice.decided == "quota"
    assert "2 workers" in advisor._answer.value
    controls["quota"].value = 0
    assert advisor.values["quota"] is None
    advisor.set(cores=128, quota=3.0)
    assert (controls["cores"].value, controls["quota"].value) == (128, 3.0)
    assert advisor.values["cores"] == 128
    controls["waits"].value = "block"
    controls["waiting_share"].value = 0.5
    assert advisor.advice.workers == 6
    assert "6 workers" in advisor._answer.value
    controls["memory_mib"].value = 10
    assert "0 workers" in advisor._answer.value
    controls["memory_mib"].value = 512
    for name in ("cpu_ms", "mib_per_worker"):
        before = controls[name].value
        controls[name].value = 0
        assert f"{name} must" in advisor._answer.value, "a value is refused aloud, not changed in silence"
        controls[name].value = before
        assert "6 workers" in advisor._answer.value


def test_without_widgets_the_calculator_shows_its_answer_and_the_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(controls_module, "library", lambda: None)
    calculator(cores=4, quota=None)._ipython_display_()
    assert "advisor.set(quota=1.5, memory_mib=512)" in capsys.readouterr().out


# ------------------------------------------------------------------------------------------------------- going deeper


def test_the_rule_of_2n_plus_1_is_told_for_every_outcome():
    def rule(ratio: float) -> str:
        return str(n06_deeper.rule_in_words(made({2: 195.0, 5: 195.0 * ratio}), 2))

    assert "buys 2% more at the very most" in rule(1.02)
    assert "buys nothing" in rule(0.98)
    assert "3 more workers" in rule(1.02)
    assert "That is a gain" in rule(1.6)
    assert "That is a loss" in rule(0.5)
    wide = str(n06_deeper.rule_in_words(made({2: 195.0, 4: 208.0}, noise=0.2), 2))
    assert "Inconclusive" in wide
    assert "buys" not in wide
    assert "proves nothing" in str(n06_deeper.rule_in_words(made({2: 195.0, 5: 208.0}, launches=1), 2))


def skewed(share: float, per_s: float, verdict: str = "pass") -> Any:
    return Measured(per_s, None, {11: share, 12: 1 - share}, verdict)


def test_an_uneven_share_is_told_with_its_price():
    even, uneven = ("uvloop", "10 ms apart", skewed(0.51, 170)), ("uvloop", "at once", skewed(1.0, 86))
    shown = str(n06_deeper.skew_of([uneven, even], 2))
    assert "1 of 1 launch" in shown
    assert "0.51 times" in shown
    assert "for life" in shown
    assert "Nobody promised it" in str(n06_deeper.skew_of([even], 2))
    assert "nothing to compare" in str(n06_deeper.skew_of([uneven], 2))
    void = ("uvloop", "at once", skewed(1.0, 86, "void"))
    assert "nothing to compare" in str(n06_deeper.skew_of([void, even], 2))
    assert "void" in str(n06_deeper.skew_of([void, even], 2))
    cheap = ("uvloop", "at once", skewed(1.0, 168))
    assert "missed by nobody" in str(n06_deeper.skew_of([cheap, even], 1))
    assert "cost little" in str(n06_deeper.skew_of([cheap, even], 2))
    assert "more than 75%" in shown
    apart = ("asyncio", "at once", skewed(1.0, 60))
    assert "with asyncio" not in str(n06_deeper.skew_of([uneven, even, apart], 2)), "loops are not mixed"


def test_few_launches_prove_nothing_about_how_connections_are_opened():
    def shown(once: int, apart: int, of: int = 6) -> str:
        runs = [("uvloop", "at once", skewed(1.0 if i < once else 0.5, 100)) for i in range(of)]
        runs += [("uvloop", "10 ms apart", skewed(1.0 if i < apart else 0.5, 100)) for i in range(of)]
        return str(n06_deeper.skew_of(runs, 2))

    assert "proves nothing" in shown(2, 0)
    assert "chance alone would do so in 23%" in shown(2, 0)
    assert "it does help" in shown(6, 0)
    assert "did not help" in shown(2, 2)
    assert "Opened at once" not in shown(0, 0)


def test_one_ratio_leaves_amdahls_limit_open():
    wide = str(n06_deeper.amdahl_in_words(Ratio(1.9, 1.5, 2.2, 3), 2))
    assert "serial share of 0.053" in wide
    assert "no limit" in wide
    assert "how sure" in str(n06_deeper.amdahl_in_words(Ratio(1.9, None, None, 1), 2))
    assert "here is none" in str(n06_deeper.amdahl_in_words(Ratio(None, None, None, 0), 2))
    assert "here is none" in str(n06_deeper.amdahl_in_words(Ratio(1.0, 1.0, 1.0, 2), 1))


def test_two_cores_are_refused_by_the_fit_and_a_flat_line_is_not_believed():
    shown = str(n06_deeper.usl_in_words(made(FLAT), 2))
    assert "refused" in shown
    assert "At least 4 different numbers of workers are needed, and here are 2" in shown
    assert "the cores end at 2" in shown
    void = str(n06_deeper.usl_in_words(made(FLAT, void=EVERYTHING), 2))
    assert void.count("refused") == 2
    assert "the cores end" not in void


def test_the_fit_finds_what_was_put_into_the_invented_machine():
    law = fit_usl(*n06_deeper.invented(100.0))
    shown = str(n06_deeper.found_again(law))
    assert shown.count("inside") == 2


def test_the_event_loops_on_offer_are_installed():
    assert "asyncio" in n06_deeper.loops()


# ---------------------------------------------------------------------------------------------------------- pictures


@pytest.fixture(scope="module")
def gallery() -> dict[str, Picture]:
    swept, lines = made(FLAT), {2: simulated(), 10: TEN}
    many = made({1: 100.0, 5: 490.0, 10: 960.0, 15: 970.0, 20: 965.0}, cpus=10)
    return {
        "the sweep": n06.picture_of(swept, 2),
        "with a bet": n06.picture_of(swept, 2, bet=1.9),
        "one core": n06.picture_of(made({1: 100.0, 2: 99.0, 3: 98.0, 4: 98.0}, cpus=1), 1),
        "ten cores, with a bet": n06.picture_of(many, 10, bet=1.0),
        "ten cores, measured": n06.picture_of(many, 10, bet=0.5, simulated={10: TEN}),
        "a first launch": n06.picture_of(made({1: 100.0}, launches=1), 2),
        "two launches": n06.picture_of(made(FLAT, launches=2, noise=0.2), 2),
        "void": n06.picture_of(made(FLAT, void=EVERYTHING), 2),
        "simulated": n06.picture_of(swept, 2, simulated=lines),
        "simulated, one core": n06.picture_of(
            made({1: 100.0, 2: 99.0}, cpus=1), 1, simulated={1: simulated(cores=1), 10: TEN}
        ),
        "memory": memory_picture(PLAIN, limit_mib=1024),
        "memory, with a bet": memory_picture(PLAIN, limit_mib=1024, bet=60),
        "memory, bet on RSS": memory_picture(PLAIN, limit_mib=1024, bet=15),
        "memory, no PSS": memory_picture(NOT_TOLD, limit_mib=1024),
        "memory, one reading": memory_picture(PLAIN[:1], limit_mib=1024),
    }


def test_no_label_leaves_its_picture_or_covers_another(gallery: dict[str, Picture], monkeypatch: pytest.MonkeyPatch):
    assert label_faults(gallery, monkeypatch) == []


def test_every_picture_has_a_sentence_a_table_and_axes_from_zero(gallery: dict[str, Picture]):
    for name, picture in gallery.items():
        assert picture.alt.endswith("."), name
        assert "None" not in picture.alt, name
        assert "nan" not in picture.alt.lower(), name
        assert len(picture.table) > 0, name
        assert all(min(axes.get_ylim()) == 0 for axes in picture.axes), name


def test_a_bet_that_is_right_hides_no_dot():
    picture = n06.picture_of(made(FLAT), 2, bet=1.0)
    (axes,) = picture.axes
    (bet,) = [line for line in axes.lines if line.get_marker() == "D"]
    dots = [line for line in axes.lines if line.get_marker() == "o"][-1]
    apart = bet.get_transform().transform((4, 195.0))[0] - dots.get_transform().transform((4, 195.0))[0]
    assert apart > 0.2 * picture.dpi


def test_an_invented_law_is_called_invented():
    law = fit_usl(*n06_deeper.invented(100.0))
    assert "invented/s" in usl_plot(law, invented=True).table.columns
    assert "invented" in usl_plot(law, invented=True).alt
    assert "measured/s" in usl_plot(law).table.columns


def test_a_sweep_is_shown_short_and_as_a_table():
    swept = made(FLAT)
    assert repr(swept) == str(swept)
    assert len(repr(swept).splitlines()) < 8
    assert "<table" in swept._repr_html_()
    assert "1.95x" in swept._repr_html_()
    assert "void" in made(FLAT, void=EVERYTHING)._repr_html_()


def test_what_is_simulated_is_dashed_and_what_is_measured_is_dots(gallery: dict[str, Picture]):
    lines = gallery["simulated"].axes[0].lines
    dashed = [line for line in lines if line.get_linestyle() == "--"]
    assert [list(line.get_xdata()) for line in dashed] == [[1, 2, 3, 4], [1, 2, 10, 20]]
    dots = [line for line in lines if line.get_linestyle() == "None" and line.get_marker() == "o"]
    assert sum(len(line.get_xdata()) for line in dots) == 12
    assert "Simulated, 10 cores" in gallery["simulated"].alt


def test_a_picture_of_memory_wants_a_reading():
    with pytest.raises(InputError):
        memory_plot([Sums("sum of RSS", [])], limit_mib=1024)


# -------------------------------------------------------------------------------------------------- on real servers


@pytest.mark.full
@linux_only
def test_every_worker_loads_a_model_of_its_own_unless_it_is_mapped(tmp_path: Path, state_folder: Path):  # noqa: F811
    file = tmp_path / "model.npy"
    np.save(file, np.ones(60 * 2**20 // 8))
    costs = {}
    ways = {"loaded": {}, "mapped": {"MODEL_FILE": str(file)}, "without": {"MODEL_MIB": "0"}}
    for how, env in ways.items():
        with Server("helpers.demo.model:app", workers=2, env=env) as server:
            found = [reading(server)]
            server.scale(3)
            found.append(reading(server))
            assert [each.workers for each in found] == [2, 3]
            numbers = 1 if how == "without" else 60 * 2**20 / 8
            assert get(server.url, "/predict").json()["share"] == pytest.approx(1 / numbers)
        line = straight(found)
        assert line is not None
        costs[how] = line.each_mib
    assert costs["loaded"] - costs["mapped"] == pytest.approx(60, abs=20)
    assert costs["loaded"] - costs["without"] == pytest.approx(60, abs=6)
