"""Notebook 09: its exercises, its words for every outcome, its pictures, the desk, and its rooms on real servers."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from helpers.errors import InputError, StateError
from helpers.incident.result import Event, Incident
from helpers.load import result as result_module
from helpers.load.launch import Launch, Worker
from helpers.load.plan import make_plan
from helpers.load.records import ABORTED, ATTEMPT_SHIFT, FLAG_RETRY, HTTP_5XX, OK, REFUSED, RESET, STALE_CONN, TIMEOUT
from helpers.load.result import RECORD, LoadResult
from helpers.load.run import Retry
from helpers.notebooks import FOLDER
from helpers.plots.burst import Try, burst_plot
from helpers.plots.each_request import ANSWERED, BROKEN, Row, each_request_plot
from helpers.plots.scoreboard import Score, scoreboard_plot
from helpers.server.nginx import Nginx
from helpers.server.server import Server
from helpers.teach.desk import Desk
from helpers.teach.exercises import check
from helpers.teach.operate import Behind, Burst, burst, runners_here, stop_in_mid_request
from helpers.teach.outcomes import VOID
from helpers.teach.together import Answer, Together
from helpers.teach.words import n09, n09_bets, n09_ends
from helpers.teach.words import n09_deeper as deeper
from helpers.teach.words.n09 import DOWN, KILL, ROLL, UP
from helpers.teach.words.n09_recap import recap
from helpers.teach.words.n09_servers import servers_table
from tests.pictures import label_faults
from tests.serving import state_folder  # noqa: F401
from tests.tools import require

S, MS = 10**9, 10**6
BY_HAND = ("launch", "Little's law")  # checks that find what is made by hand
RATE = 20


# ------------------------------------------------------------------------------------------------ incidents, by hand


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests made by hand come from no launch and keep no user busy, which two checks would find."""
    check_all = result_module.check_all
    monkeypatch.setattr(
        result_module, "check_all", lambda facts: tuple(c for c in check_all(facts) if c.name not in BY_HAND)
    )


def happened(
    *events: Event,
    crew: Sequence[tuple[float, int]] = ((0.0, 2),),
    lost: Mapping[int, int] | None = None,
    rates: Sequence[tuple[float, float]] = ((RATE, 6.0),),
    took_ms: float = 50.0,
    unfinished: int = 0,
    void: bool = False,
    workers: Sequence[int] = (),
    **plan: object,
) -> Incident:
    """An incident of answers at these rates (per s, for so many s); `lost` are the places of lost ones, and how."""
    at_s: list[float] = []
    begin_s = 0.0
    for rate, length_s in rates:
        at_s += list(begin_s + np.arange(0, length_s, 1 / rate))
        begin_s += length_s
    records = np.zeros(len(at_s), RECORD)
    records["intended_ns"] = records["sent_ns"] = 1 + (np.array(at_s) * S).astype(np.int64)
    records["done_ns"] = records["intended_ns"] + int(took_ms * MS)
    records["outcome"] = OK
    records["worker"] = workers if len(workers) else 1
    for place, outcome in (lost or {}).items():
        records["outcome"][place] = outcome
    chosen = plan if "users" in plan else {"rate": RATE, **plan}
    made = make_plan("http://127.0.0.1:5012/blocking?ms=50", duration=begin_s, **chosen)  # type: ignore[arg-type]
    first = Launch("a", "app", 1, 2, (Worker(101, "ready", 0, 0), Worker(102, "ready", 0, 0)), {})
    result = LoadResult(
        plan=made,
        records=records,
        t0_ns=1,
        t1_ns=1 + int(begin_s * S),
        worker_pids={1: 101, 2: 102, 3: 103, 4: 104},
        before={},  # type: ignore[typeddict-item]
        after=None,
        launch_before=first,
        launch_after=None,
        incomplete="somebody pulled the plug" if void else None,
    )
    return Incident(result, events, tuple(crew), unfinished)


GROWN = happened(
    Event("scale(3)", 2.0, 3.0),
    Event("scale(4)", 4.0, 5.0),
    crew=((0.0, 2), (3.0, 3), (5.0, 4)),
    rates=((40, 3), (60, 2), (80, 2)),
    new_connections=True,
    rate=66,
)
UP_AND_DOWN = (Event(UP, 1.0, 2.0), Event(DOWN, 3.0, 4.0))
SCALED = happened(*UP_AND_DOWN, crew=((0.0, 2), (1.5, 3), (2.0, 4), (3.5, 3), (4.0, 2)))
RESTART = Event(ROLL, 1.0, 3.0)
ROLLING = ((0.0, 2), (1.8, 3), (2.0, 2), (2.8, 3), (3.0, 2))
ROLLED = happened(RESTART, crew=ROLLING, lost={40: RESET})
FRESH = happened(RESTART, crew=ROLLING, new_connections=True)
KILLED = happened(
    Event(KILL, 1.0, 1.0), crew=((0.0, 2), (1.01, 1), (2.2, 2)), lost=dict.fromkeys(range(20, 25), RESET), unfinished=5
)
LOST = {UP: SCALED, DOWN: SCALED, ROLL: ROLLED, KILL: KILLED}
VOIDED = happened(*UP_AND_DOWN, RESTART, void=True)
REFUSED_ACTS = happened(replace(UP_AND_DOWN[0], refused="no signal here"), replace(RESTART, refused="none"))


def retried() -> Incident:
    """A request is lost, and the same visitor is answered at the second try."""
    found = happened(RESTART, crew=ROLLING, lost={40: RESET}, retry=Retry(times=1, after="10ms", on=("reset",)))
    found.result.records["flags"][41] = FLAG_RETRY | 1 << ATTEMPT_SHIFT
    return found


AGAIN = retried()
RESTARTS = {"connections kept": ROLLED, "a new connection\neach time": FRESH, "kept, and one\nmore try": AGAIN}


def keeping(after: float, *, rolled: bool = False, void: bool = False) -> Incident:
    """16 users; workers are added, and `after` is what comes per second then; perhaps a restart, and 80."""
    events = [Event(UP, 1.0, 2.0)] + [Event(ROLL, 3.0, 4.0)] * rolled
    rates = [(40, 2), (after, 1), *([(40, 1), (80, 2)] if rolled else [])]
    return happened(*events, crew=((0.0, 2), (2.0, 4)), rates=rates, users=16, void=void)


def together(*outcomes: str) -> Together:
    return Together("/sleep?ms=700", tuple(Answer(1, 0.0, 1.0, 2.0, 700.0, each) for each in outcomes))


STOPPED = {
    "server 3 s,\nstopper 5 s": together(*["ok"] * 8),
    "server 0.2 s,\nstopper 5 s": together(*["status 500"] * 8),
    "server 3 s,\nstopper 0 s": together(*["RemoteProtocolError"] * 7, "ConnectError"),
}


# --------------------------------------------------------------------------------------------------------- exercises


def test_an_old_worker_keeps_its_users_and_shares_the_new_ones():
    assert check("09.1", ...).mark == "open"
    assert check("09.1", 25).mark == "right"
    hints = [check("09.1", wrong) for wrong in (10, 5, 20, 40, 26.67, 50, 99)]
    assert {hint.mark for hint in hints} == {"wrong"}
    assert len({hint.says for hint in hints}) == 7
    assert check("09.1", "many").mark == "wrong"


def test_each_waits_longer_than_the_one_inside_it():
    assert check("09.2", ..., slowest_s=8).mark == "open"
    for right in ((10, 15), [9, 9.5]):
        assert check("09.2", right, slowest_s=8).mark == "right"
    wrong = [(5, 6), (5, 15), (8, 15), (15, 10), (10, 99_999)]
    hints = [check("09.2", each, slowest_s=8) for each in wrong]
    assert {hint.mark for hint in hints} == {"wrong"}
    assert len({hint.says for hint in hints}) == 5
    assert check("09.2", 10, slowest_s=8).mark == check("09.2", (1, 2, 3), slowest_s=8).mark == "wrong"


def test_a_deploy_has_one_order_and_a_hint_for_each_way_to_lose_a_request():
    assert check("09.3", ...).mark == "open"
    for right in ("BDCEA", "b, d, c, e, a"):
        assert check("09.3", right).mark == "right"
    hints = [check("09.3", wrong) for wrong in ("BDCE", "DBCEA", "ABDCE", "BCDEA", "BDECA", "BDCAE")]
    assert {hint.mark for hint in hints} == {"wrong"}
    assert len({hint.says for hint in hints}) == 6
    assert check("09.3", 5).mark == "wrong"


# ------------------------------------------------------------------------------------------------ the words: any act


def test_every_act_bears_out_one_answer_or_leaves_its_bet_open():
    assert n09_bets.right(LOST) == {
        "2 workers become 4": n09.NONE,
        "4 become 2 again": n09.NONE,
        "a rolling restart": n09.FEW,
        "kill -9 of one worker": n09.FEW,
    }
    many = happened(RESTART, crew=((0.0, 2), (1.0, 0), (3.0, 2)), lost=dict.fromkeys(range(20, 60), REFUSED))
    assert n09.answer_of(many, ROLL) == n09.ALL
    assert "Much was lost by this: a rolling restart" in n09_bets.in_words(LOST | {ROLL: many})
    for broken in (VOIDED, REFUSED_ACTS, happened()):
        assert n09.answer_of(broken, ROLL) == VOID
    assert "pulled the plug" in n09_bets.in_words(LOST | {ROLL: VOIDED})
    assert "was refused: no signal here" in n09_bets.in_words(LOST | {UP: REFUSED_ACTS})


def test_the_bets_are_told_for_few_and_for_none():
    told = n09_bets.in_words(LOST)
    assert "Nothing was lost: 2 workers become 4; 4 become 2 again." in told
    assert "A few were lost: a rolling restart; kill -9 of one worker." in told
    assert "A few were lost" not in n09_bets.in_words(
        dict.fromkeys(LOST, happened(*UP_AND_DOWN, RESTART, Event(KILL, 5, 5)))
    )


def test_an_answer_is_one_of_those_that_can_be_chosen_and_each_has_its_hint():
    words = [words for words, _ in n09.ANSWERS]
    assert words == [n09.NONE, n09.FEW, n09.ALL]
    assert [line.kind for line in n09_bets.LINES] == list(n09.ACTS.values())
    for line in n09_bets.LINES:
        assert len(line.asks) == len(words)
        assert all(ask == "" or ask.endswith("?") for ask in line.asks)


def test_losses_belong_to_the_act_before_them_and_those_who_came_are_counted_until_it_is_settled():
    both = happened(*UP_AND_DOWN, crew=SCALED.crew, lost={25: RESET, 70: RESET, 71: STALE_CONN})
    assert n09.toll(both, UP) == n09.Toll(1, 23, 1)  # from 1.0 to 2.15 s, 20 per second
    assert n09.toll(both, DOWN) == n09.Toll(2, 23, 2)
    assert n09.toll(VOIDED, UP) == n09.Toll()
    assert str(n09.toll(both, DOWN)) == "2 lost · 23 came"


def test_what_was_sent_before_an_act_is_lost_by_it_and_is_none_of_those_who_came_meanwhile():
    """A killed worker takes many with it; who comes afterwards is served by the others."""
    before = dict.fromkeys(range(10, 20), RESET)  # in hand for 600 ms at 1.0 s, of 24 that come until it is back
    killed = happened(Event(KILL, 1.0, 1.0), crew=KILLED.crew, lost=before, took_ms=600, unfinished=10)
    assert n09.toll(killed, KILL) == n09.Toll(10, 24, 0)
    assert n09.answer_of(killed, KILL) == n09.FEW
    everybody = happened(Event(KILL, 1.0, 1.0), crew=KILLED.crew, lost=dict.fromkeys(range(20, 40), REFUSED))
    assert n09.answer_of(everybody, KILL) == n09.ALL


def test_every_lost_request_has_its_reason():
    assert n09.why_lost(SCALED).endswith("none was lost.")
    assert "1 of 120 requests sent was lost. 1 lay unread in a connection that was open already" in n09.why_lost(ROLLED)
    assert "5 had been begun, by the server's own count" in n09.why_lost(KILLED)
    assert "unread" not in n09.why_lost(KILLED)
    mixed = happened(lost={1: RESET, 2: STALE_CONN, 3: RESET}, unfinished=1, new_connections=True)
    assert "1 had been begun" in n09.why_lost(mixed)
    assert "2 lay unread in new connections that a worker had let in" in n09.why_lost(mixed)
    others = happened(lost={1: TIMEOUT, 2: REFUSED, 3: HTTP_5XX, 4: ABORTED})
    told = n09.why_lost(others)
    assert all(n09.REASONS[name] in told for name in ("timeout", "refused", "http_5xx", "aborted"))


# ------------------------------------------------------------------------------------------------ the words: each act


def test_steps_are_told_where_they_show_and_questioned_where_they_do_not():
    assert n09.steps_of(GROWN) == [
        (2, pytest.approx(40, abs=1)),
        (3, pytest.approx(60, abs=3)),
        (4, pytest.approx(80, abs=3)),
    ]
    told = str(n09.grown_in_words(GROWN, 20))
    assert "So each worker brings about the 20" in told
    assert "though 66 come" in told
    assert "came back after 1.0 s and 1.0 s" in told
    flat = happened(*GROWN.events, crew=GROWN.crew, rates=((40, 7),), new_connections=True, rate=66)
    assert "here that does not show" in str(n09.grown_in_words(flat, 20))
    assert "It steps at" not in str(n09.grown_in_words(flat, 20))
    assert "though 66 come" not in str(n09.grown_in_words(flat, 20))
    assert "pulled the plug" in str(n09.grown_in_words(VOIDED, 20))
    close = happened(Event("scale(3)", 2.0, 3.9), Event("scale(4)", 4.0, 5.0), crew=GROWN.crew, rates=((40, 7),))
    assert [workers for workers, _ in n09.steps_of(close)] == [2, 4], "a tenth of a second shows nothing"


def test_up_and_down_is_told_with_and_without_losses():
    assert "the new ones gave 0 answers and the old ones 100. So they had next to nothing" in str(
        n09.scaled_in_words(SCALED)
    )
    busy = happened(*UP_AND_DOWN, crew=SCALED.crew, workers=[1, 2, 3, 4] * 30)
    assert "They let nobody in any more, answered what they had begun" in str(n09.scaled_in_words(busy))
    one = happened(*UP_AND_DOWN, crew=SCALED.crew, lost={70: RESET})
    told = str(n09.scaled_in_words(one))
    assert "While workers were added nothing was lost, while they were taken away 1 request was lost" in told
    assert "was refused" in str(n09.scaled_in_words(REFUSED_ACTS))


def test_a_restart_is_told_with_its_order_and_its_losses():
    told = str(n09_ends.rolled_in_words(ROLLED))
    assert (
        "replaced in 2.0 s, and never fewer than 2 served: one after the other, and each time the new one first" in told
    )
    assert "a promise to requests that were begun" in told
    assert "This time nothing lay unread" in str(n09_ends.rolled_in_words(FRESH))
    other_way = happened(RESTART, crew=((0.0, 2), (1.2, 1), (1.5, 0), (2.5, 2)))
    told = str(n09_ends.rolled_in_words(other_way))
    assert "never fewer than 0 served." in told
    assert "promise" not in told
    assert "pulled the plug" in str(n09_ends.rolled_in_words(VOIDED))


def test_the_three_kinds_of_visitors_are_compared():
    told = str(n09_ends.restarts_in_words(RESTARTS))
    assert "With connections that are kept 1 request was lost. With a new connection for each request nothing" in told
    assert "1 request had to be sent a second time" in told
    worse = {**RESTARTS, "a new connection\neach time": happened(RESTART, crew=ROLLING, lost={1: RESET, 40: RESET})}
    assert "is let in by a worker that stays" not in str(n09_ends.restarts_in_words(worse))
    assert "(2 of 120 requests sent were lost." in str(n09_ends.restarts_in_words(worse))
    assert "pulled the plug" in str(n09_ends.restarts_in_words({**RESTARTS, "kept": VOIDED}))
    picture = n09_ends.restarts_picture({**RESTARTS, "void": VOIDED})
    assert "connections kept: 120 requests: 119 answered, 1 connection broken" in picture.alt
    assert "1 answered when sent again" in picture.alt
    assert picture.alt.endswith("void: void.")


def test_newcomers_without_a_connection_have_nothing_to_do_until_one_is_opened():
    none = keeping(40)
    assert n09.kept_gain(none) == pytest.approx(1, abs=0.1)
    assert "to which nobody came" in n09.kept_in_words(none)
    assert "the new workers gave 0 answers" in n09.kept_in_words(none)
    assert "some did come to the new ones" in n09.kept_in_words(keeping(80))
    rolled = keeping(40, rolled=True)
    assert n09.kept_gain(rolled) == pytest.approx(1, abs=0.1), "what comes after the restart is not counted"
    assert "then 79 came per second" in n09.kept_in_words(rolled)
    assert n09.kept_gain(keeping(40, void=True)) is None
    assert "pulled the plug" in n09.kept_in_words(keeping(40, void=True))


def test_a_killed_worker_is_told_with_what_it_had_and_when_it_was_back():
    told = str(n09_ends.killed_in_words(KILLED))
    assert "It was replaced 1.2 s later" in told
    assert "24 requests came until then, 5 of them among the lost" in told
    both = happened(Event(KILL, 1.0, 1.0), crew=((0.0, 2), (1.01, 0)), lost=dict.fromkeys(range(20, 120), REFUSED))
    assert "a worker that lives let it in" in told
    assert "a worker that lives" not in str(n09_ends.killed_in_words(both))
    for_good = happened(Event(KILL, 1.0, 1.0), crew=((0.0, 2), (1.01, 1)))
    assert "not replaced before the load ended" in str(n09_ends.killed_in_words(for_good))
    assert "pulled the plug" in str(n09_ends.killed_in_words(VOIDED))


def test_whose_patience_ended_first_is_told_by_what_the_clients_got(monkeypatch: pytest.MonkeyPatch):
    told = str(n09_ends.stopped_in_words(STOPPED, request_s=0.7))
    assert "server 3 s, stopper 5 s: 8 answered" in told
    assert "8 got an error answer" in told
    assert "8 had their connection broken" in told
    picture = n09_ends.stopped_picture(STOPPED)
    assert "server 3 s, stopper 0 s: 8 requests: 7 connection broken, 1 nobody there" in picture.alt
    assert label_faults({"it": picture}, monkeypatch) == []


def test_the_recap_changes_when_the_results_are_changed():
    told = recap(GROWN, RESTARTS, keeping(40), LOST, STOPPED).text
    assert "2 workers 39/s, 3 workers 59/s, 4 workers 80/s" in told
    assert "a connection stays with its worker" in told
    assert "kill -9 of one worker: 5 lost · 24 came" in told
    assert "connections kept: 1 of 120, a new connection each time: 0 of 120, kept, and one more try: 0 of 119" in told
    assert "stopper 5 s: 8 of 8" in told
    assert VOID not in told
    void = dict.fromkeys(LOST, VOIDED)
    assert recap(VOIDED, dict.fromkeys(RESTARTS, VOIDED), keeping(1, void=True), void, STOPPED).text.count(VOID) == 10
    assert "opened anew" in recap(GROWN, RESTARTS, keeping(80), LOST, STOPPED).text


# ------------------------------------------------------------------------------------------------------ going deeper


def test_an_endpoint_that_awaits_and_a_deploy_are_told_in_both_directions():
    assert "nothing lay unread" in str(deeper.awaited_in_words(FRESH))
    assert "nothing lay unread" not in str(deeper.awaited_in_words(ROLLED))
    moved = happened(Event("deploy", 1.0, 4.0), crew=((0.0, 2), (2.0, 4), (4.0, 2)))
    assert "For a while 4 workers were there" in str(deeper.deployed_in_words(moved))
    assert "nginx stays" in str(deeper.deployed_in_words(moved))
    assert "nginx stays" not in str(deeper.deployed_in_words(ROLLED))
    for words in (deeper.awaited_in_words, deeper.deployed_in_words):
        assert "quick pace" in str(words(None))
        assert "pulled the plug" in str(words(VOIDED))
    assert "quick pace" in str(deeper.shown_or_left_out(None, "it"))
    assert "quick pace" in str(deeper.pictures({}))
    assert deeper.pictures({"a": ROLLED, "b": FRESH}).text.count("<img") == 2


def hanging(*drops: float) -> Incident:
    events = (Event(deeper.BLOCK, 0.5, 0.5), Event(deeper.STOP, 3.0, 3.0))
    crew = [(0.0, 2)] + [change for at_s in drops for change in ((at_s, 1), (at_s + 0.5, 2))]
    return happened(*events, crew=crew)


def test_who_noticed_that_a_worker_hangs_is_told_by_the_workers_that_went():
    told = str(deeper.hung_in_words({"uvicorn": hanging(4.5), "gunicorn": hanging(2.0, 4.0), "granian": hanging()}))
    assert "uvicorn: blocked: nobody noticed; stopped: its worker was ended after 1.5 s" in told
    assert "gunicorn: blocked: its worker was ended after 1.5 s, and replaced; stopped: its worker was ended" in told
    assert "granian: blocked: nobody noticed; stopped: nobody noticed" in told
    assert "a thread of the worker answers" in told
    assert "no sign, no worker" in told
    other_way = str(deeper.hung_in_words({"uvicorn": hanging(2.0, 4.5), "gunicorn": hanging()}))
    assert "a thread of the worker answers" not in other_way
    assert "no sign, no worker" not in other_way
    assert "pulled the plug" in str(deeper.hung_in_words({"uvicorn": VOIDED}))
    assert "quick pace" in str(deeper.hung_in_words({}))


def test_recycled_workers_are_missed_for_as_long_as_the_strip_says():
    together_gone = happened(crew=((0.0, 2), (1.0, 1), (1.5, 0), (3.0, 1), (3.5, 2)))
    assert deeper.alone_s(together_gone) == (pytest.approx(2.5), pytest.approx(1.5))
    apart = happened(crew=((0.0, 2), (1.0, 1), (2.0, 2), (5.5, 1)))
    assert deeper.alone_s(apart) == (pytest.approx(1.5), 0.0)
    recycled = {"as it is": together_gone, "health check of 1 s": happened(), "with jitter": apart}
    told = str(deeper.recycled_in_words(recycled))
    assert "as it is: a worker was missing for 2.5 s, nobody served for 1.5 s" in told
    assert "with jitter: a worker was missing for 1.5 s, somebody served all the time" in told
    assert "With 1 s nobody served for 0.0 s" in told
    assert "No worker came to its limit" in str(deeper.recycled_in_words(dict.fromkeys(recycled, happened())))
    quickly = dict.fromkeys(recycled, apart)
    assert "why so long" not in str(deeper.recycled_in_words(quickly))
    assert "pulled the plug" in str(deeper.recycled_in_words({"no jitter": VOIDED}))
    assert "quick pace" in str(deeper.recycled_in_words({}))


BURSTS = {
    "uvicorn": [Burst((14, 6), 0.73, 0), Burst((20, 0), 1.03, 0)],
    "granian": [Burst((12, 8), 0.62, 1)],
    "nginx least_conn": [Burst((10, 10), 0.52, 0)],
}


def test_a_burst_is_told_by_its_shares_and_its_slowest(monkeypatch: pytest.MonkeyPatch):
    told = str(deeper.bursts_in_words(BURSTS, request_s=0.05))
    assert "Unevenly shared: uvicorn (up to 100% on one worker)." in told
    assert "half in every try: nginx least_conn." in told
    assert "the worst try needed 1.0 s, while" in told
    assert "reuse-port" not in told, "it was not measured"
    assert "least_conn</code> counts" in deeper.bursts_in_words(BURSTS, request_s=0.05).text
    lucky = {"granian": [Burst((10, 10), 0.52, 0)], "gunicorn, reuse_port": [Burst((12, 8), 0.6, 0)]}
    told = str(deeper.bursts_in_words(lucky, request_s=0.05))
    assert "granian came close without counting" in told
    assert "a die per connection" in told
    assert "A proxy" not in told
    even = str(deeper.bursts_in_words({"nginx": BURSTS["nginx least_conn"]}, request_s=0.05))
    assert "Unevenly" not in even
    assert "worst try" not in even
    picture = deeper.bursts_picture(BURSTS)
    assert "uvicorn: 14 / 6 in 0.73 s, 20 / 0 in 1.03 s" in picture.alt
    assert list(picture.table["failed"]) == [0, 0, 1, 0]
    assert label_faults({"it": picture}, monkeypatch) == []


def test_gunicorns_threads_are_judged_by_the_time_they_saved():
    assert "No difference" in str(deeper.threads_in_words({1: 0.82, 8: 0.81}, requests=8))
    assert "does this gunicorn's ASGI worker use threads" in str(
        deeper.threads_in_words({1: 0.82, 8: 0.11}, requests=8)
    )
    assert VOID in str(deeper.threads_in_words({1: 0.82, 8: None}, requests=8))
    assert "quick pace" in str(deeper.threads_in_words({}, requests=8))


def test_the_table_of_servers_holds_what_was_measured_and_says_what_was_not():
    trials = {"uvicorn": LOST, "granian": dict.fromkeys(LOST, REFUSED_ACTS), "gunicorn": dict.fromkeys(LOST, VOIDED)}
    hung = {"uvicorn": hanging(4.5)}
    table = servers_table(trials, hung, BURSTS, {"uvicorn": "", "hypercorn": "it is not installed"})
    rows = {
        row[0]: row[1:]
        for row in (re.findall(r"<td[^>]*>(.*?)</td>", line) for line in table.text.split("<tr>"))
        if row
    }
    assert rows["uvicorn"] == [
        "yes, 0 lost", "2.0 s, at least 2 served, 1 lost", "after 1.2 s", "nobody noticed", "after 1.5 s",
        "14 of 20, 20 of 20",
    ]  # fmt: skip
    assert rows["granian"][:3] == ["no signal here", "none", "not measured"]
    assert rows["gunicorn"][:3] == ["void"] * 3
    assert rows["nginx least_conn"] == [*["not measured"] * 5, "10 of 20"]
    ended = happened(Event(KILL, 1.0, 1.0), crew=((0.0, 2), (1.01, 1), (1.3, 0)))
    alone = happened(Event(KILL, 1.0, 1.0), crew=((0.0, 2), (1.01, 1)))
    both = {"granian": {KILL: ended}, "gunicorn": {KILL: alone}}
    assert "never: the whole server ended" in servers_table(both, {}, {}, {}).text
    assert "not before the load ended" in servers_table(both, {}, {}, {}).text
    assert rows["hypercorn"][0] == "it is not installed"


def test_the_strings_of_the_notebook_are_those_that_the_words_know():
    source = (FOLDER / "09_operating_workers.ipynb").read_text()
    named = set(re.findall(r'At\([^,]+, \\"([^"\\]+)\\"', source))
    assert named == {"scale(3)", UP, DOWN, ROLL, KILL, "deploy", deeper.BLOCK, deeper.STOP}


# ------------------------------------------------------------------------------------------------------ the pictures


def test_bets_and_what_came_stand_side_by_side(monkeypatch: pytest.MonkeyPatch):
    picture = n09_bets.picture(LOST | {UP: VOIDED}, {"a rolling restart": 2.0, "2 workers become 4": 0.0})
    assert f"a rolling restart: a few: what one worker had (1 lost · 43 came), your bet: {n09.ALL}" in picture.alt
    assert f"2 workers become 4: {VOID}, your bet: none" in picture.alt
    assert list(picture.table["number"]) == [VOID, "0 lost · 23 came", "1 lost · 43 came", "5 lost · 24 came"]
    assert label_faults({"it": picture, "no bets": n09_bets.picture(LOST, {})}, monkeypatch) == []
    with pytest.raises(InputError, match="nothing to compare"):
        scoreboard_plot("it", [], [Score("a", 0, "1")])


def test_every_request_is_a_mark(monkeypatch: pytest.MonkeyPatch):
    rows = [
        Row("few", [ANSWERED, BROKEN], "1 of 2"),
        Row("many", [ANSWERED] * 300, "300 of 300"),
        Row("v", [], "", True),
    ]
    picture = each_request_plot("Title", "below", rows)
    assert list(picture.table["requests"]) == [2, 300, None]
    assert label_faults({"it": picture}, monkeypatch) == []
    with pytest.raises(InputError, match="no load"):
        each_request_plot("Title", "below", [])
    with pytest.raises(InputError, match="no burst"):
        burst_plot("Title", "below", [("a", [Try((1, 1), 0.1)]), ("b", [])], even=1)


# -------------------------------------------------------------------------------------------------- on real servers


def test_requests_in_hand_are_answered_where_there_is_patience_and_cut_off_where_there_is_none(
    state_folder,  # noqa: F811
):
    got = {}
    for grace_s in (5.0, 0.1):
        with Server() as server:
            told = stop_in_mid_request(server, "/sleep?ms=400", requests=4, grace_s=grace_s)
            assert server.state == "stopped"
        got[grace_s] = {answer.outcome for answer in told.answers}
    assert got == {5.0: {"ok"}, 0.1: {"RemoteProtocolError"}} or got == {5.0: {"ok"}, 0.1: {"ReadError"}}


def test_a_burst_is_counted_and_a_proxy_and_its_servers_are_looked_at_as_one(state_folder):  # noqa: F811
    require("nginx")
    servers = [Server().start() for _ in range(2)]
    try:
        with Nginx([server.url for server in servers]) as nginx:
            front = Behind(nginx, servers)
            assert front.url == nginx.url
            assert front.worker_pids == [server.pid for server in servers]
            found = burst(front.url, "/blocking?ms=40", times=6)
            assert found.shares == (3, 3)
            assert sum(begun for begun, _ in front.counts().values()) >= 6
            gone = servers[0].pid
            servers[0].stop()
            assert front.worker_pids == [servers[1].pid]
            assert gone in front.counts(), "what it had done is not forgotten"
            alone = burst(servers[1].url, "/blocking?ms=40", times=5)
            assert (alone.shares, alone.failed) == ((5, 0), 0)
            assert alone.slowest_s == pytest.approx(5 * 0.04, rel=0.5)
    finally:
        for server in servers:
            server.stop()


def test_the_servers_that_can_be_started_here_are_told_from_those_that_cannot(monkeypatch: pytest.MonkeyPatch):
    assert runners_here()["uvicorn"] == ""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "gunicorn is not installed; python -m pip install gunicorn" in runners_here()["gunicorn"]


# ---------------------------------------------------------------------------------------------------------- the desk


def test_the_desk_adds_and_removes_workers_under_a_load_that_goes_on(state_folder):  # noqa: F811
    desk = Desk("/health", rate=50)
    assert "nothing runs" in desk.words()
    with pytest.raises(StateError, match="no load is running"):
        desk.scale(3)
    try:
        desk.start().wait()
        assert (desk.serving, desk.wanted) == (2, 2)
        assert "2 workers serve" in desk.words()
        with pytest.raises(InputError):
            desk.scale(0)
        with pytest.raises(InputError):
            desk.scale(100)
        desk.scale(3)
        assert "3 are wanted: one signal at a time" in desk.words()
        assert desk.wait().serving == 3
        assert desk.course is not None
        desk.scale(2).wait()
        assert [event.name for event in desk.course.events] == ["scale(3)", "scale(2)"]
        assert sum(desk.course.lost) == 0
    finally:
        desk.close()
    assert not desk.running
    assert desk.server.state == "stopped"
    assert "the last load" in desk.words()
    desk.close()


@pytest.mark.full
def test_a_desk_whose_server_cannot_be_scaled_says_why(state_folder):  # noqa: F811
    desk = Desk("/health", rate=20, workers=1)
    try:
        desk.start().wait()
        with pytest.raises(StateError, match="without a supervisor"):
            desk.scale(2).wait()
        assert "without a supervisor" in desk.words()
    finally:
        desk.close()
