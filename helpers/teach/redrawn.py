"""A place in the page into which something is drawn again and again, with widgets or without."""

from typing import Any


class Redrawn:
    """The first `put` shows it, each further one replaces it. No effect outside a notebook."""

    def __init__(self) -> None:
        self._handle: Any = None

    def put(self, thing: Any) -> None:
        try:
            from IPython.display import display
        except ImportError:
            return
        if self._handle is None:
            self._handle = display(thing, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(thing)
