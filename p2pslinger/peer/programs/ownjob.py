"""A throw-away job that was submitted here: its arguments, its results, its program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from blake3 import blake3

from p2pslinger import limits
from p2pslinger.ids import JobId, PeerId
from p2pslinger.peer.durable.settled import Follower
from p2pslinger.peer.programs.heldblobs import HeldBlobs
from p2pslinger.peer.programs.unread import Unread
from p2pslinger.peer.seats import KeptJob, Seat
from p2pslinger.peer.shelf import Batch, Shard, Shelf
from p2pslinger.peer.underway import UnderWay
from p2pslinger.rules.spans import Span
from p2pslinger.wire.blobs import chunks_of
from p2pslinger.wire.control import RangeOut, ShardIn
from p2pslinger.wire.glimpse import Glimpse
from p2pslinger.wire.identity import Identity, unsigned
from p2pslinger.wire.records import RangeResult, ShardBatch, ShardHead, encode


@dataclass(eq=False)
class OwnJob:
    """A throw-away job; also the sink of its results at the keeper."""

    kept: KeptJob
    key: Identity
    program: Follower
    over: Callable[[OwnJob], None]
    values: Unread
    code: bytes = b""
    chain: bytes = bytes(32)
    shards: int = 0
    notice: int = 0
    arguments: HeldBlobs = field(default_factory=HeldBlobs)
    under_way: UnderWay = field(default_factory=UnderWay)
    #: "computed" or "cancelled", once it is over.
    end: str = ""
    _fresh: list[RangeOut] = field(default_factory=list)

    @property
    def id(self) -> JobId:
        """The job's id."""
        return self.kept.id

    # --- arguments ----------------------------------------------------------------

    def append(self, shards: list[tuple[ShardIn, bytes]]) -> list[Shard]:
        """Number and describe shards; each comes with its bytes."""
        board = self.kept.board
        lists = [chunks_of(data) for _, data in shards]
        heads = [
            ShardHead(shard.count, shard.form, chunks.blob, chunks.size, shard.shared)
            for (shard, _), chunks in zip(shards, lists, strict=True)
        ]
        base = board.append(sum(head.count for head in heads))
        batch = ShardBatch(self.id, self.shards, base, self.chain, tuple(heads))
        body = encode(batch)
        self.chain = blake3(self.chain + body).digest()
        described = Batch(self.shards, unsigned(body, self.key.public))
        made = []
        for head, (_, data), chunks in zip(heads, shards, lists, strict=True):
            inline = len(data) <= limits.INLINE
            if not inline:
                self.arguments.add(head.digest, data, chunks)
            made.append(
                Shard(self.shards, base, head, data if inline else None, described)
            )
            self.shards += 1
            base += head.count
        return made

    # --- results (the keeper's sink) ----------------------------------------------

    def granted(self) -> None:
        """Nobody else hands out tasks of this job, so nobody has to know."""

    def accepted(
        self, seat: Seat, result: RangeResult, blob: bytes | None, new: list[Span]
    ) -> None:
        """Take in a range that has a first outcome."""
        if blob is not None:
            self.values.add(result.digest, blob)
        self._prune()
        self._fresh.append(
            RangeOut(
                result.start,
                result.stop,
                result.form,
                result.values,
                result.digest,
                result.size,
                result.failures,
                seat.peer,
                seat.mine and not self.kept.needs.sandbox,
                result.wall,
                result.cpu,
                result.output,
            )
        )

    def glimpsed(self, peer: PeerId, glimpse: Glimpse) -> None:
        """Let the program see how a range goes on."""
        self.under_way.shown(peer, glimpse)
        self.program.glimpsed(peer, glimpse)

    def finished(self) -> None:
        """Nothing is left to compute."""
        self.over(self)

    def delivered(self) -> None:
        """Send the program what has come."""
        fresh, self._fresh = self._fresh, []
        if fresh:
            self.program.results(fresh)

    def close(self, end: str) -> None:
        """Keep nothing but the results: nobody computes it any more."""
        self.end = end
        self.code = b""
        self.arguments = HeldBlobs()
        self.kept.shelf = Shelf()

    def _prune(self) -> None:
        """Drop the arguments in front that nobody will need again."""
        done = next(iter(self.kept.board.done), (0, 0))
        if done[0] == 0:
            for shard in self.kept.shelf.prune(done[1]):
                if shard.data is None:
                    self.arguments.drop(shard.head.digest)
