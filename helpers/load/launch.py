"""Who answers at that address: the identity and the counts an instrumented server gives, and a first request."""

import http.client
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from helpers import proc
from helpers.errors import TargetError
from helpers.load.plan import Plan

LAB_PATH = "/.lab"
PROBE_TRIES = 3
PROBE_TIMEOUT_S = 2.0
WAIT_FOR_LAB_S = 2.0
_SHOWN_PATHS = 12
_READ_BYTES = 1 << 20  # an endless stream is not read to its end


@dataclass(frozen=True)
class Worker:
    """One slot of the server's status board."""

    pid: int
    state: str
    started: int  # requests
    finished: int


@dataclass(frozen=True)
class Launch:
    """What the server says of itself."""

    id: str
    app: str
    parent: int
    workers_wanted: int
    workers: tuple[Worker, ...]
    about: Mapping[str, Any]  # the whole answer

    @property
    def started(self) -> int:
        return sum(worker.started for worker in self.workers)

    @property
    def finished(self) -> int:
        return sum(worker.finished for worker in self.workers)

    @property
    def serving(self) -> frozenset[int]:
        return frozenset(worker.pid for worker in self.workers if worker.state == "ready")


def read_launch(plan: Plan, *, wait_s: float = WAIT_FOR_LAB_S, answered: int = 0) -> Launch | None:
    """The server's own account; None when it is not instrumented or does not come to answer within `wait_s`.

    Waits until at least `answered` more requests are finished: an answer is read before its end is counted.
    """
    deadline_s = time.monotonic() + wait_s
    launch = None
    while (left_s := deadline_s - time.monotonic()) > 0:
        try:
            status, body, _headers = _get(plan, LAB_PATH, {}, left_s)
        except (OSError, http.client.HTTPException):
            return launch
        launch = parse_launch(body, alive=proc.alive if plan.local else None) if status == 200 else None
        if launch is None or launch.finished >= answered:
            return launch
        time.sleep(0.02)
    return launch


def parse_launch(body: bytes, alive: Callable[[int], bool] | None = None) -> Launch | None:
    """None when `body` is not what an instrumented server says. Who was killed could not say so: ask `alive`."""
    try:
        about = json.loads(body)
        workers = tuple(
            Worker(
                int(slot["pid"]),
                str(slot["state"]) if alive is None or alive(int(slot["pid"])) else "gone",
                int(slot["started"]),
                int(slot["finished"]),
            )
            for slot in about["workers"]
        )
        return Launch(
            str(about["launch"]), str(about["app"]), int(about["parent"]), int(about["workers_wanted"]), workers, about
        )
    except (ValueError, KeyError, TypeError):
        return None


def probe(plan: Plan) -> None:
    """One request (up to three where it fails) before the load; TargetError when there is nothing to be measured.

    A time-out is no error: the server may be overloaded on purpose.
    """
    for last in (False, False, True)[-PROBE_TRIES:]:
        try:
            status, body, headers = _get(plan, plan.target, dict(plan.headers), PROBE_TIMEOUT_S, plan.method, plan.body)
        except TimeoutError:
            return
        except ConnectionRefusedError:
            raise TargetError(
                f"nothing listens at {plan.host}:{plan.port}",
                "Start the server first, and use the address it prints (server.url).",
            ) from None
        except OSError as error:
            if last:
                raise TargetError(
                    f"{plan.url} broke off: {error}", "Look at the server's log: it may be starting or failing."
                ) from None
            continue
        except http.client.HTTPException as error:
            raise TargetError(
                f"what listens at {plan.host}:{plan.port} does not answer in HTTP ({type(error).__name__})",
                "Check the port; a server with TLS needs the port where it speaks plain http.",
            ) from None
        if 200 <= status < 300 or status == 429:  # 429: it limits the rate, which may be what is measured
            return
        if status < 400 or last:
            raise _refuse(plan, status, body, headers)


def _refuse(plan: Plan, status: int, body: bytes, headers: Mapping[str, str]) -> TargetError:
    if status < 400:
        where = headers.get("location", "elsewhere")
        return TargetError(
            f"{plan.url} answers {status} and points to {where}",
            "Redirects are not followed, they would be measured too: use the final address.",
        )
    if status == 404:
        return TargetError(f"{plan.url} answers 404: there is no such path", _known_paths(plan))
    if status >= 500:
        return TargetError(
            f"{plan.url} answers {status} to every try", "Look at the server's log (server.log): the endpoint fails."
        )
    said = body[:200].decode(errors="replace").strip()
    return TargetError(
        f"{plan.url} answers {status} to every try", f"Mend the request: method, query, headers. It said: {said}"
    )


def _known_paths(plan: Plan) -> str:
    try:
        status, body, _headers = _get(plan, "/openapi.json", {}, PROBE_TIMEOUT_S)
        paths = sorted(json.loads(body)["paths"]) if status == 200 else []
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        paths = []
    if not paths:
        return "Check the path; the app's own list of paths is usually at /docs."
    more = " ..." if len(paths) > _SHOWN_PATHS else ""
    return f"This app knows {' '.join(paths[:_SHOWN_PATHS])}{more}"


def _get(
    plan: Plan, target: str, headers: dict[str, str], timeout_s: float, method: str = "GET", body: bytes = b""
) -> tuple[int, bytes, Mapping[str, str]]:
    """Status, headers and body (the beginning of a long one) of one request."""
    deadline_s = time.monotonic() + timeout_s
    connection = http.client.HTTPConnection(plan.address, plan.port, timeout=timeout_s)
    try:
        host = f"[{plan.host}]" if ":" in plan.host else plan.host
        connection.request(method, target, body=body or None, headers=headers | {"host": f"{host}:{plan.port}"})
        response = connection.getresponse()
        answer = b""
        while len(answer) < _READ_BYTES and time.monotonic() < deadline_s and (piece := response.read1(65536)):
            answer += piece
        return response.status, answer, {name.lower(): value for name, value in response.getheaders()}
    finally:
        connection.close()
