"""incident(): a load on a real server to which something is done; every request counted, every loss explained."""

import threading
import time

import pytest

from helpers.errors import InputError
from helpers.incident.result import Course, Event
from helpers.incident.run import TOO_LATE, At, incident
from helpers.load.records import ATTEMPT_SHIFT
from helpers.load.run import Cancelled
from helpers.plots.incident_plot import incident_plot
from helpers.server.server import Server
from tests.pictures import label_faults
from tests.running_loads import engines
from tests.serving import BARE, state_folder  # noqa: F401
from tests.waiting import await_true

pytestmark = pytest.mark.usefixtures("state_folder")
QUIET = {"warmup": 0, "progress": False}


def test_workers_come_and_go_under_an_open_load_at_half_capacity_and_none_that_was_begun_is_lost() -> None:
    looks: list[Course] = []
    with Server(workers=2, **BARE) as server:
        acts = [At(0.2, "scale(3)", lambda: server.scale(3)), At(1.2, "scale(2)", lambda: server.scale(2))]
        found = incident(server, "/work", acts, rate=100, duration=2.5, on_look=looks.append, **QUIET)
    assert (found.sent, found.ok + found.lost) == (250, 250)
    # on a busy machine one may lie unread in a connection of the worker that goes; what was begun is never lost
    assert found.lost <= 1
    assert found.unfinished == 0
    assert [event.name for event in found.events] == ["scale(3)", "scale(2)"]
    up, down = found.events
    assert 0.2 <= up.from_s < up.to_s <= down.from_s < down.to_s
    assert [number for _, number in found.crew] == [2, 3, 2]
    (_, _), (came_s, _), (went_s, _) = found.crew
    assert up.from_s < came_s <= up.to_s + 0.05
    assert down.from_s < went_s <= down.to_s + 0.05
    course = found.course
    assert (sum(course.lost), course.offered_per_s) == (found.lost, 100)
    assert sum(course.answered) == pytest.approx(250, abs=5)
    assert looks[-1] == course
    assert looks[-1].over
    assert all(not each.over for each in looks[:-1])
    assert str(found) == "250 sent = 250 answered + 0 lost"


def test_of_a_killed_worker_exactly_what_it_had_begun_is_lost_and_nothing_is_sent_again() -> None:
    with Server(workers=2) as server:
        kill = At(0.5, "kill -9", lambda: kill_one(server))
        found = incident(server, "/sleep?ms=300", [kill], rate=40, duration=1.0, **QUIET)
        counts = server.counts()
    assert found.sent == found.ok + found.lost == 40
    assert set(found.losses) <= {"reset", "stale_conn"}
    assert 0 < found.unfinished <= found.lost <= found.unfinished + 1  # or one more came to it in that very moment
    assert not (found.result.records["flags"] >> ATTEMPT_SHIFT).any()
    begun = sum(started for started, _ in counts.values())
    assert begun <= len(found.result.records) + 1  # the first request of a load test looks whether there is anything
    event, lost_ns = found.event("kill -9"), found.result.window[found.result.window["outcome"] != 0]["done_ns"]
    assert all(event.from_s <= (at - found.result.t0_ns) / 1e9 < event.from_s + 0.3 for at in lost_ns)


def kill_one(server: Server) -> None:
    import psutil

    psutil.Process(server.worker_pids[0]).kill()


def test_what_cannot_be_done_is_an_event_that_was_refused_and_the_load_goes_on() -> None:
    never = threading.Event()
    with Server(**BARE) as server:
        acts = [
            At(0.1, "scale(2)", lambda: server.scale(2)),
            At(0.2, "slow", lambda: never.wait(0.8)),
            At(0.3, "too late", lambda: pytest.fail("the load was over")),
        ]
        found = incident(server, "/", acts, rate=50, duration=0.5, **QUIET)
    assert found.lost == 0
    assert ["without a supervisor" in each.refused for each in found.events] == [True, False, False]
    assert [each.refused == TOO_LATE for each in found.events] == [False, False, True]
    assert found.event("slow").to_s >= 0.99, "what was begun is waited for"
    with pytest.raises(InputError, match="nothing was done under the name 'other'"):
        found.event("other")


def test_a_mistake_in_an_act_ends_the_load_and_is_raised() -> None:
    with Server(**BARE) as server:
        began = time.monotonic()
        with pytest.raises(ZeroDivisionError):
            incident(server, "/", [At(0.1, "mistake", lambda: 1 / 0)], rate=20, duration=30, **QUIET)
        assert time.monotonic() - began < 5
        await_true(lambda: not engines(), 5, "the load runs on")


def test_it_can_be_called_off_from_outside() -> None:
    cancel, looks = threading.Event(), []

    def look(course: Course) -> None:
        looks.append(course)
        cancel.set()

    with Server(**BARE) as server, pytest.raises(Cancelled):
        incident(server, "/", [], rate=20, duration=30, cancel=cancel, on_look=look, **QUIET)
    assert looks


@pytest.mark.parametrize("at_s", [-1, 2, 5])
def test_an_act_outside_of_the_load_is_refused_before_anything_is_sent(at_s: float) -> None:
    with Server(**BARE) as server:
        with pytest.raises(InputError, match="'late' is to be done at"):
            incident(server, "/", [At(at_s, "late", print)], rate=10, duration=2)
        assert sum(started for started, _ in server.counts().values()) == 0


@pytest.mark.full
@pytest.mark.parametrize("new", [True, False], ids=["new connections", "kept connections"])
def test_a_rolling_restart_at_half_capacity_loses_at_most_what_lies_unread_when_a_worker_goes(new: bool) -> None:
    for _ in range(4):
        with Server(workers=2) as server:
            restart = At(0.3, "restart", server.restart_workers)
            found = incident(server, "/blocking?ms=50", [restart], rate=20, duration=4, new_connections=new, **QUIET)
        assert min(number for _, number in found.crew) == 2, "the new one first"
        assert found.unfinished == 0, "what was begun is finished"
        assert set(found.losses) <= {"reset", "stale_conn"}
        assert found.lost <= 2, "one for each worker that goes"


@pytest.mark.full
def test_a_rolling_restart_of_workers_that_await_loses_nothing() -> None:
    with Server(workers=2) as server:
        restart = At(0.3, "restart", server.restart_workers)
        found = incident(server, "/sleep?ms=50", [restart], rate=100, duration=4, **QUIET)
    assert (found.lost, found.sent) == (0, 400)


# ------------------------------------------------------------------------------------------------------ the picture

EVENTS = (Event("scale(3)", 1.1, 2.0), Event("scale(4)", 2.0, 3.0), Event("kill -9", 4.0, 4.0, "no right to do so"))
CREW = ((0.0, 2), (2.0, 3), (3.0, 4))


def course(**changes: object) -> Course:
    fields = {
        "duration_s": 5.0, "until_s": 5.0, "slice_s": 0.5, "answered": [20, 20, 20, 20, 28, 30, 40, 40, 39, 40],
        "lost": [0] * 8 + [2, 0], "events": EVENTS, "crew": CREW, "offered_per_s": 70.0, "words": "299 sent",
    }  # fmt: skip
    return Course(**(fields | changes))  # type: ignore[arg-type]


def test_the_picture_shows_answers_losses_acts_and_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = incident_plot(course())
    assert "after kill -9 (refused): 79 answers/s, 4 workers, 2 lost" in picture.alt
    assert picture.alt.endswith("299 sent.")
    assert list(picture.table["what"]) == [
        "before", "scale(3)", "scale(4)", "after scale(4)", "after kill -9 (refused)"
    ]  # fmt: skip
    assert list(picture.table["lost"]) == [0, 0, 0, 0, 2]
    waiting = incident_plot(course(offered_per_s=None, events=()))
    far = incident_plot(course(until_s=2.2, answered=[20, 20, 20, 20, 8] + [0] * 5, lost=[0] * 10))
    gallery = {"whole": picture, "users": waiting, "in the middle": far, "void": incident_plot(course(void="a hog"))}
    assert label_faults(gallery, monkeypatch) == []


def test_a_void_course_has_no_number() -> None:
    picture = incident_plot(course(void="a hog"))
    assert picture.alt == "Answers per second over time: void. 299 sent."
    assert set(picture.table["answers/s"]) == {None}


def test_a_course_without_a_slice_is_refused() -> None:
    with pytest.raises(InputError, match="no slice of time"):
        incident_plot(course(answered=[], lost=[]))
