"""Whose work this peer computes, and how the slot for it is confined.

    this machine's own      own: limits only
    whom the owner trusts   the same, as if it were the owner's
    everybody else          as strictly as this machine can, or not at all
    who asks for a sandbox  the same, also the machine's own and whom it trusts

Nothing falls back in silence: what was found by trying is as good as the owner
requires, or others' work is refused, with a sentence that says what is missing.
"""

from __future__ import annotations

from collections.abc import Callable

from p2pslinger.ids import PeerId
from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.level import Finding, Level

#: Tells something about a submitter.
Judge = Callable[[PeerId], bool]


class Confining:
    """Chooses how slots are confined.

    Args:
        me: This peer, unless its own work is to be confined as well.
        require: What others' work needs at least.
        trusts_all: The owner trusts every member like themselves.
        trusts: Tells whose work is to be treated like the owner's.
        allows: Tells whose work may have a slot that is weakly confined.
        serves: Tells for whom there is a slot at all.

    Attributes:
        finding: What the probe has found, or None before it has.
        doubt: Why an earlier finding does not count any more, or "".
    """

    def __init__(
        self,
        me: PeerId | None,
        *,
        require: Level,
        trusts_all: bool = False,
        trusts: Judge = lambda _: False,
        allows: Judge = lambda _: False,
        serves: Judge = lambda _: True,
    ) -> None:
        self._me = me
        self._require = require
        #: Every member is treated like the owner.
        self.trusts_all = trusts_all
        self._trusts = trusts
        self._allows = allows
        self._serves = serves
        self.finding: Finding | None = None
        self.doubt = ""

    def of(self, submitter: PeerId, *, sandbox: bool = False) -> Confinement | None:
        """Return how to confine a submitter's work, or None if it is not for here.

        Args:
            submitter: Whose work it is.
            sandbox: It asks to be confined like a stranger's, whoever's it is.
        """
        if not self._serves(submitter):
            return None
        trusted = self.trusts_all or self._trusts(submitter)
        if not sandbox and (submitter == self._me or trusted):
            return Confinement.OWN
        finding = self.finding
        if finding is None or finding.confinement is None:
            return None
        if self.confines_well or (self._allows(submitter) and not sandbox):
            return finding.confinement
        return None

    @property
    def level(self) -> Level:
        """The level that was found; none before there was a look."""
        return Level.NONE if self.finding is None else self.finding.level

    @property
    def for_members(self) -> bool:
        """Whether any member's work can be computed here."""
        return self.trusts_all or self.confines_well

    @property
    def why_not(self) -> str:
        """Why not any member's work can be computed here, or "" if it can."""
        if self.for_members:
            return ""
        if self.doubt:
            return f"a slot for their tasks could not be made: {self.doubt}"
        if self.finding is None:
            return "how well this machine can confine their tasks is not known yet"
        return f"this machine confines tasks at level {self.level} {self._wanted}"

    @property
    def _wanted(self) -> str:
        return f'only, and its settings require "{self._require}"'

    @property
    def confines_well(self) -> bool:
        """Whether what was found is enough for strangers."""
        known = self.finding is not None and self.finding.confinement is not None
        return known and self.level.reaches(self._require)
