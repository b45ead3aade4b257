"""One request, one record of 56 bytes: the layout that the engine writes and `result` reads.

Kept apart from both, so that the engine never imports numpy and the reader never imports the engine.
"""

import struct
from collections import deque
from io import FileIO

# intended, sent, first byte, done, handled, started (ns of the machine-wide monotonic clock, 0: did not happen),
# connection, worker (index into the table of pids, 0: unknown), outcome, flags
LAYOUT = struct.Struct("<qqqqqqIHBB")
FIELDS: list[tuple[str, str]] = [
    ("intended_ns", "<i8"),
    ("sent_ns", "<i8"),
    ("first_ns", "<i8"),
    ("done_ns", "<i8"),
    ("handled_ns", "<i8"),
    ("started_ns", "<i8"),
    ("connection", "<u4"),
    ("worker", "<u2"),
    ("outcome", "u1"),
    ("flags", "u1"),
]
OUTCOMES = (
    "ok",
    "http_4xx",
    "http_5xx",
    "body_mismatch",
    "refused",
    "reset",
    "stale_conn",
    "connect_timeout",
    "timeout",
    "protocol",
    "not_sent",
    "aborted",
)
(OK, HTTP_4XX, HTTP_5XX, BODY_MISMATCH, REFUSED, RESET) = range(6)
(STALE_CONN, CONNECT_TIMEOUT, TIMEOUT, PROTOCOL, NOT_SENT, ABORTED) = range(6, 12)

FLAG_FRESH = 1  # the request had to wait for its connection to open
FLAG_FOREIGN = 2  # answered by another launch of the server than the one that was asked before the run
FLAG_RETRY = 4  # not the first attempt; which one it is (1, 2, ...) stands in the upper four bits
ATTEMPT_SHIFT = 4

_CHUNK_RECORDS = 2048
_TIMES = struct.Struct("<qqqq")
_OUTCOME_AT = 54
_SAMPLED = 128  # of a chunk: enough for a live view, at a hundredth of what the requests themselves cost
_REMEMBERED = 8192


class Recorder:
    """Appends records to a small chunk in memory, which goes to the file when full and at every progress line."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._chunk = bytearray(_CHUNK_RECORDS * LAYOUT.size)
        self._pack = LAYOUT.pack_into
        self._at = 0
        self._end = len(self._chunk)
        self._written = 0
        self.failed = 0
        self.recent: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED)  # (done, response) of a sample, ns

    @property
    def count(self) -> int:
        return self._written + self._at // LAYOUT.size

    def add(
        self,
        intended_ns: int,
        sent_ns: int,
        first_ns: int,
        done_ns: int,
        handled_ns: int,
        started_ns: int,
        connection: int,
        worker: int,
        outcome: int,
        flags: int,
    ) -> None:
        at = self._at
        self._pack(
            self._chunk, at, intended_ns, sent_ns, first_ns, done_ns,
            handled_ns, started_ns, connection, worker, outcome, flags,
        )  # fmt: skip
        self._at = at = at + 56
        if outcome:
            self.failed += 1
        if at == self._end:
            self.flush()

    def flush(self) -> None:
        self._remember()
        self._file.write(memoryview(self._chunk)[: self._at])
        self._written += self._at // LAYOUT.size
        self._at = 0

    def _remember(self) -> None:
        stride = LAYOUT.size * max(1, self._at // LAYOUT.size // _SAMPLED)
        for at in range(0, self._at, stride):
            if self._chunk[at + _OUTCOME_AT] != NOT_SENT:
                intended_ns, _sent_ns, _first_ns, done_ns = _TIMES.unpack_from(self._chunk, at)
                self.recent.append((done_ns, done_ns - intended_ns))
