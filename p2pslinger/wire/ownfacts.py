"""Facts about this peer and its machine, for its owner (`p2pslinger.wire.facts`)."""

from __future__ import annotations

import msgspec

from p2pslinger.wire.facts import ReasonFacts


class ReachFacts(msgspec.Struct, frozen=True):
    """Whether others can dial this peer.

    Attributes:
        state: "reachable", "unreachable" or "unknown".
        since: Seconds that this has been so.
        text: How that is known: the end of a sentence.
        advice: What the owner could do, or "".
    """

    state: str
    since: float
    text: str
    advice: str


class SandboxFacts(msgspec.Struct, frozen=True):
    """How well a peer can confine tasks.

    Attributes:
        level: "strong", "good", "weak" or "none"; what was found by trying.
        for_members: It computes for any member of its grid.
        trusting: It does so without a sandbox, because its owner trusts them all.
        text: A sentence.
        missing: What the stronger levels lack.
        possible: What a task can do all the same, at level weak.
        advice: What the owner could do, or "".
        tried: It is known.
    """

    level: str
    for_members: bool
    trusting: bool
    text: str
    missing: tuple[str, ...]
    possible: tuple[str, ...]
    advice: str
    tried: bool = True


class RekeyFacts(msgspec.Struct, frozen=True):
    """How far the grid has gone over to its newest authkey.

    Attributes:
        newer: Neighbours that use it.
        known: Neighbours.
        ends: Wall time at which this peer stops taking the older one.
    """

    newer: int
    known: int
    ends: float


class KeepingFacts(msgspec.Struct, frozen=True):
    """What this peer keeps of other members' durable jobs.

    Attributes:
        willing: Its owner wants it to.
        jobs: How many it keeps.
        bytes: What they take, blobs included.
        quota: What they may take.
    """

    willing: bool
    jobs: int
    bytes: int
    quota: int


class StatusFacts(msgspec.Struct, frozen=True):
    """This peer.

    Attributes:
        peer: Its id.
        name: Its machine's name.
        grid: The grid's public id.
        software: Its p2pslinger version.
        address: Where it listens, as "host:port", or "" if nowhere.
        uptime: Seconds.
        neighbours: Open connections to peers.
        slots: How many slots.
        busy: How many of them compute.
        idle_because: Why this peer is not computing, or None if it is.
        jobs: Open jobs submitted here.
        heard: Open jobs of others that it has heard of.
        computed: Tasks that it has computed for anyone since it started.
        dropped: Packets and frames that were dropped, by cause.
        notes: What its owner should know ("bootstrap host x is unknown").
        reach: Whether others can dial it; None from a peer that does not say.
        clock_off: Seconds that the neighbours' clocks are ahead: their median; None
            without neighbours.
        sandbox: How well it can confine tasks; None from a peer that does not say.
        rekeying: How far the grid has gone over to its newest authkey; None without
            an older one.
        keeping: What it keeps for others; None from a peer that does not say.
    """

    peer: str
    name: str
    grid: str
    software: str
    address: str
    uptime: float
    neighbours: int
    slots: int
    busy: int
    idle_because: ReasonFacts | None
    jobs: int
    heard: int
    computed: int
    dropped: dict[str, int]
    notes: tuple[str, ...]
    reach: ReachFacts | None = None
    clock_off: float | None = None
    sandbox: SandboxFacts | None = None
    rekeying: RekeyFacts | None = None
    keeping: KeepingFacts | None = None


class PermitFacts(msgspec.Struct, frozen=True):
    """What others may have of this machine now.

    Attributes:
        governed: The owner's preferences apply to this peer.
        trouble: Why its file of preferences can't be understood, or "".
        reason: Why others get nothing, or None.
        since: Wall time since which that has been so.
        slots: Slots that may compute for them.
        share: Part of a core that each of those may use.
        memory: Part of the machine's memory that all of those may use.
        on_battery: The machine runs on battery; None if nobody knows.
        idle: Seconds since a key or a mouse was last touched; None likewise.
        load: Part of all processors' time that other programs use; None likewise.
        program: Who uses most of it, or "".
        sources: By what each was measured, or why it could not be.
    """

    governed: bool
    trouble: str
    reason: ReasonFacts | None
    since: float
    slots: int
    share: float
    memory: float
    on_battery: bool | None
    idle: float | None
    load: float | None
    program: str
    sources: dict[str, str]


class CheckFacts(msgspec.Struct, frozen=True):
    """One line of `slinger doctor`.

    Attributes:
        name: What was examined.
        ok: Whether it is as it should be.
        text: What was found.
        advice: What to do, or "".
    """

    name: str
    ok: bool
    text: str
    advice: str
