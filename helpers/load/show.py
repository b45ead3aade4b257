"""How a load test's result reads, as text and as HTML. A void run shows its reason and no number."""

from html import escape
from typing import TYPE_CHECKING

from helpers.load.latency import Latency, shown

if TYPE_CHECKING:
    from helpers.load.result import LoadResult

_SAYS = {
    "pass": "this measurement can be trusted",
    "warn": "to be read with care",
    "void": "not valid, so no numbers are shown",
}


def rows(result: "LoadResult") -> list[tuple[str, str]]:
    """The table's lines: what, and how much."""
    plan = result.plan
    window = f"{result.duration_s:g} s measured, after {plan.warmup_s:g} s of warm-up"
    load = f"{plan.rate_per_s:g} requests/s" if plan.users is None else _users(plan.users)
    lines = [("load", f"{load}; {window}")]
    if result.verdict == "void":
        return lines
    lines += [
        ("throughput", f"{result.achieved_per_s:.1f} answers/s" + _offered(result)),
        ("errors", _errors(result)),
        ("response time", _latency(result.response)),
    ]
    if result.ok != result.requests and result.ok:
        lines.append(("  of the successful", _latency(result.ok_response)))
    if result.worker_share:
        parts = [f"{pid}: {share:.0%}" for pid, share in result.worker_share.items()]
        lines.append(("share per worker", ", ".join(parts)))
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


def _users(users: int) -> str:
    return "1 user, waiting for each answer" if users == 1 else f"{users} users, each waiting for its answer"


def _offered(result: "LoadResult") -> str:
    return f" (of {result.offered_per_s:.1f} requests/s offered)" if result.plan.model == "open" else ""


def _errors(result: "LoadResult") -> str:
    failed = {name: count for name, count in result.outcomes.items() if count and name != "ok"}
    parts = ", ".join(f"{count} {name}" for name, count in failed.items())
    return f"{result.error_ratio:.1%} of {result.requests} requests" + (f" ({parts})" if parts else "")
