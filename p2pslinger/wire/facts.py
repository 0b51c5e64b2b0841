"""Facts for people: what a peer tells its owner, in the command line's own words.

Here are those about jobs and peers; `p2pslinger.wire.ownfacts` has those about this
machine. Plain values only: ids are in their text form, times in seconds, so that
`--json` prints them as they are. Every wait carries a machine-readable reason, a
sentence and an advice.
"""

from __future__ import annotations

import msgspec

from p2pslinger.wire.agreeing import AgreementFacts


class ExcludedFacts(msgspec.Struct, frozen=True):
    """Peers that can't compute what waits, for one reason.

    Attributes:
        peers: How many.
        code: Why: one of `p2pslinger.rules.reasons.Reason`; "excluded-by-its-owner" of
            those whose results of the job do not count.
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

    def __str__(self) -> str:
        """Say it in a line, for whoever prints it."""
        ends = f"; until {self.ends}" if self.ends else ""
        return f"{self.text}{ends}" + (f" ({self.advice})" if self.advice else "")


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
        checks: Tasks of others that it has computed as well, with the same outcome.
    """

    peer: str
    name: str
    tasks: int
    failures: int
    cpu: float
    share: float
    petname: str = ""
    checks: int = 0


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
        still: Running tasks whose slot stands still, as its machine's owner wishes.
        excluded: Ids of volunteers that its owner has excluded: their results do not
            count, but for those that were accepted before.
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
    still: int = 0
    excluded: tuple[str, ...] = ()


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
        still: Tasks of the job that stand still, among those that are computed.
    """

    state: str
    reason: ReasonFacts | None
    job: str = ""
    task: int | None = None
    running: int = 0
    peer: str = ""
    name: str = ""
    since: float = 0.0
    still: int = 0

    def __str__(self) -> str:
        """Say it in a line, for whoever prints it."""
        return self.state if self.reason is None else f"{self.state}: {self.reason}"
