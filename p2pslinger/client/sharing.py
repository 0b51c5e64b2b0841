"""Values that many tasks share: sent to the peer once, and to each volunteer once.

    table = grid.share(load_table())
    grid.map(lambda x: look_up(table.value, x), range(1000))

What is shared is packed when it is shared: to change it later changes nothing for the
tasks. It stays with the peer for as long as its handle is used here, or jobs need it.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import threading
import weakref
from collections import Counter
from collections.abc import Iterable, Sequence
from pickle import PickleBuffer
from typing import cast

from p2pslinger import limits
from p2pslinger.client.link import Link
from p2pslinger.client.memory import LEAST, joined, memory_name
from p2pslinger.client.sender import Sender
from p2pslinger.errors import PackingError, SlingerError, TooLargeError
from p2pslinger.sandbox.shared import (
    PARTS,
    Shared,
    hold_value,
    noting,
    pack,
    release,
)
from p2pslinger.wire.blobs import blob_digest
from p2pslinger.wire.control import ShareBlob, Unshare
from p2pslinger.wire.records import SharedBlob

__all__ = ["Shared", "Sharing", "blobs_of", "check_few", "noting"]

#: Numbers for the users of values in this process: one for each handle.
_numbers = itertools.count(1)


class Sharing:
    """The values that a program has shared over one connection.

    Args:
        link: To this machine's peer.
        sender: Tells the peer what is not needed any more.
    """

    def __init__(self, link: Link, sender: Sender) -> None:
        self._link = link
        self._sender = sender
        self._lock = threading.Lock()
        self._handles: Counter[bytes] = Counter()

    def share(self, value: object) -> Shared[object]:
        """Give a value to the peer; return when it has it.

        Raises:
            PackingError: it can't be sent.
            TooLargeError: it is larger than the grid carries.
            UnavailableError: the peer has no room for it.
        """
        self._link.check_waiting()
        data = packed(value)
        digest = blob_digest(data)
        with self._lock:  # so that nobody relies on a value that is not there yet
            if not self._handles[digest]:
                memory = memory_name(data)
                what = ShareBlob(digest, len(data), memory)
                if memory:
                    self._link.request(what, memory=data)
                else:
                    self._link.request(what, data)
            self._handles[digest] += 1
        handle, user = Shared[object](digest, len(data), PARTS), next(_numbers)
        hold_value(digest, value, user)
        weakref.finalize(handle, self._dropped, digest, user).atexit = False
        return handle

    def _dropped(self, digest: bytes, user: int) -> None:
        """A handle is gone; a finalizer says so, in whatever thread, and may not wait.

        Arguments that refer to it have been sent: until then they hold it.
        """
        if not self._link.inherited:
            release(digest, user)
            self._sender.wake(_Drop(self, digest))

    def drop(self, digest: bytes) -> None:
        """Take note that one handle of a value is gone."""
        with self._lock:
            self._handles[digest] -= 1
            if self._handles[digest] > 0:
                return
            del self._handles[digest]
            with contextlib.suppress(SlingerError):
                self._link.push(Unshare(digest))


class _Drop:
    """A handle that is gone, for the sender thread."""

    def __init__(self, sharing: Sharing, digest: bytes) -> None:
        self._sharing = sharing
        self._digest = digest

    def flush(self) -> None:
        """Take note of it."""
        self._sharing.drop(self._digest)


def packed(value: object) -> bytes:
    """Return the bytes of a value that is to be shared.

    Raises:
        PackingError: it can't be sent, or holds a handle itself.
        TooLargeError: it is larger than the grid carries.
    """
    file, buffers = io.BytesIO(), list[PickleBuffer]()
    _, met = noting(_pickle, value, file, buffers)
    if met:
        raise PackingError(
            "a shared value can't hold the handle of another: hand both to the tasks"
        )
    size = file.tell() + sum(buffer.raw().nbytes for buffer in buffers)
    if size > limits.BLOB - limits.MIB:
        raise TooLargeError(
            f"the value to be shared has {size:,} bytes, and at most {limits.BLOB:,} "
            "can be sent: share it in parts"
        )
    parts = pack(file.getvalue(), [buffer.raw() for buffer in buffers])
    return cast(bytes, joined(parts) if size >= LEAST else b"".join(parts))


def _pickle(value: object, file: io.BytesIO, buffers: list[PickleBuffer]) -> None:
    """Pickle a value, its classes by value wherever a slot could not import them."""
    # Imported when first needed, like cloudpickle, which it brings.
    from p2pslinger.client.encoding import by_value, refusal
    from p2pslinger.client.pickling import NotingPickler

    def outside(buffer: PickleBuffer) -> bool:
        try:
            buffer.raw()
        except BufferError:
            return True  # not in one piece: let it be copied
        buffers.append(buffer)
        return False

    try:
        with by_value(frozenset()):
            NotingPickler(file, outside).dump(value)
    except Exception as error:  # pickling runs the objects' own code
        raise refusal("the value to be shared", value, error) from error


def blobs_of(handles: Iterable[Shared[object]]) -> tuple[SharedBlob, ...]:
    """Return what a peer is told of handles, each once."""
    sizes = {handle.digest: handle.size for handle in handles}
    return tuple(SharedBlob(digest, size) for digest, size in sizes.items())


def check_few(subject: str, handles: Sequence[Shared[object]]) -> None:
    """See that something does not refer to too many shared values.

    Raises:
        PackingError: it does.
    """
    if len(handles) > limits.SHARED < (count := len(set(handles))):
        raise PackingError(
            f"{subject} refers to {count} shared values, and {limits.SHARED} is the "
            "most: share what belongs together as one value"
        )
