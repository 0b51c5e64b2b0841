"""Why nothing happens: one enumeration, the same words everywhere.

Two questions have answers here: why does this peer not compute, and why does this job
not run? Both functions are pure: facts in, reason out, or None when there is nothing to
explain. Code, command line and API show the reason's code, its sentence and its advice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from p2pslinger.wire.facts import ReasonFacts


class Reason(StrEnum):
    """Every reason for waiting."""

    # why this peer does not compute
    NO_SLOTS = "no-slots"
    SLOTS_STARTING = "slots-starting"
    SLOTS_BROKEN = "slots-broken"
    ALONE = "alone"
    NO_WORK = "no-work"
    SANDBOX_TOO_WEAK = "sandbox-too-weak"
    OTHER_PYTHON = "other-python"
    KEEPER_AWAY = "keeper-away"
    # why it does not compute for others: its owner's preferences
    DISABLED = "disabled"
    PAUSED = "paused"
    OUT_OF_HOURS = "out-of-hours"
    ON_BATTERY = "on-battery"
    IN_USE = "in-use"
    FOREIGN_LOAD = "foreign-load"
    # why a job does not run
    NO_ARGUMENTS = "no-arguments"
    NO_VOLUNTEER = "no-volunteer"
    NO_PYTHON = "no-python"
    ALL_BUSY = "all-busy"


_ADVICE = {
    Reason.NO_SLOTS: "start the peer with `slinger up --slots N`",
    Reason.SLOTS_STARTING: "wait a moment",
    Reason.SLOTS_BROKEN: "run `slinger doctor`",
    Reason.ALONE: (
        "start a peer on another machine with the same authkey; if it can't be found, "
        "name one with `slinger up --bootstrap HOST`"
    ),
    Reason.NO_WORK: "submit a job, from any machine of the grid",
    Reason.SANDBOX_TOO_WEAK: (
        "run `slinger doctor`: it says what the sandbox lacks here; or, if you trust "
        "every member of this grid with this machine, start the peer with "
        "`--trust-members`"
    ),
    Reason.OTHER_PYTHON: "run the peer with the Python version that the jobs need",
    Reason.KEEPER_AWAY: "wait until the submitter's machine can be reached",
    Reason.DISABLED: "`slinger prefs enabled true` lets it compute for others",
    Reason.PAUSED: "`slinger prefs resume` ends the pause",
    Reason.OUT_OF_HOURS: "nothing to do; `slinger prefs hours always` lifts the hours",
    Reason.ON_BATTERY: (
        "connect it to power, or allow that with `slinger prefs on_battery true`"
    ),
    Reason.IN_USE: (
        "nothing to do: it goes on when the machine is idle; `slinger prefs when_idle "
        "false` lets it compute meanwhile"
    ),
    Reason.FOREIGN_LOAD: (
        "nothing to do: it goes on when they have been quiet for a minute; `slinger "
        "prefs foreign_load` says what counts as quiet"
    ),
    Reason.NO_ARGUMENTS: "nothing to do here: its program may append more arguments",
    Reason.NO_VOLUNTEER: (
        "start a peer with slots: `slinger up --slots N`, here or on another machine "
        "of the grid (`slinger status` there says whether it computes for others)"
    ),
    Reason.NO_PYTHON: (
        "run a peer with that Python version, or submit the function as source "
        "(`grid.map_source`), which any version can run"
    ),
    Reason.ALL_BUSY: "wait, or add a machine",
}


def _reason(reason: Reason, text: str) -> ReasonFacts:
    return ReasonFacts(reason.value, text, _ADVICE[reason])


def reason_for(reason: Reason, text: str) -> ReasonFacts:
    """Return why a peer does not compute for others, with the advice that goes with it.

    Args:
        reason: Why.
        text: The end of the sentence "this peer does not compute for others: ...".
    """
    return _reason(reason, f"this peer does not compute for others: {text}")


@dataclass(frozen=True, slots=True)
class PeerSituation:
    """What there is to know about a peer that does not compute.

    Attributes:
        wanted: Slots that it should have.
        ready: Slots that are ready.
        busy: Slots that compute.
        broken: Why slots can't be started, or "".
        neighbours: Open connections to peers.
        own: Open jobs of its own machine.
        others: Open jobs of others that it has heard of.
        unconfined: Why it does not compute for others, or "" if it does.
        misfits: Open jobs, of those that it would compute, that need another Python.
        unreachable: Open jobs, of those, none of whose keepers can be reached.
        withheld: Why its owner's preferences keep it from others' work, or None.
    """

    wanted: int
    ready: int
    busy: int
    broken: str
    neighbours: int
    own: int
    others: int
    unconfined: str
    misfits: int
    unreachable: int
    withheld: ReasonFacts | None = None


def why_idle(now: PeerSituation) -> ReasonFacts | None:
    """Return why a peer is not computing, or None if it is."""
    if now.busy:
        return None
    if now.wanted == 0:
        return _reason(Reason.NO_SLOTS, "this peer has no slots")
    if now.ready == 0:
        if now.broken:
            return _reason(Reason.SLOTS_BROKEN, f"no slot starts: {now.broken}")
        return _reason(Reason.SLOTS_STARTING, "its slots are being started")
    return _why_no_work(now)


def _why_no_work(now: PeerSituation) -> ReasonFacts:
    """Return why a peer's ready slots have nothing to do."""
    if now.own + now.others == 0:
        if now.neighbours == 0:
            return _reason(Reason.ALONE, "no job is open, and no other peer is known")
        return _reason(Reason.NO_WORK, "no job is open in the grid")
    if now.own == 0 and now.unconfined:
        return _reason(
            Reason.SANDBOX_TOO_WEAK, f"{_others(now.others)}, and {now.unconfined}"
        )
    if now.own == 0 and now.withheld is not None:
        return now.withheld
    if now.misfits >= now.own + (0 if now.unconfined else now.others):
        return _reason(
            Reason.OTHER_PYTHON, f"{_open_jobs(now.misfits)} another Python version"
        )
    if now.unreachable:
        keepers = f"the keepers of {_count(now.unreachable, 'open job')}"
        return _reason(Reason.KEEPER_AWAY, f"{keepers} can't be reached")
    return _reason(Reason.NO_WORK, "all tasks of the open jobs are taken")


@dataclass(frozen=True, slots=True)
class JobSituation:
    """What there is to know about a job none of whose tasks is running.

    Attributes:
        open: Tasks that could be granted.
        running: Tasks that are granted.
        sealed: Nothing more will be appended.
        python: The minor version that it needs, or None for any.
        volunteers: Peers that offer slots to this keeper.
        fitting: Those among them with that version.
        idle: Those among the fitting ones that wait for work.
    """

    open: int
    running: int
    sealed: bool
    python: str | None
    volunteers: int
    fitting: int
    idle: int


def why_waiting(now: JobSituation) -> ReasonFacts | None:
    """Return why a job is not running, or None if it is, or is done."""
    if now.running:
        return None
    if now.open == 0:
        if now.sealed:
            return None
        return _reason(Reason.NO_ARGUMENTS, "all tasks that it has so far are done")
    if now.volunteers == 0:
        return _reason(
            Reason.NO_VOLUNTEER, "no peer offers a slot to this machine's jobs"
        )
    if now.fitting == 0:
        none = _none_of(now.volunteers)
        return _reason(
            Reason.NO_PYTHON, f"its function needs Python {now.python}, and {none} it"
        )
    if now.idle == 0:
        return _reason(
            Reason.ALL_BUSY,
            f"all slots of {_count(now.fitting, 'peer')} are busy with other jobs",
        )
    return None


def _count(count: int, thing: str) -> str:
    return f"1 {thing}" if count == 1 else f"{count} {thing}s"


def _others(count: int) -> str:
    if count == 1:
        return "the 1 open job is another member's"
    return f"the {count} open jobs are other members'"


def _open_jobs(count: int) -> str:
    return "the 1 open job needs" if count == 1 else f"all {count} open jobs need"


def _none_of(count: int) -> str:
    if count == 1:
        return "the 1 peer with slots does not offer"
    return f"none of the {count} peers with slots offers"
