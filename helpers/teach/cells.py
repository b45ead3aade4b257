"""What a cell has opened and left open, such as a panel: it ends with the notebook, or when the cell is run again."""

from typing import Protocol

from helpers.teach.widgets import shell


class Open(Protocol):
    """Something that goes on after its cell has ended."""

    def close(self) -> None:
        """End it. Twice does no harm."""


_of_cells: dict[str, Open] = {}


def belongs_to_cell(thing: Open) -> None:
    """Close what the same cell had made when it was run before. No effect outside a notebook."""
    cell = _running_cell()
    if cell is None:
        return
    before = _of_cells.pop(cell, None)
    _of_cells[cell] = thing
    if before is not None:
        before.close()


def close_all() -> None:
    """Close everything that cells of this notebook have left open."""
    while _of_cells:
        _, thing = _of_cells.popitem()
        thing.close()


def _running_cell() -> str | None:
    """What tells the running cell from others: its id where the frontend says it, else its text; None in scripts."""
    running = shell()
    if running is None or not hasattr(running, "get_parent"):
        return None
    parent = running.get_parent()
    told = parent.get("metadata", {}).get("cellId") or parent.get("content", {}).get("code")
    return str(told) if told else None
