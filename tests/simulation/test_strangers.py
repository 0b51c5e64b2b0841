"""Peers that do not trust each other, among themselves: whose slot, and of which kind.

Simulated slots confine nothing; what is looked at is who is given which.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.level import Finding, Level
from p2pslinger.sandbox.slot import Exit, Order, Outcome, Slot
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.grid import SimulatedGrid, SimulatedPeer
from p2pslinger.testing.slots import InlineSlot

TASKS = 120

GOOD = Finding(Level.GOOD, Confinement.GOOD, ("strong: no bubblewrap",))
WEAK = Finding(Level.WEAK, Confinement.WEAK, ("good: no Landlock",), ("read files",))


def square(x: int) -> int:
    return x * x


def double(x: int) -> int:
    return 2 * x


async def four(grid: SimulatedGrid) -> list[SimulatedPeer]:
    """Start Ann and Bob, who submit, and two who compute and trust nobody."""
    ann = await grid.add("ann", trust_members=False)
    rest = [
        await grid.add(name, slots=slots, bootstrap=[ann], trust_members=False)
        for name, slots in (("bob", 0), ("carl", 1), ("dora", 2))
    ]
    peers = [ann, *rest]
    await grid.until(
        lambda: all(len(peer.peer.links.open) == 3 for peer in peers), within=10
    )
    return peers


class Witness:
    """Sees what every slot of a peer is given.

    Attributes:
        kinds: How the slots that computed were confined.
        functions: What each slot has computed, by the slot.
    """

    def __init__(self, peer: SimulatedPeer) -> None:
        self.kinds: set[Confinement] = set()
        self.functions: dict[InlineSlot, set[bytes]] = {}
        self._make = peer.slots.slot
        peer.slots.slot = self.slot  # type: ignore[method-assign]

    async def slot(
        self,
        on_done: Callable[[Outcome], None],
        on_exit: Callable[[Exit], None],
        memory: int,
        confinement: Confinement = Confinement.OWN,
        interpreter: object = None,
    ) -> Slot:
        made = await self._make(on_done, on_exit, memory, confinement)
        assert isinstance(made, InlineSlot)
        run = made.run

        def watched(order: Order) -> None:
            self.kinds.add(made.confinement)
            code = made._jobs[order.job].code
            self.functions.setdefault(made, set()).add(code)
            run(order)

        made.run = watched  # type: ignore[method-assign]
        return made


def test_two_submitters_share_volunteers_but_no_slot(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob, carl, dora = await four(grid)
            witnesses = [Witness(carl), Witness(dora)]
            hers = await ann.submit(square, range(TASKS))
            his = await bob.submit(double, range(TASKS))
            assert await hers.results() == [square(x) for x in range(TASKS)]
            assert await his.results() == [double(x) for x in range(TASKS)]
            assert carl.slots.computed.total() > 0
            assert dora.slots.computed.total() > 0
            for witness in witnesses:
                assert witness.kinds == {Confinement.STRONG}
                assert all(len(seen) == 1 for seen in witness.functions.values())

    virtual.run(main)


def test_a_machine_that_confines_too_little_leaves_the_work_to_others(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann = await grid.add("ann", trust_members=False)
            findings = {"carl": WEAK, "dora": GOOD}
            peers = {}
            for name, finding in findings.items():
                peer = await grid.add(
                    name, slots=1, bootstrap=[ann], trust_members=False
                )
                peer.slots.finding = finding
                peers[name] = peer
            job = await ann.submit(square, range(TASKS))
            assert await job.results() == [square(x) for x in range(TASKS)]
            carl, dora = peers["carl"], peers["dora"]
            assert carl.slots.computed.total() == 0
            assert {slot.confinement for slot in dora.slots.live} == {Confinement.GOOD}
            cards = [link.card for link in ann.peer.links.open.values()]
            assert {card.name: card.sandbox for card in cards} == {
                "carl": "weak",
                "dora": "good",
            }
            own = await carl.submit(double, range(5))
            assert await own.results() == [0, 2, 4, 6, 8]

    virtual.run(main)


def test_a_volunteer_whose_sandbox_fails_gives_the_work_to_others_and_looks_again(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, _, carl, dora = await four(grid)
            carl.slots.unconfinable = "out of namespaces"
            job = await ann.submit(square, range(TASKS))
            assert await job.results() == [square(x) for x in range(TASKS)]
            assert carl.slots.computed.total() == 0
            assert dora.slots.computed.total() == TASKS
            carl.slots.unconfinable = ""
            await asyncio.sleep(60)
            carl.slots.computed.clear()
            again = await ann.submit(double, range(TASKS))
            assert await again.results() == [double(x) for x in range(TASKS)]
            assert carl.slots.computed.total() > 0

    virtual.run(main)
