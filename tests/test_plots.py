import os
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from helpers.errors import InputError
from helpers.plots.cpu import cpu_plot
from helpers.plots.grid import grid_plot
from helpers.plots.latency import latency_plot
from helpers.plots.packing import pack, requests
from helpers.plots.picture import WORKER_COLOURS, Picture, duration, ink_on, percent, short, spread, worker_colours
from helpers.plots.scaling import scaling_plot, users_plot
from helpers.plots.timeline import timeline_plot
from tests.pictures import label_faults

pytestmark = pytest.mark.calm

GRID = {(1, 1): 88.0, (2, 1): 86.0, (1, 2): 91.0, (2, 2): 168.0}
NUMBERS = ("achieved_per_s", "error_ratio", "p50_ms", "p95_ms", "p99_ms")


def sweep_rows(
    cells: dict[tuple[int, int | None], float], *, launches: int = 3, users: int = 16
) -> list[dict[str, Any]]:
    noise = np.random.default_rng(1)
    rows = []
    for repeat in range(launches):
        for (workers, cpus), per_s in cells.items():
            achieved = per_s * (1 + 0.03 * noise.standard_normal())
            row = {"workers": workers, "cpus": cpus, "users": users, "repeat": repeat, "achieved_per_s": achieved}
            times = {"p50_ms": 1000 * users / achieved, "p95_ms": 1150 * users / achieved, "p99_ms": None}
            rows.append(row | times | {"error_ratio": 0.0, "verdict": "pass"})
    return rows


def void(row: dict[str, Any]) -> dict[str, Any]:
    return row | dict.fromkeys(NUMBERS) | {"verdict": "void"}


def speedup(cells: dict[tuple[int, int | None], float]) -> list[dict[str, Any]]:
    base = next(iter(cells.values()))
    return [
        {"workers": w, "cpus": c, "ratio": per_s / base, "ci95": [0.95 * per_s / base, 1.05 * per_s / base]}
        for (w, c), per_s in cells.items()
    ]


def queue(
    users: int = 16, service_ms: float = 10.0, pids: tuple[int, ...] = (70,), until_ms: float = 900.0
) -> pd.DataFrame:
    """Users in front of workers that handle one request at a time, first come, first served."""
    free = dict.fromkeys(pids, 0.0)
    waiting = [(0.1 * user, user) for user in range(users)]
    rows = []
    while waiting and waiting[0][0] < until_ms:
        sent, user = waiting.pop(0)
        pid = pids[user % len(pids)]
        handled = max(sent + 0.1, free[pid])
        started = handled + service_ms
        free[pid] = started + 0.05
        rows.append((pid, sent, handled, started, started + 0.2, "ok", user))
        waiting = sorted([*waiting, (started + 0.3, user)])
    columns = ["worker", "sent_ms", "handled_ms", "started_ms", "done_ms", "outcome", "connection"]
    return pd.DataFrame(rows, columns=columns)


def together(users: int = 8, took_ms: float = 100.0, pid: int = 70) -> pd.DataFrame:
    """Requests that one worker has in hand at the same time, as with /cpu-def."""
    frame = pd.DataFrame({"sent_ms": [user * 1.0 for user in range(users)] * 3})
    frame["sent_ms"] += [turn * (took_ms + 10) for turn in range(3) for _ in range(users)]
    moments = {"handled_ms": frame["sent_ms"] + 1, "done_ms": frame["sent_ms"] + took_ms + 2}
    return frame.assign(worker=pid, outcome="ok", started_ms=frame["sent_ms"] + took_ms, **moments)


def given_up(timeout_ms: float = 150.0) -> pd.DataFrame:
    frame = queue(users=30)
    late = frame["done_ms"] - frame["sent_ms"] > timeout_ms
    frame.loc[late, "done_ms"] = frame["sent_ms"] + timeout_ms
    frame.loc[late, ["worker", "handled_ms", "started_ms"]] = np.nan
    return frame.assign(outcome=np.where(late, "timeout", "ok"))


def times(scale: float, number: int = 900) -> Any:
    return np.random.default_rng(3).gamma(20, scale, number)


def users_rows() -> list[dict[str, Any]]:
    rows = []
    for workers in (1, 2):
        for users in (1, 4, 16, 64, 256):
            for row in sweep_rows({(workers, 2): 90.0 * workers}, users=users):
                late = row["p95_ms"] > 1000
                rows.append(row | ({"p95_ms": {"at_least": 1000}, "error_ratio": 0.4} if late else {}))
    return rows


CPU = [
    {"label": "1 worker", "workers": {71: 0.98}, "generator": 0.01, "notebook": 0.02, "others": 0.01, "idle": 0.98},
    {
        "label": "2 workers",
        "workers": {71: 0.98, 72: 0.97},
        "parent": 0.0,
        "generator": 0.02,
        "steal": 0.01,
        "idle": 0.02,
    },
    {"label": "void", "idle": None},
]


def pictures() -> Iterator[tuple[str, Picture]]:
    rows = sweep_rows(GRID)
    wide = {(w, c): 85.0 * min(w, c) for c in (1, 2, 4) for w in (1, 2, 4)}
    yield "grid", grid_plot(rows, ceiling=1.95, speedup=speedup(GRID), bet=1.5)
    yield "grid, first look", grid_plot(sweep_rows(GRID, launches=1), ceiling=1.7, bet=4, first_look=True)
    yield "grid, bet on the ceiling", grid_plot(rows, ceiling=1.9, speedup=speedup(GRID), bet=1.9)
    yield "grid, low ceiling", grid_plot(rows, ceiling=1.1, speedup=speedup(GRID))
    yield "grid, void corner", grid_plot([*rows[:3], void(rows[3])], ceiling=1.9)
    yield "grid, void baseline", grid_plot([void(rows[0]), *rows[1:4]], ceiling=1.9, bet=2)
    yield "grid, all void", grid_plot([void(row) for row in rows], ceiling=None)
    yield "grid, one core only", grid_plot(sweep_rows({(1, 1): 5800, (2, 1): 5700}), ceiling=None)
    yield "grid, not bound", grid_plot(sweep_rows({(1, None): 91, (2, None): 170}), ceiling=1.9)
    yield "grid, 3 x 3", grid_plot(sweep_rows(wide), ceiling=3.6, speedup=speedup(wide), bet=3)
    yield "scaling", scaling_plot(sweep_rows({(w, 2): 90.0 * min(w, 2) for w in (1, 2, 3, 4)}))
    yield "scaling, several cores", scaling_plot(sweep_rows(wide))
    yield "scaling, one void", scaling_plot([*rows[:3], void(rows[3])])
    yield "users", users_plot(users_rows())
    yield "users, one line", users_plot([row for row in users_rows() if row["workers"] == 1 and row["users"] < 64])
    yield "latency", latency_plot({"1 worker": times(9), "2 workers": times(5, 1700)})
    yield (
        "latency, time-outs",
        latency_plot({"1 worker": times(40), "2": times(5)}, timeouts={"1 worker": 90}, timeout_ms=1500),
    )
    yield "latency, only time-outs", latency_plot({"1 worker": []}, timeouts={"1 worker": 50}, timeout_ms=500)
    yield "latency, few", latency_plot({"1 worker": [12.0, 30.0, 11.0]})
    yield "cpu", cpu_plot(CPU, cores=2)
    yield "cpu, 16 cores", cpu_plot([{"label": "8", "workers": dict.fromkeys(range(8), 0.97), "idle": 7.0}], cores=16)
    yield "timeline", timeline_plot(queue())
    yield "timeline, two workers", timeline_plot(queue(pids=(70, 71)))
    yield "timeline, threads", timeline_plot(together())
    yield "timeline, time-outs", timeline_plot(given_up(), start_ms=100, length_ms=500)
    yield "timeline, very many", timeline_plot(queue(users=100, service_ms=0.5))
    yield "timeline, not instrumented", timeline_plot(queue(users=4).assign(worker=np.nan, handled_ms=np.nan))
    yield "timeline, empty", timeline_plot(queue(), start_ms=90_000)


@pytest.fixture(scope="module")
def gallery() -> dict[str, Picture]:
    return dict(pictures())


def texts(picture: Picture) -> list[str]:
    return [text.get_text() for text in picture.findobj(Text) if text.get_text()]


def test_no_label_leaves_its_picture_or_covers_another(
    gallery: dict[str, Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert label_faults(gallery, monkeypatch) == []


def test_every_text_is_at_least_10_points(gallery: dict[str, Picture]) -> None:
    small = {
        name: t.get_text() for name, p in gallery.items() for t in p.findobj(Text) if t.get_text() and t.get_size() < 10
    }
    assert small == {}


def test_every_axis_of_numbers_starts_at_zero(gallery: dict[str, Picture]) -> None:
    for name, picture in gallery.items():
        if not name.startswith("timeline"):
            assert all(min(axes.get_ylim()) == 0 for axes in picture.axes), name


def test_every_picture_has_one_sentence_and_a_table(gallery: dict[str, Picture]) -> None:
    for name, picture in gallery.items():
        assert len(picture.alt) > 30, name
        assert picture.alt.endswith("."), name
        assert "nan" not in picture.alt.lower(), name
        assert "None" not in picture.alt, name
        assert len(picture.table) > 0 or "empty" in name, name


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def test_notebook_shows_a_crisp_image_with_alt_text_and_a_folded_table() -> None:
    picture = Picture(8, 4).finish('says "a < b" & more', pd.DataFrame({"who": ["<b>"], "value": [1.5]}))
    tags = Tags()
    tags.feed(shown := picture._repr_html_())
    (image,) = tags.all("img")
    assert image["alt"] == 'says "a < b" & more'
    assert "max-width:100%" in (image["style"] or "")
    assert picture.png()[16:24] == (1600).to_bytes(4) + (800).to_bytes(4)  # PNG's own width and height
    assert "open" not in tags.all("details")[0]
    assert "&lt;b&gt;" in shown
    assert "background:#fff" in (tags.all("div")[0]["style"] or "")


def test_drawing_leaves_matplotlibs_settings_and_pyplot_alone() -> None:
    before = dict(matplotlib.rcParams)
    picture = grid_plot(sweep_rows(GRID), ceiling=1.9)
    picture._repr_html_()
    picture.svg()
    assert dict(matplotlib.rcParams) == before
    code = (
        "import sys, helpers.plots.grid, helpers.plots.scaling, helpers.plots.latency, helpers.plots.cpu, "
        "helpers.plots.timeline; sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent.parent, check=False).returncode == 0


def test_the_same_data_gives_the_same_bytes() -> None:
    first, second = (cpu_plot(CPU, cores=2) for _ in range(2))
    assert first.svg() == second.svg()
    assert first.png() == second.png()


def test_save_writes_png_and_svg_and_refuses_other_endings(tmp_path: Path) -> None:
    picture = cpu_plot(CPU, cores=2)
    assert picture.save(tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in picture.save(tmp_path / "a.svg").read_text()
    with pytest.raises(InputError, match=r"cannot be saved as 'a\.docx'"):
        picture.save(tmp_path / "a.docx")


def test_a_worker_has_the_same_colour_in_every_picture() -> None:
    assert worker_colours([9, 3, 5]) == {3: WORKER_COLOURS[0], 5: WORKER_COLOURS[1], 9: WORKER_COLOURS[2]}
    bars = cpu_plot([{"label": "x", "workers": {71: 0.9, 70: 0.5}, "idle": 0.6}], cores=2).axes[0].patches
    lane = timeline_plot(queue(pids=(71, 70))).axes[1].patches
    for colour in (to_rgb(WORKER_COLOURS[0]), to_rgb(WORKER_COLOURS[1])):
        assert any(patch.get_facecolor()[:3] == colour for patch in bars)
        assert any(patch.get_facecolor()[:3] == colour for patch in lane)


def test_text_on_a_workers_colour_is_readable() -> None:
    def luminance(colour: str) -> float:
        r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour))
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    for colour in WORKER_COLOURS:
        dark, light = sorted([luminance(colour), luminance(ink_on(colour))])
        assert (light + 0.05) / (dark + 0.05) >= 4.5, colour


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (short(12345.6), "12,346"), (short(91.4), "91"), (short(8.31), "8.3"), (short(0.974), "0.97"),
        (duration(0.42), "0.42 ms"), (duration(181.6), "182 ms"), (duration(1000), "1 s"), (duration(1340), "1.3 s"),
        (percent(0), "0 %"), (percent(0.0004), "< 0.1 %"), (percent(0.125), "12 %"), (percent(0.999), "99 %"),
        (percent(1), "100 %"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_one_says_them(said: str, expected: str) -> None:
    assert said == expected


def test_labels_are_spread_but_keep_their_order() -> None:
    assert spread([1, 5], 1) == [1, 5]
    assert spread([2.2, 2, 2.1], 1) == pytest.approx([4, 2, 3])
    assert spread([9, 9.5], 1, high=10) == pytest.approx([9, 10])
    assert spread([], 1) == []


def test_grid_labels_ratio_interval_ceiling_and_bet() -> None:
    picture = grid_plot(sweep_rows(GRID), ceiling=1.95, speedup=speedup(GRID), bet=1.5)
    assert {"1.91×", "[1.81, 2.00]", "machine's own\nceiling 1.95×", "your bet 1.5×"} <= set(texts(picture))
    assert "2 workers on 2 cores" in picture.alt
    assert "1.95 times" in picture.alt
    assert len(picture.table) == 12


def test_grid_draws_only_the_tall_corner_strong() -> None:
    axes = grid_plot(sweep_rows(GRID), ceiling=None, speedup=speedup(GRID)).axes[0]
    colours = [bar.get_facecolor() for bar in axes.patches]
    assert len(set(colours)) == 2
    assert colours.count(colours[-1]) == 1
    flat = grid_plot(sweep_rows(dict.fromkeys(GRID, 90.0)), ceiling=None).axes[0]
    assert len({bar.get_facecolor() for bar in flat.patches}) == 1


def test_grid_shows_a_void_cell_hatched_and_without_a_number() -> None:
    rows = sweep_rows(GRID, launches=1)
    picture = grid_plot([*rows[:3], void(rows[3])], ceiling=1.9)
    assert "void" in texts(picture)
    assert sum("/s" in text for text in texts(picture)) == 3
    assert [bar.get_hatch() for bar in picture.axes[0].patches].count("///") == 1
    assert "2 workers on 2 cores: void" in picture.alt


def test_grid_counts_void_launches_of_a_cell() -> None:
    rows = sweep_rows(GRID)
    assert any("1 of 3 void" in text for text in texts(grid_plot([void(rows[0]), *rows[1:]], ceiling=1.9)))


def test_grid_says_that_one_core_cannot_be_tested_where_processes_cannot_be_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = sweep_rows({(1, None): 91, (2, None): 170})
    assert "1 core: not measured" in grid_plot(rows, ceiling=None).alt or not hasattr(os, "sched_setaffinity")
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    picture = grid_plot(rows, ceiling=1.9)
    assert "cannot be\ntested on\nthis system" in texts(picture)
    assert "1 core: cannot be tested on this system" in picture.alt


@pytest.mark.parametrize("plot", [lambda rows: grid_plot(rows, ceiling=None), scaling_plot, users_plot])
def test_sweep_pictures_refuse_no_rows(plot: Any) -> None:
    with pytest.raises(InputError, match="no rows"):
        plot([])


@pytest.mark.parametrize("plot", [lambda rows: grid_plot(rows, ceiling=None), scaling_plot])
def test_pictures_for_one_load_refuse_several(plot: Any) -> None:
    with pytest.raises(InputError, match=r"several numbers of users \(8, 16\)"):
        plot([*sweep_rows(GRID), *sweep_rows(GRID, users=8)])


def test_users_plot_marks_p95_among_the_time_outs_as_a_lower_bound() -> None:
    picture = users_plot(users_rows())
    assert "≥ 1 s" in texts(picture)
    assert "256: 183 requests per second, p95 at least 1 s, 40 % failed" in picture.alt
    assert "1: 91 requests per second, p95 12.6 ms;" in picture.alt
    assert picture.axes[0].get_xscale() == "log"


def test_scaling_line_breaks_at_a_void_cell() -> None:
    rows = sweep_rows({(w, 2): 90.0 * min(w, 2) for w in (1, 2, 3)})
    picture = scaling_plot([void(row) if row["workers"] == 2 else row for row in rows])
    assert np.isnan(picture.axes[0].lines[0].get_ydata()[1])
    assert "2: void" in picture.alt


def test_latency_percentiles_count_time_outs_and_need_ten_samples_beyond() -> None:
    answered = np.arange(1, 181, dtype=float)
    picture = latency_plot({"a": answered}, timeouts={"a": 20}, timeout_ms=1000)
    row = picture.table.iloc[0]
    assert row["p50 (ms)"] == np.percentile(np.append(answered, [9e9] * 20), 50, method="inverted_cdf") == 100
    assert row["p90 (ms)"] == 180
    assert row["p95 (ms)"] is None  # among the time-outs
    assert "p99 (ms)" not in picture.table  # two samples beyond
    assert any("10 % never answered within 1 s" in text for text in texts(picture))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: latency_plot({}), "no response times"),
        (lambda: latency_plot({"a": [1]}, timeouts={"b": 1}, timeout_ms=1), "'b', which is no series"),
        (lambda: latency_plot({"a": [1]}, timeouts={"a": 1}), "not after how long"),
        (lambda: cpu_plot([], cores=2), "0 measurements"),
        (lambda: cpu_plot(CPU, cores=0), "0 cores"),
        (lambda: timeline_plot(queue().drop(columns="done_ms")), "no column done_ms"),
        (lambda: timeline_plot(queue(), length_ms=0), "no stretch of time"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_a_hint(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert caught.value.hint


def test_cpu_plot_says_who_was_idle() -> None:
    picture = cpu_plot(CPU, cores=2)
    assert "1 worker: 0.98 of 2 cores idle · 2 workers: 0.02 of 2 cores idle." in texts(picture)
    assert "worker 71 0.98" in texts(picture)
    assert "not measured" in texts(picture)


def test_timeline_shows_the_queue_in_front_of_one_worker() -> None:
    picture = timeline_plot(queue(users=16), start_ms=300)
    assert "here 15 wait, 1 is handled" in texts(picture)
    assert "up to 16\nat a time,\na row each" in texts(picture)
    assert "one at a time,\n99 % of the time" in texts(picture)


def test_timeline_gives_threads_of_one_worker_their_sublanes() -> None:
    picture = timeline_plot(together(users=8), length_ms=90)
    assert any(text.startswith("up to 8 at once") for text in texts(picture))
    assert len({round(bar.get_y(), 6) for bar in picture.axes[1].patches if bar.get_linewidth()}) == 8


def test_timeline_ends_time_outs_with_a_cross_and_claims_nothing_about_unseen_work() -> None:
    picture = timeline_plot(given_up(), start_ms=100, length_ms=500)
    assert "no answer in time" in texts(picture)
    crosses = [line for line in picture.axes[0].lines if line.get_marker() == "x"]
    assert len(crosses) > 10
    assert not any("of the time" in text for text in texts(picture))
    assert not any("are handled" in text for text in texts(picture))


def test_timeline_limits_the_bars_and_says_so() -> None:
    picture = timeline_plot(queue(users=100, service_ms=0.5))
    assert len(picture.table) <= 400
    assert "(40 shown)" in "".join(texts(picture))
    assert "more bars could not be told apart" in picture.axes[1].get_xlabel()


def test_timeline_reads_seconds_and_starts_when_every_connection_has_sent() -> None:
    frame = queue(users=16)
    late = frame[frame["sent_ms"] > 200]
    seconds = late.rename(columns=lambda name: name.replace("_ms", "_s"))
    for column in ("sent_s", "handled_s", "started_s", "done_s"):
        seconds[column] /= 1000
    picture = timeline_plot(seconds, length_ms=200)
    assert picture.axes[0].get_xlim()[0] == pytest.approx(late.groupby("connection")["sent_ms"].min().max())
    assert "here 15 wait, 1 is handled" in texts(picture)


def test_packing_needs_as_many_rows_as_the_busiest_moment_and_never_overlaps() -> None:
    random = np.random.default_rng(5)
    sent = random.uniform(0, 1000, 200)
    frame = pd.DataFrame({"sent_ms": sent, "done_ms": sent + random.exponential(60, 200)})
    frame = frame.assign(worker=1, handled_ms=np.nan, started_ms=np.nan, outcome="ok")
    packed = pack(requests(frame), lambda request: (request.sent_ms, request.done_ms), 0.0)
    busiest = max(((frame["sent_ms"] <= at) & (frame["done_ms"] > at)).sum() for at in sent)
    assert packed.height == busiest
    for row in range(packed.height):
        bars = sorted((r.sent_ms, r.done_ms) for where, r in packed.rows if where == row)
        assert all(earlier[1] <= later[0] for earlier, later in pairwise(bars))
