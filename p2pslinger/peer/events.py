"""What happens in a peer, as values: for its log, for tests, for whoever watches.

Nothing here holds keys, arguments or results. Names that strangers chose (of jobs, of
machines) are fields, never part of a format string. Structs although none of them is
ever sent: sixteen dataclasses would take 6 ms of every start to define.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from msgspec import Struct

from p2pslinger.ids import JobId, PeerId, short
from p2pslinger.rules.spans import Span

log = logging.getLogger(__name__)


class Listening(Struct, frozen=True):
    """The peer can be dialled."""

    host: str
    port: int


class PeerJoined(Struct, frozen=True):
    """A connection to a peer is open."""

    peer: PeerId
    name: str


class PeerLeft(Struct, frozen=True):
    """A connection to a peer is gone."""

    peer: PeerId
    why: str


class JobOpened(Struct, frozen=True):
    """A job was submitted here."""

    job: JobId
    name: str


class JobClosed(Struct, frozen=True):
    """A job of this peer is over."""

    job: JobId
    why: str


class NoticeHeard(Struct, frozen=True):
    """News of a job that somebody else keeps."""

    job: JobId
    keeper: PeerId
    open: bool


class Granted(Struct, frozen=True):
    """Tasks of a job were given to a volunteer."""

    job: JobId
    volunteer: PeerId
    tasks: int


class TakenBack(Struct, frozen=True):
    """Tasks were taken back from a volunteer that is gone or silent."""

    job: JobId
    volunteer: PeerId
    tasks: int
    why: str


class SlotDied(Struct, frozen=True):
    """A slot's process ended under a task."""

    job: JobId | None
    index: int | None
    how: str


class Acknowledged(Struct, frozen=True):
    """Keepers of a durable job have a signed batch of our results on disk."""

    job: JobId
    batch: bytes
    keepers: int
    ranges: tuple[Span, ...]


class Reached(Struct, frozen=True):
    """Whether others can dial this peer is known, or known no more."""

    state: str
    why: str


class Woke(Struct, frozen=True):
    """The clocks have jumped: this machine has slept, or its clock was set."""

    seconds: float


class ClockOff(Struct, frozen=True):
    """This machine's clock is corrected by the neighbours', or no more: 0."""

    seconds: float


class Dropped(Struct, frozen=True):
    """A packet, frame or record was refused."""

    cause: str
    text: str


class Unreached(Struct, frozen=True):
    """An address that the owner has named does not answer, for the time being."""

    text: str


class Unclear(Struct, frozen=True):
    """What the owner has written can't be understood, for the time being."""

    text: str


class Noted(Struct, frozen=True):
    """Something that the owner should know."""

    text: str


Event = (
    Listening
    | PeerJoined
    | PeerLeft
    | JobOpened
    | JobClosed
    | NoticeHeard
    | Granted
    | TakenBack
    | SlotDied
    | Acknowledged
    | Reached
    | Woke
    | ClockOff
    | Dropped
    | Unreached
    | Unclear
    | Noted
)

_QUIET = (Granted, Acknowledged)  # one per range: worth a line when debugging


class Events:
    """Where events go: the log, and whoever subscribed."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Event], None]] = []

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        """Call `listener` with every event from now on."""
        self._listeners.append(listener)

    def emit(self, event: Event) -> None:
        """Log an event and pass it on."""
        level = logging.DEBUG if isinstance(event, _QUIET) else logging.INFO
        if log.isEnabledFor(level):
            log.log(level, "%s%s", type(event).__name__, _text(event))
        for listener in self._listeners:
            listener(event)


def _text(event: Event) -> str:
    parts = []
    for name in event.__struct_fields__:
        value = getattr(event, name)
        shown = short(value) if isinstance(value, bytes) else repr(value)
        parts.append(f" {name}={shown}")
    return "".join(parts)
