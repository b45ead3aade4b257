"""A picture that fills while a sweep runs: `grid(at=..., on_run=LiveGrid())`."""

from typing import Any

from helpers.experiment import Run, SweepResult


class LiveGrid:
    """Called after each launch, it draws all launches so far into the same place of the page."""

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._handle: Any = None

    def __call__(self, run: Run) -> None:
        from helpers.plots.grid import grid_plot

        self._runs.append(run)
        so_far = SweepResult("", "", {}, {}, tuple(self._runs))
        picture = grid_plot(so_far.rows(), ceiling=None, speedup=so_far.speedup(), first_look=True)
        try:
            from IPython.display import display
        except ImportError:
            return
        if self._handle is None:
            self._handle = display(picture, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(picture)
