"""Files that people hand in, one each: read with care, since whatever a file holds must not end the reading."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

FILE_MOST_BYTES = 100_000


@dataclass(frozen=True)
class Problem:
    """A file that is left out, and why."""

    file: str
    why: str

    def __str__(self) -> str:
        return f"{self.file}: {self.why}"


class RejectedError(Exception):
    """A file cannot be used; `str(error)` says why."""


def whole_files(folder: Path) -> list[Path]:
    """The JSON files of a folder by name; one that is still being written has a hidden name. None without a folder."""
    return sorted(path for path in folder.glob("*.json") if not path.name.startswith(".")) if folder.is_dir() else []


def parsed(path: Path) -> Any:
    """What the file holds, or RejectedError."""
    try:
        if not path.is_file():
            raise RejectedError("not a file")
        if path.stat().st_size > FILE_MOST_BYTES:
            raise RejectedError(f"{path.stat().st_size:,} bytes; such a file has a few thousand")
        return json.loads(path.read_bytes())
    except OSError as error:
        raise RejectedError(f"it cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise RejectedError("it is not JSON") from error


def listed(lines: Iterable[str]) -> str:
    """An HTML list of the lines; empty without any."""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""
