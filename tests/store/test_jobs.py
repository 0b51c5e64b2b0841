"""Durable jobs come back as they were written, and take no more than they say."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from blake3 import blake3

from p2pslinger.errors import DiskError
from p2pslinger.store.jobs import SWEEP, NotKeptError
from p2pslinger.store.state import State
from p2pslinger.wire.keeping import Item, Kind
from tests.store.durable import OTHER, SUBMITTER, item, large, stored

DATA = b"an argument"
DIGEST = blake3(DATA).digest()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path / "state.db") as state:
        yield state


def test_a_job_comes_back_with_everything_after_a_restart(tmp_path: Path) -> None:
    one, two = stored(1, owned=True), replace(stored(2), kept=False)
    items = [item(one.job, n) for n in range(200)]  # more than one page
    with State(tmp_path / "state.db") as state:
        for job in (one, two):
            state.jobs.add(job)
        state.jobs.add_items(one.job, items)
        state.jobs.add_content(one.job, DIGEST, DATA)
        state.jobs.bury(stored(3).job, 5e9)

    with State(tmp_path / "state.db") as state:
        assert state.jobs.jobs() == [one, two]
        assert list(state.jobs.items(one.job)) == items
        assert list(state.jobs.items(two.job)) == []
        assert state.jobs.item(one.job, items[7][0]) == items[7][1:]
        assert state.jobs.content(one.job, DIGEST) == DATA
        assert state.jobs.contents(one.job) == [DIGEST]
        assert state.jobs.buried() == {stored(3).job: (5e9, None)}


def test_the_secrets_of_a_job_are_not_in_its_text() -> None:
    job = stored(1, owned=True)
    assert repr(job.key) not in repr(job)
    assert repr(job.secret) not in repr(job)


def test_what_a_job_is_to_us_can_change(state: State) -> None:
    job = stored(1)
    state.jobs.add(job)
    state.jobs.add_items(job.job, [item(job.job, 1)])
    size = state.jobs.size(job.job)

    owned = replace(job, key=b"k" * 32, secret=b"n" * 32, kept=False)
    state.jobs.add(owned)

    assert state.jobs.jobs() == [owned]
    assert len(list(state.jobs.items(job.job))) == 1
    assert state.jobs.size(job.job) == size


def test_items_are_kept_once_and_found_by_kind(state: State) -> None:
    job = stored(1).job
    state.jobs.add(stored(1))
    state.jobs.add_items(job, [item(job, 1), large(1, 10), item(job, 2)])
    state.jobs.add_items(job, [item(job, 2), item(job, 3), item(job, 3)])

    kept = list(state.jobs.items(job, Kind.RECEIPT))
    assert kept == [item(job, n) for n in (1, 2, 3)]
    assert list(state.jobs.items(job, Kind.RESULTS)) == [large(1, 10)]
    assert list(state.jobs.items(job, Kind.CONTROL)) == []


def test_superseded_items_go(state: State) -> None:
    job = stored(1).job
    state.jobs.add(stored(1))
    empty = state.jobs.size(job)
    state.jobs.add_items(job, [item(job, 1), item(job, 2)])
    state.jobs.remove_items(job, [item(job, 1)[0], b"never there, so!"])

    assert list(state.jobs.items(job)) == [item(job, 2)]
    assert state.jobs.item(job, item(job, 1)[0]) is None
    state.jobs.remove_items(job, [item(job, 2)[0]])
    assert state.jobs.size(job) == empty


def test_nothing_is_added_to_a_job_that_is_not_here(state: State) -> None:
    job = stored(1).job
    with pytest.raises(NotKeptError, match="not kept on this peer"):
        state.jobs.add_items(job, [item(job, 1)])
    with pytest.raises(NotKeptError, match="not kept on this peer"):
        state.jobs.add_content(job, DIGEST, DATA)

    assert list(state.jobs.items(job)) == []
    assert state.jobs.item(job, item(job, 1)[0]) is None
    assert state.jobs.content(job, DIGEST) is None


def test_sizes_are_those_of_what_is_there(state: State) -> None:
    one, two, three = stored(1), stored(2), stored(3, OTHER)
    for job in (one, two, three):
        state.jobs.add(job)
    empty = len(one.manifest.body) + 96
    state.jobs.add_items(one.job, [large(1, 1000), large(1, 1000)])
    state.jobs.add_content(one.job, DIGEST, DATA)
    state.jobs.add_content(one.job, DIGEST, DATA)

    full = empty + 1008 + 96 + len(DATA) + 32
    assert state.jobs.size(one.job) == full
    assert state.jobs.sizes() == {SUBMITTER.id: full + empty, OTHER.id: empty}
    state.jobs.drop(one.job)
    assert state.jobs.size(one.job) == 0
    assert state.jobs.sizes() == {SUBMITTER.id: empty, OTHER.id: empty}


def test_a_dropped_job_is_gone_at_once_and_its_space_soon(state: State) -> None:
    one, two = stored(1), stored(2)
    for job in (one, two):
        state.jobs.add(job)
        state.jobs.add_content(job.job, DIGEST, DATA)
    items = [large(n, 100) for n in range(2 * SWEEP)]
    state.jobs.add_items(one.job, items)
    state.jobs.drop(one.job)
    state.jobs.drop(stored(9).job)  # never here

    assert state.jobs.jobs() == [two]
    assert list(state.jobs.items(one.job)) == []
    assert state.jobs.content(one.job, DIGEST) is None
    state.jobs.add(one)  # comes again, and has nothing of its former life
    assert list(state.jobs.items(one.job)) == []
    state.jobs.add_items(one.job, items[:1])

    slices = 1
    while state.jobs.sweep():
        slices += 1
    assert slices == 3  # two that free something, and one that finds nothing more
    assert not state.jobs.unswept()
    assert list(state.jobs.items(one.job)) == items[:1]
    assert state.jobs.content(two.job, DIGEST) == DATA


def test_a_buried_job_is_dropped_and_remembered_until_its_time(state: State) -> None:
    one, two = stored(1), stored(2)
    state.jobs.add(one)
    proof = Item(*item(one.job, 1)[1:])
    state.jobs.bury(one.job, 3000.0, proof)
    state.jobs.bury(one.job, 2000.0)  # a shorter time takes nothing back
    state.jobs.bury(two.job, 1000.0)

    assert state.jobs.jobs() == []
    assert state.jobs.buried() == {one.job: (3000.0, proof), two.job: (1000.0, None)}
    state.jobs.prune_tombstones(1000.0)
    assert state.jobs.buried() == {one.job: (3000.0, proof)}


@pytest.mark.parametrize(
    "change", ["body = x'00'", "until = 1e30", "until = 'never'", "kind = NULL"]
)
def test_a_tombstone_that_the_disk_has_changed_is_not_there(
    tmp_path: Path, change: str
) -> None:
    one, proof = stored(1), Item(*item(stored(1).job, 1)[1:])
    with State(tmp_path / "state.db") as state:
        state.jobs.bury(one.job, 3000.0, proof)
        behind(tmp_path, f"UPDATE tombstones SET {change}")
        assert state.jobs.buried() == {}
        state.jobs.bury(one.job, 4000.0, proof)
        assert state.jobs.buried() == {one.job: (4000.0, proof)}


def test_a_batch_that_fails_leaves_nothing_of_a_job(state: State) -> None:
    one = stored(1)

    def writes() -> None:
        with state.batch():
            state.jobs.add(one)
            state.jobs.add_items(one.job, [item(one.job, 1)])
            assert list(state.jobs.items(one.job)) == [item(one.job, 1)]
            state.jobs.add_items(stored(2).job, [item(one.job, 1)])

    with pytest.raises(NotKeptError):
        writes()
    assert state.jobs.jobs() == []
    assert state.jobs.sizes() == {}


def test_reading_does_not_wait_for_a_batch_in_another_thread(state: State) -> None:
    one = stored(1)
    state.jobs.add(one)
    written, seen = threading.Event(), threading.Event()

    def writes() -> None:
        with state.batch():
            state.jobs.add_items(one.job, [item(one.job, 1)])
            written.set()
            assert seen.wait(20)

    thread = threading.Thread(target=writes)
    thread.start()
    assert written.wait(20)
    assert list(state.jobs.items(one.job)) == []  # would wait for ever
    assert state.jobs.sizes()
    assert state.tally() == []
    seen.set()
    thread.join()
    assert list(state.jobs.items(one.job)) == [item(one.job, 1)]


CHANGES = {
    "body": "UPDATE items SET body = zeroblob(100)",
    "signature": "UPDATE items SET signature = randomblob(64)",
    "type": "UPDATE items SET body = CAST(body AS TEXT)",
    "kind": "UPDATE items SET kind = 2",
    "no kind": "UPDATE items SET kind = 200",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_an_item_that_the_disk_has_changed_is_not_there(
    tmp_path: Path, change: str
) -> None:
    job = stored(1).job
    items = [item(job, n) for n in (1, 2, 3)]
    with State(tmp_path / "state.db") as state:
        state.jobs.add(stored(1))
        state.jobs.add_items(job, items)
        behind(tmp_path, f"{change} WHERE number = 2")

        assert list(state.jobs.items(job)) == [items[0], items[2]]
        assert state.jobs.item(job, items[1][0]) is None
        state.jobs.add_items(job, items)  # as another keeper gives it
        assert sorted(state.jobs.items(job)) == sorted(items)


def test_a_content_that_the_disk_has_changed_is_not_there(tmp_path: Path) -> None:
    job = stored(1).job
    with State(tmp_path / "state.db") as state:
        state.jobs.add(stored(1))
        state.jobs.add_content(job, DIGEST, DATA)
        behind(tmp_path, "UPDATE contents SET data = x'00'")

        assert state.jobs.content(job, DIGEST) is None
        state.jobs.add_content(job, DIGEST, DATA)
        assert state.jobs.content(job, DIGEST) == DATA


@pytest.mark.parametrize("column", ["secret", "job_key", "body", "signer"])
def test_a_job_that_the_disk_has_changed_is_not_there(
    tmp_path: Path, column: str
) -> None:
    with State(tmp_path / "state.db") as state:
        state.jobs.add(stored(1, owned=True))
        state.jobs.add(stored(2))
        behind(tmp_path, f"UPDATE jobs SET {column} = zeroblob(32) WHERE number = 1")

        assert state.jobs.jobs() == [stored(2)]
        state.jobs.add(stored(1, owned=True))
        assert state.jobs.jobs() == [stored(1, owned=True), stored(2)]


def test_a_closed_store_says_so(state: State) -> None:
    state.close()
    with pytest.raises(DiskError, match="closed"):
        state.jobs.jobs()
    with pytest.raises(DiskError, match="closed"):
        state.jobs.add(stored(1))


def behind(folder: Path, sql: str) -> None:
    """Change the file behind its owner's back."""
    with closing(sqlite3.connect(folder / "state.db")) as other, other:
        other.execute(sql)
