"""A peer's end of a control socket, which says what a test has it say.

The socket and the frames are real; only the judgement is the test's. So it can do what
no peer of ours does, and at the moment that matters.
"""

from __future__ import annotations

import pickle
import shutil
import socket
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from p2pslinger import limits
from p2pslinger.client.grid import Grid
from p2pslinger.client.link import Link
from p2pslinger.ids import to_text
from p2pslinger.version import __version__
from p2pslinger.wire.control import (
    CONTROL_CODEC,
    Append,
    GetStatus,
    Opened,
    OpenJob,
    RangeOut,
    Results,
)
from p2pslinger.wire.facts import JobFacts
from p2pslinger.wire.frames import Frame, FrameReader, Kind, encode, encode_credit
from p2pslinger.wire.messages import Fail, Hello
from p2pslinger.wire.messages import encode as encode_message
from p2pslinger.wire.packed import pack_items

#: Seconds after which something counts as hanging, on a machine that is busy.
HANGING = 30.0

#: Room for the whole of a body.
ROOM = 1 << 24

_MESSAGES = (Kind.REQUEST, Kind.REQUEST_BODY, Kind.PUSH)

M = TypeVar("M", bound=msgspec.Struct)


class Said(NamedTuple):
    """A message of the program: a request's number, or 0 for a push."""

    number: int
    message: msgspec.Struct


class ScriptedPeer:
    """Talks to one program."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._reader = FrameReader(limits.FRAME)
        self._frames: deque[Frame] = deque()
        self.socket: socket.socket
        self.link: Link

    def greet(self) -> None:
        """Take a connection and exchange hellos."""
        self.socket, _ = self._listener.accept()
        self.socket.settimeout(HANGING)
        assert self.frame().kind == Kind.HELLO
        hello = Hello(limits.PROTOCOL, __version__, "peer", time.time())
        self.socket.sendall(encode(Kind.HELLO, 0, encode_message(hello)))

    # --- hearing ------------------------------------------------------------------

    def frame(self) -> Frame:
        """Return the next frame."""
        while not self._frames:
            data = self.socket.recv(1 << 16)
            assert data, "the program has closed the connection"
            self._frames += self._reader.feed(data)
        return self._frames.popleft()

    def hear(self) -> Said:
        """Return the next message; pieces of bodies are passed over."""
        while (frame := self.frame()).kind not in _MESSAGES:
            pass
        return Said(frame.number, CONTROL_CODEC.decode(frame.payload))

    def expect(self, kind: type[M]) -> tuple[int, M]:
        """Return the next message, which must be of this kind."""
        number, message = self.hear()
        assert isinstance(message, kind), message
        return number, message

    def open_job(self) -> int:
        """Take a job; return its handle."""
        number, opening = self.expect(OpenJob)
        self.reply(number, Opened(bytes([opening.handle]) * 20))
        return opening.handle

    def take(self, tasks: int) -> int:
        """Take small shards of so many tasks; return their job's handle."""
        handle = 0
        while tasks:
            _, append = self.expect(Append)
            tasks -= sum(shard.count for shard in append.shards)
            handle = append.handle
        return handle

    # --- speaking -----------------------------------------------------------------

    def reply(self, number: int, message: msgspec.Struct) -> None:
        """Answer a request."""
        self.socket.sendall(encode(Kind.REPLY, number, CONTROL_CODEC.encode(message)))

    def reply_body(self, number: int, message: msgspec.Struct, body: bytes) -> None:
        """Answer a request with a body."""
        payload = CONTROL_CODEC.encode(message)
        self.socket.sendall(
            encode(Kind.REPLY_BODY, number, payload)
            + encode(Kind.ANSWER_PIECE, number, body)
            + encode(Kind.ANSWER_END, number, b"")
        )

    def fail(self, number: int, kind: str, text: str) -> None:
        """Refuse a request."""
        payload = encode_message(Fail(kind, text))
        self.socket.sendall(encode(Kind.FAIL, number, payload))

    def make_room(self, number: int) -> None:
        """Let the program send the rest of a body."""
        self.socket.sendall(encode(Kind.CREDIT, number, encode_credit(ROOM)))

    def push(self, message: msgspec.Struct) -> None:
        """Say something that has no answer."""
        self.socket.sendall(encode(Kind.PUSH, 0, CONTROL_CODEC.encode(message)))

    def results(self, handle: int, *ranges: RangeOut) -> None:
        """Push results."""
        self.push(Results(handle, ranges))


def scalars(start: int, stop: int, values: list[object]) -> RangeOut:
    """Return a range with these values, in one pickle."""
    return raw(start, stop, 0, pickle.dumps(values))


def items(start: int, stop: int, pickles: list[bytes]) -> RangeOut:
    """Return a range with these values, a pickle each."""
    return raw(start, stop, 1, pack_items(pickles))


def elsewhere(start: int, stop: int, digest: bytes) -> RangeOut:
    """Return a range whose values are to be asked for."""
    return raw(start, stop, 0, b"", digest)


def raw(start: int, stop: int, form: int, data: bytes, digest: bytes = b"") -> RangeOut:
    """Return a range whose values are these bytes."""
    peer = bytes(20)
    return RangeOut(start, stop, form, data, digest, 0, (), peer, True, 0.0, 0.0, b"")


def is_quiet(peer: ScriptedPeer) -> bool:
    """See whether the program has nothing to say, by asking in its name.

    What the peer has said before has been handled then.
    """
    answered = threading.Event()
    peer.link.ask(GetStatus(), lambda *_: answered.set())
    number, message = peer.hear()
    if isinstance(message, GetStatus):
        peer.fail(number, "unavailable", "this was a test")
        assert answered.wait(HANGING)
    return isinstance(message, GetStatus)


def facts(job: bytes, tasks: int, *, sealed: bool) -> JobFacts:
    """Return what a peer would know of an open job."""
    return JobFacts(
        to_text(job), "job", "open", tasks, sealed, 0, 0, 0, 0, 0.0, None, ()
    )


@contextmanager
def scripted_peer() -> Iterator[tuple[ScriptedPeer, Link]]:
    """Give a peer for the test to play, and the program's link to it."""
    folder = Path(tempfile.mkdtemp(prefix="sl-", dir="/tmp"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(folder / "s"))
        listener.listen()
        listener.settimeout(HANGING)
        peer = ScriptedPeer(listener)
        greeting = threading.Thread(target=peer.greet)
        greeting.start()
        try:
            with Link.open(folder / "s", timeout=HANGING) as link:
                peer.link = link
                greeting.join()
                with peer.socket:
                    yield peer, link
        finally:
            greeting.join()
            shutil.rmtree(folder)


@contextmanager
def scripted_grid() -> Iterator[tuple[ScriptedPeer, Grid]]:
    """Give a peer for the test to play, and a program's grid."""
    with scripted_peer() as (peer, link):
        grid = Grid(link, trust="mine")
        try:
            yield peer, grid
        finally:
            grid.shutdown(cancel_futures=True)
