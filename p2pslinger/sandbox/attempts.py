"""What the probe tries from inside a slot. Sent there as source: standard library only.

Each attempt ends with an OSError where the slot is confined. Nothing is harmed where it
is not: the file is the probe's own, and the signal is number 0.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys


def attempt(name: str, file: str, process: int) -> None:
    """Try something, and print whether it was possible.

    Args:
        name: Of `ATTEMPTS`.
        file: Path of a file that others may not read, write or change.
        process: Id of a process of the same user, outside.
    """
    try:
        ATTEMPTS[name](file, process)
    except OSError as error:
        print(f"refused\t{name}\t{error}")
    else:
        print(f"possible\t{name}\t")


def _read(file: str, process: int) -> None:
    with open(file) as opened:
        opened.read()


def _write(file: str, process: int) -> None:
    with open(file, "a") as opened:
        opened.write("x")


def _change_mode(file: str, process: int) -> None:
    os.chmod(file, 0o600)


def _connect(file: str, process: int) -> None:
    with socket.socket() as sock:
        sock.settimeout(1)
        try:
            sock.connect(("127.0.0.1", 1))
        except ConnectionRefusedError:
            pass  # it was tried


def _send(file: str, process: int) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", ("127.0.0.1", 1))


def _signal(file: str, process: int) -> None:
    os.kill(process, 0)


def _look_into(file: str, process: int) -> None:
    with open(f"/proc/{process}/environ", "rb") as opened:
        opened.read()


def _fork(file: str, process: int) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _execute(file: str, process: int) -> None:
    child = os.posix_spawn(sys.executable, [sys.executable, "-c", ""], {})
    os.waitpid(child, 0)


def _unshare(file: str, process: int) -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(0x04000000):  # CLONE_NEWUTS
        raise OSError(ctypes.get_errno(), "unshare")


def _hoard(file: str, process: int) -> None:
    os.close(os.memfd_create("probe"))


ATTEMPTS = {
    "read files": _read,
    "write files": _write,
    "change files": _change_mode,
    "open connections": _connect,
    "send datagrams": _send,
    "signal processes": _signal,
    "look into processes": _look_into,
    "start processes": _fork,
    "run programs": _execute,
    "make namespaces": _unshare,
    "use memory that no limit counts": _hoard,
}
