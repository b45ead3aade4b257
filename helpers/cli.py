"""The command line: each command a few lines over one module. People's text goes to stderr, JSON alone to stdout."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from helpers import cli_diagnose, cli_load
from helpers.cli_words import (
    BAD_INPUT,
    CHECK_FAILED,
    FINE,
    INTERRUPTED,
    VOID,
    Duration,
    Json,
    Save,
    Timeout,
    check_file,
    number,
    numbers,
    show,
    whole,
)
from helpers.errors import InputError, LabError

PROJECT = Path(__file__).resolve().parents[1]


app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Why a FastAPI service stays slow on a bigger machine: the course's command line.",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; every error ends in one `error:` and one `hint:` line."""
    command = typer.main.get_command(app)
    try:
        code = command.main(args=argv, prog_name="python3 -m helpers", standalone_mode=False)
    except LabError as error:
        return _complain(error.exit_code, error.message, error.hint, getattr(error, "log_tail", ""))
    except typer.Abort:
        return INTERRUPTED
    except Exception as error:
        if not hasattr(error, "format_message"):  # not one of typer's complaints about the words of the call
            raise
        return _complain(BAD_INPUT, error.format_message().rstrip("."), "see `python3 -m helpers --help`")
    if code == INTERRUPTED:
        print("stopped; nothing is left running", file=sys.stderr)
    return int(code or FINE)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(
    context: typer.Context,
    cluster: Annotated[bool, typer.Option("--cluster", help="Install what notebook 10 wants: Ray, about 0.5 GB.")] = (
        False  # done by the start-up code
    ),
    wheelhouse: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Install from the folder that `wheelhouse DIR` has filled.")
    ] = None,  # done by the start-up code
) -> None:
    """Open JupyterLab on the notebooks; --no-browser, --port and others go on to JupyterLab."""
    from helpers.jupyter.start import command, environment

    arguments = command(context.args)
    print("JupyterLab is starting; its address follows. Ctrl-C ends it.", file=sys.stderr, flush=True)
    os.chdir(PROJECT)
    os.execve(arguments[0], arguments, environment())


@app.command()
def test(context: typer.Context) -> None:
    """Run the tests; --full runs everything (long). Other arguments go to pytest."""
    raise InputError("tests are run by the start-up code", "call `python3 -m helpers test` as the first word")


@app.command()
def wheelhouse(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the packages are to go; made if missing.")],
    cluster: Annotated[bool, typer.Option("--cluster", help="Also what notebook 10 wants: Ray, large.")] = False,
    tests: Annotated[bool, typer.Option("--tests", help="Also what the tests want.")] = False,
) -> None:
    """Gather every package for this Python and system in a folder; `lab --wheelhouse DIR` installs from it offline."""
    from helpers.wheelhouse import gather

    group = "all" if cluster and tests else "cluster" if cluster else "test" if tests else "lab"
    print(gather(folder, group))


@app.command()
def doctor(
    as_json: Json = False,
    file: Annotated[
        Path | None, typer.Option(metavar="NAME.json", help="Also a file to send to your instructor; shown first.")
    ] = None,
) -> int:
    """Check whether this machine is ready for the course, with a remedy for each thing that is not."""
    from helpers import store
    from helpers.doctor import report

    check_file(file)
    found = report()
    show(str(found), found.summary() if as_json else None)
    if file is not None:
        text = found.for_others()
        print(f"\nThis, and nothing else, goes into the file to be sent:\n\n{text}", file=sys.stderr)
        print(f"written: {store.save_text(file.name, text, folder=file.resolve().parent)}", file=sys.stderr)
    return FINE if found.ready else CHECK_FAILED


@app.command()
def reproduce(
    quick: Annotated[bool, typer.Option("--quick", help="A first look: 3 launches per cell, within 90 s.")] = False,
    as_json: Json = False,
) -> int:
    """Run the post's whole experiment here and judge its nine claims, one by one."""
    from helpers.experiment import pace
    from helpers.reproduce import reproduce as run

    done = run(pace("quick" if quick else None))
    show(str(done), done.summary() if as_json else None)
    return FINE if done.complete else CHECK_FAILED


app.command()(cli_load.load)
app.command()(cli_diagnose.diagnose)


@app.command()
def sweep(
    application: Annotated[str, typer.Argument(metavar="[APP]", help="module:variable")] = "helpers.demo.api:app",
    path: Annotated[str, typer.Option(help="Path and query to ask for.")] = "/cpu",
    workers: Annotated[str, typer.Option(help="Comma-separated.")] = "1,2",
    cpus: Annotated[str, typer.Option(help="Comma-separated numbers of cores; 'all' for no limit.")] = "all",
    users: Annotated[str, typer.Option(help="Comma-separated.")] = "16",
    repeats: Annotated[int, typer.Option(parser=whole, help="Fresh launches per cell.")] = 5,
    duration: Duration = "5s",
    timeout: Timeout = "5s",
    app_dir: Annotated[Path | None, typer.Option(help="Folder from which the app is imported.")] = None,
    save: Save = False,
    as_json: Json = False,
) -> int:
    """Measure every combination of workers, cores and users on fresh launches."""
    from helpers import store
    from helpers.experiment import sweep as run

    result = run(
        application,
        path,
        workers=numbers("--workers", workers),
        cpus=[None] if cpus == "all" else numbers("--cpus", cpus),
        users=numbers("--users", users),
        repeats=repeats,
        duration=duration,
        timeout=timeout,
        server={} if app_dir is None else {"app_dir": str(app_dir)},
    )
    if save:
        print(f"saved: {store.shown(store.save('sweep', result.summary()))}", file=sys.stderr)
    show(str(result), result.summary() if as_json else None)
    return VOID if all(run.void for run in result.runs) else FINE


@app.command()
def stall(
    path: Annotated[str, typer.Option(help="Path and query to ask for; it should wait rather than work.")] = (
        "/sleep?ms=10"
    ),
    stall: Annotated[str, typer.Option(help="How long the server is stopped, in the middle of each run.")] = "1s",
    duration: Duration = "20s",
    rate: Annotated[float, typer.Option(parser=number, help="Of the open run: requests per second.")] = 100.0,
    picture: Annotated[Path | None, typer.Option(help="File for the picture (default: one under results/).")] = None,
    save: Save = False,
    as_json: Json = False,
) -> int:
    """Stop a server for a moment and show what a waiting user and a fixed rate see of it (coordinated omission)."""
    from helpers import store
    from helpers.stall.run import picture_file
    from helpers.stall.run import stall as run

    drawn = picture_file(picture)
    result = run(path=path, stall_s=stall, duration=duration, rate=rate)
    if save:
        print(f"saved: {store.shown(store.save('stall', result.summary()))}", file=sys.stderr)
    show(str(result), result.summary() if as_json else None)
    print(f"picture: {store.shown(result.picture().save(drawn))}", file=sys.stderr)
    return VOID if result.void else FINE


@app.command()
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="Saved result; several, comma-separated, are paired.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The result that is set against A, or as many as of A.")],
    despite: Annotated[
        list[str] | None, typer.Option(help="Repeatable: endpoint, load or machine may differ all the same.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Compare saved load tests or sweeps: B against A, ratios with their 95 % intervals, and a verdict."""
    from helpers.compare import compare as run

    found = run(a.split(","), b.split(","), despite=despite or ())
    show(str(found), found.summary() if as_json else None)
    return VOID if found.verdict == "inconclusive" else FINE


@app.command()
def servers(
    stop: Annotated[bool, typer.Option("--stop", help="Stop them all, gracefully and then firmly.")] = False,
    as_json: Json = False,
) -> int:
    """List the servers that the course has running for you, or stop them."""
    from helpers.server import registry

    found = registry.servers()
    if stop:
        for entry in found:
            registry.stop(entry)
    done = "stopped" if stop else "running"
    lines = [
        f"{done}: pid {entry.pid}, {entry.url}, {entry.app}, workers={entry.workers}, since {entry.started_at}"
        + (", its owner is gone" if entry.orphan else f", started by pid {entry.owner_pid}")
        for entry in found
    ]
    text = "\n".join(lines) or "no server of the course is running"
    show(text, {"schema": 1, "servers": [entry.public() for entry in found]} if as_json else None)
    return FINE


@app.command()
def run(
    notebook: Annotated[list[str] | None, typer.Argument(help="00, 00_start_here or a file; default: all.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Quick pace: shorter and fewer measurements.")] = False,
) -> int:
    """Run notebooks headless, each in a fresh kernel; the copies with outputs go to results/notebooks/."""
    from helpers.experiment import pace
    from helpers.notebooks import execute, find

    at = pace("quick" if quick else None)
    failed = False
    for path in find(notebook or []):
        done = execute(path, env={"LAB_PACE": at.name})
        print(done, file=sys.stderr, flush=True)
        failed = failed or bool(done.error)
    return CHECK_FAILED if failed else FINE


def _complain(code: int, message: str, hint: str, log_tail: str = "") -> int:
    """One error line and one hint line; before them, if the server wrote anything, its last lines. Returns the code."""
    if log_tail:
        print(log_tail, file=sys.stderr)
    for word, text in (("error", message), ("hint", hint)):
        print(f"{word}: {' '.join(text.split())}", file=sys.stderr)
    return code
