"""What came of a range of tasks: their values, and the exceptions of those that failed.

A range that can't be read costs its own tasks their results, and nobody else's.
"""

from __future__ import annotations

from collections.abc import Sequence

from p2pslinger.client.failures import error_of
from p2pslinger.client.named import Named
from p2pslinger.client.values import NOBODY, Trust, unpack_values
from p2pslinger.errors import PeerError, SlingerError
from p2pslinger.wire.control import RangeOut

#: One value for each task, meaningless where there is an error; errors by index.
Outcomes = tuple[Sequence[object], dict[int, Exception]]


def outcomes_of(
    out: RangeOut, data: bytes | SlingerError, trust: Trust, named: Named = NOBODY
) -> Outcomes:
    """Decode a range.

    Args:
        out: What came of it.
        data: Its values, or why they did not come.
        trust: How far they are decoded.
        named: Types that are decoded even if that is not far.
    """
    errors = {one.index: error_of(one, trust) for one in out.failures}
    try:
        return _values_of(out, data, trust, named), errors
    except SlingerError as error:
        tasks = range(out.start, out.stop)
        return [None] * len(tasks), dict.fromkeys(tasks, error) | errors


def _values_of(
    out: RangeOut, data: bytes | SlingerError, trust: Trust, named: Named
) -> Sequence[object]:
    if isinstance(data, SlingerError):
        raise data
    values = unpack_values(out.form, data, trust, named)
    if len(values) != out.stop - out.start:
        raise PeerError(
            f"sent {len(values)} values for the {out.stop - out.start} tasks from "
            f"{out.start} on: submit them again"
        )
    return values
