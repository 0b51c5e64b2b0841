"""Chaos: whole grids under faults that a seed has chosen, and what must hold after all.

    python -m p2pslinger.testing.chaos --seeds 1000 --jobs 2
    python -m p2pslinger.testing.chaos --seed 4711

One seed is one trial: a plan (`plans`), carried out (`trial`) on a simulated grid with
its jobs (`workload`) and its bad weather (`weather`), and judged at its end
(`invariants`). A trial that fails tells its story, and can be had again by its seed.
"""
