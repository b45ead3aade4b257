"""Programs that a test wants from outside Python: found, or the test is skipped; in CI a missing one is a failure."""

import os
import shutil
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
