"""What a peer knows from one start to the next: receipts, neighbours, durable jobs.

- A receipt is kept as the exact bytes that were signed. Per job and volunteer the
  newest sequence replaces the others, so the tally is a sum over rows. Whether a
  receipt's key may speak for its job is the caller's question, asked before.
- Neighbours are hints for the next start, no more: the least recently seen go first.
- Every change is one commit; `batch` makes one of many.
- Durable jobs are in the same file (`p2pslinger.store.jobs`), so that one commit covers
  what belongs together.

A `State` is for one peer; `State.in_memory` for one that leaves nothing behind.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from p2pslinger.ids import JobId, PeerId
from p2pslinger.limits import KIB
from p2pslinger.store import jobrows, volunteers
from p2pslinger.store.database import Database
from p2pslinger.store.jobs import JobStore
from p2pslinger.store.reserve import Reserve
from p2pslinger.store.volunteers import VolunteerStore
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.records import Address, Receipt, read

#: Neighbours that are remembered: a few hundred addresses are enough to find the grid
#: again after a long absence, and little to try.
NEIGHBOURS = 256

#: One script per schema version. Published ones are never changed, only added to.
MIGRATIONS = (
    """
    CREATE TABLE receipts (
        job BLOB NOT NULL,
        volunteer BLOB NOT NULL,
        submitter BLOB NOT NULL,
        tasks INTEGER NOT NULL,
        failures INTEGER NOT NULL,
        cpu REAL NOT NULL,
        sequence INTEGER NOT NULL,
        wall REAL NOT NULL,
        body BLOB NOT NULL,
        key BLOB NOT NULL,
        signature BLOB NOT NULL,
        PRIMARY KEY (job, volunteer, submitter)
    ) WITHOUT ROWID;
    CREATE TABLE neighbours (
        peer BLOB PRIMARY KEY,
        host TEXT NOT NULL,
        port INTEGER NOT NULL,
        seen REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX neighbours_by_age ON neighbours (seen);
    CREATE TABLE meta (
        name TEXT PRIMARY KEY,
        value INTEGER NOT NULL
    ) WITHOUT ROWID;
    """,
    jobrows.SCHEMA,
    volunteers.SCHEMA,
    "ALTER TABLE receipts ADD COLUMN checks INTEGER NOT NULL DEFAULT 0",
)

#: Bytes that are written to find out whether the disk takes any: a few results.
PROBE = 256 * KIB


@dataclass(frozen=True, slots=True)
class Share:
    """One volunteer's part of a tally: tasks accepted, failures among them, CPU time.

    CPU time is in seconds, as the volunteer says. Checks are tasks of others that it
    has computed as well, with the same outcome.
    """

    volunteer: PeerId
    tasks: int
    failures: int
    cpu: float
    checks: int = 0


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Where a peer could be reached, and when that was (seconds since the epoch)."""

    peer: PeerId
    address: Address
    seen: float


class State:
    """The state of one peer. Every method may raise `DiskError`.

    Args:
        path: Its file; None for memory.

    Attributes:
        jobs: The durable jobs.
        volunteers: Who has computed for this peer.
        notes: What the owner should know ("state.db was damaged ...").
        reserve: Room for small writes on a disk that is full.
    """

    def __init__(self, path: Path | None) -> None:
        self._database = Database(path, MIGRATIONS)
        self.jobs = JobStore(self._database)
        self.volunteers = VolunteerStore(self._database)
        self.notes = self._database.notes
        self.reserve = Reserve(path and path.with_name(f"{path.name}-reserve"))
        self.reserve.make()

    @classmethod
    def in_memory(cls) -> State:
        """Return a state that ends with its process."""
        return cls(None)

    def batch(self) -> AbstractContextManager[None]:
        """Make one commit of what happens inside; nothing of it if that raises."""
        return self._database.batch()

    def probe(self) -> None:
        """Write something and remove it: raises `DiskError` where that fails.

        Where it works, a reserve that was spent is made again.
        """
        self._database.execute(
            "INSERT OR REPLACE INTO meta VALUES ('probe', zeroblob(?))", (PROBE,)
        )
        self._database.execute("DELETE FROM meta WHERE name = 'probe'")
        self.reserve.make()

    def close(self) -> None:
        """Close the file. Does nothing the second time."""
        self._database.close()

    def __enter__(self) -> State:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- receipts -----------------------------------------------------------------

    def add_receipt(self, signed: Signed) -> bool:
        """Keep a verified receipt; return whether it was newer than what we had.

        Raises:
            PeerError: the bytes are no receipt.
        """
        receipt = read(Receipt, signed)
        added = self._database.execute(
            """
            INSERT INTO receipts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (job, volunteer, submitter) DO UPDATE SET
                tasks = excluded.tasks,
                failures = excluded.failures, cpu = excluded.cpu,
                sequence = excluded.sequence, wall = excluded.wall,
                body = excluded.body, key = excluded.key,
                signature = excluded.signature, checks = excluded.checks
            WHERE excluded.sequence > sequence
            RETURNING 1
            """,
            (
                receipt.job,
                receipt.volunteer,
                receipt.submitter,
                receipt.tasks,
                receipt.failures,
                receipt.cpu,
                receipt.sequence,
                receipt.wall,
                signed.body,
                signed.key,
                signed.signature,
                receipt.checks,
            ),
        )
        return bool(added)

    def receipts(self, job: JobId | None = None) -> list[Signed]:
        """Return the newest receipts, of one job or of all, oldest first."""
        rows = self._database.read(
            "SELECT body, key, signature FROM receipts WHERE ? IS NULL OR job = ?"
            " ORDER BY wall, job, volunteer",
            (job, job),
        )
        return [Signed(*cast("tuple[bytes, bytes, bytes]", row)) for row in rows]

    def tally(self, job: JobId | None = None) -> list[Share]:
        """Return who contributed what, to one job or to all, greatest first."""
        rows = self._database.read(
            "SELECT volunteer, SUM(tasks), SUM(failures), SUM(cpu), SUM(checks)"
            " FROM receipts WHERE ? IS NULL OR job = ? GROUP BY volunteer"
            " ORDER BY SUM(cpu) DESC, SUM(tasks) DESC, volunteer",
            (job, job),
        )
        return [
            Share(*cast("tuple[PeerId, int, int, float, int]", row)) for row in rows
        ]

    # --- neighbours ---------------------------------------------------------------

    def remember_neighbour(self, peer: PeerId, address: Address, seen: float) -> None:
        """Note where `peer` could be reached, at wall time `seen`."""
        with self.batch():
            self._database.execute(
                "INSERT OR REPLACE INTO neighbours VALUES (?, ?, ?, ?)",
                (peer, address.host, address.port, seen),
            )
            self._database.execute(
                "DELETE FROM neighbours WHERE peer IN (SELECT peer FROM neighbours"
                " ORDER BY seen DESC, peer LIMIT -1 OFFSET ?)",
                (NEIGHBOURS,),
            )

    def neighbours(self, count: int = NEIGHBOURS) -> list[Neighbour]:
        """Return up to `count` neighbours, last seen first."""
        rows = self._database.read(
            "SELECT peer, host, port, seen FROM neighbours"
            " ORDER BY seen DESC, peer LIMIT ?",
            (count,),
        )
        found = cast("list[tuple[PeerId, str, int, float]]", rows)
        return [
            Neighbour(peer, Address(host, port), seen)
            for peer, host, port, seen in found
        ]

    # --- counters -----------------------------------------------------------------

    def next_start(self, before: int = 0) -> int:
        """Return how often this peer has been started, this time included.

        Tells a peer's own messages from before a restart from those of now.

        Args:
            before: Starts that are known from elsewhere, not counted here.
        """
        rows = self._database.execute(
            "INSERT INTO meta VALUES ('starts', ?) ON CONFLICT (name)"
            " DO UPDATE SET value = value + excluded.value RETURNING value",
            (before + 1,),
        )
        return cast("int", rows[0][0])
