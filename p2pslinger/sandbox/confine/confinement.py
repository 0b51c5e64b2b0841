"""How much a slot is kept from the machine that computes.

    own      limits only: the machine's own work may use its files and network
    weak     whatever this system has of the means below; each that fails is left out
    good     all means inside the process: it reads Python, writes nothing, reaches
             nobody, starts nothing
    strong   the same inside namespaces of its own, with a small scratch folder

Nothing falls back in silence. Except for `weak`, a means that fails ends the slot
before its first task, and the error names it.
"""

from __future__ import annotations

from enum import Enum


class ConfinementError(OSError):
    """A slot can't be confined as it must be; the text says by what."""


class Confinement(Enum):
    """What a slot is asked to be kept in."""

    OWN = "own"
    WEAK = "weak"
    GOOD = "good"
    STRONG = "strong"

    @property
    def full(self) -> bool:
        """Tell whether every means must hold."""
        return self in {Confinement.GOOD, Confinement.STRONG}
