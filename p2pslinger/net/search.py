"""Searching the DHT: look-ups whose requests are sent, and whose answers are gathered.

When to ask whom is `p2pslinger.net.lookup`'s to say. What comes back is believed only
as far as it is signed: records are merged by signer and sequence, contacts have to be
addresses that can be used.
"""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from p2pslinger.errors import PeerError, UnavailableError
from p2pslinger.ids import GridId, PeerId
from p2pslinger.net.datagrams import Place
from p2pslinger.net.dhtstore import KEY_RECORDS, RecordStore
from p2pslinger.net.directory import Directory
from p2pslinger.net.lookup import K, Lookup, State
from p2pslinger.net.reach import is_usable
from p2pslinger.wire.identity import Signed


@dataclass(slots=True)
class _Sought:
    """The records that a look-up gathers, and who had which."""

    key: bytes
    records: RecordStore
    brought: dict[PeerId | None, set[Signed]] = field(default_factory=dict)


class Search:
    """Asks the peers of a directory.

    Args:
        me: Who asks.
        grid: Whose records they are.
        directory: Sends the requests, and knows where to begin.
        wall: The clock on the wall, seconds since the epoch.
        dropped: Records that were refused are counted there.
    """

    def __init__(
        self,
        *,
        me: PeerId,
        grid: GridId,
        directory: Directory,
        wall: Callable[[], float],
        dropped: Counter[str],
    ) -> None:
        self._me = me
        self._grid = grid
        self._directory = directory
        self._wall = wall
        self._dropped = dropped

    def ask(self, place: Place, name: str, *args: object) -> asyncio.Future[Any]:
        """Send one request; the future gives (who answered, answer or None)."""
        future = asyncio.get_running_loop().create_future()
        give = functools.partial(_give, future)
        self._directory.request(place, name, *args, done=lambda *both: give(both))
        return future

    async def peers(
        self,
        key: bytes,
        *,
        seeds: Iterable[Place] = (),
        patient: bool = False,
        width: int = K,
    ) -> Lookup:
        """Find the peers closest to `key`.

        Args:
            key: What they are to be close to.
            seeds: Peers to ask besides those that the directory knows.
            patient: Wait for those that are late as well.
            width: How many of the closest must have answered.
        """
        return await self._look_up(key, None, seeds, patient, width)

    async def records(self, key: bytes, own: list[Signed]) -> list[Signed]:
        """Return the records of `key`, the newest of each signer, our own among them.

        Whoever is closest to it and lacks one is sent it.
        """
        sought = _Sought(key, RecordStore(self._grid))
        self._gather(sought, self._me, own)
        lookup = await self._look_up(key, sought, (), False, K)
        found = sought.records.get(key, self._wall())
        for place in lookup.closest()[:1]:
            for signed in found:
                if signed not in sought.brought.get(place.peer, ()):
                    self.ask(place, "store", key, signed)  # nobody waits for it
        return found

    async def _look_up(
        self,
        key: bytes,
        sought: _Sought | None,
        seeds: Iterable[Place],
        patient: bool,
        width: int,
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
                self._dropped["bad record"] += 1
        sought.brought.setdefault(by, set()).update(good)
        return bool(good)


def _give(future: asyncio.Future[Any], result: object) -> None:
    if not future.done():  # whoever waited may have been cancelled
        future.set_result(result)
