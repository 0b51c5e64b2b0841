"""What a program makes of results, right and wrong: a range that can't be read costs
its own tasks, and nobody else's."""

from __future__ import annotations

import pickle
from concurrent.futures import Future

import pytest

from p2pslinger.client.feeding import put_all
from p2pslinger.client.functions import Functions, Terms
from p2pslinger.client.grid import Grid
from p2pslinger.client.packing import pack_function
from p2pslinger.client.rows import Rows
from p2pslinger.client.session import Session
from p2pslinger.errors import PeerError, UnavailableError
from p2pslinger.wire.control import (
    Blob,
    CloseJob,
    GetValues,
    JobEnded,
    RangeOut,
    Seal,
)
from p2pslinger.wire.manifest import Policy
from tests.client.scripted import (
    HANGING,
    ScriptedPeer,
    elsewhere,
    is_quiet,
    items,
    raw,
    scalars,
    scripted_grid,
    scripted_peer,
)


def submitted(
    peer: ScriptedPeer, grid: Grid, count: int
) -> tuple[int, list[Future[int]]]:
    """Submit so many calls of a function; return their job's handle and futures."""
    futures = [grid.submit(abs, i) for i in range(count)]
    handle = peer.open_job()
    peer.take(count)
    return handle, futures


def results(futures: list[Future[int]]) -> list[int]:
    return [future.result(HANGING) for future in futures]


@pytest.mark.parametrize("values", [list(range(5)), list(range(1000)), []])
def test_a_range_with_the_wrong_number_of_values_fails_its_own_tasks(
    values: list[object],
) -> None:
    with scripted_grid() as (peer, grid):
        handle, futures = submitted(peer, grid, 20)
        peer.results(handle, scalars(0, 10, values), scalars(10, 20, [7] * 10))

        assert results(futures[10:]) == [7] * 10
        for future in futures[:10]:
            with pytest.raises(PeerError, match=f"sent {len(values)} values"):
                future.result(HANGING)


@pytest.mark.parametrize(
    "broken",
    [raw(0, 10, 0, b"no pickle"), raw(0, 10, 1, b"no items"), items(0, 10, [b""] * 9)],
)
def test_a_range_that_cannot_be_decoded_fails_its_own_tasks(broken: RangeOut) -> None:
    with scripted_grid() as (peer, grid):
        handle, futures = submitted(peer, grid, 20)
        peer.results(handle, broken, scalars(10, 20, [7] * 10))

        assert results(futures[10:]) == [7] * 10
        assert all(isinstance(f.exception(HANGING), PeerError) for f in futures[:10])


def test_more_results_than_there_are_tasks_are_nobodys() -> None:
    with scripted_grid() as (peer, grid):
        handle, futures = submitted(peer, grid, 4)
        peer.results(handle, scalars(2, 500, [7] * 498), scalars(0, 2, [1, 2]))
        assert results(futures) == [1, 2, 7, 7]

        later = grid.submit(abs, -9)
        peer.take(1)
        peer.results(handle, scalars(4, 5, [9]))
        assert later.result(HANGING) == 9


def test_a_value_that_cannot_be_decoded_costs_the_one_who_reads_it() -> None:
    bad = b"\x80\x05cno_such_module\nname\n."  # a global that can't be found
    good = pickle.dumps([5])
    with scripted_grid() as (peer, grid):
        first = grid.map(abs, [1, 2])
        handle = peer.open_job()
        peer.take(2)
        second = grid.map(abs, [3, 4])
        peer.take(2)
        peer.results(handle, items(0, 4, [good, good, bad, good]))  # spans both

        assert list(first) == [[5], [5]]
        with pytest.raises(ModuleNotFoundError):
            list(second)
        later = grid.submit(abs, -9)
        peer.take(1)
        peer.results(handle, scalars(4, 5, [9]))
        assert later.result(HANGING) == 9


# --- values that are too big for a message ------------------------------------------


def test_values_that_the_peer_no_longer_has_fail_their_own_tasks() -> None:
    with scripted_grid() as (peer, grid):
        handle, futures = submitted(peer, grid, 4)
        peer.results(handle, elsewhere(0, 2, bytes(32)), scalars(2, 4, [2, 3]))
        number, _ = peer.expect(GetValues)
        peer.fail(number, "unavailable", "these values are no longer here")

        assert results(futures[2:]) == [2, 3]
        for future in futures[:2]:
            with pytest.raises(UnavailableError, match="no longer here"):
                future.result(HANGING)


def test_a_job_that_ends_still_gives_the_values_that_are_under_way() -> None:
    with scripted_grid() as (peer, grid):
        handle, futures = submitted(peer, grid, 3)
        peer.results(handle, elsewhere(0, 1, b"a" * 32), elsewhere(1, 2, b"b" * 32))
        peer.push(JobEnded(handle, "cancelled", "the job was cancelled"))
        for value in (10, 11):
            number, _ = peer.expect(GetValues)
            data = pickle.dumps([value])
            peer.reply_body(number, Blob(len(data)), data)

        assert results(futures[:2]) == [10, 11]
        with pytest.raises(UnavailableError, match="was cancelled"):
            futures[2].result(HANGING)
        assert peer.expect(CloseJob)[1].handle == handle


def test_only_a_few_values_are_asked_for_at_a_time() -> None:
    with scripted_grid() as (peer, grid):
        handle, futures = submitted(peer, grid, 100)
        peer.results(handle, *(elsewhere(i, i + 1, b"v" * 32) for i in range(100)))
        numbers = [peer.expect(GetValues)[0] for _ in range(16)]
        assert is_quiet(peer)

        for value in range(100):
            data = pickle.dumps([value])
            peer.reply_body(numbers.pop(0), Blob(len(data)), data)
            if value < 100 - 16:
                numbers.append(peer.expect(GetValues)[0])
        assert results(futures) == list(range(100))


# --- what is left behind ------------------------------------------------------------


def test_a_job_that_the_peer_has_ended_is_closed_and_forgotten() -> None:
    with scripted_peer() as (peer, link):
        session = Session(link, "mine", None)
        future = Functions(session).submit(abs, (1,), {}, Terms(Policy()))
        handle = peer.open_job()
        peer.take(1)
        assert len(session) == 1

        peer.push(JobEnded(handle, "unavailable", "it is over"))
        with pytest.raises(UnavailableError, match="it is over"):
            future.result(HANGING)
        assert peer.expect(CloseJob)[1].handle == handle
        assert len(session) == 0
        session.close()


def test_a_job_that_is_sealed_and_has_all_results_is_forgotten() -> None:
    with scripted_peer() as (peer, link):
        session, rows = Session(link, "mine", None), Rows(keep=True)
        stream = session.stream()
        package = pack_function(abs)
        stream.open("job", package, Policy())
        put_all(stream, rows, package, [1, 2], star=False)
        stream.seal()
        handle = peer.open_job()
        peer.take(2)
        peer.expect(Seal)
        assert len(session) == 1

        peer.results(handle, scalars(0, 2, [1, 2]))
        assert list(rows.read()) == [1, 2]
        assert is_quiet(peer)  # so the results have been handled
        assert len(session) == 0
        session.close()
        assert list(rows.read()) == [1, 2]
