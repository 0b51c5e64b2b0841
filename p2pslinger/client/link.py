"""The program's end of the control socket: blocking calls, and one thread that listens.

A program may have many threads and no event loop, so this end is not the daemons'
asyncio connection: callers send from their own threads, and one thread reads. Answers
and pushes are handled in that thread, so what is called there must never block.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from pathlib import Path

import msgspec

from p2pslinger import limits
from p2pslinger.client.memory import CHUNK, Beside
from p2pslinger.client.requests import Answered, Requests
from p2pslinger.errors import (
    ConnectionLostError,
    IncompatibleError,
    SlingerError,
    TooLargeError,
    UnavailableError,
    UsageError,
)
from p2pslinger.version import __version__
from p2pslinger.wire.control import CONTROL_CODEC
from p2pslinger.wire.frames import Frame, FrameReader, Kind, encode
from p2pslinger.wire.messages import Hello, decode_fail, decode_hello
from p2pslinger.wire.messages import encode as encode_message


class NoPeerError(UnavailableError):
    """No peer runs here, or the one that did is going."""


class BrokenGridError(BrokenExecutor, ConnectionLostError):
    """This machine's peer has gone; what was submitted to it, not started, is lost."""


class Link:
    """A connection to this machine's peer.

    Args:
        sock: Connected to its control socket.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._reader = FrameReader()
        self._sending = threading.Lock()
        self._beside = Beside(sock)
        self._requests = Requests(self._send)
        self._cut: SlingerError | None = None
        self._closing = False
        self._pid = os.getpid()
        self._reading = 0
        #: Whether this program has started the peer, which ends without it.
        self.brought = False
        #: Called in the reading thread with every pushed message.
        self.on_push: Callable[[msgspec.Struct], None] = lambda _: None
        #: Called once in the reading thread when the peer has gone by itself.
        self.on_lost: Callable[[SlingerError], None] = lambda _: None

    @classmethod
    def open(cls, path: Path, timeout: float = 10.0) -> Link:
        """Connect to the peer behind a control socket.

        Args:
            path: The socket.
            timeout: Seconds until the peer must have said hello.

        Raises:
            NoPeerError: no peer is running there.
            UnavailableError: it does not answer.
            IncompatibleError: it speaks another version.
        """
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        try:
            sock.connect(str(path))
            link = cls(sock)
            link._greet()
        except TimeoutError:
            sock.close()
            raise UnavailableError(
                f"the peer behind {path} does not answer: stop it with "
                "`slinger down`, or end its process"
            ) from None
        except OSError:
            sock.close()
            raise NoPeerError(
                "no peer is running here: start one with `slinger up`"
            ) from None
        except SlingerError:
            sock.close()
            raise
        sock.settimeout(None)
        thread = threading.Thread(target=link._read, name="slinger", daemon=True)
        thread.start()
        return link

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- asking -------------------------------------------------------------------

    def ask(
        self,
        message: msgspec.Struct,
        done: Answered,
        body: bytes | None = None,
        *,
        memory: bytes | None = None,
    ) -> None:
        """Send a request; unless this raises, `done` is called once.

        That is in the reading thread, or in the one that closes the connection.

        Args:
            message: The request.
            done: Hears the answer.
            body: Bytes that follow.
            memory: Bytes in memory that is handed over; the message names it.

        Raises:
            UsageError: this process is a fork of the one that made the connection.
            ConnectionLostError: the peer is gone.
            TooLargeError: the message does not fit a frame.
        """
        self.check()
        self._requests.ask(self._payload(message), done, body, memory)

    def request(
        self,
        message: msgspec.Struct,
        body: bytes | None = None,
        timeout: float | None = None,
        *,
        memory: bytes | None = None,
    ) -> msgspec.Struct:
        """Send a request and wait for its answer, at most `timeout` seconds.

        Raises:
            UsageError, PeerError, UnavailableError: as the peer failed it.
            ConnectionLostError: the peer is gone.
        """
        return self.fetch(message, body, timeout, memory=memory)[0]

    def fetch(
        self,
        message: msgspec.Struct,
        body: bytes | None = None,
        timeout: float | None = None,
        *,
        memory: bytes | None = None,
    ) -> tuple[msgspec.Struct, bytes]:
        """Like `request`; return the body that came with the answer as well."""
        self.check_waiting()
        got: list[tuple[msgspec.Struct | SlingerError, bytes]] = []
        ready = threading.Event()

        def done(answer: msgspec.Struct | SlingerError, data: bytes) -> None:
            got.append((answer, data))
            ready.set()

        self.ask(message, done, body, memory=memory)
        if not ready.wait(timeout):
            raise UnavailableError(f"the peer did not answer within {timeout:g} s")
        answer, data = got[0]
        if isinstance(answer, SlingerError):
            raise answer
        return answer, data

    def push(self, message: msgspec.Struct) -> None:
        """Send a message that has no answer; nothing happens if the peer is gone."""
        if self.inherited:
            return
        payload = self._payload(message)
        with contextlib.suppress(ConnectionLostError):
            self._send(encode(Kind.PUSH, 0, payload))

    def take_memory(self, name: int, size: int) -> bytes:
        """Return bytes in memory that the peer has handed over with what it says.

        Raises:
            PeerError: it has not.
        """
        return self._beside.take(name, size)

    def check(self) -> None:
        """See that requests can be made.

        Raises:
            UsageError: this process is a fork of the one that made the connection.
            ConnectionLostError: the peer is gone, or the connection was closed.
        """
        if self.inherited:
            raise UsageError(
                "a grid can't be used in a forked process: connect again there"
            )
        self._requests.check()

    def check_waiting(self) -> None:
        """See that this thread may wait for the peer.

        Raises:
            UsageError: it is the one that handles what the peer says.
        """
        if self.is_reading:
            raise UsageError(
                "a future's callback can't wait for the peer, whose answers come "
                "through the same thread: ask from another one"
            )

    @property
    def is_reading(self) -> bool:
        """Whether this is the thread that handles answers, and so must not wait."""
        return threading.get_ident() == self._reading

    @property
    def inherited(self) -> bool:
        """Whether this process is a fork of the one that made the connection."""
        return self._pid != os.getpid()

    def close(self) -> None:
        """Say goodbye. Requests without an answer fail."""
        if self.inherited:
            return  # it is the parent's, who may go on with it
        self._closing = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._requests.fail(_closed())

    # --- inside -------------------------------------------------------------------

    def _payload(self, message: msgspec.Struct) -> bytes:
        payload = CONTROL_CODEC.encode(message)
        if len(payload) > limits.FRAME - 16:
            raise TooLargeError(
                f"a {type(message).__name__} of {len(payload)} bytes is more than "
                f"the {limits.FRAME} that fit a frame"
            )
        return payload

    def _send(self, data: bytes, memory: bytes | None = None) -> None:
        with self._sending:
            try:
                if memory is None:
                    self._socket.sendall(data)
                else:
                    self._beside.send(data, memory)
            except OSError:
                raise _gone() from None
            except BaseException:
                # Nobody knows how much of the frame is out: nothing can follow it.
                self._cut = BrokenGridError(
                    "a message to this machine's peer was interrupted in the middle, "
                    "and what was submitted is lost: connect again"
                )
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
                raise

    def _greet(self) -> None:
        """Exchange hellos."""
        hello = Hello(limits.PROTOCOL, __version__, "program", time.time())
        self._socket.sendall(encode(Kind.HELLO, 0, encode_message(hello)))
        frames: list[Frame] = []
        while not frames:
            data = self._socket.recv(CHUNK)
            if not data:
                raise NoPeerError("this machine's peer is shutting down: try again")
            frames = self._reader.feed(data)
        if frames[0].kind == Kind.FAIL:
            raise IncompatibleError(decode_fail(frames[0].payload).text)
        theirs = decode_hello(frames[0].payload)
        if theirs.protocol != limits.PROTOCOL:
            raise IncompatibleError(
                f"this machine's peer runs p2pslinger {theirs.software}, this program "
                f"{__version__}: restart the peer (`slinger down`, "
                "`slinger up`) with the same version"
            )
        self._reader.limit = limits.FRAME

    def _read(self) -> None:
        """Handle what the peer says, until it says no more."""
        self._reading = threading.get_ident()
        why: SlingerError = _gone()
        try:
            frames = self._reader.feed(b"")
            while True:
                for frame in frames:
                    self._hear(frame)
                data = self._beside.receive()
                if not data:
                    break
                frames = self._reader.feed(data)
        except OSError:
            pass
        except SlingerError as error:
            why = error
        finally:  # a bug must not leave anyone waiting
            self._end(why)

    def _hear(self, frame: Frame) -> None:
        kind, number, payload = frame
        if kind == Kind.PUSH:
            self.on_push(CONTROL_CODEC.decode(payload))
        else:
            self._requests.hear(kind, number, payload)

    def _end(self, why: SlingerError) -> None:
        """Tell everyone who waits that no more will come."""
        if self._closing:
            why = _closed()
        why = self._cut or why
        with contextlib.suppress(OSError):
            self._socket.close()
        self._beside.close()
        self._requests.fail(why)
        if not self._closing:
            self.on_lost(why)
        self._reading = 0


def _closed() -> ConnectionLostError:
    return ConnectionLostError(
        "the connection to this machine's peer was closed: connect again; "
        "`grid.job(id)` finds a started job"
    )


def _gone() -> BrokenGridError:
    return BrokenGridError(
        "this machine's peer has gone, and with it what was submitted, started jobs "
        "excepted: connect again"
    )
