"""Nothing is lost: started jobs go on and end well, whoever vanishes."""

from __future__ import annotations

import json
import time

from tests.grid.place import line, until
from tests.lab.lab import Lab
from tests.lab.machine import Machine
from tests.lab.tasks import slow_square

#: Seconds that the network is split.
SPLIT = 60.0

#: Seconds in which a job has to be done, or found, after somebody has vanished.
PATIENCE = 60.0

#: Starts a job, says which and how many keepers have it, and stays until it is killed.
STARTER = """
import sys
import p2pslinger as slinger
from tests.lab.tasks import slow_square

with slinger.connect() as grid:
    job = grid.start(slow_square, range({tasks}), keepers=2)
    print(job.id, *job.kept, flush=True)
    sys.stdin.read()
"""

#: What `slinger submit` takes: a function of a file, and a file of arguments.
SCRIPT = """
import time

def slow_square(x):
    time.sleep(0.25)
    return x * x
"""


def squares(tasks: int) -> list[int]:
    return [number * number for number in range(tasks)]


def start_and_vanish(machine: Machine, tasks: int) -> str:
    """Start a job on a machine, and kill program and peer; return the job's id."""
    program = machine.program(STARTER.format(tasks=tasks))
    job, *kept = line(program).split()
    assert kept == ["2", "2"]
    program.kill()
    machine.kill()
    return job


def results(machine: Machine, job: str) -> list[int]:
    """Wait for a job's results on a machine."""
    with machine.grid() as grid:
        found = list(grid.job(job).results(timeout=PATIENCE))
    return [value for value in found if isinstance(value, int)]


def printed_results(machine: Machine, job: str) -> list[int]:
    """Return what `slinger results` prints, a line for each task."""
    return [json.loads(text) for text in machine.slinger("results", job).splitlines()]


def computed(machine: Machine, job: str) -> int:
    """Return how many tasks of a job are computed, as a machine sees it."""
    with machine.grid() as grid:
        return grid.job(job).facts().computed


def wait_for_more(machine: Machine, job: str, more: int) -> None:
    """Wait until a machine sees more tasks of a job computed than now."""
    wanted = computed(machine, job) + more
    until(lambda: computed(machine, job) >= wanted)


def test_a_job_is_computed_though_its_submitter_is_killed_at_once(lab: Lab) -> None:
    anna, *others = lab.grid("anna", "bert", "cleo", "dora")
    job = start_and_vanish(anna, 60)
    lab.split([anna], others)

    for machine in others:
        assert results(machine, job) == squares(60)
        assert printed_results(machine, job) == squares(60)


def test_what_was_submitted_by_command_is_found_by_its_submitter_later(
    lab: Lab,
) -> None:
    anna, *others = lab.grid("anna", "bert", "cleo")
    (anna.folder / "script.py").write_text(SCRIPT)
    (anna.folder / "args.jsonl").write_text("\n".join(map(str, range(40))))
    words = ("script.py:slow_square", "args.jsonl", "--keepers", "2")
    said = anna.json("submit", *words)
    assert isinstance(said, dict)
    anna.kill()
    until(lambda: computed(others[0], said["job"]) == 40, PATIENCE)

    anna.up()
    assert printed_results(anna, said["job"]) == squares(40)
    anna.slinger("results", said["job"], "--out", "found.jsonl")
    found = (anna.folder / "found.jsonl").read_text().splitlines()
    assert [json.loads(text) for text in found] == squares(40)


def test_two_of_three_holders_may_be_killed_one_after_the_other(lab: Lab) -> None:
    anna, bert, cleo = lab.grid("anna", "bert", "cleo")
    program = anna.program(STARTER.format(tasks=200))
    job, *kept = line(program).split()
    assert kept == ["2", "2"]  # bert and cleo: there is nobody else
    dora = lab.machine("dora").up(bert, cleo)

    for victim in (anna, bert):
        wait_for_more(cleo, job, 5)
        victim.kill()
        lab.split([victim], [one for one in lab.machines if one is not victim])
    assert results(dora, job) == squares(200)
    assert printed_results(cleo, job) == squares(200)


def test_both_sides_of_a_split_go_on_and_every_result_counts_once(lab: Lab) -> None:
    anna, bert, cleo, dora = lab.grid("anna", "bert", "cleo", "dora")
    tasks = 600  # more than either side can do while it is alone
    with anna.grid() as grid:
        job = grid.start(slow_square, range(tasks), keepers=3)
        assert job.kept == (3, 3)
        until(lambda: job.progress.done > 10)
        lab.split([anna, bert], [cleo, dora])
        healing = time.monotonic() + SPLIT
        for machine in (bert, dora):
            wait_for_more(machine, job.id, 40)
        until(lambda: time.monotonic() > healing, SPLIT)

        anna.meets(bert)
        cleo.meets(dora)

        lab.heal()
        for machine in (anna, bert, cleo, dora):
            machine.meets(anna, bert, cleo, dora, seconds=PATIENCE)
        assert list(job.results(timeout=2 * PATIENCE)) == squares(tasks)
        assert sum(row.tasks for row in job.tally()) == tasks
        assert {row.name for row in job.tally()} == {"bert", "cleo", "dora"}
        assert results(dora, job.id) == squares(tasks)


def test_a_submitter_behind_a_router_may_vanish_and_come_back(lab: Lab) -> None:
    anna, *others = lab.grid("anna", "bert", "cleo")
    nora = lab.machine_at_home("nora").up(anna, slots=0)
    nora.meets(anna, *others)
    job = start_and_vanish(nora, 60)
    assert results(others[0], job) == squares(60)

    nora.up(anna, slots=0)
    assert printed_results(nora, job) == squares(60)
