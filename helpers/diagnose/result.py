"""What a diagnosis found: for people, for JSON, for a notebook, and as a page to hand on."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from helpers.diagnose.advice import Fix
from helpers.diagnose.decide import Walk
from helpers.diagnose.findings import Finding
from helpers.diagnose.seen import Probe
from helpers.diagnose.story import Evidence
from helpers.diagnose.subject import Subject
from helpers.diagnose.trials import Trial

if TYPE_CHECKING:
    from helpers.plots.picture import Picture

SCHEMA = 1
Confidence = Literal["high", "medium", "low"]
UNTOLD = ("client_bound", "inconclusive")
WALKED_LAST = 4  # the questions that led to the verdict; what was clear with few users need not be asked again


@dataclass(frozen=True, eq=False, repr=False)
class Diagnosis:
    """The verdict with all it rests on. `seconds` is what it took; `request_ms` is one request alone."""

    subject: Subject
    verdict: str
    confidence: Confidence
    summary_text: str
    evidence: tuple[Evidence, ...]
    fix: Fix
    findings: tuple[Finding, ...]
    trials: tuple[Trial, ...]
    probes: tuple[Probe, ...]
    walk: Walk
    request_ms: float
    seconds: float
    machine: Mapping[str, Any]
    traceback: str = ""  # of the app's last exception, where it fails

    def summary(self) -> dict[str, Any]:
        """The contract's JSON object."""
        return {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "confidence": self.confidence,
            "summary": self.summary_text,
            "evidence": [
                {"probe": each.probe, "observed": each.observed, "means": each.means} for each in self.evidence
            ],
            "fix": {"what": self.fix.what, "code": self.fix.code, "expected_gain": _rounded(self.fix.expected_gain)},
            "findings": [{"name": each.name, "seen": each.seen, "advice": each.advice} for each in self.findings],
            "sweep": {
                "rows": [probe.row() for probe in self.probes],
                "trials": [
                    {
                        "change": trial.change,
                        "users": trial.users,
                        "predicted": round(trial.predicted, 2),
                        "measured": _rounded(trial.measured),
                        "confirmed": trial.confirmed,
                    }
                    for trial in self.trials
                ],
            },
        }

    def explain(self) -> str:
        """The decision as it was walked: each question, what was measured, and the threshold."""
        return f"{self.walk}\n          => {self.verdict}, confidence {self.confidence}"

    def picture(self) -> "Picture":
        """Answers per second of every probe, beside what nobody waiting for anybody would give."""
        from helpers.plots.diagnosis import diagnosis_plot

        return diagnosis_plot([probe.row() for probe in self.probes], request_ms=self.request_ms, verdict=self.verdict)

    def save_report(self, file: str | Path | None = None) -> Path:
        """Write the page for colleagues (default: under results/), and return where it stands. Raises StoreError."""
        from helpers.diagnose.page import save

        return save(self, file)

    def __str__(self) -> str:
        lines = [f"{self.verdict} (confidence: {self.confidence})", "", self.summary_text, "", "Evidence"]
        lines += [f"  {each.probe}: {each.observed}\n      -> {each.means}" for each in self.evidence]
        lines += ["", "Fix", f"  {self.fix.what}", *(f"    {line}".rstrip() for line in self.fix.code.splitlines())]
        if self.fix.expected_gain is not None and self.fix.expected_gain > 1:
            lines.append(f"  expected: x {self.fix.expected_gain:.2g} answers")
        if self.findings:
            lines += ["", "Also", *(f"  {finding}" for finding in self.findings)]
        if self.walk.doubts:
            lines += ["", "What the measurement lacked", *(f"  {doubt}" for doubt in dict.fromkeys(self.walk.doubts))]
        if self.traceback:
            lines += ["", *(f"  {line}" for line in self.traceback.splitlines())]
        return "\n".join([*lines, "", f"{len(self.probes)} load tests in {self.seconds:.0f} s"])

    def __repr__(self) -> str:
        return (
            f"<Diagnosis of {self.subject.name} {self.subject.request}: {self.verdict}, {self.confidence} confidence>"
        )

    def _repr_html_(self) -> str:
        cell = '<td style="text-align:left;vertical-align:top">{}</td>'
        rows = "".join(
            f"<tr>{''.join(cell.format(_rich(text)) for text in (each.probe, each.observed, each.means))}</tr>"
            for each in self.evidence
        )
        head = "".join(f'<th style="text-align:left">{name}</th>' for name in ("probe", "observed", "means"))
        parts = [
            f"<p><b style='font-size:1.3em'>{self.verdict}</b> &nbsp; confidence: {self.confidence}</p>",
            f"<p>{_rich(self.summary_text)}</p>",
            f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>",
            f"<p><b>Fix.</b> {_rich(self.fix.what)}</p>{_pre(self.fix.code)}",
            _listed("Also", [f"{finding.seen} {finding.advice}" for finding in self.findings]),
            _listed("What the measurement lacked", list(dict.fromkeys(self.walk.doubts))),
            _pre(self.traceback) if self.traceback else "",
            f"<details><summary>the decision as it was walked</summary>{_pre(self.explain())}</details>",
        ]
        return f"<div>{''.join(parts)}</div>"


def confidence(verdict: str, walk: Walk, trials: tuple[Trial, ...], *, outside: bool) -> Confidence:
    """High: every answer of the walk was clear, no measurement was disturbed, and the prediction came true.

    Each of these that is missing takes one step down; a prediction that did not come true takes two (one
    where it brought even more).
    """
    if verdict in UNTOLD:
        return "low"
    if verdict == "failing":
        return "high"
    lost = int(not all(step.clear for step in walk.steps[-WALKED_LAST:]))
    lost += int(walk.at is not None and bool(walk.at.warned("foreign load", "engine CPU", "run delay")))
    confirmed = [trial.confirmed for trial in trials]
    failed = [trial for trial in trials if trial.confirmed is False]
    lost += (
        int(outside or not confirmed or None in confirmed) if not failed else 1 + (not all(t.beyond for t in failed))
    )
    steps: tuple[Confidence, ...] = ("high", "medium", "low")
    return steps[min(lost, 2)]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _pre(text: str) -> str:
    return f'<pre style="font-family:monospace">{escape(text)}</pre>'


def _listed(title: str, items: list[str]) -> str:
    return f"<p><b>{title}</b></p><ul>{''.join(f'<li>{_rich(item)}</li>' for item in items)}</ul>" if items else ""


def _rich(text: str) -> str:
    """Escaped, with `code`."""
    pieces = escape(text).split("`")
    return "".join(
        f"<code>{piece}</code>" if i % 2 and i < len(pieces) - 1 else piece for i, piece in enumerate(pieces)
    )
