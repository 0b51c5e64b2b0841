"""The answers for a job's tasks are read and compared, one range after the other.

Off the loop: values may be big, and comparing them takes its time. What comes of it
goes back to who has asked (`checking`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from p2pslinger.errors import SlingerError
from p2pslinger.ids import short
from p2pslinger.peer.durable.jobfile import JobFile
from p2pslinger.peer.durable.means import Means
from p2pslinger.peer.events import Noted
from p2pslinger.peer.seats import KeptJob
from p2pslinger.rules.agreement import Finding, findings, vote
from p2pslinger.rules.likeness import Tolerance
from p2pslinger.rules.outcomes import Range
from p2pslinger.rules.replica import Replica
from p2pslinger.rules.spans import Spans
from p2pslinger.wire.records import RangeResult


class Comparing:
    """Compares the answers for one job's tasks.

    Args:
        kept: The job.
        replica: Its items.
        file: Has the small values.
        means: What it works with.
        conclude: Takes what comparing has shown.
    """

    def __init__(
        self,
        kept: KeptJob,
        replica: Replica,
        file: JobFile,
        means: Means,
        *,
        conclude: Callable[[Sequence[Finding]], None],
    ) -> None:
        self._kept = kept
        self._replica = replica
        self._file = file
        self._means = means
        self._conclude = conclude
        policy = kept.manifest.policy
        self._most = policy.most_answers
        self._tolerance = Tolerance(policy.relative, policy.absolute)
        self._waiting = Spans()
        self._running = False

    @property
    def is_busy(self) -> bool:
        """Whether there are answers to be compared, or being compared."""
        return bool(self._waiting.count) or self._running

    def answers(self, start: int, stop: int) -> list[Range]:
        """Return the answers for any of [start, stop) that count."""
        excluded = self._replica.standing.excluded
        found = self._replica.answers.at(start, stop)
        return [one for one in found if one.volunteer not in excluded]

    def soon(self, start: int, stop: int) -> None:
        """Compare the answers for [start, stop) once those before are."""
        self._waiting.add(start, stop)
        if not self._running:
            self._running = self._means.owner.spawn(self._compare_all()) is not None

    async def _compare_all(self) -> None:
        try:
            while self._waiting.count:
                ((start, stop),) = self._waiting.first(1)
                self._waiting.remove(start, stop)
                try:
                    found = await self._compare(start, stop)
                except SlingerError as error:  # what is left can be, perhaps
                    of = f"results of job {short(self._kept.id)}"
                    self._means.events.emit(Noted(f"{of} can't be compared: {error}"))
                else:
                    self._conclude(found)
        finally:
            self._running = False
        self._means.keeper.settle(self._kept)  # it may be over now

    async def _compare(self, start: int, stop: int) -> list[Finding]:
        answers = []
        for one in self.answers(start, stop):
            found = self._file.range(one.batch, one.place)
            if found is not None:
                answers.append((one, found[1], await self._values(found[1])))

        def compare() -> list[Finding]:
            votes = [vote(*answer) for answer in answers]
            most, tolerance = self._most, self._tolerance
            return findings(votes, start, stop, most=most, tolerance=tolerance)

        return await self._means.library.disk(compare)

    async def _values(self, result: RangeResult) -> bytes:
        if not result.digest:
            return result.values
        return await self._means.library.read(result.digest)
