"""What notebook 09 does to servers beside an incident: stops them in mid-request, watches them hang, sends bursts."""

import threading
import time

from helpers.server.server import Server
from helpers.teach.kinds import in_hand
from helpers.teach.together import Together, together

LOOK_S, WITHIN_S = 0.005, 10.0


def stop_in_mid_request(server: Server, path: str, *, requests: int, grace_s: float) -> Together:
    """Send so many requests at once, stop the server as soon as all are in hand, and say what became of them.

    `grace_s` is for how long the server may take its time before it is ended with SIGKILL.
    """
    stopper = threading.Thread(target=_stop_when_busy, args=(server, requests, grace_s), daemon=True)
    stopper.start()
    told = together(server.url, path, times=requests)
    stopper.join()
    return told


def _stop_when_busy(server: Server, requests: int, grace_s: float) -> None:
    end_s = time.monotonic() + WITHIN_S
    while in_hand(list(server.counts().values())) < requests and time.monotonic() < end_s:
        time.sleep(LOOK_S)
    server.stop(grace_s=grace_s)
