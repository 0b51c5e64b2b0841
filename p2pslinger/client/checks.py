"""How a started job's results are to be compared, as a program says it."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from p2pslinger import limits
from p2pslinger.errors import UsageError
from p2pslinger.wire.manifest import ADAPTIVE, NEVER, Policy

#: How many peers compute each task: one; two where its record asks for it; so many.
Replicate = Literal["never", "adaptive"] | int

#: How far numbers may be apart: as a part of the larger, and perhaps as a difference.
Tolerance = float | tuple[float, float]


def with_checks(
    policy: Policy, replicate: Replicate, tolerance: Tolerance | None
) -> Policy:
    """Return a policy that has results compared.

    Raises:
        UsageError: there is no such way to, or the tolerance is none.
    """
    relative, absolute = _tolerance(tolerance)
    return msgspec.structs.replace(
        policy, replicate=_replicate(replicate), relative=relative, absolute=absolute
    )


def _replicate(said: Replicate) -> int:
    if said in {"never", "adaptive"}:
        return NEVER if said == "never" else ADAPTIVE
    whole = isinstance(said, int) and not isinstance(said, bool)
    if not whole or not 2 <= int(said) <= limits.REPLICATE:
        raise UsageError(
            f'replicate is {said!r}: say "never", "adaptive", or by how many peers '
            f"each task is to be computed, 2 to {limits.REPLICATE}"
        )
    return int(said)


def _tolerance(said: Tolerance | None) -> tuple[float, float]:
    both = said if isinstance(said, tuple) else (said or 0.0, 0.0)
    try:
        relative, absolute = map(float, both)
    except (TypeError, ValueError):
        relative = absolute = math.nan
    if not (0 <= relative < 1 and 0 <= absolute < math.inf):
        raise UsageError(
            f"tolerance is {said!r}: say how far numbers may be apart as a part of the "
            "larger, such as 1e-9, or (1e-9, 1e-12) with a difference that is always "
            "allowed"
        )
    return relative, min(absolute, 1e300)
