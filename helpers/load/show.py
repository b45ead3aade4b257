"""How a load test's result reads, as text and as HTML. A void run shows its reason and no number."""

from html import escape
from typing import TYPE_CHECKING, Any

from helpers.load.latency import Latency, shown
from helpers.load.phases import stage_rows

if TYPE_CHECKING:
    from helpers.load.plan import Plan
    from helpers.load.result import LoadResult

_SAYS = {
    "pass": "this measurement can be trusted",
    "warn": "to be read with care",
    "void": "not valid, so no numbers are shown",
}


def rows(result: "LoadResult") -> list[tuple[str, str]]:
    """The table's lines: what, and how much."""
    plan = result.plan
    lines = [("load", f"{_load(plan)}; {_window(result)}")]
    if result.stopped_early:
        lines.append(("stopped early", result.stopped_early))
    if result.verdict == "void":
        return lines
    lines += [
        ("throughput", f"{result.achieved_per_s:.1f} answers/s" + _offered(result)),
        ("errors", _errors(result)),
        ("response time", _latency(result.response)),
    ]
    if plan.retry is not None:
        lines.append(("sent again", f"{result.retries} attempts; {result.gave_up} requests failed for good"))
    if result.ok != result.requests and result.ok:
        lines.append(("  of the successful", _latency(result.ok_response)))
    if result.worker_share:
        parts = [f"{pid}: {share:.0%}" for pid, share in result.worker_share.items()]
        lines.append(("share per worker", ", ".join(parts)))
    for row in stage_rows(result) if plan.stages else []:
        lines.append((f"  at {row['rate']:g}/s", _stage(row)))
    return lines


def as_text(result: "LoadResult") -> str:
    plan = result.plan
    lines = [f"{plan.method} {plan.url}"]
    lines += [f"  {name:<19}{value}" for name, value in rows(result)]
    lines.append(f"  {'verdict':<19}{result.verdict}: {_SAYS[result.verdict]}")
    lines += [f"  {'':<19}- {reason}" for reason in result.reasons]
    return "\n".join(lines)


def as_html(result: "LoadResult") -> str:
    plan = result.plan
    body = [*rows(result), ("verdict", f"{result.verdict}: {_SAYS[result.verdict]}")]
    cells = "".join(
        f'<tr><th scope="row" style="text-align:left">{escape(name.strip())}</th>'
        f'<td style="text-align:left">{escape(value)}</td></tr>'
        for name, value in body
    )
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in result.reasons)
    return (
        f'<table><caption style="text-align:left">{escape(plan.method)} {escape(plan.url)}</caption>{cells}</table>'
        + (f"<ul>{reasons}</ul>" if reasons else "")
    )


def _latency(latency: Latency) -> str:
    parts = [(name, getattr(latency, name)) for name in ("p50", "p90", "p95", "p99", "max")]
    given = [f"{name} {shown(value)}" for name, value in parts if value is not None]
    missing = [name for name, value in parts if value is None]
    return ", ".join(given) + (f" (too few requests for {', '.join(missing)})" if missing else "")


def _load(plan: "Plan") -> str:
    how = ", each on a new connection" if plan.new_connections else ""
    if plan.users is not None:
        return _users(plan.users) + how
    if not plan.stages:
        return f"{plan.rate_per_s:g} requests/s{how}"
    return ", then ".join(f"{rate:g}/s for {length_s:g} s" for rate, length_s in plan.stages) + how


def _window(result: "LoadResult") -> str:
    warmup_s, planned_s = result.warmup_s, result.plan.warmup_s
    done = "" if result.observed.unanswered else " until every user had an answer"
    longer = f" (extended from {planned_s:g} s{done})" if warmup_s > planned_s + 0.1 else ""
    return f"{result.duration_s:.3g} s measured, after {warmup_s:.2g} s of warm-up{longer}"


def _stage(row: dict[str, Any]) -> str:
    given = [f"{name} {shown(row[name])}" for name in ("p50", "p95") if row[name] is not None]
    parts = [f"{row['achieved_per_s']:.1f} answers/s", *given, f"{row['error_ratio']:.1%} errors"]
    return ", ".join(parts)


def _users(users: int) -> str:
    return "1 user, waiting for each answer" if users == 1 else f"{users} users, each waiting for its answer"


def _offered(result: "LoadResult") -> str:
    return f" (of {result.offered_per_s:.1f} requests/s offered)" if result.plan.model == "open" else ""


def _errors(result: "LoadResult") -> str:
    failed = {name: count for name, count in result.outcomes.items() if count and name != "ok"}
    parts = ", ".join(f"{count} {name}" for name, count in failed.items())
    return f"{result.error_ratio:.1%} of {result.requests} requests" + (f" ({parts})" if parts else "")
