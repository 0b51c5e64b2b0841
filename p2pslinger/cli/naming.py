"""Peers' names, as they are shown: what the owner says apart from what they say."""

from __future__ import annotations

from p2pslinger.cli.words import printable
from p2pslinger.rules.members import MARK


def of_name(claimed: str, petname: str = "") -> str:
    """Return a peer's name: the owner's own for it, marked as no other can be.

    What a peer calls itself has no "@" in it when it is shown.
    """
    claimed = printable(claimed).replace(MARK, "?")
    if not petname:
        return claimed
    own = f"{MARK}{printable(petname)}"
    return f"{own} ({claimed})" if claimed else own
