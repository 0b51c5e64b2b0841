"""Looking after the durable jobs that are here: what is due every few seconds."""

from __future__ import annotations

from collections.abc import Callable

from p2pslinger.errors import SlingerError
from p2pslinger.ids import PeerId
from p2pslinger.peer.durable.held import Held
from p2pslinger.peer.durable.means import Means
from p2pslinger.peer.durable.vault import Vault
from p2pslinger.peer.events import Noted
from p2pslinger.peer.owner import Owner
from p2pslinger.rules.keeping import may_resign

#: Seconds after which whoever has asked this peer to keep a job must have named it.
INVITED = 60.0

#: Seconds that a new keeper waits until it knows what the others have.
COMPARED = 10.0

#: Seconds between two comparisons with a job's other keepers.
COMPARE_EVERY = 30.0


class Caretaking:
    """Compares, mends, resigns and lets expire.

    Args:
        vault: The jobs.
        means: What they work with.
        owner: Owns the tasks that fetch what is missing.
    """

    def __init__(self, vault: Vault, means: Means, owner: Owner) -> None:
        self._vault = vault
        self._means = means
        self._owner = owner
        self._me: PeerId = means.me.id

    def look_after(self, *, may_expire: Callable[[], bool]) -> None:
        """Do what is due: compare, resign, forget. To be called every few seconds.

        Args:
            may_expire: Tells whether our clock may say that something has expired.
        """
        now, wall = self._means.loop.time(), self._means.wall()
        self._vault.tombstones.prune(wall)
        if not self._means.journal.trouble:
            self._write_again()
        for held in list(self._vault.held.values()):
            if held.job.kept.board.waits:
                held.begin(now - held.invited > COMPARED)
            if held.missing and held.fellows.there():
                self._owner.spawn(self._fetch_missing(held))
            # A reader takes the keepers' word for how long.
            late = held.job.replica.keep_until < wall and may_expire()
            if held.job.is_keeper and late:
                self._vault.forget(held, proof=None)
            elif now - held.compared >= COMPARE_EVERY:
                held.compared = now
                held.fellows.compare_all()
                self._resign_if_spare(held, now)

    def _write_again(self) -> None:
        """Write what the disk has refused: it takes something again."""
        self._vault.tombstones.write_again()
        for held in self._vault.held.values():
            held.job.file.write_again()

    def _resign_if_spare(self, held: Held, now: float) -> None:
        """Keep a job no longer that others keep well enough without us."""
        cancelled = held.job.replica.standing.cancelled
        there = held.fellows.there()
        alive = {fellow.peer for fellow in there}
        named = held.places.keepers
        agree = all(fellow.agrees for fellow in there if fellow.peer in named)
        if (
            agree
            and held.job.key is None
            and held.job.is_keeper
            and not held.job.kept.board.grants
            and now - held.invited > INVITED
            and may_resign(held.places, self._me, alive, cancelled=cancelled)
        ):
            self._vault.resign(held)

    async def _fetch_missing(self, held: Held) -> None:
        """Get the blobs again that were damaged or lost here."""
        missing, held.missing = held.missing, {}
        for digest, size in missing.items():
            keepers = [one.connection for one in held.fellows.there() if one.connection]
            library = self._means.library
            try:
                await library.obtain(held.job.id, digest, size, *keepers)
            except SlingerError as error:
                held.missing[digest] = size
                self._means.events.emit(Noted(f"a lost blob is still missing: {error}"))
