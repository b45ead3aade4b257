"""Runs a program that knows nothing of us, such as redis-server, and sees to it that it does not outlive its owner.

`python -m helpers.server.guard LOG PROGRAM ARGUMENTS`, started by lifeline with `group=True`: this process leads a
process group in which the program and all that it starts live. On Linux the kernel kills the whole group when the owner
ends, and the program when this process ends. The program's log is kept short.
"""

import os
import signal
import subprocess
import sys
from functools import partial
from types import FrameType

from helpers import lifeline
from helpers.server.child import log_cap


def end_group(number: int = 0, frame: FrameType | None = None) -> None:
    os.kill(0, signal.SIGKILL)


def main() -> None:
    lifeline.die_with_owner()
    if os.name == "posix":
        signal.signal(signal.SIGTERM, end_group)  # nothing of the program's is worth a farewell
    with_us = partial(lifeline.die_with_parent, os.getpid()) if lifeline.ON_LINUX else None
    log_cap.start(sys.argv[1])
    code = subprocess.Popen(sys.argv[2:], close_fds=False, preexec_fn=with_us).wait()
    if code < 0:  # it was killed: what it had started may live on
        end_group()
    sys.exit(code)


if __name__ == "__main__":
    main()
