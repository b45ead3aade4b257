"""Notebook 01: its exercises with the typical mistakes, its sentences for either outcome, and what it watches live."""

import os
import time

import pytest

from helpers import proc
from helpers.errors import InputError, StartError
from helpers.plots.startup import Probe, Start, startup_plot
from helpers.server.processes import Process, Processes, Role
from helpers.server.server import Server
from helpers.teach.addresses import own_addresses, reachable
from helpers.teach.briefly import Brief, briefly
from helpers.teach.exercises import check
from helpers.teach.log_lines import explain, serving
from helpers.teach.outcomes import VOID
from helpers.teach.startup import starting
from helpers.teach.together import Answer, Together, together
from helpers.teach.words import n01
from tests.serving import APPS, free_port, state_folder  # noqa: F401
from tests.waiting import await_true

LOG_OF_ONE = """INFO:     Started server process [70]
INFO:     Waiting for application startup.
INFO:     Application startup complete.
INFO:     Uvicorn running on http://127.0.0.1:5012 (Press CTRL+C to quit)
"""
LOG_OF_TWO = """INFO:     Uvicorn running on http://127.0.0.1:5012 (Press CTRL+C to quit)
INFO:     Started parent process [80]
INFO:     Started server process [82]
INFO:     Waiting for application startup.
INFO:     Application startup complete.
INFO:     Started server process [81]
INFO:     Waiting for application startup.
INFO:     Application startup complete.
"""


# ------------------------------------------------------------------------------------------------------- exercises


@pytest.mark.parametrize("name", ["01.1", "01.2", "01.3"])
def test_an_untouched_exercise_is_open(name: str) -> None:
    facts = {"log": LOG_OF_TWO} if name == "01.1" else {}
    assert check(name, ..., **facts).mark == "open"


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("01.1", [[81, 82], (82, 81), {81, 82}], [[80, 81, 82], [81], 2, [7]]),
        (
            "01.2",
            [("running", "none"), ["Running", " none."]],
            [
                ("running", "running"),
                ("running", "complete"),
                ("complete", "none"),
                ("none", "none"),
                ("started", "none"),
                ("banner", "none"),
            ],
        ),
        ("01.3", [(3, 2), [3, 2]], [(1, 2), (3, 3), (3, 5), (2, 2)]),
    ],
)
def test_right_answers_are_right_and_each_mistake_gets_its_own_hint(name: str, right: list, wrong: list) -> None:
    facts = {"log": LOG_OF_TWO} if name == "01.1" else {}
    assert [check(name, answer, **facts).mark for answer in right] == ["right"] * len(right)
    said = [check(name, answer, **facts) for answer in wrong]
    assert [one.mark for one in said] == ["wrong"] * len(wrong)
    assert len({one.says for one in said}) == len(wrong)


@pytest.mark.parametrize(("name", "odd"), [("01.1", "none"), ("01.2", "running"), ("01.3", 3), ("01.3", None)])
def test_an_odd_answer_never_raises(name: str, odd: object) -> None:
    facts = {"log": LOG_OF_TWO} if name == "01.1" else {}
    assert check(name, odd, **facts).mark == "wrong"


# --------------------------------------------------------------------------------------------------------- the log


def test_each_line_of_one_worker_belongs_to_the_one_process() -> None:
    lines = explain(LOG_OF_ONE).lines
    assert {line.pid for line in lines} == {70}
    assert "written last" in lines[-1].means


def test_with_two_workers_the_lines_without_a_pid_are_left_unnamed() -> None:
    explained = explain(LOG_OF_TWO)
    assert [line.pid for line in explained.lines] == [80, 80, 82, None, None, 81, None, None]
    assert "nobody listens yet" in explained.lines[0].means
    assert "does not say which" in explained.lines[3].process
    assert "<table" in explained._repr_html_()
    assert serving(LOG_OF_TWO) == [82, 81]


def test_a_line_that_is_no_part_of_a_start_is_called_so() -> None:
    assert "not part" in explain("loading the model").lines[0].means
    assert explain("").lines == ()


# ----------------------------------------------------------------------------------------------------------- words


def tree(*pids: int) -> Processes:
    roles: list[Role] = ["server"] if len(pids) == 1 else ["parent", *["worker"] * (len(pids) - 1)]  # type: ignore[list-item]
    rows = [Process(pid, 1, role, 1, 0.0, 1.0, 1.0, 0, "python") for pid, role in zip(pids, roles, strict=True)]
    return Processes(tuple(rows))


def requests(*done_ms: float, outcome: str = "ok") -> Together:
    return Together("/x", tuple(Answer(70, 0.0, 1.0, done - 1, done, outcome) for done in done_ms))


def start(workers: int, *, banner: float | None, answer: float | None, end: float = 5.0) -> Start:
    lines = () if banner is None else ((banner, LOG_OF_TWO.splitlines()[0]),)
    times = [0.1 * step for step in range(round(10 * end))]
    probes = tuple(Probe(at, 81 if answer is not None and at >= answer else None) for at in times)
    born = {80: 0.0, 81: 0.2, 82: 0.2} if workers > 1 else {81: 0.0}
    ready = {} if answer is None else {pid: answer for pid in born if pid != 80}
    return Start(workers, lines, probes, born, ready, end)


ALONE, LATE = start(1, banner=3.9, answer=3.9), start(2, banner=0.3, answer=4.0)


def test_the_number_of_serving_processes_is_said_for_either_outcome() -> None:
    assert "only process" in n01.serving_in_words([70] * 20, tree(70), cores=2)
    assert "one core" in n01.serving_in_words([70] * 20, tree(70), cores=1)
    assert "not what the default gives" in n01.serving_in_words([81, 82], tree(80, 81, 82), cores=2)
    assert n01.borne_out([70] * 20, 2) == n01.borne_out([70], 1) == n01.ONE
    assert n01.borne_out([81, 82], 2) == n01.PER_CORE
    assert n01.borne_out([], 2) == VOID


def test_waiting_is_explained_for_either_outcome() -> None:
    assert "<b>not</b> one request at a time" in n01.waiting_in_words(requests(*[1010] * 10))
    assert "longer than waiting needs" in n01.waiting_in_words(requests(*[5000] * 10))
    assert VOID in n01.waiting_in_words(requests(1000, outcome="ReadTimeout"))


def test_working_is_explained_for_either_outcome() -> None:
    ten, one = requests(*[100.0 * (i + 1) for i in range(10)]), requests(100)
    assert "10.0 times as long" in n01.working_in_words(ten, one)
    assert "never awaits" in n01.working_in_words(ten, one)
    assert "Run the cell once more" in n01.working_in_words(ten, requests(400))
    assert VOID in n01.working_in_words(requests(1, outcome="ConnectError"), one)
    assert n01.times_alone(ten, requests(1, outcome="ConnectError")) is None


def test_readiness_is_explained_for_either_outcome() -> None:
    assert n01.proof([ALONE, LATE]) == n01.ANSWER
    assert "ask the server, not its log" in " ".join(n01.readiness_in_words([ALONE, LATE]).split())
    at_once = start(2, banner=0.3, answer=0.3)
    assert n01.proof([at_once]) == n01.BANNER
    assert "nothing is refuted" in " ".join(n01.readiness_in_words([ALONE, at_once]).split())
    for void in (start(2, banner=None, answer=4.0), start(2, banner=0.3, answer=None)):
        assert n01.proof([void]) == VOID
        assert VOID in n01.readiness_in_words([ALONE, void])


def test_the_recap_changes_with_the_numbers() -> None:
    ten, one = requests(*[100.0 * (i + 1) for i in range(10)]), requests(100)
    told = n01.recap([70] * 20, requests(1010), ten, one, [ALONE, LATE])._repr_html_()
    assert "1 serving process<" in told
    assert "10.0 times" in told
    assert "3.7 s" in told
    other = n01.recap([70, 71], requests(1010, outcome="x"), ten, one, [start(2, banner=0.3, answer=0.3)])
    assert "2 serving processes" in other._repr_html_()
    assert "10.0 times" not in other._repr_html_()
    assert "no request was refused" in other._repr_html_()


def test_the_loop_of_deaths_is_counted() -> None:
    log = "Child process [3] died\nRuntimeError: \n  An attempt has been made to start\n  its bootstrapping phase.\n"
    assert "<b>1 death</b>" in n01.respawns_in_words(Brief(log, 1.0)).text
    assert "An attempt has been made to start its bootstrapping phase" in n01.respawns_in_words(Brief(log, 1.0)).text
    assert "no worker died" in n01.respawns_in_words(Brief("", 6.0)).text


# --------------------------------------------------------------------------------------------------------- picture


def test_the_picture_tells_both_starts_in_its_sentence_and_its_table() -> None:
    picture = startup_plot([ALONE, LATE])
    assert "2 workers: the banner comes 3.7 s before the first answer" in picture.alt
    assert set(picture.table["workers"]) == {1, 2}
    assert "nobody takes it" in set(picture.table["what"])
    assert picture.png()


@pytest.mark.parametrize("odd", [start(2, banner=None, answer=None), start(1, banner=0.1, answer=None)])
def test_the_picture_can_be_drawn_of_a_start_that_came_to_nothing(odd: Start) -> None:
    assert "no request was answered" in startup_plot([odd]).alt
    assert startup_plot([odd]).png()


def test_a_picture_of_no_start_is_refused() -> None:
    with pytest.raises(InputError):
        startup_plot([])


# ------------------------------------------------------------------------------------------------------------ live


def test_waits_overlap_in_one_worker_and_work_does_not(state_folder: object) -> None:  # noqa: F811
    with Server() as server:
        sleeping = together(server.url, "/sleep?ms=500")
        assert sleeping.took_s is not None
        assert sleeping.took_s < 2
        assert sleeping.workers == set(server.worker_pids)
        frame = sleeping.frame()
        assert (frame["handled_ms"] >= frame["sent_ms"]).all()
        ratio = n01.times_alone(together(server.url, "/cpu?units=200"), together(server.url, "/cpu?units=200", times=1))
        assert ratio is not None
        assert ratio > n01.QUEUES_FROM / 2


def test_requests_that_nobody_takes_give_no_number() -> None:
    lost = together(f"http://127.0.0.1:{free_port()}", "/", times=2)
    assert lost.took_s is None
    assert VOID in n01.waiting_in_words(lost)


def test_the_banner_of_two_workers_comes_long_before_the_first_answer(state_folder: object) -> None:  # noqa: F811
    with starting(Server("helpers.demo.slow_start:app", workers=2)) as watched:
        while watched.watching:
            watched.send("/health")
    seen = watched.seen()
    assert seen.claim_s is not None
    assert seen.claim_s > 2
    assert seen.refused_after_banner > 5
    assert len(seen.born) == 3
    assert len(seen.ready) == 2
    assert set(serving(watched.log)) == set(seen.ready)
    assert watched.server.state == "stopped"


def test_a_start_that_fails_raises_what_start_raises(state_folder: object) -> None:  # noqa: F811
    def watch() -> None:
        with starting(Server("broken_import:app", app_dir=APPS, start_timeout_s=10)) as watched:
            while watched.watching:
                watched.send("/")

    with pytest.raises(StartError):
        watch()


def test_a_watched_start_can_be_left_in_its_middle(state_folder: object) -> None:  # noqa: F811
    server = Server("helpers.demo.slow_start:app", workers=2)
    with starting(server) as watched:
        watched.send("/health")
    assert server.state == "stopped"
    assert watched.seen().answer_s is None


def test_who_sets_the_number_of_workers() -> None:
    line = 'import uvicorn\nif __name__ == "__main__":\n    uvicorn.run("bare:app", port=0{})'
    env = {"WEB_CONCURRENCY": "3", "PYTHONPATH": str(APPS)}
    served = [len(serving(briefly(line.format(more), env=env).log)) for more in ("", ", workers=2")]
    assert served == [3, 2]


def test_a_script_without_the_guard_dies_again_and_again_and_nothing_of_it_stays() -> None:
    script = 'import uvicorn\nuvicorn.run("bare:app", port=0, workers=2)'
    run = briefly(script, until=lambda look: look.log.count("died") >= 2, at_most_s=20)
    assert run.log.count("died") >= 2
    assert serving(run.log) == []
    assert "An attempt has been made" in n01.respawns_in_words(run).text
    await_true(lambda: [pid for pid in proc.descendants(os.getpid()) if "script.py" in proc.describe(pid, 500)] == [])


def test_a_brief_run_ends_when_time_is_up() -> None:
    began = time.monotonic()
    assert briefly("import time\nprint('here')\ntime.sleep(60)", at_most_s=1.0).log == "here\n"
    assert time.monotonic() - began < 10


def test_a_server_on_127_0_0_1_is_reached_there_alone(state_folder: object) -> None:  # noqa: F811
    with Server("bare:app", app_dir=APPS) as server:
        port = server.launch.port
        assert [address for address in own_addresses() if reachable(address, port)] == ["127.0.0.1"]
