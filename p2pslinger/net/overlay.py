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
5. An idle overlay sends nothing but a small look-up every few minutes.
"""

from __future__ import annotations

import asyncio
import bisect
import errno
import functools
import ipaddress
import itertools
import socket
from collections import Counter, OrderedDict
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Annotated, Any, cast

import msgspec
from kademlia.node import Node
from kademlia.protocol import KademliaProtocol
from kademlia.routing import KBucket, RoutingTable
from msgspec import Meta

from p2pslinger.errors import PeerError, UnavailableError, UsageError
from p2pslinger.ids import ID_BYTES, PeerId
from p2pslinger.net.datagrams import (
    BOOT,
    NUMBER,
    ROOM,
    SESSIONS,
    Calls,
    Place,
    SealedPort,
    Seals,
    Shape,
)
from p2pslinger.net.dhtstore import (
    KEY_RECORDS,
    K,
    Lookup,
    RecordStore,
    State,
    check,
)
from p2pslinger.net.ports import PortTakenError
from p2pslinger.wire.authkey import Authkey
from p2pslinger.wire.identity import Identity, Signed
from p2pslinger.wire.records import Id

#: Unanswered requests after which a contact leaves whatever the rest does.
FAILURES = 3

#: Newcomers that are being tried at once.
TRIALS = 64

#: Records handed to one newcomer; owners put the rest again within half an hour.
HANDOVER = 256

#: Seconds that a full bucket's oldest contact is believed before it is tried again.
QUIET = 900.0

#: Seconds after which a bucket without look-ups gets one, at most one in each eighth.
REFRESH = 3600.0

#: Contacts that the look-up of a refresh is content with.
REFRESH_CLOSEST = 8

_Host = Annotated[str, Meta(max_length=45)]
_Port = Annotated[int, Meta(ge=1, le=65535)]
_Nodes = Annotated[list[tuple[Id, _Host, _Port]], Meta(max_length=K)]
_First = Annotated[int, Meta(ge=0, le=KEY_RECORDS)]


def _shape(arguments: object, answer: object) -> Shape:
    decoder = msgspec.msgpack.Decoder
    return Shape(decoder(cast("Any", arguments)), decoder(cast("Any", answer)))


SHAPES = {
    "ping": _shape(tuple[Id], Id),
    "store": _shape(tuple[Id, Id, Signed], bool),
    "find_node": _shape(tuple[Id, Id], _Nodes),
    "find_value": _shape(tuple[Id, Id, _First], tuple[int, list[Signed], _Nodes]),
}


class Contact(Node):  # type: ignore[misc]  # kademlia has no types
    """A peer and where it answers datagrams."""

    def __init__(self, peer: PeerId, host: str, port: int) -> None:
        super().__init__(peer, host, port)
        self.place = Place(host, port, peer)
        self.failures = 0
        self.heard_at = 0.0


def _contact_at(place: Place) -> Contact:
    assert place.peer is not None
    return Contact(place.peer, place.host, place.port)


class Bucket(KBucket):  # type: ignore[misc]
    """A bucket on the loop's clock, with as many replacements as contacts."""

    def __init__(self, low: int, high: int, clock: Callable[[], float]) -> None:
        self.clock = clock
        super().__init__(low, high, K, replacementNodeFactor=1)

    def touch_last_updated(self) -> None:
        self.last_updated = self.clock()

    def is_new_node(self, node: Node) -> bool:
        """Return whether nobody knows `node`, replacements included."""
        return node.id not in self.nodes and node.id not in self.replacement_nodes

    def split(self) -> tuple[Bucket, Bucket]:
        middle = sum(self.range) // 2
        halves = (
            Bucket(self.range[0], middle, self.clock),
            Bucket(middle + 1, self.range[1], self.clock),
        )
        for node in [*self.nodes.values(), *self.replacement_nodes.values()]:
            halves[node.long_id > middle].add_node(node)
        for half in halves:
            half.last_updated = self.last_updated
        return halves


class Table(RoutingTable):  # type: ignore[misc]
    """The routing table; only the bucket of our own id is ever split."""

    def __init__(self, node: Node, clock: Callable[[], float]) -> None:
        self.clock = clock
        super().__init__(None, K, node)

    def flush(self) -> None:
        self.buckets = [Bucket(0, 2**160, self.clock)]
        self._tops = [2**160]
        self._contacts: list[Contact] | None = None

    def split_bucket(self, index: int) -> None:
        super().split_bucket(index)
        self._tops = [bucket.range[1] for bucket in self.buckets]

    def get_bucket_for(self, node: Node) -> int:
        # The package's own takes "<" for "<=", and so misplaces a bucket's highest id.
        return bisect.bisect_left(self._tops, node.long_id)

    def bucket_of(self, node: Node) -> Bucket:
        """Return the bucket that `node` is in or would fall into."""
        bucket: Bucket = self.buckets[self.get_bucket_for(node)]
        return bucket

    def get(self, node: Node) -> Contact | None:
        """Return the contact that has the id of `node`."""
        bucket = self.bucket_of(node)
        found = bucket.nodes.get(node.id) or bucket.replacement_nodes.get(node.id)
        return cast("Contact | None", found)

    def is_new_node(self, node: Node) -> bool:
        """Return whether `node` is neither us nor known."""
        return node.id != self.node.id and self.bucket_of(node).is_new_node(node)

    def wants(self, node: Node) -> bool:
        """Return whether `node` is worth a ping: it is new, and there is a place."""
        bucket = self.bucket_of(node)
        has_place = len(bucket) < K or bucket.has_in_range(self.node)
        return has_place and self.is_new_node(node)

    def add_contact(self, node: Node) -> Contact | None:
        """Add a contact, or return the oldest of a bucket that has no room for it."""
        self._contacts = None
        bucket = self.bucket_of(node)
        while not bucket.add_node(node):
            if not bucket.has_in_range(self.node):
                return cast("Contact", bucket.head())
            self.split_bucket(self.get_bucket_for(node))
            bucket = self.bucket_of(node)
        return None

    def remove_contact(self, node: Node) -> None:
        self._contacts = None
        super().remove_contact(node)

    def lonely_buckets(self) -> list[Bucket]:
        long_ago = self.clock() - REFRESH
        return [b for b in self.buckets if b.last_updated < long_ago]

    def contacts(self) -> list[Contact]:
        """Return every contact, replacements left out; not to be changed."""
        if self._contacts is None:
            self._contacts = [c for b in self.buckets for c in b.nodes.values()]
        return self._contacts

    def find_neighbors(
        self, node: Node, k: int = K, exclude: Node | None = None
    ) -> list[Contact]:
        """Return the `k` contacts closest to `node`, itself included; exactly those."""
        target, unwanted = node.long_id, exclude and exclude.id
        # Whoever shares the target's bucket is closer to it than all the others.
        for contacts in (self.bucket_of(node).nodes.values(), self.contacts()):
            near = [contact for contact in contacts if contact.id != unwanted]
            if len(near) >= k:
                break
        near.sort(key=lambda contact: contact.long_id ^ target)
        return near[:k]


class Directory(Calls, KademliaProtocol):  # type: ignore[misc]
    """What peers ask each other, and who of them is in the table.

    Args:
        me: This peer.
        store: Its part of the records.
        wall: The clock on the wall.
        welcome: Called with each contact that is new in the table.
    """

    def __init__(
        self,
        me: PeerId,
        store: RecordStore,
        *,
        rng: Random,
        dropped: Counter[str],
        wall: Callable[[], float],
        welcome: Callable[[Contact], None],
    ) -> None:
        node = Node(me)
        KademliaProtocol.__init__(self, node, store, K)
        Calls.__init__(self, rng, SHAPES, dropped)
        self.clock = asyncio.get_running_loop().time
        self.source_node = node
        self.storage = store
        self.router = Table(node, self.clock)
        self._wall = wall
        self._welcome = welcome
        self._trials: set[bytes] = set()
        self._heard_at = self.clock()

    def request(
        self,
        to: Place,
        name: str,
        *arguments: object,
        done: Callable[[Place, Any], None],
        late: Callable[[], None] = lambda: None,
    ) -> None:
        """Ask, and let the routing table learn from the answer or the silence."""
        settled = functools.partial(self._settled, self.clock(), done)
        mine = (self.source_node.id, *arguments)
        self.ask(to, name, mine, done=settled, late=late)

    def try_out(self, place: Place) -> None:
        """Ping somebody who may belong into the table."""
        peer = place.peer
        if peer is None or peer in self._trials or len(self._trials) >= TRIALS:
            return
        self._trials.add(peer)
        self.request(place, "ping", done=lambda *_: self._trials.discard(peer))

    def welcome_if_new(self, node: Node) -> None:
        """Try out who asked us something; a request alone proves no address.

        Only after the answer, which spares the other from trying us out as well.
        """
        if self.router.wants(node):
            place = Place(node.ip, node.port, node.id)
            asyncio.get_running_loop().call_soon(self.try_out, place)

    def rpc_find_node(
        self, sender: Place, nodeid: bytes, key: bytes
    ) -> list[tuple[bytes, str, int]]:
        """Answer with the contacts closest to `key`: as many as fit."""
        nodes = super().rpc_find_node(sender, nodeid, key)
        return _fitting(nodes, ROOM - NUMBER - 8)

    def rpc_find_value(
        self, sender: Place, nodeid: bytes, key: bytes, first: int
    ) -> tuple[int, list[Signed], list[tuple[bytes, str, int]]]:
        """Answer with how many records `key` has, a page of them, and contacts."""
        nodes = super().rpc_find_node(sender, nodeid, key)
        room = ROOM - NUMBER - 16
        now = self._wall()
        total, page = self.storage.page(key, now, first=first, room=room)
        return total, page, _fitting(nodes, room - len(msgspec.msgpack.encode(page)))

    def rpc_store(
        self, sender: Place, nodeid: bytes, key: bytes, value: Signed
    ) -> bool:
        """Store a record, and say whether we did."""
        self.welcome_if_new(Node(nodeid, sender.host, sender.port))
        if not sender.fresh:
            self._dropped["stale store"] += 1
            return False
        try:
            self.storage.put(value, self._wall(), key=key, source=sender.host)
        except PeerError:
            self._dropped["bad record"] += 1
            return False
        except UnavailableError:
            return False
        return True

    def _settled(
        self,
        asked_at: float,
        done: Callable[[Place, Any], None],
        place: Place,
        answer: object,
    ) -> None:
        if answer is not None:
            self._heard_at = self.clock()
            self._heard(place)
        elif place.peer is not None and not self._is_closed:
            self._missed(place, asked_at)
        done(place, answer)

    def _heard(self, place: Place) -> None:
        contact = _contact_at(place)
        known = self.router.get(contact)
        if known is None:
            if self.router.is_new_node(contact):
                self._take_in(contact)
        elif known.place[:2] == place[:2]:
            known.failures = 0
            known.heard_at = self.clock()
            self.router.bucket_of(known).add_node(known)
        else:  # moved, or a member that calls itself so: the old address decides
            self.try_out(known.place)

    def _take_in(self, contact: Contact) -> None:
        contact.heard_at = self.clock()
        oldest = self.router.add_contact(contact)
        if oldest is not None and oldest.heard_at < self.clock() - QUIET:
            self.try_out(oldest.place)
        self._welcome(contact)

    def _missed(self, place: Place, asked_at: float) -> None:
        contact = self.router.get(_contact_at(place))
        if contact is None or contact.place[:2] != place[:2]:
            return
        contact.failures += 1
        if contact.failures >= FAILURES or self._heard_at > asked_at:
            self.router.remove_contact(contact)

    def closest(self, key: bytes) -> list[Place]:
        """Return the contacts closest to `key`, on whose behalf we look it up now."""
        node = Node(key)
        self.router.bucket_of(node).touch_last_updated()
        return [contact.place for contact in self.router.find_neighbors(node)]

    def falls_to_us(self, newcomer: Contact, key: bytes) -> bool:
        """Return whether we are to give a newcomer the records of `key`.

        That is, it is among the closest, and of those who were here we are the closest.
        """
        node = Node(key)
        target, ours = node.long_id, node.distance_to(self.source_node)
        # Mostly somebody in the key's own bucket is closer, and the rest need no look.
        for contacts in (
            self.router.bucket_of(node).nodes.values(),
            self.router.contacts(),
        ):
            for contact in contacts:
                if contact.long_id ^ target < ours and contact is not newcomer:
                    return False
        near = self.router.find_neighbors(node, exclude=newcomer)
        return len(near) < K or newcomer.distance_to(node) < near[-1].distance_to(node)

    def lonely_key(self) -> bytes | None:
        """Return a random id in one of the buckets that nobody looked into lately."""
        lonely = self.router.lonely_buckets()
        if not lonely:
            return None
        low, high = self._rng.choice(lonely).range
        return self._rng.randint(low, min(high, 2**160 - 1)).to_bytes(ID_BYTES)


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
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self._me = identity.id
        self._grid = authkey.grid
        self._wall = wall
        self._rng = rng
        self._spawn = spawn
        self._store = RecordStore(authkey.grid)
        self._welcomed: OrderedDict[tuple[PeerId, bytes | None], None] = OrderedDict()
        self._refresh_timer: asyncio.TimerHandle | None = None
        self._seals = Seals(
            me=self._me,
            key=authkey.key_for("datagrams"),
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
        self._plan_refresh()
        return int(transport.get_extra_info("sockname")[1])

    async def join(self, addresses: Iterable[tuple[str, int]]) -> int:
        """Get to know the peers at `addresses`, and through them those near to us.

        May be called again and again; that is how the halves of a split grid merge.

        Returns:
            How many peers answered there.
        """
        places = [
            p for host, port in addresses for p in await self._resolve(host, port)
        ]
        asked = [self._ask(place, "ping") for place in places]
        answers = [await answer for answer in asked]
        heard = {place.peer: place for place, answer in answers if answer is not None}
        await self._look_up(self._me, seeds=heard.values())
        return len(heard)

    def add_contact(self, peer: PeerId, host: str, port: int) -> None:
        """Try out a peer whose signed card an authenticated stream has brought."""
        self._directory.try_out(Place(host, port, peer))

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
        lookup = await self._look_up(key, patient=True)
        places = lookup.closest()
        copies = 0
        if len(places) < K or lookup.distance(self._me) < lookup.distance(
            places[-1].peer
        ):
            copies = self._keep(record)
        stored = [self._ask(place, "store", key, record) for place in places]
        return copies + sum([(await answer)[1] is True for answer in stored])

    async def find(self, key: bytes) -> list[Signed]:
        """Return the records of a peer id or job id, the newest of each signer.

        Their signatures fit, and none has expired. Whether a notice's signer may speak
        for its job, only the job's manifest can tell.
        """
        sought = _Sought(key, RecordStore(self._grid))
        self._gather(sought, self._me, self._store.get(key, self._wall()))
        lookup = await self._look_up(key, sought=sought)
        found = sought.records.get(key, self._wall())
        for place in lookup.closest()[:1]:
            for signed in found:
                if signed not in sought.brought.get(place.peer, ()):
                    self._ask(place, "store", key, signed)  # nobody waits for it
        return found

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
        if self._refresh_timer is not None:
            self._refresh_timer.cancel()
        self._directory.close()

    # --- looking up -------------------------------------------------------------------

    async def _look_up(
        self,
        key: bytes,
        *,
        seeds: Iterable[Place] = (),
        sought: _Sought | None = None,
        patient: bool = False,
        width: int = K,
    ) -> Lookup:
        """Find the peers closest to `key`, or its records if they are `sought`."""
        over = asyncio.get_running_loop().create_future()
        lookup = Lookup(
            key,
            me=self._me,
            ask=lambda place: self._ask_for(lookup, key, sought, place),
            over=functools.partial(_give, over, None),
            wants_records=sought is not None,
            patient=patient,
            width=width,
        )
        lookup.add(self._directory.closest(key))
        lookup.add(seeds)
        try:
            lookup.step()
            await over
        finally:
            lookup.is_over = True
        return lookup

    def _ask_for(
        self, lookup: Lookup, key: bytes, sought: _Sought | None, place: Place
    ) -> None:
        ask = self._directory.request
        late = functools.partial(lookup.mark, place, State.LATE)
        if sought is None:
            done = functools.partial(self._named, lookup)
            ask(place, "find_node", key, done=done, late=late)
        else:
            told = functools.partial(self._told, lookup, sought, 0)
            ask(place, "find_value", key, 0, done=told, late=late)

    def _named(self, lookup: Lookup, place: Place, nodes: Any) -> None:
        """Take in the contacts that somebody has named, or silence."""
        if nodes is None:
            lookup.mark(place, State.FAILED)
            return
        by = place.host
        lookup.add(Place(h, p, PeerId(n)) for n, h, p in nodes if is_usable(h, by))
        lookup.mark(place, State.ANSWERED)

    def _told(
        self, lookup: Lookup, sought: _Sought, had: int, place: Place, answer: Any
    ) -> None:
        """Take in a page of records, and ask for the next."""
        total, page, nodes = answer or (0, [], None)
        if self._gather(sought, place.peer, page):
            lookup.had_records(place)
        had += len(page)
        if page and had < min(total, KEY_RECORDS):
            more = functools.partial(self._told, lookup, sought, had)
            self._directory.request(place, "find_value", sought.key, had, done=more)
        else:
            self._named(lookup, place, nodes)

    def _gather(self, sought: _Sought, by: PeerId | None, page: list[Signed]) -> bool:
        """Take in the records that are good; return whether any is."""
        good = []
        for signed in page:
            try:
                sought.records.put(signed, self._wall(), key=sought.key)
                good.append(signed)
            except (PeerError, UnavailableError):
                self.dropped["bad record"] += 1
        sought.brought.setdefault(by, set()).update(good)
        return bool(good)

    def _ask(self, place: Place, name: str, *args: object) -> asyncio.Future[Any]:
        """Send a request; the future gives (who answered, answer or None)."""
        future = asyncio.get_running_loop().create_future()
        give = functools.partial(_give, future)
        self._directory.request(place, name, *args, done=lambda *both: give(both))
        return future

    async def _resolve(self, host: str, port: int) -> list[Place]:
        """Return the addresses of a name; none if nobody knows it."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        except OSError:
            self.dropped["unresolved"] += 1
            return []
        return [Place(str(entry[4][0]), port) for entry in found]

    # --- upkeep -----------------------------------------------------------------------

    def _keep(self, record: Signed) -> int:
        """Store one of our own here; return how many copies that makes."""
        try:
            self._store.put(record, self._wall())
        except UnavailableError:
            return 0
        return 1

    def _welcome(self, contact: Contact) -> None:
        """Hand a newcomer its records, once per boot."""
        which = (contact.id, self._seals.boot_of(contact.id))
        if which in self._welcomed:
            return
        self._welcomed[which] = None
        if len(self._welcomed) > SESSIONS:
            self._welcomed.popitem(last=False)
        # Decided now: those who come a moment later would each seem to be responsible.
        theirs = [
            (key, signed)
            for key in self._store.stored_keys()
            if self._directory.falls_to_us(contact, key)
            for signed in self._store.get(key, self._wall())
        ]
        if theirs:
            self._spawn(self._hand_over(contact.place, theirs[:HANDOVER]))

    async def _hand_over(
        self, newcomer: Place, theirs: list[tuple[bytes, Signed]]
    ) -> None:
        for key, signed in theirs:
            await self._ask(newcomer, "store", key, signed)

    def _plan_refresh(self) -> None:
        pause = REFRESH / 8 * self._rng.uniform(0.75, 1.25)
        loop = asyncio.get_running_loop()
        self._refresh_timer = loop.call_later(pause, self._refresh)

    def _refresh(self) -> None:
        self._store.sweep(self._wall())
        key = self._directory.lonely_key()
        if key is not None:
            self._spawn(self._look_around(key))
        self._plan_refresh()

    async def _look_around(self, key: bytes) -> None:
        await self._look_up(key, width=REFRESH_CLOSEST)


@dataclass(slots=True)
class _Sought:
    """The records that a look-up gathers, and who had which."""

    key: bytes
    records: RecordStore
    brought: dict[PeerId | None, set[Signed]] = field(default_factory=dict)


def _give(future: asyncio.Future[Any], result: object) -> None:
    if not future.done():  # whoever waited may have been cancelled
        future.set_result(result)


def _fitting(
    nodes: list[tuple[bytes, str, int]], room: int
) -> list[tuple[bytes, str, int]]:
    """Return as many nodes as fit `room` bytes when encoded."""
    sizes = itertools.accumulate(ID_BYTES + 8 + len(node[1]) for node in nodes)
    return nodes[: bisect.bisect_right(list(sizes), room)]


def is_usable(host: str, named_by: str) -> bool:
    """Return whether an address may be that of a peer that `named_by` knows.

    A loopback address means the other's own machine, unless it is ours as well.
    """
    reach = _reach(host)
    return reach == "anywhere" or reach == _reach(named_by) == "loopback"


@functools.lru_cache(4096)
def _reach(host: str) -> str:
    """Return from where an address can be reached: anywhere, loopback, nowhere."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "nowhere"
    if address.is_multicast or address.is_unspecified:
        return "nowhere"
    return "loopback" if address.is_loopback else "anywhere"
