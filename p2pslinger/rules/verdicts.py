"""What comparing the answers of one job has shown, task by task: for people to see."""

from __future__ import annotations

from p2pslinger.ids import PeerId
from p2pslinger.rules.agreement import Finding, State
from p2pslinger.rules.spans import Spans
from p2pslinger.wire.agreeing import AgreementFacts


class Verdicts:
    """The tasks of one job that several peers have answered.

    Attributes:
        agreed: Most answers are alike.
        disagreed: They were not all; most may agree all the same.
        irreproducible: They differ, and there is no majority.
        agreeing: Where each volunteer was one of those who agree.
        revision: Grows with every change.
    """

    def __init__(self) -> None:
        self.agreed = Spans()
        self.disagreed = Spans()
        self.irreproducible = Spans()
        self.agreeing: dict[PeerId, Spans] = {}
        self.revision = 0

    @property
    def checked(self) -> int:
        """Tasks that several peers have answered so that it could be compared."""
        either = Spans()
        for some in (self.agreed, self.disagreed, self.irreproducible):
            for span in some:
                either.add(*span)
        return either.count

    def add(self, one: Finding) -> None:
        """Note what some answers have come to, instead of what was noted before."""
        span = one.start, one.stop
        for some in (self.agreed, self.irreproducible):
            some.remove(*span)
        for theirs in self.agreeing.values():
            theirs.remove(*span)
        self.revision += 1
        match one.state:
            case State.AGREED:
                self.agreed.add(*span)
                for volunteer in one.with_it:
                    self.agreeing.setdefault(volunteer, Spans()).add(*span)
            case State.IRREPRODUCIBLE if len(one.votes) > 1:
                self.irreproducible.add(*span)
        split = one.state in {State.DISPUTED, State.IRREPRODUCIBLE}
        if one.against or (split and len(one.votes) > 1):
            self.disagreed.add(*span)

    def facts(self, replicate: int, decided: int) -> AgreementFacts:
        """Return all of it, of a job of which so many tasks are decided."""
        checked = self.checked
        return AgreementFacts(
            replicate,
            checked,
            self.agreed.count,
            self.disagreed.count,
            self.irreproducible.count,
            max(0, decided - checked),
        )
