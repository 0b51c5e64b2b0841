"""Attacks by submitted tasks on a real peer, and what becomes of each.

Whatever a task tries, the owner's things and the peer's are as before, the peer goes
on, and its other slots notice nothing. The same attacks without a sandbox show that
each works.
"""

from __future__ import annotations

import pytest

from p2pslinger.errors import TaskKilledError, TaskTimeoutError
from tests.attacks import arsenal
from tests.attacks.arsenal import AT_HOME, ATTACKS, Attack
from tests.attacks.conftest import Shown
from tests.attacks.siege import PATIENCE, Attempt, Siege
from tests.grid.place import until


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.__name__)
def test_without_a_sandbox_the_attack_works(attack: Attack, shown: Shown) -> None:
    word, harm = shown[attack.__name__]
    assert word.startswith("got "), word
    if attack.__name__.startswith("end_a_program"):
        assert harm == ["a program was ended"]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.__name__)
def test_an_attack_on_the_owners_things_is_refused(
    attack: Attack, attacked: Siege
) -> None:
    refused(attack, attacked.attempts[attack])


@pytest.mark.parametrize("attack", AT_HOME, ids=lambda a: a.__name__)
def test_an_attack_on_the_peers_own_things_is_refused(
    attack: Attack, attacked: Siege
) -> None:
    refused(attack, attacked.at_home[attack])


def refused(attack: Attack, attempt: Attempt) -> None:
    """See that an attack was, and that its submitter is told why."""
    assert attempt.kind in ATTACKS[attack], attempt.text
    if attempt.kind in {"PermissionError", "FileNotFoundError"}:
        assert "This task ran for another machine's owner" in attempt.text


def test_after_all_of_them_the_peer_and_its_slots_go_on(attacked: Siege) -> None:
    attacked.goes_on()


def test_a_loop_that_ignores_signals_ends_at_its_time_out(besieged: Siege) -> None:
    job = besieged.grid.start(
        arsenal.loop_for_ever, [besieged.stage.sights], timeout=0.5, keepers=0
    )
    besieged.goes_on()
    with pytest.raises(TaskTimeoutError):
        list(job.results())
    besieged.goes_on()


def test_a_slot_that_speaks_for_its_runner_is_killed_alone(besieged: Siege) -> None:
    lying = besieged.call(arsenal.speak_for_the_runner, besieged.stage.sights)
    besieged.goes_on()
    with pytest.raises(TaskKilledError, match="SIGKILL"):
        lying.result(PATIENCE)
    besieged.goes_on()


def test_a_task_that_freezes_its_slot_is_ended_with_it(besieged: Siege) -> None:
    """It stops itself: heartbeats go on, since they do not come from the slot."""
    job = besieged.grid.start(
        arsenal.stop_oneself, [besieged.stage.sights], timeout=0.5, keepers=0
    )
    with pytest.raises(TaskTimeoutError):
        list(job.results())
    besieged.goes_on()


def test_a_crash_says_how_it_ended_and_dumps_nothing(besieged: Siege) -> None:
    crashed = besieged.call(arsenal.crash, besieged.stage.sights)
    with pytest.raises(TaskKilledError, match="SIGSEGV") as killed:
        crashed.result(PATIENCE)
    assert "Segmentation fault" in str(killed.value)
    besieged.goes_on()


def test_threads_that_a_task_leaves_end_with_its_slot(besieged: Siege) -> None:
    besieged.goes_on()
    besieged.call(arsenal.leave_threads, besieged.stage.sights).result(PATIENCE)
    assert besieged.threads() > arsenal.THREADS_LEFT
    until(lambda: besieged.threads() == 1)
    besieged.goes_on()
