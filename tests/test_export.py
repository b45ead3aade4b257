"""What a load test can be written as: rows for another tool, a page for people, a Locust file for more machines."""

import ast
import csv
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers.knee import find_knee
from helpers.load.export import as_csv
from helpers.load.locustfile import as_locustfile
from helpers.load.plan import Plan, Retry, make_plan
from helpers.load.result import LoadResult
from helpers.load.run import load_test
from helpers.load.slo import judge
from helpers.load_report import knee_page, load_page
from helpers.server.server import Server
from tests.raw_servers import serve
from tests.tools import unavailable
from tests.undisturbed import undisturbed  # noqa: F401

pytestmark = pytest.mark.usefixtures("undisturbed")

URL = "http://127.0.0.1:5012/cpu?units=5"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture(scope="module")
def measured(server: Server) -> LoadResult:
    return load_test(server.url + "/sleep?ms=20", users=4, duration="2s", progress=False)


# ---------------------------------------------------------------------------------------------------------- the rows


def test_csv_has_a_row_per_request_that_reads_back_as_it_was(measured: LoadResult) -> None:
    rows = list(csv.DictReader(as_csv(measured).splitlines()))
    frame = measured.frame()
    assert len(rows) == measured.requests
    assert list(rows[0]) == list(frame.columns)
    assert float(rows[5]["response_ms"]) == pytest.approx(frame["response_ms"][5], abs=1e-5)
    assert {row["outcome"] for row in rows} == {"ok"}
    assert int(rows[0]["worker"]) in measured.worker_share


def test_csv_leaves_empty_what_did_not_happen() -> None:
    with serve(
        lambda client, number: client.close() if number % 2 else client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    ) as url:
        result = load_test(url, users=1, duration="300ms", warmup=0, timeout="100ms", progress=False)
    rows = list(csv.DictReader(as_csv(result).splitlines()))
    assert len(rows) == result.requests
    assert any(row["outcome"] != "ok" and row["worker"] == "" for row in rows)
    assert all(row["handled_s"] == "" for row in rows)


# ---------------------------------------------------------------------------------------------------------- the page


def test_the_page_holds_summary_checks_distribution_and_timeline(measured: LoadResult) -> None:
    page = load_page(measured, judge(measured, "p50<1s,p50<1ms"), {"os": "any"})
    for text in (
        "Load test",
        "The objective",
        "p50 &lt; 1 ms",
        "missed",
        "enough requests",
        "How long it took",
        "time-out (s)",
    ):
        assert text in page
    assert page.count("<img ") == 2
    assert "<script" not in page
    assert "http://" not in page.replace(measured.plan.url, "").replace("http://www.w3.org", "")


def test_a_void_runs_page_gives_the_reason_and_no_number(measured: LoadResult) -> None:
    void = replace(measured, incomplete="the engine was killed")
    page = load_page(void, judge(void, "p50<1s"), {})
    assert "the engine was killed" in page
    assert "<img " not in page
    assert f"{measured.achieved_per_s:.1f} answers/s" not in page


def test_a_page_where_nothing_succeeded_says_so() -> None:
    with serve(lambda client, number: client.close()) as url:
        result = load_test(url, users=1, duration="300ms", warmup=0, progress=False)
    assert "No request was answered with success" in load_page(result, (), {})


def test_the_page_of_a_search_shows_every_step(server: Server) -> None:
    knee = find_knee(server.url + "/sleep?ms=5", "p50<1s", low=50, high=100, duration="500ms", progress=False)
    page = knee_page(knee, {})
    assert "How many requests per second?" in page
    assert page.count("<img ") == 1
    assert all(f"{step.rate_per_s:.4g} requests/s" in page for step in knee.steps)


# ---------------------------------------------------------------------------------------------------- the Locust file


def constants(text: str) -> dict[str, Any]:
    """The values a Locust file starts with; read, not run: importing locust would change this process."""
    found: dict[str, Any] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign):
            targets = node.targets[0].elts if isinstance(node.targets[0], ast.Tuple) else node.targets
            try:
                value = ast.literal_eval(node.value)
            except ValueError:  # computed
                continue
            values = value if isinstance(node.targets[0], ast.Tuple) else [value]
            found |= {target.id: each for target, each in zip(targets, values, strict=True)}  # type: ignore[attr-defined]
    return found


def exported(**changes: Any) -> dict[str, Any]:
    plan = make_plan(URL, **({"users": 8} | changes))
    return constants(as_locustfile(plan))


def test_the_file_holds_the_whole_plan() -> None:
    body = bytes(range(256))
    found = exported(
        method="POST", body=body, headers={"x-quoted": "it's \"so\" {here} \\n"}, timeout="3s", think="50ms",
        duration="7s", warmup="3s", expect_body="fine\n", seed=4,
    )  # fmt: skip
    assert found == {
        "HOST": "http://127.0.0.1:5012", "METHOD": "POST", "TARGET": "/cpu?units=5", "BODY": body, "SEED": 4,
        "HEADERS": {"x-quoted": "it's \"so\" {here} \\n"}, "EXPECTED": b"fine\n", "TIMEOUT_S": 3.0, "WARMUP_S": 3.0,
        "USERS": 8, "DURATION_S": 7.0, "THINK_S": 0.05,
    }  # fmt: skip


def test_an_open_load_has_as_many_users_as_can_be_under_way() -> None:
    found = exported(users=None, rate=50, timeout="2s")
    assert found["USERS"] == 100
    assert found["STAGES"] == ((50.0, 5.0),)
    assert found["POISSON"] is False
    stages = exported(users=None, rate=[(20, "5s"), (800, "1s")], arrivals="poisson")
    assert stages["STAGES"] == ((20.0, 5.0), (800.0, 1.0))
    assert stages["USERS"] == 1000  # max_inflight
    assert stages["POISSON"] is True


def test_what_the_file_cannot_do_it_says() -> None:
    text = as_locustfile(make_plan(URL, users=1, retry=Retry()))
    assert "retries are not part" in text
    assert "retries" not in as_locustfile(make_plan(URL, users=1))


def test_new_connections_are_asked_for() -> None:
    assert exported(new_connections=True)["HEADERS"] == {"connection": "close"}


def locust(plan: Plan, folder: Path) -> dict[str, Any]:
    """What Locust measured with the exported file."""
    if importlib.util.find_spec("locust") is None:
        unavailable("the package locust is not installed")
    file = folder / "locustfile.py"
    file.write_text(as_locustfile(plan))
    command = [sys.executable, "-m", "locust", "-f", str(file), "--headless", "--json", "--only-summary"]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=os.environ, timeout=60)
    assert answer.stdout, answer.stderr
    (stats,) = json.loads(answer.stdout)
    return stats | {"per_s": stats["num_requests"] / (stats["last_request_timestamp"] - stats["start_time"])}


@pytest.mark.full
@pytest.mark.parametrize("load", [{"users": 8}, {"rate": 100.0}, {"rate": [(40, "1s"), (160, "2s")]}], ids=str)
def test_locust_sends_the_same_load(server: Server, tmp_path: Path, load: dict[str, Any]) -> None:
    duration = {} if isinstance(load.get("rate"), list) else {"duration": "3s"}
    ours = load_test(server.url + "/sleep?ms=20", **load, **duration, progress=False)
    theirs = locust(ours.plan, tmp_path)
    assert theirs["num_failures"] == 0
    assert theirs["per_s"] == pytest.approx(ours.achieved_per_s, rel=0.25)
    assert theirs["method"] == "GET"
    assert theirs["name"] == "/sleep?ms=20"
