"""A volunteer keeps at hand what the next range will need, however large that is."""

from __future__ import annotations

import pytest

from p2pslinger.peer.computing import jobshere
from p2pslinger.peer.computing.jobshere import JobHere
from p2pslinger.wire.blobs import blob_digest
from p2pslinger.wire.identity import unsigned
from p2pslinger.wire.manifest import open_manifest
from p2pslinger.wire.records import ShardBatch, ShardHead, SharedBlob, encode
from tests.peer.keeping import ANN, GRID, JobThere, NoBlobs

#: Bytes that a volunteer keeps of shared values that nobody has needed lately.
KEPT = 1000

LARGE = [bytes([number]) * 5 * KEPT for number in range(3)]


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> JobHere:
    """A job of three shards, each of which refers to a shared value of its own."""
    monkeypatch.setattr(jobshere, "KEPT", KEPT)
    there = JobThere.make(ANN)
    manifest = open_manifest(there.manifest, GRID)
    made = JobHere(1, there.id, manifest, NoBlobs())
    heads = tuple(
        ShardHead(1, 0, blob_digest(b"x"), 1, (SharedBlob(blob_digest(one), len(one)),))
        for one in LARGE
    )
    batch = ShardBatch(there.id, 0, 0, bytes(32), heads)
    made.add_batch(unsigned(encode(batch), manifest.job_key), ANN.id, GRID)
    return made


def use(job: JobHere, number: int) -> None:
    """Compute a range of one shard."""
    shards = job.shards_of(number, number + 1)
    assert shards is not None
    for one in list(job.missing_shared(shards)):
        job.put_shared(one.digest, LARGE[number])
    assert not list(job.missing_shared(shards))
    job.prune(())


def kept(job: JobHere) -> list[int]:
    return [n for n, one in enumerate(LARGE) if job.shared(blob_digest(one))]


def test_a_large_shared_value_stays_between_two_ranges_that_need_it(
    job: JobHere,
) -> None:
    for _ in range(3):
        use(job, 0)
        assert kept(job) == [0]


def test_one_that_the_last_range_did_not_need_goes(job: JobHere) -> None:
    use(job, 0)
    use(job, 1)
    assert kept(job) == [1]


def test_one_that_another_slot_computes_with_stays(job: JobHere) -> None:
    use(job, 0)
    shards = job.shards_of(1, 2)
    assert shards is not None
    for one in list(job.missing_shared(shards)):
        job.put_shared(one.digest, LARGE[1])
    job.prune([0])
    assert kept(job) == [0, 1]
