"""The class, live: a picture that is drawn again whenever somebody's file comes into the folder.

    live = LiveClass("/srv/class")
    live

It goes on beside other cells, and ends with `live.close()`, with its cell run again, with `finish()` and the kernel.
"""

import threading
from html import escape
from pathlib import Path
from typing import Any

from helpers import store
from helpers.errors import LabError
from helpers.teach.cells import belongs_to_cell
from helpers.teach.classroom import Classroom, read_class
from helpers.teach.handed_in import listed, whole_files
from helpers.teach.outliers import remarks
from helpers.teach.widgets import WITHOUT, html, library, rendered, show

LOOK_EVERY_S = 1.0

Seen = tuple[tuple[str, int, int], ...]  # name, time of the last change, size of each file


class LiveClass:
    """What the folder's files say now, and again a second after one has come, changed or gone."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.drawn = 0  # how often it was drawn
        self._seen: Seen | None = None
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._widget: Any = None
        belongs_to_cell(self)

    def close(self) -> None:
        """Draw no more; the last picture stays. Twice does no harm."""
        self._end.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def page(self) -> str:
        """HTML: how many people, the picture, who lies apart and why, and the files that cannot be used."""
        try:
            found = read_class(self.folder)
        except LabError as error:  # nobody yet
            return f'<p role="status">{escape(error.message)}: waiting for the first one</p>'
        if not found.people:
            return f'<p role="status">no file can be used</p>{listed(map(str, found.problems))}'
        return f'<p role="status">{_headline(found)}</p>{self._picture(found)}{_apart(found)}{_of_no_use(found)}'

    def __repr__(self) -> str:
        return f"<LiveClass: {store.shown(self.folder)}, drawn {self.drawn} times>"

    def _ipython_display_(self) -> None:
        widgets = library()
        if widgets is None:
            show(html(self.page()))
            print(f"run the cell again when somebody's file has come\n{WITHOUT}")
            return
        if self._widget is None:
            self._widget = widgets.HTML()
            self._look()
            self._thread = threading.Thread(target=self._follow, name="lab-live-class", daemon=True)
            self._thread.start()
        show(self._widget)

    def _picture(self, found: Classroom) -> str:
        from helpers.plots.class_plot import class_plot

        return rendered(class_plot(found.people))

    def _follow(self) -> None:
        while not self._end.wait(LOOK_EVERY_S):
            self._look()

    def _look(self) -> None:
        now = _seen(self.folder)
        if now != self._seen:
            self._seen = now
            try:
                self._widget.value = self.page()
            except Exception as error:  # in a thread it would be lost, and the picture would stand still in silence
                self._widget.value = f'<p role="alert">{escape(f"{type(error).__name__}: {error}")}</p>'
            self.drawn += 1


def _seen(folder: Path) -> Seen:
    found = []
    for path in whole_files(folder):
        try:
            facts = path.stat()
        except OSError:  # gone meanwhile
            continue
        found.append((path.name, facts.st_mtime_ns, facts.st_size))
    return tuple(found)


def _headline(found: Classroom) -> str:
    return "1 person so far" if len(found.people) == 1 else f"{len(found.people)} people so far"


def _apart(found: Classroom) -> str:
    lines = listed(map(str, remarks(found.people)))
    return f"<p><b>Who lies apart, and what their machine says to it</b></p>{lines}" if lines else ""


def _of_no_use(found: Classroom) -> str:
    lines = listed(map(str, found.problems))
    return f"<p><b>Left out</b></p>{lines}" if lines else ""
