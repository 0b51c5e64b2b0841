"""Values that a program shares with its tasks: a handle travels, the value waits there.

A handle says which bytes it stands for. They come to each process once, however many
tasks refer to them, and are decoded when the first of them asks. The program that has
shared a value finds the object itself behind its handle.

    count u64 | count sizes u64 | parts, each from a multiple of 64 on  (little-endian)

The first part is a pickle; the others are the buffers that it leaves out, which are
not copied: a NumPy array is a view on what came, and can't be written to.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from struct import Struct
from typing import Generic, ParamSpec, TypeVar, cast

#: The form of the bytes that is described above; there is no other yet.
PARTS = 0

#: What each part's beginning is a multiple of, bytes: a cache line, and more than any
#: element of an array needs.
ALIGNED = 64

#: Parts of one value, at most: a bound for what is read from a stranger.
MOST_PARTS = 1 << 20

_NUMBER = Struct("<Q")

T_co = TypeVar("T_co", covariant=True)
P = ParamSpec("P")
R = TypeVar("R")


class Shared(Generic[T_co]):
    """A handle: made by `grid.share`, and passed to tasks in place of the value.

    Args:
        digest: Names the bytes.
        size: How many they are.
        form: How they hold the value.
    """

    __slots__ = ("__weakref__", "digest", "form", "size")

    def __init__(self, digest: bytes, size: int, form: int) -> None:
        self.digest = digest
        self.size = size
        self.form = form

    @property
    def value(self) -> T_co:
        """The value; tasks must not change it, for others use the same object.

        Raises:
            LookupError: it is not in this process.
        """
        held = _held.get(self.digest)
        if held is None:
            raise LookupError(
                "this shared value is not in this process: hand its handle to the task "
                "as an argument, or use it in the function that the grid is given"
            )
        return cast(T_co, held.load(self.form))

    def __reduce__(self) -> tuple[object, ...]:
        """Be a handle elsewhere; whoever packs is told of it."""
        noted = getattr(_noting, "noted", None)
        if noted is not None:
            noted.append(self)
        return Shared, (self.digest, self.size, self.form)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shared) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"<shared value of {self.size:,} bytes>"


def noting(
    pack: Callable[P, R], *args: P.args, **kwargs: P.kwargs
) -> tuple[R, list[Shared[object]]]:
    """Return what `pack` returns, and the handles that it has pickled."""
    before = getattr(_noting, "noted", None)
    _noting.noted = noted = list[Shared[object]]()
    try:
        return pack(*args, **kwargs), noted
    finally:
        _noting.noted = before


_noting = threading.local()


# --- what is in this process --------------------------------------------------------


@dataclass
class _Held:
    """A value that is here.

    Attributes:
        users: Who needs it: a slot's jobs, or the handles of a program.
        data: Its bytes, until it is decoded.
        loaded: It is decoded.
    """

    users: set[Hashable] = field(default_factory=set)
    data: bytes | memoryview = b""
    loaded: bool = False
    value: object = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def load(self, form: int) -> object:
        """Return the value; decode it if nobody has asked before."""
        with self.lock:
            if not self.loaded:
                self.value = unpack(form, self.data)
                self.loaded, self.data = True, b""
        return self.value


_held: dict[bytes, _Held] = {}

#: Guards it. Reentrant: a handle's end may be noticed anywhere, here as well.
_lock = threading.RLock()


def hold(digest: bytes, data: bytes | memoryview, user: Hashable) -> None:
    """Keep a value's bytes for someone; no bytes, if they are here for another."""
    with _lock:
        held = _held.get(digest) or _Held(data=data)
        held.users.add(user)
        _held[digest] = held


def hold_value(digest: bytes, value: object, user: Hashable) -> None:
    """Keep a value itself for someone."""
    with _lock:
        held = _held.get(digest) or _Held(loaded=True, value=value)
        held.users.add(user)
        _held[digest] = held


def release(digest: bytes, user: Hashable) -> None:
    """Let a value go, as far as someone is concerned."""
    with _lock:
        held = _held.get(digest)
        if held is not None:
            held.users.discard(user)
            if not held.users:
                _held.pop(digest, None)


def release_all(user: Hashable) -> None:
    """Let everything go that someone needed."""
    for digest in list(_held):
        release(digest, user)


# --- bytes --------------------------------------------------------------------------


def pack(data: bytes, buffers: Sequence[memoryview]) -> Iterator[bytes | memoryview]:
    """Yield what holds a pickle and its buffers, to be joined."""
    parts = [memoryview(data), *(buffer.cast("B") for buffer in buffers)]
    head = b"".join(_NUMBER.pack(n) for n in (len(parts), *map(len, parts)))
    at = len(head)
    yield head
    for part in parts:
        if gap := -at % ALIGNED:
            yield bytes(gap)
        yield part
        at += gap + len(part)


def pack_value(data: bytes, buffers: Sequence[memoryview]) -> list[bytes | memoryview]:
    """Return a value's item, which keeps its buffers outside of its pickle.

    A pickle never begins with its first byte. The first piece is to be replaced with
    `padding` when it is known where the item lies.
    """
    return [padding(0), *pack(data, buffers)]


def padding(at: int) -> bytes:
    """Return the beginning of such an item, so that what follows is aligned.

    Args:
        at: Where the item begins.
    """
    gap = -(at + _NUMBER.size) % ALIGNED
    return _NUMBER.pack(gap << 8) + bytes(gap)


def unpack_value(item: memoryview) -> list[memoryview]:
    """Return the pickle in an item, and its buffers if it keeps them outside.

    Raises:
        ValueError: it begins like one that does, and does not.
    """
    if len(item) < _NUMBER.size or item[0]:
        return [item]
    gap: int = _NUMBER.unpack_from(item)[0] >> 8
    return _parts(item[_NUMBER.size + gap :])


def unpack(form: int, data: bytes | memoryview) -> object:
    """Decode a value, whose arrays are views on `data`.

    Raises:
        ValueError: these are not its bytes.
        Exception: what its own code raises.
    """
    if form != PARTS:
        raise ValueError(f"a shared value of form {form}: is this software too old?")
    whole = memoryview(data).toreadonly()
    first, *rest = _parts(whole)
    return pickle.loads(first, buffers=rest)


def _parts(whole: memoryview) -> list[memoryview]:
    if len(whole) < _NUMBER.size:
        raise ValueError(f"{len(whole)} bytes are no shared value")
    count: int = _NUMBER.unpack_from(whole)[0]
    head = _NUMBER.size * (1 + count)
    if not 1 <= count <= MOST_PARTS or head > len(whole):
        raise ValueError(f"{len(whole)} bytes are no shared value of {count} parts")
    sizes = [size for (size,) in _NUMBER.iter_unpack(whole[_NUMBER.size : head])]
    ends = list(
        accumulate(sizes, lambda end, n: end + -end % ALIGNED + n, initial=head)
    )
    if ends[-1] != len(whole):
        raise ValueError(f"a shared value of {ends[-1]} bytes in {len(whole)}")
    return [whole[end - size : end] for size, end in zip(sizes, ends[1:], strict=True)]
