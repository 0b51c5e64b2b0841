"""What a program asks about the owner's preferences, on the control socket."""

from __future__ import annotations

import msgspec

from p2pslinger.wire.ownfacts import PermitFacts


class GetPermit(msgspec.Struct, frozen=True, array_like=True, tag=74):
    """Ask what others may have, by preferences read anew. Answered by `Permitted`."""


class Permitted(msgspec.Struct, frozen=True, array_like=True, tag=75):
    """What others may have of this machine."""

    facts: PermitFacts


PermitMessage = GetPermit | Permitted
