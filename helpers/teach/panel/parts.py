"""The pieces of the panel as HTML: state, message, who works, result. Each keeps its size whatever it holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from helpers.plots.picture import worker_colour
from helpers.server.sampler import Sample
from helpers.teach.panel.history import History, Trial
from helpers.teach.panel.model import PanelModel, State
from helpers.teach.panel.settings import counted

BARS_MOST = 6
# sign, word, colour of the sign; the word says it too, so that nobody has to see the colour
FACES: Mapping[State, tuple[str, str, str]] = {
    "stopped": ("○", "STOPPED", "#6E7781"),
    "launching": ("◐", "LAUNCHING", "#B35900"),
    "ready": ("●", "READY", "#00855F"),
    "loading": ("▶", "LOADING", "#0072B2"),
    "stopping": ("◐", "STOPPING", "#B35900"),
    "degraded": ("▲", "DEGRADED", "#B35900"),
    "died": ("▲", "ENDED BY ITSELF", "#D1242F"),
    "closed": ("○", "CLOSED", "#6E7781"),
}
STYLE = """<style>
.lab-panel { --soft: var(--jp-ui-font-color2, #57606a); --ink: var(--jp-ui-font-color1, #1f2328);
  --line: var(--jp-border-color1, #8c959f); --faint: var(--jp-layout-color2, #eef0f3);
  color: var(--ink); font-size: 14px; max-width: 1180px; overflow: hidden; }
.lab-panel .widget-box { overflow: visible; }
.lab-panel button { width: auto; min-width: 8.5em; flex: none; }
.lab-panel .widget-toggle-buttons button { min-width: 6em; }
.lab-panel.lab-projector img { width: 100%; max-width: none; }
.lab-panel .widget-html, .lab-panel .widget-html-content { font-size: inherit; line-height: 1.35; }
.lab-panel table { border-collapse: collapse; width: 100%; table-layout: fixed; margin: 0; font-size: inherit; }
.lab-panel th, .lab-panel td { padding: 0 .4em; text-align: left; font-weight: normal; white-space: nowrap;
  overflow: hidden; text-overflow: ellipsis; line-height: 1.5; background: none; border: 0; color: var(--ink); }
.lab-panel .num { text-align: right; font-variant-numeric: tabular-nums; }
.lab-panel .rail { position: relative; height: 1em; background: var(--faint); }
.lab-panel .bar { position: absolute; left: 0; top: 0; height: 100%; transition: width .3s; }
.lab-panel .core { position: absolute; top: 0; height: 100%; border-left: 1px solid var(--line); }
.lab-panel .void { position: absolute; left: 0; top: 0; height: 100%; width: 100%; box-sizing: border-box;
  border: 1px solid var(--line);
  background: repeating-linear-gradient(135deg, transparent 0 5px, var(--line) 5px 6px); }
.lab-panel .bet { position: absolute; top: -.28em; transform: translateX(-50%); }
.lab-panel h4 { margin: .2em 0; font-size: inherit; font-weight: 600; color: var(--soft); letter-spacing: .04em; }
.lab-panel .ratio { font-size: 48px; line-height: 1; font-weight: 700; white-space: nowrap; }
.lab-panel .widget-inline-hbox { height: 32px; margin: 2px; align-items: center; }
.lab-panel .soft { color: var(--soft); }
.lab-panel pre, .lab-panel code { font-size: .92em; color: var(--ink); background: none; }
.lab-panel pre { margin: 0; white-space: pre-wrap; }
.lab-panel .lab-message { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden; }
.lab-panel table.lab-wide { table-layout: auto; }
.lab-panel.lab-projector { font-size: 20px; }
.lab-panel.lab-projector .widget-label, .lab-panel.lab-projector .widget-readout,
.lab-panel.lab-projector button, .lab-panel.lab-projector select { font-size: 18px; }
</style>"""


def state_line(model: PanelModel) -> str:
    """State in words and colour, what the server runs with, and its address."""
    state = model.state
    sign, word, colour = FACES[state]
    parts = [f'<span style="color:{colour};font-size:1.3em">{sign}</span> <b>{word}</b>']
    if state in ("ready", "degraded", "loading"):
        url = escape(model.server.url) if model.server.state in ("ready", "degraded") else ""
        parts += [escape(str(model.running))]
        parts += [f'<a href="{url}/docs" target="_blank">{url.removeprefix("http://")}</a>'] if url else []
    if state == "degraded":
        serving = len(model.server.worker_pids)
        parts.append(f"{serving} of {counted(model.server.workers, 'worker')} serve")
    if state == "ready" and (abandoned := model.in_hand):
        parts.append(f"still busy with {counted(abandoned, 'request')} that nobody waits for")
    if state == "launching":
        parts.append(escape(str(model.wanted)))
    if state == "loading" and (seen := model.progress) is not None:
        of_all = f" {min(seen.elapsed_s, seen.total_s):.1f} of {seen.total_s:.1f} s" if seen.total_s else ""
        parts.append(seen.phase + of_all)
        parts.append(f"{seen.requests:,} requests" + (f", {seen.failed:,} failed" if seen.failed else ""))
    return f'<div role="status">{" &nbsp;·&nbsp; ".join(parts)}</div>'


def message(model: PanelModel, cell_runs: bool) -> str:
    """What went wrong, or what is pending, or why a click has no effect yet; at most two lines."""
    if model.problem is not None:
        text = f"<b>▲ {escape(_one_line(model.problem.message))}</b><br>{escape(_one_line(model.problem.hint))}"
        return f'<div role="alert" title="{escape(model.problem.message)}">{text}</div>'
    if waits := model.pending:
        return f"<b>! pending</b> &nbsp; {escape('; '.join(waits))}.<br>Relaunch makes it so."
    if cell_runs:
        return (
            "A cell is running. A click that has no effect waits for its end;<br>"
            "to end it now, press ■ (interrupt) in the toolbar above."
        )
    if model.note:
        return escape(model.note)
    if model.state == "stopped":
        return "Nothing runs yet: Launch starts the server, Load test starts and loads it."
    return "&nbsp;"


@dataclass(frozen=True)
class Row:
    """One row of the process tree: what it is, and its cores' worth of CPU (None: not measured yet)."""

    name: str
    cores: float | None
    colour: str


def tree(
    pids: Sequence[int], parent: int | None, sample: Sample | None, *, seen: Sequence[int] = (), load: bool = True
) -> list[Row]:
    """The rows of `who_works`: parent and workers, then the generator and the rest of the machine.

    `seen` are all workers of this launch, those gone included: a worker keeps its letter and its colour.
    """
    rows, places = [], {pid: place for place, pid in enumerate(sorted({*seen, *pids}))}
    if parent is not None:
        words = f"{parent} parent + tracker" if pids else f"{parent} starting"
        rows.append(Row(words, None if sample is None else sample.parent, GREY))
    for number, pid in enumerate(sorted(pids)):
        branch = "" if parent is None else "└─ " if number == len(pids) - 1 else "├─ "
        used = None if sample is None else sample.workers.get(pid, 0.0)
        rows.append(Row(f"{branch}{pid} worker {chr(65 + places[pid] % 26)}", used, worker_colour(places[pid])))
    rest = (("generator", "generator"), ("this notebook", "notebook"), ("other programs", "others"), ("idle", "idle"))
    chosen = rest if load else rest[1:]
    return rows + [Row(name, None if sample is None else getattr(sample, part), GREY) for name, part in chosen]


GREY = "#8C959F"


def who_works(rows: Sequence[Row], cores: int) -> str:
    """A bar per process on one scale that ends at the machine's cores; a line at each whole core."""
    lines = "".join(f'<span class="core" style="left:{100 * core / cores:.2f}%"></span>' for core in range(1, cores))
    body = "".join(
        f'<tr><th scope="row" style="width:42%">{escape(row.name)}</th>'
        f'<td><div class="rail">{_bar(row.cores or 0.0, cores, row.colour)}{lines}</div></td>'
        f'<td class="num" style="width:3.2em">{"" if row.cores is None else f"{max(row.cores, 0.0):.2f}"}</td></tr>'
        for row in rows
    )
    return f"<h4>WHO WORKS &nbsp;(cores' worth of CPU, of {cores})</h4><table>{body}</table>"


def results(history: History, cores: int, bet: float | None) -> str:
    """Bars of the latest trial and of those it can be compared with, the ratio in large, p95, errors, self-check."""
    last = history.last
    if last is None:
        waits = "" if bet is None else f"<br>Your bet, {bet:.3g} times the first test, is drawn when there is one."
        return f"<h4>RESULT</h4><p class='soft'>Nothing measured yet. Press “Load test”.{waits}</p>"
    end = history.axis_end(last, cores)
    first = history.first(last)
    shown = [each for each in history.like(last) if not each.void or each is last][-BARS_MOST:]
    at = None if bet is None or first is None or first is last or not first.per_s else bet * first.per_s
    body = "".join(_result_row(each, end, at if each is last else None, last) for each in shown)
    title = f"RESULT &nbsp;({escape(last.settings.path)}, {counted(last.settings.users, 'user')})"
    title += "" if first is None else f" &nbsp; <span class='soft'>bars end at {end:,.0f}/s</span>"
    drawn = "" if at is None or first is None else f"; ◇ your bet: {bet:.3g} × test {first.number} = {at:,.0f}/s"
    return f"<h4>{title}</h4><table>{body}</table>{_facts(history, last, drawn)}"


def _result_row(each: Trial, end: float, bet_per_s: float | None, last: Trial) -> str:
    strong = "#2B5FA8" if each is last else GREY
    bar = '<span class="void"></span>' if each.void else _bar(each.per_s or 0.0, end, strong)
    bet = (
        "" if bet_per_s is None else f'<span class="bet" style="left:{min(100.0, 100 * bet_per_s / end):.1f}%">◇</span>'
    )
    number = "void" if each.per_s is None else f"{each.per_s:,.0f}/s"
    name = f"{each.number}: {each.settings}"
    return (
        f'<tr><th scope="row" style="width:42%" title="{escape(name)}">{escape(name)}</th>'
        f'<td style="overflow:visible"><div class="rail">{bar}{bet}</div></td>'
        f'<td class="num" style="width:4.6em">{number}</td></tr>'
    )


def _facts(history: History, last: Trial, drawn: str) -> str:
    ratio, first = history.ratio(last), history.first(last)
    large = "&nbsp;" if ratio is None or first is None else f"× {ratio:.2f}"
    against = "" if ratio is None or first is None else f"against test {first.number}; one launch each: a first look"
    check = f"self-check: <b>{last.verdict.upper()}</b>"
    if last.verdict != "pass":
        check += f" <span class='soft' title='{escape(last.why)}'>{escape(_one_line(last.why, 95))}</span>"
    p95 = f"<b>{escape(last.p95)}</b>" if last.p95 else "– <span class='soft'>(no number, or too few requests)</span>"
    numbers = f"p95 {p95} · errors <b>{100 * last.error_ratio:.3g} %</b>"
    numbers += f" · share of answers {last.share} %" if "/" in last.share else ""
    return (
        f'<div style="display:flex;gap:1em;align-items:center;margin-top:.4em"><div class="ratio">{large}</div>'
        f"<div>{numbers}<br>{check}<br><span class='soft'>{against}{drawn}&nbsp;</span></div></div>"
    )


def _bar(value: float, end: float, colour: str) -> str:
    return f'<span class="bar" style="width:{100 * min(max(value, 0.0) / end, 1.0):.1f}%;background:{colour}"></span>'


def _one_line(text: str, most: int = 170) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
