"""Progress bars: a widget in a notebook that can show one, a line on stderr elsewhere."""

import sys
from collections.abc import Sequence
from typing import Any


def progress_bar(items: Sequence[Any], what: str, *, shown: bool = True) -> Any:
    """A bar over `items`, at most four redraws a second; it goes when it is done."""
    # where the bar is a widget it takes no file
    return bar_class()(items, desc=what, disable=not shown, file=sys.stderr, mininterval=0.25, leave=False)


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook; costs no import."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


def bar_class() -> Any:
    """tqdm's bar that fits: a widget only in a notebook that has widgets, else text."""
    from tqdm import tqdm

    if not in_notebook():
        return tqdm
    try:
        import ipywidgets  # noqa: F401
    except ImportError:  # absent, or installed and broken
        return tqdm
    from tqdm.notebook import tqdm as widget

    return widget
