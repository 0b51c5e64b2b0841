"""Where slots ask for work: nobody's job keeps another's from being asked for."""

from __future__ import annotations

import asyncio
import random

from p2pslinger import limits
from p2pslinger.net.gossip import Notices
from p2pslinger.peer.computing.workplaces import Workplaces
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.virtual import current
from p2pslinger.wire.identity import Identity
from p2pslinger.wire.records import Notice, seal
from tests.peer.keeping import GRID, ME, SOON, Floor, ScriptedKeeper, volunteering

PEOPLE = [Identity(bytes([i] * 32)) for i in range(20, 60)]


class Street:
    """A volunteer's workplaces, and the notices that it hears."""

    def __init__(self, floor: Floor, *, trusting: bool = True) -> None:
        self.notices = Notices(
            grid=GRID,
            wall=current().time,
            rng=random.Random(1),
            neighbours=list,
            heard=lambda _: None,
        )
        self.own = ScriptedKeeper(ME)
        self.workplaces = Workplaces(
            own=self.own,
            volunteer=floor.volunteer,
            notices=self.notices,
            works_at=lambda _: trusting,
            fits=lambda _: True,
            rng=random.Random(1),
        )
        self.keepers: dict[Identity, ScriptedKeeper] = {}

    def keep(self, job: int, *keepers: Identity, linked: bool = True) -> None:
        """Have a job announced by its keepers, and be connected with them."""
        for keeper in keepers:
            notice = Notice(bytes([job] * 20), keeper.id, None, True, 1, 600.0)
            self.notices.announce(seal(notice, keeper, GRID))
            if linked and keeper not in self.keepers:
                self.keepers[keeper] = ScriptedKeeper(keeper)
                self.workplaces.add(self.keepers[keeper])
        self.workplaces.look_soon()

    def asked(self) -> set[Identity]:
        """Return whom the volunteer asks, but itself."""
        return {who for who, keeper in self.keepers.items() if keeper.wants}


def test_jobs_with_many_keepers_do_not_crowd_out_those_with_one(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with volunteering() as floor:
            street = Street(floor)
            for i in range(4):
                street.keep(i, *PEOPLE[5 * i : 5 * i + 5])
            lonely = PEOPLE[20:23]
            for i, keeper in enumerate(lonely):
                street.keep(10 + i, keeper)
            await asyncio.sleep(SOON)
            asked = street.asked()
            assert asked >= set(lonely)
            assert len(asked) == limits.PARKED_AT - 1
            assert street.own.places == [False, True]
            for i in range(4):
                assert asked & set(PEOPLE[5 * i : 5 * i + 5])

    virtual.run(main)


def test_one_keeper_of_each_job_is_dialled_before_a_second_one(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with volunteering() as floor:
            street = Street(floor)
            first, second, third = PEOPLE[:3], PEOPLE[3:6], PEOPLE[6:7]
            street.keep(1, *first, linked=False)
            street.keep(2, *second, linked=False)
            street.keep(3, *third, linked=False)
            wanted = street.workplaces.wanted()
            assert len(wanted) == 7
            for people in (first, second, third):
                assert {one.id for one in people} & set(wanted[:3])

    virtual.run(main)


def test_a_keeper_that_is_connected_comes_before_others_of_its_job(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with volunteering() as floor:
            street = Street(floor)
            for keeper in PEOPLE[:5]:
                street.keep(1, keeper, linked=keeper is PEOPLE[3])
            assert street.workplaces.wanted()[0] == PEOPLE[3].id

    virtual.run(main)


def test_whoever_computes_only_for_itself_wants_nobody(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with volunteering() as floor:
            street = Street(floor, trusting=False)
            street.keep(1, PEOPLE[0])
            await asyncio.sleep(SOON)
            assert street.workplaces.wanted() == []
            assert street.asked() == set()

    virtual.run(main)
