"""A network that falls in two, or that carries packets one way only, and recovers."""

from __future__ import annotations

import time

from tests.grid import tasks
from tests.grid.place import until, within
from tests.lab.lab import Lab

#: Seconds that the network is split: twice what it takes to take a silent peer for
#: gone. One of a minute is in tests/lab/test_durable.py.
SPLIT = 30.0

#: Seconds in which it must be noticed who is on the other side.
NOTICED = 60.0

#: Seconds in which two halves that can reach each other again must be one grid.
MERGING = 60.0


def test_the_halves_of_a_grid_compute_on_and_find_each_other_again(lab: Lab) -> None:
    machines = lab.grid("anna", "bert", "cleo", "dora")
    anna, bert, cleo, dora = machines

    with anna.grid() as one, cleo.grid() as other:
        under_way = one.map(tasks.nap, range(200))
        assert next(under_way) == 0
        lab.split([anna, bert], [cleo, dora])
        healing = time.monotonic() + SPLIT
        # What cleo and dora had begun is begun again by bert.
        assert list(under_way) == list(range(1, 200))
        assert list(other.map(tasks.nap, range(200))) == list(range(200))
        anna.meets(bert, seconds=NOTICED)
        cleo.meets(dora, seconds=NOTICED)
        until(lambda: time.monotonic() > healing, SPLIT)

        lab.heal()
        with within(MERGING):
            for machine in machines:
                machine.meets(*machines, seconds=MERGING)
        assert list(one.map(tasks.nap, range(200))) == list(range(200))
        assert {row.name for row in one.tally()} == {"bert", "cleo", "dora"}


def test_the_tasks_of_a_volunteer_that_hears_but_is_not_heard_go_to_others(
    lab: Lab,
) -> None:
    anna, bert, cleo = lab.grid("anna", "bert", "cleo")

    with anna.grid() as grid:
        results = grid.map(tasks.nap, range(80))
        until(lambda: len(grid.tally()) == 2)
        lab.cut([cleo], [anna, bert])
        assert list(results) == list(range(80))
