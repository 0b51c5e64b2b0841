"""What is known of one job's tasks, and what can be asked about them.

The state behind the board (`p2pslinger.rules.board`), which alone changes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from p2pslinger.ids import JobId, PeerId
from p2pslinger.limits import ATTEMPTS, LEASE
from p2pslinger.rules.chunking import Pace
from p2pslinger.rules.copies import Copies
from p2pslinger.rules.delivery import Credit
from p2pslinger.rules.grants import Held, Ledger
from p2pslinger.rules.parts import Parts
from p2pslinger.rules.spans import Spans
from p2pslinger.rules.tries import Tries
from p2pslinger.rules.where import Where


@dataclass
class Tasks:
    """One job's tasks, and what is known of them.

    Args:
        job: Its id.
        key: Secret for the MACs, 32 bytes, shared by the job's keepers.
        lease: Seconds a grant lives without renewal.
        attempts: Tries of a task that kills its process.
        numbers: Numbers for grants, shared by all jobs of a keeper.
    """

    job: JobId
    key: bytes = field(repr=False)
    lease: float = LEASE
    attempts: int = ATTEMPTS
    numbers: Iterator[int] | None = None
    #: Tasks appended so far.
    total: int = 0
    #: Of the newest control record, and what it says of the job's turn.
    sequence: int = 0
    priority: int = 0
    #: Nothing more will be appended.
    sealed: bool = False
    #: Nothing more will be computed.
    cancelled: bool = False
    #: Nothing is handed out for now.
    paused: bool = False
    #: Nothing is handed out before we know what others have.
    waits: bool = False
    #: Other keepers' open tasks may be granted too.
    spare: bool = False
    #: The share of the last of those that is left to other helpers, 0 to 1.
    aside: float = 0.0
    #: Volunteers that get none of it, and whose results do not count.
    excluded: frozenset[PeerId] = frozenset()
    #: Tasks with an outcome, or withdrawn.
    done: Spans = field(default_factory=Spans)
    #: Who has done what.
    credits: dict[PeerId, Credit] = field(default_factory=dict)
    #: Tries that ended with their process or their volunteer.
    lost: int = 0
    pace: Pace = field(default_factory=Pace)

    def __post_init__(self) -> None:
        self._ledger = Ledger(self.job, self.key, self.lease, self.numbers)
        self._whole: int | None = None  # tasks in all, as a control record says
        self._open = Parts()
        #: What is to be computed again.
        self.copies = Copies()
        self._adopted = (
            0  # grants of others may reach up to this task, before it is here
        )
        self._tries = Tries()
        self._doubled = False  # a grant may have nothing left to do

    # --- what can be asked --------------------------------------------------------

    @property
    def rests(self) -> bool:
        """Whether nothing is handed out, whatever is open."""
        return self.cancelled or self.paused or self.waits

    @property
    def open(self) -> int:
        """Tasks that could be granted now."""
        if self.rests:
            return 0
        spare = self._open.theirs.count if self.spare else 0
        apart = len(self._open.apart(spare=self.spare)) if self._open.solo else 0
        return self._open.ours.count + apart + spare

    @property
    def stocked(self) -> bool:
        """Whether there may be something to grant: open tasks, or copies."""
        return bool(self.open or (self.copies.asked and not self.rests))

    @property
    def is_wary(self) -> bool:
        """Whether a task waits that has killed its process: who takes it matters."""
        return bool(self._open.solo)

    @property
    def left_to_others(self) -> int:
        """Open tasks that other keepers should hand out."""
        apart = len(self._open.solo) - len(self._open.apart(spare=False))
        return self._open.theirs.count + apart

    def is_ours(self, task: int) -> bool:
        """Tell whether a task is of our own part, and not another keeper's."""
        return self._open.is_ours(task)

    @property
    def running(self) -> int:
        """Tasks that are granted, once or more than once."""
        live = self._ledger.live()
        first = [held for held in live if held.number not in self.copies]
        return sum(held.stop - held.start for held in first)

    @property
    def suspended(self) -> int:
        """Those of them whose slot stands still."""
        live = [held for held in self._ledger.live() if held.suspended]
        first = [held for held in live if held.number not in self.copies]
        return sum(held.stop - held.start for held in first)

    @property
    def running_elsewhere(self) -> int:
        """Tasks that other keepers have granted, as far as they have told."""
        left = (self.done.missing(*span) for span in self._open.elsewhere())
        return sum(stop - start for some in left for start, stop in some)

    @property
    def suspended_elsewhere(self) -> int:
        """Those of them that stand still, as far as they have told."""
        return min(self._open.still(), self.running_elsewhere)

    @property
    def grants(self) -> int:
        """Live grants."""
        return len(self._ledger)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to compute or check, and nothing will be added."""
        whole = self.sealed and self.done.count >= self.total
        return self.cancelled or (whole and not self.copies.checks)

    @property
    def failed(self) -> int:
        """Tasks whose outcome is a failure."""
        return sum(credit.failures for credit in self.credits.values())

    def live(self) -> list[Held]:
        """Return the live grants."""
        return self._ledger.live()

    def where(self, task: int) -> Where:
        """Return what is known of one task."""
        held = [held for held in self._ledger.live() if held.start <= task < held.stop]
        tries = self._tries.of(task)
        return Where(
            task in self.done,
            held[0] if held else None,
            self._open.holder(task),
            task in self._open.solo,
            set(tries),
            len(tries),
            self._open.before(task),
            task in self._open.theirs,
        )

    def next_lapse(self) -> float | None:
        """Return when the first grant lapses unless it is renewed."""
        return self._ledger.next_lapse()
