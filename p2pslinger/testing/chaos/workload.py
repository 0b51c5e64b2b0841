"""A trial's jobs: what people ask for and what they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import cast

from p2pslinger.errors import SlingerError
from p2pslinger.ids import to_text
from p2pslinger.testing.chaos.faults import TO_A_DURABLE_JOB, Fault, Kind
from p2pslinger.testing.chaos.plans import JobPlan
from p2pslinger.testing.chaos.story import Story
from p2pslinger.testing.chaos.tasks import TOLERANCE, Witnessed, task
from p2pslinger.testing.grid import SimulatedGrid, SimulatedPeer
from p2pslinger.testing.programs import KEPT_WITHIN, ProgramJob
from p2pslinger.wire.manifest import Policy

#: Seconds that a person waits for the answer to an order.
PATIENCE = 20.0

#: How each order is given to a peer, and with what value.
ORDERS = {
    Kind.CANCEL: ("cancel", None),
    Kind.FORGET: ("forget", None),
    Kind.PAUSE: ("pause", None),
    Kind.EXTEND: ("extend", 30 * 86_400.0),
}


class Work:
    """One job of a trial.

    Args:
        plan: What was planned.
        grid: Where.
        story: Is told what becomes of it.

    Attributes:
        peer: Where it is submitted: the planned machine, or the next that is there.
        job: The program's view of it, once it is submitted.
        owners: Peers that hold its job key: the submitter's first.
        ordered: Orders that somebody has given, confirmed or not.
        obeyed: Orders and who has confirmed them.
    """

    def __init__(self, plan: JobPlan, grid: SimulatedGrid, story: Story) -> None:
        self.plan = plan
        self.peer = grid.peers[plan.submitter]
        self.job: ProgramJob | None = None
        self.owners = [self.peer]
        self.ordered: set[str] = set()
        self.obeyed: list[tuple[str, SimulatedPeer]] = []
        self._grid = grid
        self._story = story
        self._life = -1

    def __str__(self) -> str:
        what = "durable" if self.plan.durable else "throw-away"
        return f"{self.plan.name} ({what}, {self.plan.tasks} tasks)"

    # --- what people do -----------------------------------------------------------

    def find_place(self) -> bool:
        """Choose a machine to submit it at; return whether there is one."""
        others = (peer for peer in self._grid.peers.values() if is_awake(peer))
        found = self.peer if is_awake(self.peer) else next(others, None)
        if found is not None:
            self.peer = self.owners[0] = found
        return found is not None

    async def submit(self) -> None:
        """Submit it."""
        plan, self._life = self.plan, self.peer.host.life
        numbers = [(plan.number, number) for number in range(plan.tasks)]
        policy = Policy(
            durable=plan.durable, replicate=plan.replicate, absolute=TOLERANCE
        )
        try:
            program = await self.peer.program()
            self.job = await program.submit(
                task, numbers, name=plan.name, policy=policy, keepers=plan.keepers
            )
            self._story.tell(f"{self} is submitted at {self.peer.name}")
            if plan.durable:
                kept = await self.job.await_kept(KEPT_WITHIN)
                self._story.tell(f"{plan.name} is kept by {kept.have} of {kept.wanted}")
        except (SlingerError, OSError) as error:
            self._story.tell(f"{plan.name} can't be submitted: {error}")

    async def suffer(self, fault: Fault) -> bool:
        """Do to it what a fault says; return whether that could be done."""
        if self.job is None or not (self.plan.durable or self._may_be_cancelled(fault)):
            return False
        if fault.kind is Kind.TICKET:
            return await self._share(self._grid.peers[fault.who[1]])
        owner = self.owners[int(fault.amount) % len(self.owners)]
        return await self.order(owner, *ORDERS[fault.kind])

    async def resume(self) -> None:
        """Have every owner that is there take a pause back."""
        for owner in self.owners:
            await self.order(owner, "resume")

    async def order(
        self, owner: SimulatedPeer, change: str, value: float | None = None
    ) -> bool:
        """Give an order at an owner's machine; return whether somebody was there."""
        if self.job is None or not is_awake(owner):
            return False
        self.ordered.add(change)
        job, what = to_text(self.job.id), f"{change} {self.plan.name}"
        try:
            async with asyncio.timeout(PATIENCE):
                program = await owner.program()
                if self.plan.durable:
                    await program.change(job, change, value)
                else:
                    await program.cancel(job)
        except (SlingerError, TimeoutError) as error:
            self._story.tell(f"{owner.name} can't {what}: {error!r}")
        else:
            self._story.tell(f"{owner.name} confirms: {what}")
            self.obeyed.append((change, owner))
        return True

    async def _share(self, other: SimulatedPeer) -> bool:
        """Make one more peer an owner; return whether everybody was there."""
        first = self.owners[0]
        assert self.job is not None
        if other in self.owners or not (is_awake(first) and is_awake(other)):
            return False
        try:
            async with asyncio.timeout(PATIENCE):
                giver, taker = await first.program(), await other.program()
                ticket = await giver.ticket(to_text(self.job.id), owner=True)
                self.owners.append(other)  # perhaps, if no answer comes
                await taker.own(ticket)
        except (SlingerError, TimeoutError) as error:
            self._story.tell(f"{other.name} can't own {self.plan.name}: {error!r}")
        return True

    def _may_be_cancelled(self, fault: Fault) -> bool:
        """Return whether this can be done to a throw-away job, as things stand."""
        possible = fault.kind not in TO_A_DURABLE_JOB
        return possible and self.survived and not self.is_done

    # --- what is known of it ------------------------------------------------------

    @property
    def survived(self) -> bool:
        """Whether the peer at which it was submitted has run ever since."""
        return self.peer.host.life == self._life

    @property
    def is_done(self) -> bool:
        """Whether the program that has submitted it has every outcome."""
        return self.job is not None and self.job.is_done

    @property
    def holders(self) -> int:
        """How many peers have confirmed to hold all of it on disk."""
        kept = self.job.kept if self.job is not None else None
        return kept.have if kept is not None else 0

    def confirmed(self, change: str) -> bool:
        """Return whether a peer that still has its disk has confirmed an order."""
        return any(said == change and peer.is_up for said, peer in self.obeyed)

    def witnessed(self) -> Iterator[tuple[int, Witnessed]]:
        """Yield the values that the program holds, by task."""
        if self.job is not None:
            for index, value in self.job.values.items():
                yield index, cast("Witnessed", value)


def is_awake(peer: SimulatedPeer) -> bool:
    """Return whether somebody could do something at a machine."""
    return peer.is_up and not peer.host.asleep
