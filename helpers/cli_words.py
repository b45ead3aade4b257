"""What the commands of the command line share: exit codes, options, and how a result is shown."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from helpers.errors import InputError, StoreError

FINE, CHECK_FAILED, BAD_INPUT, VOID, INTERRUPTED = 0, 1, 2, 3, 130


def whole(text: str) -> int:
    """A whole number given as an option."""
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no whole number") from None


def number(text: str) -> float:
    """A number given as an option."""
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no number") from None


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout, and nothing else there.")]
Duration = Annotated[str, typer.Option(help="Measured time, such as 5s or 500ms.")]
Timeout = Annotated[str, typer.Option(help="How long a request may take, whole.")]
Save = Annotated[bool, typer.Option("--save", help="Keep the result under results/.")]


def show(text: str, machine_readable: dict[str, Any] | None) -> None:
    """Print the text for people, or the JSON object where one is asked for."""
    if machine_readable is None:
        print(text)
        return
    print(json.dumps(machine_readable, allow_nan=False, default=_plain))


def numbers(option: str, text: str) -> list[int]:
    """Whole numbers separated by commas."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"{option} {text!r} is no list of whole numbers", f"write for instance {option} 1,2") from None


def headers(lines: list[str]) -> dict[str, str]:
    """Header lines such as "Accept: text/plain"."""
    pairs = [line.partition(":") for line in lines]
    for name, colon, _ in pairs:
        if not (name.strip() and colon):
            raise InputError(
                f"--header {name!r} has no colon between a name and a value",
                'write for instance --header "Accept: text/plain"',
            )
    return {name.strip(): value.strip() for name, _, value in pairs}


def check_file(file: Path | None) -> None:
    """InputError or StoreError now, before time is spent on a measurement that could not be kept there."""
    from helpers import store

    if file is None:
        return
    if file.is_dir():
        raise InputError(f"{str(file)!r} is a folder", "give the path of a file")
    try:
        store.check_writable(file.resolve().parent)
    except StoreError as error:
        raise StoreError(f"{str(file)!r} cannot be written: {error.message}", "give another path") from error


def _plain(value: Any) -> Any:
    """What JSON does not know: dataclasses as objects, numpy numbers as numbers, the rest as text."""
    if hasattr(value, "__dataclass_fields__"):
        return asdict(value)
    return value.item() if hasattr(value, "item") else str(value)
