"""Memory that one slot is lent: arguments lie in it, and room for its values is given.

Large arguments go in beside their frames; large values are written to an area and come
back as memory. What a slot has got it can keep for as long as it lives, and no limit of
a process counts it: so a stranger's slot gets so much and no more, and no area.
"""

from __future__ import annotations

import math
import os
from typing import cast

from p2pslinger.sandbox import frames
from p2pslinger.sandbox.link import Link
from p2pslinger.sandbox.memory import (
    LEAST,
    UnsealedError,
    area,
    descriptor,
    has_room,
    in_memory,
    seal,
    take,
)
from p2pslinger.sandbox.passing import PassingSocket


class Lending:
    """The daemon's end of it.

    Args:
        link: Carries the frames.
        most: Bytes that the slot may get as memory, in all; without bounds it is one
            that may be given an area as well.

    Attributes:
        socket: What carries memory to the slot, if anything does.
    """

    def __init__(self, link: Link, most: float = math.inf) -> None:
        self.socket: PassingSocket | None = None
        self._link = link
        self._left = most
        self._area: int | None = None
        self._large = False

    def send(self, kind: int, beside: int, head: bytes, data: bytes) -> None:
        """Send a frame soon, with its data as memory if it is large.

        Args:
            kind: Of a frame with its data inside.
            beside: Of a frame whose data is memory.
            head: What the frame begins with.
            data: What follows.
        """
        lent = self.socket is not None and len(data) <= self._left
        memory = in_memory(data) if lent else data
        fd = descriptor(memory)
        if fd is None or self.socket is None or not lent:
            self._link.hold(kind, head, data)
        else:
            self._left -= len(data)
            name = self.socket.give(fd)
            self._link.hold(beside, head, frames.MEMORY.pack(name, len(data)))

    def offer_area(self) -> None:
        """Give memory for large values, if the last ones were large."""
        if not self._large or self._area is not None or self._left < math.inf:
            return  # a stranger's: what it writes is not counted, nor can be taken back
        if self.socket is not None and has_room():
            self._area = area(frames.FRAME_BYTES)
            name = self.socket.give(self._area)
            memory = frames.MEMORY.pack(name, frames.FRAME_BYTES)
            self._link.hold(frames.AREA, memory)

    def values(self, rest: memoryview, beside: int) -> bytes:
        """Return values: the frame's rest, or so many bytes `beside` it in the area.

        Raises:
            NonsenseError: they are not there, or could still be changed.
        """
        if not beside:
            self._large = len(rest) >= LEAST
            return bytes(rest)
        fd, self._area = self._area, None
        if fd is None or len(rest):
            raise frames.NonsenseError("values in memory that it was not given")
        try:
            seal(fd)
        except UnsealedError as error:
            os.close(fd)
            raise frames.NonsenseError(str(error)) from None
        try:
            return cast(bytes, take(fd, beside))  # read like any others
        except UnsealedError as error:
            raise frames.NonsenseError(str(error)) from None

    def close(self) -> None:
        """Give the area up."""
        if self._area is not None:
            os.close(self._area)
            self._area = None
