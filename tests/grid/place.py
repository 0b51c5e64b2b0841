"""A place of its own for processes: folders, environment, and a look at what is left.

Programs are written as text and run by a fresh Python; peers are `slinger up` on data
folders of their own. Both find each other by the environment alone, as a user's do.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil

import p2pslinger as slinger
from p2pslinger import paths
from p2pslinger.client.grid import Grid
from p2pslinger.wire import authkey

ROOT = Path(__file__).parent.parent.parent

T = TypeVar("T")

#: Preferences under which peers compute whatever else the machine does.
PREFS = 'foreign_load = "off"\non_battery = true\n'

#: Seconds after which something counts as hanging, on a machine that is busy.
HANGING = 40.0

#: Seconds that processes on their way out get to be gone.
GRACE = 8.0

#: Seconds between two looks at something that can only be looked at.
LOOK = 0.01


def until(look: Callable[[], T], seconds: float = HANGING) -> T:
    """Look until there is something to see; return it."""
    patience = time.monotonic() + seconds
    pause = threading.Event()
    while not (seen := look()):
        assert time.monotonic() < patience, f"not within {seconds} s: {look}"
        pause.wait(LOOK)
    return seen


@dataclass
class Peer:
    """A peer in a process of its own.

    Attributes:
        process: It.
        data: Its data folder.
        address: Where it listens, as "host:port".
    """

    process: subprocess.Popen[str]
    data: Path
    address: str

    @property
    def port(self) -> int:
        """Its port, TCP and UDP."""
        return int(self.address.rpartition(":")[2])

    def connect(self) -> Grid:
        """Connect as a program on its machine."""
        return slinger.connect(data=self.data)

    def kill(self) -> None:
        """End it without a goodbye.

        Its control socket stays, for its successor to replace; here there is none.
        """
        self.process.kill()
        self.process.wait(HANGING)
        paths.control_path(self.data).unlink(missing_ok=True)


@dataclass
class Place:
    """Folders that stand for a machine, a grid's authkey, and what was started."""

    folder: Path
    key: str = authkey.from_random(bytes(range(40))).to_text()
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("tmp", "run"):
            (self.folder / name).mkdir(mode=0o700)
        # Where tests run, other programs do so too.
        (self.folder / "config").mkdir()
        (self.folder / "config" / "prefs.toml").write_text(PREFS)

    @property
    def environment(self) -> dict[str, str]:
        """What every process here finds in its environment."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("SLINGER_")}
        return kept | {
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(self.folder / "tmp"),
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "SLINGER_CONFIG": str(self.folder / "config"),
            "SLINGER_DATA": str(self.folder / "data"),
            "SLINGER_HOST": "127.0.0.1",
            "SLINGER_MDNS": "no",
            "SLINGER_POLITE": "no",  # else others' tasks wait on a busy machine
            "SLINGER_SLOTS": "1",
        }

    # --- programs -----------------------------------------------------------------

    def start(self, *words: str, **variables: str) -> subprocess.Popen[str]:
        """Start Python with these arguments; it is ended with the place."""
        process = subprocess.Popen(
            [sys.executable, *words],
            env=self.environment | variables,
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def program(self, text: str, **variables: str) -> subprocess.Popen[str]:
        """Write a program into a file of this folder and start it."""
        file = self.folder / f"program{len(self.started)}.py"
        file.write_text(text)
        return self.start(file.name, **variables)

    def run(self, text: str, **variables: str) -> str:
        """Write a program and wait for its end; return what it printed."""
        return output(self.program(text, **variables))

    # --- peers --------------------------------------------------------------------

    def peer(
        self, name: str, *options: str, any_port: bool = True, **variables: str
    ) -> Peer:
        """Start a peer on a data folder of its own; return when it listens.

        Any port, unless the test is about ports: several runs may share a machine.
        """
        port = ("--port", "0") if any_port else ()
        process = self.peer_process(name, *port, *options, **variables)
        said = line(process)
        assert said.startswith("listening on "), said + str(process.communicate())
        address = said.removeprefix("listening on ")
        return Peer(process, self.folder / name, address)

    def volunteer(
        self, name: str, friend: Peer, *, trusting: bool = True, **more: str
    ) -> Peer:
        """Start a peer with a slot, and return when it has joined through `friend`."""
        trust = ("--trust-members",) if trusting else ()
        options = ("--slots", "1", "--bootstrap", friend.address, *trust)
        peer = self.peer(
            name, *options, any_port=True, SLINGER_AUTHKEY=self.key, **more
        )
        with friend.connect() as grid:
            until(lambda: name in [one.name for one in grid.peers()])
        return peer

    def peer_process(
        self, name: str, *options: str, **variables: str
    ) -> subprocess.Popen[str]:
        """Start a peer that may fail to start."""
        given = {"SLINGER_DATA": str(self.folder / name), "SLINGER_NAME": name}
        return self.start("-m", "p2pslinger", "up", *options, **given, **variables)

    # --- the end ------------------------------------------------------------------

    def processes(self) -> list[psutil.Process]:
        """Return the processes that belong here, slots and orphans included."""
        mine = str(self.folder) + "/"
        return [one for one in psutil.process_iter() if mine in _marks(one)]

    def peers(self) -> list[psutil.Process]:
        """Return the peers that programs have brought along."""
        return [one for one in self.processes() if "p2pslinger.peer" in _command(one)]

    def end(self) -> None:
        """End what the test has left running on purpose."""
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.started:
            process.communicate(timeout=HANGING)

    def check_empty(self) -> None:
        """Fail if a process, a socket or a temporary folder is left; end processes."""
        patience = time.monotonic() + GRACE
        pause = threading.Event()
        while (alive := self.processes()) and time.monotonic() < patience:
            pause.wait(LOOK)
        texts = [f"{one.pid}: {' '.join(_command(one))}" for one in alive]
        for process in alive:
            process.kill()
        psutil.wait_procs(alive, timeout=GRACE)
        left = [str(one) for one in self.leftovers()]
        assert not texts + left, f"left behind: {texts + left}"

    def leftovers(self) -> list[Path]:
        """Return sockets and temporary folders of ours."""
        return [*self.folder.glob("run/slinger/*"), *self.folder.glob("tmp/slinger*")]


def output(process: subprocess.Popen[str]) -> str:
    """Wait for a program that must succeed; return what it printed."""
    out, err = process.communicate(timeout=HANGING)
    assert (process.returncode, err) == (0, ""), (process.returncode, err)
    return out


def line(process: subprocess.Popen[str]) -> str:
    """Return the next line that a process prints.

    Byte by byte: what was read ahead would be missing from what `communicate` returns,
    since that reads the pipe itself.
    """
    assert process.stdout is not None
    said = bytearray()
    while not said.endswith(b"\n") and (byte := os.read(process.stdout.fileno(), 1)):
        said += byte
    return said.decode().strip()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail if the block takes longer."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


def _marks(process: psutil.Process) -> str:
    """Return what tells where a process belongs: environment and command line."""
    try:
        if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
            return ""
        return "\n".join([*process.environ().values(), *process.cmdline()])
    except psutil.Error:
        return ""


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
