"""Facts for people: what a peer tells its owner, in the command line's own words.

Plain values only: ids are in their text form, times in seconds, so that `--json` prints
them as they are. Every wait carries a machine-readable reason, a sentence and an
advice.
"""

from __future__ import annotations

import msgspec

from p2pslinger.wire.agreeing import AgreementFacts


class ExcludedFacts(msgspec.Struct, frozen=True):
    """Peers that can't compute what waits, for one reason.

    Attributes:
        peers: How many.
        code: Why: one of `p2pslinger.rules.reasons.Reason`.
        text: Why, in a few words.
    """

    peers: int
    code: str
    text: str


class ReasonFacts(msgspec.Struct, frozen=True):
    """Why something waits.

    Attributes:
        code: One of `p2pslinger.rules.reasons.Reason`.
        text: A sentence.
        advice: What a person could do.
        ends: What ends it, to go on after "until".
        since: Wall time since which that has been so, or 0 if nobody knows.
        excluded: Of a job or a task: which peers can't compute it.
        peers: And of how many that are known.
    """

    code: str
    text: str
    advice: str
    ends: str = ""
    since: float = 0.0
    excluded: tuple[ExcludedFacts, ...] = ()
    peers: int = 0


class TallyFacts(msgspec.Struct, frozen=True):
    """One peer's contribution.

    Attributes:
        peer: Its id.
        name: Its machine's name.
        tasks: Tasks accepted.
        failures: Tasks among them that raised.
        cpu: CPU seconds, as the volunteer says.
        share: Part of all CPU seconds, 0 to 1.
        petname: What this machine's owner calls it, or "".
    """

    peer: str
    name: str
    tasks: int
    failures: int
    cpu: float
    share: float
    petname: str = ""


class KeeperFacts(msgspec.Struct, frozen=True):
    """One keeper of a job.

    Attributes:
        peer: Its id.
        name: Its machine's name, or "" if unknown here.
        state: "here", "connected", "away", or "joining" while it is being told.
        holds: It has everything that this peer has of the job, as far as is known.
        since: Seconds that it has been in this state.
        petname: What this machine's owner calls it, or "".
    """

    peer: str
    name: str
    state: str
    holds: bool
    since: float
    petname: str = ""


class TaskFacts(msgspec.Struct, frozen=True):
    """One running task that has said something.

    Attributes:
        task: Its number.
        peer: Id of the peer that computes it.
        name: That machine's name.
        share: How far it is, 0 to 1, or None if it does not say.
        line: The last line that it has printed, as far as is known.
    """

    task: int
    peer: str
    name: str
    share: float | None
    line: str


class JobFacts(msgspec.Struct, frozen=True):
    """One job.

    Attributes:
        job: Its id.
        name: What people call it.
        state: "open", "paused", "computed", "cancelled".
        tasks: Tasks appended so far.
        sealed: Whether nothing more will be appended.
        computed: Tasks with a result.
        running: Tasks granted to somebody now.
        failed: Tasks that failed for good.
        lost: Tries that died with their process or their volunteer.
        age: Seconds since it was submitted.
        waiting: Why nothing of it is running, or None.
        volunteers: Who computed how much of it.
        durable: Whether it outlives its program and this peer.
        submitter: Id of the peer that submitted it.
        owner: This peer holds its job key.
        accepted: Tasks whose result the job key has accepted.
        priority: Higher first among one submitter's jobs.
        keep_until: Wall time after which it is forgotten, or 0.
        keepers: Who keeps it.
        wanted: Keepers that it should have.
        under_way: Running tasks that have said something: how far they are, a line.
        checks: What comparing results has shown; None where none are compared.
    """

    job: str
    name: str
    state: str
    tasks: int
    sealed: bool
    computed: int
    running: int
    failed: int
    lost: int
    age: float
    waiting: ReasonFacts | None
    volunteers: tuple[TallyFacts, ...]
    durable: bool = False
    submitter: str = ""
    owner: bool = True
    accepted: int = 0
    priority: int = 0
    keep_until: float = 0.0
    keepers: tuple[KeeperFacts, ...] = ()
    wanted: int = 0
    under_way: tuple[TaskFacts, ...] = ()
    checks: AgreementFacts | None = None


class PeerFacts(msgspec.Struct, frozen=True):
    """One peer, as seen from here.

    Attributes:
        peer: Its id.
        name: Its machine's name.
        addresses: Where it can be dialled, as "host:port".
        software: Its p2pslinger version.
        slots: How many slots it offers.
        pythons: Their Python versions.
        sandbox: Level of its sandbox.
        this: It is the peer that answers.
        connected: Seconds that the connection has been open.
        clock: Seconds that its clock is ahead of ours.
        petname: What this machine's owner calls it, or "".
        why: What keeps it from computing for others: the code of a reason, or "".
        mine: It is this machine's own, or treated like it.
        agreed: Results of it in a row with which others have agreed.
        strikes: How often it was found to give wrong results.
        barred: Seconds for which it gets no more of this machine's work.
    """

    peer: str
    name: str
    addresses: tuple[str, ...]
    software: str
    slots: int
    pythons: tuple[str, ...]
    sandbox: str
    this: bool
    connected: float
    clock: float
    petname: str = ""
    why: str = ""
    mine: bool = False
    agreed: int = 0
    strikes: int = 0
    barred: float = 0.0


class WhyFacts(msgspec.Struct, frozen=True):
    """What this peer, one of its jobs or one of a job's tasks is doing, or why not.

    Attributes:
        state: Of the peer "computing" or "waiting". Of a job also "computed",
            "cancelled" and so on; of a task "running", "waiting", "done" or its job's.
        reason: Why it waits, or None if it does not.
        job: Id of the job, or "".
        task: Index of the task, or None.
        running: Slots of this peer that compute; tasks of the job that are computed.
        peer: Id of the peer that has been granted the task, or "".
        name: Its machine's name.
        since: Wall time since which it has it, or 0.
    """

    state: str
    reason: ReasonFacts | None
    job: str = ""
    task: int | None = None
    running: int = 0
    peer: str = ""
    name: str = ""
    since: float = 0.0


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
