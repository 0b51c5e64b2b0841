"""A shared value goes to the peer once, to each volunteer once, into each slot once."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import p2pslinger as slinger
from p2pslinger import limits
from p2pslinger.client.grid import Grid
from p2pslinger.client.sharing import Shared
from tests.grid.meter import metered
from tests.grid.place import Peer, Place, until

#: Bytes of a large value: many chunks.
LARGE = 20 * limits.MIB

SOME = list(range(100))


class Point:
    """A class that is not installed anywhere else."""

    def __init__(self, x: int) -> None:
        self.x = x


def element(array: Shared[np.ndarray], index: int) -> tuple[float, int, int]:
    """Return an element; and which process and object had it."""
    return float(array.value[index]), os.getpid(), id(array.value)


def writes(array: Shared[np.ndarray]) -> None:
    """Try to change the array."""
    array.value[0] = 1.0


def ten(handle: Shared[list[int]]) -> int:
    """Return one element of a shared list."""
    return handle.value[10]


def total(handles: list[Shared[int]]) -> int:
    """Return the sum of several shared numbers."""
    return sum(handle.value for handle in handles)


def gated(array: Shared[np.ndarray], gate: str, index: int) -> int:
    """Return an element, once a file exists."""
    while not Path(gate).exists():
        time.sleep(0.01)
    return int(array.value[index])


def same(handle: Shared[object]) -> Shared[object]:
    """Return the handle."""
    return handle


def coordinate(handle: Shared[Point]) -> int:
    """Return the x of a shared point."""
    return handle.value.x


@pytest.fixture
def pair(place: Place) -> Iterator[tuple[Peer, Grid]]:
    """A submitter's peer without slots, and a connection to it."""
    peer = place.peer("data", "--slots", "0", SLINGER_AUTHKEY=place.key)
    with peer.connect() as grid:
        yield peer, grid


def test_a_large_array_reaches_each_of_two_volunteers_once(
    place: Place, pair: tuple[Peer, Grid]
) -> None:
    peer, grid = pair
    array = np.random.default_rng(1).random(LARGE // 8)
    with metered(peer.address) as meter:
        options = ("--slots", "1", "--bootstrap", meter.address, "--trust-members")
        for name in ("bert", "cleo"):
            place.peer(name, *options, SLINGER_AUTHKEY=place.key)
        until(lambda: len(grid.peers()) == 3)
        handle = grid.share(array)
        done = list(grid.starmap(element, [(handle, i) for i in range(20)]))
        done += [grid.submit(element, handle, i).result() for i in range(20, 24)]

        assert [value for value, _, _ in done] == array[:24].tolist()
        assert len({(process, object_) for _, process, object_ in done}) <= 2
        assert meter.bytes < 2 * LARGE * 1.05 + limits.MIB
        grid.shutdown()
        place.end()  # before the wire is cut


def test_tasks_can_not_change_a_shared_array(grid: Grid) -> None:
    handle = grid.share(np.zeros(1000))
    with pytest.raises(ValueError, match="read-only"):
        grid.submit(writes, handle).result()


def test_a_function_may_hold_the_handle_itself(grid: Grid) -> None:
    handle = grid.share(SOME)
    assert list(grid.map(lambda i: handle.value[i], range(10))) == SOME[:10]


def test_a_started_job_has_what_it_refers_to(grid: Grid) -> None:
    handle = grid.share(SOME)
    job = grid.start(ten, [handle] * 5)
    del handle
    assert list(job.results()) == [10] * 5


def test_keepers_go_on_with_it_when_its_submitter_is_gone(
    place: Place, pair: tuple[Peer, Grid]
) -> None:
    peer, grid = pair
    bert = place.volunteer("bert", peer)
    cleo = place.volunteer("cleo", bert)
    with bert.connect() as there:
        until(lambda: len(there.peers()) == 3)
        handle = grid.share(np.arange(2 * limits.MIB))
        gate = str(place.folder / "gate")
        job = grid.start(gated, [(handle, gate, i) for i in range(40)], keepers=2)
        assert job.kept == (2, 2)
        peer.kill()
        (place.folder / "gate").touch()
        assert list(there.job(job.id).results()) == list(range(40))
    assert cleo.process.poll() is None


def test_here_the_handle_gives_the_object_itself_and_comes_back(grid: Grid) -> None:
    value = ["only here"]
    handle = grid.share(value)
    assert handle.value is value
    back = grid.submit(same, handle).result()
    assert back == handle
    assert back.value is value


def test_classes_of_this_program_can_be_shared(grid: Grid) -> None:
    assert grid.submit(coordinate, grid.share(Point(7))).result() == 7


def test_calls_that_refer_to_many_values_are_parted(grid: Grid) -> None:
    handles = [grid.share(i) for i in range(3 * limits.SHARED)]
    futures = [grid.submit(total, [one]) for one in handles]
    assert [one.result() for one in futures] == list(range(len(handles)))
    assert list(grid.map(total, [[one] for one in handles])) == list(range(48))


def test_one_call_may_not_refer_to_too_many(grid: Grid) -> None:
    handles = [grid.share(i) for i in range(limits.SHARED + 1)]
    with pytest.raises(slinger.PackingError, match="17 shared values, and 16"):
        grid.submit(total, handles).result()
    assert grid.submit(total, handles[1:]).result() == sum(range(17))


def test_a_value_lives_as_long_as_a_job_needs_it(grid: Grid) -> None:
    futures = [grid.submit(ten, grid.share([i] * 11)) for i in range(5)]
    gc.collect()
    assert [one.result() for one in futures] == list(range(5))


def test_a_value_of_another_grid_is_refused_with_a_remedy(
    grid: Grid, module_place: Place
) -> None:
    with slinger.local(peers=1, slots=1) as other:
        handle = other.share(list(range(10, 30)))
        with pytest.raises(slinger.UsageError, match="does not have: share it"):
            grid.submit(ten, handle).result()
        assert other.submit(ten, handle).result() == 20
    assert grid.submit(ten, grid.share(list(range(10, 30)))).result() == 20


def test_a_handle_that_did_not_travel_says_so(grid: Grid) -> None:
    def hidden(digest: bytes) -> object:
        return Shared[object](digest, 1, 0).value

    with pytest.raises(LookupError, match="is not in this process: hand its handle"):
        grid.submit(hidden, bytes(32)).result()


def test_handles_inside_of_shared_values_are_refused(grid: Grid) -> None:
    with pytest.raises(slinger.PackingError, match="can't hold the handle"):
        grid.share([grid.share(1)])


def test_what_can_not_be_sent_can_not_be_shared(grid: Grid) -> None:
    with pytest.raises(slinger.PackingError, match="the value to be shared"):
        grid.share({"lock": threading.Lock()})
