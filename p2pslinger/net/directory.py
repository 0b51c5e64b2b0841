"""The DHT's requests, sent and answered.

Who answers us gets into the routing table (`p2pslinger.net.table`), and leaves it when
it does not any more.
"""

from __future__ import annotations

import asyncio
import bisect
import functools
import itertools
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from p2pslinger.errors import PeerError, UnavailableError
from p2pslinger.ids import ID_BYTES, PeerId
from p2pslinger.net.calls import NUMBER, Calls
from p2pslinger.net.datagrams import ROOM, Place
from p2pslinger.net.dhtstore import RecordStore
from p2pslinger.net.lookup import K
from p2pslinger.net.reach import is_usable
from p2pslinger.net.requests import SHAPES
from p2pslinger.net.table import Contact, Point, Table
from p2pslinger.wire.identity import Signed

#: Unanswered requests after which a contact leaves whatever the rest does.
FAILURES = 3

#: Newcomers that are being tried at once.
TRIALS = 64

#: Seconds that a full bucket's oldest contact is believed before it is tried again.
QUIET = 900.0


class Directory(Calls):
    """This peer's part in what peers ask each other.

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
        super().__init__(rng, SHAPES, dropped)
        self.clock = asyncio.get_running_loop().time
        self.me = Point(me)
        self.storage = store
        self.router = Table(self.me, self.clock)
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
        mine = (self.me.id, *arguments)
        self.ask(to, name, mine, done=settled, late=late)

    def try_out(self, place: Place) -> None:
        """Ask somebody who may belong into the table who is close to us."""
        trial = place.peer or place[:2]
        if trial in self._trials or len(self._trials) >= TRIALS:
            return
        self._trials.add(trial)
        tried = functools.partial(self._tried, trial)
        self.request(place, "find_node", self.me.id, done=tried)

    def _tried(self, trial: object, by: Place, nodes: Any) -> None:
        """Try out whom it has named, if it knows better than we who is close to us.

        That is how parts of a grid that meet grow together: each newly met peer tells
        of others, from our neighbourhood to theirs and on.
        """
        self._trials.discard(trial)
        near = self.router.find_neighbors(self.me)
        last = near[-1].long_id ^ self.me.long_id if len(near) >= K else 2**160
        strangers = [
            Place(host, port, PeerId(peer))
            for peer, host, port in nodes or ()
            if int.from_bytes(peer) ^ self.me.long_id < last
            and self.router.is_new_node(Point(peer))
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
        contact = self.router.get(Point(peer))
        if contact is not None:
            self.router.remove_contact(contact)

    def rpc_ping(self, sender: Place, nodeid: bytes) -> bytes:
        """Answer with who we are."""
        self._meet(sender)
        return bytes(self.me.id)

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
        near = self.router.find_neighbors(Point(key), exclude=_contact_at(sender))
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
        node = Point(key)
        self.router.bucket_of(node).touch_last_updated()
        return [contact.place for contact in self.router.find_neighbors(node)]

    def falls_to_us(self, newcomer: Contact, key: bytes) -> bool:
        """Return whether we are to give a newcomer the records of `key`.

        That is, it is among the closest, and of those who were here we are the closest.
        """
        node = Point(key)
        target, ours = node.long_id, node.distance_to(self.me)
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


def _contact_at(place: Place) -> Contact:
    assert place.peer is not None
    return Contact(place.peer, place.host, place.port)
