"""What strangers and typing errors may not do to a peer."""

from __future__ import annotations

import asyncio
import random
from itertools import count

import pytest

from p2pslinger import limits
from p2pslinger.ids import GridId, JobId, PeerId
from p2pslinger.net.gossip import LIFE, PER_KEEPER, Notices
from p2pslinger.peer.run import _resolve
from p2pslinger.rules.board import Board
from p2pslinger.wire.identity import Identity, Signed
from p2pslinger.wire.records import Notice, seal

GRID = GridId(b"the grid")
ANN = Identity(b"a" * 32)
NOW = 1_000_000.0


@pytest.mark.parametrize("host", ["a" * 64, "..", "nobody.invalid"])
def test_a_host_that_is_no_host_has_no_addresses(host: str) -> None:
    assert asyncio.run(_resolve(host)) == []


def test_grants_of_two_jobs_of_a_keeper_never_share_a_number() -> None:
    numbers = count(1)
    boards = [Board(JobId(bytes([i]) * 20), bytes(32), numbers=numbers) for i in (1, 2)]
    granted = []
    for board in boards:
        board.append(2)
        for who in (b"x" * 20, b"y" * 20):
            granted += board.grant(PeerId(who), places=2, now=0.0, others=set(), most=1)

    assert len({held.number for held in granted}) == len(granted) == 4


def notice(job: int, *, expires: float = NOW + 600, is_open: bool = True) -> Signed:
    body = Notice(job.to_bytes(20, "big"), ANN.id, None, is_open, 1, expires)
    return seal(body, ANN, GRID)


def notices() -> Notices:
    return Notices(
        grid=GRID,
        wall=lambda: NOW,
        rng=random.Random(1),
        neighbours=list,
        heard=lambda _: None,
    )


def test_a_notice_that_would_live_for_ever_is_refused() -> None:
    known = notices()
    known.announce(notice(1, expires=NOW + LIFE + 2 * limits.CLOCK_SLACK))
    known.announce(notice(2, expires=NOW - 1))

    assert known.open_notices() == []
    assert known.dropped["notice"] == 2


def test_a_notice_with_a_heavy_body_is_refused_unread() -> None:
    known = notices()
    known.announce(Signed(bytes(limits.RECORD + 1), ANN.public, bytes(64)))

    assert known.dropped["notice"] == 1


def test_a_submitter_of_a_thousand_finished_jobs_is_heard_again() -> None:
    known = notices()
    for job in range(PER_KEEPER):
        known.announce(notice(job, is_open=False))
    known.announce(notice(PER_KEEPER))

    assert [one.job for one in known.open_notices()] == [PER_KEEPER.to_bytes(20, "big")]
