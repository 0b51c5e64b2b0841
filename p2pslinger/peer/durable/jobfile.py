"""What one durable job has on disk: its items, and the small data that they name.

What was just taken in is in memory until the journal has it. What the disk has refused
stays there, and is written when it takes something again. A reader, who keeps nothing,
has everything in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from p2pslinger.errors import DiskError
from p2pslinger.ids import PeerId
from p2pslinger.limits import KIB
from p2pslinger.peer.journal import Journal
from p2pslinger.rules.replica import Taken
from p2pslinger.store.jobs import JobStore, StoredJob
from p2pslinger.wire.keeping import Item, Kind
from p2pslinger.wire.records import RangeResult, ResultBatch, ShardBatch, read

#: Bytes of items that stay in memory once they are on disk: they are about to be told
#: to others.
RECENT = 32 * KIB

#: Called when an item is durable here, or with the reason why it is not.
Saved = Callable[[DiskError | None], None]


@dataclass(eq=False)
class Unsaved:
    """An item that is not on disk, what it names, and who waits for that.

    Attributes:
        taken: The item, and what it has superseded.
        contents: Small data by digest.
        waiting: Called when it is on disk, or was refused.
        patient: Called when it is on disk, however long that takes.
        refused: Why the disk did not take it.
    """

    taken: Taken
    contents: dict[bytes, bytes]
    waiting: list[Saved] = field(default_factory=list)
    patient: list[Saved] = field(default_factory=list)
    refused: DiskError | None = None


class JobFile:
    """The items of one job, on disk and on their way there.

    Attributes:
        refused: Something of it is only in memory, because the disk refuses it.

    Args:
        stored: The job itself, as it is to be written.
        begun: It is on disk already.
        journal: Writes; None to keep everything in memory.
        store: Where it is written.
        loop: Calls back.
    """

    def __init__(
        self,
        stored: StoredJob,
        journal: Journal | None,
        store: JobStore,
        loop: asyncio.AbstractEventLoop,
        *,
        begun: bool,
    ) -> None:
        self._stored = stored
        self._job = stored.job
        self._begun = begun
        self._journal = journal
        self._store = store
        self._loop = loop
        self.refused = False
        self._unsaved: dict[bytes, Unsaved] = {}
        self._data: dict[bytes, bytes] = {}
        self._latest: tuple[bytes, PeerId, ResultBatch] | None = None
        self._recent: dict[bytes, Item] = {}
        self._recent_bytes = 0

    # --- writing ------------------------------------------------------------------

    def add(self, taken: Taken, contents: dict[bytes, bytes]) -> None:
        """Write an item, and the small data that it names."""
        self._data.update(contents)
        unsaved = self._unsaved[taken.id] = Unsaved(taken, contents)
        if self._journal is not None:
            if self.refused and not self._journal.trouble:
                self.write_again()  # what came before goes before
            self._write(self._journal, unsaved)

    def unsaved(self) -> list[bytes]:
        """Return the items that are not on disk yet: nobody may count on them."""
        return list(self._unsaved) if self._journal is not None else []

    def begin(self, saved: Saved) -> None:
        """Write the job itself; have `saved` called when it is on disk."""
        if self._journal is None or self._begun:
            self._loop.call_soon(saved, None)
        else:
            stored = self._stored
            self._journal.write(lambda: self._store.add(stored), saved)

    def when_saved(self, id: bytes, saved: Saved, *, patient: bool = False) -> None:
        """Have `saved` called once an item is on disk.

        Args:
            id: The item.
            saved: Called with None, or with the reason why it is not.
            patient: Wait for as long as the disk refuses it.
        """
        unsaved = self._unsaved.get(id)
        if unsaved is None or self._journal is None:
            self._loop.call_soon(saved, None)
        elif unsaved.refused is not None and not patient:
            self._loop.call_soon(saved, unsaved.refused)
        else:
            (unsaved.patient if patient else unsaved.waiting).append(saved)

    def write_again(self) -> None:
        """Write what the disk has refused: it takes something again.

        Before anything that came later: some items say nothing to a reader who does
        not know the ones before them.
        """
        if self._journal is not None and self.refused:
            self.refused = False
            for unsaved in self._unsaved.values():
                if unsaved.refused is not None:
                    unsaved.refused = None
                    self._write(self._journal, unsaved)

    def _write(self, journal: Journal, unsaved: Unsaved) -> None:
        store, job, taken = self._store, self._job, unsaved.taken
        row = (taken.id, taken.item.kind, taken.item.signed)

        def write() -> None:
            if not self._begun:
                store.add(self._stored)
            for digest, data in unsaved.contents.items():
                store.add_content(job, digest, data)
            store.add_items(job, [row])
            store.remove_items(job, taken.superseded)

        # What an owner says must fit a full disk: it may free some of it.
        urgent = taken.item.kind is Kind.CONTROL
        journal.write(write, lambda error: self._written(unsaved, error), urgent=urgent)

    def _written(self, unsaved: Unsaved, error: DiskError | None) -> None:
        told, unsaved.waiting = unsaved.waiting, []
        if error is None:
            self._begun = True
            del self._unsaved[unsaved.taken.id]
            self._remember(unsaved.taken)
            for digest in unsaved.contents:
                self._data.pop(digest, None)
            told = told + unsaved.patient
        else:
            unsaved.refused = error
            self.refused = True
        for saved in told:
            saved(error)

    def _remember(self, taken: Taken) -> None:
        """Have an item at hand for a while; others take its place."""
        for gone in (taken.id, *taken.superseded):
            self._forget(gone)
        self._recent[taken.id] = taken.item
        self._recent_bytes += len(taken.item.signed.body)
        while self._recent_bytes > RECENT:
            self._forget(next(iter(self._recent)))

    def _forget(self, id: bytes) -> None:
        item = self._recent.pop(id, None)
        if item is not None:
            self._recent_bytes -= len(item.signed.body)

    # --- reading ------------------------------------------------------------------

    def item(self, id: bytes) -> Item | None:
        """Return an item by its id, or None if it is not here."""
        unsaved = self._unsaved.get(id)
        if unsaved is not None:
            return unsaved.taken.item
        if self._journal is None:
            return None
        if id in self._recent:
            return self._recent[id]
        found = self._store.item(self._job, id)
        return None if found is None else Item(*found)

    def content(self, digest: bytes) -> bytes | None:
        """Return small data by its digest, or None if it is not here."""
        data = self._data.get(digest)
        if data is None and self._journal is not None:
            data = self._store.content(self._job, digest)
        return data

    def contents_of(self, item: Item) -> dict[bytes, bytes]:
        """Return the small data that an item names."""
        if item.kind is not Kind.SHARDS:
            return {}
        heads = read(ShardBatch, item.signed).heads
        found = {head.digest: self.content(head.digest) for head in heads}
        return {digest: data for digest, data in found.items() if data is not None}

    def range(self, batch: bytes, place: int) -> tuple[PeerId, RangeResult] | None:
        """Return one range of a batch of results, and its volunteer."""
        if self._latest is None or self._latest[0] != batch:
            item = self.item(batch)
            if item is None:
                return None
            opened = read(ResultBatch, item.signed)
            self._latest = (batch, item.signed.signer, opened)
        _, volunteer, results = self._latest
        return volunteer, results.results[place]
