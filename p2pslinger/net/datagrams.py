"""Sealed datagrams between members.

Layout: magic 2 | sender 20 | its boot 8 | receiver's boot 8 | wall time 8 | counter 8 |
sealed payload and tag. The header and the receiver's id are authenticated with it.

1. AES-256-GCM: 0.5 µs a packet where ChaCha20-Poly1305 takes 1.4.
2. All members share one grid key, so a *boot*, 8 random bytes that each opened port
   draws, makes a key of its own: HKDF of the grid key, sender's id and boot. Under it
   the counter is the nonce, and a counter never repeats. Random nonces under one key
   would meet their birthday bound in a busy grid's life.
3. Replays. A receiver takes wall times within `limits.CLOCK_SLACK` of its own, and of
   a (sender, boot) each counter once. A session may be forgotten when its newest time
   is too old to be taken anyway, or else by raising a floor below which no unknown
   session is believed.
4. Replays after the receiver's restart. Who knows the receiver's boot binds it in.
   What names another boot, or none, is not `fresh`: requests that change nothing are
   answered all the same, and the answer tells the boot; those that change something
   must be fresh, and what was recorded before the restart never is. The same holds
   for a first ping, sealed for whoever gets it, that is replayed to another peer.
5. What is oversized, truncated, foreign, off in time or seen before is counted and
   dropped, unanswered. The cheap tests come first: a flood costs little.
6. Sealing proves membership, not identity: any member can write any sender.
7. While a grid goes over to another authkey there is a key for each. Any of them opens;
   what is sent is sealed with the newest that its receiver is known to use. To one of
   whom that is not known it goes once under each: what was sealed for another key is
   dropped like anything that does not open.
"""

from __future__ import annotations

import asyncio
import hmac
import struct
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from p2pslinger import limits
from p2pslinger.errors import TooLargeError
from p2pslinger.ids import PeerId

#: For what a grid's key for datagrams is derived.
PURPOSE = "datagrams"

#: The first bytes say which version, and whether the sender knew the receiver's id.
TO_ONE, TO_ANYONE = b"\xd51", b"\xd50"


_HEADER = struct.Struct(">2s20s8s8sQQ")


_TAG = 16


#: Bytes of a payload that fit.
ROOM = limits.DATAGRAM - _HEADER.size - _TAG


#: Bytes of a boot; and what stands for one that is not known.
BOOT = 8


_NO_BOOT = bytes(BOOT)


_NO_PEER = bytes(20)


#: Counters behind the highest that may still arrive: a peer that sends 10,000
#: datagrams a second, overtaken by 0.2 s.
WINDOW = 2048


#: Sessions remembered, 1 KiB each: more than a peer hears of within four minutes.
SESSIONS = 4096


class Place(NamedTuple):
    """Where a datagram comes from or goes to.

    Attributes:
        host: A numeric address.
        port: Of UDP.
        peer: Who is there, or None if that is still the question.
        fresh: It came, and was sealed for this very boot of this peer.
        serves: Who is there answers others, and so may be a contact.
    """

    host: str
    port: int
    peer: PeerId | None = None
    fresh: bool = False
    serves: bool = True


@dataclass(slots=True)
class _Session:
    grid: bytes  # the grid's key that it follows from
    key: bytes  # not the cipher: that is 0.8 µs to make, but 2 KB to keep
    newest: int = 0
    highest: int = 0
    seen: int = 0

    def has_seen(self, counter: int) -> bool:
        """Return whether a counter came already, or is too old to tell."""
        behind = self.highest - counter
        return behind >= WINDOW or (behind >= 0 and bool(self.seen >> behind & 1))

    def note(self, counter: int, stamp: int) -> None:
        """Remember a counter and its wall time."""
        ahead = counter - self.highest
        if ahead > 0:
            # A leap beyond the window must not become a shift of as many bits.
            self.seen = (self.seen << ahead) % (1 << WINDOW) if ahead < WINDOW else 0
            self.highest = counter
            ahead = 0
        self.seen |= 1 << -ahead
        self.newest = max(self.newest, stamp)


class Seals:
    """Seals what this peer sends and opens what it hears: no I/O.

    Args:
        me: This peer.
        key: The grid's key for datagrams, 32 bytes.
        boot: 8 random bytes, drawn anew whenever a port is opened.
        wall: The clock on the wall, seconds since the epoch.

    Attributes:
        dropped: What did not open, by cause.
    """

    def __init__(
        self,
        *,
        me: PeerId,
        key: bytes,
        boot: bytes,
        wall: Callable[[], float],
        dropped: Counter[str],
    ) -> None:
        self.dropped = dropped
        self._me = me
        self._keys: tuple[bytes, ...] = (key,)
        self._floor = 0
        self._wall = wall
        self.renew(boot)

    def use(self, keys: Sequence[bytes]) -> None:
        """Take other keys from now on, the newest first."""
        self._keys = tuple(keys)
        self._ciphers = self._make_ciphers()
        self._used.clear()

    def renew(self, boot: bytes) -> None:
        """Begin anew under another boot, as after a restart.

        Needed when the clock has been set: what is remembered of others is in terms of
        the old time, and would let replays in or keep everybody out.
        """
        self._boot = boot
        self._counter = 0
        self._ciphers = self._make_ciphers()
        self._used: OrderedDict[PeerId, bytes] = OrderedDict()
        self._sessions: OrderedDict[bytes, _Session] = OrderedDict()
        self._boots: OrderedDict[PeerId, tuple[int, bytes]] = OrderedDict()
        self._floor = 0

    def seal(self, payload: bytes, to: PeerId | None) -> bytes:
        """Seal `payload` for one peer, or for whoever gets it; see `copies`."""
        return self.copies(payload, to)[0]

    def copies(self, payload: bytes, to: PeerId | None) -> list[bytes]:
        """Seal `payload`: once, or under each key if the receiver's is not known."""
        if len(payload) > ROOM:
            raise TooLargeError(f"a datagram holds {ROOM} bytes, not {len(payload)}")
        used = self._used.get(to) if to is not None else None
        keys = self._keys if used is None else (used,)
        return [self._seal(payload, to, self._ciphers[key]) for key in keys]

    def _seal(self, payload: bytes, to: PeerId | None, cipher: AESGCM) -> bytes:
        self._counter += 1
        header = _HEADER.pack(
            TO_ANYONE if to is None else TO_ONE,
            self._me,
            self._boot,
            _NO_BOOT if to is None else self.boot_of(to) or _NO_BOOT,
            self._now(),
            self._counter,
        )
        nonce = b"\0\0\0\0" + header[-8:]
        bound = header + (to or _NO_PEER)
        return header + cipher.encrypt(nonce, payload, bound)

    def open(self, datagram: bytes) -> tuple[PeerId, bool, bytes] | None:
        """Return sender, whether it is fresh, and payload; or count why not."""
        size = len(datagram)
        if size > limits.DATAGRAM:
            return self._drop("oversized")
        if size < _HEADER.size + _TAG:
            return self._drop("truncated")
        magic, sender, boot, ours, stamp, counter = _HEADER.unpack_from(datagram)
        if magic not in {TO_ONE, TO_ANYONE}:
            return self._drop("foreign")
        if sender == self._me:
            return self._drop("own")
        now, slack = self._now(), round(limits.CLOCK_SLACK * 1000)
        if not now - slack <= stamp <= now + slack:
            return self._drop("clock")
        known = self._sessions.get(sender + boot)
        if known.has_seen(counter) if known else stamp <= self._floor:
            return self._drop("replayed")
        first = self._keys[0]
        session = known or _Session(first, self._key_of(first, sender, boot))
        payload = self._decrypt(datagram, session)
        if payload is None:
            return self._drop("foreign")
        session.note(counter, stamp)
        self._remember(PeerId(sender), boot, session)
        return PeerId(sender), magic == TO_ONE and ours == self._boot, payload

    def _decrypt(self, datagram: bytes, session: _Session) -> bytes | None:
        """Open a datagram under any key of the grid; the session learns which."""
        magic, sender, boot, *_ = _HEADER.unpack_from(datagram)
        nonce = b"\0\0\0\0" + datagram[_HEADER.size - 8 : _HEADER.size]
        bound = datagram[: _HEADER.size] + (self._me if magic == TO_ONE else _NO_PEER)
        for grid in self._keys:
            same = grid == session.grid
            key = session.key if same else self._key_of(grid, sender, boot)
            try:
                payload = AESGCM(key).decrypt(nonce, datagram[_HEADER.size :], bound)
            except InvalidTag:
                continue
            session.grid, session.key = grid, key
            return payload
        return None

    def boot_of(self, peer: PeerId) -> bytes | None:
        """Return the newest boot heard of a peer: another one means a restart."""
        stamped = self._boots.get(peer)
        return stamped[1] if stamped else None

    def _make_ciphers(self) -> dict[bytes, AESGCM]:
        return {
            grid: AESGCM(self._key_of(grid, self._me, self._boot))
            for grid in self._keys
        }

    def _note_use(self, sender: PeerId, grid: bytes) -> None:
        """Remember the newest key that a peer has used."""
        used = self._used.get(sender)
        if used is None or self._keys.index(grid) < self._keys.index(used):
            self._used[sender] = grid
            if len(self._used) > SESSIONS:
                self._used.popitem(last=False)

    def _remember(self, sender: PeerId, boot: bytes, session: _Session) -> None:
        if len(self._keys) > 1:
            self._note_use(sender, session.grid)
        self._sessions[sender + boot] = session
        self._sessions.move_to_end(sender + boot)
        oldest = next(iter(self._sessions.values()))
        stale = self._now() - round(limits.CLOCK_SLACK * 1000)
        if oldest.newest < stale or len(self._sessions) > SESSIONS:
            self._sessions.popitem(last=False)
            self._floor = max(self._floor, oldest.newest)
        if session.newest >= self._boots.get(sender, (0,))[0]:
            self._boots[sender] = (session.newest, boot)
            self._boots.move_to_end(sender)
        if len(self._boots) > SESSIONS:
            self._boots.popitem(last=False)

    def _key_of(self, grid: bytes, sender: bytes, boot: bytes) -> bytes:
        # One block of HKDF-Expand (RFC 5869); the grid key is a good one already.
        info = b"p2pslinger boot" + sender + boot + b"\x01"
        return hmac.digest(grid, info, "sha256")

    def _now(self) -> int:
        return max(0, round(self._wall() * 1000))

    def _drop(self, cause: str) -> tuple[PeerId, bool, bytes] | None:
        self.dropped[cause] += 1
        return None


class SealedPort(asyncio.DatagramProtocol):
    """A UDP port between the socket and the protocol above, which sees it unsealed.

    Attributes:
        sent: Datagrams.
        received: Datagrams that opened.
    """

    def __init__(self, seals: Seals, above: asyncio.DatagramProtocol) -> None:
        self.sent = self.received = 0
        self._seals = seals
        self._above = above
        self._socket: asyncio.DatagramTransport | None = None
        self._is_v6 = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast("asyncio.DatagramTransport", transport)
        self._is_v6 = ":" in transport.get_extra_info("sockname")[0]
        self._above.connection_made(cast("asyncio.DatagramTransport", self))

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        opened = self._seals.open(data)
        if opened is None:
            return
        self.received += 1
        sender, is_fresh, payload = opened
        host = addr[0].removeprefix("::ffff:") if "." in addr[0] else addr[0]
        self._above.datagram_received(
            payload, cast("tuple[str, int]", Place(host, addr[1], sender, is_fresh))
        )

    def error_received(self, exc: Exception) -> None:
        # An ICMP message that anybody could have made: the time-out decides.
        self._seals.dropped["unreachable"] += 1

    def sendto(self, payload: bytes, to: Place) -> None:
        """Seal and send; nobody learns here if it gets lost."""
        if self._socket is None or self._socket.is_closing():
            return
        self.sent += 1
        mapped = self._is_v6 and ":" not in to.host
        host = f"::ffff:{to.host}" if mapped else to.host
        for datagram in self._seals.copies(payload, to.peer):
            self._socket.sendto(datagram, (host, to.port))

    def close(self) -> None:
        """Free the port."""
        if self._socket is not None:
            self._socket.close()
