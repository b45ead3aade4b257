"""Progress bars: a widget in a notebook that can show one, a line on stderr in a terminal."""

import sys
import warnings
from collections.abc import Sequence
from typing import Any


def progress_bar(items: Sequence[Any] | None, what: str, *, shown: bool = True, **further: Any) -> Any:
    """A tqdm bar over `items` (None: one that is moved by hand), at most four redraws a second."""
    bar = _bar_class()
    return bar(items, desc=what, disable=not shown, file=sys.stderr, mininterval=0.25, leave=False, **further)


def _bar_class() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tqdm warns where ipywidgets is missing; the plain bar serves as well
        from tqdm.auto import tqdm
    return tqdm
