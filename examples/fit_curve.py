"""Fit a noisy curve with scipy's differential evolution, its generations on the grid.

    pip install scipy
    python examples/fit_curve.py

Whatever takes a pool's `map` takes a grid's: `workers=grid.map` is all there is to it.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Sequence

from scipy.optimize import differential_evolution

import p2pslinger as slinger

#: Amplitude, frequency, decay: what the data is made with, and what is to be found.
TRUE = (2.0, 1.5, 0.3)

#: Where each of them is looked for.
BOUNDS = [(0.1, 5.0), (0.1, 4.0), (0.0, 2.0)]

TIMES = [i / 50 for i in range(500)]


def curve(t: float, parameters: Sequence[float]) -> float:
    """Return a damped oscillation's value."""
    amplitude, frequency, decay = parameters
    return amplitude * math.exp(-decay * t) * math.cos(frequency * t)


def noisy() -> list[float]:
    """Return what a bad instrument would have measured."""
    chance = random.Random(1)
    return [curve(t, TRUE) + chance.gauss(0, 0.1) for t in TIMES]


MEASURED = noisy()


def misfit(parameters: Sequence[float]) -> float:
    """Return how far a curve is from what was measured: a sum of squares."""
    return sum(
        (curve(t, parameters) - y) ** 2 for t, y in zip(TIMES, MEASURED, strict=True)
    )


def main() -> None:
    """Fit, and compare with the truth."""
    parser = argparse.ArgumentParser(description="Fit a curve on a grid.")
    parser.add_argument("--generations", type=int, default=40, help="at most")
    generations = parser.parse_args().generations

    with slinger.connect() as grid:
        found = differential_evolution(
            misfit,
            BOUNDS,
            maxiter=generations,
            rng=1,
            updating="deferred",
            workers=grid.map,
        )
    print("found:", ", ".join(f"{value:.3f}" for value in found.x))
    print("true: ", ", ".join(f"{value:.3f}" for value in TRUE))
    print(f"{found.nfev:,} curves in {found.nit} generations")


if __name__ == "__main__":
    main()
