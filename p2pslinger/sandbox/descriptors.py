"""Descriptors in pairs: one end for the daemon, the other for a process that it starts.

Each is given to the `ExitStack` of its side, so that nothing stays open when a system
that has no more of them refuses the next one.
"""

from __future__ import annotations

import os
import socket
import sys
from contextlib import ExitStack

from p2pslinger.sandbox import frames


def sockets(ours: ExitStack, theirs: ExitStack) -> tuple[socket.socket, socket.socket]:
    """Return both ends of a socket, of which ours never blocks."""
    our_end, their_end = socket.socketpair()
    ours.callback(our_end.close)
    theirs.callback(their_end.close)
    our_end.setblocking(False)
    return our_end, their_end


def pipe(ours: ExitStack, theirs: ExitStack) -> tuple[int, int]:
    """Return both ends of a pipe, of which ours reads and never blocks."""
    our_end, their_end = os.pipe()
    ours.callback(os.close, our_end)
    theirs.callback(os.close, their_end)
    os.set_blocking(our_end, False)
    return our_end, their_end


def shared_memory(ours: ExitStack) -> int:
    """Return a descriptor of a page that daemon and runner share."""
    if sys.platform == "linux":
        cells = os.memfd_create("slot", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    else:
        import tempfile

        with tempfile.TemporaryFile() as file:
            cells = os.dup(file.fileno())
    ours.callback(os.close, cells)
    os.ftruncate(cells, frames.CELLS_BYTES)
    if sys.platform == "linux":
        import fcntl

        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(cells, fcntl.F_ADD_SEALS, seals)
    return cells
