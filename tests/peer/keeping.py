"""The other end of a volunteer: a keeper that does what its test says, and jobs for it.

It speaks the messages that a keeper speaks and checks nothing, so that a test decides
what is handed out and when, and sees all that comes back.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from p2pslinger.client.packing import pack_function
from p2pslinger.errors import PeerError, SlingerError, UnavailableError
from p2pslinger.ids import GridId, JobId, PeerId
from p2pslinger.peer.computing.confining import Confining
from p2pslinger.peer.computing.keepers import GotAdopted, GotDelivered, GotWork
from p2pslinger.peer.computing.kinds import Kinds
from p2pslinger.peer.computing.offering import Offering
from p2pslinger.peer.computing.terms import Terms
from p2pslinger.peer.computing.volunteer import Volunteer
from p2pslinger.peer.events import Event, Events
from p2pslinger.peer.owner import Owner
from p2pslinger.sandbox.interpreter import Interpreter
from p2pslinger.sandbox.level import Level
from p2pslinger.sandbox.packed import PLAIN
from p2pslinger.sandbox.slot import SlotSource
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.interpreters import Interpreters
from p2pslinger.testing.slots import InlineSlots
from p2pslinger.testing.virtual import current
from p2pslinger.wire.blobs import blob_digest
from p2pslinger.wire.glimpse import Glimpse
from p2pslinger.wire.identity import Identity, Signed
from p2pslinger.wire.keeping import Adopt
from p2pslinger.wire.manifest import (
    Function,
    Manifest,
    Policy,
    job_id,
    seal_manifest,
)
from p2pslinger.wire.messages import (
    Delivered,
    GiveBack,
    Grant,
    Holding,
    ShardData,
    Want,
    Work,
)
from p2pslinger.wire.needs import Offer, Offered
from p2pslinger.wire.records import RangeResult, ShardBatch, ShardHead, seal

GRID = GridId(bytes(8))

ANN, BOB = Identity(bytes([1] * 32)), Identity(bytes([2] * 32))

#: The volunteer.
ME = Identity(bytes([9] * 32))

#: What its slots can be.
OFFER = Offer("linux-x86_64", (Offered("3.11"),))

#: Whoever's work it is, its slots are the owner's.
TRUSTING = Confining(ME.id, require=Level.GOOD, trusts_all=True)

#: Seconds of virtual time in which everything that is under way has happened.
SOON = 0.5


#: Answers to an offer: other keepers have it too; nobody else has it yet.
ENOUGH, ALONE = Delivered(2), Delivered(1, enough=False)


#: What a durable job says of itself.
LASTING = Policy(durable=True)


def same(x: object) -> object:
    return x


@dataclass
class JobThere:
    """A job at a keeper: its description and its shards."""

    id: JobId
    code: bytes
    manifest: Signed
    batch: Signed
    shards: list[bytes]
    grants: int = 0

    @classmethod
    def make(
        cls,
        submitter: Identity,
        shards: Sequence[Sequence[object]] = (range(100),),
        *,
        function: Callable[..., object] = same,
        policy: Policy | None = None,
        inline: bool = True,
        nonce: int = 0,
        keep_until: float = 1e9,
        python: str | None = None,
    ) -> JobThere:
        """Describe a job with these arguments, shard by shard."""
        key, code = Identity(bytes([nonce + 1] * 32)), pack_function(function).code
        digest = blob_digest(code)
        described = Function("f", code if inline else b"", digest, len(code), python)
        manifest = seal_manifest(
            Manifest(
                bytes([nonce] * 16),
                "job",
                submitter.public,
                key.public,
                described,
                policy or Policy(),
                0.0,
                keep_until,
            ),
            submitter,
            GRID,
        )
        data = [pickle.dumps(list(arguments)) for arguments in shards]
        heads = tuple(
            ShardHead(len(arguments), PLAIN, blob_digest(one), len(one))
            for arguments, one in zip(shards, data, strict=True)
        )
        job = job_id(manifest)
        batch = seal(ShardBatch(job, 0, 0, bytes(32), heads), key, GRID)
        return cls(job, code, manifest, batch, data)

    def grant(self, start: int, stop: int) -> Grant:
        """Make a grant."""
        self.grants += 1
        return Grant(self.id, self.grants, start, stop, 60.0, 60.0, bytes(16))

    def work(self, *spans: tuple[int, int], shards: Sequence[int] = (0,)) -> Work:
        """Put grants together with all that they need; only these shards inline."""
        return Work(
            tuple(self.grant(*span) for span in spans),
            (self.manifest,),
            (self.batch,),
            tuple(ShardData(self.id, i, self.shards[i]) for i in shards),
        )

    @property
    def blobs(self) -> dict[bytes, bytes]:
        """Everything that could be fetched, by its digest."""
        return {blob_digest(data): data for data in (self.code, *self.shards)}


@dataclass(eq=False)
class ScriptedKeeper:
    """Implements `p2pslinger.peer.computing.keepers.KeeperLink`.

    Attributes:
        wants: Open requests.
        asked: How many requests there have been.
        results: What was delivered.
        backs: What was given back.
        blobs: What can be fetched.
        fetched: What was asked for.
        slow: Seconds that a fetch takes.
        offers: Results of durable jobs that were offered, as they were signed.
        answer: What is said to an offer; None for nothing yet.
        unanswered: Offers without an answer.
        adopted: What it was asked to adopt.
        void: Grants that it says are void; an error says that it adopts nothing.
        held: What the last heartbeat held.
        told: What it was told of the volunteer's slots.
    """

    identity: Identity
    wants: dict[int, tuple[Want, GotWork]] = field(default_factory=dict)
    asked: int = 0
    results: list[RangeResult] = field(default_factory=list)
    backs: list[GiveBack] = field(default_factory=list)
    blobs: dict[bytes, bytes] = field(default_factory=dict)
    fetched: list[bytes] = field(default_factory=list)
    slow: float = 0.0
    offers: list[Signed] = field(default_factory=list)
    answer: Delivered | SlingerError | None = ENOUGH
    unanswered: list[GotDelivered] = field(default_factory=list)
    adopted: list[Adopt] = field(default_factory=list)
    void: tuple[int, ...] | SlingerError | None = ()
    held: list[int] = field(default_factory=list)
    told: list[Offer] = field(default_factory=list)

    @property
    def peer(self) -> PeerId:
        return self.identity.id

    def tell(self, offer: Offer) -> None:
        self.told.append(offer)

    def want(self, want: Want, done: GotWork) -> None:
        self.asked += 1
        self.wants[want.number] = (want, done)

    def unwant(self, number: int) -> None:
        _, done = self.wants.pop(number)
        done(Work(()))

    def deliver(self, results: Sequence[RangeResult], blobs: Sequence[bytes]) -> None:
        self.results.extend(results)

    def offer(
        self,
        batch: Signed,
        results: Sequence[RangeResult],
        blobs: Sequence[bytes],
        told: GotDelivered,
    ) -> None:
        self.offers.append(batch)
        self.results.extend(results)
        if self.answer is not None:
            told(self.answer)
        else:
            self.unanswered.append(told)

    def adopt(self, adopt: Adopt, told: GotAdopted) -> None:
        self.adopted.append(adopt)
        if self.void is not None:
            told(self.void)

    def show(self, glimpses: Sequence[Glimpse]) -> None:
        pass

    def renew(self, holdings: Sequence[Holding]) -> Sequence[int]:
        self.held = [one.grant for one in holdings]
        return ()  # all of it is still wanted

    def give_back(self, back: GiveBack) -> None:
        self.backs.append(back)

    async def fetch(self, job: JobId, digest: bytes, size: int) -> bytes:
        self.fetched.append(digest)
        await asyncio.sleep(self.slow)
        if digest not in self.blobs:
            raise UnavailableError("it is gone")
        return self.blobs[digest]

    # --- what a test has it do ----------------------------------------------------

    @property
    def places(self) -> list[bool]:
        """For each open request, whether it is for a place behind another."""
        return sorted(want.queued for want, _ in self.wants.values())

    def hand(self, work: Work, *, queued: bool | None = None) -> None:
        """Answer the oldest request, or the oldest one for such a place."""
        oldest = next(
            number
            for number, (want, _) in self.wants.items()
            if queued in {None, want.queued}
        )
        _, done = self.wants.pop(oldest)
        done(work)

    def refuse(self) -> None:
        """Answer the oldest request with an error."""
        _, done = self.wants.pop(next(iter(self.wants)))
        done(None)

    @property
    def computed(self) -> list[tuple[int, int]]:
        """The ranges that have come back."""
        return [(result.start, result.stop) for result in self.results]

    @property
    def given_back(self) -> list[int]:
        """The grants that were given back."""
        return [grant for back in self.backs for grant in back.grants]


class NoBlobs:
    """Implements `p2pslinger.peer.computing.jobshere.BlobsInUse` for who keeps none."""

    def release(self, job: JobId, digest: bytes) -> None:
        """Nothing was kept."""

    def leave(self, job: JobId) -> None:
        """Nothing was kept."""


@dataclass
class Floor:
    """A volunteer with simulated slots, and all that it reports."""

    volunteer: Volunteer
    slots: InlineSlots
    events: list[Event]
    faults: list[tuple[PeerId, SlingerError]]
    doubts: list[str]


@asynccontextmanager
async def volunteering(
    slots: int = 1,
    *,
    source: SlotSource | None = None,
    confining: Confining = TRUSTING,
    others: tuple[Interpreter, ...] = (),
) -> AsyncIterator[Floor]:
    """Run a volunteer, with simulated slots unless there are others."""
    loop, events, seen = current(), Events(), list[Event]()
    events.subscribe(seen.append)
    faults: list[tuple[PeerId, SlingerError]] = []
    doubts: list[str] = []

    def at_fault(peer: PeerId, error: PeerError) -> None:
        faults.append((peer, error))

    inline, interpreters = InlineSlots(loop), Interpreters()
    interpreters.others = others
    async with Owner() as owner:
        offering = Offering(interpreters, owner, wanted=list, changed=lambda: None)
        volunteer = Volunteer(
            loop=loop,
            owner=owner,
            source=source or inline,
            terms=Terms(GRID, "here", OFFER, slots, 1 << 30),
            kinds=Kinds(confining, offering, doubts.append),
            blobs=NoBlobs(),
            identity=ME,
            wall=loop.time,
            events=events,
            at_fault=at_fault,
        )
        await volunteer.start()
        if others:
            await offering.find()
        await asyncio.sleep(SOON)
        yield Floor(volunteer, inline, seen, faults, doubts)
        volunteer.close()


Story = Callable[
    [Floor, ScriptedKeeper, ScriptedKeeper], Coroutine[object, object, None]
]


def with_ann_and_bob(
    virtual: VirtualTime,
    story: Story,
    *,
    slots: int = 1,
    confining: Confining = TRUSTING,
    others: tuple[Interpreter, ...] = (),
) -> None:
    """Play a story of a volunteer and two submitters."""

    async def main() -> None:
        async with volunteering(slots, confining=confining, others=others) as floor:
            ann, bob = ScriptedKeeper(ANN), ScriptedKeeper(BOB)
            floor.volunteer.serve([ann, bob])
            await story(floor, ann, bob)

    virtual.run(main)


def lasting(nonce: int = 0) -> JobThere:
    """Describe a durable job of Ann's."""
    return JobThere.make(ANN, policy=LASTING, nonce=nonce)


def keep(floor: Floor, *keepers: ScriptedKeeper, jobs: Sequence[JobThere]) -> None:
    """Let the volunteer know that these keepers keep these jobs, and no others."""
    kept = {job.id: list(keepers) for job in jobs}
    floor.volunteer.serve(keepers, kept)
