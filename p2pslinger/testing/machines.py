"""One simulated machine with a peer on it, which starts, stops, dies and returns.

The peer is the real one, put together by `p2pslinger.peer.peer`; only its world is
simulated. What is on the machine's disk (its identity, its state) outlives the peer.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from p2pslinger import limits
from p2pslinger.errors import UsageError
from p2pslinger.ids import PeerId
from p2pslinger.peer.computing.wishes import SpokenWishes
from p2pslinger.peer.config import Config
from p2pslinger.peer.events import Event
from p2pslinger.peer.peer import Peer
from p2pslinger.peer.people import Spoken
from p2pslinger.peer.rekeying import KeptInMemory
from p2pslinger.peer.world import World
from p2pslinger.rules.members import People
from p2pslinger.sandbox.sensors.sensor import Sensors
from p2pslinger.store.blobs import Blobs
from p2pslinger.testing.clocks import on_machine
from p2pslinger.testing.disks import Disk
from p2pslinger.testing.hosts import Host
from p2pslinger.testing.hoststreams import HostStreams
from p2pslinger.testing.interpreters import Interpreters
from p2pslinger.testing.loop import VirtualLoop
from p2pslinger.testing.programjobs import ProgramJob
from p2pslinger.testing.programs import DURABLE, Program
from p2pslinger.testing.slots import InlineSlots
from p2pslinger.wire.authkey import Authkey
from p2pslinger.wire.identity import Identity
from p2pslinger.wire.keyring import Keyring
from p2pslinger.wire.manifest import Policy
from p2pslinger.wire.records import Address

E = TypeVar("E")

#: Turns of the loop in which all tasks of a peer that is killed must have ended.
TURNS = 10_000

#: Bytes that a simulated slot may use. Nobody checks.
MEMORY = 1 << 30


class SimulatedPeer:
    """A machine and its peer; made by `SimulatedGrid.add`.

    Args:
        host: The machine.
        name: What people call it; who it is follows from it.
        authkey: The grid's.
        group: Owns the task that the peer runs in.
        seed: Where its chance comes from, beside its name.

    Attributes:
        identity: Who it is, whatever happens to it.
        interpreters: What its slots can be of.
        slots: Its slots, which a test may make slow, deadly or dishonest.
        wishes: What its owner lets others have, which a test may change.
        sensors: What it says of itself; None, and its owner's wishes do not apply.
        skew: Seconds that its clock on the wall is ahead.
        disk: What it remembers; it may be full.
        blobs: Its big data; it outlives the process.
        sayings: What its owner says of others; see `say`.
        keys: The grid's authkeys on its disk; see `rekey`.
        history: When what happened, in the world's seconds, all starts together.
        listeners: Called with everything that happens, whenever the peer runs.
    """

    def __init__(
        self,
        host: Host,
        name: str,
        authkey: Authkey,
        group: asyncio.TaskGroup,
        *,
        seed: int,
        slots: int,
        bootstrap: Iterable[SimulatedPeer | Address],
        trust_members: bool,
        every_id_counts: bool = False,
    ) -> None:
        self.host = host
        self.name = name
        self.identity = Identity(hashlib.sha256(f"{seed} {name}".encode()).digest())
        self.skew = 0.0
        self.wishes = SpokenWishes()
        self.sensors: Sensors | None = None
        self.history: list[tuple[float, Event]] = []
        self.listeners: list[Callable[[Event], None]] = []
        self.keys = KeptInMemory(Keyring(authkey))
        self._group = group
        self._seed = seed
        self._starts = 0
        self.disk = Disk()
        self.blobs = Blobs.in_memory()
        self._loop: VirtualLoop = host.network.loop
        self._peer: Peer | None = None
        self._task: asyncio.Task[None] | None = None
        self._control = 0
        self.slots = InlineSlots(self._loop)
        self.interpreters = Interpreters()
        self.sayings = Spoken()
        self.config = Config(
            data=Path(name),
            port_fixed=True,
            host=host.ip,
            bootstrap=tuple(_address(one) for one in bootstrap),
            slots=slots,
            trust_members=trust_members,
            every_id_counts=every_id_counts,
            mdns=False,
            name=name,
        )

    def __repr__(self) -> str:
        return f"<{self.name} at {self.host.ip}, {'up' if self._peer else 'down'}>"

    @property
    def id(self) -> PeerId:
        """Its id."""
        return self.identity.id

    @property
    def is_up(self) -> bool:
        """Whether it runs."""
        return self._peer is not None

    @property
    def peer(self) -> Peer:
        """The peer itself; it must be running."""
        if self._peer is None:
            raise UsageError(f"{self.name} does not run: start it first")
        return self._peer

    @property
    def address(self) -> Address:
        """Where it can be dialled."""
        return Address(self.host.ip, limits.PORT)

    # --- life ---------------------------------------------------------------------

    async def start(self) -> None:
        """Start the peer; return when it listens."""
        if self._peer is not None:
            raise UsageError(f"{self.name} runs already")
        self._starts += 1
        context = on_machine(self.host.clock)
        self._peer = peer = context.run(self._make)
        peer.events.subscribe(self._happened)
        listens = asyncio.Event()
        run = peer.run(ready=lambda _: listens.set())
        self._task = self._group.create_task(run, context=context)
        await listens.wait()
        self._control = self.host.listen(0, peer.programs.make).port

    def _happened(self, event: Event) -> None:
        self.history.append((self._loop.now, event))
        for listener in self.listeners:
            listener(event)

    def _make(self) -> Peer:
        return Peer(
            config=self.config,
            identity=self.identity,
            keyring=self.keys.keyring,
            state=self.disk,
            blobs=self.blobs,
            world=self._world(),
            memory=MEMORY,
        )

    async def stop(self) -> None:
        """Shut the peer down, with goodbyes."""
        assert self._task is not None
        self.peer.stop()
        await asyncio.wait([self._task])
        await self._free()
        self.host.stop()

    async def kill(self) -> None:
        """End the peer as `kill -9` does: its kernel closes its streams, no more."""
        self.host.stop()
        await self._end_at_once()

    async def crash(self) -> None:
        """End the peer as a power cut does: nobody is told anything."""
        self.host.crash()
        await self._end_at_once()

    def sleep(self) -> None:
        """Suspend the machine: its tasks and its monotonic clock stand still."""
        self.host.sleep()

    def wake(self) -> None:
        """Go on where it was; only the clock on the wall has moved."""
        self.host.wake()

    async def _end_at_once(self) -> None:
        """End its tasks, whatever they would still like to say or write."""
        if self._task is None:
            raise UsageError(f"{self.name} does not run: start it first")
        self.host.wake()  # or its tasks could not be ended
        self.disk.frozen = True
        for _ in range(TURNS):
            if self._task.done():
                break
            self._task.cancel()
            await asyncio.sleep(0)
        else:
            raise UsageError(f"{self.name} does not end, however often it is cancelled")
        await self._free()
        self.disk.frozen = False

    async def restart(self) -> None:
        """Start again, as the same peer with the same state."""
        await self.start()

    def remove(self) -> None:
        """Free what is left of a peer that does not run."""
        self.disk.remove()

    async def _free(self) -> None:
        """Let go of a peer that has ended, also where it was not given the time."""
        peer, self._peer, self._task = self.peer, None, None
        await peer.overlay.close()
        peer.keeper.close()
        await self.slots.close()

    def _world(self) -> World:
        """Return the simulation, as a peer sees it."""
        return World(
            streams=HostStreams(self.host, self.identity, self.keys.keyring.newest),
            slots=self.slots,
            probe=self.slots.probe,
            disk=self.disk,
            wall=lambda: self._loop.wall() + self.skew,
            rng=random.Random(f"{self._seed} {self.name} {self._starts}"),
            discovery=None,
            wishes=self.wishes,
            sensors=self.sensors,
            resolve=_resolve,
            addresses=lambda: [self.host.ip],
            interpreters=self.interpreters,
            sayings=self.sayings,
            keys=self.keys,
        )

    def say(self, by: Callable[[People], People]) -> None:
        """Have its owner say something of others."""
        self.sayings.people = by(self.sayings.people)
        if self._peer is not None:
            self._peer.people.reread()

    def rekey(self, by: Callable[[Keyring], Keyring]) -> Keyring:
        """Have its owner change which authkeys count."""
        self.keys.keyring = by(self.keys.keyring)
        if self._peer is not None:
            self._peer.membership.rekeying.reread()
        return self.keys.keyring

    # --- what tests ask -----------------------------------------------------------

    async def program(self) -> Program:
        """Return a program of this machine, connected to its peer."""
        program = Program(self._loop)
        await program.connect(self.host, self._control)
        return program

    async def submit(
        self, function: Callable[..., object], arguments: Iterable[object]
    ) -> ProgramJob:
        """Submit a job from a program of its own, one task for each argument."""
        program = await self.program()
        return await program.submit(function, arguments)

    async def start_job(
        self,
        function: Callable[..., object],
        arguments: Iterable[object],
        *,
        keepers: int = 2,
        policy: Policy = DURABLE,
    ) -> ProgramJob:
        """Start a durable job from a program of its own; return once it is kept."""
        program = await self.program()
        return await program.start(function, arguments, keepers=keepers, policy=policy)

    def happened(self, kind: type[E], since: float = 0.0) -> list[tuple[float, E]]:
        """Return the events of one kind, and when each came."""
        return [
            (when, event)
            for when, event in self.history
            if when >= since and isinstance(event, kind)
        ]


def _address(one: SimulatedPeer | Address) -> Address:
    return one.address if isinstance(one, SimulatedPeer) else one


async def _resolve(host: str) -> list[str]:
    """Return a numeric address; there are no names here."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return []
    return [host]
