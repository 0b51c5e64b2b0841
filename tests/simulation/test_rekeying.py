"""A grid gets another authkey while it works, and who is expelled stays out."""

from __future__ import annotations

import asyncio

from p2pslinger.peer.events import Noted, PeerLeft
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.grid import SimulatedGrid, SimulatedPeer
from p2pslinger.wire.keyring import Holds, Keyring

TASKS = 400
SECRET = b"n" * 32

#: Seconds for which both authkeys count.
OVERLAP = 600.0


def square(x: int) -> int:
    return x * x


SQUARES = [square(x) for x in range(TASKS)]


async def three(grid: SimulatedGrid) -> list[SimulatedPeer]:
    """Start Ann, and Bob and Eve who join by her; each has a slot."""
    ann = await grid.add("ann", slots=1)
    bob = await grid.add("bob", slots=1, bootstrap=[ann])
    eve = await grid.add("eve", slots=1, bootstrap=[ann])
    peers = [ann, bob, eve]
    for one in peers:
        one.slots.cost = lambda _: 0.5
        await grid.until(lambda: is_linked(one, 2), within=10)  # noqa: B023
    return peers


def is_linked(peer: SimulatedPeer, links: int) -> bool:
    return len(peer.peer.links.open) >= links


def newer(peer: SimulatedPeer) -> tuple[int, int] | None:
    """Return how many of how many neighbours use the newest authkey, as it sees it."""
    facts = peer.peer.membership.rekeying.facts()
    return None if facts is None else (facts.newer, facts.known)


def notes(peer: SimulatedPeer) -> str:
    return " ".join(peer.peer.membership.notes())


def made(peer: SimulatedPeer, grid: SimulatedGrid) -> Keyring:
    """Have a peer's owner make the next authkey."""
    ends = grid.network.loop.wall() + OVERLAP
    return peer.rekey(lambda held: held.follow(SECRET, ends))


def taken(peer: SimulatedPeer, keyring: Keyring) -> None:
    """Have a peer's owner take an authkey that another one has made."""
    peer.rekey(lambda held: held.join(keyring.newest, keyring.ends))


def test_machines_move_one_by_one_and_a_job_runs_on_without_a_task_lost(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob, eve = await three(grid)
            began = grid.network.loop.time()
            job = await bob.submit(square, range(TASKS))
            keyring = made(ann, grid)
            assert newer(ann) == (0, 2)
            await asyncio.sleep(5)
            assert "newer authkey than it has" in notes(bob)

            taken(bob, keyring)
            await asyncio.sleep(5)
            assert newer(ann) == (1, 2)
            assert notes(bob) == ""
            taken(eve, keyring)
            await asyncio.sleep(5)
            assert [newer(one) for one in (ann, bob, eve)] == [(2, 2)] * 3

            assert await job.results() == SQUARES
            assert job.again == []
            await asyncio.sleep(OVERLAP)
            assert [newer(one) for one in (ann, bob, eve)] == [None] * 3
            for one in (ann, bob, eve):
                assert list(one.keys.keyring) == [keyring.newest]
                assert is_linked(one, 2)
                assert not one.happened(PeerLeft, began)
            more = await eve.submit(square, range(TASKS))
            assert await more.results() == SQUARES

    virtual.run(main)


def test_who_starts_anew_meets_all_others_whichever_authkey_they_have(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob, eve = await three(grid)
            keyring = made(ann, grid)
            await eve.kill()
            await eve.restart()  # with the older authkey alone
            await grid.until(lambda: is_linked(eve, 2), within=30)
            await bob.kill()
            taken(bob, keyring)
            await bob.restart()
            for one in (ann, bob, eve):
                await grid.until(lambda: is_linked(one, 2), within=60)  # noqa: B023
            assert len(await ann.peer.overlay.find(eve.id)) == 1
            assert len(await eve.peer.overlay.find(bob.id)) == 1

            fay = await grid.add("fay", slots=1, bootstrap=[ann])
            await fay.kill()
            fay.rekey(lambda _: keyring.alone())  # a newcomer has the newest alone
            await fay.restart()
            await grid.until(lambda: is_linked(fay, 2), within=60)
            assert eve.id not in fay.peer.links.open

    virtual.run(main)


def test_who_has_not_moved_by_the_end_is_told_what_to_do_and_stays_out(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob, eve = await three(grid)
            keyring = made(ann, grid)
            taken(bob, keyring)
            began = grid.network.loop.time()
            await asyncio.sleep(OVERLAP + 5)

            assert eve.id not in ann.peer.links.open
            assert eve.id not in bob.peer.links.open
            for one in (ann, bob, eve):
                whys = [left.why for _, left in one.happened(PeerLeft, began)]
                assert any("slinger rekey --join" in why for why in whys), whys
            assert "slinger rekey --join" in notes(eve)
            ended = [note.text for _, note in ann.happened(Noted, began)]
            assert any("has ended" in text for text in ended)

            await asyncio.sleep(900)
            assert not eve.peer.links.open
            heard = ann.peer.overlay.dropped["foreign"]
            await eve.peer.overlay.find(b"k" * 20)
            assert ann.peer.overlay.dropped["foreign"] > heard

            taken(eve, keyring)  # better late than never
            await grid.until(lambda: is_linked(eve, 1), within=1200)

    virtual.run(main)


def test_who_is_expelled_is_out_at_once_and_the_rest_goes_on(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob, eve = await three(grid)
            keyring = ann.rekey(lambda held: held.alone().follow(SECRET, 0.0).alone())
            bob.rekey(lambda _: keyring)
            await grid.until(lambda: not eve.peer.links.open, within=5)
            await grid.until(lambda: set(ann.peer.links.open) == {bob.id}, within=120)

            job = await ann.submit(square, range(TASKS))
            assert await job.results() == SQUARES
            await asyncio.sleep(600)
            assert set(ann.peer.links.open) == {bob.id}
            assert not eve.peer.links.open
            assert eve.slots.computed.total() == 0

    virtual.run(main)


def test_receipts_of_before_count_after(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob, eve = await three(grid)
            job = await ann.submit(square, range(40))
            await job.results()
            await asyncio.sleep(5)
            before = {one.peer: one.tasks for one in ann.peer.jobreports.tally("")}
            keyring = ann.rekey(lambda held: held.follow(SECRET, 0.0).alone())
            for one in (bob, eve):
                one.rekey(lambda _: keyring)
            await ann.stop()
            await ann.restart()
            after = {one.peer: one.tasks for one in ann.peer.jobreports.tally("")}
            assert after == before
            assert sum(after.values()) == 40

    virtual.run(main)


def test_what_a_member_says_of_its_authkey_always_has_a_date(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob, _ = await three(grid)
            connection = bob.peer.links.open[ann.peer.id].connection
            connection.push(Holds(b"x" * 32, 1e12))  # thirty thousand years
            await grid.until(lambda: "newer authkey" in notes(ann), within=5)

    virtual.run(main)
