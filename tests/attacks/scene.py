"""What an attacker would like to get at: an owner's files, programs and services.

Everything is the test's own. A scene tells afterwards what has been done to it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Protocol

KEY = "the owner's key"

#: Seconds until what was done to a process shows.
SHOWS = 2.0


class Sights(Protocol):
    """What an attacker is told, so that it need not search.

    Attributes:
        key: A file that only its owner may read.
        folder: Where it lies.
        victim: Process id of a program of the owner's.
        tcp, udp: Ports of services on the loopback device.
        path: A datagram socket of a service, by path.
        abstract: Name of a stream socket of a service that has no path.
        token: Something new, for names.
        descriptor: Number of a descriptor of the key, open in the daemon.
        siblings: Process ids of other slots, and of what makes them.
    """

    key: str
    folder: str
    victim: int
    tcp: int
    udp: int
    path: str
    abstract: str
    token: str
    descriptor: int
    siblings: list[int]


class Scene:
    """A scene while it lasts."""

    def __init__(self, stack: ExitStack) -> None:
        folder = Path(tempfile.mkdtemp(prefix="owner"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        self._key = folder / "key"
        self._key.touch(mode=0o600)
        self._key.write_text(KEY)
        self._key.chmod(0o600)
        self._folder = folder
        self._before = self._state()
        self._victim = stack.enter_context(_program())
        self._visitors: list[str] = []
        token = secrets.token_hex(8)
        services = {
            "tcp": _bound(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            "udp": _bound(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            "path": _bound(socket.AF_UNIX, socket.SOCK_DGRAM, f"{folder}/log"),
            "abstract": _bound(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{token}"),
        }
        self._before = self._state()
        for name, service in services.items():
            thread = threading.Thread(target=self._serve, args=(name, service))
            thread.start()
            stack.callback(_close, service, thread)
        descriptor = os.open(self._key, os.O_RDONLY)
        os.set_inheritable(descriptor, True)
        stack.callback(os.close, descriptor)
        # Of a class that is known inside slots as well.
        self.sights: Sights = SimpleNamespace(
            key=str(self._key),
            folder=str(folder),
            victim=self._victim.pid,
            tcp=services["tcp"].getsockname()[1],
            udp=services["udp"].getsockname()[1],
            path=f"{folder}/log",
            abstract=token,
            token=token,
            descriptor=descriptor,
            siblings=[self._victim.pid],
        )

    def harm(self) -> list[str]:
        """Return what has been done here."""
        harm = list(self._visitors)
        if self._state() != self._before:
            harm.append("files are not as they were")
        if self._victim.poll() is not None:
            harm.append("a program was ended")
        return harm

    def wait_for_the_victim(self) -> None:
        """Give a signal the time to work."""
        try:
            self._victim.wait(SHOWS)
        except subprocess.TimeoutExpired:
            pass

    def _state(self) -> object:
        try:
            facts = self._key.stat()
            files = sorted(p.name for p in self._folder.iterdir())
            return files, facts.st_mode, facts.st_nlink, self._key.read_text()
        except OSError as error:
            return str(error)

    def _serve(self, name: str, service: socket.socket) -> None:
        while True:
            try:
                if service.type == socket.SOCK_STREAM:
                    service.accept()[0].close()
                else:
                    service.recv(100)
            except OSError:
                return
            self._visitors.append(f"somebody was at {name}")


@contextmanager
def scene() -> Iterator[Scene]:
    """Set a scene, and remove it afterwards."""
    with ExitStack() as stack:
        yield Scene(stack)


@contextmanager
def _program() -> Iterator[subprocess.Popen[bytes]]:
    program = subprocess.Popen(["/bin/sleep", "600"], env={"SECRET": KEY})
    try:
        yield program
    finally:
        program.kill()
        program.wait()


def _bound(family: int, kind: int, address: object) -> socket.socket:
    service = socket.socket(family, kind)
    service.bind(address)  # type: ignore[arg-type]
    if kind == socket.SOCK_STREAM:
        service.listen()
    return service


def _close(service: socket.socket, thread: threading.Thread) -> None:
    try:
        service.shutdown(socket.SHUT_RDWR)  # wakes the thread
    except OSError:
        pass  # a datagram socket says that it is not connected, and wakes too
    service.close()
    thread.join()
