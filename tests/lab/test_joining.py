"""A grid on a bad network: joining, computing, and losing whom everyone joined by."""

from __future__ import annotations

from tests.grid import tasks
from tests.grid.place import until
from tests.lab.lab import Lab


def test_a_grid_joins_and_computes_with_100_ms_of_delay_and_5_percent_of_loss(
    lab: Lab,
) -> None:
    lab.weather(delay=0.1, loss=0.05)
    anna, *_ = lab.grid("anna", "bert", "cleo", "dora")

    with anna.grid() as grid:
        assert list(grid.map(tasks.nap, range(100))) == list(range(100))
        assert {row.name for row in grid.tally()} == {"bert", "cleo", "dora"}


def test_a_newcomer_finds_a_grid_whose_bootstrap_is_gone_for_good(lab: Lab) -> None:
    bootstrap, anna, bert = lab.grid("bootstrap", "anna", "bert")
    late = lab.machine("late")
    bootstrap.kill()
    lab.split([bootstrap], [anna, bert, late])  # nothing there answers any more

    late.up(bootstrap, anna)
    late.meets(anna, bert)
    with late.grid() as grid:
        assert list(grid.map(tasks.nap, range(100))) == list(range(100))
        assert {row.name for row in grid.tally()} == {"anna", "bert", "late"}
    until(lambda: bootstrap.address in "".join(late.status().notes))


def test_a_peer_that_was_away_finds_its_neighbours_without_the_bootstrap(
    lab: Lab,
) -> None:
    bootstrap, anna, bert = lab.grid("bootstrap", "anna", "bert")
    bert.kill()
    bootstrap.kill()
    lab.split([bootstrap], [anna, bert])

    bert.up(bootstrap)
    bert.meets(anna)


def test_peers_of_a_lan_find_each_other_without_being_told(lab: Lab) -> None:
    anna, bert = lab.machine("anna"), lab.machine("bert")
    for machine in (anna, bert):
        machine.up(SLINGER_MDNS="yes")

    anna.meets(bert)
    with anna.grid() as grid:
        assert list(grid.map(tasks.square, range(100))) == [i * i for i in range(100)]
