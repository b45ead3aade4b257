"""What the preflight found: on the own screen, as JSON, and as a file for the instructor that holds nothing personal.

The file: {"schema": 1, "kind": "doctor", "ready": true, "machine": {"os": "...", "cpus_usable": 2, ...},
"checks": [{"name": "at rest", "status": "warn", "found": "other programs use 40% of a core"}, ...]}
"""

import html
import json
from dataclasses import dataclass
from typing import Any, Literal

from helpers.machine import fingerprint

Status = Literal["ok", "warn", "fail"]
SCHEMA = 1
KIND = "doctor"
MACHINE = (  # not the kernel's name: people put their own into it
    "os", "cpu_model", "architecture", "cpus_logical", "cpus_usable", "memory_gib", "memory_limit_gib",
    "virtual_machine", "container", "python",
)  # fmt: skip


@dataclass(frozen=True)
class DoctorCheck:
    """One thing looked at: "ok", "warn" or "fail", what was found, and the way out (empty where all is well).

    `detail` and `remedy` are for the own screen: they may name a path, a process or a user. `shared` is what others may
    be told of it (`for_others`), so whoever writes a check has to decide on it; by default it is nothing.
    """

    name: str
    status: Status
    detail: str
    remedy: str = ""
    shared: str = ""


def open_check(name: str, status: Status, detail: str, remedy: str = "") -> DoctorCheck:
    """A check with nothing in it that others may not be told."""
    return DoctorCheck(name, status, detail, remedy, shared=detail)


@dataclass(frozen=True)
class Report:
    """All checks: prints as text in a terminal, and as one line that unfolds in a notebook."""

    checks: tuple[DoctorCheck, ...]

    @property
    def ready(self) -> bool:
        """True where nothing failed; warnings do not stand in the way."""
        return all(check.status != "fail" for check in self.checks)

    @property
    def headline(self) -> str:
        """One line: ready or not, and how many checks are fine, worth a look, or failing."""
        counts = {status: sum(check.status == status for check in self.checks) for status in ("ok", "warn", "fail")}
        parts = [f"{counts['ok']} of {len(self.checks)} checks are fine"]
        if counts["warn"]:
            parts.append(f"{counts['warn']} worth a look")
        if counts["fail"]:
            parts.append(f"{counts['fail']} failing")
        return f"{'Ready' if self.ready else 'Not ready'}: {', '.join(parts)}"

    def summary(self) -> dict[str, Any]:
        """The JSON form of the command line."""
        keys = ("name", "status", "detail", "remedy")
        checks = [{key: getattr(check, key) for key in keys} for check in self.checks]
        return {"schema": SCHEMA, "checks": checks, "ready": self.ready}

    def for_others(self) -> str:
        """The text of the file for the instructor: it names no person, machine, folder or program."""
        facts = fingerprint()
        whole = {
            "schema": SCHEMA,
            "kind": KIND,
            "ready": self.ready,
            "machine": {name: facts[name] for name in MACHINE},
            "checks": [{"name": each.name, "status": each.status, "found": each.shared} for each in self.checks],
        }
        return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"

    def __str__(self) -> str:
        width = max((len(check.name) for check in self.checks), default=0)
        lines = []
        for check in self.checks:
            lines.append(f"{check.status:<4}  {check.name:<{width}}  {check.detail}")
            if check.remedy:
                lines.append(f"{'':<4}  {'':<{width}}  -> {check.remedy}")
        return "\n".join([*lines, self.headline])

    def _repr_html_(self) -> str:
        cells = ("name", "status", "detail", "remedy")
        head = "".join(f'<th scope="col" style="text-align:left">{title}</th>' for title in _TITLES)
        body = "".join(
            "<tr>" + "".join(_cell(getattr(check, cell), check.status) for cell in cells) + "</tr>"
            for check in self.checks
        )
        return (
            f"<details{'' if self.ready else ' open'}><summary>{html.escape(self.headline)}</summary>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></details>"
        )


_TITLES = ("check", "status", "what was found", "what to do")


def _cell(text: str, status: Status) -> str:
    weight = ";font-weight:bold" if status != "ok" else ""  # no colour: it must read in light and dark alike
    return f'<td style="text-align:left{weight}">{html.escape(text)}</td>'
