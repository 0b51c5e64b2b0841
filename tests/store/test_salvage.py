"""From a damaged state all is saved that can be read, and nothing else."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from blake3 import blake3

from p2pslinger.store.salvage import open_state
from p2pslinger.store.state import State
from p2pslinger.wire.keeping import Item
from p2pslinger.wire.records import Receipt, seal
from tests.store.durable import GRID, JOB_KEY, SUBMITTER, item, large, stored

PAGE = 4096
ONE, TWO, GONE = stored(1, owned=True), stored(2), stored(3)
ITEMS = [large(n, 400) for n in range(1000)]
SMALL = [item(TWO.job, n) for n in range(50)]
PROOF = Item(*item(GONE.job, 1)[1:])
CONTENTS = {blake3(data).digest(): data for data in map(bytes, range(1, 50))}


def fill(path: Path) -> None:
    """Write a state with something of everything, closed and in one file."""
    with State(path) as state, state.batch():
        state.next_start()
        for job in (ONE, TWO, GONE):
            state.jobs.add(job)
        state.jobs.add_items(ONE.job, ITEMS)
        state.jobs.add_items(TWO.job, SMALL)
        state.jobs.add_items(GONE.job, [item(GONE.job, 1)])
        for digest, data in CONTENTS.items():
            state.jobs.add_content(TWO.job, digest, data)
        state.jobs.bury(GONE.job, 5e9, PROOF)
        for n in range(300):
            number = n.to_bytes(20, "big")
            record = Receipt(number, SUBMITTER.id, b"v" * 20, n, 1.0, 0, 1, 1e9)
            state.add_receipt(seal(record, JOB_KEY, GRID))


def damage(path: Path, page: int) -> None:
    with path.open("r+b") as file:
        file.seek(page * PAGE)
        file.write(os.urandom(PAGE))


def pages_of(path: Path, table: str) -> list[int]:
    """Return the leaf pages of a table, numbered from 0."""
    with closing(sqlite3.connect(path)) as file:
        try:
            rows = file.execute(
                "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf'",
                (table,),
            ).fetchall()
        except sqlite3.OperationalError:
            pytest.skip("this SQLite can't say where a table is")
    return [number - 1 for (number,) in rows]


def test_one_damaged_page_costs_what_is_on_it_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    fill(path)
    leaves = pages_of(path, "items")
    damage(path, leaves[len(leaves) // 2])

    with open_state(path) as state:
        assert state.jobs.jobs() == [ONE, TWO]
        kept = list(state.jobs.items(ONE.job))
        assert set(kept) < set(ITEMS)
        assert len(kept) > len(ITEMS) - 20
        assert list(state.jobs.items(TWO.job)) == SMALL[::-1]  # read from the end
        assert {d: state.jobs.content(TWO.job, d) for d in CONTENTS} == CONTENTS
        assert state.jobs.buried() == {GONE.job: (5e9, PROOF)}
        assert len(state.receipts()) == 300
        assert state.next_start() > 1
        damaged, saved = state.notes
        assert "state.db was damaged" in damaged
        assert f"jobs 2, their records {len(kept) + 50}, receipts 300" in saved
        assert state.jobs.size(TWO.job) > sum(map(len, CONTENTS.values()))

    with open_state(path) as state:  # once and no more
        assert state.notes == ()
        assert list(state.jobs.items(ONE.job)) == kept


def test_wherever_the_damage_is_nothing_wrong_is_saved(tmp_path: Path) -> None:
    filled = tmp_path / "filled"
    fill(filled)
    size = filled.stat().st_size // PAGE
    saved = 0
    for round in range(25):
        folder = tmp_path / str(round)
        folder.mkdir(mode=0o700)
        path = folder / "state.db"
        shutil.copy(filled, path)
        for page in random.Random(round).sample(range(1, size), 1 + round % 5):
            damage(path, page)

        with open_state(path) as state:
            assert set(state.jobs.jobs()) <= {ONE, TWO, GONE}
            assert set(state.jobs.items(ONE.job)) <= set(ITEMS)
            assert set(state.jobs.items(TWO.job)) <= set(SMALL)
            for digest, data in CONTENTS.items():
                assert state.jobs.content(TWO.job, digest) in {data, None}
            assert len(state.receipts()) <= 300
            saved += len(list(state.jobs.items(ONE.job)))
    assert saved > 0


@pytest.mark.parametrize("left", [0, PAGE - 1, 100 * PAGE + 7])
def test_a_file_that_was_cut_off_is_replaced(tmp_path: Path, left: int) -> None:
    path = tmp_path / "state.db"
    fill(path)
    os.truncate(path, left)

    with open_state(path) as state:
        assert set(state.jobs.jobs()) <= {ONE, TWO, GONE}
        assert set(state.jobs.items(ONE.job)) <= set(ITEMS)
        assert len(state.notes) == (2 if left else 0)  # 0 bytes: a new one
        state.jobs.add(ONE)


def test_a_file_without_its_head_is_replaced_by_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    fill(path)
    damage(path, 0)

    with open_state(path) as state:
        assert state.jobs.jobs() == []
        assert "jobs 0, their records 0, receipts 0" in state.notes[1]


CRASHING = """
import os, sys
from pathlib import Path
from p2pslinger.store import salvage
from p2pslinger.store.wreck import Wreck

class Deadly(Wreck):
    def receipts(self):
        os._exit(9)  # in the middle of the commit

salvage.Wreck = Deadly
salvage.open_state(Path(sys.argv[1]))
"""


def test_a_crash_while_saving_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    fill(path)
    damage(path, pages_of(path, "receipts")[0])
    command = [sys.executable, "-c", CRASHING, str(path)]
    assert subprocess.run(command, check=False, timeout=60).returncode == 9

    with open_state(path) as state:
        assert state.jobs.jobs() == [ONE, TWO]
        assert list(state.jobs.items(ONE.job)) == ITEMS
        assert 200 < len(state.receipts()) < 300
        assert len(state.notes) == 1  # the damage itself was told before the crash


SAVING = """
import sys
from pathlib import Path
from p2pslinger.store.salvage import open_state
path = Path(sys.argv[1]) / "state.db"
path.write_bytes(Path(sys.argv[2]).read_bytes())
with open_state(path) as state:
    print(*state.notes, sep="\\n")
"""


def test_a_disk_too_full_for_it_puts_it_off(
    tmp_path: Path, small_disk: list[str]
) -> None:
    path = tmp_path.parent / f"{tmp_path.name}-filled"
    fill(path)
    damage(path, pages_of(path, "receipts")[0])
    command = [*small_disk, sys.executable, "-c", SAVING, "DISK", str(path)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60
    )

    assert "Traceback" not in done.stderr
    damaged, saved = done.stdout.splitlines()
    assert "was damaged" in damaged
    assert "the disk is full" in saved
    assert saved.endswith("the next start tries again")
