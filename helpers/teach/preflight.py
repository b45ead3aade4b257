"""The preflight as a notebook shows it: one line that unfolds, a button for leftovers, and proof that clicks arrive."""

from typing import Any

from helpers.doctor import report
from helpers.doctor_report import Report
from helpers.server import registry
from helpers.teach.widgets import WITHOUT, library, show


def preflight() -> Report:
    """Check this machine, and show what was found; returns the report."""
    found = report()
    show(found)
    widgets = library()
    if widgets is None:
        print(WITHOUT)
        return found
    controls = [_click_test(widgets)]
    if leftovers():
        controls.append(_stop_button(widgets))
    show(widgets.VBox(controls))
    return found


def leftovers() -> list[registry.Entry]:
    """Servers of the course whose owner has ended."""
    return [entry for entry in registry.servers() if entry.orphan]


def _click_test(widgets: Any) -> Any:
    button = widgets.Button(description="Do clicks work?", tooltip="Click once; the text beside it should change")
    says = widgets.HTML("Click it: the answer comes from the notebook's kernel.")

    def clicked(_: Any) -> None:
        says.value = "✔ Clicks arrive, and answers come back: sliders and buttons will work."
        button.button_style = "success"

    button.on_click(clicked)
    return widgets.HBox([button, says])


def _stop_button(widgets: Any) -> Any:
    button = widgets.Button(
        description="Stop the leftovers", button_style="warning", layout=widgets.Layout(width="auto")
    )
    says = widgets.HTML(", ".join(f"{entry.url}, pid {entry.pid}" for entry in leftovers()))

    def clicked(_: Any) -> None:
        for entry in leftovers():
            registry.stop(entry)
        says.value = "✔ Stopped."
        button.disabled = True

    button.on_click(clicked)
    return widgets.HBox([button, says])
