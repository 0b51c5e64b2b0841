"""Why a job does not run: from what is known of it, and of the peers, to one reason.

Each peer that can't compute it now is counted once, under the first thing that keeps it
from doing so: "2 of 3 peers: need Python 3.12; 1: paused".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from p2pslinger.rules.fitting import Lack, lacks
from p2pslinger.rules.reasons import Reason, counted, explain
from p2pslinger.wire.facts import ExcludedFacts, ReasonFacts
from p2pslinger.wire.needs import Needs, Offer

#: What a job lacks if no peer has it.
_NOBODY_HAS = {
    "python": Reason.NO_PYTHON,
    "platform": Reason.NO_PLATFORM,
    "package": Reason.NO_PACKAGE,
    "sandbox": Reason.NO_SANDBOX,
    "memory": Reason.NO_MEMORY,
}

#: How a peer's own reason is said of several, in a few words. Others are said as their
#: code is spelt.
_SHORT = {
    Reason.NO_SLOTS: "no slots",
    Reason.SLOTS_BROKEN: "slots do not start",
    Reason.SANDBOX_TOO_WEAK: "can't confine tasks well enough",
    Reason.DISABLED: "do not compute for others",
    Reason.IN_USE: "in use",
    Reason.FOREIGN_LOAD: "busy with other programs",
    Reason.OUT_OF_HOURS: "outside of their hours",
    Reason.NOT_TRUSTED: "not trusted as this machine's own",
}


@dataclass(frozen=True, slots=True)
class Prospect:
    """A peer that might compute something, as its keeper sees it.

    Attributes:
        slots: How many it has.
        why: The code of what keeps it from others' work, as its card says, or "".
        offer: What its slots can be; nothing before it has asked for work.
        idle: It waits for work.
        lost: It has lost the task in question, which is to go elsewhere.
        barred: The job's submitter does not trust it as far as the job demands.
        own: It is the job's submitter.
    """

    slots: int
    why: str
    offer: Offer
    idle: bool
    lost: bool = False
    barred: bool = False
    own: bool = False

    def lacks(self, python: str | None, needs: Needs) -> Lack | None:
        """Return what it lacks first of what a job needs, or None if it fits."""
        return lacks(python, needs, self.offer, own=self.own)


@dataclass(frozen=True, slots=True)
class JobSituation:
    """What there is to know about a job none of whose tasks is running.

    Attributes:
        open: Tasks that could be granted here.
        running: Tasks that are granted, here or by other keepers.
        suspended: Those of them whose slot stands still.
        left: Open tasks that other keepers hand out.
        sealed: Nothing more will be appended.
        paused: Its owner has paused it.
        here: This peer keeps it.
        learning: We do not know yet what its other keepers have.
        python: The minor version that it needs, or None for any.
        needs: What it needs besides.
        prospects: The peers that are known here, this one included.
    """

    open: int
    running: int
    suspended: int
    left: int
    sealed: bool
    paused: bool
    here: bool
    learning: bool
    python: str | None
    needs: Needs
    prospects: tuple[Prospect, ...]


def why_waiting(now: JobSituation) -> ReasonFacts | None:
    """Return why a job is not running, or None if it is, or is done."""
    if now.running > now.suspended:
        return None
    if not now.here:
        text = "this machine only reads it: others hand out its work"
        return explain(Reason.KEPT_ELSEWHERE, text)
    if now.paused:
        return explain(Reason.JOB_PAUSED, "its owner has paused it")
    if now.running:
        excluded = excluded_by(now.python, now.needs, now.prospects)
        text = "the slots that have its tasks stand still"
        return explain(Reason.SUSPENDED, text, excluded, len(now.prospects))
    if now.learning:
        text = "its other keepers are asked what has been computed"
        return explain(Reason.LEARNING, text)
    return why_not_granted(now) if now.open else _why_nothing_open(now)


def _why_nothing_open(now: JobSituation) -> ReasonFacts | None:
    """Return why a job has no task to hand out, or None if it is done."""
    if now.left:
        text = f"its other keepers hand out its {counted(now.left, 'open task')}"
        return explain(Reason.LEFT_TO_OTHERS, text)
    if now.sealed:
        return None
    return explain(Reason.NO_ARGUMENTS, "all tasks that it has so far are done")


def why_not_granted(now: JobSituation) -> ReasonFacts:
    """Return why no peer is given the open tasks of a job."""
    excluded = excluded_by(now.python, now.needs, now.prospects)
    peers = len(now.prospects)
    asking = [one for one in now.prospects if one.offer.slots and not one.why]
    if not asking:
        text = "no peer offers a slot to this machine's jobs"
        return explain(Reason.NO_VOLUNTEER, text, excluded, peers)
    asking = [one for one in asking if not one.barred]
    if not asking:
        text = (
            "only this machine, and peers that count as its own, may compute it, and "
            "none of them offers a slot"
        )
        return explain(Reason.NOT_TRUSTED, text, excluded, peers)
    missing = [one.lacks(now.python, now.needs) for one in asking]
    fitting = [one for one, lack in zip(asking, missing, strict=True) if lack is None]
    if not fitting:
        lack = Counter(one for one in missing if one is not None).most_common(1)[0][0]
        text = f"it needs {lack.words}, and {_none_of(len(asking))}"
        return explain(_NOBODY_HAS[lack.kind], text, excluded, peers)
    if not any(one.idle for one in fitting):
        slots = f"all slots of {counted(len(fitting), 'peer')} that could compute it"
        return explain(Reason.ALL_BUSY, f"{slots} are busy", excluded, peers)
    return explain(
        Reason.STARTING, "a peer is about to take its tasks", excluded, peers
    )


def excluded_by(
    python: str | None, needs: Needs, prospects: Iterable[Prospect]
) -> tuple[ExcludedFacts, ...]:
    """Return how many peers can't compute a job now, and what keeps them from it."""
    found = Counter(_obstacle(python, needs, one) for one in prospects)
    found.pop(None, None)
    return tuple(
        ExcludedFacts(count, *obstacle)
        for obstacle, count in sorted(
            found.items(), key=lambda item: (-item[1], item[0] or ("", ""))
        )
        if obstacle is not None
    )


def _obstacle(
    python: str | None, needs: Needs, peer: Prospect
) -> tuple[str, str] | None:
    """Return what keeps a peer from a job, as a code and in a few words, or None."""
    if peer.slots == 0:
        return Reason.NO_SLOTS.value, _SHORT[Reason.NO_SLOTS]
    if peer.why:
        return peer.why, _short(peer.why)
    if not peer.offer.slots:
        return Reason.NO_VOLUNTEER.value, "do not ask this machine for work"
    if peer.barred:
        return Reason.NOT_TRUSTED.value, _SHORT[Reason.NOT_TRUSTED]
    lack = peer.lacks(python, needs)
    if lack is not None:
        return _NOBODY_HAS[lack.kind].value, _lacking(lack)
    if not peer.idle:
        return Reason.ALL_BUSY.value, "busy"
    if peer.lost:
        return Reason.ONE_AT_A_TIME.value, "have lost it before"
    return None


def _short(code: str) -> str:
    """Say a peer's own reason in a few words; it may be newer than we are."""
    known = {reason.value: text for reason, text in _SHORT.items()}
    return known.get(code, code.replace("-", " "))


def _lacking(lack: Lack) -> str:
    words = {
        "package": f"no {lack.what}",
        "python": f"need {lack.words}",
        "sandbox": _SHORT[Reason.SANDBOX_TOO_WEAK],
        "memory": "give less memory",
    }
    return words.get(lack.kind, f"not {lack.what}")


def _none_of(count: int) -> str:
    if count == 1:
        return "the 1 peer that offers slots does not have it"
    return f"none of the {count} peers that offer slots has it"
