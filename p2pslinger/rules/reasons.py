"""Why nothing happens: one enumeration, the same words everywhere.

    facts about a peer  -> why it does not compute   `whypeer`
    facts about a job   -> why it does not run       `whyjob`
    facts about a task  -> why it is not running     `whytask`

Each is a pure function from facts to a reason. A reason has a code for programs, a
sentence, what ends it, and what a person could do; all but the sentence stand here.
To add one: a member, its row in `_ENDS` and in `_ADVICE`, and a scenario that shows it
(`tests/simulation/test_why.py`, which fails without).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from p2pslinger.wire.facts import ExcludedFacts, ReasonFacts


class Reason(StrEnum):
    """Every reason for waiting."""

    # why this peer does not compute
    NO_SLOTS = "no-slots"
    SLOTS_STARTING = "slots-starting"
    SLOTS_BROKEN = "slots-broken"
    FETCHING = "fetching"
    ALONE = "alone"
    NO_WORK = "no-work"
    ALL_TAKEN = "all-taken"
    JOBS_PAUSED = "jobs-paused"
    PROBING = "probing"
    SANDBOX_TOO_WEAK = "sandbox-too-weak"
    OTHER_PYTHON = "other-python"
    OTHER_PLATFORM = "other-platform"
    LACKS_PACKAGE = "lacks-package"
    LESS_MEMORY = "less-memory"
    KEEPER_AWAY = "keeper-away"
    # why it does not compute for others: its owner's preferences
    DISABLED = "disabled"
    PAUSED = "paused"
    OUT_OF_HOURS = "out-of-hours"
    ON_BATTERY = "on-battery"
    IN_USE = "in-use"
    FOREIGN_LOAD = "foreign-load"
    # why a job does not run
    KEPT_ELSEWHERE = "kept-elsewhere"
    JOB_PAUSED = "job-paused"
    LEARNING = "learning"
    LEFT_TO_OTHERS = "left-to-others"
    NO_ARGUMENTS = "no-arguments"
    NO_VOLUNTEER = "no-volunteer"
    NOT_TRUSTED = "not-trusted"
    NO_PYTHON = "no-python"
    NO_PLATFORM = "no-platform"
    NO_PACKAGE = "no-package"
    NO_SANDBOX = "no-sandbox"
    NO_MEMORY = "no-memory"
    ALL_BUSY = "all-busy"
    SUSPENDED = "suspended"
    STARTING = "starting"
    # why a task is not running, though its job does
    NOT_SENT = "not-sent"
    ITS_TURN = "its-turn"
    IN_LINE = "in-line"
    REPORTING = "reporting"
    RETRIED = "retried"
    ONE_AT_A_TIME = "one-at-a-time"
    OTHER_KEEPER = "other-keeper"


#: What a person could do about each of them.
_ADVICE: dict[Reason, str] = {
    Reason.NO_SLOTS: "start the peer with `slinger up --slots N`",
    Reason.SLOTS_STARTING: "wait a moment",
    Reason.SLOTS_BROKEN: "run `slinger doctor`",
    Reason.ALONE: (
        "start a peer on another machine with the same authkey; if it can't be found, "
        "name one with `slinger up --bootstrap HOST`"
    ),
    Reason.NO_WORK: "submit a job, from any machine of the grid",
    Reason.PROBING: "wait a moment",
    Reason.SANDBOX_TOO_WEAK: (
        "run `slinger doctor`: it says what the sandbox lacks here; or, if you trust "
        "every member of this grid with this machine, start the peer with "
        "`--trust-members`"
    ),
    Reason.FETCHING: "nothing to do",
    Reason.ALL_TAKEN: "nothing to do",
    Reason.JOBS_PAUSED: "`slinger resume JOB` lets a job go on",
    Reason.OTHER_PYTHON: (
        "install that Python version, or name where it is in the setting `pythons`"
    ),
    Reason.OTHER_PLATFORM: "nothing to do here",
    Reason.LACKS_PACKAGE: (
        "install it for a Python of this peer (`slinger doctor` names them)"
    ),
    Reason.LESS_MEMORY: (
        "`slinger prefs memory` says how much others may have, shared by the slots for "
        "them (`cores`)"
    ),
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
    Reason.KEPT_ELSEWHERE: "run `slinger why` on a machine that keeps it",
    Reason.JOB_PAUSED: "`slinger resume JOB` lets it go on",
    Reason.LEARNING: "wait a moment",
    Reason.LEFT_TO_OTHERS: "nothing to do: this machine hands out what they don't",
    Reason.NO_ARGUMENTS: "nothing to do here: its program may append more arguments",
    Reason.NO_VOLUNTEER: (
        "start a peer with slots: `slinger up --slots N`, here or on another machine "
        "of the grid (`slinger status` there says whether it computes for others)"
    ),
    Reason.NOT_TRUSTED: (
        "`slinger up --slots N` here, or `slinger allow PEER` for a machine of yours; "
        'or have the program connect with trust="pickle", which lets whoever '
        "computes run code in it"
    ),
    Reason.NO_PYTHON: (
        "run a peer with that Python version, or submit the function as source "
        "(`grid.map_source`), which any version can run"
    ),
    Reason.NO_PLATFORM: "start a peer on such a machine, or require another platform",
    Reason.NO_PACKAGE: (
        "install it for a Python of one of the peers: they look again every few seconds"
    ),
    Reason.NO_SANDBOX: (
        "`slinger doctor` says what the sandbox of a machine lacks; or submit it "
        "without sandbox=True"
    ),
    Reason.NO_MEMORY: (
        "ask for less memory, or have a peer give more (`slinger prefs memory`, or "
        "fewer `cores`)"
    ),
    Reason.ALL_BUSY: "wait, or add a machine",
    Reason.SUSPENDED: "nothing to do: it goes to others after two minutes",
    Reason.STARTING: "wait a moment",
    Reason.NOT_SENT: "nothing to do here: its program has more to send",
    Reason.ITS_TURN: "wait, or add a machine",
    Reason.IN_LINE: "nothing to do: what its peer does not begin goes to others",
    Reason.REPORTING: "wait a moment",
    Reason.RETRIED: "`slinger results JOB --errors` shows how tasks failed",
    Reason.ONE_AT_A_TIME: (
        "nothing to do; if it is the task's fault, it fails after three tries"
    ),
    Reason.OTHER_KEEPER: "run `slinger why` on that keeper's machine for more",
}

#: What ends each of them.
_ENDS: dict[Reason, str] = {
    Reason.NO_SLOTS: "the peer is started with slots",
    Reason.SLOTS_STARTING: "a slot is ready",
    Reason.SLOTS_BROKEN: "a slot starts: it is tried again, once a minute at least",
    Reason.FETCHING: "all that the tasks need is here",
    Reason.ALONE: "a job is submitted here, or another peer is found",
    Reason.NO_WORK: "a job is submitted anywhere in the grid",
    Reason.ALL_TAKEN: "tasks are given back, or more are submitted",
    Reason.JOBS_PAUSED: "a job goes on, or another is submitted",
    Reason.PROBING: "that is known, in a few seconds",
    Reason.SANDBOX_TOO_WEAK: "a job is submitted on this machine",
    Reason.OTHER_PYTHON: "that Python is found here, or a job that fits is submitted",
    Reason.OTHER_PLATFORM: "a job that fits is submitted",
    Reason.LACKS_PACKAGE: "it is installed here, or a job that fits is submitted",
    Reason.LESS_MEMORY: "its owner gives more, or a job that fits is submitted",
    Reason.KEEPER_AWAY: "one of them can be reached",
    Reason.DISABLED: "its owner says so",
    Reason.PAUSED: "the pause is over",
    Reason.OUT_OF_HOURS: "its hours begin",
    Reason.ON_BATTERY: "the machine has power",
    Reason.IN_USE: "nobody has used the machine for a while",
    Reason.FOREIGN_LOAD: "other programs have been quiet for a minute",
    Reason.KEPT_ELSEWHERE: "the machines that keep it say so",
    Reason.JOB_PAUSED: "its owner lets it go on",
    Reason.LEARNING: "its other keepers have answered, or are given up",
    Reason.LEFT_TO_OTHERS: "they hand them out, or have been silent for a while",
    Reason.NO_ARGUMENTS: "its program appends arguments, or seals it",
    Reason.NO_VOLUNTEER: "a peer with slots asks for work",
    Reason.NOT_TRUSTED: "a slot of this machine, or of a peer treated like it, is free",
    Reason.NO_PYTHON: "a peer with that Python asks for work",
    Reason.NO_PLATFORM: "a peer on such a machine asks for work",
    Reason.NO_PACKAGE: "a peer that has it asks for work",
    Reason.NO_SANDBOX: "a peer that can confine tasks asks for work",
    Reason.NO_MEMORY: "a peer that gives as much asks for work",
    Reason.ALL_BUSY: "a slot is free",
    Reason.SUSPENDED: "that owner's preferences allow it again, or it is given back",
    Reason.STARTING: "the peer has answered",
    Reason.NOT_SENT: "its program sends it",
    Reason.ITS_TURN: "a slot is free for it",
    Reason.IN_LINE: "the tasks before it are done",
    Reason.REPORTING: "its result has arrived",
    Reason.RETRIED: "a slot is free",
    Reason.ONE_AT_A_TIME: "another peer has a free slot",
    Reason.OTHER_KEEPER: "its result has arrived",
}


def explain(
    reason: Reason,
    text: str,
    excluded: Iterable[ExcludedFacts] = (),
    peers: int = 0,
) -> ReasonFacts:
    """Return a reason with its sentence, and with what goes with it.

    Args:
        reason: Why.
        text: The sentence, without a full stop.
        excluded: Which peers can't compute what waits.
        peers: Of how many.
    """
    return ReasonFacts(
        reason.value,
        text,
        _ADVICE[reason],
        _ENDS[reason],
        excluded=tuple(excluded),
        peers=peers,
    )


def reason_for(reason: Reason, text: str) -> ReasonFacts:
    """Return why a peer does not compute for others, with the advice that goes with it.

    Args:
        reason: Why.
        text: The end of the sentence "this peer does not compute for others: ...".
    """
    return explain(reason, f"this peer does not compute for others: {text}")


def counted(count: int, thing: str) -> str:
    """Return "1 peer", "2 peers"."""
    return f"1 {thing}" if count == 1 else f"{count:,} {thing}s"
