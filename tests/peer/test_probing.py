"""It is tried how well slots can be confined: in time, in peace, and again in doubt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from p2pslinger.peer.computing.confining import Confining
from p2pslinger.peer.computing.probing import AGAIN, LATER, QUIET, Probing
from p2pslinger.peer.owner import Owner
from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.level import Finding, Level
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.virtual import current
from tests.peer.keeping import ANN, ME

GOOD = Finding(Level.GOOD, Confinement.GOOD, ("strong: no bubblewrap",))


@dataclass
class Machine:
    """Where there is something to find."""

    confining: Confining
    finding: Finding | OSError = GOOD
    probes: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    async def probe(self) -> Finding:
        self.probes.append(current().time())
        await asyncio.sleep(0.1)
        if isinstance(self.finding, OSError):
            raise self.finding
        return self.finding

    def changed(self) -> None:
        self.told.append(self.confining.why_not)


@asynccontextmanager
async def probing(
    *, needed: bool = True, trusting: bool = False
) -> AsyncIterator[tuple[Machine, Probing]]:
    machine = Machine(Confining(ME.id, require=Level.GOOD, trusts_all=trusting))
    async with Owner() as owner:
        one = Probing(
            current(),
            owner,
            machine.probe,
            machine.confining,
            needed=needed,
            changed=machine.changed,
        )
        yield machine, one
        one.close()


def test_a_peer_alone_waits_for_a_quiet_moment(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with probing() as (machine, one):
            began = current().time()
            one.begin()
            await asyncio.sleep(60)
            assert machine.probes == [began + QUIET]
            assert machine.told == [""]

    virtual.run(main)


def test_the_first_neighbour_is_not_kept_waiting_and_others_change_nothing(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with probing() as (machine, one):
            one.begin()
            one.joined()
            one.joined()
            await asyncio.sleep(60)
            one.joined()
            await asyncio.sleep(60)
            assert len(machine.probes) == 1
            assert machine.confining.of(ANN.id) is Confinement.GOOD

    virtual.run(main)


def test_who_trusts_everybody_does_not_probe_for_a_neighbours_sake(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with probing(trusting=True) as (machine, one):
            one.joined()
            await asyncio.sleep(60)
            assert machine.probes == []

    virtual.run(main)


def test_a_peer_without_slots_never_probes(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with probing(needed=False) as (machine, one):
            one.begin()
            one.joined()
            await asyncio.sleep(60)
            assert machine.probes == []

    virtual.run(main)


def test_in_doubt_others_work_stays_away_until_another_look(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with probing() as (machine, one):
            one.now()
            await asyncio.sleep(1)
            doubted = current().time()
            one.doubt("bubblewrap is gone")
            assert machine.confining.of(ANN.id) is None
            assert "bubblewrap is gone" in machine.confining.why_not
            one.joined()
            await asyncio.sleep(AGAIN + 1)
            assert machine.probes[1:] == [doubted + AGAIN]
            assert machine.confining.of(ANN.id) is Confinement.GOOD
            assert machine.confining.why_not == ""

    virtual.run(main)


def test_a_probe_without_room_for_its_file_is_a_finding(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with probing() as (machine, one):
            machine.finding = OSError(28, "No space left on device")
            one.now()
            await asyncio.sleep(1)
            assert machine.confining.level is Level.NONE
            assert machine.confining.finding is not None
            assert "No space left" in machine.confining.finding.missing[0]

    virtual.run(main)


def test_what_was_not_enough_is_tried_again_and_nobody_else_hears_of_it(
    virtual: VirtualTime,
) -> None:
    """At the start of a session a machine may be too busy to answer in time."""

    async def main() -> None:
        async with probing() as (machine, one):
            machine.finding = Finding(Level.WEAK, Confinement.WEAK, ("good: too slow",))
            one.begin()
            await asyncio.sleep(2 * LATER + 10)
            assert len(machine.probes) == 3
            one.joined()
            await asyncio.sleep(1)
            assert len(machine.probes) == 3, "a neighbour is no reason"
            assert len(machine.told) == 1
            machine.finding = GOOD
            await asyncio.sleep(3 * LATER)
            assert len(machine.probes) == 4
            assert machine.told[1:] == [""]
            assert machine.confining.of(ANN.id) is Confinement.GOOD

    virtual.run(main)
