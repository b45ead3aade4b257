"""A load test's requests as CSV, for whoever goes on with another tool."""

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from helpers.load.result import LoadResult


def as_csv(result: "LoadResult") -> str:
    """A row per request of the measured window: LoadResult.frame() with its names of columns and units.

    Moments are in seconds from the window's begin, durations in ms; what did not happen is empty.
    """
    text = io.StringIO()
    # a microsecond and more: floats at full length would double the file
    result.frame().to_csv(text, index=False, float_format="%.6f", lineterminator="\n")
    return text.getvalue()
