"""Going over from one authkey to the next, without the grid falling apart.

    the owner: slinger rekey --> file --> here: streams, datagrams, what neighbours hear

Until the older authkey ends, both open doors, so that machines can be moved one by one.
Then it is forgotten, here and on disk, and whoever has not proved to hold the newer one
is parted from. Each end tells the other by a proof which authkey it uses; one that is
not known here is a newer one, and the owner is told what to do.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from p2pslinger.errors import SlingerError, UnavailableError, UsageError
from p2pslinger.ids import PeerId, short
from p2pslinger.net.connection import Connection
from p2pslinger.net.exchange import Exchange
from p2pslinger.net.overlay import Overlay
from p2pslinger.net.streams import Streams
from p2pslinger.peer.events import Events, Noted
from p2pslinger.peer.links import Link, Links
from p2pslinger.store.keyfile import AUTHKEY, change_keyring, load_keyring
from p2pslinger.wire.keyring import Holds, Keyring
from p2pslinger.wire.ownfacts import RekeyFacts

#: What an owner runs on a machine that lacks the newest authkey.
REMEDY = "run `slinger rekey --join` on it with the newest authkey"

#: The latest wall time that is shown as a date, in the year 8307: what a neighbour says
#: may be so late that it has none.
LATEST = 2e11

#: Peers remembered that use an authkey which is not known here: some say enough.
HEARD = 16


class Keys(Protocol):
    """Where the owner keeps the authkeys."""

    def stamp(self) -> object:
        """Return something that is another after each change."""

    def read(self) -> Keyring | None:
        """Return what is kept there.

        Raises:
            DiskError: it can't be read.
        """

    def tidy(self, now: float) -> None:
        """Delete what has ended.

        Raises:
            SlingerError: it can't be.
        """


class KeyFile:
    """The authkeys of a data folder.

    Args:
        folder: It.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def stamp(self) -> object:
        """See `Keys.stamp`."""
        try:
            found = (self._folder / AUTHKEY).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def read(self) -> Keyring | None:
        """See `Keys.read`."""
        return load_keyring(self._folder)

    def tidy(self, now: float) -> None:
        """See `Keys.tidy`."""
        change_keyring(self._folder, lambda kept: kept.at(now))


class KeptInMemory:
    """Authkeys that are in no file: of the settings, or of a simulation."""

    def __init__(self, keyring: Keyring) -> None:
        self.keyring = keyring

    def stamp(self) -> object:
        """See `Keys.stamp`."""
        return self.keyring

    def read(self) -> Keyring | None:
        """See `Keys.read`."""
        return self.keyring

    def tidy(self, now: float) -> None:
        """See `Keys.tidy`."""
        self.keyring = self.keyring.at(now)


class Rekeying:
    """Which authkeys count at this peer.

    Args:
        me: This peer.
        keys: Where they are kept.
        keyring: What was there at the start.
        wall: Gives the wall time, seconds.
        streams: Is told of others.
        events: Where to report.
    """

    _links: Links
    _overlay: Overlay

    def __init__(
        self,
        me: PeerId,
        *,
        keys: Keys,
        keyring: Keyring,
        wall: Callable[[], float],
        streams: Streams,
        events: Events,
    ) -> None:
        self._me = me
        self._keys = keys
        self._stamp = keys.stamp()
        self._wall = wall
        self._streams = streams
        self._events = events
        self._heard: dict[PeerId, Holds] = {}
        self._untidy = bool(keyring.older)
        self.keyring = keyring.at(wall())

    def connect(
        self, links: Links, overlay: Overlay, hurry: Callable[[], None]
    ) -> None:
        """Take in what else has to be told; `hurry` tries at once who could be met."""
        self._links, self._overlay, self._hurry = links, overlay, hurry
        self._streams.use(self.keyring)
        overlay.use(self.keyring)

    def holds(self) -> Holds:
        """Return what neighbours are told: a proof, and until when we take another."""
        return Holds(self.keyring.proof(self._me), self.keyring.ends)

    # --- the owner ----------------------------------------------------------------

    def look(self) -> None:
        """See whether the owner has changed something, or an authkey has ended."""
        stamp = self._keys.stamp()
        if stamp != self._stamp:
            try:
                self.reread()
            except SlingerError as error:
                self._events.emit(Noted(str(error)))
        left = self.keyring.at(self._wall())
        if left != self.keyring:
            self._use(left)
            self._events.emit(Noted("the grid's older authkey has ended, as was said"))
        if self._untidy:
            self._tidy()

    def reread(self) -> None:
        """Take in what the owner has changed.

        Raises:
            UsageError: it is another grid's.
            DiskError: it can't be read.
        """
        self._stamp = self._keys.stamp()
        found = self._keys.read()
        if found is None:
            raise UsageError("the authkey is gone from the data folder: put it back")
        if found.grid != self.keyring.grid:
            raise UsageError(
                "the data folder holds another grid's authkey now: start the peer "
                "anew to go over to it (`slinger down`, `slinger up`)"
            )
        self._untidy = bool(found.older)
        found = found.at(self._wall())
        if found != self.keyring:
            self._use(found)

    def _tidy(self) -> None:
        """Delete from the disk what has ended."""
        now = self._wall()
        try:
            found = self._keys.read()
            if found is not None and found != found.at(now):
                self._keys.tidy(now)
                self._stamp = self._keys.stamp()
        except SlingerError as error:
            self._untidy = False  # until something changes: it has been said
            self._events.emit(Noted(f"the older authkey is not deleted: {error}"))
        else:
            self._untidy = bool(self.keyring.older)

    def _use(self, keyring: Keyring) -> None:
        before, self.keyring = self.keyring, keyring
        self._streams.use(keyring)
        self._overlay.use(keyring)
        for link in list(self._links.open.values()):
            ended = link.holds is None or (
                keyring.age(link.peer, link.holds.proof) is None
                and before.age(link.peer, link.holds.proof) is not None
            )
            link.connection.push(self.holds())  # so that its owner learns of it as well
            if ended:
                link.connection.close(self._parted(link.peer))
        self._hurry()

    def _parted(self, peer: PeerId) -> UnavailableError:
        """Say it so that it can be read at both ends."""
        return UnavailableError(
            f"the grid's older authkey does not count any more for peer "
            f"{short(self._me)}, and {short(peer)} has no newer one: {REMEDY}"
        )

    # --- neighbours ---------------------------------------------------------------

    def joined(self, link: Link) -> None:
        """Hear which authkey a new neighbour uses."""
        if link.holds is not None:
            self._judge(link.peer, link.holds)

    def hear(self, connection: Connection, holds: Holds, _: Exchange) -> None:
        """A neighbour uses another authkey than before."""
        assert connection.peer is not None
        self._links.holds(connection.peer, holds)
        self._judge(connection.peer, holds)

    def _judge(self, peer: PeerId, holds: Holds) -> None:
        """Remember who uses an authkey that is not known here: it is a newer one."""
        self._heard.pop(peer, None)
        if self.keyring.age(peer, holds.proof) is None:
            self._heard[peer] = holds
            if len(self._heard) > HEARD:
                del self._heard[next(iter(self._heard))]

    # --- what the owner should know -----------------------------------------------

    def facts(self) -> RekeyFacts | None:
        """Return how far the neighbours have gone over, while there are two."""
        if not self.keyring.older:
            return None
        links = self._links.open.values()
        newer = sum(
            link.holds is not None
            and self.keyring.age(link.peer, link.holds.proof) == 0
            for link in links
        )
        return RekeyFacts(newer, len(links), self.keyring.ends)

    def notes(self) -> list[str]:
        """Return what the owner should know."""
        unknown = [
            holds.ends
            for peer, holds in self._heard.items()
            if self.keyring.age(peer, holds.proof) is None
        ]
        if not unknown:
            return []
        ends = max(unknown)
        date = datetime.datetime.fromtimestamp(min(ends, LATEST))
        when = date.strftime("%Y-%m-%d %H:%M")
        until = f", and from {when} on they will not take this one's" if ends else ""
        use = "uses" if len(unknown) == 1 else "use"
        return [
            f"{len(unknown)} of the peers that this machine has met {use} a newer "
            f"authkey than it has{until}: run `slinger rekey --join` here"
        ]
