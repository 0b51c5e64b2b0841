"""On a real terminal: secrets stay hidden, tables are drawn, Ctrl-C is no error."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from p2pslinger.store.keyfile import load_authkey
from p2pslinger.wire import authkey as authkeys

if TYPE_CHECKING:
    from tests.cli.conftest import Machine

KEY = authkeys.from_random(bytes(range(40)))

HANGING = 60.0


class Terminal:
    """A command that runs on a terminal of its own."""

    def __init__(self, machine: Machine, *words: str) -> None:
        self._ours, theirs = pty.openpty()
        self.shown = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "p2pslinger", *words],
            env=machine.environment() | {"COLUMNS": "120", "TERM": "xterm"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def read_until(self, text: str) -> None:
        """Read what is shown until `text` is part of it."""
        patience = time.monotonic() + HANGING
        while text not in self.shown:
            assert time.monotonic() < patience, self.shown
            assert self._read(), self.shown

    def type(self, text: str) -> None:
        """Type on the keyboard."""
        os.write(self._ours, text.encode())

    def end(self) -> int:
        """Read to the end; return the exit code."""
        while self._read():
            pass
        os.close(self._ours)
        return self.process.wait(HANGING)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._ours], [], [], HANGING)
        assert ready, self.shown
        try:
            data = os.read(self._ours, 4096)
        except OSError:  # Linux's way to say that nobody has the other end
            data = b""
        self.shown += data.decode()
        return bool(data)


def test_an_authkey_is_not_shown_when_it_is_typed(machine: Machine) -> None:
    terminal = Terminal(machine, "init", "--join")
    terminal.read_until("Authkey: ")
    terminal.type(f"{KEY.to_text()}\n")

    assert terminal.end() == 0
    assert load_authkey(machine.data) == KEY
    assert KEY.to_text() not in terminal.shown
    assert "This machine is in the grid" in terminal.shown


def test_a_passphrase_is_asked_for_twice_and_never_shown(machine: Machine) -> None:
    words = "uncanny bitter lemon tractor ozone velvet"
    terminal = Terminal(machine, "init", "--passphrase")
    terminal.read_until("Name of the grid: ")
    terminal.type("attic\n")
    terminal.read_until("Passphrase: ")
    terminal.type(f"{words}\n")
    terminal.read_until("Passphrase again: ")
    terminal.type(f"{words}\n")

    assert terminal.end() == 0
    assert load_authkey(machine.data) == authkeys.from_passphrase("attic", words)
    assert "attic" in terminal.shown
    assert "lemon" not in terminal.shown


def test_ctrl_c_at_a_prompt_changes_nothing(machine: Machine) -> None:
    terminal = Terminal(machine, "init", "--join")
    terminal.read_until("Authkey: ")
    terminal.process.send_signal(signal.SIGINT)

    assert terminal.end() == 130
    assert load_authkey(machine.data) is None
    assert "Traceback" not in terminal.shown
    assert "Error" not in terminal.shown


def test_a_table_is_drawn_for_whoever_watches(machine: Machine) -> None:
    machine.run("init", "--join", said=f"{KEY.to_text()}\n")
    machine.start("up", "--port", "0", "--no-mdns", "--slots", "0", "--detach")
    peer = machine.started[-1]
    assert peer.wait(HANGING) == 0, peer.communicate()
    try:
        terminal = Terminal(machine, "peers")
        assert terminal.end() == 0
        assert "───" in terminal.shown
        assert "───" not in machine.out("peers")
    finally:
        machine.out("down")


SCRIPT = """
import time

def nap(x):
    print("napping", x)
    time.sleep(0.3)
    return x
"""


def test_progress_is_drawn_on_one_line_and_forgetting_asks_first(
    machine: Machine,
) -> None:
    machine.run("init", "--join", said=f"{KEY.to_text()}\n")
    machine.out("up", "--port", "0", "--no-mdns", "--slots", "1", "--detach")
    (machine.folder / "script.py").write_text(SCRIPT)
    said = "".join(f"{i}\n" for i in range(6))
    target = str(machine.folder / "script.py:nap")
    try:
        job = machine.run("submit", target, "-", "--keepers", "0", said=said).stdout
        follow = Terminal(machine, "job", job.strip(), "--follow")
        assert follow.end() == 0
        assert "\r\x1b[K6 of 6 tasks (100.0 %), computed" in follow.shown
        assert "\r\x1b[Ktask 5 on " in follow.shown

        for answer, then in (("n", "nothing was changed"), ("y", "is forgotten")):
            forget = Terminal(machine, "forget", job.strip())
            forget.read_until("on all machines? [y/N]: ")
            forget.type(f"{answer}\n")
            assert forget.end() == 0
            assert then in forget.shown
    finally:
        machine.out("down")
