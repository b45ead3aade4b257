"""A picture that grows while an incident goes on: `incident(..., on_look=LiveCourse("Workers are added"))`."""

import time

from helpers.incident.result import Course
from helpers.plots.incident_plot import incident_plot
from helpers.teach.redrawn import Redrawn

DRAW_EVERY_S = 1.0  # a drawing takes a core for a sixth of that


class LiveCourse:
    """Draws the course so far into one place of the page, once a second, and the whole of it at the end."""

    def __init__(self, title: str = "") -> None:
        self._title, self._place = title, Redrawn()
        self._next_s = 0.0

    def __call__(self, course: Course) -> None:
        now_s = time.monotonic()
        if course.over or now_s >= self._next_s:
            self._next_s = now_s + DRAW_EVERY_S
            self._place.put(incident_plot(course, self._title))
