"""Many byte strings in one: how tasks and values lie next to each other.

    count u32 | count lengths u32 | the bytes, joined          (little-endian)

The lengths come first and together, so that both directions run at C speed: nothing
here is a Python loop over the bytes. A slot carries its own copy of this layout,
because it imports nothing that knows keys.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

from p2pslinger.errors import PeerError

#: Bytes of the count and of each length.
WORD = 4

#: Lengths are 32-bit words: the array type of that size, which C leaves open.
_CODE = next(code for code in "ILH" if array(code).itemsize == WORD)


def pack_items(items: Sequence[bytes]) -> bytes:
    """Join `items`, each below 4 GiB, so that `unpack_items` can part them."""
    return b"".join((pack_head(map(len, items)), *items))


def pack_head(sizes: Iterable[int]) -> bytes:
    """Encode what goes before items of these sizes, for who joins them himself."""
    lengths = array(_CODE, sizes)
    _to_little_endian(lengths)
    return struct.pack("<I", len(lengths)) + lengths.tobytes()


def unpack_items(data: bytes | memoryview) -> list[memoryview]:
    """Part what `pack_items` joined; the parts are views of `data`, not copies.

    Raises:
        PeerError: The lengths do not add up to `data`.
    """
    whole = memoryview(data)
    ends = _ends(whole)
    return [whole[start:end] for start, end in pairwise(ends)]


def _ends(whole: memoryview) -> list[int]:
    """Where each item begins, and where the last one ends."""
    if len(whole) < WORD:
        raise PeerError(f"sent packed items of {len(whole)} bytes, without a count")
    (count,) = struct.unpack_from("<I", whole)
    head = WORD * (count + 1)
    if head > len(whole):
        raise PeerError(f"sent {len(whole)} bytes and called them {count} packed items")
    lengths = array(_CODE)
    lengths.frombytes(whole[WORD:head])
    _to_little_endian(lengths)
    ends = list(accumulate(lengths, initial=head))
    if ends[-1] != len(whole):
        raise PeerError(
            f"sent {count} packed items of {ends[-1]} bytes in {len(whole)} bytes"
        )
    return ends


def _to_little_endian(words: array[int]) -> None:
    """Swap bytes where the machine is not little-endian; the same both ways."""
    if sys.byteorder == "big":
        words.byteswap()
