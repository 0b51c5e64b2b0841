"""Whatever keepers do, a result is kept until one says that enough of them have it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from p2pslinger.errors import SlingerError, UnavailableError
from p2pslinger.ids import PeerId
from p2pslinger.peer.computing.jobshere import JobHere
from p2pslinger.peer.computing.outcomes import finished
from p2pslinger.peer.computing.retained import AGAIN, OFFERS, Retained
from p2pslinger.peer.computing.roster import Roster
from p2pslinger.peer.events import Events
from p2pslinger.sandbox.slot import Outcome
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.virtual import current
from p2pslinger.wire.identity import Identity
from p2pslinger.wire.manifest import Policy, open_manifest
from p2pslinger.wire.messages import Delivered
from p2pslinger.wire.records import seal
from tests.peer.keeping import (
    ALONE,
    ANN,
    ENOUGH,
    GRID,
    ME,
    JobThere,
    NoBlobs,
    ScriptedKeeper,
)

PEOPLE = [Identity(bytes([i] * 32)) for i in range(30, 34)]

#: What keepers may say, besides yes.
EXCUSES: list[Delivered | SlingerError] = [
    ALONE,
    Delivered(0, (0,), enough=False),
    UnavailableError("no room"),
]


class Desk:
    """Copies of one job's results, and keepers that come and go."""

    def __init__(self) -> None:
        self.roster = Roster(ME.id)
        self.there = JobThere.make(ANN, policy=Policy(durable=True))
        manifest = open_manifest(self.there.manifest, GRID)
        self.job = JobHere(1, self.there.id, manifest, NoBlobs())
        self.retained = Retained(
            current(),
            wall=current().time,
            sign=lambda batch: seal(batch, ME, GRID),
            roster=self.roster,
            events=Events(),
        )
        self.links: dict[PeerId, ScriptedKeeper] = {}
        self.made = 0

    def come(self, who: Identity) -> ScriptedKeeper:
        """Connect a keeper, anew if it was connected."""
        self.go(who)
        keeper = self.links[who.id] = ScriptedKeeper(who, answer=None)
        self.roster.tell({self.job.id: list(self.links.values())})
        self.retained.look()
        return keeper

    def go(self, who: Identity) -> None:
        """Lose a keeper."""
        lost = self.links.pop(who.id, None)
        if lost is not None:
            self.roster.lose(lost)
            self.retained.lose(lost)

    def take(self, granter: ScriptedKeeper) -> None:
        """Have one more result."""
        grant = self.there.grant(self.made, self.made + 1)
        outcome = Outcome(1, self.made, self.made + 1, 0, b"", (), 0.0, 0.0, b"")
        self.made += 1
        self.retained.take(self.job, granter, [finished(grant, outcome, "here")])


@pytest.mark.parametrize("seed", range(20))
def test_every_result_reaches_a_keeper_that_says_yes(
    virtual: VirtualTime, seed: int
) -> None:
    async def main() -> None:
        desk, rng = Desk(), random.Random(seed)
        safe: set[tuple[int, int]] = set()
        for _ in range(300):
            act(desk, rng, safe)
            await asyncio.sleep(rng.choice([0.0, 0.0, 1.0, AGAIN]))
        kept = {(n, n + 1) for n in range(desk.made)} - safe
        assert len(desk.retained) == len(kept), "neither fewer nor more"

        for who in PEOPLE:
            desk.go(who)
        good = desk.come(PEOPLE[0])
        good.answer = ENOUGH
        while good.unanswered:
            good.unanswered.pop()(ENOUGH)
        await asyncio.sleep(1)
        assert set(good.computed) == kept
        assert len(desk.retained) == desk.retained.size == 0
        desk.retained.close()

    virtual.run(main)


def act(desk: Desk, rng: random.Random, safe: set[tuple[int, int]]) -> None:
    """Do something that happens; note what a keeper has said yes to."""

    def take() -> None:
        gone = ScriptedKeeper(rng.choice(PEOPLE))
        desk.take(rng.choice([*desk.links.values(), gone]))

    def answer() -> None:
        for keeper in list(desk.links.values()):
            if keeper.unanswered and rng.random() < 0.7:
                told = keeper.unanswered.pop(0)
                result = keeper.results[
                    len(keeper.results) - len(keeper.unanswered) - 1
                ]
                said = ENOUGH if rng.random() < 0.3 else rng.choice(EXCUSES)
                if said is ENOUGH:
                    safe.add((result.start, result.stop))
                told(said)

    choices: list[Callable[[], object]] = [
        take,
        take,
        answer,
        answer,
        lambda: desk.come(rng.choice(PEOPLE)),
        lambda: desk.go(rng.choice(PEOPLE)),
    ]
    rng.choice(choices)()


def test_no_keeper_has_more_offers_to_answer_than_a_connection_carries_well(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        desk = Desk()
        first = desk.come(PEOPLE[0])
        for _ in range(3 * OFFERS):
            desk.take(first)
        assert len(first.unanswered) == OFFERS
        second = desk.come(PEOPLE[1])
        assert len(second.unanswered) == OFFERS
        desk.go(PEOPLE[0])
        assert len(second.unanswered) == OFFERS
        while second.unanswered:
            second.unanswered.pop(0)(ENOUGH)
            await asyncio.sleep(0.1)
            assert len(second.unanswered) <= OFFERS
        assert len(desk.retained) == 0

    virtual.run(main)


def test_thousands_that_are_answered_at_once_need_no_deep_stack(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        desk = Desk()
        nobody = ScriptedKeeper(PEOPLE[0])
        for _ in range(3000):
            desk.take(nobody)
        desk.come(PEOPLE[1]).answer = ENOUGH
        desk.links[PEOPLE[1].id].unanswered.pop()(ENOUGH)
        await asyncio.sleep(1)
        assert len(desk.retained) == OFFERS - 1

    virtual.run(main)
