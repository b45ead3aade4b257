"""The addresses of this machine, and whether anybody listens on a port of one of them."""

import socket

TIMEOUT_S = 1.0


def own_addresses() -> list[str]:
    """The IPv4 addresses of this machine, 127.0.0.1 first."""
    import psutil

    found = [
        entry.address
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        if entry.family == socket.AF_INET
    ]
    return sorted(set(found), key=lambda address: (address != "127.0.0.1", address))


def reachable(address: str, port: int) -> bool:
    """Whether a connection can be opened there."""
    with socket.socket() as trial:
        trial.settimeout(TIMEOUT_S)
        return trial.connect_ex((address, port)) == 0
