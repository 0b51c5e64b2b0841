"""What volunteers have earned by checking: answers that agree with an accepted one.

The answer that was accepted is credited to whoever gave it. Those of others that agree
with it took as much work, and made sure that it is right; who checks and contradicts,
or agrees with what was not accepted, gets nothing for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from p2pslinger.ids import PeerId
from p2pslinger.rules.delivery import Credit
from p2pslinger.rules.outcomes import Outcome, Range
from p2pslinger.rules.spans import Spans


def earned_by_checking(
    found: Iterable[Outcome],
    agreeing: Mapping[PeerId, Spans],
    answers: Callable[[int, int], Iterable[Range]],
) -> dict[PeerId, Credit]:
    """Return what volunteers have earned by checking others.

    Args:
        found: The outcomes.
        agreeing: Where each volunteer was one of those who agree.
        answers: Gives the answers for any of some tasks.
    """
    earned: dict[PeerId, Credit] = {}
    counted: dict[PeerId, Spans] = {}
    nowhere = Spans()
    for one in found:
        first = one.range.volunteer
        sure = agreeing.get(first, nowhere) if one.accepted else nowhere
        for low, high in sure.within(one.start, one.stop):
            for other in answers(low, high):
                who = other.volunteer
                if who == first:
                    continue
                start, stop = max(low, other.start), min(high, other.stop)
                for span in agreeing.get(who, nowhere).within(start, stop):
                    new = counted.setdefault(who, Spans()).add(*span)
                    tasks = sum(b - a for a, b in new)
                    credit = earned.setdefault(who, Credit())
                    credit.checks += tasks
                    credit.cpu += other.cpu * tasks / (other.stop - other.start)
    return earned
