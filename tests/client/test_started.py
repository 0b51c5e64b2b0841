"""A job that outlives its program has arrived in full, or it has not been started."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from p2pslinger.client.job import Job
from p2pslinger.errors import PackingError, UnavailableError, UsageError
from p2pslinger.ids import from_text
from p2pslinger.wire.control import (
    AppendBig,
    Attach,
    Attached,
    CancelJob,
    CloseJob,
    Done,
    GetJobs,
    GetStatus,
    Jobs,
    Seal,
)
from p2pslinger.wire.frames import Kind
from tests.client.scripted import (
    HANGING,
    ScriptedPeer,
    facts,
    scalars,
    scripted_grid,
)

JOB = bytes(range(20))


def refuse(peer: ScriptedPeer) -> None:
    """Answer the question that asks for nothing but an answer."""
    number, _ = peer.expect(GetStatus)
    peer.fail(number, "unavailable", "the peer is shutting down")


def test_start_returns_when_the_peer_holds_all_of_the_job() -> None:
    with scripted_grid() as (peer, grid), ThreadPoolExecutor(1) as thread:
        starting = thread.submit(grid.start, len, [bytes(1 << 20)])
        peer.open_job()
        number, _ = peer.expect(AppendBig)
        peer.make_room(number)
        while peer.frame().kind != Kind.END:
            pass
        assert not starting.done()
        peer.reply(number, Done())
        peer.expect(Seal)
        assert not starting.done()
        refuse(peer)
        with pytest.raises(UnavailableError, match="shutting down"):
            starting.result(HANGING)


def test_a_job_that_cannot_be_sent_in_full_is_cancelled() -> None:
    with scripted_grid() as (peer, grid), ThreadPoolExecutor(1) as thread:
        lock = threading.Lock()
        starting = thread.submit(grid.start, abs, [*range(100), lock])
        handle = peer.open_job()

        with pytest.raises(PackingError, match="argument 100"):
            starting.result(HANGING)
        said = []
        while not isinstance(message := peer.hear().message, CloseJob):
            said.append(message)
        cancelled = [one for one in said if isinstance(one, CancelJob)]
        assert [from_text(one.job) for one in cancelled] == [bytes([handle]) * 20]
        assert message.handle == handle


def test_a_job_can_be_neither_started_nor_found_from_a_callback() -> None:
    with scripted_grid() as (peer, grid):
        refused: Future[list[str]] = Future()

        def try_both(_: Future[int]) -> None:
            texts = []
            for ask in (lambda: grid.start(abs, [1]), lambda: grid.job("x")):
                try:
                    ask()
                except UsageError as error:
                    texts.append(str(error))
            refused.set_result(texts)

        grid.submit(abs, 1).add_done_callback(try_both)
        handle = peer.open_job()
        peer.take(1)
        peer.results(handle, scalars(0, 1, [1]))
        first, second = refused.result(HANGING)
        assert first == second
        assert "callback can't wait" in first


def test_a_job_that_is_still_being_sent_is_found_with_all_its_tasks() -> None:
    with scripted_grid() as (peer, grid), ThreadPoolExecutor(1) as thread:
        finding = thread.submit(grid.job, "abc")
        number, attach = peer.expect(Attach)
        peer.reply(number, Attached(facts(JOB, 2, sealed=False)))
        peer.results(attach.handle, scalars(0, 2, [0, 1]))
        number, _ = peer.expect(GetJobs)
        peer.reply(number, Jobs((facts(JOB, 3, sealed=False),)))
        number, _ = peer.expect(GetJobs)
        peer.reply(number, Jobs((facts(JOB, 5, sealed=True),)))

        job: Job[object] = finding.result(HANGING)
        assert job.progress.total == 5
        peer.results(attach.handle, scalars(2, 5, [2, 3, 4]))
        assert list(job.results(timeout=HANGING)) == [0, 1, 2, 3, 4]


def test_a_job_that_cannot_be_found_leaves_nothing_behind() -> None:
    with scripted_grid() as (peer, grid), ThreadPoolExecutor(1) as thread:
        finding = thread.submit(grid.job, "abc")
        number, attach = peer.expect(Attach)
        peer.fail(number, "usage", "this machine knows no job 'abc'")

        with pytest.raises(UsageError, match="knows no job"):
            finding.result(HANGING)
        assert peer.expect(CloseJob)[1].handle == attach.handle
