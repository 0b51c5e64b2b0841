"""Programs as people write and end them: scripts, one-liners, Ctrl-C, kill -9."""

from __future__ import annotations

import re
import signal
import subprocess

import psutil
import pytest

import p2pslinger as slinger
from p2pslinger import paths
from p2pslinger.client.link import Link
from tests.grid.place import HANGING, Place, line, output, until, within

SCRIPT = """
import p2pslinger as slinger
import shapes

FACTOR = 3

class Box:
    def __init__(self, x):
        self.x = x
    def __eq__(self, other):
        return type(other) is Box and other.x == self.x

def grow(box):
    return Box(box.x * FACTOR + shapes.area(2))

if __name__ == "__main__":
    with slinger.{way} as grid:
        assert list(grid.map(grow, map(Box, range(5)))) == [
            Box(4), Box(7), Box(10), Box(13), Box(16)]
        print(list(grid.map(shapes.area, range(4))))
"""


SLOTS = """
import abc
import dataclasses
import typing
import p2pslinger as slinger

class Private:
    __slots__ = ("__x", "y")
    def __init__(self):
        self.__x, self.y = 1, 2
    def get(self):
        return self.__x, self.y

class Single(Private):
    __slots__ = "z"

class Abstract(abc.ABC):
    __slots__ = ("q", "__weakref__")

class Concrete(Abstract):
    __slots__ = ()

class Open(Single):
    pass

class Box(typing.Generic[typing.TypeVar("T")]):
    __slots__ = {"value": "what is in it"}

@dataclasses.dataclass(slots=True)
class Point:
    x: int
    y: str = "one"

def make():
    concrete, opened, box, single = Concrete(), Open(), Box(), Single()
    concrete.q, opened.w, opened.z, box.value, single.z = 3, 4, 5, 6, 7
    return Private(), single, concrete, opened, box, Point(8)

def show(made):
    private, single, concrete, opened, box, point = made
    assert not any(hasattr(one, "__dict__") for one in (private, concrete, box, point))
    return [private.get(), single.get(), single.z, concrete.q, opened.get(),
            opened.w, opened.z, box.value, point.x, point.y]

if __name__ == "__main__":
    with slinger.connect() as grid:
        there = grid.submit(show, make()).result()
        back = grid.submit(lambda made: made, make()).result()
        new = grid.submit(make).result()
        assert [type(one) for one in new] == [type(one) for one in make()]
        print(there == show(back) == show(new) == show(make()))
"""


def test_classes_with_slots_go_there_and_come_back(place: Place) -> None:
    assert place.run(SLOTS) == "True\n"


@pytest.mark.parametrize("way", ["local(peers=2)", "connect()"])
def test_functions_of_a_script_and_of_a_module_next_to_it_run(
    place: Place, way: str
) -> None:
    (place.folder / "sides.py").write_text("SIDES = 2\n")
    (place.folder / "shapes.py").write_text(
        "from sides import SIDES\ndef area(x):\n    return x ** SIDES\n"
    )

    assert place.run(SCRIPT.replace("{way}", way)) == "[0, 1, 4, 9]\n"


def test_functions_given_with_python_c_and_typed_at_the_prompt_run(
    place: Place,
) -> None:
    given = "import p2pslinger as s\ndef f(x): return x + K\nK = 5\n"
    use = "with s.connect() as grid: print(list(grid.map(f, range(3))))\n"
    assert output(place.start("-c", given + use)) == "[5, 6, 7]\n"

    prompt = place.start("-i", "-q")
    typed = given.replace("\nK", "\n\nK") + use + "\nexit()\n"
    out, _ = prompt.communicate(typed, timeout=HANGING)
    assert out == "[5, 6, 7]\n"


def test_a_machine_without_any_configuration_works_alone(place: Place) -> None:
    said = place.run("""
import p2pslinger as slinger
with slinger.connect() as grid:
    print(list(grid.map(abs, [-1, 2])), len(grid.peers()))
    print(grid.status().address.split(":")[0])
    print(grid, "|", grid.why())
print(grid)
try:
    slinger.connect(trust="sure")
except slinger.UsageError as error:
    print(error)
""")

    lines = said.splitlines()
    assert lines[:2] == ["[1, 2] 1", "127.0.0.1"]
    assert re.match(r"<Grid of 1 peer, \d+ slots?> \| waiting: .*; until ", lines[2])
    assert lines[3] == "<Grid: not connected>"
    assert lines[4] == """trust='sure' is neither "safe" nor "pickle\""""


TOGETHER = """
import sys
import p2pslinger as slinger
with slinger.connect() as grid:
    print(grid.status().peer, sum(grid.map(abs, range(100))), flush=True)
    sys.stdin.readline()
"""


def test_programs_that_start_at_once_share_one_peer_which_ends_after_the_last(
    place: Place,
) -> None:
    programs = [place.program(TOGETHER) for _ in range(3)]
    said = {line(program) for program in programs}
    assert len(said) == 1
    assert said.pop().endswith(" 4950")
    until(lambda: len(place.peers()) == 1)  # those that came too late are leaving
    (peer,) = place.peers()

    assert programs[0].communicate("\n", timeout=HANGING) == ("", "")
    assert programs[1].communicate("\n", timeout=HANGING) == ("", "")
    assert peer.is_running()
    assert programs[2].communicate("\n", timeout=HANGING) == ("", "")
    assert until(lambda: not place.processes(), 5.0)


def test_programs_that_follow_each_other_closely_all_work(place: Place) -> None:
    for _ in range(4):
        said = place.run("""
import p2pslinger as slinger
with slinger.connect() as grid:
    print(grid.submit(abs, -1).result())
""")
        assert said == "1\n"


BUSY = """
import sys, time
import p2pslinger as slinger

def nap(x):
    time.sleep(0.05)
    return x

with slinger.{way} as grid:
    futures = [grid.submit(time.sleep, 600) for _ in range(50)]
    results = grid.map(nap, range(10_000))
    job = grid.start(time.sleep, [600] * 5, keepers=0)
    while not grid.status().busy:
        time.sleep(0.01)
    print("busy", flush=True)
    futures[-1].result()
"""


@pytest.mark.parametrize("way", ["local(peers=2)", "connect()"])
def test_an_interrupted_program_ends_at_once_and_leaves_nothing(
    place: Place, way: str
) -> None:
    program = place.program(BUSY.replace("{way}", way))
    assert line(program) == "busy"

    with within(3.0):
        program.send_signal(signal.SIGINT)
        _, err = program.communicate(timeout=HANGING)
    assert program.returncode == -signal.SIGINT
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert until(lambda: not place.processes(), 5.0)
    assert place.leftovers() == []


def test_an_interrupted_programs_slots_are_free_within_a_second(place: Place) -> None:
    peer = place.peer("data", "--trust-members", SLINGER_AUTHKEY=place.key)
    program = place.program(BUSY.replace("{way}", "connect()").replace("job =", "#"))
    with peer.connect() as grid:
        assert line(program) == "busy"
        program.send_signal(signal.SIGINT)
        with within(1.0):
            assert grid.submit(abs, -7).result(HANGING) == 7
        until(lambda: len(grid.jobs()) == 1)


@pytest.mark.parametrize("way", ["local(peers=2)", "connect()"])
def test_a_killed_programs_peers_processes_and_folders_are_gone_within_5_s(
    place: Place, way: str
) -> None:
    program = place.program(BUSY.replace("{way}", way))
    assert line(program) == "busy"
    program.kill()

    assert until(lambda: not place.processes(), 5.0)
    assert place.leftovers() == []


def test_the_interpreter_may_end_without_closing_the_grid(place: Place) -> None:
    with within(10.0):
        said = place.run("""
import time
import p2pslinger as slinger
grid = slinger.local(peers=2)
other = slinger.connect()
print(grid.submit(abs, -1).result(), other.submit(abs, -2).result())
grid.submit(time.sleep, 600)
results = grid.map(time.sleep, [600] * 10)
begun = other.map(time.sleep, [0, 600])
next(begun)
""")
    assert said == "1 2\n"


def test_the_interpreter_waits_for_a_grid_that_is_shutting_down(place: Place) -> None:
    said = place.run("""
import time
import p2pslinger as slinger

def slow(x):
    time.sleep(0.3)
    return x

grid = slinger.local(peers=1)
for i in range(3):
    grid.submit(slow, i).add_done_callback(lambda future: print(future.result()))
grid.shutdown(wait=False)
try:
    grid.submit(slow, 3)
except slinger.UsageError as error:
    print(error)
""")
    assert said == "the grid has been shut down: connect again\n0\n1\n2\n"


FORKING = """
import os, sys, warnings
import p2pslinger as slinger

warnings.simplefilter("ignore")  # Python 3.12 says that this is unwise, and it is

def use(grid):
    for ask in (lambda: grid.submit(abs, -1), lambda: grid.map(abs, [1]), grid.peers,
                lambda: grid.start(abs, [1])):
        try:
            ask()
        except slinger.UsageError as error:
            print(error)

grid = slinger.local(peers=1)
grid.submit(abs, -1).result()
results = grid.map(abs, range(-5, 0))
next(results)
if os.fork() == 0:
    with grid:
        use(grid)
    del results
    sys.exit()
os.wait()
print(list(results), grid.submit(abs, -3).result(), len(grid.peers()))
"""


def test_a_grid_in_a_forked_process_says_so_and_the_parents_goes_on(
    place: Place,
) -> None:
    lines = place.run(FORKING).splitlines()

    sentence = "a grid can't be used in a forked process: connect again there"
    assert lines == [sentence] * 4 + ["[4, 3, 2, 1] 3 1"]


def test_a_peer_that_is_killed_breaks_the_grid_and_hangs_nobody(place: Place) -> None:
    peer = place.peer("data", SLINGER_AUTHKEY=place.key)
    program = place.program("""
import time
from concurrent.futures import BrokenExecutor
import p2pslinger as slinger

grid = slinger.connect()
future = grid.submit(time.sleep, 600)
results = grid.map(time.sleep, [600])
job = grid.start(time.sleep, [600], keepers=0)
job.id
print("ready", flush=True)
for ask in (future.result, lambda: next(results), job.wait, lambda: list(job.results()),
            lambda: grid.submit(abs, 1), lambda: grid.map(abs, [1]), grid.peers):
    try:
        print(ask())
    except BrokenExecutor as error:
        assert isinstance(error, slinger.UnavailableError)
        print(type(error).__name__, error)
grid.shutdown()
""")
    assert line(program) == "ready"
    peer.kill()

    with within(5.0):
        lines = output(program).splitlines()
    assert len(lines) == 7
    assert {one.partition(" ")[0] for one in lines} == {"BrokenGridError"}
    assert all("this machine's peer has gone" in one for one in lines)


def test_a_local_grid_whose_peer_is_killed_leaves_nothing(place: Place) -> None:
    with slinger.local(peers=2) as grid:
        assert grid.submit(abs, -1).result(HANGING) == 1
        for process in place.peers():
            process.kill()
        with pytest.raises(slinger.UnavailableError):
            grid.peers()
    assert place.leftovers() == []


def test_a_peer_that_cannot_start_says_why_in_the_program(place: Place) -> None:
    program = """
import p2pslinger as slinger
try:
    slinger.connect()
except slinger.UnavailableError as error:
    print(error)
"""

    said = place.run(program, SLINGER_AUTHKEY="secret")
    assert "this is no authkey" in said
    said = place.run(program, SLINGER_AUTHKEY=place.key[:-3])
    assert "typing error" in said
    said = place.run(program, SLINGER_SLOTS="many")
    assert "SLINGER_SLOTS is 'many', not a whole number" in said


def test_a_peer_whose_socket_answers_nothing_is_named(place: Place) -> None:
    peer = place.peer("data", SLINGER_AUTHKEY=place.key)
    peer.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(slinger.UnavailableError, match="does not answer"):
            Link.open(paths.control_path(peer.data), timeout=0.3)
    finally:
        peer.process.send_signal(signal.SIGCONT)


def test_a_second_peer_on_the_same_folder_is_refused(place: Place) -> None:
    peer = place.peer("data", SLINGER_AUTHKEY=place.key)
    second: subprocess.Popen[str] = place.peer_process(
        "data", SLINGER_AUTHKEY=place.key
    )
    _, err = second.communicate(timeout=HANGING)

    assert second.returncode == 1
    assert f"(process {peer.process.pid})" in err
    assert err.count("\n") == 1


def test_a_peer_that_can_not_start_leaves_no_process(place: Place) -> None:
    folder = place.folder / "data"
    folder.write_text("not a folder")
    before = len(psutil.Process().children())

    with pytest.raises(slinger.UnavailableError):
        slinger.connect(data=folder)
    assert len(psutil.Process().children()) == before
