"""The calculator: how many workers to start with, which limit decided, and the line of code that measures it.

    calculator(cores=4, memory_mib=512, cpu_ms=12)

It answers at once, since it is a formula (`theory.workers.how_many_workers`), and a formula ends in "now measure".
"""

import math
from html import escape
from typing import Any

from helpers.teach.controls import Controls, Field
from helpers.theory.workers import Advice, how_many_workers, rounded

CONNECTIONS_EACH = 8  # users per worker: with fewer, chance may leave a worker without any
USERS_MOST = 1000
WORKERS_MOST = 64  # as many as this course starts
WAIT_MOST_MS = 60_000  # what the demo's endpoints take
DEMO = "helpers.demo.api:app"
BY_CODE = "advisor.set(quota=1.5, memory_mib=512)"


WAITS = (("serves others (await)", "await"), ("stands still (blocks)", "block"))
FIELDS = (
    Field("cores", "cores", "IntSlider", 1, 64),
    Field("quota", "CPU quota (0: none)", "BoundedFloatText", 0, 1024, 0.25, may_be_none=True),
    Field("memory_mib", "memory, MiB (0: plenty)", "BoundedIntText", 0, 1_048_576, 128, may_be_none=True),
    Field("mib_per_worker", "MiB per worker", "BoundedFloatText", 0, 1_048_576, 5),
    Field("base_mib", "MiB without workers", "BoundedFloatText", 0, 1_048_576, 5),
    Field("cpu_ms", "CPU work per request, ms", "BoundedFloatText", 0, 60_000, 1),
    Field("waiting_share", "share of a request that waits", "FloatSlider", 0, 0.99, 0.01),
    Field("waits", "while it waits, its worker", "Dropdown", choices=WAITS),
    Field("wanted_per_s", "requests/s wanted (0: all)", "BoundedFloatText", 0, 1_000_000, 50, may_be_none=True),
)


class Calculator(Controls[Advice]):
    """How many workers, for an app and a path of it."""

    fields, by_code, without = FIELDS, BY_CODE, f"advisor = calculator(cores=4), then {BY_CODE}"

    def __init__(self, app: str, path: str, values: dict[str, Any]) -> None:
        self._app, self._path = app, path
        super().__init__(values)

    def _work_out(self, values: dict[str, Any]) -> Advice:
        return how_many_workers(**values)

    def code(self) -> str:
        """The sweep that measures around the answer: one less, the number itself, one more; empty where none fits."""
        if not self.advice.workers:
            return ""
        most = min(WORKERS_MOST, self.advice.workers)
        counts = sorted({1, max(1, most - 1), most, min(WORKERS_MOST, most + 1)})
        held = 1 - self.values["waiting_share"] if self.values["waits"] == "await" else 1.0  # who blocks has one each
        users = min(USERS_MOST, math.ceil(CONNECTIONS_EACH * counts[-1] / held))
        what = f"{self._app!r}, {self._endpoint()!r}, workers={tuple(counts)}, users=({users},)"
        return f"from helpers.experiment import sweep\nsweep({what}, repeats=3, duration=2)"

    def _endpoint(self) -> str:
        """The path to load; of the demo app one that waits, for as long as a request of such a share would."""
        share = self.values["waiting_share"]
        if not share or self._app != DEMO:
            return self._path
        wait_ms = min(WAIT_MOST_MS, max(1, round(self.values["cpu_ms"] * share / (1 - share))))
        return f"/{'sleep' if self.values['waits'] == 'await' else 'blocking'}?ms={wait_ms}"

    def _now(self) -> str:
        """The words above the line of code: what it measures, and on which machine."""
        if not self.advice.workers:
            return "Nothing to measure: it takes more memory, or workers that need less."
        here, wanted = self._here, self.values
        there = wanted["cores"] != here["cores"] or wanted["quota"] != here["quota"]
        cores = f"{wanted['cores']:g} core{'' if wanted['cores'] == 1 else 's'}"
        quota = "" if wanted["quota"] is None else f" and a quota of {wanted['quota']:g}"
        words = f"Now measure, on that machine (with {cores}{quota}; this one is another)" if there else "Now measure"
        if self._endpoint() != self._path:
            words += "; this endpoint only waits, so put in one of yours"
        return f"{words}:"

    def __repr__(self) -> str:
        return "\n".join(filter(None, (str(self.advice), self._now(), self.code())))

    def _repr_html_(self) -> str:
        advice = self.advice
        rows = "".join(
            f"<tr{' style=font-weight:bold' if limit.name == advice.decided else ''}>"
            f'<th scope="row" style="text-align:left;padding:2px 12px 2px 0">{limit.name}</th>'
            f'<td style="padding:2px 12px;text-align:right">{limit.workers}</td>'
            f'<td style="padding:2px 12px;text-align:left">{escape(limit.why)}</td></tr>'
            for limit in advice.limits
        )
        number = f"{advice.workers} worker{'' if advice.workers == 1 else 's'}"
        per_s = f"at most {rounded(advice.per_s)} answers/s, if they do nothing but this"
        most = per_s if advice.workers else "none fits"
        short = "<p><b>Not enough</b> for the requests that are wanted: more cores or less work.</p>"
        trade = f"<p>{escape(advice.trade[0].upper() + advice.trade[1:])}.</p>" if advice.trade else ""
        line = f'<pre style="font-family:monospace">{escape(self.code())}</pre>' if self.code() else ""
        return (
            f'<div><p style="font-size:1.6em;margin:.3em 0"><b>{number}</b> '
            f'<span style="font-size:.6em">decided by: {advice.decided}; {most}</span></p>'
            f'<table style="border-collapse:collapse">{rows}</table>{trade}{short if advice.enough is False else ""}'
            f"<p>{escape(self._now())}</p>{line}</div>"
        )


def calculator(app: str = DEMO, path: str = "/cpu", **values: Any) -> Calculator:
    """The calculator for an app; inputs left out are this machine's cores and quota, and plain values for the rest."""
    return Calculator(app, path, _defaults()).set(**values)


def _defaults() -> dict[str, Any]:
    from helpers.machine import usable_cpus

    found = usable_cpus()
    cores = min(found.logical, len(found.affinity)) if found.affinity else found.logical
    plain = {"memory_mib": None, "mib_per_worker": 50.0, "base_mib": 25.0, "cpu_ms": 10.0, "waiting_share": 0.0}
    return {"cores": cores, "quota": found.quota, **plain, "waits": "await", "wanted_per_s": None}
