"""Jobs that a program starts: what it can ask of them, and who else can find them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import p2pslinger as slinger
from p2pslinger.client.grid import Grid
from tests.grid import tasks
from tests.grid.place import HANGING, Peer, Place, line, output, until, within


@pytest.fixture(scope="module")
def peer(module_place: Place) -> Peer:
    """A machine's peer, as `slinger up` starts it."""
    return module_place.peer("data", SLINGER_AUTHKEY=module_place.key)


@pytest.fixture
def here(peer: Peer) -> Iterator[Grid]:
    """A connection to that peer."""
    with peer.connect() as grid:
        yield grid


def test_a_job_has_an_id_progress_results_and_a_tally(grid: Grid) -> None:
    job = grid.start(tasks.kwargs, [(i, i) for i in range(60)], name="sums")

    assert list(job.results()) == [(i, i, 0) for i in range(60)]
    assert job.wait(0)
    assert job.name == "sums"
    assert (job.progress.done, job.progress.total, job.progress.failed) == (60, 60, 0)
    assert job.progress.fraction == 1.0
    assert sum(job.progress.by_peer.values()) == 60
    assert sum(row.tasks for row in job.tally()) == 60
    facts = job.facts()
    assert (facts.job, facts.name, facts.state) == (job.id, "sums", "computed")
    assert list(job.results()) == [(i, i, 0) for i in range(60)]  # again


def test_updates_end_with_the_last_task(grid: Grid) -> None:
    job = grid.start(tasks.nap, range(30))
    seen = [progress.done for progress in job.updates(every=0.05)]

    assert seen == sorted(seen)
    assert seen[-1] == 30
    assert len(seen) > 2


def test_failures_can_be_returned_in_their_place(grid: Grid) -> None:
    job = grid.start(tasks.dies_at_25, range(20, 30))
    results = list(job.results(errors="return"))

    assert isinstance(results[5], slinger.TaskKilledError)
    del results[5]
    assert results == [20, 21, 22, 23, 24, 26, 27, 28, 29]
    with pytest.raises(slinger.TaskKilledError):
        list(job.results())
    assert job.progress.failed == 1


def test_a_cancelled_job_frees_its_slots_and_keeps_what_it_has(
    grid: Grid, module_place: Place
) -> None:
    never = str(module_place.folder / "never")
    done = str(module_place.folder)
    job = grid.start(tasks.waits_for, [done, never, never])  # one for each slot
    results = job.results()
    assert next(results) == done
    job.cancel()

    with pytest.raises(slinger.UnavailableError, match="was cancelled"):
        next(results)
    with pytest.raises(slinger.UnavailableError, match="was cancelled"):
        job.wait(HANGING)
    assert job.facts().state == "cancelled"
    with within(5.0):
        assert list(grid.map(tasks.nap, range(6))) == list(range(6))


def test_wait_says_whether_all_is_done(grid: Grid, module_place: Place) -> None:
    gate = module_place.folder / "wait gate"
    job = grid.start(tasks.waits_for, [str(gate)])

    assert not job.wait(0.1)
    gate.touch()
    assert job.wait(HANGING)


def test_a_job_that_nobody_knows_is_a_usage_error(grid: Grid) -> None:
    with pytest.raises(slinger.UsageError, match="knows no job 'zzz'"):
        grid.job("zzz")


STARTER = """
import p2pslinger as slinger
from pathlib import Path
import time

def f(x):
    while x > 5 and not Path(GATE).exists():
        time.sleep(0.01)
    return bytes(100_000) if x == 3 else x

with slinger.connect() as grid:
    job = grid.start(f, range(20), name="slow", keepers=0)
    print(job.id, flush=True)
    input()
    print(sum(1 for _ in job.results()))
"""

FINDER = """
import sys
import p2pslinger as slinger

with slinger.connect() as grid:
    job = grid.job(sys.argv[1][:9])
    print(job.id, job.name)
    results = job.results()
    print([next(results) for _ in range(3)], len(next(results)), flush=True)
    print(list(results))
"""


def test_two_programs_follow_the_same_job(peer: Peer, module_place: Place) -> None:
    gate = module_place.folder / "gate"
    first = module_place.program(STARTER.replace("GATE", repr(str(gate))))
    job = line(first)
    (module_place.folder / "finder.py").write_text(FINDER)
    second = module_place.start("finder.py", job)
    third = module_place.start("finder.py", job)

    for program in (second, third):
        assert line(program) == f"{job} slow"
        assert line(program) == "[0, 1, 2] 100000"
    third.kill()
    gate.touch()
    assert output(second) == f"{list(range(4, 20))}\n"
    out, err = first.communicate("\n", timeout=HANGING)
    assert (out, err) == ("20\n", "")


LOUD = """
import sys
import p2pslinger as slinger

def loud(x):
    print("x" * 60_000)
    if x % 2:
        raise ValueError("y" * 3_000)
    return b"z" * 60_000

with slinger.connect() as grid:
    job = grid.start(loud, range(200), name="loud", keepers=0)
    job.wait()
    print(job.id, flush=True)
    input()
"""

LISTENER = """
import sys
import p2pslinger as slinger

with slinger.connect() as grid:
    job = grid.job(sys.argv[1])
    print(sum(1 for one in job.results(errors="return") if isinstance(one, bytes)))
    print(job.facts().state)
"""


def test_a_finished_job_with_megabytes_of_output_is_followed_to_its_end(
    peer: Peer, module_place: Place
) -> None:
    first = module_place.program(LOUD)
    job = line(first)
    (module_place.folder / "listener.py").write_text(LISTENER)
    second = module_place.start("listener.py", job)

    assert output(second) == "100\ncomputed\n"
    first.communicate("\n", timeout=HANGING)


def test_a_job_goes_on_when_its_program_is_killed(
    here: Grid, module_place: Place
) -> None:
    gate = module_place.folder / "gate 2"
    program = module_place.program(STARTER.replace("GATE", repr(str(gate))))
    job = line(program)
    program.kill()
    program.wait(HANGING)
    until(lambda: here.jobs()[0].computed)
    gate.touch()

    found = here.job(job)
    assert len(list(found.results())) == 20
    assert found.facts().state == "computed"
    assert found.tally()[0].tasks == 20


def test_a_job_is_started_in_full_when_start_returns(
    here: Grid, module_place: Place
) -> None:
    program = module_place.program("""
import os
import p2pslinger as slinger
job = slinger.connect().start(len, [bytes(1 << 20)] * 12, keepers=0)
print(job.id, flush=True)
os._exit(0)
""")
    job = here.job(line(program))

    assert job.progress.total == 12
    assert list(job.results(timeout=HANGING)) == [1 << 20] * 12


def test_a_throw_away_job_ends_with_its_program(
    here: Grid, module_place: Place
) -> None:
    program = module_place.program("""
import time
import p2pslinger as slinger
with slinger.connect() as grid:
    futures = [grid.submit(time.sleep, 600) for _ in range(3)]
    print(grid.jobs()[0].job, flush=True)
    input()
""")
    job = line(program)
    until(lambda: here.status().busy)
    with pytest.raises(slinger.UsageError, match="belongs to the program"):
        here.job(job)

    program.kill()
    with within(5.0):
        assert here.submit(tasks.square, 3).result(HANGING) == 9
    assert job not in [one.job for one in here.jobs()]


def test_a_job_of_a_machine_without_a_grid_is_there_for_its_next_program(
    place: Place,
) -> None:
    first = place.run("""
import p2pslinger as slinger
with slinger.connect() as grid:
    job = grid.start(abs, [-1, -2], keepers=0)
    print(job.id, *job.kept)
""")
    job = first.split()[0]
    assert first == f"{job} 0 0\n"
    until(lambda: not place.peers())
    second = place.run(f"""
import p2pslinger as slinger
with slinger.connect() as grid:
    print(list(grid.job("{job}").results()))
""")
    assert second == "[1, 2]\n"


def test_a_program_that_takes_its_peer_along_is_told_that_its_job_has_no_keeper(
    place: Place,
) -> None:
    program = place.program("""
import time
import p2pslinger as slinger
with slinger.connect() as grid:
    began = time.monotonic()
    print(grid.start(abs, [-1]).kept, time.monotonic() - began < 8)
""")
    out, err = program.communicate(timeout=HANGING)
    assert out == "(0, 2) True\n"  # nobody is waited for who can't come
    assert "UserWarning: this machine belongs to no grid" in err
    assert "brought along ends soon after it" in err
