"""Predict, run, explain: a prediction is written down before the measurement, and stands beside it afterwards.

Nothing is preselected, since a default anchors. "Run All" never waits: without a prediction the measurement is shown
alone, and shown again, together with the prediction, when one is made.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from helpers.errors import InputError
from helpers.teach.widgets import WITHOUT, folded, html, library, rendered, show

CARD = "border-left:4px solid #0072B2;padding:.4em 1em;margin:.5em 0"


@dataclass(frozen=True)
class Option:
    """One answer: its words, the number it stands for (to be drawn in a picture), and the belief behind it.

    `ask` is a question back, for whoever chose it and was wrong: a hint, not an answer.
    """

    words: str
    value: float | None = None
    ask: str = ""


class Prediction:
    """A question with a few coarse answers. The last line of a cell shows it; `choose(2)` answers it by code."""

    def __init__(self, name: str, question: str, options: Sequence[Option]) -> None:
        self.name = name
        self.question = question
        self.options = tuple(options)
        self.chosen: Option | None = None
        self._redraws: list[Callable[[], None]] = []
        self._buttons: Any = None

    @property
    def value(self) -> float | None:
        """The number that the chosen answer stands for; None while nothing is chosen."""
        return None if self.chosen is None else self.chosen.value

    def choose(self, number: int) -> "Prediction":
        """Answer by code: 1 is the first. Raises InputError for a number that is not there."""
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= len(self.options):
            raise InputError(f"there is no answer {number!r}", f"choose a number from 1 to {len(self.options)}")
        if self._buttons is None:
            self._take(self.options[number - 1])
        else:
            self._buttons.value = number - 1  # the widget then tells us
        return self

    def reveal(self, draw: Callable[[float | None], Any], says: "Callable[[], str] | str", right: str) -> None:
        """Show the measurement, with the prediction in it if there is one, and again whenever one is made.

        `draw` gets the predicted number or None and returns a picture; `says` is the explanation, folded, so that it
        does not tell before one has looked; `right` holds the words of the option that the measurement bears out.
        """
        area = Area()

        def redraw() -> None:
            text = says() if callable(says) else says
            area.put(rendered(draw(self.value)) + self._verdict(right) + folded("What happened here", text))

        redraw()
        self._redraws.append(redraw)
        area.show()

    def _verdict(self, right: str) -> str:
        if self.chosen is None:
            return f'<div style="{CARD}">You made no prediction. Choose above, and it is compared with this.</div>'
        words = escape(self.chosen.words)
        if right not in [option.words for option in self.options]:
            return (
                f'<div style="{CARD}">You predicted <b>{words}</b>. It {escape(right)}: the question stays open.</div>'
            )
        if self.chosen.words == right:
            return f'<div style="{CARD}">You predicted <b>{words}</b>, and so it came.</div>'
        ask = f"<br>{escape(self.chosen.ask)}" if self.chosen.ask else ""
        return f'<div style="{CARD}">You predicted <b>{words}</b>; measured was <b>{escape(right)}</b>.{ask}</div>'

    def _take(self, option: Option | None) -> None:
        self.chosen = option
        for redraw in self._redraws:
            redraw()

    def _ipython_display_(self) -> None:
        widgets = library()
        if widgets is None:
            lines = [f"  {number}  {option.words}" for number, option in enumerate(self.options, start=1)]
            print(
                f"{self.question}\n" + "\n".join(lines) + f"\nYour prediction by code: {self.name}.choose(1)\n{WITHOUT}"
            )
            return
        show(self._widget(widgets))

    def _widget(self, widgets: Any) -> Any:
        if self._buttons is None:
            self._buttons = widgets.RadioButtons(
                options=[(option.words, index) for index, option in enumerate(self.options)],
                value=None,
                layout=widgets.Layout(width="max-content"),
            )
            self._buttons.observe(lambda change: self._take(self.options[change["new"]]), names="value")
        because = widgets.Text(placeholder="because ...", description="", layout=widgets.Layout(width="32em"))
        because.add_class("lab-because")
        question = widgets.HTML(f"<b>Your prediction.</b> {escape(self.question)}")
        code = widgets.HTML(f"<small>by code: <code>{escape(self.name)}.choose(1)</code></small>")
        return widgets.VBox([question, self._buttons, because, code])


def predict(name: str, question: str, options: Sequence[Option]) -> Prediction:
    """A prediction to be made; `name` is the variable it is assigned to, for the line of code that answers it."""
    return Prediction(name, question, options)


class Area:
    """A piece of the page that can be filled again later, where widgets are there."""

    def __init__(self) -> None:
        widgets = library()
        self._widget = None if widgets is None else widgets.HTML()
        self._text = ""

    def put(self, text: str) -> None:
        self._text = text
        if self._widget is not None:
            self._widget.value = text

    def show(self) -> None:
        show(html(self._text) if self._widget is None else self._widget)
