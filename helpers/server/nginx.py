"""nginx in front of servers: one address, and it chooses who gets each request."""

import http.client
import os
import signal
import socket
import time
import weakref
from collections.abc import Sequence
from string import Template
from typing import Literal
from urllib.parse import urlsplit

from helpers import proc
from helpers.errors import InputError, StateError
from helpers.server.companion import HOST, LOOK_EVERY_S, Companion, Run
from helpers.server.front import Front

METHODS = ("least_conn", "round_robin")
Method = Literal["least_conn", "round_robin"]
FRONT_PATH = "/.lab/front"
OPEN_FILES = 16_384
RELOAD_WITHIN_S = 10.0

# One worker process: several would each count the connections to the upstreams for themselves. Its connections to an
# upstream end before uvicorn closes them (5 s), else a request now and then goes to one that is just being closed.
# The servers' own headers (see child/instrument.py) are told under the name of this launch, adjacent as they were.
CONFIG = Template("""
daemon off;
worker_processes 1;
worker_rlimit_nofile $open_files;
pid $folder/nginx.pid;
error_log stderr notice;
$user
events { worker_connections $connections; }
http {
    access_log off;
    client_body_temp_path $folder/body;
    proxy_temp_path $folder/proxy;
    fastcgi_temp_path $folder/fastcgi;
    uwsgi_temp_path $folder/uwsgi;
    scgi_temp_path $folder/scgi;
    keepalive_requests 1000000000;
    upstream servers {
        $method
        $servers
        keepalive 512;
        keepalive_timeout 4s;
        keepalive_requests 1000000000;
    }
    map $$upstream_http_x_launch_id $$lab_launch { default ""; "~." $launch; }
    server {
        listen $host:$port backlog=4096;
        location = $front_path { return 200 "$launch $generation"; }
        location = /.lab { proxy_pass http://$host:$front_port; }
        location / {
            proxy_pass http://servers;
            proxy_http_version 1.1;
            proxy_set_header Host $$http_host;
            proxy_set_header Connection "";
            proxy_hide_header x-worker-pid;
            proxy_hide_header x-launch-id;
            proxy_hide_header x-handled-ns;
            proxy_hide_header x-started-ns;
            add_header x-worker-pid $$upstream_http_x_worker_pid always;
            add_header x-launch-id $$lab_launch always;
            add_header x-handled-ns $$upstream_http_x_handled_ns always;
            add_header x-started-ns $$upstream_http_x_started_ns always;
        }
    }
}
""")


class Nginx(Companion):
    """nginx in front of the servers at these addresses: `with Nginx([one.url, two.url]) as nginx: ...`.

    `method` says who gets a request: the one with the fewest in hand ("least_conn"), or each in its turn
    ("round_robin"). A server that refuses is passed over for 10 s, and a GET that it did not answer goes to the next.
    A load test of `url` knows the workers behind it. Raises InputError for an address or a method that cannot be.
    """

    program = "nginx"
    scheme = "http"
    install = "Debian, Ubuntu, WSL: apt-get install nginx; macOS: brew install nginx"

    def __init__(self, upstreams: Sequence[str], *, method: Method = "least_conn", port: int | None = None) -> None:
        super().__init__(port=port)
        if method not in METHODS:
            raise InputError(f"method={method!r} is unknown", f"choose one of: {', '.join(METHODS)}")
        self._method = method
        self._addresses = _addresses(upstreams)
        self._generation = 0

    @property
    def upstreams(self) -> list[str]:
        """The addresses among which it chooses now."""
        return list(self._addresses)

    def set_upstreams(self, upstreams: Sequence[str]) -> None:
        """Choose among these from now on, while it serves: requests in hand are ended where they are.

        Connections that are idle at that moment are closed. Raises InputError, StateError.
        """
        addresses = _addresses(upstreams)
        with self._lock:
            self._addresses = addresses
            run = self._run
            if run is None:
                return
            if run.over():
                raise StateError("nginx has died", "its log says how far it came; start() starts it again")
            self._configure(run)
            before = set(proc.listening_pids(run.port)) - {run.pid}
            os.kill(run.pid, signal.SIGHUP)
            deadline = time.monotonic() + RELOAD_WITHIN_S
            while not self._answers(run) or before & set(proc.listening_pids(run.port)):
                if run.over() or time.monotonic() > deadline:
                    raise StateError("nginx did not take over its new upstreams", "its log says why: nginx.log")
                time.sleep(LOOK_EVERY_S)

    def _arguments(self, run: Run) -> list[str]:
        self._front = Front(run.id, HOST, run.folder / "nginx.pid")
        weakref.finalize(run, self._front.close)
        self._configure(run)
        return ["-p", str(run.folder), "-c", str(run.folder / "nginx.conf")]

    def _configure(self, run: Run) -> None:
        self._generation += 1
        self._front.add(self._addresses)
        open_files = _open_files()
        settings = CONFIG.substitute(
            folder=run.folder,
            host=HOST,
            port=run.port,
            front_port=self._front.port,
            front_path=FRONT_PATH,
            launch=run.id,
            generation=self._generation,
            user=_user(),
            open_files=open_files,
            connections=open_files // 2,  # two for each request: the client's, and the upstream's
            method="least_conn;" if self._method == "least_conn" else "",
            servers=" ".join(f"server {address};" for address in self._addresses.values()),
        )
        draft = run.folder / "nginx.conf.new"
        draft.write_text(settings)
        draft.replace(run.folder / "nginx.conf")

    def _answers(self, run: Run) -> bool:
        connection = http.client.HTTPConnection(HOST, run.port, timeout=1.0)
        try:
            connection.request("GET", FRONT_PATH, headers={"connection": "close"})
            return connection.getresponse().read() == f"{run.id} {self._generation}".encode()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _about(self) -> list[str]:
        return [f"{self._method} over {', '.join(self._addresses)}"]


def _addresses(upstreams: Sequence[str]) -> dict[str, str]:
    """Per URL the address and port, as nginx writes them. Raises InputError."""
    if isinstance(upstreams, str) or not isinstance(upstreams, Sequence) or not upstreams:
        raise InputError(
            f"upstreams={upstreams!r} is no list of addresses", "give the servers' own: [one.url, two.url]"
        )
    return {url: _address(url) for url in upstreams}


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        bare = parts.scheme == "http" and parts.path in ("", "/") and not parts.query
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM) if host and port and bare else []
    except (OSError, ValueError, AttributeError, UnicodeError) as error:
        raise InputError(
            f"the upstream {url!r} cannot be used ({error})", "write it like http://127.0.0.1:5012"
        ) from None
    if not found:
        raise InputError(f"the upstream {url!r} is no address of a server", "write it like http://127.0.0.1:5012")
    address = min((str(each[4][0]) for each in found), key=lambda each: ":" in each)  # uvicorn binds IPv4 by default
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _user() -> str:
    """A master run by root would give its worker to an account that may not enter the run's folder."""
    if os.geteuid() != 0:
        return ""
    import grp
    import pwd

    root = pwd.getpwuid(0)
    return f"user {root.pw_name} {grp.getgrgid(root.pw_gid).gr_name};"


def _open_files() -> int:
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
