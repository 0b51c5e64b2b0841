"""What leaves a program, in which order, and what an interrupt in the middle costs."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from p2pslinger import limits
from p2pslinger.client.grid import Grid
from p2pslinger.client.link import BrokenGridError
from p2pslinger.client.sender import Sender
from p2pslinger.errors import UnavailableError, UsageError
from p2pslinger.wire.control import (
    Append,
    AppendBig,
    CloseJob,
    Done,
    GetStatus,
    ShardIn,
    Withdraw,
)
from p2pslinger.wire.frames import Kind
from tests.client.scripted import (
    HANGING,
    ScriptedPeer,
    is_quiet,
    scalars,
    scripted_grid,
    scripted_peer,
)

BIG = bytes(1 << 19)  # too big for a message, too small to go as memory


class Packed:
    """An argument that notes when it is packed."""

    def __init__(self, noting: Callable[[], object]) -> None:
        self._noting = noting

    def __reduce__(self) -> tuple[type, tuple[int]]:
        self._noting()
        return int, (7,)


def interrupt() -> None:
    raise KeyboardInterrupt


def with_a_big_one_under_way(
    peer: ScriptedPeer, grid: Grid
) -> tuple[int, Future[int], int]:
    """Have the sender thread send a big argument, without room for all of it.

    Returns:
        The job's handle, the big call's future, the number of its request.
    """
    grid.submit(len, b"small")
    handle = peer.open_job()
    peer.take(1)
    future = grid.submit(len, BIG)
    number, _ = peer.expect(AppendBig)
    return handle, future, number


def take_the_rest(peer: ScriptedPeer, number: int) -> None:
    peer.make_room(number)
    while peer.frame().kind != Kind.END:
        pass
    peer.reply(number, Done())


def test_a_task_is_not_taken_back_before_it_has_been_sent() -> None:
    with scripted_grid() as (peer, grid):
        handle, future, number = with_a_big_one_under_way(peer, grid)
        assert future.cancel()
        assert is_quiet(peer)

        take_the_rest(peer, number)
        assert peer.expect(Withdraw)[1] == Withdraw(handle, 1, 2)


def test_a_task_that_is_cancelled_while_it_is_packed_is_taken_back() -> None:
    with scripted_grid() as (peer, grid):
        handle, _, number = with_a_big_one_under_way(peer, grid)
        kept = grid.submit(len, b"other")
        late: list[Future[int]] = []
        late.append(grid.submit(len, Packed(lambda: late.pop().cancel())))  # type: ignore[arg-type]
        take_the_rest(peer, number)

        peer.take(2)
        assert not late
        assert peer.expect(Withdraw)[1] == Withdraw(handle, 3, 4)
        peer.results(handle, scalars(0, 3, [5, len(BIG), 5]))
        assert kept.result(HANGING) == 5


def test_a_map_that_is_given_up_is_taken_back_behind_its_arguments() -> None:
    with scripted_grid() as (peer, grid):
        results = grid.map(len, [b"", b"1"])
        handle = peer.open_job()
        peer.take(2)
        peer.results(handle, scalars(0, 1, [0]))
        assert next(results) == 0
        grid.submit(len, BIG)
        number, _ = peer.expect(AppendBig)
        results.close()  # type: ignore[attr-defined]
        take_the_rest(peer, number)

        assert peer.expect(Withdraw)[1] == Withdraw(handle, 1, 2)


def test_what_a_program_cannot_send_closes_its_job_and_no_other() -> None:
    with scripted_grid() as (peer, grid):
        handle, future, number = with_a_big_one_under_way(peer, grid)
        other = grid.submit(abs, -1)
        other_handle = peer.open_job()
        peer.take(1)
        peer.fail(number, "usage", "that is too much")

        with pytest.raises(UsageError, match="too much"):
            future.result(HANGING)
        assert peer.expect(CloseJob)[1].handle == handle
        peer.results(other_handle, scalars(0, 1, [1]))
        assert other.result(HANGING) == 1


# --- interrupts ---------------------------------------------------------------------


def test_an_interrupt_while_packing_leaves_nothing_behind_that_hangs() -> None:
    with scripted_grid() as (peer, grid):
        with pytest.raises(KeyboardInterrupt):
            grid.submit(len, Packed(interrupt))  # type: ignore[arg-type]
        handle = peer.open_job()
        assert peer.expect(CloseJob)[1].handle == handle

        future = grid.submit(abs, -1)
        second = peer.open_job()
        assert peer.take(1) == second != handle
        peer.results(second, scalars(0, 1, [1]))
        assert future.result(HANGING) == 1


def test_an_interrupt_in_the_sender_thread_fails_the_calls_and_not_the_thread(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with scripted_grid() as (peer, grid):
        handle, _, number = with_a_big_one_under_way(peer, grid)
        lost = grid.submit(len, Packed(interrupt))  # type: ignore[arg-type]
        take_the_rest(peer, number)

        with pytest.raises(UnavailableError, match="sending was interrupted"):
            lost.result(HANGING)
        assert peer.expect(CloseJob)[1].handle == handle
        _, future, number = with_a_big_one_under_way(peer, grid)
        assert future.cancel()
    assert "sending was interrupted" in caplog.text


def test_half_a_frame_is_the_last_that_is_sent() -> None:
    shard = ShardIn(1, 0, bytes(limits.INLINE))
    main = threading.main_thread().ident
    assert main is not None

    def look_and_interrupt(peer: ScriptedPeer) -> None:
        peer.socket.recv(1, socket.MSG_PEEK)  # some of it is out, not all can be
        signal.pthread_kill(main, signal.SIGINT)

    with scripted_peer() as (peer, link):
        lost = threading.Event()
        link.on_lost = lambda _: lost.set()
        looking = threading.Thread(target=look_and_interrupt, args=(peer,))
        looking.start()
        with pytest.raises(KeyboardInterrupt):
            link.push(Append(1, (shard,) * 32))
        looking.join()

        assert lost.wait(HANGING)
        with pytest.raises(BrokenGridError, match="interrupted in the middle"):
            link.request(GetStatus())


# --- the sender thread --------------------------------------------------------------


class Noting:
    """Something to be flushed, which notes that it was."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.flushed = threading.Event()
        self._error = error

    def flush(self) -> None:
        self.flushed.set()
        if self._error is not None:
            raise self._error


def test_the_sender_goes_on_after_a_bug() -> None:
    sender, bug, other = Sender(), Noting(ZeroDivisionError()), Noting()
    sender.wake(bug)
    sender.wake(other)

    assert other.flushed.wait(HANGING)
    sender.close()


def test_a_closed_sender_starts_no_thread() -> None:
    sender, late = Sender(), Noting()
    sender.close()
    before = threading.active_count()
    sender.wake(late)

    assert threading.active_count() == before
    assert not late.flushed.is_set()
