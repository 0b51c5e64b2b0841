"""Peers that lack what a job requires never see its tasks; it says who lacks what."""

from __future__ import annotations

import pytest

from p2pslinger.client.grid import Grid
from p2pslinger.errors import UsageError
from tests.grid.place import until


def test_what_is_installed_everywhere_may_be_required(grid: Grid) -> None:
    some = grid.options(requires=["pytest>=8", "MsgSpec"], platform="linux")
    assert list(some.map(abs, [-1, 2])) == [1, 2]


def test_a_job_that_nobody_can_compute_says_what_is_lacking(grid: Grid) -> None:
    future = grid.options(requires=["no-such-package>=3"]).submit(abs, -1)
    try:
        until(lambda: excluded(grid) == [(3, "no no-such-package>=3")])
        waiting = grid.jobs()[0].waiting
        assert waiting is not None
        assert (waiting.code, waiting.peers) == ("no-package", 3)
        assert "no-such-package>=3" in waiting.text
    finally:
        future.cancel()


def test_a_started_job_explains_itself_and_its_tasks(grid: Grid) -> None:
    job = grid.start(abs, [-1, -2], requires=["no-such-package"])
    until(lambda: code(job.why()) == "no-package")
    assert code(job.why(1)) == "no-package"
    assert job.why(1).task == 1
    with pytest.raises(UsageError, match="has 2 tasks, from 0 to 1"):
        job.why(2)
    job.pause()
    until(lambda: code(job.why(1)) == "job-paused")
    job.cancel()
    until(lambda: job.why(1).state == "cancelled")


def test_a_peer_explains_itself(grid: Grid) -> None:
    why = grid.why()
    assert why.state in {"waiting", "computing"}
    assert (why.reason is None) is (why.state == "computing")


def test_what_is_no_requirement_is_refused_before_anything_is_sent(grid: Grid) -> None:
    with pytest.raises(UsageError, match="no requirement such as"):
        grid.options(requires=["no requirement"])
    with pytest.raises(UsageError, match="no platform such as"):
        grid.start(abs, [1], platform="beos")


def code(why: object) -> str:
    reason = getattr(why, "reason", None)
    return "" if reason is None else str(reason.code)


def excluded(grid: Grid) -> list[tuple[int, str]]:
    waiting = grid.jobs()[0].waiting  # of the newest
    return [(one.peers, one.text) for one in waiting.excluded] if waiting else []
