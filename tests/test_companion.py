"""companion.py and nginx.py: programs that are not ours, on ports of their own, ready when they answer, and then gone."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress

import pytest
import redis

from helpers import proc
from helpers.errors import InputError, PortError, StartError, StateError
from helpers.server import registry
from helpers.server.companion import Redis
from tests.serving import ROOT, can_be_bound, free_port, launch_folders, state_folder
from tests.tools import require
from tests.waiting import await_true

pytestmark = pytest.mark.usefixtures("state_folder")
__all__ = ["state_folder"]
linux_only = pytest.mark.skipif(not proc.LINUX, reason="a Linux mechanism")


@pytest.fixture
def installed():
    require("redis-server")


def client(server: Redis) -> redis.Redis:
    return redis.Redis.from_url(server.url)


# -------------------------------------------------------------------------------------------------------------- Redis


def test_a_started_redis_answers_and_a_stopped_one_is_gone(installed):
    server = Redis()
    assert server.state == "stopped"
    assert server.start() is server
    pid, port, members = server.pid, server.port, proc.session(os.getpgid(server.pid))
    assert (server.state, server.start().pid) == ("ready", pid)
    with client(server) as connection:
        assert connection.incr("n") == 1
        assert connection.info("server")["process_id"] == pid
        assert connection.info("server")["tcp_port"] == port != 6379
    server.stop()
    server.stop()
    assert server.state == "stopped"
    assert not any(proc.alive(each) for each in members)
    assert can_be_bound(port)
    assert launch_folders() == []
    assert "Ready to accept connections" in server.log
