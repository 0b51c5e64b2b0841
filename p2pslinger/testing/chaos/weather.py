"""Bad weather: carries out what a plan says may befall a grid, and undoes it.

Faults may overlap. What the network is like follows at every moment from all that are
under way: a peer is cut off as long as one split says so, and the worst loss counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from p2pslinger.testing.chaos.faults import (
    TO_A_JOB,
    TO_A_MACHINE,
    TO_THE_NETWORK,
    Fault,
    Kind,
)
from p2pslinger.testing.chaos.plans import Plan
from p2pslinger.testing.chaos.story import Story
from p2pslinger.testing.grid import SimulatedGrid, SimulatedPeer
from p2pslinger.testing.hosts import Host


class People(Protocol):
    """Whoever has to do with jobs."""

    def named(self, role: str) -> str:
        """Return who has a role now; "" for nobody, a name for itself."""

    async def meddle(self, fault: Fault) -> bool:
        """Do to a job what a fault says; return whether that could be done."""

    async def resume(self, fault: Fault) -> None:
        """Undo a pause."""


class Weather:
    """What is wrong with a grid at the moment.

    Args:
        grid: The grid.
        plan: How it is when nothing is wrong.
        story: Is told what happens.
        people: What people do to jobs, and who has which role in one.
    """

    def __init__(
        self,
        grid: SimulatedGrid,
        plan: Plan,
        story: Story,
        people: People,
    ) -> None:
        self._grid = grid
        self._plan = plan
        self._story = story
        self._people = people
        self._now: dict[Fault, Fault] = {}  # with roles, and with names
        self._gone: set[str] = set()
        #: How many faults have really happened.
        self.happened = 0

    def hosts(self, fault: Fault) -> list[Host]:
        """Return the machines that a fault befalls."""
        return [self._grid.peers[name].host for name in fault.who]

    def is_gone(self, name: str) -> bool:
        """Return whether a peer will never be back."""
        return name in self._gone

    async def begin(self, planned: Fault) -> None:
        """Let a fault happen, unless there is nothing left that it could befall."""
        fault = replace(planned, who=tuple(map(self._people.named, planned.who)))
        self._story.tell(str(fault))
        if "" not in fault.who and await self._began(fault):
            self.happened += 1
            self._now[planned] = fault
        else:
            self._story.tell("    (not now)")

    async def end(self, planned: Fault) -> None:
        """Undo a fault, if it has happened."""
        if planned in self._now and planned.kind is not Kind.GONE:
            fault = self._now.pop(planned)
            self._story.tell(f"over: {fault}")
            await self._ended(fault)

    async def clear(self) -> None:
        """Undo everything that can be undone."""
        for fault in list(self._now):
            await self.end(fault)

    async def _began(self, fault: Fault) -> bool:
        if fault.kind in TO_A_JOB:
            return await self._people.meddle(fault)
        if fault.kind in TO_THE_NETWORK:
            self._blow([*self._now.values(), fault])
            return True
        peer = self._grid.peers[fault.who[0]]
        if fault.kind in TO_A_MACHINE:
            return await self._hit(peer, fault)
        _BEGIN[fault.kind](peer, fault)
        return True

    async def _ended(self, fault: Fault) -> None:
        if fault.kind is Kind.PAUSE:
            await self._people.resume(fault)
        elif fault.kind in TO_THE_NETWORK:
            self._blow(list(self._now.values()))
        elif fault.kind in TO_A_MACHINE:
            peer = self._grid.peers[fault.who[0]]
            if fault.kind is Kind.SLEEP:
                peer.wake()
            elif not peer.is_up and not self.is_gone(peer.name):
                await peer.restart()
        elif fault.kind in _END:
            _END[fault.kind](self._grid.peers[fault.who[0]], fault)

    async def _hit(self, peer: SimulatedPeer, fault: Fault) -> bool:
        """Stop a machine in some way; not one that has been stopped before."""
        if not peer.is_up or peer.host.asleep:
            return False
        if fault.kind is Kind.SLEEP:
            peer.sleep()
        elif fault.kind is Kind.KILL:
            await peer.kill()
        elif fault.kind is Kind.LEAVE:
            await peer.stop()
        else:
            await peer.crash()
        if fault.kind is Kind.GONE:
            self._gone.add(peer.name)
        return True

    def _blow(self, faults: list[Fault]) -> None:
        """Make the network what these faults together make of it."""
        network, plan = self._grid.network, self._plan
        network.heal()
        network.partition(*self._groups(faults))
        for fault in faults:
            if fault.kind is Kind.ONE_WAY:
                self._mute(self.hosts(fault))
        network.reordering = _worst(faults, Kind.REORDERING, plan.reordering)
        network.duplication = _worst(faults, Kind.REORDERING, plan.duplication)
        factor = _worst(faults, Kind.DELAY, 1.0)
        network.become(
            latency=(plan.latency[0] * factor, plan.latency[1] * factor),
            loss=_worst(faults, Kind.LOSS, plan.loss),
        )

    def _groups(self, faults: list[Fault]) -> list[list[Host]]:
        """Part the machines by the splits that they are on the same side of."""
        splits = [set(fault.who) for fault in faults if fault.kind is Kind.SPLIT]
        groups: dict[tuple[bool, ...], list[Host]] = {}
        for peer in self._grid.peers.values():
            side = tuple(peer.name in split for split in splits)
            groups.setdefault(side, []).append(peer.host)
        return list(groups.values())

    def _mute(self, hosts: list[Host]) -> None:
        """Let nothing pass from these machines to the others."""
        for peer in self._grid.peers.values():
            if peer.host not in hosts:
                for host in hosts:
                    self._grid.network.cut(host, peer.host)


def _worst(faults: list[Fault], kind: Kind, otherwise: float) -> float:
    return max([otherwise, *(f.amount for f in faults if f.kind is kind)])


def _move_clock(peer: SimulatedPeer, fault: Fault) -> None:
    peer.skew += fault.amount


def _move_clock_back(peer: SimulatedPeer, fault: Fault) -> None:
    peer.skew -= fault.amount


def _fill_disk(peer: SimulatedPeer, _: Fault) -> None:
    peer.disk.full = True


def _empty_disk(peer: SimulatedPeer, _: Fault) -> None:
    peer.disk.full = False


def _slow_disk(peer: SimulatedPeer, fault: Fault) -> None:
    peer.disk.slow = fault.amount


def _quick_disk(peer: SimulatedPeer, _: Fault) -> None:
    peer.disk.slow = 0.0


_BEGIN: dict[Kind, Callable[[SimulatedPeer, Fault], None]] = {
    Kind.CLOCK: _move_clock,
    Kind.FULL_DISK: _fill_disk,
    Kind.SLOW_DISK: _slow_disk,
}
_END: dict[Kind, Callable[[SimulatedPeer, Fault], None]] = {
    Kind.CLOCK: _move_clock_back,
    Kind.FULL_DISK: _empty_disk,
    Kind.SLOW_DISK: _quick_disk,
}
