"""The owner's part of a durable job: which results count, and who has earned what.

One owner decides, so that two never accept differently: the submitter's peer; while
that is away, whoever has the job key by a ticket. A peer that has just come back
compares with the other keepers first: another owner may have decided in the meantime.

Accepted once is final. A program sees a value once its acceptance is on disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from p2pslinger.errors import DiskError
from p2pslinger.ids import PeerId
from p2pslinger.limits import ACCEPTED_RANGES
from p2pslinger.peer.durable.jobfile import JobFile
from p2pslinger.peer.durable.settled import Settled
from p2pslinger.rules.delivery import Credit
from p2pslinger.rules.outcomes import Outcome
from p2pslinger.rules.replica import Replica
from p2pslinger.rules.spans import Spans
from p2pslinger.wire.identity import Identity
from p2pslinger.wire.records import Acceptance, Accepted


class Deciding:
    """Decides for one job, if that is up to this peer.

    Args:
        replica: The job's items.
        file: What of it is on disk.
        mine: It was submitted at this peer.
        sign: Signs an acceptance, takes it in, and returns its id.
        show: Shows outcomes to whoever follows the job.
        loop: Puts off decisions to the end of a turn.
    """

    def __init__(
        self,
        replica: Replica,
        file: JobFile,
        *,
        mine: bool,
        sign: Callable[[Acceptance], bytes | None],
        show: Callable[[Sequence[Settled]], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._replica = replica
        self._file = file
        self._mine = mine
        self._sign = sign
        self._show = show
        self._loop = loop
        #: The job key, if this peer is an owner.
        self.key: Identity | None = None
        #: This peer knows what other owners may have decided.
        self.ready = False
        #: The submitter's peer is gone.
        self.away = False
        self._decided = Spans()
        self._undecided: list[Settled] = []
        self._looked: int | None = None  # at this revision of the replica
        self._credits: dict[PeerId, Credit] | None = None

    @property
    def decides(self) -> bool:
        """Whether it is up to this peer now."""
        return self.key is not None and self.ready and (self._mine or self.away)

    @property
    def waits(self) -> bool:
        """Whether it will be up to this peer in a moment: nothing is shown before."""
        return self.key is not None and self._mine and not self.ready

    @property
    def decided(self) -> int:
        """Tasks whose outcome an owner has accepted."""
        return self._decided.count

    def heard(self, accepted: Iterable[Accepted]) -> None:
        """Note what was accepted, by whichever owner."""
        for what in accepted:
            self._decided.add(what.start, what.stop)
            self._credits = None

    def offer(self, found: list[Settled]) -> None:
        """Accept outcomes, at the end of this turn of the loop."""
        if found and not self._undecided:
            self._loop.call_soon(self._decide)
        self._undecided += found

    def is_to_look(self) -> bool:
        """Tell, once for each change, whether outcomes may wait for a decision."""
        fresh = self._looked != self._replica.revision
        if not fresh or not self.decides or self._undecided:
            return False
        self._looked = self._replica.revision
        return True

    def credits(self) -> dict[PeerId, Credit]:
        """Return what was accepted, by volunteer."""
        if self._credits is None:
            self._credits = {}
            for one in self._replica.outcomes():
                if one.accepted:
                    _add(self._credits, one)
        return self._credits

    def _decide(self) -> None:
        found, self._undecided = self._undecided, []
        if not self.decides:
            self._looked = None
            return
        if not self._all_count(found):
            # Superseded meanwhile, by answers that come first, or of somebody excluded.
            found = self._instead_of(found)
        new = [
            one._replace(start=low, stop=high)
            for one in found
            for low, high in self._decided.missing(one.start, one.stop)
        ]
        for i in range(0, len(new), ACCEPTED_RANGES):
            part = new[i : i + ACCEPTED_RANGES]
            ranges = tuple(Accepted(one.start, one.stop, one.batch) for one in part)
            id = self._sign(Acceptance(self._replica.job, ranges))
            if id is not None:
                self._file.when_saved(id, partial(self._saved, part), patient=True)

    def _all_count(self, found: Iterable[Settled]) -> bool:
        excluded = self._replica.standing.excluded
        ranges = [self._replica.batches.get(one.batch, ()) for one in found]
        return all(some and some[0].volunteer not in excluded for some in ranges)

    def _instead_of(self, found: Iterable[Settled]) -> list[Settled]:
        """Return the outcomes, as they are now, of the tasks that are decided on."""
        asked = Spans()
        for one in found:
            asked.add(one.start, one.stop)
        outcomes = [settled(one) for one in self._replica.outcomes()]
        others = Spans()
        for one in outcomes:
            for span in asked.missing(one.start, one.stop):
                others.add(*span)
        return [
            one._replace(start=low, stop=high)
            for one in outcomes
            for low, high in others.missing(one.start, one.stop)
        ]

    def _saved(self, part: Sequence[Settled], error: DiskError | None) -> None:
        if error is None:
            self._show(part)


def settled(one: Outcome) -> Settled:
    """Return an outcome as it is shown."""
    return Settled(one.start, one.stop, one.range.batch, one.range.place)


def _add(credits: dict[PeerId, Credit], one: Outcome) -> None:
    of = one.range
    tasks = one.stop - one.start
    credit = credits.setdefault(of.volunteer, Credit())
    credit.tasks += tasks
    credit.failures += min(tasks, of.failures)
    credit.spent(of.cpu * tasks / (of.stop - of.start))
