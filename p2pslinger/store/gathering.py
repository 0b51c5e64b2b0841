"""Memory that a blob is gathered in, from pieces that come in any order.

What it becomes is a view that is read like bytes. On Linux the peer gives the store
memory that can be handed to other processes as it is; anywhere else this will do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Gathering(Protocol):
    """Memory in the making. Ends by `seal` or `close`; errors of it are `OSError`s."""

    def write_at(self, offset: int, data: bytes | memoryview) -> None:
        """Put bytes at their place."""

    def read_at(self, offset: int, size: int) -> bytes:
        """Return bytes that were written."""

    def seal(self) -> bytes | memoryview:
        """Return all that was written, which nobody can change any more."""

    def close(self) -> None:
        """Throw it away."""


#: Makes memory for so many bytes.
Gather = Callable[[int], Gathering]


class Plain:
    """Memory of this process."""

    def __init__(self, size: int) -> None:
        self._data = bytearray(size)

    def write_at(self, offset: int, data: bytes | memoryview) -> None:
        """See `Gathering.write_at`."""
        self._data[offset : offset + len(data)] = data

    def read_at(self, offset: int, size: int) -> bytes:
        """See `Gathering.read_at`."""
        return bytes(memoryview(self._data)[offset : offset + size])

    def seal(self) -> memoryview:
        """See `Gathering.seal`."""
        return memoryview(self._data).toreadonly()

    def close(self) -> None:
        """See `Gathering.close`."""
        self._data = bytearray()
