"""One request, asked alone and in full: what the API says, and how long it takes when nobody else asks."""

import http.client
import time

from helpers.diagnose.seen import Answer
from helpers.diagnose.subject import Subject
from helpers.load.plan import make_plan

BODY_MOST_BYTES = 64 * 2**20


def ask(subject: Subject, address: str, path: str | None, timeout_s: float) -> Answer:
    """The subject's request, or a plain GET of another `path`, on a connection of its own."""
    began = time.perf_counter()
    try:
        return _ask(subject, address, path, timeout_s, began)
    except (OSError, http.client.HTTPException) as error:
        ms = (time.perf_counter() - began) * 1e3
        return Answer(0, ms, failure=str(error) or type(error).__name__)


def _ask(subject: Subject, address: str, path: str | None, timeout_s: float, began: float) -> Answer:
    plan = make_plan(address, users=1)
    connection = http.client.HTTPConnection(plan.address, plan.port, timeout=timeout_s)
    try:
        method, body = (subject.method, subject.body) if path is None else ("GET", b"")
        connection.request(method, path or subject.path, body=body or None, headers=dict(subject.headers))
        response = connection.getresponse()
        said = b""
        while len(said) < BODY_MOST_BYTES and (piece := response.read1(1 << 16)):
            said += piece
            if time.perf_counter() - began > timeout_s:
                raise TimeoutError("the answer does not come to its end")
        headers = tuple((name.lower(), value) for name, value in response.getheaders())
        return Answer(response.status, (time.perf_counter() - began) * 1e3, said, headers)
    finally:
        connection.close()
