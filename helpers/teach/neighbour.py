"""A busy neighbour: another program that keeps one core busy, for a lesson about measurements that it spoils."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from helpers import lifeline

PROGRAM = "from helpers.lifeline import die_with_owner; die_with_owner()\nwhile True: pass"


@contextmanager
def busy_neighbour() -> Iterator[None]:
    """Keep one core busy for the length of a `with` block, in a process that cannot outlive this one."""
    child = lifeline.spawn([sys.executable, "-c", PROGRAM])
    try:
        yield
    finally:
        child.process.kill()
        child.process.wait()
        child.cut()
