"""Receipts for durable jobs: what an owner says that each volunteer has contributed.

They are signed by the job key, whoever of its owners decides, and cumulative: the
newest for a volunteer replaces the others, so that nothing is counted twice. And they
are items of the job: so they reach every keeper, also those who were away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from p2pslinger.ids import JobId, PeerId
from p2pslinger.peer.durable.job import DurableJob
from p2pslinger.peer.durable.means import Means
from p2pslinger.rules.delivery import Credit
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.keeping import Item, Kind
from p2pslinger.wire.records import Receipt, seal


class Crediting:
    """Writes receipts for the jobs that this peer decides.

    Args:
        means: What signs, and tells the time.
        credited: Hands a receipt to the volunteer, if it is here.
    """

    def __init__(
        self, means: Means, credited: Callable[[PeerId, Signed], None]
    ) -> None:
        self._means = means
        self._credited = credited
        self._written: dict[JobId, dict[PeerId, Credit]] = {}

    def look(self, job: DurableJob) -> None:
        """Write receipts for what was accepted since the last ones."""
        if not job.deciding.decides or job.gone:
            return
        if job.id not in self._written and job.checking.is_comparing:
            return  # what was found out before this peer started, is again in a moment
        written = self._written.setdefault(job.id, {})
        credits = self._credits(job)
        for volunteer in written.keys() | job.replica.receipts.keys():
            credits.setdefault(volunteer, Credit())  # another owner saw it otherwise
        for volunteer, credit in credits.items():
            if written.get(volunteer) != credit:
                written[volunteer] = credit
                self._write(job, volunteer, credit)

    def _credits(self, job: DurableJob) -> dict[PeerId, Credit]:
        """Return what everybody has earned: by accepted results, and by checking."""
        credits = {
            volunteer: replace(credit)
            for volunteer, credit in job.deciding.credits().items()
        }
        for volunteer, credit in job.checking.credits().items():
            had = credits.setdefault(volunteer, Credit())
            had.checks += credit.checks
            had.cpu += credit.cpu
        return credits

    def forget(self, job: JobId) -> None:
        """A job is not here any more."""
        self._written.pop(job, None)

    def _write(self, job: DurableJob, volunteer: PeerId, credit: Credit) -> None:
        wall = self._means.wall()
        before = job.replica.receipts.get(volunteer)
        last = before[1].sequence if before is not None else 0  # the clock may be wrong
        receipt = Receipt(
            job.id,
            job.kept.submitter,
            volunteer,
            credit.tasks,
            credit.cpu,
            credit.failures,
            max(last + 1, int(wall * 1000)),
            wall,
            credit.checks,
        )
        assert job.key is not None  # as it decides
        signed = seal(receipt, job.key, self._means.grid)
        job.take(Item(Kind.RECEIPT, signed), trusted=True)
        self._credited(volunteer, signed)
