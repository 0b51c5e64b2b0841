"""Parcels: an assignment, with everything that its volunteer has not been sent yet.

A connection carries a job's manifest once, and each small shard once. Big shards are
only described: the volunteer fetches them.
"""

from __future__ import annotations

from p2pslinger import limits
from p2pslinger.peer.seats import KeptJob, Seat, Sent
from p2pslinger.rules.grants import Held
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.messages import Grant, ShardData, Work


def parcel(job: KeptJob, seat: Seat, helds: list[Held]) -> Work:
    """Put an assignment together with what the seat has not been sent yet."""
    sent = seat.sent.get(job.id)
    manifests: tuple[Signed, ...] = ()
    if sent is None:
        sent = seat.sent[job.id] = Sent()
        manifests = (job.signed,)
    sent.prune(job.shelf.first)
    batches: list[Signed] = []
    shards: list[ShardData] = []
    room = limits.ANSWER
    for held in helds:
        for shard in job.shelf.of(held.start, held.stop):
            if shard.number in sent.shards:
                continue
            if shard.batch.first not in sent.batches:
                sent.batches.add(shard.batch.first)
                batches.append(shard.batch.record)
            if shard.data is not None and room > 0:
                room -= len(shard.data)
                sent.shards.add(shard.number)
                shards.append(ShardData(job.id, shard.number, shard.data))
    pace = job.board.pace.slice
    grants = tuple(
        Grant(
            job.id,
            held.number,
            held.start,
            held.stop,
            job.board.lease,
            pace,
            job.board.mac(held),
        )
        for held in helds
    )
    return Work(grants, manifests, tuple(batches), tuple(shards))
