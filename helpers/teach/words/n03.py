"""Notebook 03: its sentences, chosen by the numbers."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from helpers.errors import LabError
from helpers.load.result import LoadResult
from helpers.server.processes import Processes, Socket, ps
from helpers.server.server import Server
from helpers.teach.outcomes import VOID
from helpers.teach.predict import Prediction
from helpers.teach.widgets import folded, html

if TYPE_CHECKING:
    from helpers.plots.picture import Picture

NO_GAIN_BELOW = 1.25
FULL_FROM = 0.85  # of a core: what a worker uses that has always something to do
LINES_MOST = 10
COLUMNS_MOST = 150


# -------------------------------------------------------------------------------------------------- which processes


def ps_says(server: Server, *options: str, only_ours: bool = False) -> Any:
    """What `ps` prints with these options, and how many of the server's processes are in it."""
    ours = {process.pid for process in server.processes(over_s=0.01)}
    try:
        printed = ps(*options, only=ours if only_ours else None)
    except LabError as error:
        return html(f"<p>{escape(error.message)}; {escape(error.hint)}.</p>")
    header, *lines = printed.splitlines()
    column = header.split().index("PID")
    shown = len(ours & {int(line.split()[column]) for line in lines})
    more = len(lines) - LINES_MOST
    text = "\n".join(line[:COLUMNS_MOST] for line in [header, *lines[:LINES_MOST]])
    text += f"\n({more} more lines)" if more > 0 else ""
    says = f"<code>ps {escape(' '.join(options))}</code> shows <b>{shown}</b> of the server's {_count(ours, 'process')}"
    style = "overflow-x:auto;white-space:pre;font-family:monospace"
    return html(f'<pre style="{style}">{escape(text)}</pre><p>{says}.</p>')


def ids_in_words(found: Processes) -> str:
    """What each of the processes is."""
    workers, parents = found.with_role("worker"), found.with_role("parent")
    trackers, others = found.with_role("resource tracker"), found.with_role("child of the app")
    if not parents:
        return f"There is no parent among these {_count(found, 'process')}: the server was started with one worker."
    parts = [f"the <b>parent</b> {_pids(parents)}, which starts the workers and watches them"]
    if trackers:
        parts.append(
            f"Python's <b>resource tracker</b> {_pids(trackers)}, which comes with every program that starts others in"
            " this way, and clears up after them"
        )
    parts.append(f"and the <b>workers</b> {_pids(workers)}, which serve")
    if others:
        parts.append(f"besides, started by the app itself: {_pids(others)}")
    return (
        f"{_count(found, 'id')}: {'; '.join(parts)}. The post counted them correctly. In its log only the workers say"
        " <code>Started server process</code>."
    )


def commands_of(found: Processes, *, word: str) -> Any:
    """The command line of each process as a table, and which of them a search for `word` finds."""
    from helpers.plots.picture import table_html

    frame = found.frame()[["pid", "ppid", "role", "command"]]
    hits = [process for process in found if word in process.command]
    named = ", ".join(f"{process.pid} ({process.role})" for process in hits) or "none"
    cell = "padding:2px 10px;text-align:left"
    says = f"<code>grep {escape(word)}</code> finds <b>{len(hits)} of {len(found)}</b>: {named}."
    return html(f"{table_html(frame, cell_style=cell)}<p>{says}</p>")


def answered_in_words(answers: Mapping[int, int], found: Processes) -> Any:
    """Who answered, and who never did."""
    never = [process for process in found if process.pid not in answers]
    given = ", ".join(f"{pid}: {number}" for pid, number in sorted(answers.items()))
    quiet = ", ".join(f"{process.pid} ({process.role})" for process in never)
    return html(f"<p>Answers: {given}.{f' None came from {quiet}.' if quiet else ''}</p>")


# ------------------------------------------------------------------------------------------------- who does the work


def used_by_workers(result: LoadResult) -> float | None:
    """Cores' worth that the workers used together; None where it was not measured."""
    if result.verdict == "void" or result.cpu is None:
        return None
    return sum(result.cpu.workers.values())


def headroom(full: LoadResult, more: LoadResult) -> float | None:
    """How many times the answers came when there were more users."""
    if "void" in (full.verdict, more.verdict) or not full.achieved_per_s:
        return None
    return more.achieved_per_s / full.achieved_per_s


def work_of(results: Mapping[str, LoadResult]) -> "Picture | Any":
    """Where the CPU time of each of these load tests went; a sentence where none can be shown."""
    from helpers.plots.cpu import cpu_entry, cpu_plot

    if all(used_by_workers(result) is None for result in results.values()):
        return html(f"<p>{_void(next(iter(results.values())))}</p>")
    entries = [
        {"label": label} if used_by_workers(result) is None or result.cpu is None else cpu_entry(label, result.cpu)
        for label, result in results.items()
    ]
    return cpu_plot(entries, cores=max(result.cpu.cores for result in results.values() if result.cpu))


def dashboard_in_words(full: LoadResult, more: LoadResult) -> str:
    """What a full worker looks like on a dashboard, and whether there was anything left to be had."""
    used, times = used_by_workers(full), headroom(full, more)
    if used is None or full.cpu is None or times is None:
        return _void(full if used is None else more)
    average = f"Averaged over this machine's {_count(full.cpu.cores, 'core')}, that is {used / full.cpu.cores:.0%}"
    seen = f"The worker used <b>{used:.2f} cores' worth</b>. {average}; over ten cores it would be {used / 10:.0%}"
    offered = f"{more.plan.users} users instead of {full.plan.users} got {times:.2f} times the answers"
    if times < NO_GAIN_BELOW and used >= FULL_FROM:
        return (
            f"{seen}. And yet it is full: {offered}. An average hides who is busy. Read cores' worth <i>per"
            " process</i>: a worker that works in Python is at its end near 1.0, however many cores stand around it."
        )
    if times < NO_GAIN_BELOW:
        return (
            f"{seen}. {offered}, so there was no more to be had, although the worker was not"
            " seen at a full core: who else ran on it? Look at the other pieces of the bar."
        )
    return (
        f"{seen}. {offered}: it was not full yet in the first run. What did it wait for? Look at"
        " the length of its piece, and run the cell again on a quiet machine."
    )


def two_in_words(one: LoadResult, two: LoadResult) -> Any:
    """Cores' worth of one worker and of two, folded."""
    used, both = used_by_workers(one), used_by_workers(two)
    if used is None or both is None or two.cpu is None:
        return html(f"<p>{_void(one if used is None else two)}</p>")
    text = f"One worker used {used:.2f} cores' worth, two used <b>{both:.2f}</b> together, the parent"
    text += f" {two.cpu.rest_of_server:.2f}."
    if both < NO_GAIN_BELOW * used:
        text += " Two workers had hardly more than one core between them: is there a second core, and was it free?"
    return html(folded("What happened here", text))


# ------------------------------------------------------------------------------------------------ who holds the door


def failed_share(prediction: Prediction, result: LoadResult) -> str:
    """The words of the option nearest to the share of requests that failed."""
    if not result.requests:
        return VOID
    return min(prediction.options, key=lambda option: abs((option.value or 0.0) - result.error_ratio)).words


def door_of(found: Processes, held: Sequence[Socket], *, port: int, result: LoadResult) -> "Picture":
    """The picture of the listening socket, of who has it open, and of who answered while the parent was stopped."""
    from helpers.plots.door import door_plot

    parents, trackers = found.with_role("parent"), found.with_role("resource tracker")
    workers = [process.pid for process in [*found.with_role("worker"), *found.with_role("server")]]
    inodes = {socket.inode for socket in held if socket.pid in workers}
    return door_plot(
        port=port,
        workers=workers,
        holders={socket.pid for socket in held} or None,
        inode=inodes.pop() if len(inodes) == 1 else None,
        parent=parents[0].pid if parents else None,
        tracker=trackers[0].pid if trackers else None,
        answers=result.worker_answers,
        parent_stopped=bool(parents),
    )


def stopped_in_words(result: LoadResult, held: Sequence[Socket]) -> str:
    """Whether requests failed while the parent was stopped, and why."""
    failed, inodes = result.requests - result.ok, {socket.inode for socket in held}
    opened = f"on {result.plan.users} connections that were opened meanwhile"
    if failed or not result.requests:
        return (
            f"{failed} of {result.requests} requests failed, {opened}. That contradicts what the sockets say. Was the"
            " parent the only process that was stopped? <code>server.processes()</code> and <code>server.log</code>"
            " tell more."
        )
    socket = "the listening socket"
    if len(inodes) == 1:
        holders = len({socket.pid for socket in held})
        socket = f"the <b>one</b> listening socket (inode {inodes.pop()}, open in {holders} processes)"
    note = " (The run was disturbed, so believe no times of it; failures can be counted all the same.)"
    return (
        f"<b>None failed</b>: {result.ok} requests were answered, {opened}. Nobody passes requests on. The parent made"
        f" {socket}; every worker has it open and takes its connections from it by itself, the one that wakes first"
        " gets the next. FastAPI's own page on deployment says that one process listens and “transmits” to the workers."
        " A proxy such as nginx does that: stop it, and everything fails. uvicorn's parent only starts, watches and"
        f" replaces workers.{note if result.verdict == 'void' else ''}"
    )


def recap(
    found: Processes, answers: Mapping[int, int], full: LoadResult, stopped: LoadResult, held: Sequence[Socket]
) -> Any:
    """The recap of notebook 03, computed from the learner's own numbers."""
    workers, used = found.with_role("worker"), used_by_workers(full)
    lines = [
        f"With <code>workers={len(workers)}</code> there were <b>{_count(found, 'id')}</b>;"
        f" {len(answers)} of them answered requests: {', '.join(map(str, sorted(answers)))}."
    ]
    if used is None or full.cpu is None:
        lines.append(f"How much CPU one worker uses {VOID}.")
    else:
        lines.append(
            f"One busy worker used <b>{used:.2f} cores' worth</b>: {used / full.cpu.cores:.0%} on this machine's"
            f" dashboard, {used / 10:.0%} on one of ten cores."
        )
    failed = stopped.requests - stopped.ok
    lines.append(f"While the parent was stopped, <b>{failed} of {stopped.requests}</b> requests failed.")
    if held:
        inodes = {socket.inode for socket in held}
        lines.append(
            f"Listening sockets of the server: <b>{len(inodes)}</b>, open in"
            f" {_count({socket.pid for socket in held}, 'process')}."
        )
    return html("<ul>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul>")


# ---------------------------------------------------------------------------------------------------- going deeper


def memory_in_words(found: Processes) -> Any:
    """What adding up RSS says, and what adding up PSS says."""
    rss = sum(process.rss_mb for process in found)
    shares = [process.pss_mb for process in found if process.pss_mb is not None]
    if len(shares) < len(found.rows):
        return html(f"<p>RSS adds up to {rss:.0f} MB. This system does not tell PSS; on Linux it does.</p>")
    return html(
        f"<p>RSS adds up to {rss:.0f} MB, PSS to <b>{sum(shares):.0f} MB</b>: the difference,"
        f" {rss - sum(shares):.0f} MB, is memory that several processes share and RSS counts in each of them.</p>"
    )


def more_than_cores_in_words(server: Server, cores: int) -> Any:
    """Whether uvicorn minds how many cores there are."""
    serving, wanted = len(server.worker_pids), server.workers
    asked = f"{_count(wanted, 'worker')} asked for on {_count(cores, 'usable core')}, {serving} of them serve"
    if serving == wanted:
        return html(f"<p>{asked}: the number of processes is the number you ask for. uvicorn does not count cores.</p>")
    return html(f"<p>{asked}: some are missing. <code>server.log</code> says why.</p>")


def shares(runs: Sequence[tuple[str, LoadResult]]) -> Any:
    """How the connections were divided, for each way of opening them: a table, and what it says."""
    import pandas as pd

    from helpers.plots.picture import table_html

    rows = [
        {
            "connections opened": opened,
            "busiest worker's share": f"{_busiest(result):.0%}",
            "answers/s": None if result.verdict == "void" else round(result.achieved_per_s),
        }
        for opened, result in runs
    ]
    says = "".join(f"<li>{_skew(opened, runs)}</li>" for opened in dict.fromkeys(opened for opened, _ in runs))
    cell = "padding:2px 10px;text-align:right"
    return html(f"{table_html(pd.DataFrame(rows), cell_style=cell)}<ul>{says}</ul>")


def _skew(opened: str, runs: Sequence[tuple[str, LoadResult]]) -> str:
    chosen = [result for how, result in runs if how == opened]
    busiest = [_busiest(result) for result in chosen]
    skewed = sum(share > 0.75 for share in busiest)  # one of two workers has over 1.5 times its part
    launches = f"{_count(len(busiest), 'launch')} with connections opened {escape(opened)}"
    if skewed:
        return f"In <b>{skewed} of {launches}</b> one worker gave more than three quarters of the answers."
    again = " Chance decides: run it again." if chosen[0].plan.burst else ""
    return f"In none of {launches} one worker gave more than three quarters of the answers.{again}"


def _busiest(result: LoadResult) -> float:
    return max(result.worker_share.values(), default=0.0)


def _void(result: LoadResult) -> str:
    return f"This {VOID}: {result.reasons[0]}" if result.reasons else f"This {VOID}."


def _pids(processes: Sequence[Any]) -> str:
    return " and ".join(str(process.pid) for process in processes)


def _count(things: Any, word: str) -> str:
    number = things if isinstance(things, int) else len(things)
    plural = word if number == 1 else word + ("es" if word.endswith(("s", "ch")) else "s")
    return f"{number} {plural}"
