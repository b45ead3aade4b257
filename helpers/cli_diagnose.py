"""The command `diagnose`: what limits an API, and what to change."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from helpers.cli_words import CHECK_FAILED, FINE, VOID, Json, check_file, headers, show
from helpers.errors import InputError


def diagnose(
    target: Annotated[
        str,
        typer.Argument(
            metavar="APP-or-URL", help="mypkg.main:app, or the address of a server that runs here, with its path."
        ),
    ],
    path: Annotated[str | None, typer.Option(help="Path and query to ask for (default: /).")] = None,
    app_dir: Annotated[Path | None, typer.Option(help="Folder from which the app is imported.")] = None,
    method: Annotated[str, typer.Option(help="GET, POST, ...; what may change data wants --yes.")] = "GET",
    json_body: Annotated[Path | None, typer.Option(help="File with the JSON that is sent as the body.")] = None,
    header: Annotated[list[str] | None, typer.Option(help='Repeatable: "Name: value".')] = None,
    factory: Annotated[bool, typer.Option("--factory", help="The name is a function that makes the app.")] = False,
    python: Annotated[
        Path | None, typer.Option(help="Interpreter that runs the app, such as ../service/.venv/bin/python.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="This method may be sent thousands of times.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Print the decision as it was walked.")] = False,
    html: Annotated[Path | None, typer.Option(help="File for the report (default: one under results/).")] = None,
    as_json: Json = False,
) -> int:
    """Find out by experiment what limits an API, and what to change; takes up to a minute."""
    from helpers import store
    from helpers.diagnose.result import UNTOLD
    from helpers.diagnose.run import diagnose as run

    check_file(html)
    found = run(
        target, path=path, method=method, json_body=_json(json_body), headers=headers(header or []), app_dir=app_dir,
        factory=factory, python=python, yes=yes,
    )  # fmt: skip
    show(str(found), found.summary() if as_json else None)
    if explain:
        print(f"\n{found.explain()}", file=sys.stderr if as_json else sys.stdout)
    print(f"report: {store.shown(found.save_report(html))}", file=sys.stderr)
    return CHECK_FAILED if found.verdict == "failing" else VOID if found.verdict in UNTOLD else FINE


def _json(file: Path | None) -> Any:
    if file is None:
        return None
    try:
        return json.loads(file.read_bytes())
    except OSError as error:
        raise InputError(f"--json-body {str(file)!r} cannot be read: {error.strerror}", "give a file's path") from None
    except ValueError as error:
        raise InputError(f"--json-body {str(file)!r} is no JSON: {error}", "mend the file") from None
