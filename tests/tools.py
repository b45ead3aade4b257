"""Programs that a test wants from outside Python: found, or the test is skipped; in CI a missing one is a failure."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest


def require(name: str) -> str:
    """The path of the program `name`."""
    path = shutil.which(name, path=os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin")
    if path is None:
        unavailable(f"the program {name} is not installed")
    return path


def unavailable(reason: str) -> NoReturn:
    """End this test: skipped, or failed where everything has to run (LAB_REQUIRE_ALL=1)."""
    __tracebackhide__ = True
    if os.environ.get("LAB_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system of that size (such as "64k") in the folder; only root on Linux can have one."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    if os.name != "posix" or os.geteuid() != 0 or subprocess.run(command).returncode:
        pytest.skip("a small file system can only be mounted by root on Linux")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)
