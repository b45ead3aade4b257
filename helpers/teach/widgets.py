"""The widgets, or their absence: a notebook runs through without ipywidgets, with one sentence of explanation."""

import re
from html import escape
from typing import Any

WITHOUT = "The widgets are not installed, so this control is shown as text; the line of code beside it does the same."

# Put into an HTML widget beside sliders of ipywidgets: they do not tell a screen reader their names, so the handle of
# each gets the words of its label, whenever it comes into view anew.
SLIDERS_NAMED = (
    '<style onload="'
    "const page = this.closest('.jp-OutputArea') || document;"
    " const name = () => page.querySelectorAll('.widget-slider').forEach(slider =>"
    " slider.querySelector('[role=slider]')?.setAttribute("
    "'aria-label', slider.querySelector('.widget-label')?.textContent || 'slider'));"
    ' [0, 300, 1500].forEach(ms => setTimeout(name, ms))">'
    ".lab-named {}</style>"
)


def library() -> Any | None:
    """ipywidgets, or None where it cannot be imported."""
    try:
        import ipywidgets
    except ImportError:
        return None
    return ipywidgets


def shell() -> Any | None:
    """IPython's running shell, or None outside a notebook."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return None
    return get_ipython()


def show(thing: Any) -> None:
    """Display in the notebook; outside one, as text."""
    try:
        from IPython.display import display
    except ImportError:
        print(thing)
        return
    display(thing)  # type: ignore[no-untyped-call]


def html(text: str) -> Any:
    """HTML to be displayed as the output of a cell, with its plain words for where nothing renders it."""
    return _Html(text)


class _Html:
    """Shows as HTML where that renders, as its words elsewhere."""

    def __init__(self, text: str) -> None:
        self.text = text

    def _repr_html_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return re.sub(r"<[^>]+>", "", self.text)


def rendered(thing: Any) -> str:
    """The HTML of anything that has some: a picture, a table, a result; else its text."""
    maker = getattr(thing, "_repr_html_", None)
    if maker is not None:
        made = maker()
        if made is not None:
            return str(made)
    return f"<pre>{escape(str(thing))}</pre>"


def folded(title: str, text: str) -> str:
    """HTML that does not tell before one has looked: a title, and below it, on a click, the text."""
    return f"<details><summary><b>{escape(title)}</b> (open it when you have looked)</summary><p>{text}</p></details>"
