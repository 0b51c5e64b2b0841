"""A wire with a meter: what peers send each other over TCP, counted on its way."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: Bytes carried at once.
PIECE = 1 << 18


class Meter:
    """Carries connections to an address, and counts what comes back from there."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        #: Bytes that have left the address.
        self.bytes = 0

    @property
    def address(self) -> str:
        """Where to dial instead, as "host:port"."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def start(self) -> None:
        """Take connections, until `close`."""
        self._run(self._accept)

    def close(self) -> None:
        """Cut every connection, and wait for the threads."""
        for one in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                self._sockets += (near, far)
                self._run(self._carry, near, far, False)
                self._run(self._carry, far, near, True)

    def _carry(self, source: socket.socket, to: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(PIECE):
                if counted:
                    with self._lock:
                        self.bytes += len(data)
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)

    def _run(self, what: object, *arguments: object) -> None:
        thread = threading.Thread(target=what, args=arguments, daemon=True)  # type: ignore[arg-type]
        thread.start()
        self._threads.append(thread)


@contextmanager
def metered(address: str) -> Iterator[Meter]:
    """Give a meter in front of a peer that listens on "host:port"."""
    host, _, port = address.rpartition(":")
    meter = Meter(host, int(port))
    meter.start()
    try:
        yield meter
    finally:
        meter.close()
