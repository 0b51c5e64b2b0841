"""Volunteers that a job's owner has excluded: what only they did is done again.

The owner says it in a control record, so that every keeper of the job goes by it: whom
the owner's machine has banned, or found to give wrong results, gets none of the job's
tasks, whoever keeps it. What was accepted before stays; everything else of theirs does
not count, and is granted to others. Nobody is taken off the list again, so that all
replicas come to the same.
"""

from __future__ import annotations

from collections.abc import Iterable

from p2pslinger.ids import short
from p2pslinger.peer.durable.means import Means
from p2pslinger.peer.events import Noted
from p2pslinger.peer.seats import KeptJob
from p2pslinger.rules.outcomes import Range
from p2pslinger.rules.replica import Replica
from p2pslinger.rules.spans import Span, Spans
from p2pslinger.wire.records import Accepted

#: What became of a task, to go on after the name of who had it.
WHY = "the job's owner has excluded it, so that its result does not count"


class Excluding:
    """Has one job go on without the volunteers that its owner has excluded.

    Args:
        kept: The job.
        replica: Its items.
        means: What it works with.
    """

    def __init__(self, kept: KeptJob, replica: Replica, means: Means) -> None:
        self._kept = kept
        self._replica = replica
        self._means = means
        self._known = self._kept.board.excluded

    def refuses(self, one: Range) -> bool:
        """Tell whether a result that has come does not count, and say so."""
        if one.volunteer not in self._kept.board.excluded:
            return False
        if self._replica.is_accepted(one.batch):
            self._accept()
        else:
            self._note(one, (one.start, one.stop))
        return True

    def accepted(self, what: Iterable[Accepted]) -> None:
        """Leave alone what was accepted, whoever has computed it."""
        excluded, batches = self._kept.board.excluded, self._replica.batches
        if excluded and any(
            one.volunteer in excluded
            for accepted in what
            for one in batches.get(accepted.batch, ())
        ):
            self._accept()

    def look(self) -> list[Span]:
        """Have done again what does not count any more; return which tasks."""
        new = self._replica.standing.excluded - self._known
        if not new:
            return []
        self._known |= new
        have = self._accept()
        board, undone = self._kept.board, list[Span]()
        for low, high in have.missing(0, board.total):
            for span in board.redo(low, high):
                undone.append(span)
                for one in self._replica.answers.at(*span):
                    if one.volunteer in new:
                        self._note(one, span)
        tasks = sum(stop - start for start, stop in undone)
        if tasks:
            names = ", ".join(short(peer) for peer in sorted(new))
            text = f"{tasks} tasks of job {short(self._kept.id)} are computed again"
            self._means.events.emit(
                Noted(f"{text}: its owner has excluded who had done so, {names}")
            )
        return undone

    def _accept(self) -> Spans:
        """Tell the board what counts; return the tasks that have an outcome."""
        have, board = Spans(), self._kept.board
        for one in self._replica.outcomes():
            have.add(one.start, one.stop)
            if one.accepted:
                for span in board.done.missing(one.start, one.stop):
                    self._means.keeper.withdraw(self._kept, *span)
        return have

    def _note(self, one: Range, tasks: Span) -> None:
        start, stop = max(one.start, tasks[0]), min(one.stop, tasks[1])
        self._means.keeper.note(self._kept, one.volunteer, (start, stop), WHY)
