"""Peers as child processes of a program.

A child is configured by its environment and says on its standard output when it is
ready, or what is wrong. It lives in a session of its own, so that Ctrl-C in the
terminal reaches the program and not its peer.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from p2pslinger.errors import UnavailableError

#: Seconds that a peer gets to end by itself.
PATIENCE = 5.0


class Child:
    """A peer process that this program has started."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._line = ""
        self._heard = threading.Event()
        assert process.stdout is not None
        threading.Thread(
            target=self._listen, args=(process.stdout,), daemon=True
        ).start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def wait_until_ready(self, timeout: float) -> str:
        """Wait until it listens, or has found that another peer does; return where.

        Raises:
            UnavailableError: it has failed, or takes too long.
        """
        if not self._heard.wait(timeout):
            self.end()
            raise UnavailableError(f"the peer did not start within {timeout:g} s")
        word, _, rest = self._line.partition(" ")
        if word in {"ready", "busy"}:
            return rest
        raise UnavailableError(
            rest or "the peer ended as it started: run `slinger up` to see why"
        )

    def let_go(self) -> None:
        """Leave it to itself: it ends when its last program has gone."""
        _let_go[:] = [one for one in _let_go if one.poll() is None]
        _let_go.append(self._process)

    def end(self) -> None:
        """Wait for its end, and help if that takes too long."""
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _listen(self, output: IO[str]) -> None:
        with output:
            self._line = output.readline().strip()
        self._heard.set()


#: Processes nobody waits for; kept, or Popen would complain when it is collected.
_let_go: list[subprocess.Popen[str]] = []


def start_peer(settings: Mapping[str, str]) -> Child:
    """Start a peer of this program; `settings` are SLINGER_... variables.

    Raises:
        UnavailableError: no process can be started.
    """
    home = str(Path(__file__).resolve().parents[2])
    search = os.environ.get("PYTHONPATH", "")
    environment = {
        "SLINGER_LOG_LEVEL": "warning",
        **os.environ,
        **settings,
        "PYTHONPATH": f"{home}{os.pathsep}{search}" if search else home,
    }
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "p2pslinger.peer"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    except OSError as error:
        raise UnavailableError(f"no peer can be started: {error}") from None
    return Child(process)
