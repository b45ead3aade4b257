"""The command line: each command a few lines over one module. People's text goes to stderr, JSON alone to stdout."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from helpers.errors import InputError, LabError

FINE, CHECK_FAILED, BAD_INPUT, VOID, INTERRUPTED = 0, 1, 2, 3, 130
PROJECT = Path(__file__).resolve().parents[1]


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no whole number") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no number") from None


app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Why a FastAPI service stays slow on a bigger machine: the course's command line.",
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout, and nothing else there.")]
Duration = Annotated[str, typer.Option(help="Measured time, such as 5s or 500ms.")]
Timeout = Annotated[str, typer.Option(help="How long a request may take, whole.")]
Save = Annotated[bool, typer.Option("--save", help="Keep the result under results/.")]


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
def lab(context: typer.Context) -> None:
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
def doctor(as_json: Json = False) -> int:
    """Check whether this machine is ready for the course, with a remedy for each thing that is not."""
    from helpers.doctor import report

    found = report()
    _show(str(found), found.summary() if as_json else None)
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
    _show(str(done), done.summary() if as_json else None)
    return FINE if done.complete else CHECK_FAILED


@app.command()
def load(
    url: Annotated[str, typer.Argument(help="Address on this machine, such as http://127.0.0.1:5012/cpu")],
    users: Annotated[int | None, typer.Option(parser=_whole, help="Closed model: so many users, each waiting.")] = None,
    rate: Annotated[float | None, typer.Option(parser=_number, help="Open model: requests per second.")] = None,
    duration: Duration = "5s",
    timeout: Timeout = "5s",
    warmup: Annotated[str | None, typer.Option(help="Unmeasured time before (default: a tenth, 0.5 to 2 s).")] = None,
    think: Annotated[str, typer.Option(help="Pause of a user between answer and next request.")] = "0s",
    burst: Annotated[bool, typer.Option("--burst", help="Open all connections at once, not 10 ms apart.")] = False,
    method: Annotated[str, typer.Option(help="GET, POST, ...")] = "GET",
    header: Annotated[list[str] | None, typer.Option(help='Repeatable: "Name: value".')] = None,
    body: Annotated[Path | None, typer.Option(help="File whose content is sent as the body.")] = None,
    seed: Annotated[int, typer.Option(parser=_whole, help="Of random arrivals.")] = 0,
    allow_host: Annotated[str | None, typer.Option(help="Name of another host that may be loaded.")] = None,
    save: Save = False,
    as_json: Json = False,
) -> int:
    """Send load to an address and measure every request; the result says whether it can be trusted."""
    from helpers import store
    from helpers.load.run import load_test

    result = load_test(
        url, users=users, rate=rate, duration=duration, timeout=timeout, warmup=warmup, think=think, burst=burst,
        method=method, headers=_headers(header or []), body=_body(body), seed=seed, allow_host=allow_host,
    )  # fmt: skip
    if save:
        print(f"saved: {store.shown(store.save('load', result.summary()))}", file=sys.stderr)
    _show(str(result), result.summary() if as_json else None)
    return VOID if result.verdict == "void" else FINE


@app.command()
def sweep(
    application: Annotated[str, typer.Argument(metavar="[APP]", help="module:variable")] = "helpers.demo.api:app",
    path: Annotated[str, typer.Option(help="Path and query to ask for.")] = "/cpu",
    workers: Annotated[str, typer.Option(help="Comma-separated.")] = "1,2",
    cpus: Annotated[str, typer.Option(help="Comma-separated numbers of cores; 'all' for no limit.")] = "all",
    users: Annotated[str, typer.Option(help="Comma-separated.")] = "16",
    repeats: Annotated[int, typer.Option(parser=_whole, help="Fresh launches per cell.")] = 5,
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
        workers=_numbers("--workers", workers),
        cpus=[None] if cpus == "all" else _numbers("--cpus", cpus),
        users=_numbers("--users", users),
        repeats=repeats,
        duration=duration,
        timeout=timeout,
        server={} if app_dir is None else {"app_dir": str(app_dir)},
    )
    if save:
        print(f"saved: {store.shown(store.save('sweep', result.summary()))}", file=sys.stderr)
    _show(str(result), result.summary() if as_json else None)
    return VOID if all(run.void for run in result.runs) else FINE


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
    _show(text, {"schema": 1, "servers": [entry.public() for entry in found]} if as_json else None)
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


def _show(text: str, machine_readable: dict[str, Any] | None) -> None:
    if machine_readable is None:
        print(text)
        return
    print(json.dumps(machine_readable, allow_nan=False, default=_plain))


def _plain(value: Any) -> Any:
    """What JSON does not know: dataclasses as objects, numpy numbers as numbers, the rest as text."""
    if hasattr(value, "__dataclass_fields__"):
        return asdict(value)
    return value.item() if hasattr(value, "item") else str(value)


def _complain(code: int, message: str, hint: str, log_tail: str = "") -> int:
    """One error line and one hint line; before them, if the server wrote anything, its last lines. Returns the code."""
    if log_tail:
        print(log_tail, file=sys.stderr)
    for word, text in (("error", message), ("hint", hint)):
        print(f"{word}: {' '.join(text.split())}", file=sys.stderr)
    return code


def _numbers(option: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"{option} {text!r} is no list of whole numbers", f"write for instance {option} 1,2") from None


def _headers(lines: list[str]) -> dict[str, str]:
    pairs = [line.partition(":") for line in lines]
    for name, colon, _ in pairs:
        if not (name.strip() and colon):
            raise InputError(f"--header {name!r} has no value", 'write for instance --header "Accept: text/plain"')
    return {name.strip(): value.strip() for name, _, value in pairs}


def _body(file: Path | None) -> bytes | None:
    if file is None:
        return None
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"--body {str(file)!r} cannot be read: {error.strerror}", "give the path of a file") from None
