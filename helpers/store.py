"""Results on disk: one JSON file each under results/, written whole or not at all, never lost in silence.

    {"schema": 1, "kind": "load", "created_at": "2026-03-01T09:30:00+00:00", "machine": {...}, ...the result...}

A file appears under its name only when all of it is on the disk. A folder may hold damaged files and files of newer
versions: `entries` lists them with their problem, and only `load` of that very file raises.
"""

import errno
import json
import math
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from helpers.errors import InputError, StoreError
from helpers.machine import fingerprint

RESULTS = Path(__file__).resolve().parents[1] / "results"
SCHEMA = 1
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_OWN_KEYS = ("schema", "kind", "created_at", "machine")
_OTHER_FOLDER = "choose another folder with folder=... (until it is saved, a result exists only in memory)"


@dataclass(frozen=True)
class Entry:
    """One file of the folder: `problem` is empty, or says why the file cannot be used (then the rest is a guess)."""

    path: Path
    kind: str
    created_at: str
    problem: str = ""


def save(kind: str, payload: Mapping[str, Any], *, folder: Path | str | None = None) -> Path:
    """Write one result and return its file; the file is complete, or StoreError says why there is none.

    `payload` is anything JSON can hold; a number that is not finite becomes null. A `created_at` or `machine` of its
    own is kept. Raises InputError for a payload JSON cannot hold.
    """
    if not _NAME.fullmatch(kind):
        raise InputError(f"kind={kind!r} cannot name a result", "use small letters, digits, - and _, as in 'load'")
    now = datetime.now(UTC)
    head = {
        "schema": SCHEMA,
        "kind": kind,
        "created_at": payload.get("created_at") or now.isoformat(timespec="seconds"),
        "machine": payload.get("machine") or fingerprint(),
    }
    rest = {key: value for key, value in payload.items() if key not in _OWN_KEYS}
    name = f"{kind}-{now:%Y%m%d-%H%M%S-%f}-{secrets.token_hex(2)}.json"
    return save_text(name, _as_json({**head, **rest}), folder=folder)


def save_text(name: str, text: str, *, folder: Path | str | None = None) -> Path:
    """Write a file of that name, such as a report, and return its path; whole, or StoreError says why there is none."""
    target = Path(folder) if folder is not None else RESULTS
    path = target / name
    try:
        target.mkdir(parents=True, exist_ok=True)
        _write_whole(path, text)
    except OSError as error:
        raise _not_saved(target, error, len(text)) from error
    return path


def check_writable(folder: Path | str | None = None) -> None:
    """Raise StoreError now, before minutes are spent on what could not be kept."""
    save_text(f".writable-{secrets.token_hex(4)}", "", folder=folder).unlink()


def shown(path: Path) -> str:
    """The path as people are told it: from the project's folder on where it lies in it."""
    root = RESULTS.parent
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def load(path: Path | str) -> dict[str, Any]:
    """Read one result; StoreError names the file and says whether it is missing, damaged or too new."""
    path = Path(path)
    try:
        text = path.read_bytes()
    except FileNotFoundError as error:
        raise StoreError(f"there is no result {path}", _there_is()) from error
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}", "check the rights of the file") from error
    result = _parsed(path, text)
    schema = result.get("schema")
    if not isinstance(schema, int) or isinstance(schema, bool) or not isinstance(result.get("kind"), str):
        raise StoreError(
            f"{path} is no result of this project: it lacks a schema number or a kind",
            "move it out of the results folder",
        )
    if schema > SCHEMA:
        raise StoreError(
            f"{path} was written by a newer version: schema {schema}, this one reads up to {SCHEMA}",
            "update this project (git pull), or measure again with this version",
        )
    return result


def _there_is(most: int = 3) -> str:
    """The hint for a name that is none: the newest names that are."""
    try:
        names = [shown(entry.path) for entry in entries()][-most:]
    except StoreError:
        names = []
    if not names:
        return "results/ is empty: `load` and `sweep` keep what they measure there with --save"
    return f"the newest ones: {', '.join(reversed(names))}"


def entries(kind: str | None = None, *, folder: Path | str | None = None) -> list[Entry]:
    """Every result of the folder, oldest first; files that cannot be used are listed with their problem."""
    target = Path(folder) if folder is not None else RESULTS
    try:
        paths = [path for path in target.iterdir() if path.suffix == ".json" and not path.name.startswith(".")]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"{target} cannot be listed: {error.strerror}", "check the rights of the folder") from error
    found = [_entry(path) for path in paths]
    return sorted(
        (entry for entry in found if kind is None or entry.kind == kind),
        key=lambda entry: (entry.created_at, entry.path.name),
    )


def latest(kind: str, *, folder: Path | str | None = None) -> dict[str, Any]:
    """The newest usable result of a kind; StoreError where there is none."""
    found = entries(kind, folder=folder)
    usable = [entry for entry in found if not entry.problem]
    if usable:
        return load(usable[-1].path)
    damaged = f"; {len(found)} cannot be used, the newest: {found[-1].problem}" if found else ""
    raise StoreError(f"no result of the kind {kind!r} is stored{damaged}", "measure first, then ask again")


# --------------------------------------------------------------------------------------------------------- writing


def _write_whole(path: Path, text: str) -> None:
    """Write under a hidden name first, so that nobody ever sees half a file under the real one."""
    draft = path.with_name(f".{path.name}.part")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # some disks say "full" only here
        os.replace(draft, path)
    except BaseException:  # Ctrl-C leaves no half file behind either
        draft.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut; where folders cannot be opened (Windows) there is no way."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems refuse; the file is written all the same
        pass
    finally:
        os.close(descriptor)


def _not_saved(folder: Path, error: OSError, size_bytes: int) -> StoreError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        what = "the disk is full" if error.errno == errno.ENOSPC else "your disk quota is used up"
        return StoreError(
            f"the result was not saved in {folder}: {what} ({size_bytes / 1024:.0f} KiB were to be written)",
            f"free some space, or {_OTHER_FOLDER}",
        )
    if error.errno == errno.EFBIG:
        return StoreError(
            f"the result was not saved in {folder}: a file of {size_bytes / 1024:.0f} KiB is more than may be written",
            f"raise the limit (ulimit -f), or {_OTHER_FOLDER}",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StoreError(
            f"the result was not saved: the folder {folder} is not writable ({error.strerror})",
            f"give yourself the right to write there, or {_OTHER_FOLDER}",
        )
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return StoreError(f"the result was not saved: {folder} is not a folder", _OTHER_FOLDER)
    return StoreError(f"the result was not saved in {folder}: {error.strerror or error}", _OTHER_FOLDER)


def _as_json(value: Mapping[str, Any]) -> str:
    try:
        return json.dumps(_finite(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"the result cannot be stored as JSON: {error}", "store numbers, texts, lists and dicts only"
        ) from error


def _finite(value: Any) -> Any:
    """`value` with null for what JSON has no word for (infinity, not a number), and numpy's numbers as plain ones."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_key(key): _finite(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [_finite(item) for item in value]
    if hasattr(value, "tolist"):  # a numpy number or array
        return _finite(value.tolist())
    return value


def _key(key: Any) -> str:
    if not isinstance(key, (str, int)):
        raise TypeError(f"the key {key!r} is neither a text nor a whole number")
    return str(key)


# --------------------------------------------------------------------------------------------------------- reading


def _parsed(path: Path, text: bytes) -> dict[str, Any]:
    try:
        result = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StoreError(
            f"{path} is damaged: it is no valid JSON ({_where(error)})",
            "delete or move that file; the other results are untouched, and measuring again makes a new one",
        ) from error
    if not isinstance(result, dict):
        raise StoreError(f"{path} is no result of this project: no JSON object", "move it out of the results folder")
    return result


def _where(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}: {error.msg}"
    return str(error)


def _entry(path: Path) -> Entry:
    try:
        result = load(path)
    except StoreError as error:
        kind = re.sub(r"-\d{8}-.*$", "", path.stem)  # the name is all that is left to go by
        return Entry(path, kind, _created_by_name(path), error.message)
    return Entry(path, result["kind"], str(result.get("created_at", "")))


def _created_by_name(path: Path) -> str:
    stamp = re.search(r"-(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)-", path.name)
    return "{}-{}-{}T{}:{}:{}+00:00".format(*stamp.groups()) if stamp else ""
