"""A picture that fills while a sweep runs: `grid(at=..., on_run=LiveGrid())`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from helpers.experiment import Run, SweepResult

if TYPE_CHECKING:
    from helpers.plots.picture import Picture


class LiveGrid:
    """Called after each launch, it draws all launches so far into the same place of the page.

    `draw` makes the picture of them; by default it is the grid of workers and cores.
    """

    def __init__(self, draw: "Callable[[SweepResult], Picture] | None" = None) -> None:
        self._draw = draw or _grid
        self._runs: list[Run] = []
        self._handle: Any = None

    def __call__(self, run: Run) -> None:
        self._runs.append(run)
        picture = self._draw(SweepResult("", "", {}, {}, tuple(self._runs)))
        try:
            from IPython.display import display
        except ImportError:
            return
        if self._handle is None:
            self._handle = display(picture, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(picture)


def _grid(so_far: SweepResult) -> "Picture":
    from helpers.plots.grid import grid_plot

    return grid_plot(so_far.rows(), ceiling=None, speedup=so_far.speedup(), first_look=True)
