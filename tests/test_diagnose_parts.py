"""The parts of a diagnosis that need no server: what may be asked, findings, the code that is proposed, the words."""

import ast
import json
from collections import Counter
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest

from helpers.diagnose.advice import Case, fix
from helpers.diagnose.decide import FEW_AND_MANY, VERDICTS, Step, Walk, decide, users_for
from helpers.diagnose.endpoint import Endpoint, Function, endpoint, in_a_thread, is_async
from helpers.diagnose.failing import traceback, why
from helpers.diagnose.findings import (
    differs_between_workers,
    drifting,
    keep_alive,
    large_bodies,
    memory_grows,
    memory_per_worker,
    slow_first,
    slow_start_up,
    uneven_share,
)
from helpers.diagnose.prober import Age
from helpers.diagnose.result import confidence
from helpers.diagnose.seen import Answer, Looks, Place, spread
from helpers.diagnose.story import evidence, summary
from helpers.diagnose.subject import subject
from helpers.diagnose.trials import Trial
from helpers.errors import InputError
from helpers.plots.diagnosis import diagnosis_plot
from tests.pictures import label_faults

pytestmark = pytest.mark.calm

# ------------------------------------------------------------------------------------------------ what may be asked


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_method_that_may_change_data_wants_a_yes(method: str) -> None:
    with pytest.raises(InputError, match=rf"{method} may change data") as error:
        subject("api:app", method=method)
    assert "--yes" in error.value.hint
    assert subject("api:app", method=method, yes=True).method == method


@pytest.mark.parametrize(
    ("target", "arguments", "says"),
    [
        ("", {}, "the target is ''"),
        (7, {}, "the target is 7"),
        ("ws://127.0.0.1:8000/chat", {}, "WebSocket"),
        ("http://127.0.0.1:8000/a", {"path": "/b"}, "names the path /a"),
        ("http://127.0.0.1:8000/", {"app_dir": "service"}, "app_dir is given"),
        ("http://127.0.0.1:8000/", {"factory": True}, "factory is given"),
        ("http://127.0.0.1:8000/", {"python": "python3"}, "python is given"),
        ("https://127.0.0.1/", {}, "https"),
        ("api:app", {"path": "predict"}, "path is 'predict'"),
        ("api:app", {"path": 5}, "path is 5"),
        ("api:app", {"method": "FETCH"}, "FETCH"),
        ("api:app", {"headers": {"a b": "c"}}, "'a b'"),
        ("api:app", {"json_body": {1, 2}}, "JSON"),
        ("api:app", {"json_body": float("nan")}, "JSON"),
    ],
)
def test_what_cannot_be_asked_is_named_with_its_value(target, arguments, says) -> None:
    with pytest.raises(InputError) as error:
        subject(target, **arguments)
    assert says in error.value.message
    assert error.value.hint


def test_a_json_body_says_what_it_is() -> None:
    asked = subject("api:app", method="POST", json_body={"n": 3}, yes=True)
    assert json.loads(asked.body) == {"n": 3}
    assert dict(asked.headers) == {"content-type": "application/json"}
    other = subject("api:app", json_body=[], headers={"Content-Type": "application/vnd.api+json"})
    assert dict(other.headers) == {"content-type": "application/vnd.api+json"}


def test_an_address_brings_its_own_path() -> None:
    assert subject("http://127.0.0.1:8000/predict?n=3").path == "/predict?n=3"
    assert subject("http://127.0.0.1:8000", path="/predict").path == "/predict"
    assert subject("http://[::1]:8000/").address == "http://[::1]:8000"


def test_the_app_writes_no_file_beside_its_modules() -> None:
    assert subject("api:app").server_arguments()["env"]["PYTHONDONTWRITEBYTECODE"] == "1"


# ------------------------------------------------------------------------------------------------------- the decision


@pytest.mark.parametrize("request_s", [0.001, 0.2, 0.9, 2.0, 9.0])
def test_few_users_one_at_a_time_are_served_within_half_a_minute(request_s: float) -> None:
    few, many = users_for(request_s)
    assert few * request_s <= 40
    assert many > few


@pytest.mark.parametrize(
    ("connections", "at_once", "shown"),
    [
        ((8, 8), 1.0, 1.0),
        ((15, 1), 1.0, 1.0),  # one connection keeps a lock busy
        ((16, 0), 1.0, 0.5),
        ((14, 2), 3.0, 5 / 6),
        ((16, 0), 16.0, 1.0),  # they all get on wherever they are
        ((48, 16), 40.0, 56 / 64),
        ((16,), 3.0, 1.0),
        ((), 3.0, 1.0),
    ],
)
def test_connections_are_spread_as_well_as_they_let_each_worker_show_what_it_can(connections, at_once, shown) -> None:
    assert spread(connections, at_once) == pytest.approx(shown)


def test_many_users_are_more_than_the_threads_of_a_worker() -> None:
    assert all(many > 40 for _limit_s, (_few, many) in FEW_AND_MANY)


def test_a_value_that_was_not_measured_answers_no_and_is_not_clear() -> None:
    walk = Walk()
    assert walk.asks("gain", None, over=1.4) is False
    assert not walk.steps[0].clear
    assert "not measured" in str(walk)


def test_a_value_near_its_threshold_is_said_to_be_close() -> None:
    assert "close" in str(Step("gain", 1.45, 1.4, 16))
    assert "close" not in str(Step("gain", 2.0, 1.4, 16))


@pytest.mark.parametrize(
    ("predicted", "measured", "confirmed"),
    [
        (2.0, 1.9, True),
        (2.0, 2.7, True),
        (2.0, 1.1, False),
        (2.0, 3.2, False),
        (1.0, 1.05, True),
        (1.0, 0.2, True),
        (1.0, 1.8, False),
        (1.6, None, None),
    ],
)
def test_a_prediction_comes_true_or_not(predicted, measured, confirmed) -> None:
    assert Trial("workers=2", 16, predicted, measured).confirmed is confirmed


def walked(*values: float) -> Walk:
    walk = Walk()
    for value in values:
        walk.asks("gain", value, over=1.4)
    return walk


KEPT, BROKEN, UNTRIED, BEYOND = (Trial("workers=2", 16, 2.0, measured) for measured in (2.0, 1.0, None, 3.2))


@pytest.mark.parametrize(
    ("verdict", "walk", "trials", "outside", "sure"),
    [
        ("cpu_bound", walked(2.0), (KEPT,), False, "high"),
        ("cpu_bound", walked(1.41), (KEPT,), False, "medium"),
        ("cpu_bound", walked(2.0), (UNTRIED,), False, "medium"),
        ("cpu_bound", walked(2.0), (BROKEN,), False, "low"),
        ("cpu_bound", walked(2.0), (BEYOND,), False, "medium"),
        ("cpu_bound", walked(1.41), (UNTRIED,), False, "low"),
        ("cpu_bound", walked(2.0), (), True, "medium"),
        ("inconclusive", walked(2.0), (KEPT,), False, "low"),
        ("failing", walked(), (), False, "high"),
    ],
)
def test_confidence_is_lost_by_close_values_disturbances_and_predictions_that_fail(
    verdict, walk, trials, outside, sure
) -> None:
    assert confidence(verdict, walk, trials, outside=outside) == sure


# ------------------------------------------------------------------------------------------------------------ findings


def ages(*rows: tuple[int, float | None, float]) -> list[Age]:
    return [Age(requests, memory_mb, ms) for requests, ms, memory_mb in rows]


def test_a_slow_first_request_counts_when_it_is_several_times_the_usual() -> None:
    assert slow_first(650, [20, 21, 22]) is not None
    assert slow_first(110, [100, 100, 100]) is None
    assert slow_first(40, [5, 5, 5]) is None, "35 ms once are nothing to tell"


def test_drift_is_a_request_alone_that_takes_longer_at_the_end() -> None:
    aged = ages((0, 10, 50), (900, None, 50), (1000, 15, 50))
    found = drifting(aged, None)
    assert found is not None
    assert "1,000 requests" in found.seen
    assert drifting(aged, 10.2) is not None, "a fresh worker is as quick as the first one was"
    assert drifting(aged, 14.5) is None, "a fresh worker is slow as well: it is the machine"
    assert drifting(ages((0, 10, 50), (900, 12, 50), (1000, 12, 50)), None) is None
    assert drifting(ages((0, 1, 50), (900, 2, 50), (1000, 2, 50)), None) is None, "a millisecond is noise"
    assert drifting([], None) is None


def test_memory_that_grows_at_the_first_load_only_is_no_leak() -> None:
    assert memory_grows(ages((0, 1, 60), (1000, 1, 93), (2000, 1, 93.5))) is None
    found = memory_grows(ages((0, 1, 60), (1000, 1, 80), (2000, 1, 100)))
    assert found is not None
    assert "21.0 kB each" in found.seen


def test_memory_per_worker_counts_against_what_is_free() -> None:
    assert memory_per_worker(ages((0, 1, 600)), 4, 4000.0) is not None
    assert memory_per_worker(ages((0, 1, 60)), 4, 4000.0) is None


def test_a_start_up_is_slow_beyond_what_importing_takes() -> None:
    assert slow_start_up(0.8) is None
    found = slow_start_up(4.2)
    assert found is not None
    assert "4.2 s" in found.seen


def test_a_body_is_large_by_its_size_or_by_the_time_that_sending_it_takes() -> None:
    assert large_bodies(8_000_000, 0.01) is not None
    assert large_bodies(400_000, 0.6) is not None
    assert large_bodies(400_000, 0.01) is None
    assert large_bodies(2_000, 0.9) is None


def test_connections_that_are_closed_after_each_answer_are_told() -> None:
    assert keep_alive(Answer(200, 1.0, headers=(("connection", "close"),))) is not None
    assert keep_alive(Answer(200, 1.0)) is None


def test_a_share_is_uneven_when_the_busiest_has_half_more_than_the_mean() -> None:
    assert uneven_share({1: 90, 2: 10}, {1: 8, 2: 8}) is not None
    assert uneven_share({1: 55, 2: 45}, {1: 8, 2: 8}) is None
    assert uneven_share({1: 100}, {1: 16}) is None


def test_an_uneven_share_is_explained_by_the_connections_or_by_a_slow_worker() -> None:
    given, slow = uneven_share({1: 90, 2: 10}, {1: 15, 2: 1}), uneven_share({1: 90, 2: 10}, {1: 8, 2: 8})
    assert given is not None
    assert slow is not None
    assert "15 of the 16 connections" in given.seen
    assert "what makes one slower" in slow.advice


def test_where_no_request_waits_for_another_a_slow_worker_shows_per_connection() -> None:
    answers, connections = {1: 50, 2: 50}, {1: 15, 2: 1}
    assert uneven_share(answers, connections) is None, "a lock in each worker: one connection keeps it as busy as 15"
    found = uneven_share(answers, connections, alone=True)
    assert found is not None
    assert "what makes one slower" in found.advice


def test_constant_answers_that_differ_by_worker_are_the_workers_own_state() -> None:
    same = [b"a"] * 4
    assert differs_between_workers(same, [("1", b"a"), ("2", b"b"), ("1", b"a"), ("2", b"b")]) is not None
    assert differs_between_workers(same, [("1", b"a"), ("2", b"a"), ("1", b"a"), ("2", b"a")]) is None
    assert differs_between_workers(same, [("1", b"a"), ("1", b"b")]) is None, "only one worker was met"


def test_a_count_that_is_each_workers_own_is_told_and_one_that_is_shared_is_not() -> None:
    one = [b'{"n": %d}' % n for n in (1, 2, 3, 4)]
    own = [("1", b'{"n": 9}'), ("2", b'{"n": 4}'), ("1", b'{"n": 10}'), ("2", b'{"n": 5}')]
    shared = [(str(n % 2), b'{"n": %d}' % n) for n in (20, 21, 22, 23)]
    assert differs_between_workers(one, own) is not None
    assert differs_between_workers(one, shared) is None


def test_answers_that_change_by_themselves_prove_nothing() -> None:
    one = [b"12:00:01.5", b"12:00:01.9", b"12:00:02.2"]
    assert differs_between_workers(one, [("1", b"12:00:03.1"), ("2", b"12:00:04.1")]) is None


# ------------------------------------------------------------------------------------------------ the app's own code


@pytest.mark.parametrize(
    ("line", "threaded"),
    [
        ("time.sleep(0.05)", "await asyncio.to_thread(time.sleep, 0.05)"),
        ("rows = query(db, n=3)", "rows = await asyncio.to_thread(query, db, n=3)"),
        ("return load(path)", "return await asyncio.to_thread(load, path)"),
        ("x: int = f(1)", "x: int = await asyncio.to_thread(f, 1)"),
        ("value = a + b", None),
        ("if broken(", None),
        ("", None),
        ("rows = use(await get())", None),
    ],
)
def test_a_line_is_handed_to_a_thread_where_its_call_stands_alone(line: str, threaded: str | None) -> None:
    assert in_a_thread(line) == threaded


def test_an_endpoint_is_shown_as_its_framework_writes_it() -> None:
    function = Function("predict", "async def", "n: int = 3", "api.py", 7)
    known = Endpoint("FastAPI", "/predict", function, (), (), ())
    assert known.head(kind="def", method="POST") == '@app.post("/predict")\ndef predict(n: int = 3):'
    assert Endpoint("Starlette", "/", function, (), (), ()).head() == "async def predict(n: int = 3):"
    assert endpoint({}).head() == "async def app(scope, receive, send):"


# ------------------------------------------------------------------------------------------------------ why it fails

SCHEMA = {
    "paths": {
        "/items/{id}": {"get": {"security": [{"Key": []}], "parameters": [
            {"name": "x-tenant", "in": "header", "required": True}]}},
        "/open": {"get": {}},
    },
    "components": {"securitySchemes": {"Key": {"type": "apiKey", "in": "header", "name": "x-api-key"}}},
}  # fmt: skip


def test_a_missing_credential_is_named_by_the_schema() -> None:
    said = why(Answer(401, 1.0, b"{}"), SCHEMA, "/items/7?full=1", "GET")
    assert "the header `x-api-key` (Key)" in said
    assert "the header `x-tenant`" in said
    assert "wants credentials" in why(Answer(403, 1.0, b"no"), SCHEMA, "/open", "GET")


@pytest.mark.parametrize(
    ("scheme", "wanted"),
    [
        ({"type": "http", "scheme": "basic"}, "`Authorization: Basic ...`"),
        ({"type": "oauth2"}, "`Authorization: Bearer ...`"),
    ],
)
def test_each_kind_of_credential_is_shown_as_a_header(scheme, wanted) -> None:
    schema = {"paths": {"/": {"get": {"security": [{"S": []}]}}}, "components": {"securitySchemes": {"S": scheme}}}
    assert wanted in why(Answer(401, 1.0), schema, "/", "GET")


def test_a_missing_argument_is_named_with_its_place() -> None:
    body = b'{"detail":[{"type":"missing","loc":["query","n"],"msg":"Field required","input":null}]}'
    assert "n (query): Field required" in why(Answer(422, 1.0, body), {}, "/", "GET")


@pytest.mark.parametrize("body", [b"", b"not json", b'{"detail": "text"}', b'{"detail": [7]}'])
def test_an_answer_in_another_form_is_quoted(body: bytes) -> None:
    assert why(Answer(422, 1.0, body), {}, "/", "GET")


def test_the_last_exception_of_the_log_is_found_and_a_long_one_shortened() -> None:
    long = "".join(f'  File "a.py", line {n}, in f{n}\n    g()\n' for n in range(40))
    log = f"INFO: up\nTraceback (most recent call last):\n{long}KeyError: 'first'\nINFO: on\n"
    log += "Traceback (most recent call last):\n" + long + "ValueError: it broke\nINFO: more\n"
    raised, text = traceback(log)
    assert raised == "ValueError: it broke"
    assert len(text.splitlines()) <= 15
    assert text.splitlines()[-1] == raised
    assert traceback("INFO: all is well") == ("", "")


# ----------------------------------------------------------------------------------- the decision, branch by branch


@dataclass
class Scripted:
    """Numbers in the place of measurements: throughput by users, and what is seen beside it."""

    per_s: dict[int, float]
    cores: float = 0.1
    held_share: float = 0.0
    awaited: float = 0.0
    second: float | None = 1.0
    failed: float = 0.0
    void_at: int = 0
    warns: tuple[str, ...] = ()
    outside: bool = False
    request_s: float = 0.1
    core: float = 1.0
    doubts: tuple[str, ...] = ("disturbed",)

    def load(self, users: int) -> SimpleNamespace:
        return SimpleNamespace(
            users=users, per_s=self.per_s.get(users, 10.0), failed=self.failed if users > 1 else 0.0, cores=self.cores,
            void=users == self.void_at, threads_size=40, result=SimpleNamespace(reasons=["void"]),
            warned=lambda *names: [name for name in names if name in self.warns],
        )  # fmt: skip

    def gain(self, _probe: object, *, workers: int) -> float | None:
        return None if self.outside else self.second

    def for_some_turns(self, probe: object) -> object:
        return probe

    def read_stacks(self, _probe: object) -> None:
        """What they would tell stands in `held_share`."""

    def held(self, _probe: object) -> float:
        return self.held_share

    def threads_awaited(self, _probe: object) -> float:
        return self.awaited


ONE_AT_A_TIME = {16: 10.0, 64: 10.0}
ALL_AT_ONCE = {16: 159.0, 64: 635.0}
FORTY = {16: 159.0, 64: 398.0}


@pytest.mark.parametrize(
    ("api", "verdict"),
    [
        (Scripted(ONE_AT_A_TIME, cores=1.0), "cpu_bound"),
        (Scripted(ONE_AT_A_TIME, cores=0.48, core=0.5), "cpu_bound"),
        (Scripted(ONE_AT_A_TIME, cores=1.9, second=0.9), "native_parallel"),
        (Scripted(ONE_AT_A_TIME, cores=1.9, second=2.2), "cpu_bound"),
        (Scripted(ALL_AT_ONCE), "scales_by_awaiting"),
        (Scripted(ONE_AT_A_TIME, held_share=0.9, second=2.0), "event_loop_blocked"),
        (Scripted(ONE_AT_A_TIME, held_share=0.9, second=1.0), "downstream_bound"),
        (Scripted(ONE_AT_A_TIME, held_share=0.9, second=None), "event_loop_blocked"),
        (Scripted(FORTY, awaited=24, second=1.6), "threadpool_exhausted"),
        (Scripted(ONE_AT_A_TIME, awaited=6, second=2.0), "lock_bound"),
        (Scripted(ONE_AT_A_TIME, awaited=6, second=1.0), "downstream_bound"),
        (Scripted(ONE_AT_A_TIME, second=2.0), "lock_bound"),
        (Scripted(ONE_AT_A_TIME, second=1.0), "downstream_bound"),
        (Scripted(ONE_AT_A_TIME, second=None), "inconclusive"),
        (Scripted(ONE_AT_A_TIME, outside=True), "inconclusive"),
        (Scripted(ALL_AT_ONCE, failed=0.5), "failing"),
        (Scripted(ALL_AT_ONCE, void_at=1, warns=("foreign load",)), "inconclusive"),
        (Scripted(ALL_AT_ONCE, void_at=64, warns=("engine CPU",)), "client_bound"),
        (Scripted(ALL_AT_ONCE, void_at=16, warns=("run delay", "foreign load")), "inconclusive"),
    ],
)
def test_every_branch_of_the_decision_ends_in_its_verdict(api: Scripted, verdict: str) -> None:
    walk = Walk()
    assert decide(api, walk) == verdict
    assert walk.steps
    if verdict == "inconclusive" and not api.outside:
        assert walk.doubts, "it says why"


# ---------------------------------------------------------------------------------------------------------- the picture


def row(workers: int, users: int, per_s: float | None, threads: int = 40) -> dict[str, Any]:
    return {
        "workers": workers, "users": users, "threads": threads, "achieved_per_s": per_s, "mean_ms": 100.0,
        "cores": None if per_s is None else 0.14, "loop_late_ms": 0.1, "verdict": "void" if per_s is None else "pass",
    }  # fmt: skip


def test_the_picture_has_a_bar_per_load_test_and_no_fault_in_its_labels(monkeypatch) -> None:
    rows = [row(1, 1, 10.0), row(1, 16, 160.0), row(1, 64, 400.0), row(2, 64, None), row(1, 64, 640.0, threads=160)]
    picture = diagnosis_plot(rows, request_ms=100.0, verdict="threadpool_exhausted")
    assert label_faults({"diagnosis": picture}, monkeypatch) == []
    assert "64 users, 1 worker: 40.0: 400/s" in picture.alt or "64 users, 1 worker: 40: 400/s" in picture.alt
    assert "void" in picture.alt
    assert "160 threads" in picture.alt
    assert list(picture.table["at once"])[2] == pytest.approx(40.0)
    with pytest.raises(InputError, match="no load test"):
        diagnosis_plot([], request_ms=100.0, verdict="inconclusive")


# -------------------------------------------------------------------------------------------------------------- the fix


def case(endpoint_: Endpoint, *, in_loop: bool = True, source: str = "rows = query(n)", executor: int = 0) -> Case:
    frame = SimpleNamespace(place="api.py:8", function="predict", source=source, file="no/api.py", line=8)
    probe = SimpleNamespace(users=16, per_s=40.0, cores=0.1, threads_size=40, threads_awaited=24.0, mean_ms=400.0)
    return Case(
        subject("api:app", path="/predict"), endpoint_, probe, 0.1, 0.0,
        Looks(20, 0.9, (Place(frame, 1.0, in_loop),), "py-spy", Counter({"executor": executor})), (), 2,
    )  # fmt: skip


KNOWN = Endpoint("FastAPI", "/predict", Function("predict", "async def", "n: int=3", "api.py", 7), (), (), ())
IN_THREADS = Endpoint("FastAPI", "/predict", Function("predict", "def", "n: int=3", "api.py", 7), (), (), ())
STARLETTE = Endpoint("Starlette", None, Function("predict", "async def", "request", "api.py", 7), (), (), ())
UNKNOWN = endpoint({})
IN_PYTHON = ("event_loop_blocked", "threadpool_exhausted", "lock_bound", "downstream_bound")


@pytest.mark.parametrize("executor", [0, 3])
@pytest.mark.parametrize("known", [KNOWN, IN_THREADS, STARLETTE, UNKNOWN])
@pytest.mark.parametrize("verdict", IN_PYTHON)
def test_the_code_of_a_fix_is_python_and_about_the_apps_own_endpoint(verdict, known, executor) -> None:
    for source in ("time.sleep(0.1)", "rows = query(n)", "for row in rows:", ""):
        code = fix(verdict, case(known, in_loop=known.kind != "def", source=source, executor=executor)).code
        compile(code, "fix", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if verdict in ("threadpool_exhausted", "downstream_bound"):
            assert f"{known.name}({'n: int=3' if known.framework == 'FastAPI' else ''}" in code


def test_a_blocking_call_that_is_known_is_awaited_and_any_other_handed_to_a_thread() -> None:
    assert "await asyncio.sleep(...)" in fix("event_loop_blocked", case(KNOWN, source="time.sleep(0.1)")).code
    other = fix("event_loop_blocked", case(KNOWN)).code
    assert "rows = await asyncio.to_thread(query, n)" in other
    assert '@app.get("/predict")\ndef predict(n: int=3):' in other


def test_a_plain_function_that_blocks_is_handed_over_by_whoever_calls_it(tmp_path) -> None:
    file = tmp_path / "slowdb.py"
    file.write_text("import time\n\ndef query(n):\n    time.sleep(0.1)\n    return n\n\nasync def other():\n    pass\n")
    assert is_async(str(file), 4) is False
    assert is_async(str(file), 8) is True
    assert is_async(str(file), 1) is None
    known = case(KNOWN, source="time.sleep(0.1)")
    frame = SimpleNamespace(place="slowdb.py:4", function="query", source="time.sleep(0.1)", file=str(file), line=4)
    proposed = fix("event_loop_blocked", replace(known, looks=Looks(20, 0.9, (Place(frame, 1.0, True),), "py-spy")))
    assert "await asyncio.to_thread(query, ...)" in proposed.code
    assert "await asyncio.sleep" not in proposed.code


def test_a_gate_in_front_of_def_holds_no_event_loop() -> None:
    assert "threading.BoundedSemaphore(4)" in fix("downstream_bound", case(IN_THREADS, in_loop=False)).code
    assert "asyncio.Semaphore(4)" in fix("downstream_bound", case(KNOWN)).code


def test_the_command_that_asks_again_has_all_that_was_given_but_no_secret() -> None:
    asked = subject(
        "main:make", path="/orders?n=3", method="POST", json_body={"n": 3}, headers={"Authorization": "Bearer secret"},
        app_dir="..", factory=True, yes=True,
    )  # fmt: skip
    said = asked.command()
    assert "diagnose main:make --path '/orders?n=3'" in said
    assert "--factory" in said
    assert "--method POST --json-body body.json --header 'authorization: ...' --yes" in said
    assert "secret" not in said


def test_workers_are_proposed_with_the_apps_own_command() -> None:
    proposed = fix("cpu_bound", case(KNOWN))
    assert "uvicorn api:app --workers 2" in proposed.code
    assert proposed.expected_gain == 2


@pytest.mark.parametrize("verdict", [verdict for verdict in VERDICTS if verdict != "failing"])
def test_every_verdict_has_its_words(verdict: str) -> None:
    known = case(KNOWN)
    assert summary(verdict, known)
    assert fix(verdict, known).what
    assert all(each.probe and each.observed and each.means for each in evidence(verdict, replace(known, probe=None)))
