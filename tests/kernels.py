"""A real kernel, spoken to as JupyterLab speaks to it: a cell is started, and heard until it is over."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from helpers.notebooks import FOLDER

LONG_S = 120.0


class Kernel:
    """The kernel of one notebook, or of one person."""

    def __init__(self, manager: KernelManager) -> None:
        self.manager = manager
        self.client: BlockingKernelClient = manager.client()
        self.client.start_channels()

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self.manager.provisioner.pid)  # type: ignore[union-attr]

    def await_ready(self) -> None:
        self.client.wait_for_ready(timeout=LONG_S)

    def start(self, source: str) -> str:
        """The message by which the outcome of this cell can be asked for."""
        return str(self.client.execute(source))

    def outcome(self, message: str) -> tuple[str, str]:
        """The name of the error that the cell ended with, or nothing; and all that it printed or showed."""
        error, said = "", ""
        while True:
            found = self.client.get_iopub_msg(timeout=LONG_S)
            if found["parent_header"].get("msg_id") != message:
                continue
            content = found["content"]
            if found["msg_type"] == "status" and content["execution_state"] == "idle":
                return error, said
            if found["msg_type"] == "error":
                error = content["ename"]
                said += "\n".join(content["traceback"])
            said += content.get("text", "") + "".join(map(str, content.get("data", {}).values()))

    def run(self, source: str) -> tuple[str, str]:
        return self.outcome(self.start(source))

    def hears(self, message: str) -> str:
        """What a cell without an error printed or showed."""
        error, said = self.outcome(message)
        assert error == "", said
        return said

    def says(self, source: str) -> str:
        return self.hears(self.start(source))


@contextmanager
def kernel(folder: Path = FOLDER, **env: str) -> Iterator[Kernel]:
    """A kernel in that folder at the quick pace; it may not be ready yet."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(folder), env={**os.environ, "LAB_PACE": "quick", **env})
    one = Kernel(manager)
    try:
        yield one
    finally:
        one.client.stop_channels()
        manager.shutdown_kernel(now=True)
