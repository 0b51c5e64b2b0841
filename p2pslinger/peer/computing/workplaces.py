"""Where our slots ask for work: our own keeper, and the keepers of others' open jobs.

Where there are more keepers than a slot asks at once, those that we work for stay, and
the others take turns, one for each job: neither an idle job that somebody has left open
nor one with many keepers starves another.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, zip_longest

from p2pslinger import limits
from p2pslinger.ids import JobId, PeerId
from p2pslinger.net.gossip import Notices
from p2pslinger.peer.computing.keepers import KeeperLink
from p2pslinger.peer.computing.volunteer import Volunteer
from p2pslinger.wire.records import Notice

#: Seconds after which other keepers are asked, where there are very many.
TURN = 5.0


class Workplaces:
    """The keepers that this peer's volunteer knows, and which of them it asks.

    Args:
        own: This machine's own keeper.
        volunteer: Asks them.
        notices: Tells whose jobs are open.
        works_at: Tells whether we compute for a peer.
        fits: Tells whether our slots could compute a job.
        rng: Decides whose turn it is.
    """

    def __init__(
        self,
        *,
        own: KeeperLink,
        volunteer: Volunteer,
        notices: Notices,
        works_at: Callable[[PeerId], bool],
        fits: Callable[[Notice], bool],
        rng: random.Random,
    ) -> None:
        self._own = own
        self._volunteer = volunteer
        self._notices = notices
        self._works_at = works_at
        self._fits = fits
        self._rng = rng
        self._keepers: dict[PeerId, KeeperLink] = {own.peer: own}
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
            # First what is cheap to see: as many that can be asked, and that have work.
            many = min(len(self._keepers) - 1, self._offers()) >= limits.PARKED_AT
            if many and len(self.wanted()) >= limits.PARKED_AT:
                self._look()

    def wanted(self) -> list[PeerId]:
        """Return whom we would be connected with, those that matter most first.

        These are the keepers of open jobs that our slots could work on: one of each
        job, then a second one, and so on. A job with many keepers keeps nobody from
        another. Those that we owe results to come last.
        """
        kept = self._kept()
        keepers = dict.fromkeys(_in_turns(self._nearest(one) for one in kept.values()))
        owed = self._volunteer.retained.owed().values()
        keepers.update(dict.fromkeys(chain.from_iterable(map(sorted, owed))))
        keepers.pop(self._own.peer, None)
        return list(keepers)

    # --- inside -------------------------------------------------------------------

    def _offers(self) -> int:
        """Count the reasons to ask a keeper: nobody is wanted without one."""
        owed = self._volunteer.retained.owed().values()
        return len(self._notices.open_notices()) + sum(map(len, owed))

    def _kept(self) -> dict[JobId, list[PeerId]]:
        """Return the open jobs that our slots could work on, and who keeps each."""
        kept: dict[JobId, list[PeerId]] = {}
        if self._volunteer.stations:
            for notice in self._notices.open_notices():
                keeper = PeerId(notice.keeper)
                if self._fits(notice) and self._works_at(keeper):
                    kept.setdefault(JobId(notice.job), []).append(keeper)
        return kept

    def _nearest(self, keepers: list[PeerId]) -> list[PeerId]:
        """Order a job's keepers: the connected first, and not the same everywhere."""
        if len(keepers) < 2:
            return keepers
        me = self._own.peer
        return sorted(
            keepers, key=lambda one: (one not in self._keepers, _distance(one, me))
        )

    def _tell(self) -> None:
        """Tell every keeper in reach what our slots can be, so that it knows if not."""
        if self._volunteer.stations:
            for peer in {PeerId(one.keeper) for one in self._notices.open_notices()}:
                if peer in self._keepers and self._works_at(peer):
                    self._volunteer.tell(self._keepers[peer])

    def _look(self) -> None:
        self._looking = False
        self._tell()
        reached = {
            job: [self._keepers[peer] for peer in peers if peer in self._keepers]
            for job, peers in self._kept().items()
        }
        asked = [self._own, *self._chosen(reached)]
        for job, owed in self._volunteer.retained.owed().items():
            links = reached.setdefault(job, [])
            found = [self._keepers[one] for one in sorted(owed) if one in self._keepers]
            links.extend(link for link in found if link not in links)
        self._volunteer.serve(asked, reached)

    def _chosen(self, reached: dict[JobId, list[KeeperLink]]) -> list[KeeperLink]:
        """Return others' keepers to ask, the first ones first.

        If there are too many, these are the ones that we work for; then by chance one
        of each job that has none among them; then the rest.
        """
        known = dict.fromkeys(chain.from_iterable(reached.values()))
        known.pop(self._own, None)
        if len(known) < limits.PARKED_AT:
            return list(known)
        stations = self._volunteer.stations
        held = {one.keeper for s in stations for one in s.assignments}
        chosen = {keeper: None for keeper in known if keeper in held}
        jobs = [keepers for keepers in reached.values() if keepers]
        self._rng.shuffle(jobs)
        for keepers in jobs:
            if self._own not in keepers and not any(k in chosen for k in keepers):
                chosen[self._rng.choice(keepers)] = None
        rest = [keeper for keeper in known if keeper not in chosen]
        self._rng.shuffle(rest)
        return [*chosen, *rest]


def _in_turns(rows: Iterable[list[PeerId]]) -> Iterator[PeerId]:
    """Yield the first of every row, then the second of every row, and so on."""
    for column in zip_longest(*rows):
        yield from (peer for peer in column if peer is not None)


def _distance(one: PeerId, other: PeerId) -> int:
    return int.from_bytes(one, "big") ^ int.from_bytes(other, "big")
