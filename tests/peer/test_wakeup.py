"""A jump between the clocks is a wake-up; new addresses are a move."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from p2pslinger.peer.presence.wakeup import LOOK, Wakeup
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.virtual import current


@dataclass
class Machine:
    """Clocks and addresses that a test moves by hand."""

    mono: float = 0.0
    wall: float = 1000.0
    addresses: list[str] = field(default_factory=lambda: ["10.0.0.1"])
    jumps: list[float] = field(default_factory=list)
    moves: int = 0

    def watched(self) -> Wakeup:
        return Wakeup(
            mono=lambda: self.mono,
            wall=lambda: self.wall,
            addresses=lambda: self.addresses,
            woke=self.jumps.append,
            moved=self.move,
        )

    def move(self) -> None:
        self.moves += 1

    def passes(self, mono: float, wall: float) -> None:
        self.mono += mono
        self.wall += wall


def test_time_that_passes_on_both_clocks_is_nothing_new() -> None:
    machine = Machine()
    wakeup = machine.watched()
    for drift in (0.0, 0.01, -0.5, 2.0, -2.0):  # NTP at work
        machine.passes(LOOK, LOOK + drift)
        wakeup.look()

    assert (machine.jumps, machine.moves) == ([], 0)


def test_a_sleep_shows_as_time_that_only_the_wall_has_seen() -> None:
    machine = Machine()
    wakeup = machine.watched()
    machine.passes(LOOK, LOOK + 3600)
    wakeup.look()
    machine.passes(LOOK, LOOK)
    wakeup.look()

    assert machine.jumps == [3600]


def test_a_clock_that_is_set_is_a_wake_up_in_either_direction() -> None:
    machine = Machine()
    wakeup = machine.watched()
    machine.passes(LOOK, LOOK - 86_400)
    wakeup.look()
    machine.passes(LOOK, LOOK + 86_400)
    wakeup.look()

    assert machine.jumps == [-86_400, 86_400]


def test_a_look_that_comes_far_too_late_is_a_wake_up_too() -> None:
    machine = Machine()
    wakeup = machine.watched()
    machine.passes(LOOK + 20, LOOK + 20)  # a busy machine
    wakeup.look()
    machine.passes(LOOK + 120, LOOK + 120)  # stopped, or its clocks run on in sleep
    wakeup.look()

    assert machine.jumps == [120]


def test_other_addresses_are_a_move_in_whatever_order_they_come() -> None:
    machine = Machine(addresses=["10.0.0.1", "10.0.0.2"])
    wakeup = machine.watched()
    machine.addresses = ["10.0.0.2", "10.0.0.1"]
    wakeup.look()
    assert machine.moves == 0

    machine.addresses = ["192.168.7.7"]
    wakeup.look()
    wakeup.look()
    assert machine.moves == 1


def test_it_looks_every_few_seconds(virtual: VirtualTime) -> None:
    async def main() -> list[float]:
        machine = Machine()
        wakeup = Wakeup(
            mono=current().time,
            wall=lambda: current().wall() + machine.wall,
            addresses=lambda: machine.addresses,
            woke=machine.jumps.append,
            moved=machine.move,
        )
        watching = asyncio.ensure_future(wakeup.watch())
        await asyncio.sleep(600)
        machine.wall += 60
        await asyncio.sleep(LOOK)
        watching.cancel()
        return machine.jumps

    assert virtual.run(main) == [60]
