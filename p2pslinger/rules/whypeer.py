"""Why a peer does not compute: from what is known of it to one reason.

The first thing that keeps it from computing is the reason; what comes later would not
help before that is gone. So the order is from the machine outwards: its slots, its
owner's wishes, the jobs that there are.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from p2pslinger.rules.fitting import Lack
from p2pslinger.rules.reasons import Reason, counted, explain
from p2pslinger.wire.facts import ReasonFacts


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
        misfits: What it lacks for each of the open jobs that it would compute, and
            can't.
        unreachable: Open jobs, of those, none of whose keepers can be reached.
        withheld: Why its owner's preferences keep it from others' work, or None.
        fetching: Slots whose tasks' data is on its way.
        paused: Those of the own jobs that are paused.
        probing: It is not known yet how well it can confine others' work.
    """

    wanted: int
    ready: int
    busy: int
    broken: str
    neighbours: int
    own: int
    others: int
    unconfined: str
    misfits: tuple[Lack, ...]
    unreachable: int
    withheld: ReasonFacts | None = None
    fetching: int = 0
    paused: int = 0
    probing: bool = False


def why_idle(now: PeerSituation) -> ReasonFacts | None:
    """Return why a peer is not computing, or None if it is."""
    if now.busy:
        return None
    unable = _why_unable(now)
    if unable is not None:
        return unable
    if now.fetching:
        tasks = "the task of 1 slot needs" if now.fetching == 1 else "tasks need"
        return explain(Reason.FETCHING, f"what {tasks} is on its way here")
    if now.own + now.others == 0:
        if now.withheld is not None:  # whoever paused it wants to see that it is
            return now.withheld
        if now.neighbours == 0:
            return explain(Reason.ALONE, "no job is open, and no other peer is known")
        return explain(Reason.NO_WORK, "no job is open in the grid")
    return _why_not_these(now)


def why_not_for_others(now: PeerSituation) -> ReasonFacts | None:
    """Return what keeps a peer from others' work, whatever jobs there are, or None.

    This is what its card says.
    """
    unable = _why_unable(now)
    if unable is not None:
        return unable if unable.code != Reason.SLOTS_STARTING else None
    if now.unconfined and not now.probing:
        return explain(Reason.SANDBOX_TOO_WEAK, now.unconfined)
    return now.withheld


def _why_unable(now: PeerSituation) -> ReasonFacts | None:
    """Return why a peer can compute nothing at all, or None."""
    if now.wanted == 0:
        return explain(Reason.NO_SLOTS, "this peer has no slots")
    if now.ready == 0 and now.broken:
        return explain(Reason.SLOTS_BROKEN, f"no slot starts: {now.broken}")
    if now.ready == 0:
        return explain(Reason.SLOTS_STARTING, "its slots are being started")
    return None


def _why_not_these(now: PeerSituation) -> ReasonFacts:
    """Return why a peer's ready slots do nothing, although jobs are open."""
    waiting = now.own - now.paused  # of its own machine, that could go on
    if waiting == 0:
        if now.others == 0:
            text = f"{_all_jobs(now.own)} paused"
            return explain(Reason.JOBS_PAUSED, text)
        if now.unconfined:
            text = f"{_others(now.others)}, and {now.unconfined}"
            weak = Reason.PROBING if now.probing else Reason.SANDBOX_TOO_WEAK
            return explain(weak, text)
        if now.withheld is not None:
            return now.withheld
    abroad = not now.unconfined and now.withheld is None
    possible = waiting + (now.others if abroad else 0)
    if now.misfits and len(now.misfits) >= possible:
        return _misfit(now.misfits)
    if now.unreachable:
        keepers = f"the keepers of {counted(now.unreachable, 'open job')}"
        return explain(Reason.KEEPER_AWAY, f"{keepers} can't be reached")
    return explain(Reason.ALL_TAKEN, "all tasks of the open jobs are taken")


def _misfit(misfits: tuple[Lack, ...]) -> ReasonFacts:
    """Return what a peer lacks for each open job."""
    reasons = {
        "python": Reason.OTHER_PYTHON,
        "platform": Reason.OTHER_PLATFORM,
        "package": Reason.LACKS_PACKAGE,
        "sandbox": Reason.SANDBOX_TOO_WEAK,
        "memory": Reason.LESS_MEMORY,
    }
    missing = Counter(misfits).most_common()
    first, _ = missing[0]
    if len(missing) == 1:
        needs = "needs" if len(misfits) == 1 else "need"
        jobs = (
            "the 1 open job" if len(misfits) == 1 else f"all {len(misfits)} open jobs"
        )
        text = f"{jobs} {needs} {first.words}, which this peer does not have"
    else:
        parts = [f"{lack.words} ({counted(jobs, 'job')})" for lack, jobs in missing[:5]]
        text = f"this peer does not have what open jobs need: {', '.join(parts)}"
    return explain(reasons[first.kind], text)


def _others(count: int) -> str:
    if count == 1:
        return "the 1 open job is another member's"
    return f"the {count} open jobs are other members'"


def _all_jobs(count: int) -> str:
    return "the 1 open job is" if count == 1 else f"all {count} open jobs are"
