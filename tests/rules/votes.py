"""Votes on tasks, in the words of tests."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

from p2pslinger.ids import PeerId
from p2pslinger.rules.agreement import Vote, vote
from p2pslinger.rules.outcomes import Range
from p2pslinger.wire.packed import pack_items
from p2pslinger.wire.records import Failure, RangeResult

JOB = b"j" * 20


def failure(index: int, kind: str = "raised", type_: str = "ValueError") -> Failure:
    return Failure(index, kind, type_, "", "", "", "", b"")


def a_range(
    who: PeerId, start: int, stop: int, *, batch: int = 0, failures: int = 0
) -> Range:
    """Return a range of results; the lower its batch, the earlier it counts."""
    return Range(
        batch=bytes([batch]) * 16,
        place=0,
        volunteer=who,
        start=start,
        stop=stop,
        failures=failures,
        lost=False,
        final=False,
        grant=batch,
        granted=(start, stop),
        mac=bytes([batch]) + who[:8],
        wall=1.0,
        cpu=1.0,
        blob=b"",
        size=0,
    )


def answered(
    who: PeerId,
    values: Sequence[object],
    *,
    start: int = 0,
    batch: int = 0,
    failures: tuple[Failure, ...] = (),
    plain: bool = False,
) -> Vote:
    """Return a volunteer's answers for the tasks from `start` on."""
    stop = start + len(values)
    if plain:
        data = pickle.dumps(list(values), 5)
    else:
        data = pack_items([pickle.dumps(value, 5) for value in values])
    of = a_range(who, start, stop, batch=batch, failures=len(failures))
    result = RangeResult(
        JOB,
        of.grant,
        of.granted,
        of.mac,
        start,
        stop,
        0 if plain else 1,
        data,
        b"",
        len(data),
        failures,
        False,
        1.0,
        1.0,
        b"",
    )
    return vote(of, result, data)
