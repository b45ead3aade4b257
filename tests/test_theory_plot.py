"""Pictures of theory: predictions beside measurements, the law of scaling, waiting against utilisation."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from helpers.errors import InputError
from helpers.plots.laws_plot import usl_plot, waiting_plot
from helpers.plots.picture import Picture
from helpers.plots.theory_plot import prediction_plot
from helpers.theory.scaling import fit_usl, usl_throughput
from helpers.theory.service import exponential, lognormal
from helpers.theory.simulation import simulate
from tests.pictures import label_faults
from tests.test_plots import sweep_rows, texts, void

pytestmark = pytest.mark.calm

WORK = lognormal(0.011, 0.1)
BY_WORKERS = [simulate(WORK, workers=n, users=16, speedup=1 if n == 1 else 1.9, duration_s=5).row() for n in (1, 2, 3)]
BY_USERS = [
    simulate(WORK, workers=n, users=users, speedup=1 if n == 1 else 1.9, duration_s=5).row()
    for n in (1, 2)
    for users in (1, 4, 16, 64)
]


def measured(users: int = 16) -> list[dict[str, Any]]:
    return sweep_rows({(1, None): 88.0, (2, None): 165.0, (3, None): 163.0}, users=users)


def late(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"p95_ms": {"at_least": 900}}


def throughputs(counts: list[int], sigma: float, kappa: float) -> list[float]:
    chance = np.random.default_rng(2)
    return [usl_throughput(n, 90, sigma, kappa) * math.exp(chance.normal(0, 0.03)) for n in counts]


COUNTS = [1, 2, 3, 4, 6, 8] * 3
LAWS = {
    name: throughputs(COUNTS, *law) for name, law in (("peak", (0.05, 0.03)), ("near", (0.05, 0.012)), ("none", (0, 0)))
}


@pytest.fixture(scope="module")
def gallery() -> dict[str, Picture]:
    points = [
        (n, 0.7, simulate(exponential(1), workers=n, rate_per_s=0.7 * n, duration_s=2000).waits_s.mean())
        for n in (1, 2)
    ]
    rows = measured()
    return {
        "by workers": prediction_plot(rows, BY_WORKERS),
        "by users": prediction_plot([row for u in (1, 4, 16, 64) for row in measured(u)[:2]], BY_USERS),
        "a void cell": prediction_plot([rows[0], void(rows[1])], BY_WORKERS[:2]),
        "among time-outs": prediction_plot([rows[0], late(rows[1])], BY_WORKERS[:2]),
        "one of each": prediction_plot(rows[:1], BY_WORKERS[:1]),
        "not simulated": prediction_plot(rows, BY_WORKERS[:1]),
        "waiting": waiting_plot(),
        "waiting, simulated": waiting_plot(points=points),
        "waiting, three": waiting_plot((1, 2, 4)),
        **{f"law, {name}": usl_plot(fit_usl(COUNTS, per_s)) for name, per_s in LAWS.items()},
        "law, few": usl_plot(fit_usl([1, 2, 3, 4], [90, 150, 190, 185])),
        "law, only falls": usl_plot(fit_usl([1, 2, 4, 8], [90, 60, 30, 12])),
    }


def test_no_label_leaves_its_picture_or_covers_another(gallery: dict[str, Picture], monkeypatch: pytest.MonkeyPatch):
    assert label_faults(gallery, monkeypatch) == []


def test_every_picture_has_a_sentence_a_table_and_axes_from_zero(gallery: dict[str, Picture]):
    for name, picture in gallery.items():
        assert len(picture.alt) > 30, name
        assert picture.alt.endswith("."), name
        assert "nan" not in picture.alt.lower(), name
        assert "None" not in picture.alt, name
        assert len(picture.table) > 0, name
        assert all(min(axes.get_ylim()) == 0 for axes in picture.axes), name
        assert all(text.get_size() >= 10 for text in picture.findobj(match=lambda it: hasattr(it, "get_size"))), name


def test_what_is_simulated_is_dashed_and_said_to_be_so(gallery: dict[str, Picture]):
    picture = gallery["by workers"]
    assert "simulated" in texts(picture)
    dashed = [line for line in picture.axes[0].lines if line.get_linestyle() == "--"]
    assert [list(line.get_xdata()) for line in dashed] == [[1, 2, 3]]
    assert list(dashed[0].get_ydata()) == pytest.approx([row["achieved_per_s"] for row in BY_WORKERS])
    dots = [line for line in picture.axes[0].lines if line.get_linestyle() == "None"]
    assert sum(len(line.get_xdata()) for line in dots) == len(measured())


def test_a_prediction_says_how_far_off_it_was(gallery: dict[str, Picture]):
    table = gallery["by workers"].table
    expected = BY_WORKERS[1]["achieved_per_s"] / table["measured/s"][1] - 1
    assert table["simulated is off by"][1] == f"{100 * expected:+.1f} %"
    assert "16 users, 2 workers: measured 16" in gallery["by workers"].alt
    assert pd.isna(gallery["not simulated"].table["simulated is off by"][1])


def test_a_void_launch_and_a_time_out_are_not_numbers(gallery: dict[str, Picture]):
    assert "void" in texts(gallery["a void cell"])
    assert "measured void and simulated" in gallery["a void cell"].alt
    assert any("≥ 900 ms" in text for text in texts(gallery["among time-outs"]))
    assert "p95 at least 900 ms" in gallery["among time-outs"].alt


def test_the_axis_is_what_varies_more(gallery: dict[str, Picture]):
    assert gallery["by workers"].axes[0].get_xlabel() == "workers"
    assert gallery["by users"].axes[0].get_xlabel().startswith("users")
    assert {"simulated,\n1 worker", "simulated,\n2 workers"} <= set(texts(gallery["by users"]))


def test_the_peak_of_the_law_is_marked_and_called_extrapolated_beyond_the_data(gallery: dict[str, Picture]):
    assert any("peak at 5." in text and "extrapolated" not in text for text in texts(gallery["law, peak"]))
    assert any("extrapolated" in text for text in texts(gallery["law, near"]))
    assert not any("peak" in text for text in texts(gallery["law, none"]))
    assert "no peak" in gallery["law, none"].alt


def test_waiting_reads_four_times_the_work_at_80_percent(gallery: dict[str, Picture]):
    assert {"4.0×", "1.78×"} <= set(texts(gallery["waiting"]))
    table = gallery["waiting, simulated"].table
    one = table[(table["workers"] == 1) & (table["utilisation"] == "70 %")].set_index("from")["wait / work"]
    assert one["simulated"] == pytest.approx(one["formula"], rel=0.3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: prediction_plot([], BY_WORKERS), "no rows"),
        (lambda: prediction_plot(measured(), []), "no rows"),
        (lambda: prediction_plot(sweep_rows({(1, 1): 90, (1, 2): 90}), BY_WORKERS), "different numbers of cores"),
        (lambda: prediction_plot(measured(), [simulate(WORK, rate_per_s=9).row()]), "arrivals, not users"),
        (lambda: waiting_plot(points=[(1, 1.0, 3.0)]), "utilisation of 1 "),
        (lambda: waiting_plot(points=[(3, 0.5, 3.0)]), "3 workers"),
        (lambda: waiting_plot(()), "no number of workers"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_a_hint(call: Any, message: str):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert caught.value.hint
