"""A run cut by the stages of its rate."""

from typing import TYPE_CHECKING, Any

import numpy as np

from helpers.load.latency import as_json
from helpers.load.records import OK

if TYPE_CHECKING:
    from helpers.load.result import LoadResult


def stage_rows(result: "LoadResult") -> list[dict[str, Any]]:
    """Per stage: rate (asked for, None for users), from_s, to_s, achieved_per_s, p50, p95 (ms), error_ratio.

    Percentiles and errors are of the requests meant to start in the stage, achieved_per_s of the answers that came
    in it. A stage that a run which ended early did not reach is left out.
    """
    plan, begin_s, rows = result.plan, 0.0, []
    for rate, length_s in plan.stages or ((plan.rate_per_s, plan.duration_s),):
        end_s = min(begin_s + length_s, result.duration_s)
        if end_s <= begin_s:
            break
        rows.append({"rate": rate, "from_s": begin_s, "to_s": end_s} | _numbers(result, begin_s, end_s))
        begin_s += length_s
    return rows


def stages_as_json(result: "LoadResult") -> list[dict[str, Any]]:
    """The same for `load --json`; empty where the rate did not change."""
    rows = stage_rows(result) if result.plan.stages else []
    return [row | {name: as_json(row[name]) for name in ("p50", "p95")} for row in rows]


def _numbers(result: "LoadResult", begin_s: float, end_s: float) -> dict[str, Any]:
    begin_ns, end_ns = (result.t0_ns + int(at_s * 1e9) for at_s in (begin_s, end_s))
    intended, done = result.window["intended_ns"], result.finished_ok_ns
    chosen = result.window[(intended >= begin_ns) & (intended < end_ns)]
    response = result.response_of(chosen)
    return {
        "achieved_per_s": int(np.count_nonzero((done >= begin_ns) & (done < end_ns))) / (end_s - begin_s),
        "p50": response.p50,
        "p95": response.p95,
        "error_ratio": float((chosen["outcome"] != OK).mean()) if len(chosen) else 0.0,
    }
