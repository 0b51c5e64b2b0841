"""Which keeper hands out which tasks: all of them, and hardly one of them twice."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.ids import PeerId
from p2pslinger.rules.board import Board
from p2pslinger.rules.division import foreign
from p2pslinger.rules.grants import Held
from p2pslinger.rules.parts import Parts
from tests.rules.boards import ANN, BOB, EVE, JOB, KEY, death, offered

KEEPERS = tuple(PeerId(bytes([i]) * 20) for i in range(1, 6))
K1, K2, K3 = KEEPERS[:3]

Shards = list[tuple[int, int, int]]


@st.composite
def jobs(draw: st.DrawFn) -> tuple[Shards, tuple[PeerId, ...], set[PeerId]]:
    """Shards, keepers, and those of them that are silent."""
    shards: Shards = []
    base = 0
    for number in range(draw(st.integers(1, 4))):
        count = draw(st.integers(1, 7))
        shards.append((number, base, count))
        base += count
    keepers = KEEPERS[: draw(st.integers(1, 5))]
    return shards, keepers, draw(st.sets(st.sampled_from(keepers)))


def ours(
    shards: Shards, keepers: tuple[PeerId, ...], me: PeerId, silent: set[PeerId]
) -> set[int]:
    theirs = {
        task
        for low, high in foreign(shards, keepers, me, silent)
        for task in range(low, high)
    }
    total = sum(count for _, _, count in shards)
    return set(range(total)) - theirs


@given(jobs())
def test_every_task_is_handed_out_by_one_keeper_that_is_not_silent(
    job: tuple[Shards, tuple[PeerId, ...], set[PeerId]],
) -> None:
    shards, keepers, silent = job
    living = [one for one in keepers if one not in silent]
    parts = [ours(shards, keepers, one, silent) for one in living]
    total = sum(count for _, _, count in shards)

    if living:
        assert sorted(task for part in parts for task in part) == list(range(total))


@given(jobs())
def test_whoever_has_no_place_leaves_everything_to_those_that_are_heard_of(
    job: tuple[Shards, tuple[PeerId, ...], set[PeerId]],
) -> None:
    shards, keepers, silent = job
    extra = ours(shards, keepers, ANN, silent)
    assert bool(extra) == (silent == set(keepers))


@given(jobs())
def test_parts_of_those_that_are_heard_of_only_grow_when_another_is_silent(
    job: tuple[Shards, tuple[PeerId, ...], set[PeerId]],
) -> None:
    shards, keepers, silent = job
    for one in keepers:
        if one not in silent:
            assert ours(shards, keepers, one, set()) <= ours(
                shards, keepers, one, silent
            )


def test_a_single_shard_has_work_for_all() -> None:
    assert [
        len(ours([(0, 0, 9)], (K1, K2, K3), one, set())) for one in (K1, K2, K3)
    ] == [3, 3, 3]


# --- boards that share a job ----------------------------------------------------------


def keeper(me: PeerId, tasks: int = 2) -> Board:
    """Return the board of one of two keepers; each has the half of the tasks."""
    made = Board(JOB, KEY)
    made.append(tasks)
    made.divide(foreign([(0, 0, tasks)], (K1, K2), me, set()))
    return made


def grant(board: Board, volunteer: PeerId = ANN) -> Held:
    (held,) = board.grant(volunteer, places=1, now=0.0, others={ANN, BOB, EVE})
    return held


def tell(board: Board, held: Held) -> None:
    board.shared(K1, [(held.number, (held.start, held.stop))], ())


def test_what_another_has_granted_is_not_offered_even_if_help_is_wanted() -> None:
    one, two = keeper(K1), keeper(K2)
    tell(two, grant(one))
    two.spare = True

    assert offered(two, BOB) == [(1, 2)]
    assert offered(two, BOB) == []


def test_what_a_keeper_gives_away_is_handed_out_by_the_other_alone() -> None:
    one, two = keeper(K1, 8), keeper(K2, 8)
    given = one.give(idle=1, places=1)
    assert given == [(2, 4)]
    assert two.given(given) == 2

    assert [offered(one, ANN) for _ in range(3)] == [[(0, 1)], [(1, 2)], []]
    assert two.open == 6
    assert two.left_to_others == 2


def test_what_was_granted_meanwhile_is_not_handed_out_again_by_who_gets_it() -> None:
    two = keeper(K2, 8)
    two.shared(K1, [(7, (2, 3))], ())

    assert two.given([(2, 4)]) == 1
    two.shared(K1, (), [7])  # it came back: to whom it was given
    assert two.open == 6


def test_a_keeper_with_nothing_open_or_a_job_that_rests_gives_nothing() -> None:
    one = keeper(K1)
    grant(one)
    assert one.give(idle=5, places=1) == []
    paused = keeper(K1)
    paused.paused = True
    assert paused.give(idle=5, places=1) == []


def test_a_keeper_gives_idle_slots_their_share_of_many_tasks() -> None:
    one = keeper(K1, 2000)
    one.pace.measured(1, 1.0)
    given = one.give(idle=1, places=3)
    assert given == [(750, 1000)]


def test_what_another_has_ended_is_left_to_it() -> None:
    one, two = keeper(K1), keeper(K2)
    held = grant(one)
    tell(two, held)
    two.shared(K1, (), [held.number])

    assert offered(two, BOB) == [(1, 2)]
    assert two.left_to_others == 1


def test_a_new_division_leaves_grants_alone() -> None:
    one = keeper(K1)
    grant(one)
    one.divide(())
    assert offered(one, BOB) == [(1, 2)]
    one.divide([(0, 2)])
    assert one.open == one.left_to_others == 0


def test_a_grant_that_was_adopted_is_not_offered() -> None:
    one, two = keeper(K1), keeper(K2)
    held = grant(one)
    two.divide(())
    assert two.adopt(held, one.mac(held))
    assert offered(two, BOB) == [(1, 2)]


def test_a_task_that_killed_its_process_is_handed_out_by_one_keeper() -> None:
    one, two = keeper(K1), keeper(K2)
    held = grant(one)
    tell(two, held)
    dead = death(one, held, 0)
    one.absorb(dead)
    two.absorb(dead)
    two.shared(K1, (), [held.number])

    assert offered(one, BOB) == [(0, 1)]
    assert offered(two, BOB) == [(1, 2)]


def test_a_task_that_runs_alone_elsewhere_is_not_offered() -> None:
    one = keeper(K1)
    held = grant(one)
    one.absorb(death(one, held, 0))
    one.shared(K2, [(77, (0, 1))], ())  # it helps, or has adopted it

    assert offered(one, BOB) == []


def test_a_task_that_runs_alone_and_was_adopted_is_not_offered() -> None:
    one = keeper(K1)
    held = grant(one)
    one.absorb(death(one, held, 0))
    moved = replace(held, number=held.number + 50)
    assert one.adopt(moved, one.mac(moved))

    assert offered(one, BOB) == []


def test_tasks_that_another_keeper_has_granted_are_not_open_when_they_arrive() -> None:
    late = Board(JOB, KEY)
    late.shared(K1, [(9, (0, 2))], ())
    late.append(2)
    assert offered(late, BOB) == []


def test_tasks_of_an_adopted_grant_are_not_open_when_they_arrive() -> None:
    one, late = keeper(K1), Board(JOB, KEY)
    held = grant(one)
    assert late.adopt(held, one.mac(held))
    late.append(2)
    assert offered(late, BOB) == [(1, 2)]


def test_tasks_to_run_alone_are_left_to_others_too() -> None:
    one, two = keeper(K1), keeper(K2)
    held = grant(one)
    tell(two, held)
    two.absorb(death(one, held, 0))
    two.shared(K1, (), [held.number])
    assert offered(two, BOB) == [(1, 2)]

    assert (two.open, two.left_to_others) == (0, 1)
    two.spare = True
    assert offered(two, BOB) == [(0, 1)]


@pytest.mark.parametrize("helpers", range(2, 9))
def test_helpers_begin_at_different_ends_of_what_a_keeper_has_left(
    helpers: int,
) -> None:
    taken: list[tuple[int, int]] = []
    for one in range(helpers):
        parts = Parts()
        parts.divide([(0, 500), (600, 1000)])
        parts.add(0, 500)
        parts.add(600, 1000)
        spans = parts.take_from_behind(1000 // helpers // 2, aside=one / helpers)
        assert sum(b - a for a, b in spans) == 1000 // helpers // 2
        taken += spans
    tasks = [task for span in taken for task in range(*span)]
    assert len(tasks) == len(set(tasks))


def test_a_helper_takes_a_single_task_whatever_it_leaves_aside() -> None:
    parts = Parts()
    parts.divide([(0, 1)])
    parts.add(0, 1)

    assert parts.take_from_behind(5, aside=0.9) == [(0, 1)]
