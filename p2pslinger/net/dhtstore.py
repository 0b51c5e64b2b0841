"""What a peer stores of the DHT: peer cards and notices, checked one by one.

1. A key holds a set: one record per (signer, kind), the highest sequence wins. Among
   equals the later expiry and then the signature decide, so that all peers agree.
2. A card lies under its signer's id. A notice lies under its job's id: who may speak
   for a job only its manifest can tell, so several signers coexist. The first to come
   keep their places, for nobody knows a job's id before its submitter does.
3. A record's expiry is its own: storing it again never makes it live longer.
4. Everything is bounded: bytes of a record, records of a key, of a signer, of the
   network address that brought them, and in all.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from p2pslinger import limits
from p2pslinger.errors import PeerError, UnavailableError
from p2pslinger.ids import GridId, PeerId
from p2pslinger.wire import records
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.records import Notice, PeerCard

#: Seconds that a card may live at most: its owner's clock may be ahead.
CARD_AHEAD = 2 * limits.CARD_LIFE


#: Seconds that a notice may live at most: 30 days, far beyond keep-until's 7.
NOTICE_AHEAD = 30 * 86_400.0


#: Records under one key: a job has one honest signer; the rest is room for nuisance.
KEY_RECORDS = 16


#: Records of one signer: a peer has one card, a job key one notice.
SIGNER_RECORDS = 4


#: Records in all, so 8 MiB at most: 20 copies each of 1,000 cards and of
#: `limits.NOTICES` notices, spread over 1,000 peers, are 220 a peer.
RECORDS = 8192


#: Records that one network address may have brought: it takes four to fill the store.
SOURCE_RECORDS = RECORDS // 4


#: Signatures remembered as checked. A record comes back with every look-up and
#: hand-over, and a check takes 90 µs; 2,048 are at most 3 MiB.
REMEMBERED = 2048


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """A record that has passed every check.

    Attributes:
        signed: The exact bytes signed, key and signature.
        key: Where it belongs in the DHT, 20 bytes.
        kind: "PeerCard" or "Notice".
        sequence: The highest wins.
        expires: Wall time.
        size: Bytes when encoded.
    """

    signed: Signed
    key: bytes
    kind: str
    sequence: int
    expires: float
    size: int

    @property
    def rank(self) -> tuple[int, float, bytes]:
        """Return what decides between two records of one signer and kind."""
        return self.sequence, self.expires, self.signed.signature


def check(signed: Signed, grid: GridId, now: float) -> Entry:
    """Check a record's size, form, owner, expiry and signature, the cheapest first.

    Args:
        signed: What somebody sent.
        grid: The grid that it must have been signed for.
        now: Wall time.

    Raises:
        PeerError: it fails one of them; the text says which.
    """
    size = len(msgspec.msgpack.encode(signed))
    if size > limits.RECORD:
        raise PeerError(f"sent a record of {size} bytes: {limits.RECORD} at most")
    record = _read(signed)
    name = type(record).__name__
    if isinstance(record, PeerCard):
        key, ahead = bytes(signed.signer), CARD_AHEAD
    else:
        key, ahead = record.job, NOTICE_AHEAD
    # Written so that an expiry that is not a number fails as well.
    if not now < record.expires <= now + ahead + limits.CLOCK_SLACK:
        raise PeerError(f"sent a {name} that has expired or lives too long")
    if not _genuine(signed, type(record), grid):
        raise PeerError(f"sent a {name} whose signature does not fit")
    return Entry(signed, key, name, record.sequence, record.expires, size)


def _read(signed: Signed) -> PeerCard | Notice:
    """Decode a record of the only two kinds that the DHT takes."""
    try:
        try:
            return records.read(PeerCard, signed)
        except PeerError:
            return records.read(Notice, signed)
    except (UnicodeDecodeError, RecursionError):  # msgspec's, for text and nesting
        raise PeerError("sent a record that can't be decoded") from None


@functools.lru_cache(REMEMBERED)
def _genuine(signed: Signed, kind: type[PeerCard | Notice], grid: GridId) -> bool:
    """Return whether a signature fits: true for ever, so it may be remembered."""
    try:
        records.open_signed(kind, signed, grid)
    except PeerError:
        return False
    return True


class RecordStore:
    """The records of one peer, or those that one look-up gathers.

    Args:
        grid: The grid that every record must have been signed for.
        refuses: Tells of whom nothing is stored.
    """

    def __init__(
        self, grid: GridId, refuses: Callable[[PeerId], bool] = lambda _: False
    ) -> None:
        self._grid = grid
        self._refuses = refuses
        self._shelves: dict[bytes, dict[tuple[PeerId, str], tuple[Entry, str]]] = {}
        self._by_signer: Counter[PeerId] = Counter()
        self._by_source: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._by_source.total()

    def put(
        self, signed: Signed, now: float, *, key: bytes | None = None, source: str = ""
    ) -> Entry:
        """Take a record in, unless a newer one of its signer and kind is here.

        Args:
            signed: What somebody sent.
            now: Wall time.
            key: Where the sender thinks that it belongs.
            source: The network address that brought it; "" for this peer itself.

        Raises:
            PeerError: the record is not what an honest peer stores.
            UnavailableError: there is no room for it here.
        """
        if self._refuses(signed.signer):
            raise UnavailableError("stores nothing of that peer")
        entry = check(signed, self._grid, now)
        if key is not None and key != entry.key:
            raise PeerError(f"sent a {entry.kind} under a key that is not its own")
        slot = (signed.signer, entry.kind)
        held = self._shelves.get(entry.key, {}).get(slot)
        if held is not None:
            if entry.rank > held[0].rank:
                self._shelves[entry.key][slot] = (entry, held[1])
            return entry
        self._make_room(entry, now, source)
        self._shelves.setdefault(entry.key, {})[slot] = (entry, source)
        self._by_signer[slot[0]] += 1
        self._by_source[source] += 1
        return entry

    def get(self, key: bytes, now: float) -> list[Signed]:
        """Return what is stored under `key` and has not expired, in a fixed order."""
        return [entry.signed for entry in self._live(key, now)]

    def page(
        self, key: bytes, now: float, *, first: int, room: int
    ) -> tuple[int, list[Signed]]:
        """Return how many records `key` holds, and those from number `first` that fit.

        Args:
            key: Whose records.
            now: Wall time.
            first: How many the reader has already.
            room: Bytes; at least one record is given even if it does not fit.
        """
        live = self._live(key, now)
        fitting: list[Signed] = []
        for entry in live[first:]:
            room -= entry.size
            if fitting and room < 0:
                break
            fitting.append(entry.signed)
        return len(live), fitting

    def stored_keys(self) -> list[bytes]:
        """Return every key that holds something, be it expired."""
        return list(self._shelves)

    def sweep(self, now: float) -> None:
        """Forget what has expired, and what is of those of whom nothing is stored."""
        for key, shelf in list(self._shelves.items()):
            for slot, (entry, source) in list(shelf.items()):
                if entry.expires <= now or self._refuses(slot[0]):
                    del shelf[slot]
                    _less(self._by_signer, slot[0])
                    _less(self._by_source, source)
            if not shelf:
                del self._shelves[key]

    def _live(self, key: bytes, now: float) -> list[Entry]:
        shelf = self._shelves.get(key)
        if shelf is None:
            return []
        return [
            shelf[slot][0] for slot in sorted(shelf) if shelf[slot][0].expires > now
        ]

    def _make_room(self, entry: Entry, now: float, source: str) -> None:
        """Raise UnavailableError unless one more record fits every bound."""
        if not self._is_full(entry, source):
            return
        self.sweep(now)
        if self._is_full(entry, source):
            raise UnavailableError(f"has no room for one more {entry.kind}")

    def _is_full(self, entry: Entry, source: str) -> bool:
        return (
            len(self) >= RECORDS
            or len(self._shelves.get(entry.key, ())) >= KEY_RECORDS
            or self._by_signer[entry.signed.signer] >= SIGNER_RECORDS
            or (bool(source) and self._by_source[source] >= SOURCE_RECORDS)
        )


def _less(counter: Counter[T], what: T) -> None:
    """Count one less, and keep no zeros."""
    counter[what] -= 1
    if not counter[what]:
        del counter[what]
