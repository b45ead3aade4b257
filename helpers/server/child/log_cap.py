"""Keeps a log file from filling the disk. Standard library only: it runs inside the server's processes."""

import os
import threading
import time

CAP_BYTES = 16 * 2**20
KEPT_BYTES = 2**20
LOOK_EVERY_S = 0.25


def start(path: str) -> None:
    """From now on: past the cap only the log's last part stays. Writers append: none is disturbed."""
    threading.Thread(target=_keep_short, args=(path,), daemon=True, name="lab-log-cap").start()


def _keep_short(path: str) -> None:
    while True:
        time.sleep(LOOK_EVERY_S)
        try:
            if os.path.getsize(path) > CAP_BYTES:
                with open(path, "r+b") as log:
                    log.seek(-KEPT_BYTES, os.SEEK_END)
                    kept = log.read().partition(b"\n")[2]
                    log.truncate(0)
                with open(path, "ab") as log:
                    log.write(b"[the log passed %d MB; earlier lines were dropped]\n" % (CAP_BYTES >> 20) + kept)
        except OSError:  # the owner has removed the launch's folder: nothing is left to cap
            return
