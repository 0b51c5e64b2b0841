"""The DHT: the kademlia package, corrected; a directory of cards and notices.

1. A contact enters the routing table only after it has answered us, at that address and
   with that id; streams confirm it later. It leaves by measured time-outs, but not
   while nobody at all answers: then it is we who are cut off.
2. Look-ups ask 3 at once, never in rounds: who is late frees its turn for another.
3. Nothing is settled by majority or by who is first: records are merged by signer and
   sequence (`p2pslinger.net.dhtstore`), our own copy being one among them.
4. A newcomer is handed, once per boot, the records that it should hold, by the peer
   closest to their key. Nothing else is copied on its own, nothing is made to live
   longer: owners put their records again.
5. Who can't be dialled is a client: it asks, and is nobody's contact.
6. Who is new to the table is asked who is close to us. So parts of a grid that meet
   anywhere grow together.
7. An idle overlay sends nothing but a small look-up every few minutes.
"""

from __future__ import annotations

import asyncio
import errno
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from random import Random
from typing import Any

from p2pslinger.errors import PeerError, UnavailableError, UsageError
from p2pslinger.ids import PeerId
from p2pslinger.net.datagrams import BOOT, PURPOSE, Place, SealedPort, Seals
from p2pslinger.net.dhtstore import RecordStore, check
from p2pslinger.net.directory import Directory
from p2pslinger.net.handover import Handover
from p2pslinger.net.knocking import knock
from p2pslinger.net.lookup import K, Lookup
from p2pslinger.net.ports import PortTakenError
from p2pslinger.net.reach import resolve
from p2pslinger.net.refresh import Refresh
from p2pslinger.net.search import Search
from p2pslinger.net.table import Contact
from p2pslinger.wire.authkey import Authkey
from p2pslinger.wire.identity import Identity, Signed
from p2pslinger.wire.keyring import Keyring

#: Contacts that the look-up of a refresh is content with.
REFRESH_CLOSEST = 8


class Overlay:
    """This peer's part of the DHT; made inside the running event loop.

    Args:
        identity: Whose node id it is.
        authkey: The grid's.
        wall: The clock on the wall, seconds since the epoch.
        rng: `random.SystemRandom()`, or a seeded source in a simulation.
        spawn: Starts a coroutine as a task that the caller owns and watches.

    Attributes:
        dropped: Datagrams, requests and records that were refused, by cause.
    """

    def __init__(
        self,
        *,
        identity: Identity,
        authkey: Authkey,
        wall: Callable[[], float],
        rng: Random,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        refuses: Callable[[PeerId], bool] = lambda _: False,
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self._me = identity.id
        self._grid = authkey.grid
        self._wall = wall
        self._rng = rng
        self._spawn = spawn
        self._host = ""
        self._store = RecordStore(authkey.grid, refuses)
        self._seals = Seals(
            me=self._me,
            key=authkey.key_for(PURPOSE),
            boot=rng.randbytes(BOOT),
            wall=wall,
            dropped=self.dropped,
        )
        self._directory = Directory(
            self._me,
            self._store,
            rng=rng,
            dropped=self.dropped,
            wall=wall,
            welcome=self._welcome,
        )
        self._search = Search(
            me=self._me,
            grid=authkey.grid,
            directory=self._directory,
            wall=wall,
            dropped=self.dropped,
        )
        self._handover = Handover(
            store=self._store,
            directory=self._directory,
            boot_of=self._seals.boot_of,
            wall=wall,
            spawn=spawn,
        )
        self._refresh = Refresh(
            directory=self._directory,
            look=self._look_around,
            sweep=lambda: self._store.sweep(wall()),
            rng=rng,
            spawn=spawn,
        )
        self._port = SealedPort(self._seals, self._directory)

    async def open(self, host: str, port: int) -> int:
        """Open the UDP port, 0 for any, and return its number.

        Raises:
            PortTakenError: another process has it.
            UnavailableError: it can't be opened for another reason.
        """
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.create_datagram_endpoint(
                lambda: self._port, local_addr=(host, port)
            )
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            kind = PortTakenError if taken else UnavailableError
            raise kind(
                f"UDP port {port} of {host} can't be opened ({error.strerror}): "
                "stop what has it, or choose another with --port"
            ) from None
        self._host = host
        self._refresh.start()
        return int(transport.get_extra_info("sockname")[1])

    async def join(
        self, addresses: Iterable[tuple[str, int]], card: Signed | None = None
    ) -> int:
        """Get to know the peers at `addresses`, and through them those near to us.

        May be called again and again; that is how the halves of a split grid merge.

        Args:
            addresses: Where peers may be.
            card: Our own, to be stored at those near to us while we are there.

        Returns:
            How many peers answered there.
        """
        places = [
            Place(found, port)
            for host, port in addresses
            for found in await self._resolve(host, port)
        ]
        asked = [self._search.ask(place, "ping") for place in places]
        answers = [await answer for answer in asked]
        heard = {place.peer: place for place, answer in answers if answer is not None}
        lookup = await self._search.peers(self._me, seeds=heard.values())
        if card is not None:
            await self._store_at(lookup, self._me, card)
        return len(heard)

    def add_contact(self, peer: PeerId | None, host: str, port: int) -> None:
        """Try out a peer whose signed card an authenticated stream has brought.

        Or, for None, whoever is at a numeric address.
        """
        self._directory.try_out(Place(host, port, peer))

    def drop_contact(self, peer: PeerId) -> None:
        """Forget a peer that can't be dialled: its signed card has said so."""
        self._directory.drop(peer)

    def listen(
        self,
        strangers: Callable[[list[Place]], None],
        knocked: Callable[[bytes], bool],
    ) -> None:
        """Say whom to tell what is heard.

        Args:
            strangers: Called with peers close to us that we have not known.
            knocked: Called with the token that a knock has brought; returns whether
                somebody was asked for it.
        """
        self._directory.strangers, self._directory.knocked = strangers, knocked

    def serve(self, serving: bool) -> None:
        """Answer others' requests from now on, or none: those of a client."""
        self._directory.serving = serving

    async def knock(self, peer: PeerId, host: str, port: int, token: bytes) -> bool:
        """Send datagrams that `peer` does not expect; return whether we could."""
        return await knock(self._seals, self._host, (host, port), peer, token)

    def use(self, keyring: Keyring) -> None:
        """Take other authkeys from now on."""
        self._seals.use([key.key_for(PURPOSE) for key in keyring])

    def renew(self) -> None:
        """Begin anew with everybody, as after a restart: the clock has been set."""
        self._seals.renew(self._rng.randbytes(BOOT))

    async def put(self, record: Signed) -> int:
        """Store a card or notice at the peers closest to its key.

        Returns:
            How many peers hold it now, this one included if it is close.

        Raises:
            UsageError: nobody would take this record.
        """
        try:
            key = check(record, self._grid, self._wall()).key
        except PeerError as error:
            raise UsageError(f"can't publish this record: we {error}") from None
        lookup = await self._search.peers(key, patient=True)
        return await self._store_at(lookup, key, record)

    async def find(self, key: bytes) -> list[Signed]:
        """Return the records of a peer id or job id, the newest of each signer.

        Their signatures fit, and none has expired. Whether a notice's signer may speak
        for its job, only the job's manifest can tell.
        """
        own = self._store.get(key, self._wall())
        return await self._search.records(key, own)

    def contacts(self) -> list[tuple[PeerId, str, int]]:
        """Return the peers in the routing table, and where they answer."""
        known = self._directory.router.contacts()
        return [(contact.id, contact.ip, contact.port) for contact in known]

    @property
    def sent(self) -> int:
        """Return how many datagrams were sent."""
        return self._port.sent

    @property
    def received(self) -> int:
        """Return how many datagrams came and opened."""
        return self._port.received

    @property
    def requests(self) -> Counter[str]:
        """Return how many requests were sent, by name."""
        return self._directory.requests

    @property
    def stored(self) -> int:
        """Return how many records are stored here."""
        return len(self._store)

    async def close(self) -> None:
        """Free the port; whoever waits for an answer is told that none comes."""
        self._refresh.close()
        self._directory.close()

    async def _resolve(self, host: str, port: int) -> list[str]:
        found = await resolve(host, port)
        self.dropped["unresolved"] += not found
        return found

    def _welcome(self, contact: Contact) -> None:
        self._handover.welcome(contact)

    async def _store_at(self, lookup: Lookup, key: bytes, record: Signed) -> int:
        """Store a record at those that a look-up of its key has found."""
        places = lookup.closest()
        copies = 0
        if len(places) < K or lookup.distance(self._me) < lookup.distance(
            places[-1].peer
        ):
            copies = self._keep(record)
        stored = [self._search.ask(place, "store", key, record) for place in places]
        return copies + sum([(await answer)[1] is True for answer in stored])

    def _keep(self, record: Signed) -> int:
        """Store one of our own here; return how many copies that makes."""
        try:
            self._store.put(record, self._wall())
        except UnavailableError:
            return 0
        except PeerError:  # the clock has been set since it was signed
            self.dropped["bad record"] += 1
            return 0
        return 1

    async def _look_around(self, key: bytes) -> None:
        await self._search.peers(key, width=REFRESH_CLOSEST)
