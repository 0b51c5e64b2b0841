"""Listening sockets: one port on every address, or a clear word about who has it.

IPv4 and IPv6 get a socket each, since one for both behaves differently on every
system. A machine without IPv6 has one socket less and is otherwise the same.
"""

from __future__ import annotations

import errno
import os
import socket

from p2pslinger.errors import UnavailableError

#: Connections that wait to be accepted.
BACKLOG = 256

#: Ports that the system chooses for IPv4 and that turn out to be taken for IPv6.
ANY_TRIES = 16

#: What it is called when there is no IPv6 here, or not this address of it.
ABSENT = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT}


class PortTakenError(UnavailableError):
    """Another process listens on this port; the text names it if it can be seen."""


def open_sockets(host: str | None, port: int) -> list[socket.socket]:
    """Return listening sockets that share one port; 0 lets the system choose it.

    Raises:
        PortTakenError: another process has the port.
        UnavailableError: the address is not one of this machine's.
    """
    if port:
        return _open(host, port)
    for _ in range(ANY_TRIES):
        try:
            return _open(host, 0)
        except PortTakenError:
            pass  # free for one family only; the system will choose another
    raise UnavailableError("the system gave no port that is free for IPv4 and IPv6")


def _open(host: str | None, port: int) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    try:
        for family, address in _addresses(host):
            if sockets:
                port = sockets[0].getsockname()[1]
            listener = _bind(family, address, port, needed=not sockets or bool(host))
            if listener is not None:
                sockets.append(listener)
    except BaseException:
        for listener in sockets:
            listener.close()
        raise
    return sockets


def _addresses(host: str | None) -> list[tuple[int, str]]:
    """Return the families and numeric addresses that `host` stands for."""
    if not host:
        return [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")]
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UnavailableError(
            f"can't listen on {host!r}: {error.strerror or error}"
        ) from None
    return list(dict.fromkeys((entry[0], str(entry[4][0])) for entry in found))


def _bind(
    family: int, address: str, port: int, *, needed: bool
) -> socket.socket | None:
    """Return a listening socket, or None if the machine lacks a family not needed."""
    listener = None
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
        if os.name == "posix":  # elsewhere it would let two processes share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setblocking(False)
        listener.bind((address, port))
        listener.listen(BACKLOG)
    except OSError as error:
        if listener is not None:
            listener.close()
        if error.errno in ABSENT and not needed:
            return None
        raise _translate(error, address, port) from error
    return listener


def _translate(error: OSError, address: str, port: int) -> UnavailableError:
    if error.errno == errno.EADDRINUSE:
        owner = owner_of(port)
        by = f" by {owner}" if owner else " by another process"
        return PortTakenError(
            f"port {port} is taken{by}: stop it, or choose another with --port"
        )
    if error.errno == errno.EACCES:
        return UnavailableError(
            f"port {port} may not be used without privileges: choose one above 1023 "
            "with --port"
        )
    return UnavailableError(f"can't listen on {address}, port {port}: {error.strerror}")


def owner_of(port: int) -> str:
    """Return who listens on a TCP port, as a message says it; "" if hidden."""
    import psutil  # only needed when something is wrong

    try:
        for entry in psutil.net_connections("tcp"):
            listens = entry.status == psutil.CONN_LISTEN
            if listens and entry.laddr and entry.laddr.port == port and entry.pid:
                return f"{psutil.Process(entry.pid).name()} (process {entry.pid})"
    except psutil.Error:
        pass  # other users' processes may be hidden
    return ""
