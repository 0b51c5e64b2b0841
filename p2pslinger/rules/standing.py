"""What a job's owner has said of it: its control records, put together.

The record with the highest sequence counts, the higher id among equals. Three things
are never taken back, whichever record says them: that a job was sealed, cancelled or
forgotten. So few records matter, and the others can be dropped, everywhere alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from p2pslinger.ids import PeerId
from p2pslinger.wire.records import Control


@dataclass
class Standing:
    """The control records of one job that matter.

    Attributes:
        records: By id.
    """

    records: dict[bytes, Control] = field(default_factory=dict)

    def add(self, id: bytes, record: Control) -> list[bytes] | None:
        """Take in a record; return those that do not matter any more.

        Returns None if the record itself does not matter.
        """
        if id in self.records:
            return None
        self.records[id] = record
        gone = self.records.keys() - self._essential()
        for one in gone:
            del self.records[one]
        return None if id in gone else sorted(gone)

    @property
    def newest(self) -> Control | None:
        """Return the record that counts, as it was signed."""
        ids = sorted(self.records, key=self._rank)
        return self.records[ids[-1]] if ids else None

    @property
    def sequence(self) -> int:
        """The sequence of the record that counts; 0 before the first."""
        newest = self.newest
        return newest.sequence if newest is not None else 0

    @property
    def cancelled(self) -> bool:
        """Whether nothing more is computed."""
        return any(record.cancelled for record in self.records.values())

    @property
    def forgotten(self) -> bool:
        """Whether everything of the job is to be deleted."""
        return any(record.forgotten for record in self.records.values())

    @property
    def sealed(self) -> int | None:
        """How many tasks there are in all, once that is said."""
        said = [r.sealed for r in self.records.values() if r.sealed is not None]
        return max(said, default=None)

    @property
    def excluded(self) -> frozenset[PeerId]:
        """Whose results do not count, unless they were accepted before."""
        newest = self.newest
        return frozenset(map(PeerId, newest.excluded)) if newest else frozenset()

    def _rank(self, id: bytes) -> tuple[int, bytes]:
        return self.records[id].sequence, id

    def _essential(self) -> set[bytes]:
        """Return the newest, and one for each absorbing word that it does not say."""
        ids = sorted(self.records, key=self._rank, reverse=True)
        kept = set(ids[:1])
        for word in ("cancelled", "forgotten"):
            kept.update([i for i in ids if getattr(self.records[i], word)][:1])
        kept.update([i for i in ids if self.records[i].sealed is not None][:1])
        return kept
