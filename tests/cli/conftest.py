"""A machine of its own for every test, and the real command typed on it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

#: Seconds that a command may take on a busy machine before it counts as hanging.
HANGING = 60.0


@dataclass(frozen=True, slots=True)
class Machine:
    """A folder that stands for a machine, and commands typed on it."""

    folder: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def config(self) -> Path:
        """The folder of config.toml."""
        return self.folder / "config"

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    def environment(self) -> dict[str, str]:
        """Return the environment of every process on the machine."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("SLINGER_")}
        run = self.folder / "run"
        run.mkdir(mode=0o700, exist_ok=True)
        return kept | {
            "PYTHONPATH": str(ROOT),
            "SLINGER_CONFIG": str(self.config),
            "SLINGER_DATA": str(self.data),
            "SLINGER_HOST": "127.0.0.1",
            "XDG_RUNTIME_DIR": str(run),
        }

    def start(
        self, *words: str, stdin: int = subprocess.DEVNULL
    ) -> subprocess.Popen[str]:
        """Type a command; return its process, which is ended with the test."""
        process = subprocess.Popen(
            [sys.executable, "-m", "p2pslinger", *words],
            env=self.environment(),
            cwd=self.folder,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def run(self, *words: str, said: str = "") -> subprocess.CompletedProcess[str]:
        """Type a command and wait for its end."""
        process = self.start(*words, stdin=subprocess.PIPE)
        out, err = process.communicate(said, timeout=HANGING)
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def out(self, *words: str) -> str:
        """Type a command that works; return what it printed."""
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def sentence(self, *words: str, said: str = "", code: int = 1) -> str:
        """Type a command that fails; return the one sentence that it leaves."""
        done = self.run(*words, said=said)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert done.stderr.startswith("Error: ")
        assert done.stderr.count("\n") == 1, done.stderr
        return done.stderr.removeprefix("Error: ").strip()


@pytest.fixture
def machine(short_dir: Path) -> Iterator[Machine]:
    """A machine on which slinger has never run."""
    here = Machine(short_dir)
    yield here
    for process in here.started:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=HANGING)
