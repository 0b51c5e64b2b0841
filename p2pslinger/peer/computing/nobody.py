"""Nobody: the keeper of work whose keeper is gone, until another one takes it over."""

from __future__ import annotations

from collections.abc import Sequence

from p2pslinger.errors import UnavailableError
from p2pslinger.ids import JobId, PeerId
from p2pslinger.peer.computing.keepers import GotAdopted, GotDelivered, GotWork
from p2pslinger.wire.glimpse import Glimpse
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.keeping import Adopt
from p2pslinger.wire.messages import GiveBack, Holding, Want
from p2pslinger.wire.needs import Offer
from p2pslinger.wire.records import RangeResult

_GONE = "its keeper is gone, and no other one of the job is connected"


class Nobody:
    """A `p2pslinger.peer.computing.keepers.KeeperLink` that leads nowhere."""

    peer = PeerId(bytes(20))

    def tell(self, offer: Offer) -> None:
        """Hear nothing."""

    def want(self, want: Want, done: GotWork) -> None:
        """Have no work."""
        done(None)

    def unwant(self, number: int) -> None:
        """Hear nothing."""

    def deliver(self, results: Sequence[RangeResult], blobs: Sequence[bytes]) -> None:
        """Hear nothing."""

    def offer(
        self,
        batch: Signed,
        results: Sequence[RangeResult],
        blobs: Sequence[bytes],
        told: GotDelivered,
    ) -> None:
        """Take nothing."""
        told(UnavailableError(_GONE))

    def adopt(self, adopt: Adopt, told: GotAdopted) -> None:
        """Take nothing over."""
        told(UnavailableError(_GONE))

    def renew(self, holdings: Sequence[Holding]) -> Sequence[int]:
        """Hear nothing."""
        return ()

    def show(self, glimpses: Sequence[Glimpse]) -> None:
        """Hear nothing."""

    def give_back(self, back: GiveBack) -> None:
        """Hear nothing."""

    async def fetch(self, job: JobId, digest: bytes, size: int) -> bytes:
        """Have nothing.

        Raises:
            UnavailableError: always.
        """
        raise UnavailableError(_GONE)


NOBODY = Nobody()
