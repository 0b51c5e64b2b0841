"""Commands as people type them on a machine of the grid."""

from __future__ import annotations

import json
import subprocess

from tests.grid.place import HANGING, Peer, Place, output

#: A file of functions that they submit.
SCRIPT = """
import time
from pathlib import Path

def square(x):
    print("squaring", x)
    if x < 0:
        raise ValueError(f"no {x} today")
    return x * x

def add(a, b):
    return a + b

def pair(x):
    return {x, x + 1}

def wait_for(file):
    print("waiting", flush=True)
    while not Path(file).exists():
        time.sleep(0.01)
    return file
"""


class Shell:
    """Types commands on a machine."""

    def __init__(self, place: Place, peer: Peer) -> None:
        self._place = place
        self._data = str(peer.data)

    def start(self, *words: str) -> subprocess.Popen[str]:
        return self._place.start("-m", "p2pslinger", *words, SLINGER_DATA=self._data)

    def out(self, *words: str) -> str:
        """Type a command that works and has nothing to complain about."""
        return output(self.start(*words))

    def run(self, *words: str, said: str = "") -> tuple[int, str, str]:
        """Type a command; return exit code, output and complaints."""
        process = self.start(*words)
        out, err = process.communicate(said, timeout=HANGING)
        assert "Traceback" not in err, err
        return process.returncode, out, err

    def submit(self, *words: str, said: str) -> str:
        """Submit a job; return its id."""
        code, out, err = self.run("submit", *words, said=said)
        assert code == 0, err
        return out.strip()


def squares(shell: Shell, job: str) -> list[object]:
    return [json.loads(text) for text in shell.out("results", job).splitlines()]
