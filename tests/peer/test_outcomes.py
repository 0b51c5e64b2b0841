"""Whatever a slot reports, its keeper can be told in messages that fit."""

from __future__ import annotations

import pytest

from p2pslinger import limits
from p2pslinger.ids import GridId
from p2pslinger.peer.computing.outcomes import batches, finished
from p2pslinger.sandbox.frames import FAILURES
from p2pslinger.sandbox.slot import Failure, Outcome
from p2pslinger.wire.blobs import blob_digest
from p2pslinger.wire.identity import Identity
from p2pslinger.wire.messages import PEER_CODEC, Deliver, Grant
from p2pslinger.wire.records import (
    RangeResult,
    ResultBatch,
    open_signed,
    range_name,
    seal,
)

GRID, ANN = GridId(bytes(8)), Identity(bytes(32))


def failing(tasks: int, text: str) -> Outcome:
    """Return an outcome of tasks that all fail, each with a lot to say."""
    failures = tuple(
        Failure(i, text[:400], text[:4000], text, text[:4000], b"#" * 9)
        for i in range(tasks)
    )
    return Outcome(1, 0, tasks, 0, b"", failures, 1.0, 1.0, text.encode())


def test_large_values_are_named_by_what_they_are_in_durable_jobs_alone() -> None:
    big = bytes(limits.INLINE + 1)
    outcome = Outcome(1, 3, 7, 0, big, (), 1.0, 1.0, b"")
    grant = Grant(bytes(20), 9, 3, 8, 1.0, 1.0, bytes(16))
    durable = finished(grant, outcome, "here", lasting=True)
    throw_away = finished(grant, outcome, "here", lasting=False)
    assert durable.result.digest == blob_digest(big)
    assert throw_away.result.digest == range_name(bytes(20), 9, 3, 7)
    assert durable.blob == throw_away.blob == big


def test_the_name_of_a_range_is_no_other_ranges() -> None:
    job, other = bytes(20), b"#" * 20
    ranges = [(job, 1, 0, 5), (job, 1, 0, 9), (job, 2, 0, 5), (other, 1, 0, 5)]
    assert len({range_name(*one) for one in ranges}) == len(ranges)


@pytest.mark.parametrize("letter", ["a", "é", "🜚"])
@pytest.mark.parametrize("ranges", [1, 3])
def test_thousands_of_failures_fit_into_messages_that_can_be_sent(
    letter: str, ranges: int
) -> None:
    host = letter * limits.NAME
    outcome = failing(FAILURES, letter * 20_000)
    grant = Grant(bytes(20), 1, 0, FAILURES, 1.0, 1.0, bytes(16))
    results = [finished(grant, outcome, host) for _ in range(ranges)]

    told: list[RangeResult] = []
    for part in batches(results):
        batch = ResultBatch(tuple(one.result for one in part))
        message = PEER_CODEC.encode(Deliver(seal(batch, ANN, GRID)))
        assert len(message) < limits.FRAME
        deliver = PEER_CODEC.decode(message)
        assert isinstance(deliver, Deliver)
        told += open_signed(ResultBatch, deliver.batch, GRID).results
    assert [len(one.failures) for one in told] == [FAILURES] * ranges
    assert told[0].failures[0].traceback
    assert told[0].failures[-1].message
