"""Results of one durable job are compared: which, by whom, and what comes of it.

1. A first result is checked as often as its volunteer's reputation asks for, or always
   if the job wants several answers for every task. It is *held*: not decided yet.
2. Somebody independent is given the same range. If nobody like that is here, or nobody
   begins within five seconds, the result counts as it is: *unchecked*, never a wait. A
   check that has begun may take some times as long as the first one.
3. Two answers that agree decide. Where they differ a third is asked for, and waited for
   longer, for one of them is wrong; where it does not help, the first counts, and the
   task is *not reproducible*.
4. What was accepted stays. What comes later speaks for or against volunteers only.

Who decides for the job does this, and while no owner is there, each keeper for its own
part of the tasks: then nothing is held, and the answers wait for the owner's return.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from blake3 import blake3

from p2pslinger.ids import PeerId
from p2pslinger.peer.durable.comparing import Comparing
from p2pslinger.peer.durable.jobfile import JobFile
from p2pslinger.peer.durable.means import Means
from p2pslinger.peer.durable.repute import Repute
from p2pslinger.peer.durable.settled import Settled
from p2pslinger.peer.seats import KeptJob
from p2pslinger.rules.agreement import Finding, State
from p2pslinger.rules.checkers import earned_by_checking
from p2pslinger.rules.delivery import Credit
from p2pslinger.rules.outcomes import Outcome, Range
from p2pslinger.rules.replica import Replica
from p2pslinger.rules.spans import Span, Spans
from p2pslinger.rules.verdicts import Verdicts
from p2pslinger.wire.agreeing import AgreementFacts
from p2pslinger.wire.manifest import ADAPTIVE

#: Seconds in which another peer must have begun to check a result.
BEGIN = 5.0

#: The same where there is doubt: two answers differ, or the first one's volunteer has
#: lied before.
DECIDE = 60.0

#: A check may take so many times what the first result took, and some seconds.
SLOWER, MARGIN = 3.0, 5.0


@dataclass(frozen=True, slots=True)
class Inquiry:
    """Tasks of which another answer is waited for.

    Attributes:
        start: First task.
        stop: One after the last.
        begin: When somebody must have begun, on the loop's clock.
        end: When the answer must be here.
    """

    start: int
    stop: int
    begin: float
    end: float


class Checking:
    """Has the results of one job compared.

    Args:
        kept: The job.
        replica: Its items.
        file: Has the small values.
        means: What it works with.
        decides: Tells whether this peer decides for the job.
        decide: Takes what is decided.
    """

    def __init__(
        self,
        kept: KeptJob,
        replica: Replica,
        file: JobFile,
        means: Means,
        *,
        decides: Callable[[], bool],
        decide: Callable[[list[Settled]], None],
    ) -> None:
        self._kept = kept
        self._replica = replica
        self._means = means
        self._policy = kept.manifest.policy
        self._decides = decides
        self._decide = decide
        self._loop = means.loop
        #: No owner is there: the keepers have results checked by themselves.
        self.stands_in = False
        #: What comparing has shown so far.
        self.verdicts = Verdicts()
        self._repute = Repute(kept.id, means, decides)
        self._credits: dict[PeerId, Credit] = {}
        self._credited_at = (0, 0)  # revisions of the replica and of the verdicts
        self._open: list[Inquiry] = []
        self._held = Spans()
        self._comparing = Comparing(kept, replica, file, means, conclude=self._conclude)
        self._timer: asyncio.TimerHandle | None = None

    # --- what comes in ----------------------------------------------------------------

    def arrived(self, one: Range, new: list[Span]) -> list[Span]:
        """Look at a result; return what of it may be decided now.

        Args:
            one: The result.
            new: What of it had no outcome before.
        """
        if not self._policy.replicate or one.lost or not self._acts(one):
            return new
        fresh = Spans()
        for span in new:
            fresh.add(*span)
        for low, high in fresh.missing(one.start, one.stop):
            self._comparing.soon(low, high)
        if not new or not self._is_checked(one):
            return new
        by = frozenset({one.volunteer})
        if not self._is_somebody_there(by):
            return new
        for span in new:
            self._inquire(span, by, one.wall)
        return []

    def review(self, found: Iterable[Outcome]) -> list[Settled]:
        """Look at outcomes that nobody has decided on; return what may be now."""
        ready: list[Settled] = []
        for one in found:
            of = one.range
            for low, high in self._held.missing(one.start, one.stop):
                rivals = self._comparing.answers(low, high)
                if of.lost or not self._policy.replicate:
                    spans = [(low, high)]
                elif any(other.volunteer != of.volunteer for other in rivals):
                    spans = []
                    self._hold(low, high, of.wall)
                    self._comparing.soon(low, high)
                else:
                    spans = self.arrived(
                        replace(of, start=low, stop=high), [(low, high)]
                    )
                ready += [Settled(a, b, of.batch, of.place) for a, b in spans]
        return ready

    def look_back(self) -> None:
        """See what the answers have shown that were here before this peer started."""
        if self._policy.replicate:
            for outcome in self._replica.outcomes():
                answers = self._replica.answers.at(outcome.start, outcome.stop)
                if outcome.accepted and len(answers) > 1:
                    self._comparing.soon(outcome.start, outcome.stop)

    def facts(self) -> AgreementFacts | None:
        """Return what comparing has shown, or None where nothing is compared."""
        replicate, done = self._policy.replicate, self._kept.board.done.count
        if not replicate:
            return None
        if self._decides():
            return self.verdicts.facts(replicate, done - self._held.count)
        several = self._replica.answers.several()
        single = max(0, done - several)
        return AgreementFacts(replicate, several, unchecked=single, judged=False)

    def credits(self) -> dict[PeerId, Credit]:
        """Return what volunteers have earned by answering as others did."""
        at = self._replica.revision, self.verdicts.revision
        if at != self._credited_at and self.verdicts.agreeing:
            self._credited_at = at
            agreeing, answers = self.verdicts.agreeing, self._comparing.answers
            found = self._replica.outcomes()
            self._credits = earned_by_checking(found, agreeing, answers)
        return self._credits

    @property
    def is_comparing(self) -> bool:
        """Whether there are answers to be compared."""
        return self._comparing.is_busy

    @property
    def is_waiting(self) -> bool:
        """Whether an answer is waited for, or compared."""
        return bool(self._open) or self._comparing.is_busy

    def close(self) -> None:
        """Nothing of the job is computed any more: decide on what is held."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for inquiry in self._open[:]:
            self._give_up(inquiry)

    def _acts(self, one: Range) -> bool:
        return self._decides() or (
            self.stands_in and self._kept.board.is_ours(one.start)
        )

    def _is_checked(self, one: Range) -> bool:
        if self._policy.replicate != ADAPTIVE:
            return True
        key = blake3(self._kept.board.key + self._replica.job).digest()
        text = one.batch + one.place.to_bytes(4, "big")
        drawn = int.from_bytes(blake3(text, key=key).digest(7), "big")
        return self._repute.is_checked(one.volunteer, drawn / (1 << 56))

    def _is_somebody_there(self, not_by: frozenset[PeerId]) -> bool:
        """Tell whether a volunteer is connected that could give another answer."""
        company, kept = self._means.company, self._kept
        return self._means.keeper.jobs.get(kept.id) is kept and any(
            seat.offer.slots
            and kept.fits(seat.offer, seat.peer)
            and not company.is_barred(seat.peer, kept.submitter)
            and all(company.apart(seat.peer, one) for one in not_by)
            for seat in self._means.keeper.seats.values()
        )

    # --- inquiries --------------------------------------------------------------------

    def _inquire(self, span: Span, not_by: frozenset[PeerId], wall: float) -> None:
        doubt = len(not_by) > 1 or any(map(self._repute.is_doubted, not_by))
        self._hold(*span, wall, DECIDE if doubt else BEGIN)
        self._kept.board.copies.drop(*span)  # asked for when less was known
        self._kept.board.again(*span, not_by, self._means.company.apart)
        self._means.keeper.settle(self._kept)

    def _hold(
        self, start: int, stop: int, wall: float, patience: float = BEGIN
    ) -> None:
        begin = self._loop.time() + patience
        age = max(0.0, self._means.wall() - self._kept.manifest.created)
        end = begin + MARGIN + SLOWER * min(wall, age)  # it is what a volunteer says
        self._open.append(Inquiry(start, stop, begin, end))
        self._held.add(start, stop)
        self._look_at(begin)

    def _look_at(self, when: float) -> None:
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._look)

    def _look(self) -> None:
        """Give up what has been waited for long enough."""
        self._timer = None
        now, copies = self._loop.time(), self._kept.board.copies
        dues = []
        for one in self._open[:]:
            running = copies.is_running(one.start, one.stop)
            due = one.end if running else one.begin
            if due > now:
                dues.append(due)
            elif self._may_come_later():
                self._take_first(one.start, one.stop)
                self._open[self._open.index(one)] = _later(one)
                dues.append(now + BEGIN)
            else:
                self._give_up(one)
        if dues:
            self._look_at(min(dues))
        self._means.keeper.settle(self._kept)

    def _may_come_later(self) -> bool:
        """Tell whether answers are wanted even where nobody waits for them."""
        board = self._kept.board
        asked = self._policy.replicate != ADAPTIVE or not self._decides()
        return asked and bool(board.open or board.left_to_others or board.grants)

    def _give_up(self, inquiry: Inquiry) -> None:
        """Wait for no more answers."""
        self._open.remove(inquiry)
        self._kept.board.copies.drop(inquiry.start, inquiry.stop)
        self._take_first(inquiry.start, inquiry.stop)

    def _take_first(self, start: int, stop: int) -> None:
        """Take the first answer: our own machine's, or a known peer's, if there is."""
        if self._held.missing(start, stop) == [(start, stop)]:
            return  # nobody waits for any of it
        left, answers = Spans(), self._comparing.answers(start, stop)
        for one in sorted(answers, key=self._rank):
            new = left.add(max(start, one.start), min(stop, one.stop))
            self._release([Settled(*span, one.batch, one.place) for span in new])
        self._held.remove(start, stop)

    def _rank(self, one: Range) -> tuple[bool, bool]:
        who = one.volunteer
        return who != self._means.me.id, not self._means.company.is_independent(who)

    def _release(self, found: list[Settled]) -> None:
        held = [
            one._replace(start=low, stop=high)
            for one in found
            for low, high in self._held.remove(one.start, one.stop)
        ]
        if held:
            self._decide(held)

    def _cut_out(self, start: int, stop: int) -> list[Inquiry]:
        """Return the inquiries into [start, stop), and leave those into the rest."""
        inside, kept = [], []
        for one in self._open:
            low, high = max(start, one.start), min(stop, one.stop)
            if low >= high:
                kept.append(one)
                continue
            inside.append(replace(one, start=low, stop=high))
            rest = [(one.start, low), (high, one.stop)]
            kept += [replace(one, start=a, stop=b) for a, b in rest if a < b]
        self._open = kept
        return inside

    # --- what comparing shows ---------------------------------------------------------

    def _conclude(self, found: Sequence[Finding]) -> None:
        """Carry out what comparing has shown."""
        fresh = []
        for one in found:
            inside = self._cut_out(one.start, one.stop)
            if inside and one.state is State.AGREED and not self._are_several(one):
                self._settle(replace(one, state=State.DISPUTED), inside)
                continue  # one person may be behind all who agree: they have one vote
            self.verdicts.add(one)
            if inside:
                fresh.append(one)
                self._settle(one, inside)
            elif one.state is State.DISPUTED and self._is_somebody_there(one.votes):
                fresh.append(one)  # accepted already; and yet somebody is wrong
                self._inquire((one.start, one.stop), one.votes, one.chosen.wall)
                self._held.remove(one.start, one.stop)
        self._repute.heed(fresh)
        self._means.keeper.settle(self._kept)

    def _are_several(self, one: Finding) -> bool:
        apart, agree = self._means.company.apart, one.with_it
        return any(apart(peer, other) for peer in agree for other in agree)

    def _settle(self, one: Finding, inquiries: list[Inquiry]) -> None:
        """Decide on tasks that are held, or go on asking."""
        enough = len(one.votes) >= self._policy.votes
        if one.state is State.AGREED or one.state is State.IRREPRODUCIBLE:
            chosen = one.chosen
            self._release([Settled(one.start, one.stop, chosen.batch, chosen.place)])
            asks = one.state is State.AGREED and not enough
        else:
            asks = one.state is State.DISPUTED or len(one.votes) < 2
        copies = self._kept.board.copies
        more = asks and len(one.votes) > 1 and self._is_somebody_there(one.votes)
        for inquiry in inquiries:
            start, stop = inquiry.start, inquiry.stop
            if more and not copies.is_running(start, stop):
                held = self._held.covers(start, stop)
                self._inquire((start, stop), one.votes, one.chosen.wall)
                if not held:
                    self._held.remove(start, stop)
                continue
            self._open.append(inquiry)
            if not asks:
                self._give_up(inquiry)  # else until its time has come


def _later(one: Inquiry) -> Inquiry:
    return replace(one, begin=one.begin + BEGIN, end=one.end + BEGIN)
