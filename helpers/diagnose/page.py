"""The page of a diagnosis: the verdict first, then the fix, then all it rests on."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from helpers import store
from helpers.plots.picture import count
from helpers.report import Block, Facts, Pic, Pre, Section, Table, Text, Words, render

if TYPE_CHECKING:
    from helpers.diagnose.result import Diagnosis


def save(diagnosis: "Diagnosis", file: str | Path | None) -> Path:
    """Write the page, and return where it stands. Raises StoreError."""
    if file is None:
        return store.save_text(f"diagnose-{datetime.now(UTC):%Y%m%d-%H%M%S}.html", page(diagnosis))
    path = Path(file).resolve()
    return store.save_text(path.name, page(diagnosis), folder=path.parent)


def page(diagnosis: "Diagnosis") -> str:
    """The page as text, with every picture in it."""
    sections = [
        Section("The bottleneck", [Text(diagnosis.summary_text), *_picture(diagnosis)]),
        Section("The fix", _fix(diagnosis)),
        Section("The evidence", [_evidence(diagnosis)]),
    ]
    if diagnosis.findings:
        found = {finding.name: f"{finding.seen} {finding.advice}" for finding in diagnosis.findings}
        sections.append(Section("Beside it", [Facts(found)]))
    if diagnosis.traceback:
        sections.append(Section("What the app raised", [Pre(diagnosis.traceback)]))
    sections += [
        Section("How it was decided", [Pre(diagnosis.explain())]),
        Section("Can it be trusted?", [Facts(_checks(diagnosis))]),
        Section("The machine", [Facts(diagnosis.machine)]),
    ]
    return render(
        f"Diagnosis: {diagnosis.verdict.replace('_', ' ')}",
        sections,
        subtitle=f"`{diagnosis.subject.request}` of `{diagnosis.subject.name}`, confidence {diagnosis.confidence}",
        note=" ".join(dict.fromkeys(diagnosis.walk.doubts)),
    )


def _picture(diagnosis: "Diagnosis") -> list[Block]:
    return [Pic(diagnosis.picture())] if diagnosis.probes else []


def _fix(diagnosis: "Diagnosis") -> list[Block]:
    blocks: list[Block] = [Text(diagnosis.fix.what), Pre(diagnosis.fix.code)]
    if diagnosis.fix.expected_gain is not None and diagnosis.fix.expected_gain > 1:
        blocks.append(Text(f"Expected: × {diagnosis.fix.expected_gain:.2g} answers per second."))
    if diagnosis.trials:
        rows = [
            {
                "change": trial.change,
                "users": trial.users,
                "predicted": f"× {trial.predicted:.2g}",
                "measured": None if trial.measured is None else f"× {trial.measured:.2f}",
            }
            for trial in diagnosis.trials
        ]
        blocks.append(
            Table(
                pd.DataFrame(rows, dtype=object),
                "what can be tried from outside, whether or not it is the fix: predicted and measured",
            )
        )
    return blocks


def _evidence(diagnosis: "Diagnosis") -> Words:
    return Words(
        ("probe", "observed", "means"), [(each.probe, each.observed, each.means) for each in diagnosis.evidence]
    )


def _checks(diagnosis: "Diagnosis") -> dict[str, str]:
    """A line per load test: its verdict, and what was not in order."""
    told = {}
    for probe in diagnosis.probes:
        many = f"{count(probe.users, 'user')}, {count(probe.workers, 'worker')}"
        many += f", {probe.threads} threads" if probe.threads else ""
        told[many] = " ".join([f"{probe.result.verdict}.", *probe.result.reasons])
    return told
