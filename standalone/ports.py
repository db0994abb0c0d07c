"""TCP ports: the usual ones, and free ones where those are taken."""

from __future__ import annotations

import errno
import socket

LOOPBACK = "127.0.0.1"


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on `port` of `host` at this moment.

    A port that the caller may not use (below 1024, say) counts as taken.

    Raises:
        OSError: `host` is not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connections are still in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def free_port(preferred: int, host: str = LOOPBACK, taken: frozenset[int] = frozenset()) -> int:
    """`preferred` if it is free, else one that the operating system hands out; never one of `taken`."""
    if preferred not in taken and is_free(preferred, host):
        return preferred
    while True:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((host, 0))
            port: int = probe.getsockname()[1]
        if port not in taken:
            return port
