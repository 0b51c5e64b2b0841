"""What the answers for one job mean for the volunteers who gave them.

The submitter's peer remembers it for all its jobs. A keeper that stands in for it goes
by what it sees of this job, and remembers nothing: the owner will see the same answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from p2pslinger.ids import JobId, PeerId, short
from p2pslinger.peer.durable.means import Means
from p2pslinger.peer.events import Noted
from p2pslinger.rules.agreement import Finding, State
from p2pslinger.rules.reputation import Evidence, Record, Reputation


class Repute:
    """Praises, doubts and strikes.

    Args:
        job: The job.
        means: What knows the volunteers.
        decides: Tells whether this peer decides for the job.
    """

    def __init__(self, job: JobId, means: Means, decides: Callable[[], bool]) -> None:
        self._job = job
        self._company = means.company
        self._events = means.events
        self._me = means.me.id
        self._decides = decides
        self._evidence = Evidence()
        self._strangers = Reputation()  # where they work for somebody else

    def is_checked(self, volunteer: PeerId, draw: float) -> bool:
        """Tell whether a result of a volunteer is to be checked, given some chance."""
        if volunteer == self._me and self._decides():
            return False  # our own machine
        return self._known.is_checked(volunteer, draw)

    def is_doubted(self, volunteer: PeerId) -> bool:
        """Tell whether a volunteer has given wrong results lately."""
        return self._known.of(volunteer).strikes > 0

    def heed(self, found: Sequence[Finding]) -> None:
        """Take in what comparing the answers for one range has shown."""
        agreed = [one for one in found if one.state is State.AGREED]
        torn = any(one.state is State.IRREPRODUCIBLE for one in found)
        open_ = [one.votes for one in found if one.state is State.DISPUTED]
        wrong = frozenset[PeerId]().union(*(one.against for one in agreed))
        right = frozenset[PeerId]().union(*(one.with_it for one in agreed))
        right -= wrong.union(*open_)
        if wrong or torn:
            self._evidence.disagreed(frozenset() if torn else wrong)
        elif agreed:
            self._evidence.agreed += 1
        for volunteer in sorted(wrong):
            self._doubt(volunteer, 0 if torn else self._independent(right))
        for volunteer in sorted(right - {self._me}):
            self._learn(volunteer, self._known.of(volunteer).praised())

    @property
    def _known(self) -> Reputation:
        return self._company.reputation if self._decides() else self._strangers

    def _learn(self, volunteer: PeerId, record: Record) -> None:
        if self._decides():
            self._company.learn(volunteer, record)
        else:
            self._strangers.records[volunteer] = record

    def _doubt(self, volunteer: PeerId, against: int) -> None:
        convicted = self._evidence.convicts(volunteer, against)
        if not convicted or not self._decides() or volunteer == self._me:
            self._learn(volunteer, self._known.of(volunteer).doubted())
            return
        self._company.struck(volunteer)
        text = (
            f"peer {short(volunteer)} has given wrong results of job {short(self._job)}"
            f", as {against} others say: it gets no more work of this machine's for a "
            "while"
        )
        self._events.emit(Noted(text))

    def _independent(self, peers: Iterable[PeerId]) -> int:
        """Count peers of which no two may be the same person."""
        counted: list[PeerId] = []
        for peer in sorted(peers):
            if self._company.is_independent(peer) and all(
                self._company.apart(peer, other) for other in counted
            ):
                counted.append(peer)
        return len(counted)
