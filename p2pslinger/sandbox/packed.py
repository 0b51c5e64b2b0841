"""How arguments go into a slot and values come out of it.

Packed items are a count, that many lengths, and the items joined: all numbers 32 bits,
little-endian. `p2pslinger.wire.packed` does the same for programs. What runs beside
hostile code imports nothing from there, so it is said twice.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence, Sized
from itertools import accumulate, pairwise
from struct import Struct

#: Forms of a shard. A pickled list of plain scalars; of tuples of plain scalars; packed
#: items that each pickle `(args, kwargs)`; packed items that each pickle one argument.
PLAIN, STAR, CALLS, ITEMS = range(4)

#: Forms of values. A pickled list of plain scalars, None where a task failed; packed
#: items that each pickle one value, empty where a task failed.
SCALAR_VALUES, ITEM_VALUES = range(2)

#: Bytes of values and failures after which a run stops early: so much of its work is
#: under way to its submitter before the rest is computed.
RUN_BYTES = 4 << 20

#: Largest value of one task, pickled, bytes: a run's values are one frame in memory.
VALUE_BYTES = 256 << 20

_COUNT = Struct("<I")


def pack_items(items: Sequence[bytes]) -> bytes:
    """Join items into one."""
    return b"".join((items_head(items), *items))


def items_head(items: Sequence[Sized]) -> bytes:
    """Return what comes before the items when they are joined."""
    lengths = array("I", map(len, items))
    if sys.byteorder == "big":
        lengths.byteswap()
    return _COUNT.pack(len(items)) + lengths.tobytes()


def items_head_size(count: int) -> int:
    """Return the bytes that come before so many items."""
    return _COUNT.size * (1 + count)


def unpack_items(data: bytes | memoryview) -> list[memoryview]:
    """Return the items, without copying them.

    Raises:
        ValueError: These are not packed items.
    """
    view = memoryview(data)
    (count,) = _COUNT.unpack_from(data) if len(data) >= _COUNT.size else (1 << 32,)
    first = _COUNT.size * (1 + count)
    if first > len(data):
        raise ValueError(f"{len(data)} bytes can't hold {count} packed items")
    lengths = array("I")
    lengths.frombytes(view[_COUNT.size : first])
    if sys.byteorder == "big":
        lengths.byteswap()
    borders = list(accumulate(lengths, initial=first))
    if borders[-1] != len(data):
        raise ValueError(f"{len(data)} bytes, but the items take {borders[-1]}")
    return [view[low:high] for low, high in pairwise(borders)]
