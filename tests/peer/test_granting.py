"""However many volunteers wait, each grant is sized as if all had been counted anew."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from itertools import count

import pytest

from p2pslinger.ids import PeerId
from p2pslinger.peer.events import Events
from p2pslinger.peer.keeper import Keeper
from p2pslinger.peer.seats import KeptJob, Seat
from p2pslinger.rules.board import Board
from p2pslinger.rules.spans import Span
from p2pslinger.wire.glimpse import Glimpse
from p2pslinger.wire.manifest import open_manifest
from p2pslinger.wire.messages import Revoke, Want, Work
from p2pslinger.wire.needs import Offer, Offered
from p2pslinger.wire.records import RangeResult
from tests.peer.keeping import ANN, GRID, JobThere


class Sink:
    """Takes no interest in what becomes of a job."""

    def granted(self) -> None: ...

    def accepted(
        self, seat: Seat, result: RangeResult, blob: bytes | None, new: list[Span]
    ) -> None: ...

    def glimpsed(self, peer: PeerId, glimpse: Glimpse) -> None: ...

    def finished(self) -> None: ...

    def delivered(self) -> None: ...


def kept(nonce: int, python: str | None, tasks: int) -> KeptJob:
    there = JobThere.make(ANN, [range(tasks)], nonce=nonce, python=python)
    board = Board(there.id, bytes(32))
    board.append(tasks)
    board.pace.measured(1, 1.0)
    manifest = open_manifest(there.manifest, GRID)
    return KeptJob(
        there.id, manifest, there.manifest, ANN.id, float(nonce), board, Sink()
    )


def nothing(_: Revoke) -> None:
    """Nobody is stopped here."""


class Crowd:
    """A keeper whose requests come, go and come again by chance.

    Args:
        rng: Chance.
    """

    def __init__(self, rng: random.Random) -> None:
        self.keeper = Keeper(asyncio.get_running_loop(), Events())
        self.jobs = [kept(1, "3.11", 60), kept(2, None, 60), kept(3, "3.12", 60)]
        self.served: list[Work] = []
        self._rng = rng
        self._numbers = count(1)
        for job in self.jobs:
            self.keeper.keep(job)

    def sit(self, number: int) -> None:
        """Add a volunteer, whose slots are of whatever Python."""
        keeper, rng = self.keeper, self._rng
        peer = PeerId(bytes([number]) * 20)
        seat = keeper.sit(peer, mine=True, revoke=nothing)
        pythons = rng.choice([("3.11",), ("3.12",), ("3.11", "3.12")])
        keeper.offered(seat, Offer("", tuple(map(Offered, pythons))))
        for _ in range(rng.randrange(1, 4)):
            self.park(seat)

    def park(self, seat: Seat) -> None:
        """Ask for work."""
        want = Want(next(self._numbers), self._rng.random() < 0.3)
        self.keeper.want(seat, want, partial(self._answered, seat))

    def _answered(self, seat: Seat, work: Work) -> None:
        self.served.append(work)
        granting = self.keeper._granting
        for job in self.jobs:
            assert granting._places(job) == granting.places(job)
        if self._rng.random() < 0.3:
            self.park(seat)  # as this machine's own volunteer does, at once
        if self._rng.random() < 0.1 and seat.parked:
            self.keeper.unwant(seat, next(iter(seat.parked)))


@pytest.mark.parametrize("seed", range(5))
def test_places_are_counted_once_a_turn_and_are_right_at_each_grant(seed: int) -> None:
    async def main() -> None:
        crowd = Crowd(random.Random(seed))
        for number in range(12):
            crowd.sit(number)
        for job in crowd.jobs:
            crowd.keeper.appended(job, [])
            await asyncio.sleep(0)
        assert len(crowd.served) >= 12
        assert all(job.board.grants for job in crowd.jobs[:2])
        crowd.keeper.close()

    asyncio.run(main())


def test_what_a_volunteer_offers_now_counts_not_what_it_has_offered_before() -> None:
    async def main() -> None:
        keeper = Keeper(asyncio.get_running_loop(), Events())
        job = kept(1, "3.12", 5)
        keeper.keep(job)
        seat = keeper.sit(PeerId(bytes(20)), mine=True, revoke=nothing)
        answers: list[Work] = []
        keeper.offered(seat, Offer("", (Offered("3.11"),)))
        keeper.want(seat, Want(1, False), answers.append)
        keeper.appended(job, [])
        assert not answers
        keeper.offered(seat, Offer("", (Offered("3.12"),)))
        await asyncio.sleep(0)
        assert len(answers) == 1
        keeper.close()

    asyncio.run(main())
