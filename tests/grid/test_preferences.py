"""A real machine's owner has preferences: real slots stop, are throttled and go on.

What other programs do on the machine that runs this is nobody's to say, so nothing here
depends on them being quiet.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from p2pslinger.client.grid import Grid
from p2pslinger.rules.reasons import Reason
from tests.grid import tasks
from tests.grid.place import HANGING, PREFS, Peer, Place, output, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes")

#: Seconds in which a peer has seen a change of its file and acted on it, and as much
#: again on a machine that is busy.
SEEN = 2.0 + 1.0 + 3.0


class Owner:
    """Somebody with a machine, and a grid around it."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.config = place.folder / "owner's"
        self.config.mkdir()
        self.wish(PREFS)
        self.friend = place.peer("friend", "--slots", "0", SLINGER_AUTHKEY=place.key)
        self.peer = place.volunteer(
            "owner", self.friend, SLINGER_CONFIG=str(self.config)
        )

    def wish(self, text: str) -> None:
        """Write the file of preferences, as an editor does."""
        new = self.config / "new"
        new.write_text(text)
        new.replace(self.config / "prefs.toml")

    def prefs(self, *words: str) -> str:
        """Type `slinger prefs`."""
        variables = {"SLINGER_CONFIG": str(self.config), "SLINGER_DATA": self.data}
        return output(
            self.place.start("-m", "p2pslinger", "prefs", *words, **variables)
        )

    @property
    def data(self) -> str:
        """The data folder of the machine's peer."""
        return str(self.peer.data)

    def slot(self, used: float) -> psutil.Process:
        """Return the slot's process once it has used the processor for so long."""
        peer = psutil.Process(self.peer.process.pid)

        def computing() -> psutil.Process | None:
            try:
                below = [p for child in peer.children() for p in child.children()]
                return next((one for one in below if cpu(one) > used), None)
            except psutil.NoSuchProcess:
                return None  # one that was asked something, and has ended meanwhile

        return until(computing) or peer

    def notes(self) -> tuple[str, ...]:
        """Return what the machine's peer notes."""
        with self.peer.connect() as grid:
            return grid.status().notes

    def why(self) -> str:
        """Return the code of why the machine does not compute."""
        with self.peer.connect() as grid:
            reason = grid.status().idle_because
        return reason.code if reason else ""


def cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@pytest.fixture
def owner(place: Place) -> Owner:
    return Owner(place)


@contextmanager
def computing(peer: Peer) -> Iterator[Grid]:
    with peer.connect() as grid:
        yield grid


def test_a_real_slot_stops_and_goes_on_as_its_owner_writes(owner: Owner) -> None:
    with computing(owner.friend) as grid:
        future = grid.submit(tasks.burn, 6.0)  # longer than a look at the file
        slot = owner.slot(0.3)

        owner.wish(PREFS + "enabled = false\n")
        began = time.monotonic()
        until(lambda: slot.status() == psutil.STATUS_STOPPED)
        assert time.monotonic() - began < SEEN
        before = cpu(slot)
        until(lambda: owner.why() == Reason.DISABLED)
        time.sleep(0.3)
        assert cpu(slot) == before, "it uses nothing"

        owner.wish(PREFS + "enabled = maybe\n")
        until(lambda: any("is no valid TOML" in note for note in owner.notes()))
        assert slot.status() == psutil.STATUS_STOPPED, "the old values hold on"

        owner.wish(PREFS)
        assert future.result(HANGING) == "burnt"
        assert slot.is_running(), "the same process went on where it was"


def test_commands_apply_at_once_and_own_work_goes_on_meanwhile(owner: Owner) -> None:
    with computing(owner.friend) as grid:
        future = grid.submit(tasks.burn, 1.0)
        slot = owner.slot(0.2)
        assert "until somebody resumes it" in owner.prefs("pause")
        assert slot.status() == psutil.STATUS_STOPPED
        with computing(owner.peer) as own:
            assert own.submit(tasks.square, 3).result(HANGING) == 9
        assert not future.done()
        assert "up to 1 slot for others" in owner.prefs("resume")
        assert future.result(HANGING) == "burnt"


def test_a_share_of_a_core_is_not_exceeded_by_any_number_of_threads(
    owner: Owner,
) -> None:
    owner.prefs("core_share", "25%")
    with computing(owner.friend) as grid:
        future = grid.submit(tasks.burn_in_threads, 60.0)
        slot = owner.slot(0.1)
        began, before = time.monotonic(), cpu(slot)
        time.sleep(3.0)
        used = (cpu(slot) - before) / (time.monotonic() - began)
        assert 0.02 < used < 0.33, "a quarter, and no less but for other programs"
        future.cancel()


def test_another_program_that_takes_the_processor_is_made_room_for(
    owner: Owner,
) -> None:
    hogs = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)
    ]
    try:
        with computing(owner.friend) as grid:
            owner.prefs("foreign_load", "20%")
            future = grid.submit(tasks.burn, 600.0)
            slot = owner.slot(0.1)
            until(lambda: slot.status() == psutil.STATUS_STOPPED)
            assert owner.why() == Reason.FOREIGN_LOAD
            assert "other programs need the processor" in owner.prefs()
            future.cancel()
    finally:
        for hog in hogs:
            hog.send_signal(signal.SIGKILL)
            hog.wait()
