"""The canvas of every picture: size, palette, alt text, table twin, and how it shows in a notebook or report."""

import base64
import html
import io
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, Self

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter

from helpers.errors import InputError

P = ParamSpec("P")

# Okabe and Ito's colours, told apart with every common colour vision. Vermillion is kept for failures.
WORKER_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#F0E442", "#6B4C9A", "#8C6D31")
FAILED = "#D55E00"
INK, SOFT_INK, LINE = "#1F2328", "#57606A", "#8C959F"
STRONG, PLAIN, PALE, FAINT = "#2B3A67", "#AEB6C2", "#D5DAE1", "#EEF0F3"
# Whole configurations are told apart by shade, dash and marker: a worker's colour means that one worker.
CURE = "#B0568A"  # what mends it
SERIES = ((STRONG, "-", "o"), (CURE, "--", "s"), ("#6E7781", "-.", "^"), ("#000000", ":", "D"))

HALO = [withStroke(linewidth=3, foreground="white")]  # text stays readable where a line passes behind it

_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.labelsize": 11,
    "grid.color": "#E3E6EA",
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "hatch.linewidth": 0.9,
    "svg.fonttype": "path",  # the same letters on every machine
    "svg.hashsalt": "lab",
}
_STYLE_LOCK = threading.RLock()  # matplotlib's settings are global, and the panel draws from threads


@contextmanager
def house_style() -> Iterator[None]:
    """Our settings, for the time of one drawing; the learner's own pictures keep theirs."""
    with _STYLE_LOCK, matplotlib.rc_context(_STYLE):
        yield


def drawn(function: Callable[P, "Picture"]) -> Callable[P, "Picture"]:
    """Decorator: the picture is drawn in the house style."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Picture:
        with house_style():
            return function(*args, **kwargs)

    return wrapper


class Picture(Figure):
    """A figure that explains itself: `alt` is one sentence, `table` the same data as a DataFrame.

    It belongs to no pyplot session: nothing to close, and it shows once, where it is the value of a cell.
    """

    def __init__(self, width_in: float = 8.0, height_in: float = 4.0) -> None:
        super().__init__(figsize=(width_in, height_in), dpi=100, facecolor="white")
        FigureCanvasAgg(self)
        self.width_in, self.height_in = width_in, height_in
        self.alt = ""
        self.table = pd.DataFrame()

    def finish(self, alt: str, table: pd.DataFrame) -> Self:
        """Attach the sentence and the table twin."""
        self.alt = " ".join(alt.split())
        self.table = table
        return self

    def axes_at(self, left_in: float, bottom_in: float, width_in: float, height_in: float) -> Axes:
        """Axes placed in inches from the lower left corner: labels can be kept apart by counting."""
        w, h = self.width_in, self.height_in
        return self.add_axes((left_in / w, bottom_in / h, width_in / w, height_in / h))

    def say(self, left_in: float, bottom_in: float, text: str, **style: Any) -> None:
        """Write `text` at a place given in inches from the lower left corner."""
        self.text(left_in / self.width_in, bottom_in / self.height_in, text, **style)

    def headline(self, text: str, below: str = "") -> None:
        """The title at the upper left, and a quieter second line."""
        self.say(0.15, self.height_in - 0.12, text, size=13, weight="bold", va="top")
        if below:
            self.say(0.15, self.height_in - 0.41, below, size=10.5, color=SOFT_INK, va="top")

    def text_width_in(self, text: str, size: float, weight: str = "normal") -> float:
        """How wide `text` comes out, in inches."""
        probe = self.text(0, 0, text, size=size, weight=weight)
        width_px = probe.get_window_extent().width
        probe.remove()
        return float(width_px) / self.dpi

    def png(self, scale: float = 2.0) -> bytes:
        """The picture as PNG; scale 2 is crisp on a high-resolution screen."""
        buffer = io.BytesIO()
        with house_style():
            self.savefig(buffer, format="png", dpi=self.dpi * scale)
        return buffer.getvalue()

    def png_base64(self, scale: float = 2.0) -> str:
        """The PNG for a `data:` address."""
        return base64.b64encode(self.png(scale)).decode("ascii")

    def svg(self) -> str:
        """The picture as an SVG document, the same bytes every time."""
        buffer = io.StringIO()
        with house_style():
            self.savefig(buffer, format="svg", metadata={"Date": None})
        return buffer.getvalue()

    def svg_base64(self) -> str:
        """The SVG for a `data:` address."""
        return base64.b64encode(self.svg().encode()).decode("ascii")

    def save(self, path: str | Path) -> Path:
        """Write the picture to `path` (.png, .svg or .pdf); returns the path. Raises InputError for another ending."""
        target = Path(path)
        kind = target.suffix.lower().lstrip(".")
        if kind not in ("png", "svg", "pdf"):
            raise InputError(f"a picture cannot be saved as {target.name!r}", "end the name in .png, .svg or .pdf")
        with house_style():
            self.savefig(target, format=kind, dpi=self.dpi * 2)
        return target

    def _repr_html_(self) -> str:
        """A white card of its own, so that a dark notebook shows the same picture."""
        cell = f"padding:2px 10px;border-bottom:1px solid #d0d7de;text-align:right;color:{INK};background:#fff"
        return (
            f'<div style="background:#fff;color:{INK};border:1px solid #d0d7de;border-radius:8px;padding:8px;'
            f'max-width:{self.width_in * 110:.0f}px;box-sizing:border-box">'
            f'<img alt="{html.escape(self.alt)}" src="data:image/png;base64,{self.png_base64()}" '
            f'style="width:{self.width_in * 100:.0f}px;max-width:100%;height:auto;display:block;background:#fff">'
            f'<details style="color:{INK};font-size:13px;margin:4px 8px"><summary style="cursor:pointer">'
            f'the same as a table</summary><div style="overflow-x:auto">'
            f"{table_html(self.table, cell_style=f'{cell};white-space:nowrap')}</div></details></div>"
        )

    def __repr__(self) -> str:
        return f"<Picture: {self.alt}>"

    __str__ = __repr__


def worker_colour(index: int) -> str:
    """The colour of a worker: `index` is its place among the launch's workers in the order of their pids."""
    return WORKER_COLOURS[index % len(WORKER_COLOURS)]


def worker_colours(pids: Sequence[int]) -> dict[int, str]:
    """The colour of each worker of one launch, by pid."""
    return {pid: worker_colour(i) for i, pid in enumerate(sorted(set(pids)))}


def ink_on(colour: str) -> str:
    """Black or white, whichever reads better on `colour` (WCAG's relative luminance)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    luminance = 0.2126 * r + 0.7152 * g + 0.0722 * b
    return "#FFFFFF" if 1.05 / (luminance + 0.05) >= (luminance + 0.05) / 0.05 else "#000000"


def short(value: float) -> str:
    """A number as one says it: 12,300 · 172 · 91 · 8.3 · 0.97."""
    size = abs(value)
    return f"{value:,.0f}" if size >= 20 else f"{value:.1f}" if size >= 2 else f"{value:.2f}"


def duration(value_ms: float) -> str:
    """Milliseconds as one says them: 0.42 ms, 182 ms, 1.3 s."""
    if value_ms < 1000:
        return f"{short(value_ms)} ms"
    return f"{value_ms / 1000:.1f}".removesuffix(".0") + " s"


def percent(share: float) -> str:
    """A share as a percentage that never rounds something to nothing, nor almost all to all."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    if share < 0.1 and share != 0:
        return f"{100 * share:.1f}".removesuffix(".0") + " %"
    return f"{min(100 * share, 99) if share < 1 else 100:.0f} %"


def count(number: int, thing: str) -> str:
    """1 worker, 2 workers."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def spread(wanted: Sequence[float], gap: float, low: float = -math.inf, high: float = math.inf) -> list[float]:
    """Places for labels, in the order given, near the wanted ones and at least `gap` apart, within low..high."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed = [0.0] * len(wanted)
    floor = low
    for i in order:
        placed[i] = max(wanted[i], floor)
        floor = placed[i] + gap
    roof = high
    for i in reversed(order):
        placed[i] = min(placed[i], roof)
        roof = placed[i] - gap
    return placed


def plain_ticks(axis: Axis) -> None:
    """Tick labels such as 12,000 and 0.5, never 1e4."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))


def cell_text(value: object) -> str:
    """One value of a table twin as text; what was not measured is a dash."""
    if isinstance(value, dict) and "at_least" in value:
        return f"≥ {short(float(value['at_least']))}"
    if value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA:
        return "–"
    return short(value) if isinstance(value, float) else str(value)


def table_html(frame: pd.DataFrame, *, caption: str = "", cell_style: str = "") -> str:
    """A frame as an HTML table with header cells that say what they head; everything escaped."""
    style = f' style="{cell_style}"' if cell_style else ""
    joined = ' style="border-collapse:collapse"' if cell_style else ""
    head = "".join(f'<th scope="col"{style}>{html.escape(str(name))}</th>' for name in frame.columns)
    body = []
    for row in frame.itertuples(index=False):
        cells = [html.escape(cell_text(value)) for value in row]
        first = f'<th scope="row"{style}>{cells[0]}</th>' if cells else ""
        body.append(f"<tr>{first}{''.join(f'<td{style}>{cell}</td>' for cell in cells[1:])}</tr>")
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    return f"<table{joined}>{title}<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
