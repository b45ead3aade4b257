"""diagnose(): probes an API, decides what limits it, tries the cure where that can be done from outside, and tells."""

import json
import os
import re
import time
from collections.abc import Mapping
from statistics import median
from typing import Any

from helpers.diagnose import prober
from helpers.diagnose.advice import Case, Fix, fix
from helpers.diagnose.decide import Walk, decide
from helpers.diagnose.endpoint import endpoint
from helpers.diagnose.failing import traceback, why
from helpers.diagnose.findings import Finding, findings
from helpers.diagnose.prober import Prober
from helpers.diagnose.result import Confidence, Diagnosis, confidence
from helpers.diagnose.seen import Answer, first_failure
from helpers.diagnose.story import Evidence, evidence, summary
from helpers.diagnose.subject import NO_SOCKETS, Subject, subject
from helpers.diagnose.trials import Trial, trials
from helpers.errors import StartError, TargetError
from helpers.experiment import pace
from helpers.machine import fingerprint, usable_cpus
from helpers.progress import bar_class

PROBE_S = {"normal": 2.5, "quick": 0.8}
ASKED_AGAIN = 4
LOGGED_WITHIN_S = 0.5
SLOW_LOOK_S = 1.5  # at the stacks, of a request that is too slow to be loaded
PROBES_USUAL = 8  # of the progress bar; a shorter way to the verdict skips some


def diagnose(
    target: str,
    *,
    path: str | None = None,
    method: str = "GET",
    json_body: Any = None,
    headers: Mapping[str, str] | None = None,
    app_dir: str | os.PathLike[str] | None = None,
    factory: bool = False,
    python: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    yes: bool = False,
    progress: bool = True,
) -> Diagnosis:
    """Find out by experiment what limits an API, prove it, and say what to change. Takes up to a minute.

    `target` is an app's import string, such as "mypkg.main:app", which is launched here, again and again, with one
    worker and more; or the address of a server that runs on this machine, of which less can be told. `path` (with its
    query), `method`, `json_body` and `headers` make up the request; a method that may change data wants `yes`.
    `app_dir` is the folder the app is imported from, `factory` says that the name is a function that makes the app,
    `python` is the interpreter that runs it, and `env` is added to its environment. No file of the app is changed.

    Raises InputError for what cannot be used, TargetError where the address or path leads nowhere, StartError (with
    the log's last lines) where the app does not start.
    """
    asked = subject(
        target, path=path, method=method, json_body=json_body, headers=headers, app_dir=app_dir, factory=factory,
        python=python, env=env, yes=yes,
    )  # fmt: skip
    at_pace = pace()
    with bar_class()(total=PROBES_USUAL, desc="diagnose", disable=not progress, leave=False) as bar:

        def say(step: str) -> None:
            bar.set_postfix_str(step)
            bar.update(1)

        with Prober(asked, duration_s=PROBE_S[at_pace.name], say=say) as api:
            found = _Diagnosing(asked, api).run()
        bar.total = bar.n  # a way that skips some is complete as well
        return found


class _Diagnosing:
    """One run: what was asked, and what is known so far."""

    def __init__(self, asked: Subject, api: Prober) -> None:
        self._subject, self._api = asked, api
        self._began = time.perf_counter()
        self._walk = Walk()
        self._endpoint = endpoint({})

    def run(self) -> Diagnosis:
        api = self._api
        try:
            api.launch()
        except StartError as error:
            raise _start_error(error, self._subject) from None
        first = api.ask()
        if not first.ok:
            return self._no_answer(first)
        again = [first] if first.ms > prober.PATIENCE_S * 250 else [api.ask() for _ in range(ASKED_AGAIN)]
        if not all(answer.ok for answer in again):
            return self._failing(next(answer for answer in again if not answer.ok))
        self._endpoint = endpoint(api.about())
        api.request_s = median(answer.ms for answer in again) / 1e3
        api.born()
        verdict = decide(api, self._walk)
        if verdict == "failing":
            return self._failing(self._failed_under_load())
        tried = tuple(trials(api, verdict, self._walk))
        return self._told(verdict, tried, findings(api, first, again, verdict))

    def _told(self, verdict: str, tried: tuple[Trial, ...], found: list[Finding]) -> Diagnosis:
        case = self._case(tried)
        told = summary(verdict, case)
        if any(finding.name == "drifting" for finding in found):
            told += " And it gets slower with every request (`drifting`): mend that first."
        if verdict in ("client_bound", "inconclusive"):
            told += " " + _what_would_tell(verdict, outside=self._api.outside, void=bool(self._walk.doubts))
        return self._diagnosis(
            verdict, confidence(verdict, self._walk, tried, outside=self._api.outside), told,
            tuple(evidence(verdict, case)), fix(verdict, case), found, tried,
        )  # fmt: skip

    def _case(self, tried: tuple[Trial, ...]) -> Case:
        api = self._api
        probe = self._walk.at
        held = None if probe is None else api.held(probe)
        return Case(self._subject, self._endpoint, probe, api.request_s, held, api.looks, tried, usable_cpus().usable)

    def _diagnosis(
        self, verdict: str, sure: Confidence, told: str, shown: tuple[Evidence, ...], advice: Fix,
        found: list[Finding], tried: tuple[Trial, ...], trace: str = "",
    ) -> Diagnosis:  # fmt: skip
        return Diagnosis(
            self._subject,
            verdict, sure, told, shown, advice, tuple(found), tried, tuple(self._api.probes), self._walk,
            self._api.request_s * 1e3, time.perf_counter() - self._began, fingerprint(), trace,
        )  # fmt: skip

    # ------------------------------------------------------------------------------------------ it does not answer

    def _no_answer(self, first: Answer) -> Diagnosis:
        """The first request was no success: too slow, a wrong address, or failing."""
        if first.status == 0 and first.ms >= prober.PATIENCE_S * 1e3:
            return self._too_slow()
        if first.status == 0 and self._api.outside:
            raise TargetError(
                f"{self._subject.address} does not answer ({first.failure})",
                "Start the server first, and use the address it prints.",
            )
        if 300 <= first.status < 400:
            where = first.header("location") or "elsewhere"
            raise TargetError(
                f"{self._subject.request} answers {first.status} and points to {where}", "Use the final path."
            )
        if first.status in (404, 405):
            raise self._wrong_path(first.status)
        return self._failing(first)

    def _wrong_path(self, status: int) -> TargetError:
        asked = self._subject.path.partition("?")[0]
        if asked in endpoint(self._api.about()).websockets:
            return TargetError(f"{asked} is a WebSocket, and diagnose sends HTTP requests", NO_SOCKETS)
        known = self._schema().get("paths", {})
        names = [f"{method.upper()} {path}" for path, methods in sorted(known.items()) for method in methods]
        hint = f"This app knows: {', '.join(names[:12])}." if names else "Name one of the app's own paths with --path."
        problem = "there is no such path" if status == 404 else "the path wants another method"
        return TargetError(f"{self._subject.request} answers {status}: {problem}", hint)

    def _too_slow(self) -> Diagnosis:
        api = self._api
        api.look_while(lambda: api.ask(timeout_s=SLOW_LOOK_S))
        place = api.looks.places[0] if api.looks.places else None
        stands = f" Meanwhile it stands in {place}." if place else ""
        told = (
            f"One request takes more than {prober.PATIENCE_S:g} s, so no load can be measured within a minute.{stands} "
            "Ask for less (a smaller n, one page), whose bottleneck is the same."
        )
        api.request_s = prober.PATIENCE_S
        shown = (Evidence("one request", f"no answer within {prober.PATIENCE_S:g} s", "too slow to be loaded"),)
        smaller = self._subject.command(path="<a request that does less>")
        return self._diagnosis("inconclusive", "low", told, shown, Fix("Ask for less.", smaller, None), [], ())

    def _failing(self, answer: Answer) -> Diagnosis:
        """Errors come before any limit: which, and why by the app's own log and schema."""
        schema = self._schema() if answer.status in (401, 403) else {}
        reason = why(answer, schema, self._subject.path, self._subject.method)
        raised, trace = self._raised() if answer.status == 0 or answer.status >= 500 else ("", "")
        what = f"answers {answer.status}" if answer.status else "gives no answer"
        probe = self._walk.at
        when = f" with {probe.users} users ({probe.failed:.0%} of the requests)" if probe else ""
        told = f"{self._subject.request} {what}{when}: {reason}."
        if raised:
            told += f" The app raised {raised}."
        shown = [
            Evidence(
                "one request" if probe is None else f"{probe.users} users", f"{self._subject.request} {what}", reason
            )
        ]
        if raised:
            shown.append(
                Evidence("the app's log", raised, "the exception that it did not expect; its traceback follows")
            )
        return self._diagnosis(
            "failing", confidence("failing", self._walk, (), outside=self._api.outside), told, tuple(shown),
            _mend(answer, self._subject, reason, under_load=probe is not None), [], (), trace,
        )  # fmt: skip

    def _raised(self) -> tuple[str, str]:
        """The app's last exception, which is logged only after the answer: it is waited for, but there may be none."""
        deadline = time.monotonic() + LOGGED_WITHIN_S
        while not (found := traceback(self._api.log))[0] and time.monotonic() < deadline:
            time.sleep(0.02)
        return found

    def _failed_under_load(self) -> Answer:
        """An answer that stands for those that failed: asked amid the same load, else by its kind."""
        probe = self._walk.at
        kind = None if probe is None else first_failure(probe.result)
        seen = self._api.ask() if probe is None else self._api.ask_amid(probe.users) or self._api.ask()
        if not seen.ok:
            return seen
        status = {"http_4xx": 400, "http_5xx": 500}.get(kind or "", 0)
        text = f"a request alone succeeds; under this load they end as {kind}"
        return Answer(status, seen.ms, text.encode(), failure=text)

    def _schema(self) -> Mapping[str, Any]:
        try:
            found = json.loads(self._api.ask("/openapi.json").body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def _mend(answer: Answer, asked: Subject, reason: str, *, under_load: bool) -> Fix:
    """What to change about the request, or about the app."""
    if under_load and answer.status in (429, 503):
        what = "It refuses what is beyond a limit of its own: raise that limit on the copy that is diagnosed."
        return Fix(what, asked.command(), None)
    if answer.status in (401, 403):
        return Fix(f"Send what is missing: {reason}.", f"{asked.command()} --header 'Authorization: Bearer ...'", None)
    if answer.status in (400, 415, 422):
        return Fix("Send a request that it accepts.", asked.command(**_accepted(asked, reason)), None)
    return Fix(
        "Mend the error first: an API that fails quickly seems fast.",
        f"curl -i 'http://127.0.0.1:5012{asked.path}'",
        None,
    )


def _accepted(asked: Subject, reason: str) -> dict[str, str]:
    """The part of the command to change, by where the missing value belongs: body, path or query."""
    if "(body)" in reason:
        return {"json_body": "body.json"}
    if "(path)" in reason:
        return {"path": "<a path with a value that it takes>"}
    names = re.findall(r"([\w.-]+) \(query\)", reason) or ["name"]
    more = "&".join(f"{name}=..." for name in names)
    return {"path": f"{asked.path.partition('?')[0]}?{more}"}


def _what_would_tell(verdict: str, *, outside: bool, void: bool) -> str:
    if verdict == "client_bound":
        return "Ask for a request that does more work, or give the generator a core of its own."
    if void:
        return "Close other programs (or wait for them), and run it again."
    if outside:
        return (
            "From outside, a lock in each process and a shared downstream look alike: give the app's import string, so "
            "that a second worker can be tried."
        )
    return "Run it again with nothing else going on."


def _start_error(error: StartError, asked: Subject) -> StartError:
    """With the way out that fits a diagnosis."""
    if "No module named 'uvicorn'" in error.message:
        hint = f"install the server there: {asked.python} -m pip install 'uvicorn[standard]'"
        return StartError(error.message, hint, error.log_tail)
    missing = "there is no module" in error.message or "No module named" in error.message + error.log_tail
    if missing and asked.python is None:
        hint = f"{error.hint}; if its packages are in another environment, give its interpreter with --python"
        return StartError(error.message, hint, error.log_tail)
    return error
