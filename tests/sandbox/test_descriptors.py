"""A daemon that is out of file descriptors makes no slot, says so, and loses none."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from p2pslinger.errors import UnavailableError
from tests.sandbox.desk import Desk, at_a_desk, packaged


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """Let this process open no more than so many files."""
    lowest = os.dup(0)
    os.close(lowest)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("started", [False, True])
def test_a_daemon_that_is_out_of_descriptors_says_so_and_leaks_none(
    started: bool,
) -> None:
    async def scenario(desk: Desk) -> None:
        if started:
            await desk.worker()
        before = psutil.Process().num_fds()
        for left in range(5):
            with descriptors_left(left), pytest.raises(UnavailableError, match="slot"):
                await desk.worker()
            assert psutil.Process().num_fds() == before

        worker = await desk.worker()
        assert await worker.compute(packaged(abs), [-1]) == [1]

    at_a_desk(scenario)
