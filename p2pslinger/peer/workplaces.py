"""Where our slots ask for work: our own keeper, and the keepers of others' open jobs.

Where there are more keepers than a slot asks at once, those that we work for stay, and
the others take turns: an idle job that somebody has left open starves nobody.
"""

from __future__ import annotations

import asyncio
import random

from p2pslinger import limits
from p2pslinger.ids import PeerId
from p2pslinger.net.gossip import Notices
from p2pslinger.peer.keepers import KeeperLink
from p2pslinger.peer.volunteer import Volunteer
from p2pslinger.rules.schedule import fits

#: Seconds after which other keepers are asked, where there are very many.
TURN = 5.0


class Workplaces:
    """The keepers that this peer's volunteer knows, and which of them it asks.

    Args:
        own: This machine's own keeper.
        volunteer: Asks them.
        notices: Tells whose jobs are open.
        trusting: We compute for others.
        pythons: Minor versions that our slots are.
        rng: Decides whose turn it is.
    """

    def __init__(
        self,
        *,
        own: KeeperLink,
        volunteer: Volunteer,
        notices: Notices,
        trusting: bool,
        pythons: tuple[str, ...],
        rng: random.Random,
    ) -> None:
        self._own = own
        self._volunteer = volunteer
        self._notices = notices
        self._trusting = trusting
        self._pythons = pythons
        self._rng = rng
        self._keepers: dict[PeerId, KeeperLink] = {}
        self._looking = False

    def open(self) -> None:
        """Begin: ask our own keeper."""
        self._look()

    def add(self, keeper: KeeperLink) -> None:
        """A keeper can be asked."""
        self._keepers[keeper.peer] = keeper
        self.look_soon()

    def remove(self, peer: PeerId) -> None:
        """A keeper is gone."""
        keeper = self._keepers.pop(peer, None)
        if keeper is not None:
            self._volunteer.lose(keeper)

    def look_soon(self) -> None:
        """Choose anew, once, at the end of this turn of the loop."""
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_soon(self._look)

    async def keep_looking(self) -> None:
        """Give others a turn, now and then."""
        while True:
            await asyncio.sleep(TURN)
            if len(self.wanted()) >= limits.PARKED_AT:
                self._look()

    def wanted(self) -> list[PeerId]:
        """Return the keepers of open jobs that our slots could work on."""
        if not self._trusting or not self._volunteer.stations:
            return []
        keepers = dict.fromkeys(
            PeerId(keeper)
            for notice in self._notices.open_notices()
            if fits(notice.python, self._pythons)
            for keeper in notice.keepers
            if keeper != self._own.peer
        )
        return list(keepers)

    def _look(self) -> None:
        self._looking = False
        known = [self._keepers[p] for p in self.wanted() if p in self._keepers]
        if len(known) >= limits.PARKED_AT:
            stations = self._volunteer.stations
            held = {one.keeper for s in stations for one in s.assignments}
            self._rng.shuffle(known)
            known.sort(key=lambda keeper: keeper not in held)
        self._volunteer.serve([self._own, *known])
