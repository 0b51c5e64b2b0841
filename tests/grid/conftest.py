"""The whole system with real processes; none of them, nor their files, may be left."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import p2pslinger as slinger
from p2pslinger.client.grid import Grid
from tests.grid.place import Peer, Place, until
from tests.grid.shell import SCRIPT, Shell


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


@pytest.fixture(scope="module")
def anna(module_place: Place) -> Peer:
    """The submitter's peer, without slots."""
    (module_place.folder / "script.py").write_text(SCRIPT)
    key = module_place.key
    return module_place.peer("data", "--slots", "0", SLINGER_AUTHKEY=key)


@pytest.fixture(scope="module")
def bert(module_place: Place, anna: Peer) -> Peer:
    """A volunteer, and keeper."""
    return module_place.volunteer("bert", anna)


@pytest.fixture(scope="module")
def cleo(module_place: Place, anna: Peer, bert: Peer) -> Peer:
    """Another."""
    return module_place.volunteer("cleo", anna)


@pytest.fixture(scope="module")
def trio(anna: Peer, bert: Peer, cleo: Peer) -> tuple[Peer, Peer, Peer]:
    """Anna, Bert and Cleo, who know each other."""
    for peer in (anna, bert, cleo):
        until(lambda: neighbours(peer) == 2)  # noqa: B023  # it is called at once
    return anna, bert, cleo


def neighbours(peer: Peer) -> int:
    """Return how many others a peer is connected to."""
    with peer.connect() as grid:
        return grid.status().neighbours


@pytest.fixture
def gate(module_place: Place, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file that tasks wait for; there in the end, so that none waits for ever."""
    file = module_place.folder / f"gate of {request.node.name}"
    yield file
    file.touch()


@pytest.fixture
def here(module_place: Place, anna: Peer) -> Shell:
    """The submitter's machine."""
    return Shell(module_place, anna)


@pytest.fixture
def there(module_place: Place, bert: Peer) -> Shell:
    """A keeper's machine."""
    return Shell(module_place, bert)


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
