"""Big values that arrive as a body: gathered in memory that can be handed on.

What has to be checked is named while it comes: a piece is hashed while the processor
still has it at hand. What would be copied out of a list at the end is in its place
already.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from typing import cast

from p2pslinger.errors import PeerError, UnavailableError
from p2pslinger.ids import BlobId
from p2pslinger.net.body import Body
from p2pslinger.sandbox.memory import LEAST, MemoryFile, UnsealedError, has_room
from p2pslinger.store.gathering import Gathering, Plain
from p2pslinger.wire.blobs import Digester


def gathering(size: int) -> Gathering:
    """Return memory for so many bytes, which can be handed on if that pays.

    Raises:
        OSError: there is none.
    """
    return MemoryFile() if size >= LEAST and has_room() else Plain(size)


async def arrived(
    body: Body, sizes: Sequence[int], *, named: bool = True
) -> list[tuple[bytes, BlobId | None]]:
    """Read values of these sizes, one behind the other; return each with its name.

    Args:
        body: Where they come.
        sizes: Theirs.
        named: Whether anybody wants to know their names; else they are None.

    Raises:
        PeerError: the body has more bytes than they, or fewer.
        UnavailableError: there is no memory for them.
        ConnectionLostError: it has ended too early.
    """
    with ExitStack() as end:
        end.callback(body.close)
        try:
            values = [_Value(size, named) for size in sizes]
            for value in values:
                end.callback(value.memory.close)
            coming = deque(values)

            def take(piece: bytes) -> None:
                while piece:
                    if not coming:
                        raise PeerError(f"sent a body of more than {sum(sizes)} bytes")
                    piece = coming[0].take(piece)
                    if not coming[0].left:
                        coming.popleft()

            await body.pour(take)
            if coming:
                raise PeerError(f"sent a body of fewer than {sum(sizes)} bytes")
            return [value.finish() for value in values]
        except (OSError, UnsealedError) as error:
            text = f"there is no memory for {sum(sizes):,} bytes of results: {error}"
            raise UnavailableError(text) from None


class _Value:
    """One value, as far as it has come."""

    def __init__(self, size: int, named: bool) -> None:
        self.memory = gathering(size)
        self.left = size
        self._size = size
        self._digester = Digester() if named else None

    def take(self, piece: bytes) -> bytes:
        """Take what is ours of a piece; return the rest."""
        ours = piece if len(piece) <= self.left else piece[: self.left]
        self.memory.write_at(self._size - self.left, ours)
        if self._digester is not None:
            self._digester.update(ours)
        self.left -= len(ours)
        return piece[len(ours) :]

    def finish(self) -> tuple[bytes, BlobId | None]:
        """Return the value, which is read like any bytes, and its name."""
        name = None if self._digester is None else self._digester.chunks().blob
        return cast(bytes, self.memory.seal()), name
