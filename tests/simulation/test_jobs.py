"""Three peers and a job of 200 tasks, and what may happen to them meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from p2pslinger.errors import TaskKilledError, TaskTimeoutError
from p2pslinger.peer.events import Granted, PeerLeft, TakenBack
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.grid import SimulatedGrid, SimulatedPeer
from p2pslinger.testing.programs import ProgramJob
from p2pslinger.wire.manifest import Policy

TASKS = 200

#: One-way delays of a LAN, seconds.
LAN = (0.0002, 0.002)


def square(x: int) -> int:
    return x * x


SQUARES = [square(x) for x in range(TASKS)]


async def three(grid: SimulatedGrid) -> list[SimulatedPeer]:
    """Start Ann, and Bob and Eve who join by her; each has a slot."""
    ann = await grid.add("ann", slots=1)
    bob = await grid.add("bob", slots=1, bootstrap=[ann])
    eve = await grid.add("eve", slots=1, bootstrap=[ann])
    peers = [ann, bob, eve]
    await grid.until(lambda: all(are_ready(peer, 2) for peer in peers), within=10)
    return peers


def are_ready(peer: SimulatedPeer, links: int) -> bool:
    return len(peer.peer.links.open) == links and peer.peer.volunteer.ready == 1


def shares(peers: list[SimulatedPeer]) -> list[int]:
    """Return how many tasks each has computed, those done twice counted twice."""
    return [peer.slots.computed.total() for peer in peers]


def credited(peer: SimulatedPeer) -> int:
    """Return the tasks of all jobs that a submitter has given credit for."""
    return sum(row.tasks for row in peer.peer.jobreports.tally(""))


def test_all_peers_compute_and_the_results_are_right_and_in_order(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network(latency=LAN)) as grid:
            peers = await three(grid)
            job = await peers[0].submit(square, range(TASKS))

            assert await job.results() == SQUARES
            assert job.again == []
            assert sum(shares(peers)) == TASKS
            assert min(shares(peers)) > TASKS / 5
            assert credited(peers[0]) == TASKS

    virtual.run(main)


def test_every_peer_gets_a_task_before_any_gets_its_second_range(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network(latency=LAN)) as grid:
            peers = await three(grid)
            job = await peers[0].submit(square, range(TASKS))
            await job.results()

            first = [grant.volunteer for _, grant in peers[0].happened(Granted)][:3]
            assert set(first) == {peer.id for peer in peers}

    virtual.run(main)


@pytest.mark.parametrize("seed", range(3))
def test_a_network_that_loses_doubles_and_overtakes_delays_but_changes_nothing(
    virtual: VirtualTime, seed: int
) -> None:
    async def main() -> None:
        network = virtual.network(loss=0.05, duplication=0.1, reordering=0.2)
        async with SimulatedGrid(network) as grid:
            peers = await three(grid)
            job = await peers[0].submit(square, range(TASKS))

            assert await job.results() == SQUARES
            assert job.again == []
            assert credited(peers[0]) == TASKS
            for peer in peers:
                await grid.until(lambda: is_listed(peer), within=30)  # noqa: B023
                assert await found_by_all(peers, peer)

    virtual.run(main, seed=seed)


def is_listed(peer: SimulatedPeer) -> bool:
    return len(peer.peer.overlay.contacts()) == 2


async def found_by_all(peers: list[SimulatedPeer], whom: SimulatedPeer) -> bool:
    found = [await peer.peer.overlay.find(whom.id) for peer in peers]
    return all(any(s.signer == whom.id for s in signed) for signed in found)


# --- volunteers that vanish ---------------------------------------------------------


async def in_the_middle(grid: SimulatedGrid, job: ProgramJob) -> None:
    await grid.until(lambda: len(job.values) > TASKS / 4, within=30)


def test_the_tasks_of_a_killed_volunteer_are_granted_again_within_a_second(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob, _ = await three(grid)
            job = await ann.submit(square, range(TASKS))
            await in_the_middle(grid, job)
            killed = grid.network.loop.time()
            await bob.kill()

            assert await job.results() == SQUARES
            taken = granted_again(ann, bob, killed)
            assert taken - killed <= 1.0
            assert job.again == []
            assert credited(ann) == TASKS

    virtual.run(main)


def test_the_tasks_of_a_volunteer_without_power_are_granted_again_within_5_seconds(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob, _ = await three(grid)
            job = await ann.submit(square, range(TASKS))
            await in_the_middle(grid, job)
            crashed = grid.network.loop.time()
            await bob.crash()

            assert await job.results() == SQUARES
            assert granted_again(ann, bob, crashed) - crashed <= 5.0
            assert job.again == []

    virtual.run(main)


def granted_again(keeper: SimulatedPeer, gone: SimulatedPeer, since: float) -> float:
    """Return when the last task that `gone` held was granted to somebody else."""
    taken = [
        (when, event.tasks)
        for when, event in keeper.happened(TakenBack, since)
        if event.volunteer == gone.id
    ]
    assert taken, "it held nothing: the test is too easy"
    last = max(when for when, _ in taken)
    lacking = sum(tasks for _, tasks in taken)
    for when, event in keeper.happened(Granted, last):
        assert event.volunteer != gone.id
        lacking -= event.tasks  # tasks given back come first: they are the lowest
        if lacking <= 0:
            return when
    raise AssertionError("they were not granted again")


@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize("longer", [0.0, 10.0])
def test_a_late_result_of_a_lapsed_grant_counts_once(
    virtual: VirtualTime, both_ways: bool, longer: float
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob, eve = await three(grid)
            for peer in (ann, eve):
                peer.slots.cost = lambda _: 0.4
            job = await ann.submit(square, range(TASKS))
            await in_the_middle(grid, job)
            cut = grid.network.loop.time()
            grid.network.cut(bob.host, ann.host)
            if both_ways:
                grid.network.cut(ann.host, bob.host)
            silent = await grid.until(lambda: lapsed(ann, bob, cut) > 0, within=10)
            assert silent <= 5.0
            await asyncio.sleep(longer)
            before = bob.slots.computed.total()
            grid.network.heal()
            assert await job.results() == SQUARES

            again = sum(shares([ann, bob, eve])) - TASKS
            assert bool(again) == bool(longer), "computed twice if it was very late"
            assert job.again == []
            assert credited(ann) == TASKS
            assert bob.slots.computed.total() > before, "it was not asked any more"

    virtual.run(main)


def lapsed(keeper: SimulatedPeer, of: SimulatedPeer, since: float) -> int:
    events = keeper.happened(TakenBack, since)
    return sum(event.tasks for _, event in events if event.volunteer == of.id)


# --- tasks that misbehave -----------------------------------------------------------


def test_a_task_that_kills_its_process_is_tried_three_times_and_fails_alone(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            peers = await three(grid)
            for peer in peers:
                peer.slots.kills = lambda index: index == 77
            job = await peers[0].submit(square, range(TASKS))
            with pytest.raises(TaskKilledError, match="SIGSEGV"):
                await job.results()

            assert set(job.errors) == {77}
            del job.errors[77]
            job.values[77] = square(77)
            assert await job.results() == SQUARES

    virtual.run(main)


def test_thousands_of_tasks_that_fail_cost_nobody_a_connection(
    virtual: VirtualTime,
) -> None:
    def fails(x: int) -> int:
        raise ValueError("no " * 200)

    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann = await grid.add("ann")
            bob = await grid.add("bob", slots=1, bootstrap=[ann])
            bob.slots.cost = lambda _: 0.0
            await grid.until(lambda: are_ready(bob, 1), within=10)
            job = await ann.submit(fails, range(20_000))
            with pytest.raises(ValueError, match="no no"):
                await job.results()

            assert len(job.errors) == 20_000
            assert ann.happened(PeerLeft) == []

    virtual.run(main)


def test_a_task_that_hangs_is_ended_by_its_time_out(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            _, bob, _ = await three(grid)
            for peer in grid.peers.values():
                peer.slots.hangs = lambda index: index == 5
            program = await bob.program()
            job = await program.submit(square, range(20), policy=Policy(timeout=2.0))
            with pytest.raises(TaskTimeoutError):
                await job.results()
            assert set(job.errors) == {5}
            assert len(job.values) == 19

    virtual.run(main)


def test_a_program_that_leaves_frees_the_slots_of_everybody(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            peers = await three(grid)
            program = await peers[0].program()
            job = await program.submit(square, range(TASKS))
            await in_the_middle(grid, job)
            program.close()

            def are_idle() -> bool:
                return not any(peer.peer.volunteer.busy for peer in peers)

            assert await grid.until(are_idle, within=5) <= 1.0

    virtual.run(main)
