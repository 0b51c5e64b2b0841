"""Machines that nobody can dial are full members: they dial."""

from __future__ import annotations

from tests.grid import tasks
from tests.lab.lab import Lab


def test_a_volunteer_behind_a_router_computes_for_others(lab: Lab) -> None:
    anna = lab.machine("anna").up(slots=0)
    nora = lab.machine_at_home("nora").up(anna)
    anna.meets(nora)

    with anna.grid() as grid:
        assert list(grid.map(tasks.nap, range(60))) == list(range(60))
        (row,) = grid.tally()
        assert (row.name, row.tasks) == ("nora", 60)


def test_a_submitter_behind_a_router_has_its_work_done_by_others(lab: Lab) -> None:
    anna, bert, cleo = lab.grid("anna", "bert", "cleo")
    nora = lab.machine_at_home("nora").up(anna, slots=0)
    nora.meets(anna, bert, cleo)

    with nora.grid() as grid:
        assert list(grid.map(tasks.nap, range(60))) == list(range(60))
        assert {row.name for row in grid.tally()} == {"bert", "cleo"}


def test_two_machines_that_nobody_can_dial_work_through_one_that_all_can(
    lab: Lab,
) -> None:
    anna = lab.machine("anna").up()
    nora = lab.machine_at_home("nora").up(anna)
    nils = lab.machine_at_home("nils").up(anna)
    anna.meets(nora, nils)

    for machine in (nora, nils):
        with machine.grid() as grid:
            assert list(grid.map(tasks.nap, range(40))) == list(range(40))
            assert "anna" in {row.name for row in grid.tally()}
