"""What `slinger down --resign` asks on the control socket: keep nothing any more."""

from __future__ import annotations

import msgspec


class Resign(msgspec.Struct, frozen=True, array_like=True, tag=76):
    """Have the peer hand its jobs over, or ask how far it is with that.

    Answered by `Resigning`. It takes up no job any more until it is started again.
    """


class Resigning(msgspec.Struct, frozen=True, array_like=True, tag=77):
    """How far a peer is with handing over what it keeps.

    Attributes:
        jobs: Jobs that it kept when it was asked first.
        left: Those of them that others do not keep well enough without it yet.
        stuck: Those of `left` for which there is nobody to take them over now.
    """

    jobs: int
    left: int
    stuck: int


ResignMessage = Resign | Resigning
