"""A load test's requests as a pandas table; apart from `result`, since importing pandas takes a second."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from helpers.load.records import ATTEMPT_SHIFT, OUTCOMES

if TYPE_CHECKING:
    from helpers.load.result import LoadResult


def frame(result: "LoadResult") -> pd.DataFrame:
    """One row per request of the window; see LoadResult.frame()."""
    window = result.window
    moments = {name: window[f"{name}_ns"].astype(float) for name in MOMENTS}
    for values in moments.values():
        values[values == 0] = np.nan  # did not happen
    pids = np.array([result.worker_pids.get(index, 0) for index in range(max(result.worker_pids, default=0) + 1)])
    return pd.DataFrame(
        {f"{name}_s": (values - result.t0_ns) / 1e9 for name, values in moments.items()}
        | {
            "response_ms": (moments["done"] - moments["intended"]) / 1e6,
            "service_ms": (moments["done"] - moments["sent"]) / 1e6,
            "lag_ms": (moments["sent"] - moments["intended"]) / 1e6,
            "waiting_ms": (moments["handled"] - moments["sent"]) / 1e6,  # until the app got it
            "handling_ms": (moments["started"] - moments["handled"]) / 1e6,  # until the app began its answer
            "connection": window["connection"],
            "attempt": (window["flags"] >> ATTEMPT_SHIFT).astype(np.int64),  # 0, and more where it was sent again
            "worker": pd.Series(pids[window["worker"]]).astype("Int64").mask(lambda pid: pid == 0),
            "outcome": pd.Categorical.from_codes(window["outcome"].astype(np.int64), categories=pd.Index(OUTCOMES)),
        }
    )


MOMENTS = ("intended", "sent", "first", "done", "handled", "started")
