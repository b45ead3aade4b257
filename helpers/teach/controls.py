"""Controls over a formula: widgets for its inputs, one line of code for each, and an answer that follows at once."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, ClassVar, Generic, Self, TypeVar

from helpers.errors import InputError, LabError
from helpers.teach.widgets import SLIDERS_NAMED, WITHOUT, html, library, show

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Field:
    """One input: its name in code, its words, and the range of its control. 0 stands for none where None is allowed.

    `choices` are those of a Dropdown: (words, value).
    """

    name: str
    words: str
    control: str
    low: float = 0.0
    high: float = 1.0
    step: float = 1.0
    may_be_none: bool = False
    choices: Sequence[tuple[str, str]] = ()


class Controls(ABC, Generic[Answer]):
    """The inputs and their answer. `set(name=value)` moves a control by code; `advice` is the answer itself."""

    fields: ClassVar[Sequence[Field]]
    by_code: ClassVar[str]  # a line that moves some of them
    without: ClassVar[str]  # how to get and use them where there are no widgets

    def __init__(self, values: dict[str, Any]) -> None:
        self._here = self.values = values
        self.advice: Answer = self._work_out(values)
        self._controls: dict[str, Any] = {}
        self._answer: Any = None

    @abstractmethod
    def _work_out(self, values: dict[str, Any]) -> Answer:
        """The answer to these inputs. Raises LabError for values that make no sense."""

    @abstractmethod
    def _repr_html_(self) -> str: ...

    def set(self, **changes: Any) -> Self:
        """Change inputs. Raises InputError for one that does not exist or makes no sense; then nothing is changed."""
        unknown = changes.keys() - {field.name for field in self.fields}
        if unknown:
            names = ", ".join(field.name for field in self.fields)
            raise InputError(f"there is no input {sorted(unknown)[0]!r}", f"there are: {names}")
        wanted = self.values | changes
        self.advice = self._work_out(wanted)
        self.values = wanted
        for name in changes.keys() & self._controls.keys():
            control, value = self._controls[name], wanted[name] or 0 if self._field(name).may_be_none else wanted[name]
            if hasattr(control, "max"):
                control.max = max(control.max, value)
            control.value = value
        self._show()
        return self

    def _ipython_display_(self) -> None:
        widgets = library()
        if widgets is None:
            show(html(self._repr_html_()))
            print(f"by code: {self.without}\n{WITHOUT}")
            return
        if not self._controls:
            self._build(widgets)
        code = widgets.HTML(f"<small>by code: <code>{escape(self.by_code)}</code></small>{SLIDERS_NAMED}")
        show(widgets.VBox([*self._controls.values(), code, self._answer]))

    def _build(self, widgets: Any) -> None:
        self._answer = widgets.HTML()
        for field in self.fields:
            control = _control(widgets, field, self.values[field.name])
            control.observe(lambda change, name=field.name: self._moved(name, change["new"]), names="value")
            self._controls[field.name] = control
        self._show()

    def _moved(self, name: str, value: Any) -> None:
        wanted = self.values | {name: None if self._field(name).may_be_none and not value else value}
        if wanted == self.values:
            self._show()  # a refused value was put back
            return
        try:
            self.advice = self._work_out(wanted)
        except LabError as error:  # an error in a callback would be lost
            self._answer.value = f"<p>{escape(error.message)}; {escape(error.hint)}.</p>"
            return
        self.values = wanted
        self._show()

    def _show(self) -> None:
        if self._answer is not None:
            self._answer.value = self._repr_html_()

    def _field(self, name: str) -> Field:
        return next(field for field in self.fields if field.name == name)


def _control(widgets: Any, field: Field, value: Any) -> Any:
    style = {"description_width": "15em"}
    layout = widgets.Layout(width="34em")
    if field.control == "Dropdown":
        return widgets.Dropdown(options=field.choices, value=value, description=field.words, style=style, layout=layout)
    whole = field.control in ("IntSlider", "BoundedIntText")
    kind: Any = int if whole else float
    return getattr(widgets, field.control)(
        value=kind(value or 0), min=kind(field.low), max=kind(max(field.high, value or 0)),
        step=kind(field.step), description=field.words, style=style, layout=layout,
    )  # fmt: skip
