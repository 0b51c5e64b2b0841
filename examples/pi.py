"""Estimate π by throwing darts, on whatever grid this machine belongs to.

    python examples/pi.py --batches 400

The darts are random, and yet two runs with the same batches can be compared: the grid
seeds `random` anew for each task.
"""

from __future__ import annotations

import argparse
import math
from random import random

import p2pslinger as slinger

#: Darts in one task: a few hundredths of a second of work.
DARTS = 200_000


def hits(darts: int) -> int:
    """Throw darts at the unit square; count those inside the quarter circle."""
    return sum(random() ** 2 + random() ** 2 < 1.0 for _ in range(darts))


def main() -> None:
    """Throw, count, and say how far off the estimate is."""
    parser = argparse.ArgumentParser(description="Estimate π on a grid.")
    parser.add_argument("--batches", type=int, default=200, help="tasks")
    batches = parser.parse_args().batches
    if batches < 1:
        parser.error("there have to be darts: --batches 1 or more")

    with slinger.connect() as grid:
        inside = sum(grid.map(hits, [DARTS] * batches, progress=True))
    thrown = DARTS * batches
    estimate = 4 * inside / thrown
    expected = math.sqrt(math.pi * (4 - math.pi) / thrown)
    print(f"{thrown:,} darts: π ≈ {estimate:.6f}")
    print(f"off by {abs(estimate - math.pi):.6f}; {expected:.6f} is to be expected")


if __name__ == "__main__":
    main()
