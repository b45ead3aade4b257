"""Several servers behind one address, as an incident sees them: who serves, and what each has begun and finished."""

from helpers.server.nginx import Nginx
from helpers.server.server import Server


class Hosts:
    """Servers with a port each, standing for hosts, and nginx in front; whoever made them starts and stops them."""

    def __init__(self, front: Nginx, *servers: Server) -> None:
        self._front, self._servers = front, servers
        self._gone: dict[int, tuple[int, int]] = {}  # what was seen last of launches that have ended

    @property
    def url(self) -> str:
        """The one address."""
        return self._front.url

    @property
    def worker_pids(self) -> list[int]:
        """The workers that serve, also those of a host that gets no request now."""
        return [pid for server in self._servers for pid in server.worker_pids]

    def counts(self) -> dict[int, tuple[int, int]]:
        """Per worker's pid, those gone included: requests started and finished."""
        for server in self._servers:
            if server.state != "stopped":
                self._gone |= server.counts()
        return dict(self._gone)
