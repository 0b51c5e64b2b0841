"""What the owner has said of others, read anew whenever it changes.

While it can't be understood, what it said before holds on, and the owner is told. If it
could not be understood from the start, nothing is computed for others: one of them may
be denied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from p2pslinger.errors import UsageError
from p2pslinger.ids import PeerId
from p2pslinger.peer.events import Events, Unclear
from p2pslinger.rules.members import Members, People
from p2pslinger.store import people as files


class Sayings(Protocol):
    """Where what the owner has said is written down."""

    def stamp(self) -> object:
        """Return something that is another after each change."""

    def read(self) -> People:
        """Return what is written there.

        Raises:
            UsageError: it can't be understood.
        """


class Written:
    """What is written in a file.

    Args:
        file: Its path, whether or not it exists.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def stamp(self) -> object:
        """See `Sayings.stamp`."""
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def read(self) -> People:
        """See `Sayings.read`."""
        return files.load(self._file)


class Spoken:
    """What is said in memory: for simulations, and where there is no file."""

    def __init__(self) -> None:
        self.people = People()

    def stamp(self) -> object:
        """See `Sayings.stamp`."""
        return self.people

    def read(self) -> People:
        """See `Sayings.read`."""
        return self.people


class Acquaintance:
    """Knows the members as the owner does.

    Args:
        me: This peer.
        trusting: Every member counts as the owner's own.
        sayings: What the owner has said.
        changed: Called after every change.
        events: Where to report.

    Attributes:
        members: What holds now.
        trouble: Why the file can't be understood, or "".
    """

    def __init__(
        self,
        me: PeerId,
        *,
        trusting: bool,
        sayings: Sayings,
        changed: Callable[[], None],
        events: Events,
    ) -> None:
        self._sayings = sayings
        self._changed = changed
        self._events = events
        self._stamp = sayings.stamp()
        self.trouble = ""
        self.members = Members(me, trusting, unsure=True)
        self._read()

    def reread(self) -> None:
        """Take in what the owner has said since.

        Raises:
            UsageError: it can't be understood; what was said before holds on.
        """
        self._stamp = self._sayings.stamp()
        if self._read():
            self._changed()
        if self.trouble:
            raise UsageError(self.trouble)

    def look(self) -> None:
        """Notice when the file has been edited."""
        stamp = self._sayings.stamp()
        if stamp != self._stamp:
            self._stamp = stamp
            if self._read():
                self._changed()

    # --- what others ask ----------------------------------------------------------

    def is_mine(self, peer: PeerId) -> bool:
        """Tell whether a peer is as good as this machine's own."""
        return self.members.is_mine(peer)

    def vouches_for(self, peer: PeerId) -> bool:
        """Tell whether the owner knows a peer."""
        return self.members.vouches_for(peer)

    def is_banned(self, peer: PeerId) -> bool:
        """Tell whether this machine has nothing to do with a peer."""
        return self.members.is_banned(peer)

    def banned(self) -> Iterable[PeerId]:
        """Return all who are banned."""
        return self.members.people.banned

    def serves(self, peer: PeerId) -> bool:
        """Tell whether the owner lets us compute for a peer."""
        return self.members.may_compute_for(peer)

    def petname(self, peer: PeerId) -> str:
        """Return what the owner calls a peer, or ""."""
        return self.members.petname(peer)

    # --- the file -----------------------------------------------------------------

    def notes(self) -> list[str]:
        """Return what the owner should know."""
        if not self.trouble:
            return []
        until = "what it said before holds"
        if self.members.unsure:
            until = "nothing is computed for others, and nobody is banned"
        return [f"{self.trouble}; until that is mended, {until}"]

    @property
    def why_unsure(self) -> str:
        """Why nobody knows what the owner has said, or ""."""
        return self.trouble if self.members.unsure else ""

    def _read(self) -> bool:
        """Read what is written; return whether something else holds now."""
        try:
            people = self._sayings.read()
        except UsageError as error:
            if str(error) != self.trouble:
                self._events.emit(Unclear(str(error)))
            self.trouble = str(error)
            return False
        self.trouble = ""
        was = self.members
        self.members = Members(was.me, was.trusting, people)
        return people != was.people or was.unsure
