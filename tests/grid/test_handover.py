"""Big data passes between program, peer and slots of one machine as memory."""

from __future__ import annotations

import gc
import os
import socket
from array import array

import numpy as np
import psutil
import pytest

import p2pslinger as slinger
from p2pslinger import limits, paths
from p2pslinger.client.grid import Grid
from p2pslinger.client.link import Link
from p2pslinger.sandbox.memory import AVAILABLE, MOST
from p2pslinger.wire.blobs import blob_digest
from p2pslinger.wire.control import GetStatus, ShareBlob
from tests.grid.place import Peer, Place, until

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="needs Linux")

LARGE = 5 * limits.MIB


def backwards(data: bytes) -> bytes:
    """Return the data from its end."""
    return data[::-1]


def doubled(array: np.ndarray, *, times: int = 2) -> np.ndarray:
    """Return several times an array."""
    return array * times


def transposed(size: int) -> np.ndarray:
    """Return an array that does not lie in memory as it is read."""
    return np.arange(size * size).reshape(size, size).T


def made(size: int) -> bytes:
    """Return so many bytes."""
    return b"m" * size


def descriptors(process: psutil.Process | None = None) -> int:
    """Count the descriptors of a process, this one by default."""
    gc.collect()
    return (process or psutil.Process()).num_fds()


@pytest.fixture(scope="module")
def peer(module_place: Place) -> Peer:
    """A machine's peer with a slot."""
    return module_place.peer("data", SLINGER_AUTHKEY=module_place.key)


def test_large_arguments_and_results_are_right_in_every_form(peer: Peer) -> None:
    array = np.arange(LARGE // 8)
    data = os.urandom(LARGE)
    with peer.connect() as grid:
        for _ in range(2):
            assert grid.submit(backwards, data).result() == data[::-1]
            assert (grid.submit(doubled, array).result() == array * 2).all()
            assert (grid.submit(doubled, array, times=3).result() == array * 3).all()
            assert list(grid.map(backwards, [data, data])) == [data[::-1]] * 2
            assert list(grid.starmap(backwards, [(data,)])) == [data[::-1]]
            one, two = grid.map(doubled, [array, array + 1])
            assert (two - one == 2).all()
        job = grid.start(backwards, [data], keepers=0)
        assert list(job.results()) == [data[::-1]]


def test_large_arrays_come_back_as_views_that_nobody_can_change(peer: Peer) -> None:
    with peer.connect() as grid:
        for times in (2, 3, 4):
            result = grid.submit(doubled, np.arange(LARGE // 8), times=times).result()
            assert not result.flags.writeable
            assert not result.flags.owndata
            assert result.flags.aligned
            assert (result == np.arange(LARGE // 8) * times).all()
        sizes = [10, LARGE // 8, 20, LARGE // 8]
        arrays = list(grid.map(doubled, [np.ones(size) for size in sizes]))
        assert [one.flags.writeable for one in arrays] == [True, False, True, False]
        assert all(one.flags.aligned and (one == 2).all() for one in arrays)
        grown = [grid.submit(transposed, shape).result() for shape in (3, 1200)]
        assert all((one == transposed(len(one))).all() for one in grown)


def test_calls_of_all_sizes_come_in_any_order(peer: Peer) -> None:
    sizes = [1, LARGE, 2, 3, LARGE, 70_000, 4, 2 * limits.MIB]
    with peer.connect() as grid:
        arguments = [os.urandom(size) for size in sizes]
        futures = [grid.submit(backwards, one) for one in arguments]
        arrays = [grid.submit(doubled, np.ones(size)) for size in sizes]
        assert [one.result() for one in futures] == [one[::-1] for one in arguments]
        assert [len(one.result()) for one in arrays] == sizes


def test_more_than_memory_has_room_for_goes_the_other_way(peer: Peer) -> None:
    with peer.connect() as grid:
        count = MOST + 20
        futures = [grid.submit(made, limits.MIB) for _ in range(count)]
        values = [one.result() for one in futures]
        assert values == [b"m" * limits.MIB] * count


def test_nothing_stays_open_in_program_or_peer(peer: Peer) -> None:
    process = psutil.Process(peer.process.pid)
    data = os.urandom(LARGE)
    with peer.connect() as grid:
        here, there = descriptors(), descriptors(process)
        for _ in range(40):
            grid.submit(backwards, data).result()
            grid.share(data)
        # A peer keeps 64 MiB of arguments at hand, each with two descriptors.
        until(lambda: descriptors(process) <= there + 2 * 14)
        assert descriptors() <= here + 2


def test_a_result_outlives_its_grid(peer: Peer) -> None:
    with peer.connect() as grid:
        values = [grid.submit(doubled, np.ones(LARGE // 8)).result() for _ in range(3)]
    gc.collect()
    assert all((one == 2).all() for one in values)


def test_memory_that_could_still_change_is_refused(peer: Peer) -> None:
    data = bytes(LARGE)
    fd = os.memfd_create("unsealed", os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    with Link.open(paths.control_path(peer.data)) as link:
        ask = ShareBlob(blob_digest(data), LARGE, os.fstat(fd).st_ino)
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [fd]))
        # A push of no account carries it there.
        link._socket.sendmsg([b""], [rights])
        with pytest.raises(slinger.PeerError, match="named memory that has not come"):
            link.request(ask)
    with Link.open(paths.control_path(peer.data)) as link:
        send = link._beside._socket
        plain = link._requests._send

        def beside(data: bytes, memory: bytes | None = None) -> None:
            link._requests._send = plain
            sent = send.sendmsg([data], [rights])
            send.sendall(data[sent:])

        link._requests._send = beside
        with pytest.raises(slinger.PeerError, match="memory that is not sealed"):
            link.request(ask)
        os.ftruncate(fd, 0)
        link.request(GetStatus())  # it is alive
    os.close(fd)


def test_memory_that_nobody_has_sent_is_refused(grid: Grid) -> None:
    with pytest.raises(slinger.PeerError, match="named memory that has not come"):
        grid._link.request(ShareBlob(bytes(32), LARGE, 12345))


def test_a_volunteer_elsewhere_gets_what_was_handed_over(grid: Grid) -> None:
    data = os.urandom(LARGE)
    with slinger.local(peers=2, slots=[0, 1]) as two:
        for _ in range(2):
            assert two.submit(backwards, data).result() == data[::-1]
            assert two.submit(made, LARGE).result() == b"m" * LARGE
    assert grid.submit(backwards, data).result() == data[::-1]
