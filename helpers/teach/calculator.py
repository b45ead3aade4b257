"""The calculator: how many workers to start with, which limit decided, and the line of code that measures it.

    calculator(cores=4, memory_mib=512, cpu_ms=12)

It answers at once, since it is a formula (`theory.workers.how_many_workers`), and a formula ends in "now measure".
"""

import math
from dataclasses import dataclass
from html import escape
from typing import Any

from helpers.errors import InputError, LabError
from helpers.teach.widgets import WITHOUT, html, library, show
from helpers.theory.workers import Advice, how_many_workers, rounded

CONNECTIONS_EACH = 8  # users per worker: with fewer, chance may leave a worker without any
USERS_MOST = 1000
WORKERS_MOST = 64  # as many as this course starts
WAIT_MOST_MS = 60_000  # what the demo's endpoints take
DEMO = "helpers.demo.api:app"
BY_CODE = "advisor.set(quota=1.5, memory_mib=512)"


@dataclass(frozen=True)
class Field:
    """One input: its name in code, its words, and the range of its control. 0 stands for none where None is allowed."""

    name: str
    words: str
    control: str
    low: float = 0.0
    high: float = 1.0
    step: float = 1.0
    may_be_none: bool = False


FIELDS = (
    Field("cores", "cores", "IntSlider", 1, 64),
    Field("quota", "CPU quota (0: none)", "BoundedFloatText", 0, 1024, 0.25, may_be_none=True),
    Field("memory_mib", "memory, MiB (0: plenty)", "BoundedIntText", 0, 1_048_576, 128, may_be_none=True),
    Field("mib_per_worker", "MiB per worker", "BoundedFloatText", 0, 1_048_576, 5),
    Field("base_mib", "MiB without workers", "BoundedFloatText", 0, 1_048_576, 5),
    Field("cpu_ms", "CPU work per request, ms", "BoundedFloatText", 0, 60_000, 1),
    Field("waiting_share", "share of a request that waits", "FloatSlider", 0, 0.99, 0.01),
    Field("waits", "while it waits, its worker", "Dropdown"),
    Field("wanted_per_s", "requests/s wanted (0: all)", "BoundedFloatText", 0, 1_000_000, 50, may_be_none=True),
)
WAITS = (("serves others (await)", "await"), ("stands still (blocks)", "block"))


class Calculator:
    """The inputs and their answer. `set(quota=1.5)` moves a control by code; `advice` is the answer itself."""

    def __init__(self, app: str, path: str, values: dict[str, Any]) -> None:
        self._app, self._path = app, path
        self._here = self.values = values
        self.advice: Advice = how_many_workers(**values)
        self._controls: dict[str, Any] = {}
        self._answer: Any = None

    def set(self, **changes: Any) -> "Calculator":
        """Change inputs. Raises InputError for one that does not exist or makes no sense; then nothing is changed."""
        unknown = changes.keys() - {field.name for field in FIELDS}
        if unknown:
            names = ", ".join(field.name for field in FIELDS)
            raise InputError(f"there is no input {sorted(unknown)[0]!r}", f"there are: {names}")
        wanted = self.values | changes
        self.advice = how_many_workers(**wanted)
        self.values = wanted
        for name in changes.keys() & self._controls.keys():
            control, value = self._controls[name], wanted[name] or 0 if _field(name).may_be_none else wanted[name]
            if hasattr(control, "max"):
                control.max = max(control.max, value)
            control.value = value
        self._show()
        return self

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

    def _ipython_display_(self) -> None:
        widgets = library()
        if widgets is None:
            show(html(self._repr_html_()))
            print(f"by code: advisor = calculator(cores=4), then {BY_CODE}\n{WITHOUT}")
            return
        if not self._controls:
            self._build(widgets)
        code = widgets.HTML(f"<small>by code: <code>{BY_CODE}</code></small>")
        show(widgets.VBox([*self._controls.values(), code, self._answer]))

    def _build(self, widgets: Any) -> None:
        self._answer = widgets.HTML()
        for field in FIELDS:
            control = _control(widgets, field, self.values[field.name])
            control.observe(lambda change, name=field.name: self._moved(name, change["new"]), names="value")
            self._controls[field.name] = control
        self._show()

    def _moved(self, name: str, value: Any) -> None:
        wanted = self.values | {name: None if _field(name).may_be_none and not value else value}
        if wanted == self.values:
            self._show()  # a refused value was put back
            return
        try:
            self.advice = how_many_workers(**wanted)
        except LabError as error:  # an error in a callback would be lost
            self._answer.value = f"<p>{escape(error.message)}; {escape(error.hint)}.</p>"
            return
        self.values = wanted
        self._show()

    def _show(self) -> None:
        if self._answer is not None:
            self._answer.value = self._repr_html_()


def calculator(app: str = DEMO, path: str = "/cpu", **values: Any) -> Calculator:
    """The calculator for an app; inputs left out are this machine's cores and quota, and plain values for the rest."""
    return Calculator(app, path, _defaults()).set(**values)


def _defaults() -> dict[str, Any]:
    from helpers.machine import usable_cpus

    found = usable_cpus()
    cores = min(found.logical, len(found.affinity)) if found.affinity else found.logical
    plain = {"memory_mib": None, "mib_per_worker": 50.0, "base_mib": 25.0, "cpu_ms": 10.0, "waiting_share": 0.0}
    return {"cores": cores, "quota": found.quota, **plain, "waits": "await", "wanted_per_s": None}


def _field(name: str) -> Field:
    return next(field for field in FIELDS if field.name == name)


def _control(widgets: Any, field: Field, value: Any) -> Any:
    style = {"description_width": "15em"}
    layout = widgets.Layout(width="34em")
    if field.control == "Dropdown":
        return widgets.Dropdown(options=WAITS, value=value, description=field.words, style=style, layout=layout)
    whole = field.control in ("IntSlider", "BoundedIntText")
    kind: Any = int if whole else float
    return getattr(widgets, field.control)(
        value=kind(value or 0), min=kind(field.low), max=kind(max(field.high, value or 0)),
        step=kind(field.step), description=field.words, style=style, layout=layout,
    )  # fmt: skip
