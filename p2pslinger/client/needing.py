"""What a program requires of the peers that compute its functions."""

from __future__ import annotations

from collections.abc import Iterable

from p2pslinger.wire.needs import NOTHING, Needs


def asked(
    requires: Iterable[str] | None, platform: str | None, default: Needs = NOTHING
) -> Needs:
    """Return what is required: what is given, else the default.

    Args:
        requires: Packages, as "numpy>=2".
        platform: "linux", "linux-x86_64" and the like.
        default: What holds if neither is given.

    Raises:
        UsageError: something in it is no requirement.
    """
    if requires is None and platform is None:
        return default
    from p2pslinger.rules.requirements import needs_of  # few programs need it

    return needs_of(
        default.packages if requires is None else requires,
        default.platform if platform is None else platform,
    )
