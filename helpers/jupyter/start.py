"""The command that opens JupyterLab on the course: no question about news, its address printed, the rest as usual."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

CONFIG = Path(__file__).parent / "config"  # holds labconfig/page_config.json: the news prompt is off
FIRST = "notebooks/00_start_here.ipynb"


def command(passed_on: Sequence[str] = ()) -> list[str]:
    """The command line, to be run in the project's folder; `passed_on` goes to JupyterLab as it is."""
    opened = [f"--LabApp.default_url=/lab/tree/{FIRST}"]  # also where --no-browser only prints the address
    quiet = ["--ServerApp.log_level=WARN", "--LabApp.log_level=WARN"]  # the address remains, and what goes wrong
    as_root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []  # a container, mostly
    return [sys.executable, "-m", "jupyterlab", *opened, *quiet, *as_root, *passed_on]


def environment() -> dict[str, str]:
    """The environment for it: our page settings in front of the user's own, which stay as they are."""
    paths = [str(CONFIG), *filter(None, [os.environ.get("JUPYTER_CONFIG_PATH")])]
    return {**os.environ, "JUPYTER_CONFIG_PATH": os.pathsep.join(paths)}
