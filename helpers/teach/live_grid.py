"""A picture that fills while a sweep runs: `grid(at=..., on_run=LiveGrid())`."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from helpers.experiment import Run, SweepResult
from helpers.teach.redrawn import Redrawn

if TYPE_CHECKING:
    from helpers.plots.picture import Picture


class LiveGrid:
    """Called after each launch, it draws all launches so far into the same place of the page.

    `draw` makes the picture of them; by default it is the grid of workers and cores.
    """

    def __init__(self, draw: "Callable[[SweepResult], Picture] | None" = None) -> None:
        self._draw = draw or _grid
        self._runs: list[Run] = []
        self._place = Redrawn()

    def __call__(self, run: Run) -> None:
        self._runs.append(run)
        self._place.put(self._draw(SweepResult("", "", {}, {}, tuple(self._runs))))


def _grid(so_far: SweepResult) -> "Picture":
    from helpers.plots.grid import grid_plot

    return grid_plot(so_far.rows(), ceiling=None, speedup=so_far.speedup(), first_look=True)
