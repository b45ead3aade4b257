"""What a benchmark found: one number per line, beside the target it must meet."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks.rivals import Cost


@dataclass(frozen=True)
class Finding:
    """A number, the median of `rounds`; `at_most` or `at_least` is its target, if it has one."""

    part: str
    name: str
    unit: str
    rounds: Sequence[float]
    at_most: float | None = None
    at_least: float | None = None
    enough: bool = False  # another way to meet the target was met (5 % or 0.2 ms)
    untold: bool = False  # the machine was too restless: a target that is not met proves nothing
    note: str = ""

    @property
    def value(self) -> float:
        return statistics.median(self.rounds)

    @property
    def met(self) -> bool | None:
        if self.at_most is not None:
            met = self.enough or self.value <= self.at_most
        elif self.at_least is not None:
            met = self.enough or self.value >= self.at_least
        else:
            return None
        return None if self.untold and not met else met

    @property
    def target(self) -> str:
        if self.at_most is not None:
            return f"<= {self.at_most:g}"
        return "" if self.at_least is None else f">= {self.at_least:g}"

    def row(self) -> dict[str, Any]:
        verdict = {None: "not told" if self.target else "", True: "met", False: "MISSED"}[self.met]
        return {
            "part": self.part, "what": self.name, "median": self.value, "unit": self.unit, "target": self.target,
            "verdict": verdict, "rounds": list(self.rounds), "note": self.note,
        }  # fmt: skip

    def __str__(self) -> str:
        row = self.row()
        spread = f"[{min(self.rounds):.3g}, {max(self.rounds):.3g}]" if len(self.rounds) > 1 else ""
        tail = f"   {self.note}" if self.note else ""
        said = f"{self.part:10}{self.name:46}{_said(self.value):>10} {self.unit:12}{spread:18}"
        return f"{said}{self.target:>10}  {row['verdict']}{tail}".rstrip()


@dataclass
class Report:
    """All findings in their order, and the costs of every client for the picture."""

    rounds: int
    duration_s: float
    findings: list[Finding] = field(default_factory=list)
    costs: dict[str, dict[str, list[Cost]]] = field(default_factory=dict)  # server -> client -> a cost per round
    tell: Callable[[str], None] = print

    def add(self, finding: Finding) -> None:
        self.findings.append(finding)
        self.tell(str(finding))

    @property
    def missed(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.met is False]

    @property
    def untold(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.target and finding.met is None]

    def summary(self) -> dict[str, Any]:
        costs = [
            {"server": server, "client": client, "us_per_request": [run.us for run in runs],
             "requests_per_s": [run.requests / run.wall_s for run in runs]}
            for server, by_client in self.costs.items()
            for client, runs in by_client.items()
        ]  # fmt: skip
        findings = [finding.row() for finding in self.findings]
        return {"rounds": self.rounds, "duration_s": self.duration_s, "findings": findings, "costs": costs}

    def markdown(self) -> str:
        """The findings as a table."""
        lines = ["| | what | median | unit | rounds | target | |", "|---|---|---:|---|---|---|---|"]
        for finding in self.findings:
            row = finding.row()
            rounds = ", ".join(_said(value) for value in finding.rounds)
            cells = [row["part"], row["what"], _said(finding.value), row["unit"], rounds, row["target"]]
            lines.append("| " + " | ".join([*cells, " ".join([row["verdict"], row["note"]]).strip()]) + " |")
        return "\n".join(lines) + "\n"


def _said(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
