"""A job that was submitted here: its arguments, its results, and who listens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from blake3 import blake3

from p2pslinger import limits
from p2pslinger.ids import GridId, JobId
from p2pslinger.peer.heldblobs import HeldBlobs
from p2pslinger.peer.seats import KeptJob, Seat
from p2pslinger.peer.shelf import Batch, Shard, Shelf
from p2pslinger.rules.spans import Span
from p2pslinger.wire.control import RangeOut, ShardIn
from p2pslinger.wire.identity import Identity
from p2pslinger.wire.records import RangeResult, ShardBatch, ShardHead, encode


class Audience(Protocol):
    """A program that wants a job's results."""

    def results(self, ranges: list[RangeOut]) -> None:
        """Take results, in the order in which they were accepted."""

    def ended(self, kind: str, text: str) -> None:
        """Hear that no more will come, before all were there."""


@dataclass(eq=False)
class OwnJob:
    """A job that was submitted here; also the sink of its results at the keeper."""

    kept: KeptJob
    key: Identity
    grid: GridId
    writer: Audience
    over: Callable[[OwnJob], None]
    code: bytes = b""
    chain: bytes = bytes(32)
    shards: int = 0
    notice: int = 0
    held: list[RangeOut] = field(default_factory=list)
    arguments: HeldBlobs = field(default_factory=HeldBlobs)
    values: HeldBlobs = field(default_factory=HeldBlobs)
    audiences: list[Audience] = field(default_factory=list)
    #: "computed" or "cancelled", once it is over.
    end: str = ""
    _fresh: list[RangeOut] = field(default_factory=list)

    @property
    def id(self) -> JobId:
        """The job's id."""
        return self.kept.id

    @property
    def detached(self) -> bool:
        """Whether the job outlives its program."""
        return self.kept.manifest.policy.durable

    # --- arguments ----------------------------------------------------------------

    def append(self, shards: list[tuple[ShardIn, bytes]]) -> list[Shard]:
        """Number and sign shards; each comes with its bytes."""
        board = self.kept.board
        heads = [
            ShardHead(shard.count, shard.form, blake3(data).digest(), len(data))
            for shard, data in shards
        ]
        base = board.append(sum(head.count for head in heads))
        batch = ShardBatch(self.id, self.shards, base, self.chain, tuple(heads))
        body = encode(batch)
        self.chain = blake3(self.chain + body).digest()
        described = Batch(self.shards, body, self.key, self.grid)
        made = []
        for head, (_, data) in zip(heads, shards, strict=True):
            inline = len(data) <= limits.INLINE
            if not inline:
                self.arguments.add(head.digest, data)
            made.append(
                Shard(self.shards, base, head, data if inline else None, described)
            )
            self.shards += 1
            base += head.count
        return made

    # --- results (the keeper's sink) ----------------------------------------------

    def accepted(
        self, seat: Seat, result: RangeResult, blob: bytes | None, new: list[Span]
    ) -> None:
        """Take in a range that has a first outcome."""
        if blob is not None:
            self.values.add(result.digest, blob)
        out = RangeOut(
            result.start,
            result.stop,
            result.form,
            result.values,
            result.digest,
            result.size,
            result.failures,
            seat.peer,
            seat.mine,
            result.wall,
            result.cpu,
            result.output,
        )
        if self.detached:
            self.held.append(out)
        else:
            self._prune()
        if self.audiences:
            self._fresh.append(out)

    def finished(self) -> None:
        """Nothing is left to compute."""
        self.over(self)

    def delivered(self) -> None:
        """Send the program what has come."""
        fresh, self._fresh = self._fresh, []
        if fresh:
            for audience in self.audiences:
                audience.results(fresh)

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
