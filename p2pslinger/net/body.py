"""Bodies: bytes too many for a message, streamed beside it as fast as they are read.

The reader's end grants credit, the sender's end never sends more. So a reader that
stops stalls its own body and nothing else: the connection goes on, and at most one
window of bytes waits in memory.

    Sender --PIECE--> Body --async for--> reader
           <-CREDIT--      <--consumed--
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator

from p2pslinger import limits
from p2pslinger.errors import PeerError, SlingerError

#: What can be sent as a body. An iterator is pulled only as the other end has room and
#: the socket takes bytes; it must not block. A memoryview must not change meanwhile.
BodySource = bytes | memoryview | Iterator[bytes]

#: Credit that a body starts with, bytes. Small, because it is granted before anyone has
#: decided to read: all of a connection's open requests together may claim this much.
FIRST_CREDIT = 64 * limits.KIB

#: Consumed bytes that are worth a CREDIT frame: a quarter of the window keeps the
#: sender busy with four of them under way.
CREDIT_STEP = limits.BODY_WINDOW // 4

#: Pieces up to this many bytes are joined with the one before, so that a body sent byte
#: by byte does not cost 50 times its size in objects.
CRUMB = 4 * limits.KIB


class Body:
    """The receiving end of a body. One reader at a time.

    Whoever is handed a body reads it to its end or calls `close`.

    Args:
        grant: Tells the sender that it may send so many more bytes.
        drop: Tells the sender that nobody reads on.
        room: Bytes that were granted when it was asked for; 0 if nobody knew how many
            there would be. It is granted no more than that.
    """

    __slots__ = (
        "_credit",
        "_drop",
        "_dropped",
        "_ended",
        "_error",
        "_failure",
        "_grant",
        "_is_granted",
        "_opened",
        "_owed",
        "_pieces",
        "_sink",
        "_waiter",
    )

    def __init__(
        self,
        grant: Callable[[int], None],
        drop: Callable[[], None] | None = None,
        room: int = 0,
    ) -> None:
        self._grant = grant
        self._drop = drop
        self._pieces: deque[bytes] = deque()
        self._credit = max(FIRST_CREDIT, room)  # bytes that the sender may still send
        self._is_granted = room > 0
        self._owed = 0  # bytes consumed and not yet granted again
        self._opened = False  # whether anyone has begun to read
        self._ended = False
        self._dropped = False
        self._error: SlingerError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._sink: Callable[[bytes], None] | None = None
        self._failure: Exception | None = None  # the sink's

    # --- the connection's side ----------------------------------------------------

    def heard(self, piece: bytes) -> None:
        """Take the next piece, which may be a view that is good for this call only.

        Raises:
            PeerError: it is empty, larger than what was granted, or behind the end.
        """
        if self._dropped:
            return  # it was on its way when the reader left
        if self._ended:
            raise PeerError("sent more of a body that it had ended")
        size = len(piece)
        if not 0 < size <= self._credit:
            raise PeerError(
                f"sent {size} bytes of a body that had room for {self._credit}"
            )
        self._credit -= size
        if self._sink is not None:
            self._pour(self._sink, piece)
            return
        piece = bytes(piece)
        pieces = self._pieces
        if size <= CRUMB and pieces and len(pieces[-1]) <= CRUMB:
            pieces[-1] += piece
        else:
            pieces.append(piece)
        self._wake()

    def end(self, error: SlingerError | None = None) -> None:
        """Note that no more pieces come, and why if something went wrong."""
        if not self._ended:
            self._ended = True
            self._error = error
            self._wake()

    def _pour(self, sink: Callable[[bytes], None], piece: bytes) -> None:
        try:
            sink(piece)
        except Exception as error:  # noqa: BLE001  # `pour` raises it
            self._sink, self._failure = None, error
            self._wake()
        else:
            self._consumed(len(piece))

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # --- the reader's side --------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Whether the last piece has come; some may still wait to be read."""
        return self._ended

    def __aiter__(self) -> Body:
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece; raise what ended the body too early."""
        if not self._opened:
            self._opened = True
            self._consumed(limits.BODY_WINDOW - FIRST_CREDIT)
        while not self._pieces:
            if self._failure is not None:
                raise StopAsyncIteration
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            await self._wait()
        piece = self._pieces.popleft()
        self._consumed(len(piece))
        return piece

    async def read_all(self, limit: int) -> bytes:
        """Return the whole body.

        Raises:
            PeerError: it has more than `limit` bytes; the rest is not read.
        """
        pieces, size = [], 0
        async for piece in self:
            size += len(piece)
            if size > limit:
                self.close()
                raise PeerError(f"sent a body of more than {limit} bytes")
            pieces.append(piece)
        return b"".join(pieces)

    async def pour(self, sink: Callable[[bytes], None]) -> None:
        """Hand every piece to `sink` where it lies, as it comes; return at the end.

        What `sink` gets may be a view, good until it returns. What it raises is raised
        here, and whatever comes afterwards is dropped.

        Raises what reading raises.
        """
        while self._pieces:
            sink(await anext(self))
        self._sink = sink
        try:
            rest = [piece async for piece in self]
        finally:
            self._sink = None
        if self._failure is not None:
            raise self._failure
        assert not rest

    def close(self) -> None:
        """Read no further; the sender is told to stop."""
        self._sink = None
        self._pieces.clear()
        self._dropped = True
        if not self._ended:
            self.end()
            if self._drop is not None:
                self._drop()

    async def _wait(self) -> None:
        assert self._waiter is None, "a body has one reader at a time"
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _consumed(self, size: int) -> None:
        if self._is_granted:
            return
        self._owed += size
        if self._owed >= CREDIT_STEP and not self._ended:
            self._credit += self._owed
            self._grant(self._owed)
            self._owed = 0


class Sender:
    """The sending end of a body: its next piece, when there is credit for one.

    Attributes:
        credit: Bytes that the other end has room for.
        piece_kind, end_kind, number: What its frames are called.
        queued: Whether the outbox has it among those that can send.
        done: Whether everything has been sent, or nothing more shall be.

    Args:
        ended: Called once: with None when all was sent, else with what the source
            raised. Not called after `stop`.
    """

    __slots__ = (
        "_ended",
        "_rest",
        "_source",
        "credit",
        "done",
        "end_kind",
        "number",
        "piece_kind",
        "queued",
    )

    def __init__(
        self,
        source: BodySource,
        *,
        kinds: tuple[int, int],
        number: int,
        ended: Callable[[Exception | None], None],
    ) -> None:
        self.piece_kind, self.end_kind = kinds
        self.number = number
        self.credit = FIRST_CREDIT
        self.queued = False
        self.done = False
        self._ended = ended
        self._source: Iterator[bytes] | None = None
        self._rest = memoryview(b"")
        if isinstance(source, bytes | bytearray | memoryview):
            self._rest = memoryview(source).cast("B")
        else:
            self._source = source

    def pull(self) -> memoryview | None:
        """Return the next piece; once it is empty there is no more, and it is `done`.

        None means that the source failed. What it raised went to `ended`.
        """
        try:
            while not self._rest and self._source is not None:
                self._refill()
        except Exception as error:  # noqa: BLE001  # the owner decides what it means
            self.stop()
            self._ended(error)
            return None
        size = min(len(self._rest), self.credit, limits.PIECE)
        piece, self._rest = self._rest[:size], self._rest[size:]
        self.credit -= size
        self.done = not self._rest and self._source is None
        return piece

    def _refill(self) -> None:
        assert self._source is not None
        try:
            self._rest = memoryview(next(self._source)).cast("B")
        except StopIteration:
            self._source = None

    def finish(self) -> None:
        """Note that the END is on its way."""
        self._ended(None)

    def stop(self) -> None:
        """Send nothing more and let go of the source."""
        self.done = True
        self._rest = memoryview(b"")
        close = getattr(self._source, "close", None)
        self._source = None
        if close is not None:
            close()  # a generator holds files that must not wait for the collector
