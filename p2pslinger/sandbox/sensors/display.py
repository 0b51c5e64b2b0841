"""When somebody last used the mouse or keyboard of an X display.

    we      hello, with the cookie of ~/.Xauthority         server
            <- which screens there are
            is there MIT-SCREEN-SAVER?       <- its number
            what about the first screen?     <- milliseconds without input

Spoken by hand, because Xlib ends the whole process when a display goes away. Not for
Xwayland, which sees the input of X programs only.
"""

from __future__ import annotations

import os
import re
import socket
import struct
from collections.abc import Mapping

#: Seconds that a display may take to answer; it is on this machine.
PATIENCE = 1.0

#: Longest answer that is read, bytes: the list of screens is some kilobytes.
LONGEST = 1 << 18

#: Requests: is there such an extension; its second request, about a window.
_QUERY_EXTENSION, _QUERY_INFO = 98, 1

_EXTENSION = b"MIT-SCREEN-SAVER"
_COOKIE = b"MIT-MAGIC-COOKIE-1"

_LOCAL = re.compile(r"(?:unix)?:(\d+)(?:\.\d+)?")


class NoDisplayError(OSError):
    """The display can't be asked; the text says why."""


def idle(environ: Mapping[str, str], sockets: str = "/tmp/.X11-unix") -> float:
    """Return the seconds since input on the display that the environment names.

    Raises:
        OSError: there is none, or it does not say.
    """
    match = _LOCAL.fullmatch(environ.get("DISPLAY", ""))
    if match is None:
        raise NoDisplayError("no display of this machine is named")
    number = match[1]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as display:
        display.settimeout(PATIENCE)
        display.connect(f"{sockets}/X{number}")
        window = _greet(display, _cookie(environ, number))
        return _ask(display, window)


def _greet(display: socket.socket, cookie: bytes) -> int:
    """Say hello; return the first screen's root window."""
    name = _COOKIE if cookie else b""
    hello = struct.pack("<cxHHHHxx", b"l", 11, 0, len(name), len(cookie))
    display.sendall(hello + _padded(name) + _padded(cookie))
    accepted, _, _, _, words = struct.unpack("<BBHHH", _take(display, 8))
    rest = _take(display, 4 * words)
    if accepted != 1:
        raise NoDisplayError("the display does not let us in")
    if len(rest) < 32:
        raise NoDisplayError("the display said too little")
    # release, ids, mask, motion, vendor, request, screens, formats, ... 32 bytes
    vendor, _, screens, formats = struct.unpack_from("<HHBB", rest, 16)
    at = 32 + vendor + -vendor % 4 + 8 * formats
    if not screens or at + 4 > len(rest):
        raise NoDisplayError("the display has no screen")
    return int(struct.unpack_from("<I", rest, at)[0])


def _ask(display: socket.socket, window: int) -> float:
    """Return the seconds without input."""
    name = _padded(_EXTENSION)
    words = 2 + len(name) // 4
    head = struct.pack("<BxHHxx", _QUERY_EXTENSION, words, len(_EXTENSION))
    display.sendall(head + name)
    present, opcode = struct.unpack_from("<BB", _answer(display), 8)
    if not present:
        raise NoDisplayError("the display has no MIT-SCREEN-SAVER")
    display.sendall(struct.pack("<BBHI", opcode, _QUERY_INFO, 2, window))
    # window, ms until or since the screen saver, ms without input
    milliseconds = struct.unpack_from("<I", _answer(display), 16)[0]
    return float(milliseconds) / 1000


def _answer(display: socket.socket) -> bytes:
    answer = _take(display, 32)
    if answer[0] != 1:
        raise NoDisplayError("the display refused a question")
    (words,) = struct.unpack_from("<I", answer, 4)
    return answer + _take(display, 4 * words)


def _take(display: socket.socket, size: int) -> bytes:
    if size > LONGEST:
        raise NoDisplayError("the display said too much")
    data = b""
    while len(data) < size:
        piece = display.recv(size - len(data))
        if not piece:
            raise NoDisplayError("the display hung up")
        data += piece
    return data


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _cookie(environ: Mapping[str, str], number: str) -> bytes:
    """Return the secret that lets us in, or nothing."""
    home = environ.get("HOME", "")
    path = environ.get("XAUTHORITY") or os.path.join(home, ".Xauthority")
    try:
        with open(path, "rb") as file:
            return find_cookie(file.read(LONGEST), number)
    except OSError:
        return b""


def find_cookie(data: bytes, number: str) -> bytes:
    """Return the secret of a display from an .Xauthority file's bytes."""
    at = 0
    while at + 2 <= len(data):
        at += 2  # the family: any host's will do, it is for this machine's socket
        fields = []
        for _ in range(4):  # address, display, name, secret
            if at + 2 > len(data):
                return b""
            (size,) = struct.unpack_from(">H", data, at)
            fields.append(data[at + 2 : at + 2 + size])
            at += 2 + size
        _, display, name, secret = fields
        if name == _COOKIE and display in {number.encode(), b""}:
            return secret
    return b""
