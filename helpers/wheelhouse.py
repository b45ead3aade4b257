"""A wheelhouse: a folder with every package in it, from which the course installs without a network.

`python3 -m helpers wheelhouse DIR` fills it, `python3 -m helpers lab --wheelhouse DIR` installs from it. A manifest in
the folder says for which Python and system it was gathered; one folder can hold several. Standard library alone.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers import venv
from helpers.venv import SetupError

MANIFEST = "lab-wheelhouse.json"
PINNED = re.compile(r"([\w.-]+)(?:\[.*?\])?==([^\s;]+)$")
AGAIN = "gather it where there is a network, on a machine like this one: python3 -m helpers wheelhouse DIR"


@dataclass(frozen=True)
class Wheelhouse:
    """A folder that `gather` has filled."""

    folder: Path

    def check(self, group: str, version: str) -> None:
        """Raise SetupError where it cannot serve: no wheelhouse, for another Python or system, or a package missing."""
        if not self.folder.is_dir():
            raise SetupError(f"there is no folder {self.folder}", "name the one that `wheelhouse DIR` has filled")
        held, here = _held(self.folder), _kind(version)
        if not held:
            unfinished = "nothing was gathered into it, or not to the end"
            raise SetupError(f"{self.folder} is no wheelhouse: {unfinished}", AGAIN)
        if here not in held:
            others = "; ".join(map(_words, held))
            raise SetupError(f"{self.folder} was gathered for {others}, and this is {_words(here)}", AGAIN)
        if missing := self._missing(group):
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            lacks = f"{self.folder}, gathered for {_words(here)}, lacks {', '.join(missing[:5])}{more}"
            raise SetupError(lacks, AGAIN + (" --cluster" if group in ("cluster", "all") else ""))

    def settings(self) -> dict[str, str]:
        """What pip's environment needs so that it asks nobody else; a URL, since pip splits a path at its spaces."""
        return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": self.folder.resolve().as_uri()}

    def hint(self, errors: list[str]) -> str:
        """The way out where pip fails all the same."""
        return venv.MAKE_SPACE if venv.is_full(errors) else f"the wheelhouse is not whole: {AGAIN}"

    def _missing(self, group: str) -> list[str]:
        """The pinned packages, and those that build the project, that have no file here."""
        files = [path.name.split("-")[:2] for path in self.folder.glob("*.whl")]
        there = {(name.lower(), version) for name, version in files}
        names = {name for name, _ in there}
        pins = [match.groups() for match in map(PINNED.match, wanted(group)) if match]
        lacking = [f"{name} {version}" for name, version in pins if (_plain(name), version) not in there]
        builders = [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in build_needs()]
        return lacking + [name for name in builders if _plain(name) not in names]


def gather(folder: Path, group: str = "lab") -> str:
    """Fill `folder` with the packages of `group` and all that they need; returns one line for people.

    With a network, in a Python that has the project's packages; what has to be built is built here. Raises SetupError.
    """
    asked = ["-c", str(venv.ROOT / "requirements.lock"), *wanted(group), *build_needs()]
    here = _kind(venv.running_version())
    venv.say(f"gathering the packages of {', '.join(venv.REQUIREMENTS[group])} for {_words(here)} in {folder}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        others = [kind for kind in _held(folder) if kind != here]
        _write(folder, others)  # until all is there, nothing is promised
        with venv.open_lock() as lock:
            arguments = ["wheel", "--progress-bar", "off", "--wheel-dir", str(folder.resolve()), *asked]
            errors = venv.run_pip(sys.executable, arguments, lock, {})
        if errors:
            hint = "look at the network, the proxy (https_proxy) and pip's index (PIP_INDEX_URL), and run it again"
            hint = venv.MAKE_SPACE if venv.is_full(errors) else hint
            raise SetupError(f"pip could not gather the packages: {errors[-1]}", hint)
        _write(folder, [*others, here])
        files = list(folder.glob("*.whl"))
        size_mb = sum(file.stat().st_size for file in files) / 1e6
    except OSError as error:
        hint = venv.MAKE_SPACE if error.errno == venv.NO_SPACE else "name a folder where you may write"
        raise SetupError(f"cannot gather packages in {folder}: {error.strerror or error}", hint) from error
    install = f"python3 -m helpers lab --wheelhouse {shlex.quote(str(folder))}"
    return f"{len(files)} packages, {size_mb:.0f} MB, for {_words(here)}: {install}"


def wanted(group: str) -> list[str]:
    """The lines of the requirement files that name a package."""
    lines = [
        line.strip()
        for name in venv.REQUIREMENTS[group]
        for line in (venv.ROOT / name).read_text(encoding="utf-8").splitlines()
    ]
    return [line for line in lines if line and line[0] not in "#-"]


def build_needs() -> list[str]:
    """What pip wants before it can install the project itself (`-e .`): the build back-end of pyproject.toml."""
    import tomllib

    try:
        project = tomllib.loads((venv.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return list(project.get("build-system", {}).get("requires", []))


def _plain(name: str) -> str:
    """A package's name as the names of wheels have it."""
    return re.sub(r"[-_.]+", "_", name).lower()


def _kind(version: str) -> dict[str, str]:
    """What the files of a wheelhouse depend on: the Python, and the system."""
    libc = (platform.libc_ver()[0] or "musl") if sys.platform == "linux" else ""
    return {"python": version, "system": f"{platform.system()} {platform.machine()} {libc}".strip()}


def _words(kind: dict[str, str]) -> str:
    return f"Python {kind['python']} on {kind['system']}"


def _held(folder: Path) -> list[dict[str, str]]:
    """For which Pythons and systems it was gathered to the end; none where the manifest is absent or damaged."""
    try:
        told: Any = json.loads((folder / MANIFEST).read_bytes())
        return [{name: str(kind[name]) for name in ("python", "system")} for kind in told["held"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _write(folder: Path, held: list[dict[str, str]]) -> None:
    draft = folder / f".{MANIFEST}.part"
    draft.write_text(json.dumps({"schema": 1, "held": held}, indent=1) + "\n", encoding="utf-8")
    os.replace(draft, folder / MANIFEST)
