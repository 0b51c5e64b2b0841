"""Who belongs to the grid, and what its owner says of them: two files that may change.

Both are looked at every two seconds, which costs a system call each, and at once when a
command says that it has changed one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from p2pslinger.ids import PeerId
from p2pslinger.net.connection import Connection
from p2pslinger.net.exchange import Exchange, Handlers
from p2pslinger.peer.events import Events
from p2pslinger.peer.people import Acquaintance
from p2pslinger.peer.rekeying import KeptInMemory, Rekeying
from p2pslinger.peer.world import World
from p2pslinger.wire.control import Done, Reread
from p2pslinger.wire.keyring import Keyring

#: Seconds between two looks at the files.
LOOK = 2.0


class Membership:
    """The members as this peer's owner knows them, and what makes one.

    Args:
        me: This peer.
        keyring: The authkeys that were there at the start.
        trusting: Every member counts as the owner's own.
        world: Where the owner's words are, and everything else outside.
        changed: Called when the owner has said something else of others.
        events: Where to report.
    """

    def __init__(
        self,
        me: PeerId,
        keyring: Keyring,
        *,
        trusting: bool,
        world: World,
        changed: Callable[[], None],
        events: Events,
    ) -> None:
        self.people = Acquaintance(
            me,
            trusting=trusting,
            sayings=world.sayings,
            changed=changed,
            events=events,
        )
        self.rekeying = Rekeying(
            me,
            keys=world.keys or KeptInMemory(keyring),
            keyring=keyring,
            wall=world.wall,
            streams=world.streams,
            events=events,
        )

    def add_to(self, table: Handlers) -> None:
        """Take the message of a command that has changed a file."""
        table.on(Reread, self._told)

    def _told(self, _: Connection, __: Reread, exchange: Exchange) -> None:
        self.rekeying.reread()  # first: it must not wait until a list is mended
        self.people.reread()
        exchange.reply(Done())

    async def keep_looking(self) -> None:
        """Notice when a file is edited, and when an authkey ends."""
        while True:
            await asyncio.sleep(LOOK)
            self.people.look()
            self.rekeying.look()

    def notes(self) -> list[str]:
        """Return what the owner should know."""
        return [*self.people.notes(), *self.rekeying.notes()]
