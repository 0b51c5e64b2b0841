"""What works at home and fails abroad says why, and what to do about it."""

from __future__ import annotations

import pickle
import socket
import subprocess
from pathlib import Path

import pytest

from p2pslinger.sandbox import refusals
from p2pslinger.sandbox.confine import landlock
from p2pslinger.sandbox.confine.confinement import Confinement
from tests.sandbox.desk import Desk, at_a_desk

WORDS = "arguments"


@pytest.mark.skipif(landlock.version() < landlock.TRUNCATION, reason="needs Landlock")
def test_a_refused_file_or_socket_says_so_and_names_the_remedy() -> None:
    def opens() -> None:
        Path("/etc/passwd").read_text()

    def connects() -> None:
        socket.create_connection(("127.0.0.1", 1))

    def fails() -> None:
        raise ValueError("of its own")

    async def scenario(desk: Desk) -> None:
        abroad = await desk.worker(confinement=Confinement.GOOD)
        for task in (opens, connects):
            failure = await abroad.fail(task)
            assert WORDS in failure.traceback
            assert WORDS in pickle.loads(failure.pickled).__notes__[0]
            assert WORDS not in failure.message
        assert WORDS not in (await abroad.fail(fails)).traceback
        at_home = await desk.worker()
        assert WORDS not in (await at_home.fail(connects)).traceback

    at_a_desk(scenario)


def test_a_file_that_is_not_in_the_tasks_own_folder_is_explained_at_home() -> None:
    def reads() -> None:
        Path("data.csv").read_text()

    def reads_by_its_whole_path() -> None:
        Path("/nowhere/data.csv").read_text()

    def runs() -> None:
        subprocess.run(["no-such-program"], check=True)

    async def scenario(desk: Desk) -> None:
        worker = await desk.worker()
        failure = await worker.fail(reads)
        assert "not in its program's: give it whole paths" in failure.traceback
        assert "whole paths" in pickle.loads(failure.pickled).__notes__[0]
        for task in (reads_by_its_whole_path, runs):
            assert "whole paths" not in (await worker.fail(task)).traceback

    at_a_desk(scenario)


def test_an_error_that_takes_no_notes_is_left_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Hostile(PermissionError):
        def add_note(self, note: str) -> None:
            raise RuntimeError("no notes")

    monkeypatch.setattr(refusals, "_notes", [])
    refusals.expect_refusals(scratch=True)
    error = PermissionError(1, "x")
    refusals.remark_on(error)
    refusals.remark_on(error)
    assert len(error.__notes__) == 1
    refusals.remark_on(Hostile(1, "x"))


def test_an_error_that_wraps_a_refusal_is_explained_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refusals, "_notes", [])
    refusals.expect_refusals(scratch=False)
    wrapped, plain = ConnectionError("<urlopen error>"), ValueError("no number")
    wrapped.__cause__ = ConnectionError("again")
    wrapped.__cause__.__context__ = PermissionError(1, "Operation not permitted")
    plain.__context__ = FileNotFoundError(2, "No such file")

    refusals.remark_on(wrapped)
    refusals.remark_on(plain)
    assert "another machine's owner" in wrapped.__notes__[0]
    assert not hasattr(plain, "__notes__")
