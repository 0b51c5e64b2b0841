"""Who keeps what: the keepers that a volunteer can reach now, job by job.

Two things tell that a keeper keeps a job: its notice, and work that it has given or
taken over. Whoever is gone is on no list any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from p2pslinger.ids import JobId, PeerId
from p2pslinger.peer.computing.jobshere import JobHere
from p2pslinger.peer.computing.keepers import KeeperLink
from p2pslinger.peer.computing.nobody import NOBODY


class Roster:
    """The keepers of the jobs that concern this peer.

    Args:
        me: This peer: it decides whom we turn to first, so that not all volunteers of
            a job turn to the same keeper.
    """

    def __init__(self, me: PeerId) -> None:
        #: This peer.
        self.me = me
        self._me = int.from_bytes(me, "big")
        self._told: Mapping[JobId, Sequence[KeeperLink]] = {}
        self._here: dict[JobId, JobHere] = {}
        self._mates: dict[PeerId, set[KeeperLink]] = {}  # by submitter, as far as asked

    def tell(self, told: Mapping[JobId, Sequence[KeeperLink]]) -> None:
        """Hear what the notices of reachable keepers say, all of it."""
        self._told = told
        self._mates.clear()

    def gave(self, job: JobHere, keeper: KeeperLink) -> None:
        """Note that we work on a job for a keeper: `job.keepers` has it already."""
        self._here[job.id] = job
        mates = self._mates.get(job.submitter)
        if mates is not None and keeper not in mates:
            mates.add(keeper)
            mates.update(self._told.get(job.id, ()))

    def forget(self, job: JobHere) -> None:
        """Forget a job of which nobody gives work any more."""
        self._here.pop(job.id, None)

    def lose(self, keeper: KeeperLink) -> None:
        """Forget a keeper that is gone. `JobHere.keepers` are told by others."""
        self.tell(
            {
                job: [one for one in keepers if one is not keeper]
                for job, keepers in self._told.items()
            }
        )

    def told_over(self, job: JobId, told_by: PeerId) -> Set[PeerId]:
        """Return the keepers at which a job is over, now that one of them says so.

        What is over at one keeper of a durable job is over at all of them.
        """
        here = self._here.get(job)
        if here is not None and here.manifest.policy.durable:
            keepers = {one.peer for one in here.keepers}
            if told_by in keepers:
                return keepers
        return {told_by}

    def of(self, job: JobId) -> list[KeeperLink]:
        """Return the keepers of a job, in the order in which we turn to them."""
        here = self._here.get(job)
        keepers = dict.fromkeys(here.keepers if here is not None else ())
        keepers.update(dict.fromkeys(self._told.get(job, ())))
        keepers.pop(NOBODY, None)
        return sorted(keepers, key=self._distance)

    def of_submitter(self, submitter: PeerId) -> Set[KeeperLink]:
        """Return the keepers of all jobs of a submitter that we have work of."""
        mates = self._mates.get(submitter)
        if mates is None:
            mates = self._mates[submitter] = set()
            for job in self._here.values():
                if job.submitter == submitter:
                    mates.update(job.keepers)
                    mates.update(self._told.get(job.id, ()))
        return mates

    def _distance(self, keeper: KeeperLink) -> int:
        return int.from_bytes(keeper.peer, "big") ^ self._me
