"""The people of a trial: they meddle with jobs, and know who keeps them."""

from __future__ import annotations

from collections.abc import Mapping

from p2pslinger.testing.chaos.faults import Fault
from p2pslinger.testing.chaos.replicas import Archive, keepers_of
from p2pslinger.testing.chaos.workload import Work
from p2pslinger.testing.grid import SimulatedGrid


class Owners:
    """Who owns the jobs of a trial; what the weather calls people.

    Args:
        grid: Where they are.
        works: The jobs, by name.
        archive: Tells who keeps them.
    """

    def __init__(
        self, grid: SimulatedGrid, works: Mapping[str, Work], archive: Archive
    ) -> None:
        self._grid = grid
        self._works = works
        self._archive = archive

    def named(self, role: str) -> str:
        """Return who is "keeper 1 of job 2" or "the submitter of job 1" now."""
        what, of, name = role.partition(" of ")
        if not of:
            return role
        work = self._works[name]
        if what == "the submitter":
            return work.peer.name
        if work.job is None:
            return ""
        names = {peer.id: peer.name for peer in self._grid.peers.values()}
        keepers = [names[one] for one in keepers_of(self._archive.copies(work.job.id))]
        others = [one for one in keepers if one != work.peer.name]
        number = int(what.removeprefix("keeper "))
        return others[number] if number < len(others) else ""

    async def meddle(self, fault: Fault) -> bool:
        """Do to a job what a fault says; return whether that could be done."""
        return await self._works[fault.who[0]].suffer(fault)

    async def resume(self, fault: Fault) -> None:
        """Undo a pause."""
        await self._works[fault.who[0]].resume()
