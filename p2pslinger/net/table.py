"""The routing table: kademlia's, corrected, on the loop's clock.

1. Whoever waits as a replacement is known: else it would be new for ever, and welcomed
   with records at each of its packets.
2. Only the bucket of our own id is ever split.
3. The closest are exactly the closest.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable
from typing import cast

from kademlia.node import Node
from kademlia.routing import KBucket, RoutingTable

from p2pslinger.ids import PeerId
from p2pslinger.net.datagrams import Place
from p2pslinger.net.lookup import K

#: Seconds after which a bucket without look-ups gets one, at most one in each eighth.
REFRESH = 3600.0


class Point(Node):  # type: ignore[misc]  # kademlia has no types
    """An id or a key: what contacts are near to."""


class Contact(Node):  # type: ignore[misc]
    """A peer and where it answers datagrams."""

    def __init__(self, peer: PeerId, host: str, port: int) -> None:
        super().__init__(peer, host, port)
        self.place = Place(host, port, peer)
        self.failures = 0
        self.heard_at = 0.0


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
