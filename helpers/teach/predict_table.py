"""Predictions for several things at once: a row for each, the same few answers in all, nothing preselected.

As with one prediction: "Run All" never waits, and what was measured is shown again when a bet is made later.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from helpers.errors import InputError
from helpers.teach.predict import CARD, Area
from helpers.teach.widgets import WITHOUT, folded, library, rendered, show


@dataclass(frozen=True)
class Line:
    """One row: what it is about, and for each answer a question back, for whoever chose it and was wrong."""

    kind: str
    asks: tuple[str, ...]


class PredictionTable:
    """A question about several kinds. The last line of a cell shows it; `choose("kind", 2)` answers a row by code."""

    def __init__(self, name: str, question: str, answers: Sequence[tuple[str, float]], lines: Sequence[Line]) -> None:
        self.name = name
        self.question = question
        self.answers = tuple(answers)
        self.lines = tuple(lines)
        self._chosen: dict[str, int] = {}
        self._redraws: list[Callable[[], None]] = []
        self._rows: dict[str, Any] = {}

    @property
    def kinds(self) -> tuple[str, ...]:
        """What the rows are about, in their order."""
        return tuple(line.kind for line in self.lines)

    @property
    def values(self) -> dict[str, float]:
        """The number that each chosen answer stands for; a row without an answer is not there."""
        return {kind: self.answers[self._chosen[kind]][1] for kind in self.kinds if kind in self._chosen}

    def choose(self, kind: str, number: int) -> "PredictionTable":
        """Answer one row by code: 1 is the first answer. Raises InputError for a row or a number that is not there."""
        if kind not in self.kinds:
            raise InputError(f"there is no row {kind!r}", f"there are: {', '.join(self.kinds)}")
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= len(self.answers):
            raise InputError(f"there is no answer {number!r}", f"choose a number from 1 to {len(self.answers)}")
        if kind in self._rows:
            self._rows[kind].index = number - 1  # the widget then tells us
        else:
            self._take(kind, number - 1)
        return self

    def reveal(
        self,
        draw: Callable[[Mapping[str, float]], Any],
        says: "Callable[[], str]",
        right: Mapping[str, str],
    ) -> None:
        """Show the measurement with the bets in it, and again whenever one is made.

        `draw` gets the bets and returns a picture; `says` is the explanation, folded; `right` holds for each row the
        words of the answer that was measured, or others where none of them came true.
        """
        area = Area()

        def redraw() -> None:
            area.put(rendered(draw(self.values)) + self._verdict(right) + folded("What happened here", says()))

        redraw()
        self._redraws.append(redraw)
        area.show()

    def _verdict(self, right: Mapping[str, str]) -> str:
        if not self._chosen:
            return f'<div style="{CARD}">You made no bets. Make them in the table above, and they are drawn here.</div>'
        words = [answer for answer, _ in self.answers]
        asked = [line for line in self.lines if line.kind in self._chosen]
        hit = [line for line in asked if right.get(line.kind) == words[self._chosen[line.kind]]]
        rows = "".join(self._missed(line, right.get(line.kind, ""), words) for line in asked if line not in hit)
        return (
            f'<div style="{CARD}">{len(hit)} of your {len(asked)} bets came as you said.'
            f"{f'<ul>{rows}</ul>' if rows else ''}</div>"
        )

    def _missed(self, line: Line, right: str, words: Sequence[str]) -> str:
        chosen = self._chosen[line.kind]
        ask = f" {escape(line.asks[chosen])}" if line.asks[chosen] else ""
        return (
            f"<li><b>{escape(line.kind)}</b>: you said {escape(words[chosen])};"
            f" measured: <b>{escape(right or 'nothing')}</b>.{ask}</li>"
        )

    def _take(self, kind: str, index: int | None) -> None:
        if index is None:
            self._chosen.pop(kind, None)
        else:
            self._chosen[kind] = index
        for redraw in self._redraws:
            redraw()

    def _ipython_display_(self) -> None:
        widgets = library()
        if widgets is None:
            answers = "   ".join(f"{number}  {words}" for number, (words, _) in enumerate(self.answers, start=1))
            kinds = "\n".join(f"  {kind}" for kind in self.kinds)
            print(f"{self.question}\n{kinds}\n{answers}\nYour bets by code: {self._example()}\n{WITHOUT}")
            return
        show(self._widget(widgets))

    def _example(self) -> str:
        return f'{self.name}.choose("{self.kinds[0]}", 1)'

    def _widget(self, widgets: Any) -> Any:
        rows = []
        for kind in self.kinds:
            if kind not in self._rows:
                self._rows[kind] = self._row(widgets, kind)
            name = widgets.HTML(escape(kind), layout=widgets.Layout(width="17em"))
            rows.append(widgets.HBox([name, self._rows[kind]], layout=widgets.Layout(align_items="center")))
        question = widgets.HTML(f"<b>Your predictions.</b> {escape(self.question)}")
        code = widgets.HTML(f"<small>by code: <code>{escape(self._example())}</code></small>")
        return widgets.VBox([question, *rows, code])

    def _row(self, widgets: Any, kind: str) -> Any:
        buttons = widgets.RadioButtons(
            options=[words for words, _ in self.answers],
            index=self._chosen.get(kind),
            orientation="horizontal",
            layout=widgets.Layout(width="max-content"),
        )
        buttons.add_class("lab-bet")
        buttons.observe(lambda change: self._take(kind, change["new"]), names="index")
        return buttons


def predict_table(
    name: str, question: str, answers: Sequence[tuple[str, float]], lines: Sequence[Line]
) -> PredictionTable:
    """Predictions to be made, a row per kind; `answers` are words and the number they stand for.

    `name` is the variable it is assigned to, for the line of code that answers it.
    """
    return PredictionTable(name, question, answers, lines)
