"""The command `load`: one load test, or the search for the highest rate that meets an objective, and its exports."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from helpers.cli_words import CHECK_FAILED, FINE, VOID, Json, Save, Timeout, check_file, headers, number, show, whole
from helpers.errors import InputError

if TYPE_CHECKING:
    from helpers.load.result import LoadResult
    from helpers.load.slo import Judgement


def load(
    url: Annotated[str, typer.Argument(help="Address on this machine, such as http://127.0.0.1:5012/cpu")],
    users: Annotated[int | None, typer.Option(parser=whole, help="Closed model: so many users, each waiting.")] = None,
    rate: Annotated[
        str | None, typer.Option(help="Open model: requests per second, or stages of it: 20:5s,80:5s.")
    ] = None,
    arrivals: Annotated[str, typer.Option(help="Of the open model: constant or poisson.")] = "constant",
    duration: Annotated[str | None, typer.Option(help="Measured time, such as 500ms (default: 5s).")] = None,
    timeout: Timeout = "5s",
    warmup: Annotated[
        str | None,
        typer.Option(help="Unmeasured time before (default: a tenth, 0.5 to 2 s, or until every user was answered)."),
    ] = None,
    think: Annotated[str, typer.Option(help="Pause of a user between answer and next request.")] = "0s",
    burst: Annotated[bool, typer.Option("--burst", help="Open all connections at once, not 10 ms apart.")] = False,
    max_inflight: Annotated[
        int | None, typer.Option(parser=whole, help="Open model: requests in hand at most (default: 1000).")
    ] = None,
    new_connections: Annotated[
        bool, typer.Option("--new-connections", help="Each request on a connection of its own.")
    ] = False,
    retry: Annotated[int | None, typer.Option(parser=whole, help="Send a failed request again, so many times.")] = None,
    stop_if: Annotated[
        str | None, typer.Option(help='End early when it holds for the last second: "errors>50%", "p95>2s".')
    ] = None,
    method: Annotated[str, typer.Option(help="GET, POST, ...")] = "GET",
    header: Annotated[list[str] | None, typer.Option(help='Repeatable: "Name: value".')] = None,
    body: Annotated[Path | None, typer.Option(help="File whose content is sent as the body.")] = None,
    seed: Annotated[int, typer.Option(parser=whole, help="Of random arrivals.")] = 0,
    allow_host: Annotated[str | None, typer.Option(help="Name of another host that may be loaded.")] = None,
    slo: Annotated[
        str | None, typer.Option(help='Objective: "p99<250ms,errors<1%"; exit 1 where it is missed.')
    ] = None,
    find_rate: Annotated[
        bool,
        typer.Option(
            "--find-rate", help="Search the highest rate that meets --slo; --rate is the first, --duration a step's."
        ),
    ] = False,
    csv: Annotated[Path | None, typer.Option(help="Write a row per request to this file.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with checks and pictures to this file.")] = None,
    locust: Annotated[Path | None, typer.Option(help="Write the same load as a Locust file.")] = None,
    save: Save = False,
    as_json: Json = False,
) -> int:
    """Send load to an address and measure every request; the result says whether it can be trusted."""
    from helpers.load.run import Retry

    request: dict[str, Any] = {
        "arrivals": arrivals, "timeout": timeout, "warmup": warmup, "burst": burst, "max_inflight": max_inflight,
        "new_connections": new_connections, "retry": None if retry is None else Retry(retry), "stop_if": stop_if,
        "method": method, "headers": headers(header or []), "body": _body(body), "seed": seed,
        "allow_host": allow_host,
    }  # fmt: skip
    for file in (csv, html, locust):
        check_file(file)
    if find_rate:
        think_given = None if think == "0s" else think
        taken = {
            "--users": users, "--think": think_given, "--csv": csv, "--locust": locust, "--stop-if": stop_if
        }  # fmt: skip
        search = {"low": None if rate is None else number(rate), "duration": duration}
        return _find_rate(url, slo, html, save, as_json, taken, request | search)
    request |= {"users": users, "rate": rate, "duration": duration, "think": think}
    return _load(url, slo, Files(csv, html, locust), save, as_json, request)


@dataclass(frozen=True)
class Files:
    """Where the result is to be written to, besides results/."""

    csv: Path | None
    html: Path | None
    locust: Path | None


def _load(url: str, slo: str | None, files: Files, save: bool, as_json: bool, request: dict[str, Any]) -> int:
    from helpers import store
    from helpers.load.run import EngineStopped, load_test
    from helpers.load.slo import judge, overall, parse_slo

    targets = () if slo is None else parse_slo(slo)
    try:
        result = load_test(url, **request)
    except EngineStopped as error:
        if save and error.partial is not None:
            _say(f"saved, incomplete: {store.shown(store.save('load', error.partial.summary()))}")
        raise
    judgements = judge(result, targets)
    told = result.summary()
    if targets:
        told |= {"slo": [each.as_json() for each in judgements], "slo_verdict": overall(judgements)}
    if save:
        _say(f"saved: {store.shown(store.save('load', told))}")
    _export(result, judgements, files)
    show("\n".join([str(result), *(f"  {'objective':<19}{each}" for each in judgements)]), told if as_json else None)
    if result.verdict == "void":
        return VOID
    return {"met": FINE, "missed": CHECK_FAILED, "cannot tell": VOID}[overall(judgements)]


def _export(result: "LoadResult", judgements: "Sequence[Judgement]", files: Files) -> None:
    if files.csv is not None:
        from helpers.load.export import as_csv

        _write(files.csv, as_csv(result))
    if files.locust is not None:
        from helpers.load.locustfile import as_locustfile

        _write(files.locust, as_locustfile(result.plan))
    if files.html is not None:
        from helpers.load_report import load_page
        from helpers.machine import fingerprint

        _write(files.html, load_page(result, judgements, fingerprint()))


def _find_rate(
    url: str,
    slo: str | None,
    html: Path | None,
    save: bool,
    as_json: bool,
    taken: dict[str, Any],
    request: dict[str, Any],
) -> int:
    """The search; `taken` are options that have no meaning in it."""
    from helpers import store
    from helpers.knee import find_knee

    if slo is None:
        raise InputError("--find-rate needs an objective", 'say what must hold: --slo "p99<250ms,errors<1%"')
    for option, value in taken.items():
        if value is not None:
            raise InputError(f"{option} has no meaning with --find-rate", "leave one of the two out")
    found = find_knee(url, slo, on_step=_say, **request)
    if save:
        _say(f"saved: {store.shown(store.save('knee', found.summary()))}")
    if html is not None:
        from helpers.load_report import knee_page
        from helpers.machine import fingerprint

        _write(html, knee_page(found, fingerprint()))
    show(str(found), found.summary() if as_json else None)
    return VOID if not found.conclusive else CHECK_FAILED if found.end == "none" else FINE


def _say(what: object) -> None:
    print(what, file=sys.stderr, flush=True)


def _write(file: Path, text: str) -> None:
    from helpers import store

    _say(f"written: {store.shown(store.save_text(file.name, text, folder=file.resolve().parent))}")


def _body(file: Path | None) -> bytes | None:
    if file is None:
        return None
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"--body {str(file)!r} cannot be read: {error.strerror}", "give the path of a file") from None
