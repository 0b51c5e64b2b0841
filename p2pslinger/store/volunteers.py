"""What a peer remembers of those who have computed for it: since when, and how well.

Whom it has met lately, and nothing is known of, is the first to be forgotten: anyone
can come with new ids, and nobody can have known us for longer by that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from p2pslinger.ids import ID_BYTES, PeerId
from p2pslinger.store.database import Database

#: Peers that are remembered. A row is a hundred bytes.
REMEMBERED = 10_000

SCHEMA = """
    CREATE TABLE volunteers (
        peer BLOB PRIMARY KEY,
        met REAL NOT NULL,
        agreed INTEGER NOT NULL,
        strikes INTEGER NOT NULL,
        barred REAL NOT NULL
    ) WITHOUT ROWID;
    """


@dataclass(frozen=True, slots=True)
class Volunteer:
    """One peer: when it was met first, and what became of its results."""

    peer: PeerId
    met: float
    agreed: int = 0
    strikes: int = 0
    barred: float = 0.0


class VolunteerStore:
    """The volunteers in one database; `State.volunteers` is it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, one: Volunteer) -> None:
        """Remember what is known of a volunteer now; when it was met first stays."""
        row = (one.peer, one.met, one.agreed, one.strikes, one.barred)
        with self._database.batch():
            self._database.execute(
                """
                INSERT INTO volunteers VALUES (?, ?, ?, ?, ?)
                ON CONFLICT (peer) DO UPDATE SET agreed = excluded.agreed,
                    strikes = excluded.strikes, barred = excluded.barred
                """,
                row,
            )
            self._database.execute(
                "DELETE FROM volunteers WHERE peer IN (SELECT peer FROM volunteers"
                " ORDER BY strikes DESC, agreed > 0 DESC, met, peer LIMIT -1 OFFSET ?)",
                (REMEMBERED,),
            )

    def all(self) -> list[Volunteer]:
        """Return all that can be read."""
        rows = self._database.read(
            "SELECT peer, met, agreed, strikes, barred FROM volunteers"
        )
        return [one for row in rows if (one := _volunteer(row)) is not None]


def _volunteer(row: tuple[object, ...]) -> Volunteer | None:
    """Return a row's volunteer, or None if damage has made something else of it."""
    match row:
        case (bytes(peer), float(met), int(agreed), int(strikes), float(barred)):
            sound = len(peer) == ID_BYTES and min(agreed, strikes) >= 0
            if sound and math.isfinite(met) and math.isfinite(barred):
                return Volunteer(PeerId(peer), met, agreed, strikes, barred)
    return None
