"""Notices: how everyone hears that a job is open, or over.

A new notice is pushed to every neighbour at once, who pushes it on; the newest of a job
and its keeper wins, so it travels each connection about once. What a push has missed
(a partition, a late joiner) is mended by comparing digests: on connecting, and every
30 s with one neighbour chosen by chance. Neighbours that agree exchange one hash.

Those that are over are remembered as well, as long as there is room: somebody may still
believe that they are open. When there is none, everyone forgets the same ones.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

import msgspec

from p2pslinger import limits
from p2pslinger.errors import PeerError, SlingerError
from p2pslinger.ids import GridId, JobId, PeerId
from p2pslinger.net.connection import Connection
from p2pslinger.net.exchange import Exchange
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.messages import Compare, Compared, Gossip, Heard
from p2pslinger.wire.records import Notice, open_signed

#: Notices of one keeper that a peer remembers: one member's flood leaves room.
PER_KEEPER = 1000

#: Seconds that a notice may live, at most. Its keeper renews it.
LIFE = 3600.0

#: News from a comparison up to which it is pushed on; beyond that we have probably been
#: away, and others need no more than a comparison of their own.
PUSHED = 64

Key = tuple[JobId, PeerId]


class Notices:
    """What this peer has heard, and the spreading of it.

    Args:
        grid: Which grid's notices.
        wall: Gives the wall time, seconds.
        rng: Chooses the neighbour to compare with.
        neighbours: Gives the open connections to peers.
        heard: Called with every notice that is news.
        refuses: Tells of whom nothing is heard, kept or passed on.
    """

    def __init__(
        self,
        *,
        grid: GridId,
        wall: Callable[[], float],
        rng: random.Random,
        neighbours: Callable[[], Iterable[Connection]],
        heard: Callable[[Notice], None],
        refuses: Callable[[PeerId], bool] = lambda _: False,
    ) -> None:
        self._grid = grid
        self._wall = wall
        self._rng = rng
        self._neighbours = neighbours
        self._heard = heard
        self._refuses = refuses
        self._known: dict[Key, tuple[Notice, Signed]] = {}
        self._of: defaultdict[PeerId, set[JobId]] = defaultdict(set)
        self._seen: set[bytes] = set()  # signatures of what is known
        self._digest: bytes | None = None
        self._open: list[Notice] | None = None
        self._first_expiry = math.inf
        #: Notices that were refused, by cause.
        self.dropped: Counter[str] = Counter()

    def announce(self, signed: Signed) -> None:
        """Spread a notice of our own."""
        self._take((signed,), None)

    def sift(self) -> None:
        """Forget what comes from those of whom nothing is heard any more."""
        for key in [key for key in self._known if self._refuses(key[1])]:
            self._forget(key)

    def open_notices(self) -> Sequence[Notice]:
        """Return the notices of jobs that are open."""
        self._expire()
        if self._open is None:
            self._open = [n for n, _ in self._known.values() if n.open]
        return self._open

    def keepers_of(self, job: JobId) -> list[PeerId]:
        """Return who has said that it keeps a job, those first where it is open."""
        self._expire()
        found = [notice for (one, _), (notice, _) in self._known.items() if one == job]
        found.sort(key=lambda notice: not notice.open)
        return [PeerId(notice.keeper) for notice in found]

    def compare_with(self, connection: Connection, *, behind: bool = False) -> None:
        """Find out what a neighbour and we do not both know.

        Args:
            connection: To the neighbour.
            behind: It has just told us more than fits a message, and goes on.
        """
        connection.ask(
            Compare(self._hash()),
            lambda answer, _: self._compared(connection, answer, behind),
        )

    def compare_with_one(self) -> None:
        """Compare with a neighbour chosen by chance."""
        neighbours = list(self._neighbours())
        if neighbours:
            self.compare_with(self._rng.choice(neighbours))

    # --- what neighbours say ------------------------------------------------------

    def on_gossip(self, connection: Connection, message: Gossip, _: Exchange) -> None:
        """Take in pushed notices."""
        self._take(message.notices, connection)

    def on_compare(
        self, connection: Connection, message: Compare, exchange: Exchange
    ) -> None:
        """Answer a neighbour's digest: by a yes, or by what differs."""
        if message.digest == self._hash():
            exchange.reply(Compared(True))
            return
        if message.lines is None:
            exchange.reply(Compared(False))
            return
        theirs = {(line.job, line.keeper): line for line in message.lines}
        wanted = [
            line
            for key, line in theirs.items()
            if self._sequence((JobId(key[0]), PeerId(key[1]))) < line.sequence
        ]
        lacking = [
            (notice, signed)
            for key, (notice, signed) in self._known.items()
            if key not in theirs or theirs[key].sequence < notice.sequence
        ]
        lacking.sort(key=lambda both: not both[0].open)  # what is open matters first
        told = tuple(signed for _, signed in lacking[: limits.BATCH])
        exchange.reply(Compared(False, tuple(wanted), told))

    def _compared(
        self,
        connection: Connection,
        answer: msgspec.Struct | SlingerError,
        behind: bool,
    ) -> None:
        if isinstance(answer, Compared) and not answer.equal:
            lines = tuple(
                Heard(job, keeper, notice.sequence)
                for (job, keeper), (notice, _) in self._known.items()
            )
            connection.ask(
                Compare(self._hash(), lines),
                lambda again, _: self._exchanged(connection, again, behind),
            )

    def _exchanged(
        self,
        connection: Connection,
        answer: msgspec.Struct | SlingerError,
        behind: bool,
    ) -> None:
        if not isinstance(answer, Compared):
            return
        news = [signed for signed in answer.notices if self._is_news(signed)]
        found = [
            self._known[JobId(line.job), PeerId(line.keeper)][1]
            for line in answer.wanted
            if (JobId(line.job), PeerId(line.keeper)) in self._known
        ]
        for i in range(0, len(found), limits.BATCH):
            connection.push(Gossip(tuple(found[i : i + limits.BATCH])))
        if news and len(answer.notices) >= limits.BATCH:
            self.compare_with(connection, behind=True)
        elif behind or len(news) > PUSHED:
            for neighbour in self._neighbours():
                if neighbour is not connection:
                    self.compare_with(neighbour)
        else:
            self._push(news, connection)

    # --- inside -------------------------------------------------------------------

    def _take(self, notices: Iterable[Signed], source: Connection | None) -> None:
        """Keep what is news, and pass it on to every neighbour but its source."""
        self._push([signed for signed in notices if self._is_news(signed)], source)

    def _push(self, news: list[Signed], source: Connection | None) -> None:
        if news:
            for connection in self._neighbours():
                if connection is not source:
                    connection.push(Gossip(tuple(news)))

    def _is_news(self, signed: Signed) -> bool:
        if signed.signature in self._seen:  # the same notice from another neighbour
            return False
        notice = self._read(signed)
        if notice is None:
            return False
        key = (JobId(notice.job), PeerId(notice.keeper))
        if notice.sequence <= self._sequence(key):
            return False
        if key in self._known:
            self._seen.discard(self._known[key][1].signature)
        elif not self._make_room(notice):
            self.dropped["too many notices"] += 1
            return False
        self._known[key] = (notice, signed)
        self._of[key[1]].add(key[0])
        self._seen.add(signed.signature)
        self._digest = self._open = None
        self._first_expiry = min(self._first_expiry, notice.expires)
        self._heard(notice)
        return True

    def _read(self, signed: Signed) -> Notice | None:
        """Check a notice; return None, and count it, if it is not to be believed."""
        if self._refuses(signed.signer):
            self.dropped["banned"] += 1
            return None
        try:
            if len(signed.body) > limits.RECORD:
                raise PeerError("sent a notice that is too big")
            notice = open_signed(Notice, signed, self._grid)
        except PeerError:
            self.dropped["notice"] += 1
            return None
        now = self._wall()
        latest = now + LIFE + limits.CLOCK_SLACK
        if notice.keeper != signed.signer or not now <= notice.expires <= latest:
            self.dropped["notice"] += 1
            return None
        return notice

    def _make_room(self, notice: Notice) -> bool:
        """Return whether there is room for one more, once the least is forgotten."""
        keeper = PeerId(notice.keeper)
        if len(self._of[keeper]) >= PER_KEEPER:
            keys = [(job, keeper) for job in self._of[keeper]]
        elif len(self._known) >= limits.NOTICES:
            keys = list(self._known)
        else:
            return True
        least = min(keys, key=lambda key: _rank(self._known[key][0]))
        if _rank(self._known[least][0]) >= _rank(notice):
            return False
        self._forget(least)
        return True

    def _forget(self, key: Key) -> None:
        self._seen.discard(self._known.pop(key)[1].signature)
        self._of[key[1]].discard(key[0])
        if not self._of[key[1]]:
            del self._of[key[1]]
        self._digest = self._open = None

    def _sequence(self, key: Key) -> int:
        known = self._known.get(key)
        return known[0].sequence if known is not None else -1

    def _hash(self) -> bytes:
        """Return the digest of everything that is known here and has not expired."""
        self._expire()
        if self._digest is None:
            digest = hashlib.sha256()
            for job, keeper in sorted(self._known):
                notice = self._known[job, keeper][0]
                digest.update(job + keeper + notice.sequence.to_bytes(8, "big"))
            self._digest = digest.digest()
        return self._digest

    def _expire(self) -> None:
        """Forget what has expired, so that whoever compares has forgotten the same."""
        now = self._wall()
        if now <= self._first_expiry:
            return
        for key in [k for k, (n, _) in self._known.items() if n.expires < now]:
            self._forget(key)
        expiries = (notice.expires for notice, _ in self._known.values())
        self._first_expiry = min(expiries, default=math.inf)


def _rank(notice: Notice) -> tuple[bool, float, bytes]:
    """Return what decides whom to forget, the lowest first: the same everywhere."""
    return notice.open, notice.expires, notice.job
