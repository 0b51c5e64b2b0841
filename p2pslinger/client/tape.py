"""A pickle's bytes, and the numbers and texts among them.

No length that is read here reserves any memory: what is not there is not taken.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import cast

I4 = struct.Struct("<i")
U2 = struct.Struct("<H")
U4 = struct.Struct("<I")
_F8 = struct.Struct(">d")


class Tape:
    """Bytes that are read once, and a stack for what they say.

    Args:
        data: They.
        buffers: What lies outside of them.

    Attributes:
        at: Where it is read.
        stack: What has been said, the last thing last.
        outside_size: Bytes outside.
    """

    def __init__(self, data: bytes | memoryview, buffers: Sequence[memoryview]) -> None:
        self.data = bytes(data)
        self.at = 0
        self.stack: list[object] = []
        self.outside_size = sum(one.nbytes for one in buffers)
        self._buffers = iter(buffers)

    def take(self, size: int) -> bytes:
        """Return the next bytes.

        Raises:
            ValueError: there are not so many.
        """
        start, self.at = self.at, self.at + size
        if self.at > len(self.data):
            raise ValueError("it is cut short")
        return self.data[start : self.at]

    def number(self, form: struct.Struct) -> int:
        """Return the next number of fixed size."""
        return cast(int, form.unpack(self.take(form.size))[0])

    def skip(self, size: int) -> None:
        """Pass over what says nothing."""
        self.take(size)

    def push_integer(self, form: struct.Struct) -> None:
        """Take a number of fixed size."""
        self.stack.append(self.number(form))

    def small(self) -> None:
        """Take a number of a byte."""
        self.stack.append(self.take(1)[0])

    def integer(self, size: int) -> None:
        """Take a number of any size."""
        length = int.from_bytes(self.take(size), "little", signed=size == 4)
        if length < 0:
            raise ValueError("a number of negative size")
        self.stack.append(int.from_bytes(self.take(length), "little", signed=True))

    def real(self) -> None:
        """Take a float."""
        self.stack.append(_F8.unpack(self.take(8))[0])

    def string(self, size: int) -> None:
        """Take a string, whose length has so many bytes."""
        length = int.from_bytes(self.take(size), "little")
        self.stack.append(self.take(length).decode("utf-8", "surrogatepass"))

    def string_of_bytes(self, size: int) -> None:
        """Take bytes."""
        self.stack.append(self.take(int.from_bytes(self.take(size), "little")))

    def changeable(self) -> None:
        """Take bytes that can be changed."""
        self.stack.append(bytearray(self.take(int.from_bytes(self.take(8), "little"))))

    def outside(self) -> None:
        """Take what lies outside."""
        try:
            self.stack.append(next(self._buffers))
        except StopIteration:
            raise ValueError("it refers to a buffer that has not come") from None

    def push(self, value: object) -> None:
        """Take a constant."""
        self.stack.append(value)
