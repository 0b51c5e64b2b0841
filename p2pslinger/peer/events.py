"""What happens in a peer, as values: for its log, for tests, for whoever watches.

Nothing here holds keys, arguments or results. Names that strangers chose (of jobs, of
machines) are fields, never part of a format string.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, fields

from p2pslinger.ids import JobId, PeerId, short
from p2pslinger.rules.spans import Span

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listening:
    """The peer can be dialled."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class PeerJoined:
    """A connection to a peer is open."""

    peer: PeerId
    name: str


@dataclass(frozen=True, slots=True)
class PeerLeft:
    """A connection to a peer is gone."""

    peer: PeerId
    why: str


@dataclass(frozen=True, slots=True)
class JobOpened:
    """A job was submitted here."""

    job: JobId
    name: str


@dataclass(frozen=True, slots=True)
class JobClosed:
    """A job of this peer is over."""

    job: JobId
    why: str


@dataclass(frozen=True, slots=True)
class NoticeHeard:
    """News of a job that somebody else keeps."""

    job: JobId
    keeper: PeerId
    open: bool


@dataclass(frozen=True, slots=True)
class Granted:
    """Tasks of a job were given to a volunteer."""

    job: JobId
    volunteer: PeerId
    tasks: int


@dataclass(frozen=True, slots=True)
class TakenBack:
    """Tasks were taken back from a volunteer that is gone or silent."""

    job: JobId
    volunteer: PeerId
    tasks: int
    why: str


@dataclass(frozen=True, slots=True)
class SlotDied:
    """A slot's process ended under a task."""

    job: JobId | None
    index: int | None
    how: str


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Keepers of a durable job have a signed batch of our results on disk."""

    job: JobId
    batch: bytes
    keepers: int
    ranges: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Reached:
    """Whether others can dial this peer is known, or known no more."""

    state: str
    why: str


@dataclass(frozen=True, slots=True)
class Woke:
    """The clocks have jumped: this machine has slept, or its clock was set."""

    seconds: float


@dataclass(frozen=True, slots=True)
class ClockOff:
    """This machine's clock is corrected by the neighbours', or no more: 0."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Dropped:
    """A packet, frame or record was refused."""

    cause: str
    text: str


@dataclass(frozen=True, slots=True)
class Unreached:
    """An address that the owner has named does not answer, for the time being."""

    text: str


@dataclass(frozen=True, slots=True)
class Noted:
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
    for field in fields(event):
        value = getattr(event, field.name)
        shown = short(value) if isinstance(value, bytes) else repr(value)
        parts.append(f" {field.name}={shown}")
    return "".join(parts)
