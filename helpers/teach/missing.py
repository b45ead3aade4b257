"""A cell run before the one that it builds on: says in words which one comes first."""

import ast
import json
import os
from pathlib import Path
from typing import Any

from helpers.teach.widgets import shell


def explain_missing_names() -> None:
    """From now on a NameError in this notebook is followed by the cell that makes the name. No effect elsewhere."""
    running = shell()
    if running is None:
        return

    def explain(shell: Any, kind: type[BaseException], error: NameError, trace: Any, tb_offset: Any = None) -> None:
        shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
        if error.name:
            print(comes_first(error.name, open_notebook()))

    running.set_custom_exc((NameError,), explain)


def open_notebook() -> Path | None:
    """The notebook that this kernel belongs to, as Jupyter's server names it; None where it does not."""
    named = os.environ.get("JPY_SESSION_NAME", "")
    path = Path(named)
    return next((each for each in (path, Path.cwd() / path.name) if named and each.is_file()), None)


def comes_first(name: str, notebook: Path | None) -> str:
    """One line for a name that does not exist yet: the section and the cell of the notebook that makes it."""
    found = None if notebook is None else maker(name, notebook)
    where = "a cell above makes it" if found is None else f"it is made under “{found[0]}”, by the cell `{found[1]}`"
    advice = 'Run the cells above first: menu Run, "Run All Above Selected Cell".'
    return f"`{name}` does not exist yet: {where}.\n{advice}"


def maker(name: str, notebook: Path) -> tuple[str, str] | None:
    """Heading and first line of the first cell that binds the name; None where none does, or nothing can be read."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError):
        return None
    heading = ""
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            titles = [line.lstrip("# ") for line in source.splitlines() if line.startswith("#")]
            heading = titles[-1] if titles else heading
        elif name in bound(source):
            return heading, source.splitlines()[0]
    return None


def bound(source: str) -> set[str]:
    """The names that a cell makes: by assignment, import, `def`, `with` or `for`."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a cell with a magic
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
    return names
