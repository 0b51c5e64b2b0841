"""How much work a keeper hands out and takes back, and what a large job costs it.

Speed: the real keeper in this process, volunteers that only pretend to compute. They
exchange bytes, as over a connection: a keeper's time is what it takes to read a
request, to grant, to write the answer, to read and verify results, and to take them in.
What volunteers do (above all: sign) is not counted, nor what a connection adds: frames,
TLS and system calls.

Memory: a real peer. A map of 1,000,000 tasks that another one computes as they come;
and a job of as many that all wait, because nobody has a slot, and is cancelled.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from dataclasses import dataclass, field

from blake3 import blake3

import p2pslinger as slinger
from benchmarks._daemons import Daemon, daemons
from benchmarks.figures import show, wait_until
from p2pslinger.ids import GridId, JobId, PeerId
from p2pslinger.peer.events import Events
from p2pslinger.peer.keeper import Keeper
from p2pslinger.peer.seats import KeptJob, Seat
from p2pslinger.peer.shelf import Batch, Shard
from p2pslinger.rules.board import Board
from p2pslinger.rules.spans import Span
from p2pslinger.wire.glimpse import Glimpse
from p2pslinger.wire.identity import Identity, unsigned
from p2pslinger.wire.manifest import Function, Manifest, Policy, job_id, seal_manifest
from p2pslinger.wire.messages import PEER_CODEC, Deliver, Grant, Want, Work
from p2pslinger.wire.needs import Offer, Offered
from p2pslinger.wire.records import (
    RangeResult,
    ResultBatch,
    ShardBatch,
    ShardHead,
    encode,
    open_signed,
    seal,
)

RUNS = 3

GRID = GridId(bytes(8))

#: Grants in one run; each is one task of a second.
GRANTS = 5000

#: What each volunteer's slots can be.
OFFER = Offer("linux-x86_64", (Offered("3.11"),), 1 << 30, 1 << 30, True)

#: Tasks in one shard of these: arguments of some bytes.
SHARD = 1000

#: Tasks of the job whose memory is measured, and MB it may take and may leave.
MANY, MOST, LEFT = 1_000_000, 200, 20

#: Seconds after which the memory is to be free again.
AFTER = 60.0


@dataclass
class Timer:
    """Adds up the seconds of the keeper's share of the work."""

    total: float = 0.0
    _since: float = 0.0

    def __enter__(self) -> None:
        self._since = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.total += time.perf_counter() - self._since


class Sink:
    """A submitter that wants nothing but the count."""

    def __init__(self) -> None:
        self.tasks = 0

    def accepted(
        self, seat: Seat, result: RangeResult, blob: bytes | None, new: list[Span]
    ) -> None:
        """Take in a range."""
        self.tasks += result.stop - result.start

    def granted(self) -> None:
        """Hear that tasks were handed out."""

    def glimpsed(self, peer: PeerId, glimpse: Glimpse) -> None:
        """Hear how a range goes on."""

    def delivered(self) -> None:
        """Hear that these were all, for now."""

    def finished(self) -> None:
        """Hear that nothing is left."""


@dataclass
class Pretender:
    """A volunteer that computes nothing, but signs what it says it has.

    Attributes:
        slots: How many it has.
        works: Answers that have come, encoded.
    """

    identity: Identity
    seat: Seat
    slots: int
    works: deque[bytes] = field(default_factory=deque)

    def answered(self, work: Work) -> None:
        """Take an answer, as the bytes that a connection would carry."""
        self.works.append(PEER_CODEC.encode(work))

    def results(self) -> bytes:
        """Return a message with one signed result for every grant."""
        ranges = []
        for payload in self.works:
            work = PEER_CODEC.decode(payload)
            assert isinstance(work, Work)
            ranges += [_result(grant) for grant in work.grants]
        self.works.clear()
        batch = ResultBatch(tuple(ranges))
        return PEER_CODEC.encode(Deliver(seal(batch, self.identity, GRID)))


def _result(grant: Grant) -> RangeResult:
    values = b"\x80\x05K\x01."
    return RangeResult(
        grant.job,
        grant.grant,
        (grant.start, grant.stop),
        grant.mac,
        grant.start,
        grant.stop,
        0,
        values,
        b"",
        len(values),
        (),
        False,
        1.0 * (grant.stop - grant.start),
        1.0 * (grant.stop - grant.start),
        b"",
    )


class Bench:
    """A keeper with one job, and its volunteers.

    Args:
        volunteers: How many.
        slots: Of each.
    """

    def __init__(self, volunteers: int, slots: int) -> None:
        loop = asyncio.get_running_loop()
        self.keeper = Keeper(loop, Events())
        self.job, shards = _job()
        self.keeper.keep(self.job)
        self.keeper.appended(self.job, shards)
        self.timer = Timer()
        identities = [Identity(os.urandom(32)) for _ in range(volunteers)]
        self.pretenders = [
            Pretender(one, self.keeper.sit(one.id, mine=False, revoke=_ignore), slots)
            for one in identities
        ]
        for one in self.pretenders:
            self.keeper.offered(one.seat, OFFER)
        self.granted = 0
        self.wants = 0

    async def run(self) -> float:
        """Hand out all tasks, and take all results; return grants a second."""
        while (left := self.job.board.open) > 0:
            self._park()
            with self.timer:
                await asyncio.sleep(0)  # the keeper goes over its requests
            assert self.job.board.open < left, "the keeper hands nothing out"
            self._deliver()
        for one in self.pretenders:
            self.keeper.leave(one.seat, "the run is over")
        self.keeper.close()
        assert self.job.board.done.count == GRANTS
        return self.granted / self.timer.total

    def _park(self) -> None:
        for one in self.pretenders:
            for _ in range(one.slots - len(one.seat.parked)):
                self.wants += 1
                payload = PEER_CODEC.encode(Want(self.wants, False))
                with self.timer:
                    want = PEER_CODEC.decode(payload)
                    assert isinstance(want, Want)
                    self.keeper.want(one.seat, want, one.answered)

    def _deliver(self) -> None:
        for one in self.pretenders:
            if not one.works:
                continue
            self.granted += len(one.works)
            payload = one.results()
            with self.timer:
                deliver = PEER_CODEC.decode(payload)
                assert isinstance(deliver, Deliver)
                batch = open_signed(ResultBatch, deliver.batch, GRID)
                answer = self.keeper.deliver(one.seat, batch.results)
                PEER_CODEC.encode(answer)


def _job() -> tuple[KeptJob, list[Shard]]:
    """Return a job of one-second tasks, whose time is known, and its arguments."""
    submitter, job_key = Identity(os.urandom(32)), Identity(os.urandom(32))
    function = Function("pretend", b"code", blake3(b"code").digest(), 4, "3.11")
    manifest = Manifest(
        os.urandom(16),
        "pretend",
        submitter.public,
        job_key.public,
        function,
        Policy(),
        0.0,
        1e12,
    )
    signed = seal_manifest(manifest, submitter, GRID)
    job = job_id(signed)
    board = Board(job, os.urandom(32))
    board.append(GRANTS)
    board.pace.measured(1, 1.0)
    kept = KeptJob(job, manifest, signed, submitter.id, 0.0, board, Sink())
    return kept, _shards(job, job_key)


def _shards(job: JobId, key: Identity) -> list[Shard]:
    data = os.urandom(3 * SHARD)
    head = ShardHead(SHARD, 0, blake3(data).digest(), len(data))
    heads = (head,) * (GRANTS // SHARD)
    body = encode(ShardBatch(job, 0, 0, bytes(32), heads))
    batch = Batch(0, unsigned(body, key.public))
    return [Shard(i, i * SHARD, head, data, batch) for i in range(len(heads))]


def _ignore(_: object) -> None:
    """Pretenders can't be stopped."""


async def run(volunteers: int, slots: int) -> float:
    """Return how many grants and results a second a fresh keeper manages."""
    return await Bench(volunteers, slots).run()


def measure_speed() -> None:
    """Print grants and results a second, for few and for many volunteers."""
    for volunteers, slots in ((4, 64), (64, 4), (256, 1)):
        rates = [asyncio.run(run(volunteers, slots)) for _ in range(RUNS)]
        name = f"keeper, {volunteers} volunteers of {slots} slots"
        show(name, rates, "grants + results/s", least=5000)


def nothing(_: int) -> None:
    """Do nothing."""


def measure_memory() -> None:
    """Print what 1,000,000 tasks add to a peer, during and after."""
    with slinger.local(peers=2, slots=[0, 1]) as grid:
        assert sum(1 for _ in grid.map(nothing, range(1000))) == 1000
        watch = Memory(daemons()[0])
        assert sum(1 for _ in grid.map(nothing, range(MANY))) == MANY
        watch.show("computed as they come")
    with slinger.local(peers=1, slots=0) as grid:
        grid.start(nothing, range(1000)).cancel()
        watch = Memory(daemons()[0])
        job = grid.start(nothing, range(MANY))
        wait_until(lambda: grid.jobs()[0].tasks == MANY, 60, "sending the arguments")
        job.cancel()
        watch.show("all waiting, then cancelled")


class Memory:
    """What a daemon occupies, compared with now."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._before = daemon.memory()
        daemon.forget_peak()

    def show(self, what: str) -> None:
        """Print the peak, and what is left once that is little or a minute is over."""
        peak = self._daemon.peak_memory()
        name = f"keeper, {MANY:,} tasks, {what}"
        show(f"{name}, peak RSS", [peak], "MB", most=MOST)
        ended = time.monotonic()
        while self._above() > LEFT and time.monotonic() - ended < AFTER:
            time.sleep(1.0)
        waited = time.monotonic() - ended
        what = f"RSS above before, {waited:.0f} s after its end"
        show(f"{name}, {what}", [self._above()], "MB", most=LEFT)

    def _above(self) -> float:
        return self._daemon.memory() - self._before


def main() -> None:
    """Measure both."""
    measure_speed()
    measure_memory()


if __name__ == "__main__":
    main()
