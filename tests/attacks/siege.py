"""A peer under siege: it computes for a program that is a stranger to it, and hostile.

Two real peers on this machine do not trust each other. The program is connected to the
first, which computes nothing; the second has two slots and is attacked: each attack is
an ordinary submitted task. A bystander's tasks run between them in the same slots.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar, cast

import psutil
import pytest

import p2pslinger as slinger
from p2pslinger import paths
from p2pslinger.client.grid import Grid
from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.store.keyfile import IDENTITY
from tests.attacks.arsenal import AT_HOME, ATTACKS, Attack, double
from tests.attacks.scene import Scene, Sights, scene

T = TypeVar("T")

#: Bytes that a slot may have: far less than a bomb takes, as much as Python needs.
MEMORY = 1 << 28

#: Slots of the peer that is attacked.
SLOTS = 2

#: Seconds after which an answer that has not come never will.
PATIENCE = 60.0


@dataclass(frozen=True)
class Attempt:
    """What became of an attack.

    Attributes:
        kind: The name of the class of what it raised, or "" if it was possible.
        text: What it raised in full, or what it got.
    """

    kind: str
    text: str


@dataclass
class Siege:
    """The grid, what there is to attack, and how it goes.

    Attributes:
        grid: The program's, which trusts nobody either.
        daemon: The peer that is attacked.
        stage: What belongs to the machine's owner otherwise.
        attempts: What became of each attack on the owner's things.
        at_home: What became of those on the peer's own.
    """

    grid: Grid
    daemon: psutil.Process
    stage: Scene
    attempts: dict[Attack, Attempt] = field(default_factory=dict)
    at_home: dict[Attack, Attempt] = field(default_factory=dict)

    def play(self) -> None:
        """Play every attack, all at once, and a bystander's tasks."""
        plays = [(one, self.stage.sights, self.attempts) for one in ATTACKS]
        plays += [(one, self.home(), self.at_home) for one in AT_HOME]
        futures = [self.grid.submit(one, sights) for one, sights, _ in plays]
        bystanders = [self.grid.submit(double, number) for number in range(20)]
        for (attack, _, into), future in zip(plays, futures, strict=True):
            into[attack] = outcome(future)
        assert [one.result(PATIENCE) for one in bystanders] == list(range(0, 40, 2))

    def home(self) -> Sights:
        """Return where the peer's own things are."""
        data = Path(self.daemon.environ()["SLINGER_DATA"])
        parts = vars(self.stage.sights) | {
            "key": str(data / IDENTITY),
            "folder": str(data),
            "victim": self.daemon.pid,
            "path": str(paths.control_path(data)),
            "siblings": [child.pid for child in self.daemon.children(recursive=True)],
        }
        return cast(Sights, SimpleNamespace(**parts))

    def call(self, function: Callable[..., T], *arguments: object) -> Future[T]:
        """Submit a call."""
        return self.grid.submit(function, *arguments)

    def threads(self) -> int:
        """Return how many threads the slot has that has most of them."""
        most = 0
        for slot in self.daemon.children(recursive=True):
            with contextlib.suppress(psutil.Error):  # it has ended meanwhile
                most = max(most, slot.num_threads())
        return most

    def goes_on(self) -> None:
        """See that the peer is there, its slots work, and nothing is harmed."""
        assert self.daemon.is_running()
        assert self.daemon.status() != psutil.STATUS_ZOMBIE
        assert list(self.grid.map(double, range(4 * SLOTS))) == list(
            range(0, 8 * SLOTS, 2)
        )
        assert self.stage.harm() == []


def outcome(future: Future[object]) -> Attempt:
    """Wait for what becomes of an attack."""
    error = future.exception(PATIENCE)
    if error is None:
        return Attempt("", f"{future.result()!r:.500}")
    return Attempt(type(error).__name__, f"{error}\n{error.__cause__}")


@contextmanager
def siege(confinement: Confinement, secret: str) -> Iterator[Siege]:
    """Set up a siege, of peers that confine their tasks like this.

    Args:
        confinement: Good or strong.
        secret: What is in the peers' environment.
    """
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        folder = tempfile.mkdtemp(prefix="siege", dir="/tmp")
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        share = SLOTS * MEMORY / psutil.virtual_memory().total
        for name, value in {
            "XDG_RUNTIME_DIR": folder,
            "SLINGER_MEMORY_SHARE": str(share),
            "OWNERS_SECRET": secret,
            "SLINGER_POLITE": "no",  # else the attacks wait on a busy machine
            **({"PATH": "/nowhere"} if confinement is Confinement.GOOD else {}),
        }.items():
            patch.setenv(name, value)
        stage = stack.enter_context(scene())
        grid = slinger.local(2, slots=[0, SLOTS], strangers=True)
        stack.enter_context(grid)
        (level,) = [peer.sandbox for peer in grid.peers() if peer.name == "peer 2"]
        assert level == confinement.value
        yield Siege(grid, _daemon("peer 2"), stage)


def _daemon(name: str) -> psutil.Process:
    """Return the process of one of this program's peers."""
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if child.environ().get("SLINGER_NAME") == name:
                return child
    raise AssertionError(f"there is no {name}")
