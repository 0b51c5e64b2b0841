"""Who is in the routing table, and what peers ask each other: kademlia, corrected."""

from __future__ import annotations

import asyncio
import bisect
import functools
import itertools
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any, cast

import msgspec
from kademlia.node import Node
from kademlia.protocol import KademliaProtocol
from kademlia.routing import KBucket, RoutingTable

from p2pslinger.errors import PeerError, UnavailableError
from p2pslinger.ids import ID_BYTES, PeerId
from p2pslinger.net.calls import NUMBER, Calls
from p2pslinger.net.datagrams import ROOM, Place
from p2pslinger.net.dhtstore import RecordStore
from p2pslinger.net.lookup import K
from p2pslinger.net.reach import is_usable
from p2pslinger.net.requests import SHAPES
from p2pslinger.wire.identity import Signed

#: Unanswered requests after which a contact leaves whatever the rest does.
FAILURES = 3


#: Newcomers that are being tried at once.
TRIALS = 64


#: Seconds that a full bucket's oldest contact is believed before it is tried again.
QUIET = 900.0


#: Seconds after which a bucket without look-ups gets one, at most one in each eighth.
REFRESH = 3600.0


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
            near = {c.long_id ^ target: c for c in contacts if c.id != unwanted}
            if len(near) >= k:
                break
        return [near[distance] for distance in sorted(near)[:k]]


class Directory(Calls, KademliaProtocol):  # type: ignore[misc]
    """What peers ask each other, and who of them is in the table.

    Args:
        me: This peer.
        store: Its part of the records.
        wall: The clock on the wall.
        welcome: Called with each contact that is new in the table.

    Attributes:
        strangers: Called with peers that belong among our closest and that we have not
            known: this grid grows together with another part of it.
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
        self.strangers: Callable[[list[Place]], None] = lambda _: None
        self._trials: set[object] = set()
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
        """Ask somebody who may belong into the table who is close to us."""
        trial = place.peer or place[:2]
        if trial in self._trials or len(self._trials) >= TRIALS:
            return
        self._trials.add(trial)
        tried = functools.partial(self._tried, trial)
        self.request(place, "find_node", self.source_node.id, done=tried)

    def _tried(self, trial: object, by: Place, nodes: Any) -> None:
        """Try out whom it has named, if it knows better than we who is close to us.

        That is how parts of a grid that meet grow together: each newly met peer tells
        of others, from our neighbourhood to theirs and on.
        """
        self._trials.discard(trial)
        near = self.router.find_neighbors(self.source_node)
        last = near[-1].long_id ^ self.source_node.long_id if len(near) >= K else 2**160
        strangers = [
            Place(host, port, PeerId(peer))
            for peer, host, port in nodes or ()
            if int.from_bytes(peer) ^ self.source_node.long_id < last
            and self.router.is_new_node(Node(peer))
            and is_usable(host, by.host)
        ]
        for stranger in strangers:
            self.try_out(stranger)
        if strangers:
            self.strangers(strangers)

    def _meet(self, sender: Place) -> None:
        """Try out who asked us something; a request alone proves no address.

        Only after the answer, which spares the other from trying us out as well.
        """
        if sender.serves and self.router.wants(_contact_at(sender)):
            place = Place(sender.host, sender.port, sender.peer)
            asyncio.get_running_loop().call_soon(self.try_out, place)

    def drop(self, peer: PeerId) -> None:
        """Forget a contact: it has said that it answers nobody."""
        contact = self.router.get(Node(peer))
        if contact is not None:
            self.router.remove_contact(contact)

    def rpc_ping(self, sender: Place, nodeid: bytes) -> bytes:
        """Answer with who we are."""
        self._meet(sender)
        return bytes(self.source_node.id)

    def rpc_find_node(
        self, sender: Place, nodeid: bytes, key: bytes
    ) -> list[tuple[bytes, str, int]]:
        """Answer with the contacts closest to `key`: as many as fit."""
        return self._nearest(sender, key, ROOM - NUMBER - 8)

    def rpc_find_value(
        self, sender: Place, nodeid: bytes, key: bytes, first: int
    ) -> tuple[int, list[Signed], list[tuple[bytes, str, int]]]:
        """Answer with how many records `key` has, a page of them, and contacts."""
        room = ROOM - NUMBER - 16
        now = self._wall()
        total, page = self.storage.page(key, now, first=first, room=room)
        room -= len(msgspec.msgpack.encode(page))
        return total, page, self._nearest(sender, key, room)

    def rpc_store(
        self, sender: Place, nodeid: bytes, key: bytes, value: Signed
    ) -> bool:
        """Store a record, and say whether we did."""
        self._meet(sender)
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

    def _nearest(
        self, sender: Place, key: bytes, room: int
    ) -> list[tuple[bytes, str, int]]:
        self._meet(sender)
        near = self.router.find_neighbors(Node(key), exclude=_contact_at(sender))
        return _fitting([(one.id, one.ip, one.port) for one in near], room)

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
            self.try_out(contact.place)  # back at once if just one datagram was lost

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


def _fitting(
    nodes: list[tuple[bytes, str, int]], room: int
) -> list[tuple[bytes, str, int]]:
    """Return as many nodes as fit `room` bytes when encoded."""
    sizes = itertools.accumulate(ID_BYTES + 8 + len(node[1]) for node in nodes)
    return nodes[: bisect.bisect_right(list(sizes), room)]
