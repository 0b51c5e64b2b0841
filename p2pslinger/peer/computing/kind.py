"""What kind of slot: a process that is of another kind can't compute a job."""

from __future__ import annotations

from typing import NamedTuple

from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.interpreter import Interpreter


class Kind(NamedTuple):
    """One kind of slot.

    Attributes:
        confinement: How it is confined.
        interpreter: What it is of; None: the daemon's Python.
        memory: Bytes that it may use as its tasks ask, at most; 0: all that there are
            for it.
    """

    confinement: Confinement = Confinement.OWN
    interpreter: Interpreter | None = None
    memory: int = 0

    @property
    def is_own(self) -> bool:
        """Whether it is what the machine's own work usually gets, with limits only."""
        return self.confinement is Confinement.OWN


#: What a slot is that nobody has asked anything of.
USUAL = Kind()
