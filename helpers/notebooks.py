"""Runs notebooks headless, as "Run All" in a fresh kernel would, and keeps the executed copies under results/."""

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from helpers import store
from helpers.errors import InputError

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
CELL_TIMEOUT_S = 300


@dataclass(frozen=True)
class Executed:
    """How one notebook ran: `error` is empty, or names the cell that failed and how; `copy` holds the outputs."""

    name: str
    seconds: float
    copy: Path
    error: str = ""

    def __str__(self) -> str:
        return f"{self.name:36} {'failed' if self.error else 'ok':7} {self.seconds:6.1f} s  {self.error}".rstrip()


def find(names: Iterable[str] = ()) -> list[Path]:
    """The notebooks of those names (`00`, `00_start_here`, or a path), all of the series by default."""
    series = sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))
    found = []
    for name in names:
        matching = [path for path in series if path.stem == name or path.stem.startswith(f"{name}_")]
        if Path(name).suffix == ".ipynb" and Path(name).is_file():
            matching = [Path(name)]
        if not matching:
            known = ", ".join(path.stem for path in series) or "none yet"
            raise InputError(f"there is no notebook {name!r}", f"name one of these, or a file: {known}")
        found += matching
    return found or series


def execute(notebook: Path, *, into: Path | None = None, env: Mapping[str, str] | None = None) -> Executed:
    """Run one notebook whole, in its own folder and a kernel of its own, and write the copy with its outputs.

    `env` is added to the kernel's environment. A failing cell ends the run and is reported, not raised.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    document = nbformat.read(notebook, as_version=4)
    client = NotebookClient(
        document,
        timeout=CELL_TIMEOUT_S,
        kernel_name="python3",
        resources={"metadata": {"path": str(notebook.resolve().parent)}},
    )
    into = store.RESULTS / "notebooks" if into is None else into
    into.mkdir(parents=True, exist_ok=True)
    copy = into / notebook.name
    error = ""
    began = time.monotonic()
    try:
        client.execute(env={**os.environ, **(env or {})})
    except CellExecutionError as failure:
        error = f"{failure.ename}: {failure.evalue}".splitlines()[0]
    except (CellTimeoutError, DeadKernelError) as failure:
        error = str(failure).splitlines()[0]
    finally:
        nbformat.write(document, copy)
    return Executed(notebook.stem, time.monotonic() - began, copy, error)
