"""Three real peers get another authkey, typed on one machine after the other."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

import pytest

from p2pslinger.client.grid import Grid
from p2pslinger.store.keyfile import AUTHKEY, load_keyring
from tests.grid.place import HANGING, Peer, Place, until

KEY = re.compile(r"slinger-[a-z2-7-]{60,}")


@dataclass
class Household:
    """Peers on machines of their own, whose authkeys lie in their data folders."""

    place: Place
    peers: dict[str, Peer]

    def type(self, name: str, *words: str, said: str = "") -> str:
        """Type a command on a machine that works; return what it printed."""
        done = self.typed(name, *words, said=said)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def typed(
        self, name: str, *words: str, said: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Type a command on a machine."""
        return subprocess.run(
            [sys.executable, "-m", "p2pslinger", *words],
            env=self.place.environment
            | {"SLINGER_DATA": str(self.place.folder / name)},
            cwd=self.place.folder,
            input=said,
            capture_output=True,
            text=True,
            timeout=HANGING,
            check=False,
        )

    def start(self, name: str, friend: str = "") -> None:
        """Start a machine's peer."""
        options = ["--slots", "1", "--trust-members"]
        if friend:
            options += ["--bootstrap", self.peers[friend].address]
        self.peers[name] = self.place.peer(name, *options)

    def linked(self, name: str) -> set[str]:
        """Return the names of those that a machine's peer is connected to."""
        with self.peers[name].connect() as grid:
            return {one.name for one in grid.peers()} - {name}


@pytest.fixture
def household(place: Place) -> Household:
    """Ann, Bob and Eve, connected."""
    home = Household(place, {})
    (key,) = KEY.findall(home.type("ann", "init"))
    for name in ("bob", "eve"):
        home.type(name, "init", "--join", said=key)
    home.start("ann")
    home.start("bob", "ann")
    home.start("eve", "ann")
    for name in ("ann", "bob", "eve"):
        until(lambda: len(home.linked(name)) == 2)  # noqa: B023
    return home


def slow(x: int) -> int:
    time.sleep(0.02)
    return x * x


def test_a_household_moves_machine_by_machine_while_a_job_runs(
    household: Household,
) -> None:
    grid: Grid
    with household.peers["eve"].connect() as grid:
        found: list[int] = []
        # More than the moves take: it runs before, during and after them.
        job = threading.Thread(target=lambda: found.extend(grid.map(slow, range(900))))
        job.start()

        told = household.type("ann", "rekey", "--overlap", "1h")
        (key,) = KEY.findall(told)
        assert "slinger rekey --join --until 20" in told
        status = household.type("ann", "status")
        assert "0 of 2 neighbours use the newest authkey" in status
        until(lambda: "slinger rekey --join" in household.type("bob", "status"))
        for name in ("bob", "eve"):
            assert household.type(name, "rekey", "--join", "--overlap", "1h", said=key)
        facts = json.loads(household.type("ann", "status", "--json"))["rekeying"]
        assert (facts["newer"], facts["known"]) == (2, 2)
        doctor = household.typed("ann", "doctor").stdout
        assert "the newest is used by 2 of 2 neighbours" in doctor

        ended = household.type("ann", "rekey", "--end")
        assert ended == "only the newest authkey counts on this machine now\n"
        assert household.linked("ann") == {"bob", "eve"}
        job.join(HANGING)
        assert found == [x * x for x in range(900)]
    keyring = load_keyring(household.place.folder / "ann")
    assert keyring is not None
    assert [one.to_text() for one in keyring] == [key]


def test_who_is_expelled_meets_nobody_and_is_told(household: Household) -> None:
    told = household.type("ann", "rekey", "--expel")
    (key,) = KEY.findall(told)
    assert "slinger rekey --join --expel" in told
    household.type("bob", "rekey", "--join", "--expel", said=key)
    until(lambda: household.linked("ann") == {"bob"}, seconds=60)
    assert household.linked("eve") == set()

    with household.peers["ann"].connect() as grid:
        assert list(grid.map(slow, range(20))) == [x * x for x in range(20)]
    before = json.loads(household.type("ann", "status", "--json"))["dropped"]
    until(lambda: "slinger rekey --join" in household.type("eve", "status"), seconds=60)
    after = json.loads(household.type("ann", "status", "--json"))["dropped"]
    assert sum(after.values()) >= sum(before.values())
    assert household.linked("ann") == {"bob"}


def test_who_ends_the_older_authkey_hears_who_is_left_behind(
    household: Household,
) -> None:
    household.type("ann", "rekey", "--overlap", "1h")
    ended = household.type("ann", "rekey", "--end")
    assert "; 2 neighbours without it can't connect until" in ended


def test_an_authkey_made_before_the_last_is_handed_on_says_so(place: Place) -> None:
    home = Household(place, {})
    home.type("ann", "init")
    assert "is replaced by this one" not in home.type("ann", "rekey")
    again = home.type("ann", "rekey")
    assert "The one before was still to be handed on" in again
    assert "is replaced by this one" in again
    assert "is replaced" not in home.type("ann", "rekey", "--expel")


def test_wrong_words_are_one_sentence_and_change_nothing(place: Place) -> None:
    home = Household(place, {})
    assert "in no grid yet" in home.typed("ann", "rekey").stderr
    home.type("ann", "init")
    file = place.folder / "ann" / AUTHKEY
    before = file.read_bytes()
    other = KEY.findall(home.type("bob", "init"))[0]
    own = KEY.findall(before.decode())[0]

    for said, words, sentence in (
        (other, ("--join",), "another grid"),
        (own, ("--join",), "uses that authkey already"),
        ("nonsense", ("--join",), "is no authkey"),
        ("", ("--join",), "stdin ended"),
        ("", ("--overlap", "soon"), "no time span"),
        ("", ("--until", "2020-01-01T00:00Z"), "is past"),
        ("", ("--until", "9999-12-31T23:59Z"), "more than 30 years away"),
        ("", ("--until", "0001-01-01T00:00"), "no time such as"),
        ("", ("--until", "2040-01-01", "--expel"), "exclude each other"),
        ("", ("--end", "--join"), "nothing else"),
    ):
        done = home.typed("ann", "rekey", *words, said=said)
        assert done.returncode in {1, 2}
        assert sentence in done.stderr, done.stderr
        assert done.stderr.count("\n") == 1
    assert file.read_bytes() == before


def test_an_authkey_that_is_made_is_shown_whatever_else_is_wrong(place: Place) -> None:
    """It is shown only then."""
    home = Household(place, {})
    home.type("ann", "init")
    home.start("ann")
    (place.folder / "config" / "people.toml").write_text("[deny")
    done = home.typed("ann", "rekey", "--expel")

    keyring = load_keyring(place.folder / "ann")
    assert keyring is not None
    assert KEY.findall(done.stdout) == [keyring.newest.to_text()]
    assert "people.toml is no valid TOML" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is of POSIX")
def test_a_rekey_that_is_killed_leaves_both_authkeys_or_the_old_one(
    place: Place,
) -> None:
    home = Household(place, {})
    home.type("ann", "init")
    folder = place.folder / "ann"
    old = load_keyring(folder)
    assert old is not None
    script = (
        "import os, signal, sys\n"
        "from p2pslinger.store import keyfile\n"
        "at, real = int(sys.argv[2]), {}\n"
        "calls = [0]\n"
        "def deadly(name):\n"
        "    real = getattr(os, name)\n"
        "    def call(*args, **kwargs):\n"
        "        calls[0] += 1\n"
        "        if calls[0] == at:\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return real(*args, **kwargs)\n"
        "    setattr(os, name, call)\n"
        "for name in ('open', 'fsync', 'replace', 'fstat'):\n"
        "    deadly(name)\n"
        "from pathlib import Path\n"
        "keyfile.change_keyring(Path(sys.argv[1]),"
        " lambda held: held.follow(os.urandom(32), 5e9))\n"
    )
    killed = 0
    for at in range(1, 12):
        before = load_keyring(folder)
        done = subprocess.run(
            [sys.executable, "-c", script, str(folder), str(at)],
            env=home.place.environment,
            timeout=HANGING,
            check=False,
        )
        killed += done.returncode == -signal.SIGKILL
        after = load_keyring(folder)
        assert after is not None
        assert before is not None
        assert after == before or before.newest in list(after)
        (folder / AUTHKEY).write_text(old.newest.to_text() + "\n")
        (folder / AUTHKEY).chmod(0o600)
    assert killed >= 4
