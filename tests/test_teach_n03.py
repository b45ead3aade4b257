"""Notebook 03: its exercises judge every typical answer, and its sentences fit what was measured, also nothing."""

import os
import re
import signal
from typing import Any

import numpy as np
import pytest

from helpers.errors import InputError, StateError
from helpers.load.plan import make_plan
from helpers.load.records import OK, RESET
from helpers.load.result import RECORD, LoadResult
from helpers.plots.door import door_plot
from helpers.plots.picture import WORKER_COLOURS, Picture
from helpers.server.processes import Process, Processes, Socket
from helpers.server.sampler import Sample
from helpers.server.server import Server
from helpers.teach import live
from helpers.teach.exercises import check
from helpers.teach.outcomes import VOID, nearest
from helpers.teach.predict import Option, predict
from helpers.teach.words import n03
from tests.pictures import drawn_texts, label_faults
from tests.serving import BARE, get, state_folder
from tests.waiting import await_true

__all__ = ["state_folder"]

PARENT, TRACKER, A, B = 70, 71, 72, 73
INODE = 4_294_967_295
HELD = [Socket(PARENT, 3, INODE), Socket(A, 3, INODE), Socket(B, 3, INODE), Socket(B, 9, INODE)]


def load(
    *,
    users: int = 16,
    per_s: float = 100.0,
    used: tuple[float, ...] = (0.98,),
    failed: int = 0,
    void: str | None = None,
) -> LoadResult:
    """Two seconds of a closed loop with that throughput, in which the workers used so many cores' worth."""
    each_ns = int(users / per_s * 1e9)
    per_user = int(2e9 / each_ns)
    records = np.zeros(users * per_user, RECORD)
    records["connection"] = np.repeat(np.arange(users), per_user)
    records["intended_ns"] = records["sent_ns"] = np.tile(np.arange(per_user) * each_ns, users) + 1
    records["done_ns"] = records["intended_ns"] + each_ns - 1
    records["worker"] = 1 + records["connection"] % len(used)
    records["outcome"] = OK
    records["outcome"][:failed] = RESET
    pids = [A, B][: len(used)]
    wall_ns = each_ns * per_user
    still: dict[str, Any] = {"at_ns": 0, "engine_s": 0.0, "run_delay_ns": 0, "busy_s": 0.0, "idle_s": 0.0}
    still |= {"steal_s": 0.0, "owner_s": 0.0, "server_s": dict.fromkeys(map(str, pids), 0.0), "server_ended_s": 0.0}
    spent = {str(pid): wall_ns / 1e9 * cores for pid, cores in zip(pids, used, strict=True)}
    idle_s = wall_ns / 1e9 * (os.cpu_count() or 1) - sum(spent.values())
    later = still | {"at_ns": wall_ns, "idle_s": idle_s, "server_s": spent}
    return LoadResult(
        plan=make_plan("http://127.0.0.1:5012/cpu", users=users, duration=2),
        records=records,
        t0_ns=1,
        t1_ns=1 + wall_ns,
        worker_pids={i + 1: pid for i, pid in enumerate(pids)},
        before=still,  # type: ignore[arg-type]
        after=later,  # type: ignore[arg-type]
        launch_before=None,
        launch_after=None,
        incomplete=void,
    )


def row(pid: int, role: Any, *, pss: float | None = 30.0) -> Process:
    return Process(pid, 1 if pid == PARENT else PARENT, role, 1, 0.0, 60.0, pss, 0, "python")


FOUND = Processes((row(PARENT, "parent"), row(TRACKER, "resource tracker"), row(A, "worker"), row(B, "worker")))
ALONE = Processes((row(A, "server"),))
ROOM = [Option("ten", 10), Option("two", 2), Option("none", 1)]
STOP = predict("stop", "?", [Option("all", 1.0), Option("half", 0.5), Option("none", 0.0)])


def words(shown: Any) -> str:
    text = shown if isinstance(shown, str) else shown._repr_html_()
    assert "None" not in text.replace("None came", "").replace("None failed", "")
    assert "nan" not in text
    return re.sub(r"<[^>]+>", "", text)


# --------------------------------------------------------------------------------------------------------- exercises

SOCKETS = {"held": HELD, "found": FOUND}
EXERCISES: list[tuple[str, dict[str, Any], list[Any], list[Any]]] = [
    ("03.1", {"two": 4}, [6, 6.0, "6"], [4, 5, 8, 7]),
    ("03.2", {}, [1, 1.0, "1.0"], [2, 0.2, 0.1, 8, 5]),
    ("03.3", SOCKETS, [[PARENT, A, B], {A, B, PARENT}], [[PARENT], [A, B], [A], [A, B, PARENT, TRACKER]]),
]


@pytest.mark.parametrize(("name", "facts", "right", "wrong"), EXERCISES)
def test_every_answer_gets_what_fits_it(name: str, facts: dict[str, Any], right: list[Any], wrong: list[Any]) -> None:
    assert check(name, ..., **facts).mark == "open"
    assert [check(name, answer, **facts).mark for answer in right] == ["right"] * len(right)
    judged = [check(name, answer, **facts) for answer in wrong]
    assert [each.mark for each in judged] == ["wrong"] * len(wrong)
    assert len({each.says for each in judged}) == len(wrong)


@pytest.mark.parametrize("name", ["03.1", "03.2", "03.3"])
@pytest.mark.parametrize("odd", [None, "many", [None], object(), ()])
def test_an_odd_answer_is_wrong_and_raises_nothing(name: str, odd: Any) -> None:
    facts = next(each[1] for each in EXERCISES if each[0] == name)
    assert check(name, odd, **facts).mark == "wrong"


def test_percents_are_asked_for_the_whole_they_are_of() -> None:
    assert check("03.2", 20).says == check("03.2", 0.2).says
    assert check("03.2", 10).says == check("03.2", 0.1).says


def test_where_the_system_does_not_tell_who_holds_a_socket_the_workers_will_do() -> None:
    nothing = SOCKETS | {"held": []}
    assert check("03.3", {A, B}, **nothing).mark == "right"
    assert "does not tell" in check("03.3", {PARENT}, **nothing).says


# --------------------------------------------------------------------------------------------------------- the words


def test_a_full_worker_has_no_headroom_whatever_the_dashboard_says() -> None:
    full, more = load(), load(users=32)
    says = words(n03.dashboard_in_words(full, more))
    assert "0.98 cores' worth" in says
    assert "over ten cores it would be 10%" in says
    assert "it is full" in says
    assert nearest(predict("room", "?", ROOM), n03.headroom(full, more)) == "none"


def test_a_worker_that_was_not_full_is_called_so() -> None:
    full, more = load(per_s=50, used=(0.5,)), load(users=32, per_s=100)
    assert "not full yet" in words(n03.dashboard_in_words(full, more))
    assert nearest(predict("room", "?", ROOM), n03.headroom(full, more)) == "two"
    assert "who else ran on it" in words(n03.dashboard_in_words(full, load(users=32, per_s=50, used=(0.5,))))


def test_what_is_void_is_said_to_be_void_everywhere() -> None:
    good, bad = load(), load(void="the machine slept")
    for full, more in ((good, bad), (bad, good), (bad, bad)):
        assert "the machine slept" in words(n03.dashboard_in_words(full, more))
        assert n03.headroom(full, more) is None
        assert "the machine slept" in words(n03.two_in_words(full, more))
    assert nearest(predict("room", "?", ROOM), None) == VOID
    assert "the machine slept" in words(n03.work_of({"1 worker": bad}))
    picture = n03.work_of({"1 worker": good, "2 workers": bad})
    assert isinstance(picture, Picture)
    assert "2 workers: not measured" in picture.alt
    assert VOID in words(n03.recap(FOUND, {A: 20}, bad, bad, HELD))


def test_two_workers_are_compared_with_one() -> None:
    assert "used 1.90 together" in words(n03.two_in_words(load(), load(used=(0.96, 0.94))))
    assert "is there a second core" in words(n03.two_in_words(load(), load(used=(0.5, 0.5))))


def test_none_failed_while_the_parent_was_stopped_since_all_hold_one_socket() -> None:
    result = load(used=(0.9, 0.9))
    says = words(n03.stopped_in_words(result, HELD))
    assert says.startswith("None failed")
    assert f"inode {INODE}, open in 3 processes" in says
    assert n03.failed_share(STOP, result) == "none"
    assert "inode" not in words(n03.stopped_in_words(result, []))


def test_failures_are_counted_also_in_a_void_run_and_not_talked_away() -> None:
    half = load(used=(0.9, 0.9), failed=100)
    assert "That contradicts" in words(n03.stopped_in_words(half, HELD))
    assert n03.failed_share(STOP, half) == "half"
    disturbed = load(used=(0.9, 0.9), void="the machine slept")
    assert "believe no times of it" in words(n03.stopped_in_words(disturbed, HELD))
    assert n03.failed_share(STOP, disturbed) == "none"


def test_the_ids_are_named() -> None:
    says = words(n03.ids_in_words(FOUND))
    assert says.startswith("4 ids: the parent 70")
    assert "workers 72 and 73" in says
    assert "started with one worker" in words(n03.ids_in_words(ALONE))


def test_who_never_answered_is_named() -> None:
    says = words(n03.answered_in_words({B: 13, A: 7}, FOUND))
    assert "72: 7, 73: 13" in says
    assert "70 (parent), 71 (resource tracker)" in says


def test_the_recap_follows_the_numbers() -> None:
    first = words(n03.recap(FOUND, {A: 7, B: 13}, load(), load(used=(0.9, 0.9)), HELD))
    assert "there were 4 ids; 2 of them answered requests: 72, 73" in first
    assert "0 of 192 requests failed" in first
    assert "sockets of the server: 1, open in 3 processes" in first
    other = words(n03.recap(FOUND, {B: 20}, load(used=(0.5,)), load(used=(0.9, 0.9), failed=3), []))
    assert "1 of them answered requests: 73" in other
    assert "3 of 192 requests failed" in other
    assert "0.50 cores' worth" in other


def test_memory_is_added_up_in_both_ways_or_said_to_be_unknown() -> None:
    assert "RSS adds up to 240 MB, PSS to 120 MB" in words(n03.memory_in_words(FOUND))
    assert "does not tell PSS" in words(n03.memory_in_words(Processes((row(A, "server", pss=None),))))


def test_shares_say_in_how_many_launches_one_worker_got_nearly_all() -> None:
    even, skewed = load(used=(0.5, 0.5)), load(used=(0.9,))
    says = words(n03.shares([("at once", skewed), ("apart", even), ("at once", even), ("apart", even)]))
    assert "In 1 of 2 launches with connections opened at once" in says
    assert "In none of 2 launches with connections opened apart" in says
    assert "–" in words(n03.shares([("at once", load(used=(0.5, 0.5), void="the machine slept"))]))


# ---------------------------------------------------------------------------------------------------------- the door


def doors() -> dict[str, Picture]:
    three: dict[str, Any] = {"port": 5012, "inode": INODE, "parent": PARENT, "tracker": TRACKER}
    big = range(4_194_290, 4_194_298)
    return {
        "stopped": n03.door_of(FOUND, HELD, port=5012, result=load(used=(0.9, 0.9))),
        "one worker": n03.door_of(ALONE, [Socket(A, 3, 8)], port=5012, result=load()),
        "not told": n03.door_of(FOUND, [], port=5012, result=load(used=(0.9, 0.9))),
        "all hold it": door_plot(workers=[A, B], holders=[PARENT, TRACKER, A, B], **three),
        "nobody beside": door_plot(workers=[A, B], holders=[A, B], **three),
        "eight": door_plot(
            port=65535, inode=INODE, workers=list(big), holders=list(big), parent=4_194_299, tracker=4_194_298,
            answers=dict.fromkeys(big, 1_234_567), parent_stopped=True,
        ),
    }  # fmt: skip


def test_the_door_shows_who_holds_it_and_who_stands_beside() -> None:
    picture = doors()["stopped"]
    assert f"One listening socket on port 5012 (inode {INODE}), held by worker {A}, worker {B}, parent" in picture.alt
    assert f"not by resource tracker {TRACKER}" in picture.alt
    assert "while the parent was stopped" in picture.alt
    assert list(picture.table["has it open"]) == ["yes", "yes", "yes", "no"]
    assert picture.table["answers"].sum() == 192


def test_the_door_says_nothing_about_holders_where_the_system_does_not_tell() -> None:
    picture = doors()["not told"]
    assert "held by" not in picture.alt
    assert "inode" not in picture.alt
    assert set(picture.table["has it open"]) == {None}


def test_a_worker_has_its_colour_at_the_door_too() -> None:
    import matplotlib.colors as colors

    faces = {colors.to_hex(patch.get_facecolor()).upper() for patch in doors()["all hold it"].axes[0].patches}
    assert {colour.upper() for colour in WORKER_COLOURS[:2]} <= faces


def test_no_words_at_the_door_leave_the_picture_or_cover_others(monkeypatch: pytest.MonkeyPatch) -> None:
    assert label_faults(doors(), monkeypatch) == []
    for picture in doors().values():
        assert min(text.get_size() for text in drawn_texts(picture, monkeypatch)) >= 10


def test_a_door_without_a_worker_is_refused() -> None:
    with pytest.raises(InputError, match="nobody at its door"):
        door_plot(port=1, workers=[], holders=[])


# ---------------------------------------------------------------------------------------------- with a real server


def test_the_bars_are_the_medians_of_the_looks() -> None:
    looks = [Sample(0.2 * i, {A: used, B: 0.5}, 0.0, 0.02, 0.03, 0.0, 0.5, {}) for i, used in enumerate((0.1, 0.9, 1))]
    parts = live.cores_of(looks)
    assert parts[f"worker {A}"] == 0.9
    assert list(parts)[:3] == [f"worker {A}", f"worker {B}", "parent"]
    shown = live.bars("now", parts)
    assert WORKER_COLOURS[0] in shown
    assert WORKER_COLOURS[1] in shown
    assert "0.90" in shown


@pytest.mark.usefixtures("state_folder")
def test_ps_is_asked_and_its_answer_counted() -> None:
    with Server(workers=2, **BARE) as server:
        assert "shows 0 of the server's 4 processes" in words(n03.ps_says(server, "-aF"))
        everybody = words(n03.ps_says(server, "-eF", only_ours=True))
        assert "shows 4 of the server's 4 processes" in everybody
        assert all(str(pid) in everybody for pid in [server.pid, *server.worker_pids])
        assert "differ between systems" in words(n03.ps_says(server, "--no-such-option"))
        assert "uvicorn does not count cores" in words(n03.more_than_cores_in_words(server, 1))


@pytest.mark.usefixtures("state_folder")
def test_a_stopped_parents_workers_answer_and_it_runs_on_afterwards() -> None:
    with Server(workers=2, **BARE) as server:
        os.kill(server.pid, signal.SIGSTOP)
        try:
            assert all(get(server.url).status == 200 for _ in range(10))
        finally:
            os.kill(server.pid, signal.SIGCONT)
        os.kill(server.worker_pids[0], signal.SIGKILL)
        await_true(lambda: server.state == "ready" and len(server.worker_pids) == 2)


@pytest.mark.usefixtures("state_folder")
def test_a_killed_worker_is_watched_until_it_is_replaced() -> None:
    with Server(workers=2, **BARE) as server:
        gone, other = server.worker_pids
        os.kill(gone, signal.SIGKILL)
        moments = live.until_replaced(server, gone)
        assert moments[-1].state == "ready"
        assert gone not in moments[-1].workers
        assert other in moments[-1].workers
        assert any(moment.workers == (other,) for moment in moments)
        os.kill(server.pid, signal.SIGSTOP)
        try:
            os.kill(other, signal.SIGKILL)
            with pytest.raises(StateError, match="not replaced"):
                live.until_replaced(server, other, within_s=0.8)
        finally:
            os.kill(server.pid, signal.SIGCONT)
