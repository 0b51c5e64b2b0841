"""The whole system with real processes; none of them, nor their files, may be left."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import p2pslinger as slinger
from p2pslinger.client.grid import Grid
from tests.grid.place import Place


@pytest.fixture(scope="module")
def module_place() -> Iterator[Place]:
    """A place for all tests of a module: for those that share a grid."""
    yield from _place()


@pytest.fixture
def place() -> Iterator[Place]:
    """A place for one test."""
    yield from _place()


@pytest.fixture(scope="module")
def grid(module_place: Place) -> Iterator[Grid]:
    """A throw-away grid of three peers with one slot each, shared by a module."""
    with slinger.local(peers=3, slots=1) as made:
        yield made


def _place() -> Iterator[Place]:
    folder = Path(tempfile.mkdtemp(prefix="sl-", dir="/tmp"))
    place = Place(folder)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in place.environment.items():
            if name != "PYTHONPATH":
                patch.setenv(name, value)
        # Where mkdtemp looks: this process may have asked before.
        patch.setattr(tempfile, "tempdir", str(folder / "tmp"))
        try:
            yield place
            place.end()
            place.check_empty()
        finally:
            shutil.rmtree(folder)
