"""No descriptor but one's own: whatever else is open here is somebody else's."""

from __future__ import annotations

import os
from collections.abc import Collection


def close_others(kept: Collection[int]) -> None:
    """Close every descriptor but these and the three standard ones."""
    try:
        every = [int(name) for name in os.listdir("/dev/fd")]
    except OSError:
        every = list(range(os.sysconf("SC_OPEN_MAX")))
    for descriptor in every:
        if descriptor > 2 and descriptor not in kept:
            try:
                os.close(descriptor)
            except OSError:
                pass  # the list's own, or none
