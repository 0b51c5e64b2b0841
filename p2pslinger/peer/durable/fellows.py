"""The other keepers of one job, and everyone else who takes part in keeping it.

To each of them goes what is news here, in batches: everything that came up while the
last batch was on its way. When a connection opens, and now and then, two replicas
compare sums, and each gets what it lacks. Whoever is told answers when it is on disk;
so this peer knows how many hold an item, and can say so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from p2pslinger import limits
from p2pslinger.errors import PeerError, SlingerError, UnavailableError
from p2pslinger.ids import PeerId
from p2pslinger.net.connection import Connection
from p2pslinger.peer.durable.gathering import gather
from p2pslinger.peer.durable.holding import Holding
from p2pslinger.peer.durable.job import DurableJob
from p2pslinger.peer.owner import Owner
from p2pslinger.rules.replica import Taken, item_id
from p2pslinger.wire.glimpse import Glimpse, Relayed
from p2pslinger.wire.keeping import (
    CompareJob,
    Content,
    GetItems,
    GotItems,
    Item,
    JobCompared,
    Tell,
    Told,
)

#: Items in one message: more would keep a connection busy for too long.
TOLD_AT_ONCE = 256

#: Bytes that small data takes in a message besides itself, and a share of the room that
#: keeps the number of them within what a message may hold.
CONTENT = 1024

#: Rounds of comparing until two replicas must agree; news come in meanwhile.
ROUNDS = 8

#: Seconds that an answer may take: a slow disk, and a blob to be fetched first.
PATIENCE = 60.0


@dataclass(eq=False)
class Fellow:
    """Somebody who should hold what we hold of a job.

    Attributes:
        peer: Who.
        connection: To it, while there is one.
        agrees: It holds all that we had when we compared last, and was told the rest.
        since: When it came or went, on the loop's clock.
        queue: Ids of items that it is to be told, oldest first.
        telling: The task that is at it.
        failed: It did not take what it was told last.
        comparing: A comparison with it is under way.
        lacks: It is there, and says that it does not keep the job.
    """

    peer: PeerId
    since: float
    connection: Connection | None = None
    agrees: bool = False
    queue: dict[bytes, None] = field(default_factory=dict)
    telling: asyncio.Task[None] | None = None
    failed: bool = False
    lacks: bool = False
    comparing: bool = False

    @property
    def is_there(self) -> bool:
        """Whether it can be talked to."""
        return self.connection is not None and self.connection.is_open

    @property
    def takes(self) -> bool:
        """Whether it takes in what it is told, as far as is known."""
        return not self.lacks and not self.failed

    @property
    def holds_all(self) -> bool:
        """Whether it holds everything that we do, on disk."""
        return self.agrees and not self.queue and self.telling is None


class Fellows:
    """Everyone who takes part in keeping one job, but this peer.

    Args:
        job: The job here.
        owner: Owns the tasks that talk.
    """

    def __init__(self, job: DurableJob, owner: Owner) -> None:
        self._job = job
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self.all: dict[PeerId, Fellow] = {}
        self.holding = Holding(
            self._loop,
            lambda: [fellow.peer for fellow in self.there() if fellow.holds_all],
        )
        #: Called when somebody may hold more than before.
        self.on_change: Callable[[], None] = lambda: None

    # --- who they are -------------------------------------------------------------

    def should_be(
        self,
        peers: Iterable[PeerId],
        connections: Callable[[PeerId], Connection | None],
    ) -> None:
        """Say who takes part from now on."""
        wanted = set(peers)
        for peer in [one for one in self.all if one not in wanted]:
            del self.all[peer]
        for peer in wanted - self.all.keys():
            self.all[peer] = Fellow(peer, self._loop.time())
            connection = connections(peer)
            if connection is not None:
                self.came(connection)

    def came(self, connection: Connection) -> None:
        """A connection to a peer has opened."""
        fellow = self.all.get(connection.peer) if connection.peer else None
        if fellow is not None and fellow.connection is not connection:
            fellow.connection = connection
            fellow.since = self._loop.time()
            fellow.agrees = False
            self._owner.spawn(self._compare(fellow, connection))

    async def meet(self, connection: Connection) -> None:
        """Compare once with somebody who turns out to keep the job, or to know its end.

        Who takes part in keeping it anyway has been compared with.
        """
        assert connection.peer is not None
        if connection.peer not in self.all:
            fellow = Fellow(connection.peer, self._loop.time(), connection)
            await self._compare(fellow, connection)

    def went(self, peer: PeerId) -> None:
        """The connection to a peer is gone."""
        fellow = self.all.get(peer)
        if fellow is not None and fellow.connection is not None:
            fellow.connection = None
            fellow.agrees = False
            fellow.since = self._loop.time()
            fellow.queue.clear()
            self.changed()

    def changed(self) -> None:
        """Somebody may hold more than before, or is there no more."""
        self.holding.look()
        self.on_change()

    def there(self) -> list[Fellow]:
        """Return those that can be talked to."""
        return [fellow for fellow in self.all.values() if fellow.is_there]

    # --- telling ------------------------------------------------------------------

    def spread(self, taken: Taken) -> None:
        """Tell everyone of an item that is news here."""
        for fellow in self.there():
            for gone in taken.superseded:
                fellow.queue.pop(gone, None)
            fellow.queue[taken.id] = None
            self._tell_soon(fellow)

    def relay(self, volunteer: PeerId, glimpse: Glimpse) -> None:
        """Let everyone see how a range goes on that we have granted."""
        for fellow in self.there():
            if fellow.connection is not None and not fellow.lacks:
                fellow.connection.push(Relayed(volunteer, glimpse))

    def tell(self, fellow: Fellow, ids: Iterable[bytes]) -> None:
        """Tell somebody of items that it seems to lack, if it is still there."""
        if fellow.is_there:
            fellow.queue.update(dict.fromkeys(ids))
            self._tell_soon(fellow)

    def close(self) -> None:
        """Tell nobody anything any more; whoever waits is answered."""
        self.holding.close()
        self.all.clear()

    # --- inside -------------------------------------------------------------------

    def _tell_soon(self, fellow: Fellow) -> None:
        if fellow.telling is None and fellow.queue and fellow.is_there:
            fellow.telling = self._owner.spawn(self._tell_all(fellow))

    async def _tell_all(self, fellow: Fellow) -> None:
        connection = fellow.connection
        try:
            while fellow.queue and connection is not None and connection.is_open:
                items = self._part(fellow)
                if not items:
                    continue
                contents = self._contents(items)
                tell = Tell(self._job.id, tuple(items), contents)
                async with asyncio.timeout(PATIENCE):
                    answer = await connection.request(tell)
                if not isinstance(answer, Told):
                    raise PeerError(f"answered items by a {type(answer).__name__}")
                refused = set(answer.refused)
                for item in items:
                    id = item_id(item.signed)
                    if id not in refused:
                        self.holding.held_by(id, fellow.peer)
            fellow.failed = False
        except (SlingerError, TimeoutError):
            fellow.agrees = False  # it is compared with again, later
            fellow.failed = True
            fellow.queue.clear()
        finally:
            fellow.telling = None
        self._tell_soon(fellow)
        self.changed()

    def _part(self, fellow: Fellow) -> list[Item]:
        """Take the next items for a message."""
        part: list[Item] = []
        size = 0
        for id in list(fellow.queue)[: TOLD_AT_ONCE + 1]:
            item = self._job.file.item(id)
            if item is None:  # superseded meanwhile
                del fellow.queue[id]
                continue
            size += len(item.signed.body) + self._content_size(item)
            if part and (size > limits.ANSWER or len(part) >= TOLD_AT_ONCE):
                break
            del fellow.queue[id]
            part.append(item)
        return part

    def _content_size(self, item: Item) -> int:
        found = self._job.file.contents_of(item)
        return sum(len(data) + CONTENT for data in found.values())

    def _contents(self, items: list[Item]) -> tuple[Content, ...]:
        """Return what items refer to, as far as it fits beside them."""
        room = 2 * limits.ANSWER
        found: list[Content] = []
        for item in items:
            for digest, data in self._job.file.contents_of(item).items():
                room -= len(data) + CONTENT
                if room > 0:
                    found.append(Content(digest, data))
        return tuple(found)

    # --- comparing ----------------------------------------------------------------

    async def compare_with(self, connection: Connection) -> None:
        """Compare with one peer now; return when both hold the same, or it failed."""
        assert connection.peer is not None
        await self._compare(self.all[connection.peer], connection)

    def compare_all(self) -> None:
        """Compare with everyone: what was lost on the way is found this way."""
        for fellow in self.there():
            busy = fellow.telling is not None or fellow.comparing
            if fellow.connection is not None and not busy:
                self._owner.spawn(self._compare(fellow, fellow.connection))

    async def _compare(self, fellow: Fellow, connection: Connection) -> None:
        """Bring two replicas together, as far as they differ."""
        try:
            fellow.comparing = True
            for _ in range(ROUNDS):
                if await self._compare_once(fellow, connection):
                    break
        except PeerError as error:
            fellow.agrees = False
            connection.close(error)
        except (SlingerError, TimeoutError) as error:
            fellow.agrees = False
            if isinstance(error, UnavailableError) and connection.is_open:
                fellow.lacks = True  # it does not keep the job
        finally:
            fellow.comparing = False

    async def _compare_once(self, fellow: Fellow, connection: Connection) -> bool:
        replica = self._job.replica
        sums = replica.sums
        async with asyncio.timeout(PATIENCE):
            answer = await connection.request(CompareJob(self._job.id, sums))
        if not isinstance(answer, JobCompared):
            raise PeerError(f"compared jobs by a {type(answer).__name__}")
        if not answer.buckets:
            fellow.agrees = fellow.connection is connection
            fellow.lacks = False
            self.changed()
            return True
        theirs = set(answer.ids)
        ours = set(replica.ids(answer.buckets))
        lacking = [id for id in answer.ids if id not in ours]
        for i in range(0, len(lacking), TOLD_AT_ONCE):
            await self._get(connection, lacking[i : i + TOLD_AT_ONCE])
        self.tell(fellow, sorted(ours - theirs))
        if fellow.telling is not None:
            await asyncio.wait([fellow.telling], timeout=PATIENCE)
        fellow.agrees = fellow.connection is connection and not fellow.failed
        self.changed()
        return False

    async def _get(self, connection: Connection, ids: list[bytes]) -> None:
        async with asyncio.timeout(PATIENCE):
            answer = await connection.request(GetItems(self._job.id, tuple(ids)))
        if not isinstance(answer, GotItems):
            raise PeerError(f"gave items by a {type(answer).__name__}")
        await gather(self._job, answer.items, answer.contents, connection)
