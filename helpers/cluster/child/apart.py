"""A network of its own for a program: in it there is nothing but loopback, so what it opens nobody else can reach.

Run by file path: `apart.py PROGRAM ARGUMENT...` becomes that program in a new network namespace; without a program it
only tries, and its exit code says whether this user may. Linux alone has it. Standard library only.
"""

import ctypes
import os
import socket
import struct
import sys

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000  # linux/sched.h
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1  # linux/sockios.h, net/if.h
LOOPBACK = b"lo"


def enter() -> None:
    """Leave the machine's network for an empty one, with loopback up. OSError where that is not allowed.

    Without the administrator's rights in a user namespace, in which this user keeps its number. For a process with one
    thread only.
    """
    user, group = os.getuid(), os.getgid()
    try:
        _unshare(CLONE_NEWNET)
    except OSError:
        _unshare(CLONE_NEWUSER | CLONE_NEWNET)
        for name, text in (("setgroups", "deny"), ("gid_map", f"{group} {group} 1"), ("uid_map", f"{user} {user} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    _loopback_up()


def _unshare(what: int) -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(what) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _loopback_up() -> None:
    import fcntl  # not there on Windows

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", LOOPBACK, 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", LOOPBACK, flags | IFF_UP))


def main() -> None:
    if sys.platform != "linux":
        sys.exit("network namespaces are a mechanism of Linux")
    try:
        enter()
    except OSError as error:
        sys.exit(f"this user may not have a network of its own: {error.strerror}")
    if sys.argv[1:]:
        os.execv(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
