"""Our own card: what this peer says about itself, made anew whenever it is shown."""

from __future__ import annotations

from collections.abc import Callable

from p2pslinger import limits
from p2pslinger.ids import GridId
from p2pslinger.peer.config import Config
from p2pslinger.version import __version__
from p2pslinger.wire.identity import Identity, Signed
from p2pslinger.wire.records import Address, PeerCard, seal


class OwnCard:
    """Makes our card.

    Args:
        config: How the peer runs.
        identity: Who signs.
        grid: For which grid.
        pythons: Gives the minor versions that slots can be of.
        now: Gives the grid's time.
        started: When the process has started, by its own clock, in microseconds.
        hosts: Gives where we can be dialled, best first.
    """

    def __init__(
        self,
        *,
        config: Config,
        identity: Identity,
        grid: GridId,
        pythons: Callable[[], tuple[str, ...]],
        now: Callable[[], float],
        started: int,
        hosts: Callable[[], list[str]],
    ) -> None:
        self._config = config
        self._identity = identity
        self._grid = grid
        self._pythons = pythons
        self._now = now
        self._started = started
        self._hosts = hosts
        #: The level that was found.
        self.sandbox = "none"
        #: TCP and UDP; 0 before we listen.
        self.port = 0
        #: The versions on the last card.
        self.told = pythons()
        #: What keeps us from computing for others, or "".
        self.why = ""

    def make(self) -> PeerCard:
        """Return the card as it is now."""
        now = self._now()
        hosts = self._hosts() if self.port else []
        self.told = self._pythons()
        return PeerCard(
            self._config.name,
            tuple(Address(host, self.port) for host in hosts[: limits.ADDRESSES]),
            __version__,
            self.told[: limits.PYTHONS],
            self._config.slot_count(),
            self.sandbox,
            int(now * 1000),
            now + limits.CARD_LIFE,
            self._started,
            self.why,
        )

    def sign(self) -> Signed:
        """Return it signed."""
        return seal(self.make(), self._identity, self._grid)
