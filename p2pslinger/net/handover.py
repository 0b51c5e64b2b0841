"""Handing over: a newcomer is given, once per boot, the records that it should hold.

The peer closest to a record's key hands it over, and nobody else does.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any

from p2pslinger.ids import PeerId
from p2pslinger.net.datagrams import SESSIONS, Place
from p2pslinger.net.dhtstore import RecordStore
from p2pslinger.net.directory import Directory
from p2pslinger.net.table import Contact
from p2pslinger.wire.identity import Signed

#: Records handed to one newcomer; owners put the rest again within half an hour.
HANDOVER = 256


class Handover:
    """Welcomes those who are new in the routing table.

    Args:
        store: What there is to hand over.
        directory: Knows who is closest to what, and asks.
        boot_of: Tells a peer's boot: another one means that it has restarted.
        wall: The clock on the wall.
        spawn: Starts a coroutine as a task that the caller owns and watches.
    """

    def __init__(
        self,
        *,
        store: RecordStore,
        directory: Directory,
        boot_of: Callable[[PeerId], bytes | None],
        wall: Callable[[], float],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._store = store
        self._directory = directory
        self._boot_of = boot_of
        self._wall = wall
        self._spawn = spawn
        self._welcomed: OrderedDict[tuple[PeerId, bytes | None], None] = OrderedDict()

    def welcome(self, contact: Contact) -> None:
        """Hand a newcomer its records, once per boot."""
        which = (contact.id, self._boot_of(contact.id))
        if which in self._welcomed:
            return
        self._welcomed[which] = None
        if len(self._welcomed) > SESSIONS:
            self._welcomed.popitem(last=False)
        # Decided now: those who come a moment later would each seem to be responsible.
        theirs = [
            (key, signed)
            for key in self._store.stored_keys()
            if self._directory.falls_to_us(contact, key)
            for signed in self._store.get(key, self._wall())
        ]
        if theirs:
            self._spawn(self._hand_over(contact.place, theirs[:HANDOVER]))

    async def _hand_over(self, to: Place, theirs: list[tuple[bytes, Signed]]) -> None:
        """Store one after the other; what does not arrive is not sent again."""
        for key, signed in theirs:
            settled = asyncio.get_running_loop().create_future()
            self._directory.request(
                to, "store", key, signed, done=lambda *_, s=settled: _settle(s)
            )
            await settled


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():  # whoever waited may have been cancelled
        future.set_result(None)
