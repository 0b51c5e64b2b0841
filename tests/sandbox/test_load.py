"""Other programs' load: told apart from ours, process by process, and named."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from p2pslinger.sandbox.sensors import table
from p2pslinger.sandbox.sensors.load import LoadMeter, is_slinger

RECORDED = Path(__file__).parent / "recorded"

#: Processors of the pretended machine.
CORES = 2

ZYGOTE = "/usr/bin/python3 -s /opt/p2pslinger/sandbox/__main__.py 7"


@dataclass
class Pretended:
    """A process table in a folder, and a clock."""

    folder: Path
    now: float = 1000.0
    busy: float = 0.0
    used: dict[int, list[float]] = field(default_factory=dict)

    def start(self, pid: int, parent: int, name: str, command: str = "") -> None:
        """Start a process."""
        place = self.folder / str(pid)
        place.mkdir()
        (place / "cmdline").write_bytes(command.replace(" ", "\0").encode())
        self.used[pid] = [0.0, 0.0]
        self._write(pid, parent, name)

    def _write(self, pid: int, parent: int, name: str) -> None:
        alone, below = (int(100 * seconds) for seconds in self.used[pid])
        zeros = "0 " * 9
        line = f"{pid} ({name}) S {parent} {zeros}{alone} 0 {below} 0 " + "0 " * 4
        (self.folder / str(pid) / "stat").write_text(f"{line}777 0 0")

    def run(self, seconds: float, **used: float) -> None:
        """Let time pass, in which processes (p1=0.5) use the processors."""
        self.now += seconds
        for name, amount in used.items():
            pid = int(name[1:])
            self.used[pid][0] += amount
            self.busy += amount
            entry = table.processes(str(self.folder))[pid]
            self._write(pid, entry.parent, entry.name)
        self.write_totals()

    def end(self, pid: int) -> None:
        """End a process; its parent is charged with it."""
        entry = table.processes(str(self.folder))[pid]
        for file in (self.folder / str(pid)).iterdir():
            file.unlink()
        (self.folder / str(pid)).rmdir()
        if entry.parent in self.used:
            self.used[entry.parent][1] += sum(self.used.pop(pid))
            parent = table.processes(str(self.folder))[entry.parent]
            self._write(entry.parent, parent.parent, parent.name)

    def write_totals(self) -> None:
        idle = 100 * (CORES * self.now - self.busy)
        line = f"cpu  {100 * self.busy:.0f} 0 0 {idle:.0f} 0 0 0 0 0 0\n"
        (self.folder / "stat").write_text(line)


@pytest.fixture
def pretended(tmp_path: Path) -> Pretended:
    """A machine: init, a peer (20) with zygote and slot, a shell with a compiler."""
    machine = Pretended(tmp_path)
    machine.start(1, 0, "init")
    machine.start(20, 1, "slinger", "/usr/bin/python3 /usr/bin/slinger up")
    machine.start(21, 20, "python3", ZYGOTE)
    machine.start(22, 21, "python3", ZYGOTE)
    machine.start(30, 1, "bash", "-bash")
    machine.start(31, 30, "cc1", "cc1 main.c")
    machine.write_totals()
    return machine


def meter(machine: Pretended) -> LoadMeter:
    return LoadMeter(lambda: machine.now, str(machine.folder), 20)


def begun(machine: Pretended) -> LoadMeter:
    """Make a meter that has had its first look."""
    looking = meter(machine)
    looking.measure(0.25, 0.0, set())
    return looking


def test_the_first_look_has_nothing_to_compare_with(pretended: Pretended) -> None:
    looking = meter(pretended)
    assert looking.measure(0.25, 0.0, set()) is None
    pretended.run(2.0)
    assert looking.measure(0.25, 0.0, set()) == (0.0, 2.0, "", 0.0)


def test_our_slots_are_not_other_programs(pretended: Pretended) -> None:
    looking = begun(pretended)
    for _ in range(2):
        pretended.run(2.0, p22=2.0, p20=0.1)
        found = looking.measure(0.25, 0.0, set())
    assert found == (0.0, 2.0, "", 0.0)


def test_the_program_that_uses_most_is_named(pretended: Pretended) -> None:
    looking = begun(pretended)
    for _ in range(2):
        pretended.run(2.0, p22=1.0, p31=2.0, p30=0.2)
        found = looking.measure(0.25, 0.0, set())
    assert found is not None
    assert (round(found.share, 6), found.program, found.most) == (0.55, "cc1", 0.5)


def test_connected_programs_and_what_they_start_do_not_count(
    pretended: Pretended,
) -> None:
    looking = meter(pretended)
    looking.measure(0.25, 0.0, {30})
    for _ in range(2):
        pretended.run(2.0, p31=2.0)
        found = looking.measure(0.25, 0.0, {30})
    assert found is not None
    assert found.share == 0.0


def test_what_is_known_to_be_ours_spares_a_look_at_every_process(
    pretended: Pretended,
) -> None:
    looking = begun(pretended)
    pretended.run(2.0, p22=2.0)
    (pretended.folder / "22" / "stat").write_text("nonsense")
    assert looking.measure(0.25, 2.0, set()) == (0.0, 2.0, "", 0.0)


def test_a_slot_that_ends_is_not_mistaken_for_somebody_else(
    pretended: Pretended,
) -> None:
    looking = begun(pretended)
    pretended.run(2.0, p22=2.0)
    looking.measure(0.25, 0.0, set())
    pretended.run(2.0, p22=1.9)
    pretended.end(22)
    found = looking.measure(0.25, 0.0, set())
    assert found is not None
    assert found.share == 0.0


def test_a_compiler_that_is_gone_before_anybody_looks_counts(
    pretended: Pretended,
) -> None:
    looking = begun(pretended)
    pretended.run(2.0, p31=2.0)
    looking.measure(0.25, 0.0, set())
    pretended.run(2.0, p31=2.0)
    pretended.end(31)
    found = looking.measure(0.25, 0.0, set())
    assert found is not None
    assert found.share == 0.5


def test_an_old_look_says_nothing_about_now(pretended: Pretended) -> None:
    looking = begun(pretended)
    pretended.run(3600.0, p31=3600.0)
    assert looking.measure(0.25, 0.0, set()) is None


@pytest.mark.parametrize(
    "command",
    [
        "/usr/bin/python3 /usr/bin/slinger up",
        "slinger up",
        "python -P -m p2pslinger.peer",
        "python -m p2pslinger up",
        ZYGOTE,
    ],
)
def test_slingers_own_processes_are_known_by_their_command_line(command: str) -> None:
    assert is_slinger(command.split(" "))


@pytest.mark.parametrize(
    "command", ["vim p2pslinger", "python -m pytest p2pslinger", "make slinger-x", ""]
)
def test_others_that_only_mention_it_are_others(command: str) -> None:
    assert not is_slinger(command.split(" "))


def test_the_process_table_is_read_as_this_kernel_writes_it() -> None:
    recorded = table.read_totals((RECORDED / "proc-stat.txt").read_text())
    assert 0 < recorded.busy < recorded.all
    odd = b"7 (a ) R (b) S 3 " + b"1 " * 9 + b"200 100 40 60 " + b"1 " * 4 + b"99 1"
    assert table.read_entry(odd) == (3, "a ) R (b", 99.0, 4.0, 3.0)
    for line in ("intr 1 2 3", "cpu 1 2"):
        with pytest.raises(ValueError):
            table.read_totals(line)
    with pytest.raises(ValueError):
        table.read_entry(b"7 (x")


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_a_real_program_that_takes_the_processor_is_seen() -> None:
    looking = LoadMeter(time.monotonic)
    hog = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        looking.measure(0.0, 0.0, set())
        found = []
        for _ in range(3):
            began = table.processes()[hog.pid].alone
            while table.processes()[hog.pid].alone < began + 0.3:
                time.sleep(0.05)  # until it has really had the processor
            found.append(looking.measure(0.0, 0.0, set()))
    finally:
        hog.kill()
        hog.wait()
    seen = [one for one in found if one is not None and one.program]
    assert any(one.share > 0.02 for one in seen)
