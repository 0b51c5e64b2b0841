"""What several peers have answered for the same tasks, and what follows from it.

Every task is looked at by itself. Answers that are alike (`likeness`) stand together;
those that nobody can compare count for nothing. Then a task is

    alone            one answer counts, so far
    agreed           most answers are alike, and they are two or more
    disputed         no answer has most of them, and another could decide
    irreproducible   no answer has most of them, and there will not be more

A volunteer has one vote: of several answers the one with the lowest batch id counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby, pairwise

from p2pslinger.errors import PeerError
from p2pslinger.ids import PeerId
from p2pslinger.rules.likeness import (
    Effort,
    Likeness,
    Tolerance,
    alike,
    alike_pictures,
)
from p2pslinger.rules.outcomes import Range
from p2pslinger.rules.picture import Made, UnreadableError, picture
from p2pslinger.rules.spans import Span
from p2pslinger.wire.packed import unpack_items
from p2pslinger.wire.records import RangeResult

#: Failures that are a task's own; others are its machine's, and say nothing of it.
OWN_FAILURE = "raised"

#: Instructions for a list of plain values, for each of them and for the list.
A_SCALAR, A_LIST = 6, 64

#: Forms of values (`p2pslinger.sandbox.packed`).
_SCALARS = 0


class State(Enum):
    """How the answers for a task stand to each other."""

    ALONE = "alone"
    AGREED = "agreed"
    DISPUTED = "disputed"
    IRREPRODUCIBLE = "irreproducible"


@dataclass(frozen=True, slots=True)
class Failed:
    """A task has failed, with an exception of this type if it is the task's own."""

    kind: str
    type: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """A value that came in a list of plain ones."""

    picture: object


#: What one volunteer says of one task; None where it can't be read.
Answer = bytes | memoryview | Drawn | Failed | None


@dataclass(frozen=True, slots=True)
class Vote:
    """What a volunteer says of the tasks of one range."""

    range: Range
    answers: Sequence[Answer]
    whole: object

    def answer(self, task: int) -> Answer:
        """Return what it says of a task of its range."""
        return self.answers[task - self.range.start] if self.answers else None


@dataclass(frozen=True, slots=True)
class Finding:
    """What the answers for [start, stop) come to.

    Attributes:
        start: First task.
        stop: One after the last.
        state: How the answers stand to each other.
        chosen: The range whose answer counts, as far as this tells: the first of those
            that most agree with, or of all.
        with_it: Who has answered like that.
        against: Who has answered otherwise, by a value.
        votes: Whose answers count for something.
    """

    start: int
    stop: int
    state: State
    chosen: Range
    with_it: frozenset[PeerId]
    against: frozenset[PeerId]
    votes: frozenset[PeerId]


def vote(of: Range, result: RangeResult, values: bytes | memoryview) -> Vote:
    """Read a range of results, without decoding any value.

    Args:
        of: The range.
        result: As its volunteer signed it.
        values: The values' bytes.
    """
    failed = {one.index: Failed(one.kind, one.type) for one in result.failures}
    own = tuple((index, one) for index, one in failed.items())
    whole = (result.start, result.stop, result.form, own, bytes(values))
    return Vote(of, _answers(result, values, failed), whole)


def findings(
    votes: Iterable[Vote],
    start: int,
    stop: int,
    *,
    most: int,
    tolerance: Tolerance,
) -> list[Finding]:
    """Return what the answers for [start, stop) come to; nothing where there are none.

    Args:
        votes: All of them, in any order.
        start: First task.
        stop: One after the last.
        most: Votes that a task may have.
        tolerance: How far numbers may be apart.
    """
    ordered = sorted(votes, key=lambda one: (one.range.batch, one.range.place))
    borders = {start, stop}
    for one in ordered:
        borders |= {b for b in (one.range.start, one.range.stop) if start < b < stop}
    cuts, found, effort = sorted(borders), list[Finding](), Effort()
    for low, high in pairwise(cuts):
        here = _one_each(
            [v for v in ordered if v.range.start <= low and high <= v.range.stop]
        )
        if not here:
            continue
        if len(here) == 1 or len({v.whole for v in here}) == 1:
            groups: list[list[Vote]] = [here]
            found.append(_finding((low, high), groups, here, most))
            continue
        tasks = [_at(t, here, most, tolerance, effort) for t in range(low, high)]
        found += _joined(tasks)
    return found


# --- one task -----------------------------------------------------------------------


def _at(
    task: int, votes: list[Vote], most: int, tolerance: Tolerance, effort: Effort
) -> Finding:
    groups: list[list[Vote]] = []
    for one in votes:
        likenesses = [
            compare(group[0].answer(task), one.answer(task), tolerance, effort)
            for group in groups
        ]
        if Likeness.ALIKE in likenesses:
            groups[likenesses.index(Likeness.ALIKE)].append(one)
        elif Likeness.UNCLEAR not in likenesses:
            groups.append([one])
    return _finding((task, task + 1), groups, votes, most, at=task)


def _finding(
    span: Span,
    groups: list[list[Vote]],
    votes: list[Vote],
    most: int,
    *,
    at: int | None = None,
) -> Finding:
    counted = sum(map(len, groups))
    best = max(groups, key=len)  # the first of the largest
    others = [one for group in groups if group is not best for one in group]
    if counted == 1:
        state = State.ALONE if len(votes) < most else State.IRREPRODUCIBLE
    elif 2 * len(best) > counted:
        state = State.AGREED
    else:
        state = State.DISPUTED if len(votes) < most else State.IRREPRODUCIBLE
    wrong = [
        one for one in others if at is None or not isinstance(one.answer(at), Failed)
    ]
    return Finding(
        *span,
        state,
        (best if state is State.AGREED else votes)[0].range,
        frozenset(one.range.volunteer for one in best),
        frozenset(one.range.volunteer for one in wrong),
        frozenset(one.range.volunteer for one in votes),
    )


def compare(
    one: Answer, other: Answer, tolerance: Tolerance, effort: Effort | None = None
) -> Likeness:
    """Compare two answers for a task."""
    if isinstance(one, Failed) or isinstance(other, Failed):
        return _compare_failures(one, other)
    if one is None or other is None:
        return Likeness.UNCLEAR if one is other else Likeness.DIFFERENT
    if isinstance(one, Drawn) and isinstance(other, Drawn):
        return alike_pictures(one.picture, other.picture, tolerance, effort)
    if isinstance(one, Drawn) or isinstance(other, Drawn):
        return _compare_forms(one, other, tolerance, effort)
    return alike(one, other, tolerance, effort)


def _compare_failures(one: Answer, other: Answer) -> Likeness:
    if isinstance(one, Failed) and one == other:
        return Likeness.ALIKE
    failed = [a for a in (one, other) if isinstance(a, Failed)]
    if any(a.kind != OWN_FAILURE for a in failed):
        return Likeness.UNCLEAR
    return Likeness.DIFFERENT


def _compare_forms(
    one: Answer, other: Answer, tolerance: Tolerance, effort: Effort | None
) -> Likeness:
    """Compare a value of a list of plain ones with one that stands by itself."""
    try:
        drawn = [
            a.picture if isinstance(a, Drawn) else picture(a)  # type: ignore[arg-type]
            for a in (one, other)
        ]
    except UnreadableError:
        return Likeness.DIFFERENT
    return alike_pictures(drawn[0], drawn[1], tolerance, effort)


# --- many tasks ---------------------------------------------------------------------


def _one_each(votes: list[Vote]) -> list[Vote]:
    """Return the first vote of each volunteer."""
    first: dict[PeerId, Vote] = {}
    for one in votes:
        first.setdefault(one.range.volunteer, one)
    return list(first.values())


def _joined(tasks: list[Finding]) -> list[Finding]:
    """Put neighbouring tasks together that say the same."""

    def saying(one: Finding) -> tuple[object, ...]:
        who = (one.with_it, one.against, one.votes)
        return one.state, one.chosen.batch, one.chosen.place, who

    joined = []
    for _, group in groupby(tasks, saying):
        same = list(group)
        last = same[-1]
        joined.append(
            Finding(
                same[0].start,
                last.stop,
                last.state,
                last.chosen,
                last.with_it,
                last.against,
                last.votes,
            )
        )
    return joined


def _answers(
    result: RangeResult, values: bytes | memoryview, failed: dict[int, Failed]
) -> Sequence[Answer]:
    """Return a range's answers; none if they can't be read."""
    count = result.stop - result.start
    try:
        answers = _read(result.form, values, count)
    except PeerError:
        return ()
    if len(answers) != count:
        return ()
    for index, failure in failed.items():
        if result.start <= index < result.stop:
            answers[index - result.start] = failure
    return answers


def _read(form: int, values: bytes | memoryview, count: int) -> list[Answer]:
    if form != _SCALARS:
        return list(unpack_items(values))
    drawn = picture(values, most=A_SCALAR * count + A_LIST)
    if not isinstance(drawn, Made) or drawn.kind != "list":
        raise UnreadableError("sent something else than a list of values")
    return [Drawn(part) for part in drawn.parts]
