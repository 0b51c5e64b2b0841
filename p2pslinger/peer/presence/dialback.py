"""Dialling back: this peer tells others whether they can be dialled.

1. Only who asks over a connection is dialled, and only at that connection's address: it
   names no more than the port. So nobody is sent to a third machine.
2. It costs the asker more than us: one dial, some datagrams, then a pause.
3. By stream it must be the asker itself that answers there, as its certificate proves.
   Datagrams bring the asker's token: what has arrived only the asker can tell.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from p2pslinger.errors import PeerError, SlingerError, UnavailableError
from p2pslinger.ids import PeerId
from p2pslinger.net.connection import Connection
from p2pslinger.net.exchange import Exchange
from p2pslinger.net.overlay import Overlay
from p2pslinger.peer.links import Links
from p2pslinger.peer.owner import Owner
from p2pslinger.wire.acquainting import DialBack, DialledBack

#: Seconds between two questions of one peer: it has others to ask.
PAUSE = 15.0

#: Questions that are being answered at once.
AT_ONCE = 8

#: Askers remembered.
ASKERS = 1024


class DialBacks:
    """Answers `DialBack`.

    Args:
        links: Dials.
        overlay: Sends datagrams.
        owner: Owns the tasks.
    """

    def __init__(self, links: Links, overlay: Overlay, owner: Owner) -> None:
        self._links = links
        self._overlay = overlay
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._asked: OrderedDict[PeerId, float] = OrderedDict()
        self._busy = 0

    def answer(
        self, connection: Connection, question: DialBack, exchange: Exchange
    ) -> None:
        """Take a question.

        Raises:
            UnavailableError: not now.
            PeerError: whoever asks can't be dialled by anybody.
        """
        assert connection.peer is not None
        if not connection.host:
            raise PeerError("asked to be dialled, and has no address")
        self._admit(connection.peer)
        self._owner.spawn(self._try(connection, question, exchange))

    def _admit(self, peer: PeerId) -> None:
        now = self._loop.time()
        if now - self._asked.get(peer, -PAUSE) < PAUSE:
            raise UnavailableError("you have asked a moment ago: ask somebody else")
        if self._busy >= AT_ONCE:
            raise UnavailableError("too many ask to be dialled: ask somebody else")
        self._asked[peer] = now
        self._asked.move_to_end(peer)
        if len(self._asked) > ASKERS:
            self._asked.popitem(last=False)

    async def _try(
        self, connection: Connection, question: DialBack, exchange: Exchange
    ) -> None:
        peer, host, port = connection.peer, connection.host, question.port
        assert peer is not None
        self._busy += 1
        try:
            knocks = self._overlay.knock(peer, host, port, question.token)
            stream, datagrams = await asyncio.gather(
                self._answers(peer, host, port), knocks
            )
            exchange.reply(DialledBack(host, stream, datagrams))
        finally:
            self._busy -= 1

    async def _answers(self, peer: PeerId, host: str, port: int) -> bool:
        """Return whether it is that peer that answers there."""
        try:
            return await self._links.probe(host, port) == peer
        except SlingerError:
            return False
