"""All load tests of a panel: what each was measured with, what came out, and how it compares with the first."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from html import escape

from helpers.load.latency import shown
from helpers.load.result import LoadResult
from helpers.teach.panel.settings import Settings

COLUMNS = (
    "#", "server", "endpoint", "users", "seconds", "requests/s", "p95", "failed", "share of answers in %", "self-check",
    "why",
)  # fmt: skip
HEADROOM = 1.25  # of the axis above what the cores could give if the first run's workers filled one each


@dataclass(frozen=True)
class Trial:
    """One load test: its settings, and its numbers where it is not void."""

    number: int
    settings: Settings
    verdict: str
    why: str
    per_s: float | None
    p95: str
    error_ratio: float
    share: str

    @property
    def void(self) -> bool:
        """Whether it gave no number."""
        return self.verdict == "void"

    @property
    def kind(self) -> tuple[str, int]:
        """Only trials of one kind are compared: the same endpoint, the same users."""
        return self.settings.path, self.settings.users


def trial(number: int, settings: Settings, result: LoadResult) -> Trial:
    """What is kept of a load test: no records, so that an hour of play needs no memory."""
    void = result.verdict == "void"
    shares = sorted(result.worker_share.values(), reverse=True)
    return Trial(
        number=number,
        settings=settings,
        verdict=result.verdict,
        why=" ".join(result.reasons),
        per_s=None if void else result.achieved_per_s,
        p95="" if void or result.p95_ms is None else shown(result.p95_ms),
        error_ratio=result.error_ratio,
        share=" / ".join(f"{100 * share:.0f}" for share in shares),
    )


@dataclass(frozen=True)
class History:
    """Trials in the order in which they were made."""

    trials: tuple[Trial, ...] = ()

    def with_trial(self, settings: Settings, result: LoadResult) -> "History":
        """One more."""
        return replace(self, trials=(*self.trials, trial(len(self.trials) + 1, settings, result)))

    @property
    def last(self) -> Trial | None:
        """The latest one."""
        return self.trials[-1] if self.trials else None

    def like(self, chosen: Trial) -> list[Trial]:
        """All that can be compared with it, itself included."""
        return [each for each in self.trials if each.kind == chosen.kind]

    def first(self, chosen: Trial) -> Trial | None:
        """The first with a number among those of its kind: what ratios are taken against."""
        return next((each for each in self.like(chosen) if each.per_s), None)

    def ratio(self, chosen: Trial) -> float | None:
        """Its throughput as a multiple of the first; None where there is no number, or it is the first itself."""
        first = self.first(chosen)
        if first is None or first is chosen or not first.per_s or chosen.per_s is None:
            return None
        return chosen.per_s / first.per_s

    def axis_end(self, chosen: Trial, cores: int) -> float:
        """The end of the axis in requests/s, fixed per kind by its first number, so that a doubling looks like one.

        It leaves room for what all cores could give; only a trial beyond that moves it.
        """
        first = self.first(chosen)
        if first is None or not first.per_s:
            return 1.0
        workers = min(first.settings.workers, first.settings.cores or cores, cores)
        highest = max(each.per_s or 0.0 for each in self.like(chosen))
        return max(HEADROOM * first.per_s * cores / workers, 1.05 * highest)

    def csv(self) -> str:
        """A row per trial, with its settings."""
        names = [field.name for field in fields(Settings)]
        further = ["per_s", "p95", "error_ratio", "share", "verdict", "why"]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["number", *names, *further])
        for each in self.trials:
            settings = [getattr(each.settings, name) for name in names]
            writer.writerow([each.number, *settings, *(getattr(each, name) for name in further)])
        return text.getvalue()


def table(trials: Sequence[Trial]) -> str:
    """HTML: all trials with their settings, the latest first."""
    head = "".join(f"<th scope='col'>{name}</th>" for name in COLUMNS)
    rows = []
    for each in reversed(trials):
        chosen = each.settings
        cells = [
            each.number, chosen, chosen.path, f"{chosen.users}{' (burst)' if chosen.burst else ''}",
            f"{chosen.duration_s:g}", "–" if each.per_s is None else f"{each.per_s:,.0f}", each.p95 or "–",
            f"{100 * each.error_ratio:.3g} %", each.share, each.verdict, each.why,
        ]  # fmt: skip
        rows.append("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>")
    body = "".join(rows) or "<tr><td colspan='11'>nothing has been measured yet</td></tr>"
    return f"<table class='lab-wide'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
