"""How often a volunteer's results are checked, and what becomes of one that lies.

After the adaptive replication of BOINC (D. P. Anderson, "BOINC: A Platform for
Volunteer Computing", 2020): the first results of a volunteer are checked always; each
that others agree with makes the next check rarer, and none makes it sure that there is
none.

A *strike* is for an answer that is wrong beyond doubt: two independent peers agree
against it, and the job has shown before that its tasks give everybody the same. Whoever
was struck gets no more work of this submitter for a while, is always checked
afterwards, and has to answer well many times until that is forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from p2pslinger.ids import PeerId

#: Results of a volunteer that are checked in any case: ten, as BOINC has it.
FIRST = 10

#: Part of the results that is checked of the best volunteer, too.
LEAST = 0.01

#: Seconds that the first strike keeps a volunteer from work. Each further one doubles
#: it, up to the longest.
BARRED, LONGEST = 3600.0, 7 * 86_400.0

#: Answers in a row that others must agree with until a strike is forgotten.
FORGIVEN = 100

#: Ranges of a job that several peers must have agreed on before anybody is struck, and
#: the part of all those compared that must have been so, the accused one's left out.
#: Tasks that come out by chance agree by chance, too: with a coin, half of them.
SHOWN, MOSTLY = 3, 0.9


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one volunteer.

    Attributes:
        agreed: Ranges in a row in which others agreed with it.
        strikes: How often it was struck, as far as that is not forgotten.
        barred: Wall time until which it gets no work.
    """

    agreed: int = 0
    strikes: int = 0
    barred: float = 0.0

    @property
    def chance(self) -> float:
        """Part of its results that is checked, above 0 and up to 1."""
        if self.strikes or self.agreed < FIRST:
            return 1.0
        return max(LEAST, FIRST / (self.agreed + 1))

    def praised(self) -> Record:
        """Return what is known after others have agreed with it once more."""
        agreed = self.agreed + 1
        if self.strikes and agreed >= FORGIVEN:
            return Record(FIRST, 0, self.barred)
        return replace(self, agreed=agreed)

    def doubted(self) -> Record:
        """Return what is known after most have answered otherwise, guilty or not."""
        return replace(self, agreed=0)

    def struck(self, wall: float) -> Record:
        """Return what is known after a strike at a wall time."""
        span = min(LONGEST, BARRED * 2**self.strikes)
        return Record(0, self.strikes + 1, wall + span)


@dataclass
class Reputation:
    """What one submitter knows of all volunteers."""

    records: dict[PeerId, Record] = field(default_factory=dict)

    def of(self, volunteer: PeerId) -> Record:
        """Return what is known of a volunteer."""
        return self.records.get(volunteer, Record())

    def is_checked(self, volunteer: PeerId, draw: float) -> bool:
        """Tell whether a result is to be checked.

        Args:
            volunteer: Whose it is.
            draw: Chance that the volunteer can neither know nor choose, 0 to 1.
        """
        return draw < self.of(volunteer).chance

    def bars(self, volunteer: PeerId, wall: float) -> bool:
        """Tell whether a volunteer gets no work now."""
        record = self.records.get(volunteer)
        return record is not None and wall < record.barred


@dataclass
class Evidence:
    """Whether the tasks of one job give everybody the same.

    Attributes:
        agreed: Ranges that were compared and found alike.
        disputed: Those that were not.
        blamed: Of those, by volunteer, in how many it was outvoted.
    """

    agreed: int = 0
    disputed: int = 0
    blamed: dict[PeerId, int] = field(default_factory=dict)

    def convicts(self, volunteer: PeerId, against: int) -> bool:
        """Tell whether an answer of a volunteer that was outvoted is a lie.

        Args:
            volunteer: Whose answer.
            against: Independent peers that agree on another one.
        """
        others = self.disputed - self.blamed.get(volunteer, 0)
        shown = self.agreed >= SHOWN
        return against >= 2 and shown and self.agreed >= MOSTLY * (self.agreed + others)

    def disagreed(self, outvoted: Mapping[PeerId, object] | frozenset[PeerId]) -> None:
        """Note a range that was answered in several ways."""
        self.disputed += 1
        for volunteer in outvoted:
            self.blamed[volunteer] = self.blamed.get(volunteer, 0) + 1
