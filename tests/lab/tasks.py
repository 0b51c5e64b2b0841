"""Functions that machines compute for each other. They travel with this file."""

from __future__ import annotations

import time


def slow_square(x: int) -> int:
    """Take a quarter of a second."""
    time.sleep(0.25)
    return x * x
