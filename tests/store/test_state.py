"""What the database remembers, and that neither kill nor damage makes it lie."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from p2pslinger.errors import DiskError, PeerError
from p2pslinger.ids import GridId, JobId, PeerId
from p2pslinger.store.reserve import RESERVE
from p2pslinger.store.state import NEIGHBOURS, Neighbour, Share, State
from p2pslinger.wire.identity import Identity, Purpose, Signed
from p2pslinger.wire.records import Address, Receipt, open_signed, seal

GRID = GridId(b"the grid")
KEY = Identity(b"k" * 32)
ANN, BEN = PeerId(b"a" * 20), PeerId(b"b" * 20)
SUM, PI = JobId(b"s" * 20), JobId(b"p" * 20)


class Stop(Exception):
    """Ends a batch in the middle."""


def receipt(
    job: JobId, who: PeerId, sequence: int, tasks: int, cpu: float = 1.0
) -> Signed:
    record = Receipt(job, b"m" * 20, who, tasks, cpu, 0, sequence, 1e9 + sequence)
    return seal(record, KEY, GRID)


def test_the_newest_receipt_replaces_the_others() -> None:
    with State.in_memory() as state:
        assert state.add_receipt(receipt(SUM, ANN, 1, tasks=5))
        assert state.add_receipt(receipt(SUM, ANN, 3, tasks=9))
        assert not state.add_receipt(receipt(SUM, ANN, 2, tasks=7))
        assert not state.add_receipt(receipt(SUM, ANN, 3, tasks=1))

        assert state.tally() == [Share(ANN, 9, 0, 1.0)]
        assert len(state.receipts()) == 1


def test_a_receipt_replaces_none_of_another_submitter() -> None:
    forged = Receipt(SUM, b"x" * 20, ANN, 1, 0.0, 0, 1 << 60, 1e9)
    with State.in_memory() as state:
        assert state.add_receipt(receipt(SUM, ANN, 1, tasks=5))
        state.add_receipt(seal(forged, Identity(b"x" * 32), GRID))

        assert receipt(SUM, ANN, 1, tasks=5) in state.receipts()
        assert state.add_receipt(receipt(SUM, ANN, 2, tasks=6))


def test_the_tally_sums_over_jobs_and_lists_the_greatest_first() -> None:
    with State.in_memory() as state:
        state.add_receipt(receipt(SUM, ANN, 1, tasks=5, cpu=1.5))
        state.add_receipt(receipt(PI, ANN, 1, tasks=2, cpu=0.5))
        state.add_receipt(receipt(PI, BEN, 1, tasks=1, cpu=4.0))

        assert state.tally() == [Share(BEN, 1, 0, 4.0), Share(ANN, 7, 0, 2.0)]
        assert state.tally(SUM) == [Share(ANN, 5, 0, 1.5)]
        assert state.tally(JobId(b"?" * 20)) == []


def test_receipts_are_kept_as_the_bytes_that_were_signed(tmp_path: Path) -> None:
    signed = receipt(SUM, ANN, 1, tasks=5)
    with State(tmp_path / "state.db") as state:
        state.add_receipt(signed)

    with State(tmp_path / "state.db") as state:
        (kept,) = state.receipts(SUM)

    assert kept == signed
    assert open_signed(Receipt, kept, GRID).tasks == 5


def test_what_is_no_receipt_is_refused() -> None:
    with State.in_memory() as state:
        with pytest.raises(PeerError):
            state.add_receipt(KEY.sign(Purpose.RECEIPT, GRID, b"\xc1"))
        assert state.receipts() == []


def test_neighbours_come_back_last_seen_first(tmp_path: Path) -> None:
    with State(tmp_path / "state.db") as state:
        state.remember_neighbour(ANN, Address("10.0.0.1", 8468), 100.0)
        state.remember_neighbour(BEN, Address("::1", 8469), 200.0)
        state.remember_neighbour(ANN, Address("10.0.0.9", 8470), 300.0)

    with State(tmp_path / "state.db") as state:
        ann = Neighbour(ANN, Address("10.0.0.9", 8470), 300.0)
        ben = Neighbour(BEN, Address("::1", 8469), 200.0)
        assert state.neighbours() == [ann, ben]
        assert state.neighbours(1) == [ann]


def test_the_neighbours_seen_longest_ago_make_room() -> None:
    with State.in_memory() as state, state.batch():
        for n in range(NEIGHBOURS + 10):
            peer = PeerId(n.to_bytes(20, "big"))
            state.remember_neighbour(peer, Address("10.0.0.1", 1 + n), float(n))

        found = state.neighbours()

    assert len(found) == NEIGHBOURS
    assert found[-1].seen == 10.0


def test_starts_are_counted_for_ever(tmp_path: Path) -> None:
    counts = []
    for _ in range(3):
        with State(tmp_path / "state.db") as state:
            counts.append(state.next_start())

    assert counts == [1, 2, 3]


def test_a_batch_that_fails_leaves_nothing() -> None:
    with State.in_memory() as state:
        with suppress(Stop), state.batch():
            state.add_receipt(receipt(SUM, ANN, 1, tasks=5))
            with state.batch():
                state.add_receipt(receipt(SUM, BEN, 1, tasks=5))
            raise Stop

        assert state.tally() == []
        with state.batch():
            state.next_start()
        assert state.next_start() == 2


def test_threads_do_not_end_up_in_each_others_batch(tmp_path: Path) -> None:
    with State(tmp_path / "state.db") as state:
        inside = threading.Event()
        other = threading.Thread(target=lambda: (inside.wait(), state.next_start()))
        other.start()
        with suppress(Stop), state.batch():
            state.add_receipt(receipt(SUM, ANN, 1, tasks=5))
            inside.set()
            raise Stop
        other.join()

        assert state.next_start() == 2
        assert state.tally() == []


def test_the_database_is_closed_to_others(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with State(tmp_path / "state.db") as state:
            state.next_start()
            modes = {stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()}
    finally:
        os.umask(before)

    assert modes == {0o600}


WRITING = """
import itertools, sys
from pathlib import Path
from p2pslinger.ids import GridId
from p2pslinger.store.state import State
from p2pslinger.wire.identity import Identity
from p2pslinger.wire.records import Receipt, seal
key = Identity(b"k" * 32)
state = State(Path(sys.argv[1]))
for n in itertools.count(1):
    with state.batch():
        for who in (b"a" * 20, b"b" * 20):
            record = Receipt(b"s" * 20, b"m" * 20, who, n, 1.0, 0, n, 1.0)
            state.add_receipt(seal(record, key, GridId(b"the grid")))
    print(n, flush=True)
"""


def test_a_peer_killed_while_it_writes_loses_no_commit_and_halves_none(
    tmp_path: Path,
) -> None:
    path = tmp_path / "state.db"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITING, str(path)], stdout=subprocess.PIPE
    )
    with writer:
        assert writer.stdout is not None
        for _ in range(50):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        told = [50, *map(int, writer.stdout.read().splitlines())]

    with State(path) as state:
        ann, ben = state.tally()
        assert state.notes == ()

    assert ann.tasks == ben.tasks >= told[-1]


def fill(path: Path) -> None:
    with State(path) as state, state.batch():
        for n in range(500):
            state.add_receipt(receipt(JobId(n.to_bytes(20, "big")), ANN, 1, tasks=1))


@pytest.mark.parametrize("offset", [0, 8192])
def test_a_damaged_database_is_set_aside_and_a_new_one_started(
    tmp_path: Path, offset: int
) -> None:
    path = tmp_path / "state.db"
    for round in (1, 2):
        fill(path)
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(os.urandom(4096))

        with State(path) as state:
            assert state.tally() == []
            (note,) = state.notes

        assert f"state.db.damaged-{round}" in note
        assert (tmp_path / f"state.db.damaged-{round}").stat().st_size > 8192


def test_a_folder_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()

    with pytest.raises(DiskError, match=r"state\.db"):
        State(tmp_path / "state.db")


def test_a_spent_reserve_is_made_again_once_the_disk_takes_something(
    tmp_path: Path,
) -> None:
    with State(tmp_path / "state.db") as state:
        held = tmp_path / "state.db-reserve"
        assert held.stat().st_size == RESERVE
        assert stat.S_IMODE(held.stat().st_mode) == 0o600
        assert state.reserve.spend()
        assert not held.exists()
        assert not state.reserve.spend()

        state.probe()
        assert held.stat().st_size == RESERVE
    with State.in_memory() as state:
        state.probe()
        assert not state.reserve.spend()


def test_starts_from_elsewhere_are_counted_too() -> None:
    with State.in_memory() as state:
        assert state.next_start() == 1
        assert state.next_start(before=5) == 7
        assert state.next_start() == 8
