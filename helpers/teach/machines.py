"""The calculator of notebook 10: from requests per day to the peak, to cores, to machines.

    machines(cpu_ms=12, cores=2, per_day=5_000_000)

What a request costs and how many cores a machine has are the learner's own numbers; the rest is to be decided.
"""

from typing import TYPE_CHECKING, Any

from helpers.plots.picture import percent, short
from helpers.plots.reach_plot import Reach, people, reach_plot
from helpers.teach.controls import Controls, Field
from helpers.teach.widgets import rendered
from helpers.theory.capacity import Capacity, capacity, most_per_day
from helpers.theory.workers import BUSY_MOST

if TYPE_CHECKING:
    from helpers.plots.picture import Picture

BY_CODE = "advisor.set(per_day=20_000_000, peak=8)"
FIELDS = (
    Field("per_day", "requests per day", "BoundedFloatText", 1, 1e10, 1_000_000),
    Field("peak", "peak / average", "FloatSlider", 1, 20, 0.5),
    Field("cpu_ms", "CPU work per request, ms", "BoundedFloatText", 0.01, 60_000, 1),
    Field("cores", "cores of a machine", "IntSlider", 1, 64),
    Field("busy_most", "busy at most (share)", "FloatSlider", 0.1, 1, 0.05),
    Field("spare", "machines to spare", "IntSlider", 0, 5),
)


class Machines(Controls[Capacity]):
    """How many machines."""

    fields, by_code, without = FIELDS, BY_CODE, f"advisor = machines(cpu_ms=12, cores=2), then {BY_CODE}"

    def _work_out(self, values: dict[str, Any]) -> Capacity:
        return capacity(**values)

    def __repr__(self) -> str:
        return str(self.advice)

    def _repr_html_(self) -> str:
        found, values = self.advice, self.values
        number = f"{found.machines + found.spare:,} machine{'' if found.machines + found.spare == 1 else 's'}"
        rows = (
            ("on average", f"{short(found.mean_per_s)} requests/s", f"{people(values['per_day'])} a day / 86,400 s"),
            ("at the peak", f"{short(found.peak_per_s)} requests/s", f"{values['peak']:g} times the average"),
            (
                "cores",
                f"{found.cores:,.1f}",
                f"{short(values['cpu_ms'])} ms of CPU each, busy at most {percent(values['busy_most'])} of the time",
            ),
            ("machines", f"{found.machines:,}", f"of {values['cores']} core{'' if values['cores'] == 1 else 's'}"),
            ("and spare", f"{found.spare}", _spare_in_words(found)),
        )
        cells = "".join(
            f'<tr><th scope="row" style="text-align:left;padding:2px 12px 2px 0">{name}</th>'
            f'<td style="padding:2px 12px;text-align:right">{value}</td>'
            f'<td style="padding:2px 12px;text-align:left">{why}</td></tr>'
            for name, value, why in rows
        )
        head = f'<p style="font-size:1.6em;margin:.3em 0"><b>{number}</b></p>'
        return f'<div>{head}<table style="border-collapse:collapse">{cells}</table>{rendered(self.picture())}</div>'

    def picture(self) -> "Picture":
        """What one worker, one machine and several carry, against what is wanted."""
        values, found = self.values, self.advice
        each = {key: values[key] for key in ("peak", "cpu_ms", "busy_most")}
        counts = sorted({1, 2, 4, 16, found.machines} if found.machines > 1 else {1, 2, 4})
        reaches = [Reach("1 worker (1 core)", most_per_day(cores=1, **each))] if values["cores"] > 1 else []
        for number in [count for count in counts if count <= max(4, 4 * found.machines)]:
            name = f"{number:,} machine{'' if number == 1 else 's'}"
            reaches.append(Reach(name, most_per_day(cores=number * values["cores"], **each)))
        below = f"busy for at most {percent(values['busy_most'])} at a peak of {values['peak']:g} times the average"
        return reach_plot(reaches, wanted_per_day=values["per_day"], below=below)


def machines(*, cpu_ms: float, cores: int, per_day: float = 1_000_000, peak: float = 5.0, **further: Any) -> Machines:
    """The calculator; what is left out is one spare machine, and cores that are busy for at most 70 % of the time."""
    values = {"per_day": per_day, "peak": peak, "cpu_ms": cpu_ms, "cores": cores, "busy_most": BUSY_MOST, "spare": 1}
    return Machines(values).set(**further)


def _spare_in_words(found: Capacity) -> str:
    busy = f"busy at the peak: {percent(found.busy)}"
    if not found.spare:
        return f"{busy}; when one is missing, the others do not carry it"
    return f"{busy}, and {percent(found.busy_without_spare)} when the spare ones are missing"
