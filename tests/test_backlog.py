"""The kernel's queue in front of a listening socket, by `ss` and by /proc."""

import socket
import sys
from pathlib import Path

import pytest

from helpers.server import backlog
from helpers.server.backlog import Backlog, parse_proc, parse_ss, read_backlog, somaxconn

SS = (
    "LISTEN 3      8          127.0.0.1:5012       0.0.0.0:*\nLISTEN 0      4096       127.0.0.1:15012      0.0.0.0:*\n"
)
PROC = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1394 00000000:0000 0A 00000000:00000003 00:00000000 00000000     0        0 73 1 0 100 0 0 10 0
   1: 0100007F:1394 0100007F:C001 01 00000000:00000099 00:00000000 00000000     0        0 74 1 0 100 0 0 10 0
"""
linux = pytest.mark.skipif(sys.platform != "linux", reason="another system has neither ss nor /proc")


def test_the_lines_of_ss_are_read_for_this_very_port() -> None:
    assert parse_ss(SS, 5012) == Backlog(3, 8)
    assert parse_ss(SS, 15012) == Backlog(0, 4096)
    assert parse_ss(SS, 12) is None
    assert parse_ss("", 5012) is None


def test_proc_tells_the_same_number_of_the_listening_socket_alone_and_no_limit() -> None:
    assert parse_proc(PROC, 5012) == Backlog(3, None)
    assert parse_proc(PROC, 5013) is None


def test_a_system_that_tells_nothing_is_none_and_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog.shutil, "which", lambda _name: None)
    assert read_backlog(5012, proc=tmp_path) is None
    assert somaxconn(proc=tmp_path) is None


@linux
@pytest.mark.parametrize("with_ss", [True, False])
def test_connections_that_nobody_takes_in_are_counted(with_ss: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not with_ss:
        monkeypatch.setattr(backlog.shutil, "which", lambda _name: None)
    with socket.socket() as door, socket.socket() as one, socket.socket() as two:
        door.bind(("127.0.0.1", 0))
        door.listen(8)
        port = door.getsockname()[1]
        for number, client in enumerate((one, two), 1):
            client.connect(("127.0.0.1", port))
            found = read_backlog(port)
            assert found is not None
            assert found.waiting == number
            assert found.limit in (8, None)
        door.accept()[0].close()
        found = read_backlog(port)
        assert found is not None
        assert found.waiting == 1
    assert read_backlog(port) is None


@linux
def test_the_kernel_caps_what_is_asked_for() -> None:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen(1_000_000)
        found = read_backlog(door.getsockname()[1])
    assert found is not None
    assert found.limit in (somaxconn(), None)
