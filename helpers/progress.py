"""What people are told meanwhile: progress bars (a widget where a notebook can show one), and single lines."""

import sys
from collections.abc import Sequence
from typing import Any


def progress_bar(items: Sequence[Any], what: str, *, shown: bool = True) -> Any:
    """A bar over `items`, at most four redraws a second; it goes when it is done."""
    # where the bar is a widget it takes no file
    return bar_class()(items, desc=what, disable=not shown, file=sys.stderr, mininterval=0.25, leave=False)


def tell(line: str) -> None:
    """A line for people, on stderr; in a notebook on stdout, since stderr is red there, as if something had failed."""
    print(line, file=sys.stdout if in_notebook() else sys.stderr, flush=True)


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
