"""How fast 64 MiB go in as an argument, and come out as a result.

On this machine through an own slot, and over TLS through another peer's. Raw TLS is
measured in the same run: the same certificates and ciphers, two processes, blocking
sockets, and nothing else.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import ssl
import statistics
import sys
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing.connection import Connection

import p2pslinger as slinger
from benchmarks.figures import seconds, show
from p2pslinger.net.certificates import SERVER_NAME, contexts
from p2pslinger.wire import authkey
from p2pslinger.wire.authkey import Authkey
from p2pslinger.wire.identity import Identity

RUNS = 5

SIZE = 64 << 20
GIGA = 1e9

#: Part of raw TLS that payloads over TLS are to reach.
PART = 0.7


def take(data: bytes) -> int:
    """Take an argument."""
    return len(data)


def give(size: int) -> bytes:
    """Give a result: made once in each process, so that making it is not measured."""
    if not hasattr(sys, "benchmark_payload"):
        setattr(sys, "benchmark_payload", os.urandom(size))  # noqa: B010 - for mypy
    data: bytes = getattr(sys, "benchmark_payload")  # noqa: B009 - for mypy
    return data


def rates(act: Callable[[], object]) -> list[float]:
    """Return the GB/s of several runs, after one that is not counted."""
    act()
    return [SIZE / GIGA / seconds(act) for _ in range(RUNS)]


def measure(name: str, executor: Executor, least: float | None = None) -> None:
    """Print how fast an executor carries arguments and results."""
    data = os.urandom(SIZE)

    def send() -> None:
        assert executor.submit(take, data).result() == SIZE

    def fetch() -> None:
        assert len(executor.submit(give, SIZE).result()) == SIZE

    show(f"64 MiB argument, {name}", rates(send), "GB/s", least=least)
    show(f"64 MiB result, {name}", rates(fetch), "GB/s", least=least)


# --- raw TLS ------------------------------------------------------------------------


def serve(pipe: Connection, identity: bytes, key: Authkey) -> None:
    """Send 64 MiB for each byte that comes, until the other end leaves."""
    data = memoryview(os.urandom(SIZE))
    server, _ = contexts(Identity(identity), key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pipe.send(listener.getsockname()[1])
        accepted, _ = listener.accept()
        with server.wrap_socket(accepted, server_side=True) as connection:
            while connection.recv(1):
                connection.sendall(data)


def receive(connection: ssl.SSLSocket, into: memoryview) -> None:
    """Ask for 64 MiB and read them."""
    connection.sendall(b"x")
    read = 0
    while read < SIZE:
        read += connection.recv_into(into[read:])


def raw_tls() -> list[float]:
    """Return the GB/s of plain TLS between two processes."""
    key = authkey.from_random(os.urandom(40))
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, os.urandom(32), key))
    process.start()
    _, client = contexts(Identity(os.urandom(32)), key)
    into = memoryview(bytearray(SIZE))
    with (
        socket.create_connection(("127.0.0.1", mine.recv())) as plain,
        client.wrap_socket(plain, server_hostname=SERVER_NAME) as connection,
    ):
        measured = rates(lambda: receive(connection, into))
    process.join()
    return measured


def main() -> None:
    """Measure own slots, another peer's, raw TLS and the standard library's pool."""
    with slinger.local(peers=1, slots=1) as grid:
        measure("own machine", grid, least=0.8)
    raw = raw_tls()
    show("64 MiB, raw TLS", raw, "GB/s")
    with slinger.local(peers=2, slots=[0, 1]) as grid:
        measure("over TLS", grid, least=PART * statistics.median(raw))
    with ProcessPoolExecutor(1) as pool:
        measure("stdlib pool", pool)


if __name__ == "__main__":
    main()
