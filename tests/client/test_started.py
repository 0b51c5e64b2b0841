"""A job that outlives its program has arrived in full, or it has not been started."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import msgspec
import pytest

from p2pslinger.client.job import Job
from p2pslinger.errors import PackingError, UnavailableError, UsageError
from p2pslinger.ids import from_text
from p2pslinger.wire.control import (
    Append,
    AppendBig,
    Attach,
    Attached,
    CloseJob,
    Done,
    GetJobs,
    Jobs,
    OpenJob,
    Seal,
)
from p2pslinger.wire.frames import Kind
from p2pslinger.wire.owning import AwaitKept, ChangeJob, GetTicket, KeptBy, Ticket
from tests.client.scripted import (
    HANGING,
    ScriptedPeer,
    facts,
    scalars,
    scripted_grid,
)

JOB = bytes(range(20))

ALONE = "no other peer of the grid is known"


@contextmanager
def starting(**options: object) -> Iterator[tuple[ScriptedPeer, Future[Job[int]], int]]:
    """Start a job of three tasks; stop where it waits for its keepers."""
    with scripted_grid() as (peer, grid), ThreadPoolExecutor(1) as thread:
        start: Callable[..., Job[int]] = grid.start
        future = thread.submit(start, abs, [-1, -2, -3], **options)
        handle = peer.open_job()
        peer.take(3)
        peer.expect(Seal)
        yield peer, future, handle


def started(peer: ScriptedPeer, future: Future[Job[int]]) -> Job[int]:
    """Let the job be safe."""
    number, _ = peer.expect(AwaitKept)
    return answered(peer, number, KeptBy(3, 3), future)


def answered(
    peer: ScriptedPeer, number: int, kept: KeptBy, future: Future[Job[int]]
) -> Job[int]:
    """Tell a program how many keepers its job has."""
    peer.reply(number, kept)
    return future.result(HANGING)


def refuse(peer: ScriptedPeer) -> None:
    """Answer the question that asks for nothing but an answer."""
    number, _ = peer.expect(AwaitKept)
    peer.fail(number, "unavailable", "the peer is shutting down")


def test_start_returns_when_the_peer_holds_all_of_the_job() -> None:
    with scripted_grid() as (peer, grid), ThreadPoolExecutor(1) as thread:
        starting = thread.submit(grid.start, len, [bytes(1 << 19)])
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
        cancelled = [one for one in said if isinstance(one, ChangeJob)]
        assert [from_text(one.job) for one in cancelled] == [bytes([handle]) * 20]
        assert cancelled[0].change == "cancel"
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


def test_the_peer_hears_how_a_job_is_to_be_kept() -> None:
    with scripted_grid() as (peer, grid), ThreadPoolExecutor(1) as thread:
        keep = timedelta(days=3)
        thread.submit(grid.start, abs, [1], keepers=4, keep=keep, priority=-7)
        number, opening = peer.expect(OpenJob)
        peer.fail(number, "unavailable", "this was a test")

        assert opening.policy.durable
        assert (opening.keepers, opening.keep_for) == (4, 3 * 86400.0)
        assert opening.priority == -7


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"keepers": 8}, "8 keepers besides .* ask for 0 to 7"),
        ({"keepers": -1}, "can't have -1 keepers"),
        ({"keep": 0}, "kept for 0 s"),
        ({"keep": timedelta(days=-1)}, "kept for -86400 s"),
        ({"keep": 1e10}, "at most 30 years"),
        ({"priority": 101}, "priority 101 is not in the range -100 to 100"),
    ],
)
def test_numbers_out_of_bounds_are_usage_errors(
    options: dict[str, object], text: str
) -> None:
    with scripted_grid() as (_, grid):
        start: Callable[..., Job[int]] = grid.start
        with pytest.raises(UsageError, match=text):
            start(abs, [1], **options)


def test_a_job_that_enough_keepers_have_says_so() -> None:
    with starting() as (peer, future, _):
        job = started(peer, future)

        assert job.kept == (2, 2)
        assert job.why_not_kept == ""


def test_a_job_that_too_few_keepers_have_is_started_with_a_warning() -> None:
    with starting() as (peer, future, _):
        number, ask = peer.expect(AwaitKept)
        assert ask.timeout == 10.0
        with pytest.warns(UserWarning, match=ALONE) as said:
            job = answered(peer, number, KeptBy(1, 3, ALONE), future)

        assert len(said) == 1
        assert job.kept == (0, 2)
        assert job.why_not_kept == ALONE


def test_a_program_that_has_brought_its_peer_is_told_that_it_goes() -> None:
    with starting() as (peer, future, _):
        peer.link.brought = True
        number, _ = peer.expect(AwaitKept)
        with pytest.warns(UserWarning, match="brought along ends soon after it"):
            job = answered(peer, number, KeptBy(2, 3, ALONE), future)
        assert job.kept == (1, 2)


def test_a_job_that_must_have_its_keepers_is_cancelled_without_them() -> None:
    with starting(require_keepers=True) as (peer, future, handle):
        number, _ = peer.expect(AwaitKept)
        peer.reply(number, KeptBy(2, 3, ALONE))

        with pytest.raises(UnavailableError, match=ALONE):
            future.result(HANGING)
        _, change = peer.expect(ChangeJob)
        assert (from_text(change.job), change.change) == (
            bytes([handle]) * 20,
            "cancel",
        )
        peer.expect(CloseJob)


def test_a_job_is_changed_by_its_id() -> None:
    with (
        starting() as (peer, future, _),
        ThreadPoolExecutor(1) as thread,
    ):
        job = started(peer, future)
        changes: list[tuple[Callable[[], None], str, float | None]] = [
            (job.cancel, "cancel", None),
            (job.pause, "pause", None),
            (job.resume, "resume", None),
            (lambda: job.priority(5), "priority", 5),
            (lambda: job.extend(timedelta(hours=1)), "extend", 3600.0),
            (job.forget, "forget", None),
        ]
        for change, word, value in changes:
            changing = thread.submit(change)
            number, message = peer.expect(ChangeJob)
            assert (message.job, message.change, message.value) == (job.id, word, value)
            peer.reply(number, Done())
            changing.result(HANGING)


def test_a_ticket_made_here_is_used_there() -> None:
    ticket = Ticket(JOB, bytes(8), bytes(range(32)))
    with starting() as (peer, future, _), ThreadPoolExecutor(1) as thread:
        making = thread.submit(started(peer, future).ticket, owner=True)
        number, ask = peer.expect(GetTicket)
        assert ask.owner
        peer.reply(number, ticket)
        text = making.result(HANGING)

    with scripted_grid() as (peer, grid), ThreadPoolExecutor(1) as thread:
        using = thread.submit(grid.use_ticket, text)
        number, told = peer.expect(Ticket)
        assert told == ticket
        peer.reply(number, Attached(facts(JOB, 2, sealed=True)))
        number, attach = peer.expect(Attach)
        assert from_text(attach.job) == JOB
        peer.reply(number, Attached(facts(JOB, 2, sealed=True)))
        assert from_text(using.result(HANGING).id) == JOB


def test_output_comes_as_it_is_printed_and_ends_with_the_job() -> None:
    with starting() as (peer, future, handle):
        job = started(peer, future)
        loud = msgspec.structs.replace(scalars(1, 3, [2, 3]), output=b"hello\n\xff")
        peer.results(handle, loud)
        output = job.output()
        first = next(output)
        assert (first.start, first.stop, first.text) == (1, 3, "hello\n\ufffd")

        peer.results(handle, scalars(0, 1, [1]))
        assert list(output) == []


def test_results_so_far_are_numbered_and_have_errors_in_their_place() -> None:
    with starting() as (peer, future, handle):
        job = started(peer, future)
        assert list(job.results_so_far()) == []
        peer.results(handle, scalars(1, 3, [2, 3]))
        for progress in job.updates(HANGING):
            if progress.done == 2:
                break
        assert list(job.results_so_far()) == [(1, 2), (2, 3)]


def test_the_arguments_of_a_started_job_are_not_listed_first() -> None:
    read = 0

    def numbers() -> Iterator[tuple[int]]:
        nonlocal read
        while True:  # it has no end before the peer has got some
            read += 1
            yield (read,)
            if taken.is_set():
                return

    taken = threading.Event()
    with scripted_grid() as (peer, grid), ThreadPoolExecutor(1) as thread:
        starting = thread.submit(grid.start, abs, numbers())
        peer.open_job()
        peer.expect(Append)
        taken.set()
        while not isinstance(peer.hear().message, Seal):
            pass
        refuse(peer)
        with pytest.raises(UnavailableError):
            starting.result(HANGING)


def test_a_generator_that_begins_with_tuples_must_go_on_with_them() -> None:
    with (
        scripted_grid() as (_, grid),
        pytest.raises(UsageError, match="argument 1 is no tuple"),
    ):
        grid.start(pow, iter([(2, 3), 4]))
