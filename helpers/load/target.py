"""Whom to load: the parts of a URL, and the address behind it, which is this machine's unless another one is named."""

import ipaddress
import socket
from urllib.parse import quote, urlsplit

from helpers.errors import InputError, TargetError


def split_url(url: str) -> tuple[str, int, str]:
    """Host, port and target (path and query) of an http URL; InputError when it is none."""
    example = "Write it like http://127.0.0.1:5012/cpu"
    if not isinstance(url, str) or not url.strip():
        raise InputError(f"the URL is {url!r}", f"{example}.")
    if any(character.isspace() or not character.isprintable() for character in url):
        raise InputError(f"the URL {url!r} contains a space or a control character", f"{example}; a space is %20.")
    if "://" not in url:
        raise InputError(f"the URL {url!r} does not say http://", f"Write http://{url.lstrip('/')}.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InputError(f"the URL {url!r} is malformed: {error}", f"{example}.") from None
    if parts.scheme == "https":
        raise InputError(
            f"the URL {url!r} says https, but load is sent as plain http",
            "Write http:// and the port on which the server itself listens (uvicorn speaks http).",
        )
    if parts.scheme != "http" or not parts.hostname:
        raise InputError(f"the URL {url!r} is no http address with a host", f"{example}.")
    if parts.username is not None:
        raise InputError("the URL contains a user name", 'Send it as headers={"authorization": ...} instead.')
    if port == 0:
        raise InputError(f"the URL {url!r} has port 0", f"{example}, with the port the server listens on.")
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    if parts.query:
        target += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~-._?[]")
    return parts.hostname, port or 80, target


def resolve(host: str, port: int, allow_host: str | None) -> tuple[str, bool]:
    """The address to load and whether it is this machine's own; TargetError when that may not be loaded."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise TargetError(
            f"the host {host!r} cannot be resolved ({error})", "Check its spelling; a server here is 127.0.0.1."
        ) from None
    addresses = [str(entry[4][0]) for entry in found]
    foreign = [address for address in addresses if not ipaddress.ip_address(address.partition("%")[0]).is_loopback]
    if foreign and allow_host != host:
        raise TargetError(
            f"{host} is not this machine: it resolves to {foreign[0]}",
            "A load test slows down or stops whatever it hits, so only loopback addresses are loaded. "
            f'If that server is yours and may be loaded, say so with allow_host="{host}".',
        )
    # most servers bind 127.0.0.1 alone, also where "localhost" means ::1 first
    return min(addresses, key=lambda address: ":" in address), not foreign


def bracketed(host: str) -> str:
    """The host as it stands in a URL and in the Host header."""
    return f"[{host}]" if ":" in host else host
