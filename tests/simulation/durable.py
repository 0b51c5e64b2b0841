"""Durable jobs on simulated machines, in the words of tests."""

from __future__ import annotations

import pickle

from p2pslinger.client.arguments import shards_of
from p2pslinger.client.packing import pack_function
from p2pslinger.ids import JobId
from p2pslinger.peer.durable.deposit import Deposit
from p2pslinger.peer.durable.held import Held
from p2pslinger.rules.grants import grant_mac
from p2pslinger.testing.grid import SimulatedGrid, SimulatedPeer
from p2pslinger.wire.blobs import blob_digest
from p2pslinger.wire.control import OpenJob, ShardIn
from p2pslinger.wire.identity import Identity
from p2pslinger.wire.keeping import Item, Kind
from p2pslinger.wire.manifest import Function, Policy
from p2pslinger.wire.packed import pack_items
from p2pslinger.wire.records import RangeResult, ResultBatch, seal

TASKS = 60

#: A value as slots send it: None.
NONE = pickle.dumps(None)


def same(n: int) -> int:
    return n


async def people(
    grid: SimulatedGrid, count: int = 4, *, slots: int = 1, cost: float = 0.2
) -> list[SimulatedPeer]:
    """Start a submitter without slots and others; all connected.

    Args:
        grid: Where.
        count: How many, the submitter included.
        slots: Of each of the others.
        cost: Seconds that each task takes.
    """
    ann = await grid.add("ann")
    others = [
        await grid.add(f"p{i}", slots=slots, bootstrap=[ann]) for i in range(count - 1)
    ]
    for peer in others:
        peer.slots.cost = lambda _: cost
    await grid.until(lambda: len(ann.peer.links.open) >= count - 1, within=60)
    return [ann, *others]


def find(peer: SimulatedPeer, job: JobId) -> Held | None:
    """Return a job at a peer, or None if it is not there."""
    return peer.peer.custody.vault.held.get(job) if peer.is_up else None


def at(peer: SimulatedPeer, job: JobId) -> Held:
    """Return a job at a peer that has it."""
    held = find(peer, job)
    assert held is not None
    return held


def keepers(peers: list[SimulatedPeer], job: JobId) -> list[SimulatedPeer]:
    """Return those who keep a job."""
    found = [(peer, find(peer, job)) for peer in peers]
    return [peer for peer, held in found if held is not None and held.job.is_keeper]


def others_than(
    keepers: list[SimulatedPeer], peers: list[SimulatedPeer]
) -> list[SimulatedPeer]:
    """Return the peers that are not among the keepers."""
    return [peer for peer in peers if peer not in keepers]


def open_job(
    peer: SimulatedPeer, *, keepers: int = 2, keep_for: float = 1e6
) -> Deposit:
    """Submit a durable job; its arguments follow, and it is not sealed."""
    code = pack_function(same).code
    function = Function("same", code, blob_digest(code), len(code), None)
    ask = OpenJob(0, "same", function, Policy(durable=True), keepers, keep_for)
    return peer.peer.custody.deposits.open(ask, code)


def append(deposit: Deposit, numbers: range) -> None:
    """Append arguments to a job."""
    for shard in shards_of(numbers):
        part = ShardIn(shard.count, int(shard.form), shard.data)
        deposit.append([(part, shard.data)])


def a_result(held: Held, by: Identity, *values: bytes) -> Item:
    """Return results as a volunteer with a grant would sign them.

    Args:
        held: The job at one of its keepers.
        by: The volunteer.
        values: Of the first tasks, each one result.
    """
    job, key = held.job.id, held.job.kept.board.key
    ranges = []
    for task, value in enumerate(values):
        span, packed = (task, task + 1), pack_items([value])
        mac = grant_mac(key, job, task, by.id, span)
        ranges.append(
            RangeResult(
                job,
                task,
                span,
                mac,
                *span,
                1,
                packed,
                b"",
                len(packed),
                (),
                False,
                1.0,
                1.0,
                b"",
            )
        )
    batch = ResultBatch(tuple(ranges))
    return Item(Kind.RESULTS, seal(batch, by, held.job.means.grid))
