"""Peers that keep enough, or want to keep nothing any more."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from p2pslinger.limits import INLINE
from p2pslinger.peer.durable import quota
from p2pslinger.peer.events import Noted
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.grid import SimulatedGrid, SimulatedPeer
from p2pslinger.wire.keeping import SharedGrant, ShareGrants
from p2pslinger.wire.resigning import Resign, Resigning
from tests.simulation.durable import (
    TASKS,
    at,
    find,
    keepers,
    others_than,
    people,
    same,
)

#: Bytes of a value that is a blob.
BIG = 4 * INLINE


def much(n: int) -> bytes:
    return bytes([n]) * BIG


def test_blobs_count_as_what_is_kept_for_others(
    virtual: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota, "SUBMITTER_QUOTA", 6 * BIG)

    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob = await people(grid, 2)
            job = await ann.start_job(much, range(12), keepers=1)
            assert await job.results() == [much(n) for n in range(12)]
            await asyncio.sleep(60)

            facts = bob.peer.reports.status().keeping
            assert facts is not None
            assert facts.jobs == 1
            assert 4 * BIG <= facts.bytes <= 6 * BIG
            assert any("keeps enough" in n.text for _, n in bob.happened(Noted))
            mine = ann.peer.reports.status().keeping
            assert mine is not None
            assert (mine.jobs, mine.bytes) == (0, 0)

    virtual.run(main)


async def resigning(peer: SimulatedPeer) -> Resigning:
    """Ask a peer as `slinger down --resign` does."""
    program = await peer.program()
    answer = await program.ask(Resign())
    assert isinstance(answer, Resigning)
    return answer


@pytest.mark.parametrize("away", [False, True])
def test_a_peer_that_is_to_stop_hands_its_jobs_over_in_seconds(
    virtual: VirtualTime, away: bool
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = everybody = await people(grid, 5, cost=5.0)
            job = (await ann.start_job(same, range(TASKS))).id
            await asyncio.sleep(10)
            if away:
                await ann.stop()
            leaver = keepers(others, job)[0]
            heirs = others_than(keepers(everybody, job), others)
            first = await resigning(leaver)
            assert (first.jobs, first.left, first.stuck) == (1, 1, 0)
            for _ in range(20):
                await asyncio.sleep(0.5)
                now = await resigning(leaver)
                if not now.left:
                    break
            assert (now.jobs, now.left) == (1, 0)
            await leaver.stop()
            new = [peer for peer in heirs if find(peer, job) is not None]
            assert len(new) == 1
            await grid.until(
                lambda: all(at(p, job).job.end for p in keepers(others, job)),
                within=600,
            )
            results = at(new[0], job).job.replica.outcomes()
            assert sum(one.stop - one.start for one in results) == TASKS

    virtual.run(main)


def test_what_a_keeper_granted_that_is_none_any_more_is_granted_again(
    virtual: VirtualTime,
) -> None:
    """Its volunteer has died since, and nobody is left who would say so."""

    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = everybody = await people(grid, 5, cost=5.0)
            job = (await ann.start_job(same, range(TASKS))).id
            leaver = keepers(others, job)[0]
            await resigning(leaver)
            await grid.until(lambda: find(leaver, job) is None, within=60)
            grant = SharedGrant(1, leaver.id, TASKS - 3, TASKS)
            for keeper in keepers(everybody, job):
                said = ShareGrants(job, False, (grant,), ())
                at(keeper, job).sharing.heard(leaver.id, said)
                assert at(keeper, job).job.kept.board.running_elsewhere >= 3
            await grid.until(lambda: bool(at(ann, job).job.end), within=900)
            assert at(ann, job).job.kept.board.done.count == TASKS

    virtual.run(main)


def test_a_peer_that_nobody_can_replace_says_so_and_keeps_what_it_has(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = await people(grid, 3, cost=5.0)
            job = (await ann.start_job(same, range(TASKS))).id
            leaver = others[0]
            await resigning(leaver)
            await asyncio.sleep(5)
            now = await resigning(leaver)
            assert (now.jobs, now.left, now.stuck) == (1, 1, 1)
            assert find(leaver, job) is not None

    virtual.run(main)


def test_a_peer_that_is_to_keep_no_jobs_hands_them_over_without_a_gap(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = everybody = await people(grid, 5, cost=5.0)
            job = (await ann.start_job(same, range(TASKS))).id
            await asyncio.sleep(10)
            await ann.stop()  # without the owner, too
            leaver = keepers(others, job)[0]
            heirs = others_than(keepers(everybody, job), others)
            leaver.config = replace(leaver.config, keep=False)
            await leaver.stop()
            await leaver.restart()

            def has_left() -> bool:
                copies = sum(
                    1 for peer in everybody for one in peer.disk.jobs.jobs() if one.kept
                )
                assert copies >= 3  # the one of the submitter, who is away, among them
                return leaver.is_up and find(leaver, job) is None

            await grid.until(has_left, within=180, every=0.5)
            named = at(keepers(others, job)[0], job).places.keepers
            assert leaver.id not in named
            assert {peer.id for peer in heirs} & set(named)
            await grid.until(
                lambda: all(at(p, job).job.end for p in keepers(others, job)),
                within=600,
            )
            results = at(keepers(others, job)[0], job).job.replica.outcomes()
            assert sum(one.stop - one.start for one in results) == TASKS

    virtual.run(main)
