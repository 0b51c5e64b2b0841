"""What the tasks of a trial compute, and how to see by whom.

Every value says by whom it was computed, and each time anew: two values for one task
are never equal, so nobody can accept two of them unseen, nor credit the wrong peer. Yet
honest ones agree: what differs are floating-point numbers, within a tolerance.
"""

from __future__ import annotations

from itertools import count
from random import Random

from p2pslinger.testing.chaos.plans import NAMES
from p2pslinger.testing.grid import SimulatedPeer

#: Every so many tasks one fails, from this one on.
FAILS, FIRST_FAILURE = 31, 17

#: What a task returns, the number of who has computed it, and the how manieth value of
#: his it is.
Witnessed = tuple[int, float, float]

#: How far those two may be apart: any two.
TOLERANCE = 1e9


def task(argument: tuple[int, int]) -> int:
    """Compute one task: the numbers of its job and of the task go in."""
    job, number = argument
    if fails(number):
        raise ValueError(f"task {number} fails on purpose")
    return right_answer(job, number)


def fails(number: int) -> bool:
    """Return whether a task is one of those that fail."""
    return number % FAILS == FIRST_FAILURE


def right_answer(job: int, number: int) -> int:
    """Return what a task is to return."""
    return 1000 * number + job


def equip(peer: SimulatedPeer, seed: int, cost: tuple[float, float]) -> None:
    """Make a peer's slots as slow as the plan says, and its values witnessed."""
    chance = Random(f"slots of {peer.name} in chaos {seed}")
    numbers, me = count(1), float(NAMES.index(peer.name))
    peer.slots.cost = lambda _: chance.uniform(*cost)
    peer.slots.lie = lambda _, value: (value, me, float(next(numbers)))


def witness(number: float) -> str:
    """Return the name of the peer that has computed a value."""
    return NAMES[int(number)] if 0 <= number < len(NAMES) else f"nobody ({number})"
