"""Notebook 02: its exercises judge every typical answer, and its sentences fit what was measured, also nothing."""

import html
import math
import os
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from helpers import proc
from helpers.experiment import Cell, Run, SweepResult
from helpers.load.checks import engine_cpu
from helpers.load.plan import make_plan
from helpers.load.records import OK, TIMEOUT
from helpers.load.result import RECORD, LoadResult
from helpers.plots.picture import Picture
from helpers.teach.exercises import check
from helpers.teach.neighbour import busy_neighbour
from helpers.teach.outcomes import VOID
from helpers.teach.words import n02, n02_deeper
from tests.waiting import await_true

WORKER = 70
CORES = os.cpu_count() or 1


def load(
    *, users: int = 16, per_s: float = 90.0, failed: float = 0.0, others: float = 0.0, generator: float = 0.02
) -> LoadResult:
    """Two seconds of a closed loop with that throughput; each request waits in line, and is then worked on."""
    each_ns = int(users / per_s * 1e9)
    per_user = max(1, int(2e9 / each_ns))
    records = np.zeros(users * per_user, RECORD)
    records["connection"] = np.repeat(np.arange(users), per_user)
    records["intended_ns"] = records["sent_ns"] = np.tile(np.arange(per_user) * each_ns, users) + 1
    records["done_ns"] = records["intended_ns"] + each_ns - 1
    records["started_ns"] = records["done_ns"]
    records["handled_ns"] = records["done_ns"] - int(1e9 / per_s)
    records["worker"] = 1
    records["outcome"] = OK
    records["outcome"][: int(failed * len(records))] = TIMEOUT
    wall_ns = each_ns * per_user
    still: dict[str, Any] = {"at_ns": 0, "engine_s": 0.0, "run_delay_ns": 0, "busy_s": 0.0, "idle_s": 0.0}
    still |= {"steal_s": 0.0, "owner_s": 0.0, "server_s": {str(WORKER): 0.0}, "server_ended_s": 0.0}
    wall_s = wall_ns / 1e9
    used = {"engine_s": generator * wall_s, "server_s": {str(WORKER): 0.9 * wall_s}}
    idle_s = (CORES - 0.9 - generator - others) * wall_s
    return LoadResult(
        plan=make_plan("http://127.0.0.1:5012/cpu", users=users, duration=2),
        records=records,
        t0_ns=1,
        t1_ns=1 + wall_ns,
        worker_pids={1: WORKER},
        before=still,  # type: ignore[arg-type]
        after=still | used | {"at_ns": wall_ns, "idle_s": idle_s},  # type: ignore[arg-type]
        launch_before=None,
        launch_after=None,
    )


def void() -> LoadResult:
    result = load(others=0.9)
    assert result.verdict == "void"
    return result


def sweep(*results: tuple[int, LoadResult]) -> SweepResult:
    runs = tuple(Run(Cell(1, None, users), 0, result) for users, result in results)
    return SweepResult("helpers.demo.api:app", "/cpu", {}, {}, runs)


def table(per_s: float = 90.0, first_per_s: float = 85.0) -> pd.DataFrame:
    rates = {1: first_per_s, 4: per_s, 16: per_s, 64: per_s}
    rows = [(users, rate, *[1000 * users / rate] * 3) for users, rate in rates.items()]
    columns = ["users", "answers_per_s", "median_ms", "p95_ms", "mean_ms"]
    return pd.DataFrame(rows, columns=columns).set_index("users")


def seen(per_s: float, generator: float, server: float) -> dict[str, Any]:
    return {"label": "x", "answers_per_s": per_s, "generator": generator, "workers": {WORKER: server}}


EACH, SHARED = seen(900, 0.97, 0.2), seen(90, 0.98, 0.03)
EACH4, SHARED4 = seen(800, 0.95, 0.2), seen(700, 0.95, 0.2)
FAILS = sweep((1, load(users=1)), (45, load(users=45)), (180, load(users=180, failed=0.97)))
HOLDS = sweep((1, load(users=1)), (180, load(users=180)))
ALL_VOID = sweep((1, void()), (180, void()))


def drawn_texts(picture: Picture) -> list[str]:
    return [text.get_text() for text in picture.findobj(Text)]


def words(shown: Any) -> str:
    text = shown if isinstance(shown, str) else shown._repr_html_()
    assert not re.search(r"\b(None|nan|inf)\b", text)
    return html.unescape(re.sub(r"<[^>]+>", "", text))


# --------------------------------------------------------------------------------------------------------- exercises

RATE = {"per_s": 80.0}
REFEREE = {"result": void()}
EXERCISES: list[tuple[str, dict[str, Any], list[Any], list[Any]]] = [
    ("02.1", RATE, [400, 400.0, "390", 410], [0.4, 12.5, 200, 2.5, 2560, 1000]),
    ("02.2", RATE, [800, 790.0, 820], [80, 8, 800_000, 5000, 400]),
    (
        "02.3",
        REFEREE,
        ["foreign load", " Foreign Load "],
        ["the neighbour", "engine CPU", "Little's law", "launch", "steady"],
    ),
]


@pytest.mark.parametrize(("name", "facts", "right", "wrong"), EXERCISES, ids=[entry[0] for entry in EXERCISES])
def test_an_exercise_judges_blank_right_and_wrong(
    name: str, facts: dict[str, Any], right: list[Any], wrong: list[Any]
) -> None:
    assert check(name, ..., **facts).mark == "open"
    assert [check(name, answer, **facts).mark for answer in right] == ["right"] * len(right)
    judged = [check(name, answer, **facts) for answer in wrong]
    assert [each.mark for each in judged] == ["wrong"] * len(wrong)
    hints = [each.says for each in judged]
    assert len(set(hints)) == len(hints), "each mistake gets the hint that fits it"
    assert check(name, object(), **facts).mark == "wrong"


def test_the_referee_accepts_the_worst_check_of_a_run_that_came_out_well_after_all() -> None:
    result = load()
    assert result.verdict != "void"
    worst = next(each for each in result.checks if each.verdict == result.verdict)
    assert check("02.3", worst.name, result=result).mark == "right"


# ------------------------------------------------------------------------------------------------- the own load tester


def test_the_distribution_shows_the_prediction_where_there_is_one() -> None:
    answers = {users: [0.011 * users] * 100 for users in (1, 4, 16, 64)}
    assert "predicted" not in n02.distribution(answers, None).alt
    picture = n02.distribution(answers, 4)
    assert "You predicted 44 ms" in picture.alt
    assert any("for 16 users: 44 ms" in text for text in drawn_texts(picture))


def test_answers_that_never_came_stay_in_the_distribution() -> None:
    answers = {1: [0.011] * 50, 16: [0.7] * 50 + [math.inf] * 50}
    assert "50 % never answered within 5 s" in n02.distribution(answers, None).alt


@pytest.mark.parametrize(("first", "expected"), [(85.0, "stand in line"), (30.0, "the throughput changed as well")])
def test_the_median_is_explained_for_either_outcome(first: float, expected: str) -> None:
    said = words(n02.median_in_words(table(first_per_s=first)))
    assert expected in said
    assert "178 ms" in said


def test_the_timeline_is_explained_with_its_own_numbers() -> None:
    said = words(n02.timeline_explained(load(), table()))
    assert "worked on for 11 ms" in said
    assert "yours is right" in said
    assert "further down you find out who lies" in words(n02.timeline_explained(load(), table(per_s=50)))
    assert VOID in words(n02.timeline_explained(void(), table()))


# ---------------------------------------------------------------------------------------------------------- time-outs


def test_time_outs_are_explained_whether_they_came_or_not() -> None:
    assert "answers about 90 requests in a second; whoever stands further back" in words(
        n02.timeouts_in_words(FAILS, 90)
    )
    assert "What would have to be true?" in words(n02.timeouts_in_words(HOLDS, 90))
    assert VOID in words(n02.timeouts_in_words(ALL_VOID, 90))


def test_a_limit_is_named_only_where_requests_failed() -> None:
    assert [n02.limit_found(each, 90) for each in (FAILS, HOLDS, ALL_VOID)] == [90, None, None]


@pytest.mark.parametrize("bet", [None, 1, 10, 100, 10_000])
@pytest.mark.parametrize("measured", [FAILS, HOLDS, ALL_VOID], ids=["fails", "holds", "void"])
def test_the_users_picture_bears_any_prediction(bet: float | None, measured: SweepResult) -> None:
    picture = n02.cliff_picture(measured, bet)
    assert isinstance(picture, Picture)
    assert ("You predicted" in picture.alt) == (bet is not None)


# ------------------------------------------------------------------------------------------------------- who is lying


def test_blame_goes_to_whoever_was_busy() -> None:
    assert n02.who_is_to_blame(SHARED) == "the load generator"
    assert n02.who_is_to_blame(seen(90, 0.2, 0.9)) == "the server"


def test_the_liar_is_explained_for_each_outcome() -> None:
    fast = load(users=64, per_s=5000)
    said = words(n02.liar_in_words(EACH, SHARED, fast))
    assert "waited for your load generator" in said
    assert "how fast it is, not how fast the server is" in said
    assert "56 times what the shared client measured" in said
    assert VOID in words(n02.liar_in_words(EACH, SHARED, void()))
    assert "run the cell again" in words(n02.liar_in_words(EACH, seen(90, 0.1, 0.9), fast))


def test_the_picture_of_the_three_testers_shows_no_number_of_a_void_run() -> None:
    assert any("5,000 answers/s" in text for text in drawn_texts(n02.who_was_busy(EACH, SHARED, load(per_s=5000))))
    texts = drawn_texts(n02.who_was_busy(EACH, SHARED, void()))
    assert any(text.endswith("void") for text in texts)
    assert not any("was not measured" in text for text in texts)


def test_the_own_test_is_judged_by_the_engines_check() -> None:
    assert words(n02.own_check_explained(engine_cpu(0.98))).startswith("void: ")
    assert "other programs left it no more" in words(n02.own_check_explained(engine_cpu(0.5)))


def test_sharing_is_put_right_with_four_users() -> None:
    said = words(n02.sharing_explained(EACH, SHARED, EACH4, SHARED4))
    assert "With 4 users the shared client reaches 88 % of the other's throughput, with 64 10 %" in said
    assert "Inside an app" in said
    assert "was the machine busy" in words(n02.sharing_explained(EACH, SHARED, EACH4, seen(100, 0.9, 0.1)))


def test_the_referee_sees_the_claim_and_both_runs_but_no_verdict() -> None:
    said = words(n02.referee(void(), load()))
    assert "where you measured" in said
    assert "foreign" not in said
    assert "where you measured" not in words(n02.referee(void(), void()))


def test_the_busy_neighbour_takes_a_core_and_ends_with_the_block() -> None:
    before = set(proc.descendants(os.getpid()))
    with busy_neighbour():
        (pid,) = set(proc.descendants(os.getpid())) - before
        await_true(lambda: (proc.cpu_s(pid) or 0) > 0.3)
    assert not proc.alive(pid)


def test_the_busy_neighbour_ends_with_its_owner() -> None:
    code = (
        "import os, time\nfrom helpers import proc\nfrom helpers.teach.neighbour import busy_neighbour\n"
        "with busy_neighbour():\n    pid, = proc.descendants(os.getpid())\n"
        "    while (proc.cpu_s(pid) or 0) < 0.3: time.sleep(0.02)\n"
        "    print(pid, flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        created = proc.create_time(pid)
        owner.kill()
    await_true(lambda: not proc.alive(pid, created))


# ------------------------------------------------------------------------------------------------ recap, going deeper


def test_the_recap_follows_the_numbers() -> None:
    mine, fast = table(), load(users=64, per_s=5000)
    said = words(n02.recap(mine, FAILS, 90, EACH, SHARED, fast, load()))
    assert "with 180 users requests did" in said
    assert "disturbed" not in said
    assert "disturbed" in words(n02.recap(mine, FAILS, 90, EACH, SHARED, fast, void()))
    assert "5,000, of one and the same server" in said
    changed = words(n02.recap(table(per_s=40), HOLDS, 40, EACH, seen(90, 0.1, 0.9), fast, load()))
    assert "40 answers/s" in changed
    assert "no request failed here" in changed
    assert "shared client" not in changed
    nothing = words(n02.recap(mine, ALL_VOID, 90, EACH, SHARED, void(), void()))
    assert "a client per user 900" in nothing
    assert f"From how many users on requests fail {VOID}" in nothing


def test_the_door_is_explained_for_each_outcome() -> None:
    assert "45 of the 45 users" in words(n02_deeper.door_explained(load(users=45), FAILS))
    starved = load(users=45, failed=0.5)
    assert "stood before the door" in words(n02_deeper.door_explained(starved, FAILS))
    assert "asyncio" not in words(n02_deeper.door_explained(starved, ALL_VOID))
    assert VOID in words(n02_deeper.door_explained(void(), FAILS))


def test_the_mean_is_held_against_the_percentiles() -> None:
    skewed = [0.01] * 80 + [0.3] * 20
    assert "times the median" in words(n02_deeper.mean_against_percentiles(skewed))
    assert "no misleading number" in words(n02_deeper.mean_against_percentiles([0.01] * 100))
    assert VOID in words(n02_deeper.mean_against_percentiles([math.inf]))
