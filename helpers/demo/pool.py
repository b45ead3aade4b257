"""A pool of processes for Python work: none of them outlives the worker that it belongs to."""

import os
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait

from helpers.demo.work import burn


def process_pool(processes: int) -> ProcessPoolExecutor:
    """A pool whose processes are started already. They import afresh (spawn): a copy of a running server is unsafe."""
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=end_with_parent)
    list(pool.map(burn, [20] * processes))
    return pool


def end_with_parent() -> None:
    """End this process when its parent is gone. A pool closes itself when it can; a killed worker cannot."""
    threading.Thread(target=_watch, daemon=True, name="end-with-parent").start()


def _watch() -> None:
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
