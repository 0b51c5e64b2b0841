"""What a program shares over one connection: the link, its open jobs, their end."""

from __future__ import annotations

import atexit
import itertools
import threading
import weakref
from collections.abc import Callable

import msgspec

from p2pslinger.client.fetches import Fetches
from p2pslinger.client.link import Link
from p2pslinger.client.named import Named
from p2pslinger.client.sender import Sender
from p2pslinger.client.sharing import Shared, Sharing
from p2pslinger.client.stream import Stream
from p2pslinger.client.values import Trust
from p2pslinger.errors import SlingerError, UsageError
from p2pslinger.wire.control import JobEnded, Results
from p2pslinger.wire.glimpse import Glimpsed


class ShutDownError(UsageError, RuntimeError):
    """The grid takes no more work; a `RuntimeError`, as every executor's is."""


class Session:
    """A program's use of its machine's peer.

    Args:
        link: To this machine's peer.
        trust: How far values from other peers are decoded.
        on_close: Called once, when the session is closed.

    Attributes:
        named: Types of which values from other peers may be.
    """

    def __init__(
        self, link: Link, trust: Trust, on_close: Callable[[], None] | None
    ) -> None:
        self.link = link
        self.trust: Trust = trust
        self._on_close = on_close
        self.named = Named()
        self._lock = threading.Lock()
        self._streams: dict[int, Stream] = {}
        self._handles = itertools.count(1)
        self._sender = Sender()
        self._fetches = Fetches(link)
        self._sharing = Sharing(link, self._sender)
        self._down = False
        link.on_push = self._heard
        link.on_lost = self._broke
        _sessions.add(self)

    def __len__(self) -> int:
        return len(self._streams)

    def check(self) -> None:
        """See that work can be taken; before any lock, which a fork may have copied.

        Raises:
            ShutDownError: the grid has been shut down.
            UsageError: this is a forked process.
            ConnectionLostError: the peer is gone.
        """
        if self._down:
            raise _shut_down()
        self.link.check()

    def stream(self) -> Stream:
        """Return a new stream, which is not open yet."""
        self.check()
        stream = Stream(
            self.link,
            self._sender,
            self._fetches,
            handle=next(self._handles),
            trust=self.trust,
            named=self.named,
            left=self._left,
        )
        self._streams[stream.handle] = stream
        return stream

    def share(self, value: object) -> Shared[object]:
        """Give the peer a value for tasks to share; see `Sharing.share`."""
        self.check()
        return self._sharing.share(value)

    def take_no_more(self) -> None:
        """Refuse work from now on."""
        self._down = True

    def close(self) -> None:
        """End everything that is still open, and the connection."""
        _sessions.discard(self)
        self._down = True
        self._sender.close()
        self._broke(_shut_down())
        self.link.close()
        with self._lock:
            closing, self._on_close = self._on_close, None
        if closing is not None:
            closing()

    # --- inside -------------------------------------------------------------------

    def _heard(self, message: msgspec.Struct) -> None:
        """Take a push, in the link's reading thread."""
        if isinstance(message, Results):
            stream = self._streams.get(message.handle)
            if stream is not None:
                for out in message.ranges:
                    stream.results(out)
        elif isinstance(message, Glimpsed):
            stream = self._streams.get(message.handle)
            if stream is not None:
                stream.glimpsed(message.shown)
        elif isinstance(message, JobEnded):
            stream = self._streams.get(message.handle)
            if stream is not None:
                stream.ended(message)

    def _broke(self, why: SlingerError) -> None:
        for stream in list(self._streams.values()):
            stream.broke(why)

    def _left(self, stream: Stream) -> None:
        self._streams.pop(stream.handle, None)


def _shut_down() -> ShutDownError:
    return ShutDownError("the grid has been shut down: connect again")


#: Open sessions, to be closed with the interpreter.
_sessions: weakref.WeakSet[Session] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for session in list(_sessions):
        if not session.link.inherited:
            session.close()
