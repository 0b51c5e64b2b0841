"""Peers for programs that were written for something else."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import p2pslinger as slinger
from p2pslinger.client.grid import Grid
from tests.grid.place import Peer, Place


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """A place for all tests of a module, whose processes end with it."""
    folder = Path(tempfile.mkdtemp(prefix="sl-", dir="/tmp"))
    made = Place(folder)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in made.environment.items():
            if name != "PYTHONPATH":
                patch.setenv(name, value)
        patch.setattr(tempfile, "tempdir", str(folder / "tmp"))
        try:
            yield made
            made.end()
            made.check_empty()
        finally:
            shutil.rmtree(folder)


@pytest.fixture(scope="module")
def peer(place: Place) -> Peer:
    """A peer with five slots: what an executor with five workers is."""
    return place.peer("data", "--slots", "5", SLINGER_AUTHKEY=place.key)


@pytest.fixture
def grid(peer: Peer) -> Iterator[Grid]:
    """A grid whose peer is the module's."""
    with slinger.connect(data=peer.data) as made:
        yield made
