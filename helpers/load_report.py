"""The pages that `load --html` writes: one load test, or the search for the highest rate that meets an objective."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from helpers.load.records import OUTCOMES
from helpers.load.slo import Judgement
from helpers.report import Block, Facts, Pic, Pre, Section, Table, Text, render

if TYPE_CHECKING:
    import pandas as pd

    from helpers.knee import Knee
    from helpers.load.result import LoadResult

_NOTES = {
    "pass": "",
    "warn": "To be read with care: {}",
    "void": "This run is void, so no number of it is shown: {}",
}


def load_page(result: "LoadResult", judgements: Sequence[Judgement], machine: Mapping[str, Any]) -> str:
    """The page of one load test; a void one has its checks and its reasons, but no number."""
    reasons = " ".join(result.reasons)
    sections = [Section("What was measured", [Pre(str(result))])]
    if judgements:
        sections.append(Section("The objective", [_objective(judgements)]))
    if result.verdict != "void":
        sections += [
            Section("How long it took", _distribution(result)),
            Section("One request after the other", _time(result)),
        ]
    sections += [
        Section("Can it be trusted?", [_checks(result)]),
        Section("The machine and every setting", [Facts(_settings(result), "settings"), Facts(machine, "the machine")]),
    ]
    return render(
        "Load test",
        sections,
        subtitle=f"`{result.plan.method} {result.plan.url}`",
        note=_NOTES[result.verdict].format(reasons),
    )


def knee_page(knee: "Knee", machine: Mapping[str, Any]) -> str:
    """The page of a search: the picture, and each step of it."""
    objective = ",".join(target.text for target in knee.slo)
    sections = [
        Section("The highest rate", [Text(knee.why[:1].upper() + knee.why[1:] + "."), Pic(knee.picture())]),
        Section("Every step", [Pre(str(step.result), f"{step.rate_per_s:.4g} requests/s") for step in knee.steps]),
        Section("The machine", [Facts(machine)]),
    ]
    return render("How many requests per second?", sections, subtitle=f"`{knee.url}` with `{objective}`")


def _objective(judgements: Sequence[Judgement]) -> Table:
    import pandas as pd

    rows = [{"target": str(each.target), "verdict": each.verdict, "measured": each.measured} for each in judgements]
    return Table(pd.DataFrame(rows))


def _distribution(result: "LoadResult") -> list[Block]:
    from helpers.plots.latency import latency_plot

    frame = result.frame()
    times = frame.loc[frame["outcome"] == "ok", "response_ms"]
    timeouts = sum(result.outcomes[name] for name in ("timeout", "connect_timeout"))
    if not len(times):
        return [Text("No request was answered with success.")]
    picture = latency_plot(
        {"successes": times}, timeouts={"successes": timeouts}, timeout_ms=result.plan.timeout_s * 1000
    )
    failed = {name: count for name, count in result.outcomes.items() if count and name != "ok"}
    return [Pic(picture), *([Facts(failed, "requests that failed")] if failed else [])]


def _time(result: "LoadResult") -> list[Block]:
    from helpers.plots.timeline import timeline_plot

    frame = result.frame()
    sent = frame["sent_s"].notna().any()
    parts: list[Block] = [Pic(timeline_plot(frame) if sent else None, "grey waits, colour works")]
    return [*parts, Table(_by_second(result), "in each second of the measured window")]


def _by_second(result: "LoadResult") -> "pd.DataFrame":
    """Requests by the second in which they were meant to start."""
    import pandas as pd

    frame = result.frame()
    second = frame["intended_s"].fillna(0).clip(lower=0).astype(int)
    rows = []
    for at, group in frame.groupby(second):
        answered = group.loc[group["outcome"] == "ok", "response_ms"]
        rows.append(
            {
                "second": str(at),
                "requests": len(group),
                "failed": int((group["outcome"] != OUTCOMES[0]).sum()),
                "median of the successes (ms)": float(answered.median()) if len(answered) else None,
                "slowest of them (ms)": float(answered.max()) if len(answered) else None,
            }
        )
    return pd.DataFrame(rows, dtype=object)


def _checks(result: "LoadResult") -> Facts:
    """One line per check, in full sentences; two of one name stand together."""
    told: dict[str, str] = {}
    for check in result.checks:
        said = f"{check.verdict}: {check.why}"
        told[check.name] = f"{told[check.name]} · {said}" if check.name in told else said
    return Facts(told)


def _settings(result: "LoadResult") -> dict[str, Any]:
    """The plan without what only the program needs; a long body is told by its length."""
    plan = result.plan
    known = {
        "users": plan.users,
        "requests/s": plan.rate_per_s,
        "stages (requests/s, s)": [f"{rate:g} for {length_s:g} s" for rate, length_s in plan.stages] or None,
        "arrivals": plan.arrivals if plan.users is None else None,
        "think (s)": plan.think_s or None,
        "measured (s)": plan.duration_s,
        "warm-up (s)": plan.warmup_s,
        "time-out (s)": plan.timeout_s,
        "at once": plan.burst,
        "new connections": plan.new_connections,
        "headers": [f"{name}: {value}" for name, value in plan.headers] or None,
        "body (bytes)": len(plan.body) or None,
        "seed": plan.seed,
    }
    return {name: value for name, value in known.items() if value is not None}
