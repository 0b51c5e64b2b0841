"""The level is what was tried, not what is installed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from p2pslinger.sandbox import attempts
from p2pslinger.sandbox.confine import bubblewrap, landlock
from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.level import Finding, Level
from p2pslinger.sandbox.probe import _possible, probe
from tests.sandbox.desk import Desk, at_a_desk

needs_landlock = pytest.mark.skipif(
    landlock.version() < landlock.TRUNCATION, reason="needs Landlock"
)


def found(scratch: Path) -> Finding:
    finding = asyncio.run(probe(scratch))
    assert not list(scratch.iterdir())
    return finding


@needs_landlock
@pytest.mark.skipif(bubblewrap.find() is None, reason="needs bubblewrap")
def test_with_everything_the_level_is_strong(tmp_path: Path) -> None:
    assert found(tmp_path) == Finding(Level.STRONG, Confinement.STRONG, ())


@needs_landlock
def test_without_bubblewrap_it_is_good_and_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    finding = found(tmp_path)
    assert (finding.level, finding.confinement) == (Level.GOOD, Confinement.GOOD)
    (why,) = finding.missing
    assert why.startswith("strong: ")
    assert "bubblewrap (bwrap) is not installed" in why


def test_a_bubblewrap_that_fails_says_so_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "bin" / "bwrap"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho bwrap: no permissions here >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:/usr/bin:/bin")
    finding = found(tmp_path / "scratch")
    assert "no permissions here" in finding.missing[0]


def test_without_fork_there_is_no_level(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("os.fork")
    finding = found(tmp_path)
    assert (finding.level, finding.confinement) == (Level.NONE, None)
    assert len(finding.missing) == len([Level.STRONG, Level.GOOD, Level.WEAK])


def test_what_own_work_may_do_is_all_found_possible(tmp_path: Path) -> None:
    bait = tmp_path / "bait"
    bait.touch()

    async def scenario(desk: Desk) -> None:
        launcher = desk.launcher
        possible = await _possible(launcher, Confinement.OWN, str(bait))
        assert set(possible) >= set(attempts.ATTEMPTS) - {"make namespaces"}

    at_a_desk(scenario)
