"""Ports that we listen on: taken before an address is printed, refused with what to do instead."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack

from liq_pipeline.errors import SettingsError

_BACKLOG = 512
_FREE_PORT = "--port N, with a port that is free"
_WHY = {
    errno.EADDRINUSE: ("is in use by another program", _FREE_PORT),
    errno.EACCES: ("needs rights that this user does not have", "--port N, above 1023"),
    errno.EADDRNOTAVAIL: ("is not an address of this machine", "--host 127.0.0.1, ::1 or 0.0.0.0"),
    errno.EAFNOSUPPORT: ("is of a kind that this machine does not have", "--host 127.0.0.1"),
}


def web_address(host: str, port: int) -> str:
    """Return the URL of a host and port; an IPv6 address stands in brackets."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def take_port(host: str, port: int) -> list[socket.socket]:
    """Return sockets that listen at every address of `host`; port 0 takes a free one, the same for all.

    Raises:
        SettingsError: the port is in use, or host and port cannot be listened on.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise SettingsError(
            f"{host} cannot be listened on: {getattr(error, 'strerror', None) or error}",
            remedy="--host 127.0.0.1, ::1 or 0.0.0.0",
        ) from None
    with ExitStack() as taken:
        sockets: list[socket.socket] = []
        for family, kind, protocol, _, place in found:
            listener = taken.enter_context(socket.socket(family, kind, protocol))
            try:
                _listen(listener, (place[0], port, *place[2:]))
            except OSError as error:
                if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) and place != found[-1][4]:
                    continue  # such as ::1 of localhost on a machine without IPv6
                if sockets and error.errno != errno.EADDRINUSE:
                    continue
                why, remedy = _WHY.get(error.errno or 0, (error.strerror or str(error), _FREE_PORT))
                raise SettingsError(f"port {port} of {host} {why}", remedy=remedy) from None
            port = listener.getsockname()[1]
            sockets.append(listener)
        taken.pop_all()
    return sockets


def _listen(listener: socket.socket, place: tuple[object, ...]) -> None:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that ended a moment ago is no obstacle
    if listener.family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.bind(place)
    listener.listen(_BACKLOG)
