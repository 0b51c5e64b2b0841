"""What the contenders compute. Workers import this, so it imports next to nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

#: The picture: so many rows, each a task, of so many points.
ROWS, WIDTH = 96, 240

#: Most iterations for a point; a row takes some 20 ms.
DEPTH = 300


def same(x: int) -> int:
    """Do nothing."""
    return x


def all_same(xs: Iterable[int]) -> list[int]:
    """Do nothing to each: a chunk made by hand."""
    return [same(x) for x in xs]


def take(data: bytes) -> int:
    """Take an argument."""
    return len(data)


def give(size: int) -> bytes:
    """Give a result: made once in each process, so that making it is not measured."""
    if not hasattr(sys, "benchmark_payload"):
        setattr(sys, "benchmark_payload", os.urandom(size))  # noqa: B010 - for mypy
    data: bytes = getattr(sys, "benchmark_payload")  # noqa: B009 - for mypy
    return data


def row(number: int) -> int:
    """Compute one row of the Mandelbrot set; return the iterations that it took."""
    total = 0
    for column in range(WIDTH):
        c = complex(3.0 * column / WIDTH - 2.2, 2.4 * number / ROWS - 1.2)
        z, left = 0j, DEPTH
        while left and abs(z) <= 2:
            z = z * z + c
            left -= 1
        total += DEPTH - left
    return total
