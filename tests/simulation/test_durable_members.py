"""Readers of durable jobs, and members who mean harm."""

from __future__ import annotations

import asyncio
import pickle

import msgspec
import pytest

from p2pslinger import limits
from p2pslinger.client.arguments import shards_of
from p2pslinger.errors import ConnectionLostError, PeerError
from p2pslinger.ids import BlobId, to_text
from p2pslinger.rules.replica import item_id
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.grid import SimulatedGrid
from p2pslinger.wire.blobs import blob_digest
from p2pslinger.wire.control import ShardIn
from p2pslinger.wire.frames import HEADER_BYTES
from p2pslinger.wire.identity import Identity
from p2pslinger.wire.keeping import Item, Kind, Tell
from p2pslinger.wire.messages import PEER_CODEC, Deliver, Delivered
from p2pslinger.wire.packed import pack_items
from p2pslinger.wire.records import (
    ResultBatch,
    ShardBatch,
    ShardHead,
    range_name,
    read,
    seal,
)
from tests.simulation.durable import (
    NONE,
    TASKS,
    a_result,
    append,
    at,
    find,
    keepers,
    open_job,
    others_than,
    people,
    same,
)


def test_an_item_that_fits_no_message_ends_nobody(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = await people(grid, slots=0)
            job = await ann.start_job(same, range(TASKS))
            one = keepers(others, job.id)[0]
            held = at(one, job.id)
            volunteer = Identity(b"v" * 32)
            values = [bytes(limits.INLINE - 1000)] * 63 + [bytes(1000)]
            first = Deliver(a_result(held, volunteer, *values).signed)
            room = limits.FRAME - HEADER_BYTES - len(PEER_CODEC.encode(first)) - 8
            values[-1] = bytes(1000 + room)
            item = a_result(held, volunteer, *values)  # fits a delivery, just
            try:
                held.job.take(item)
            except PeerError:
                return  # so that nobody has to tell others of it
            await asyncio.sleep(100)
            assert ann.peer.custody.vault.held

    virtual.run(main)


def test_what_an_item_names_is_not_kept_if_the_item_is_refused(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            everybody = await people(grid, slots=0)
            ann, *others = everybody
            job = await ann.start_job(same, range(TASKS))
            keeper = keepers(others, job.id)[0]
            (eve,) = others_than(keepers(others, job.id), others)
            data = bytes(range(256)) * 1024
            digest = await eve.peer.library.put(job.id, data, durable=True)
            head = ShardHead(1, 0, digest, len(data))
            batch = ShardBatch(job.id, 5, TASKS, bytes(32), (head,))
            forged = Item(
                Kind.SHARDS, seal(batch, eve.identity, eve.peer.custody.vault.grid)
            )
            connection = eve.peer.links.open[keeper.id].connection
            await connection.request(Tell(job.id, (forged,)), timeout=30)
            assert not keeper.peer.library.has(job.id, digest)

    virtual.run(main)


@pytest.mark.parametrize("by", ["range", "content"])
def test_big_values_of_durable_jobs_are_taken_by_what_they_are_alone(
    virtual: VirtualTime, by: str
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, eve, *others = await people(grid, slots=0)
            job = await ann.start_job(same, range(TASKS))
            keeper = keepers([eve, *others], job.id)[0]
            (eve,) = others_than([keeper], [eve, *others])[:1]
            held = at(keeper, job.id)
            big = pack_items([bytes(limits.INLINE + 1)])
            item = a_result(held, eve.identity, bytes(1))
            (one,) = read(ResultBatch, item.signed).results
            name = range_name(one.job, one.grant, one.start, one.stop)
            digest = name if by == "range" else blob_digest(big)
            named = msgspec.structs.replace(
                one, values=b"", size=len(big), digest=digest
            )
            batch = seal(ResultBatch((named,)), eve.identity, held.job.means.grid)
            connection = eve.peer.links.open[keeper.id].connection
            answer = connection.request(Deliver(batch), body=big, timeout=30)
            if by == "content":
                assert isinstance(await answer, Delivered)
                assert keeper.peer.library.has(job.id, BlobId(digest))
                return
            with pytest.raises(PeerError, match="other values than it has signed"):
                await answer
            assert not keeper.peer.library.has(job.id, BlobId(digest))
            assert not held.job.kept.board.done

    virtual.run(main)


def test_a_program_reads_on_when_its_peer_becomes_a_keeper(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            everybody = await people(grid, cost=3.0)
            ann, *others = everybody
            job = await ann.start_job(same, range(TASKS))
            (reader,) = others_than(keepers(others, job.id), others)
            program = await reader.program()
            read = await program.attach(to_text(job.id))
            await keepers(others, job.id)[0].crash()
            await grid.until(lambda: reader in keepers(others, job.id), within=90)
            async with asyncio.timeout(300):
                assert await read.results() == list(range(TASKS))

    virtual.run(main)


def test_volunteers_get_their_last_receipts(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = await people(grid)
            job = await ann.start_job(same, range(TASKS))
            assert await job.results() == list(range(TASKS))
            await asyncio.sleep(20)
            credited = [
                sum(one.tasks for one in peer.disk.tally(job.id)) for peer in others
            ]
            assert sum(credited) >= TASKS  # keepers know the others' as well

    virtual.run(main)


def test_an_extended_job_can_be_read_after_its_first_keep_until(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            everybody = await people(grid)
            ann, *others = everybody
            deposit = open_job(ann, keep_for=60)
            append(deposit, range(10))
            deposit.seal()
            await grid.until(lambda: len(keepers(others, deposit.id)) == 2, within=20)
            text = to_text(deposit.id)
            await (await ann.program()).change(text, "extend", 10_000)
            await asyncio.sleep(100)
            (reader,) = others_than(keepers(others, deposit.id), others)
            read = await (await reader.program()).attach(text)
            assert await read.results() == list(range(10))

    virtual.run(main)


def test_a_job_that_nobody_reads_any_more_is_let_go(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            everybody = await people(grid)
            ann, *others = everybody
            job = await ann.start_job(same, range(TASKS))
            (reader,) = others_than(keepers(others, job.id), others)
            program = await reader.program()
            read = await program.attach(to_text(job.id))
            assert await read.results() == list(range(TASKS))
            program.close()
            await grid.until(lambda: find(reader, job.id) is None, within=120)

    virtual.run(main)


def test_many_small_shards_reach_the_keepers(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *_ = await people(grid, 3, slots=0)
            deposit = open_job(ann)
            (shard,) = shards_of([1])
            part = ShardIn(shard.count, int(shard.form), shard.data)
            for i in range(6):
                numbers = (f"{i}/{k}".encode() for k in range(limits.BATCH))
                deposit.append([(part, number) for number in numbers])
            deposit.seal()
            kept = await deposit.kept(40)
            assert (kept.have, kept.wanted) == (3, 3)

    virtual.run(main)


def test_replicas_show_the_same_of_two_results(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            everybody = await people(grid, slots=0)
            ann, *others = everybody
            job = await ann.start_job(same, range(4))
            await ann.crash()
            one, two = (at(p, job.id) for p in keepers(others, job.id))
            one.job.take(a_result(one, Identity(b"1" * 32), NONE))
            two.job.take(a_result(two, Identity(b"2" * 32), NONE))
            await grid.until(
                lambda: one.job.replica.sums == two.job.replica.sums, within=60
            )
            shown = []
            for peer in keepers(others, job.id):
                program = await peer.program()
                read = await program.attach(to_text(job.id))
                await grid.until(lambda read=read: bool(read.ranges), within=30)  # type: ignore[misc]
                shown.append([out.peer for _, out in read.ranges])
            assert shown[0] == shown[1]

    virtual.run(main)


@pytest.mark.parametrize("big", [False, True])
def test_results_that_hide_behind_those_of_another_job_are_refused(
    virtual: VirtualTime, *, big: bool
) -> None:
    """Results of a started job are items; beside others they would be lost."""

    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob, *_ = await people(grid, 3)
            bob.slots.cost = lambda _: 50.0
            job = await ann.start_job(same, range(6))
            held = at(ann, job.id)
            (true,) = read(
                ResultBatch, a_result(held, bob.identity, NONE).signed
            ).results
            body = bytes(limits.INLINE + 1)
            first = msgspec.structs.replace(true, job=b"?" * 20)
            if big:
                first = msgspec.structs.replace(
                    first, values=b"", digest=blob_digest(body), size=len(body)
                )
            batch = ResultBatch((first, true))
            told = Deliver(seal(batch, bob.identity, ann.peer.grid))
            link = bob.peer.links.open[ann.id].connection
            with pytest.raises((PeerError, ConnectionLostError)):
                await link.request(told, body if big else None)

            assert await job.results() == list(range(6))

    virtual.run(main)


def test_more_processor_time_than_a_receipt_can_hold_breaks_nothing(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob, *_ = await people(grid, 3)
            bob.slots.cost = lambda _: 50.0
            job = await ann.start_job(same, range(6))
            held = at(ann, job.id)
            honest = read(ResultBatch, a_result(held, bob.identity, *[NONE] * 3).signed)
            ranges = [
                msgspec.structs.replace(one, cpu=limits.SECONDS)
                for one in honest.results
            ]
            signed = seal(ResultBatch(tuple(ranges)), bob.identity, ann.peer.grid)
            held.job.take(Item(Kind.RESULTS, signed))
            receipts = held.job.replica.receipts
            await grid.until(lambda: len(receipts) == 2, within=60)

            assert receipts[bob.id][1].cpu == limits.SECONDS

    virtual.run(main)


def test_a_volunteer_that_reports_twice_takes_no_outcome_away(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = await people(grid, slots=0)
            job = await ann.start_job(same, range(1))
            for peer in (ann, *keepers(others, job.id)):
                held = at(peer, job.id)
                texts = [pickle.dumps(n) for n in range(2)]
                one, two = (a_result(held, Identity(b"v" * 32), t) for t in texts)
                for item in sorted((one, two), key=lambda i: item_id(i.signed))[::-1]:
                    held.job.take(item)  # the lower id comes later
            await asyncio.sleep(10)
            for peer in (ann, *keepers(others, job.id)):
                read = await (await peer.program()).attach(to_text(job.id))
                async with asyncio.timeout(30):
                    assert await read.results() in ([0], [1])
                (outcome,) = at(peer, job.id).job.replica.outcomes()
                assert outcome.accepted

    virtual.run(main)


def test_of_two_records_with_one_sequence_the_same_counts_everywhere(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = await people(grid, slots=0)
            job = await ann.start_job(same, range(TASKS))
            ticket = await (await ann.program()).ticket(to_text(job.id), owner=True)
            one, two = (at(peer, job.id) for peer in keepers(others, job.id))
            newest = one.job.replica.standing.newest
            assert newest is not None
            said = [
                msgspec.structs.replace(
                    newest, sequence=newest.sequence + 1, paused=paused
                )
                for paused in (True, False)
            ]
            key, grid_id = Identity(ticket.key), ann.peer.custody.vault.grid
            items = [Item(Kind.CONTROL, seal(record, key, grid_id)) for record in said]
            for item, other in zip(items, reversed(items), strict=True):
                one.job.take(item)
                two.job.take(other)
            standing = one.job.replica.standing.newest
            assert standing == two.job.replica.standing.newest
            assert standing is not None
            paused = {held.job.kept.board.paused for held in (one, two)}
            assert paused == {standing.paused}

    virtual.run(main)
