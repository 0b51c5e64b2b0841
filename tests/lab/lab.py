"""A laboratory: machines with peers on them, and a network that can be made bad.

Every machine is a network namespace with a card on our switch, so peers meet as they
would on a real LAN, and nothing leaves the laboratory. A machine may stand at home,
behind a router that hides it from the others.

    anna, bert, cleo = lab.grid("anna", "bert", "cleo")
    lab.weather(delay=0.1, loss=0.05)
    lab.split([anna], [bert, cleo])
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tests.lab.machine import Machine
from tests.lab.namespaces import Namespace
from tests.lab.switch import Port, Switch, Wire

if TYPE_CHECKING:
    from tests.grid.place import Place

#: The LAN, or internet, that is not behind a router.
PUBLIC = "public"

#: zeroconf sends to groups, for which a host without a way out needs a route.
GROUPS = "224.0.0.0/4 dev eth0"


class Lab:
    """Machines and what is between them.

    Args:
        place: Has the folder, and ends the processes.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._switch = Switch()
        self._hosts: list[Namespace] = []
        self.machines: list[Machine] = []

    # --- machines -----------------------------------------------------------------

    def machine(self, name: str) -> Machine:
        """Add a machine that everyone can dial."""
        host, address = self._host(), self._address()
        host.give(self._switch.plug(name, PUBLIC), f"{address}/24", GROUPS)
        return self._add(name, address, host)

    def machine_at_home(self, name: str) -> Machine:
        """Add a machine behind a router, which nobody can dial.

        Weather and cuts of the machine are those of its router.
        """
        router, home = self._host(), f"{name}'s home"
        number = len(self._hosts)
        outside = self._switch.plug(name, PUBLIC)
        router.give(outside, f"{self._address()}/24")
        router.give(self._inside(home), f"192.168.{number}.1/24")
        router.become_router()
        host, address = self._host(), f"192.168.{number}.2"
        way_out = f"default via 192.168.{number}.1"
        host.give(self._inside(home), f"{address}/24", GROUPS, way_out)
        return self._add(name, address, host)

    def grid(self, *names: str) -> list[Machine]:
        """Add machines, start a peer on each, and wait until they are one grid.

        Everyone joins by the first, which computes nothing.
        """
        machines = [self.machine(name) for name in names]
        machines[0].up(slots=0)
        for machine in machines[1:]:
            machine.up(machines[0])
        for machine in machines:
            machine.meets(*machines)
        return machines

    # --- what is between them -----------------------------------------------------

    def weather(
        self,
        *,
        delay: float = 0.0,
        loss: float = 0.0,
        way: tuple[Machine, Machine] | None = None,
    ) -> None:
        """Make the network slow and lossy, everywhere or on one way.

        Args:
            delay: Seconds that a packet takes from one machine to another.
            loss: Part of the packets that never arrive, 0 to 1.
            way: From which machine to which.
        """
        if way is None:
            self._switch.wire = Wire(delay, loss)
        else:
            self._switch.wires[way[0].name, way[1].name] = Wire(delay, loss)

    def cut(self, sources: Iterable[Machine], targets: Iterable[Machine]) -> None:
        """Let nothing pass from some machines to others; the other way stays."""
        targets = list(targets)
        ways = {(one.name, other.name) for one in sources for other in targets}
        self._switch.cuts |= ways

    def split(self, *groups: list[Machine]) -> None:
        """Let nothing pass between groups of machines."""
        for group in groups:
            for other in groups:
                if other is not group:
                    self.cut(group, other)

    def heal(self) -> None:
        """Let everything pass again."""
        self._switch.cuts = frozenset()

    # --- the end ------------------------------------------------------------------

    def close(self) -> None:
        """Remove the network. The processes on it should be gone by now."""
        self._switch.close()
        for host in self._hosts:
            host.close()

    def _host(self) -> Namespace:
        host = Namespace()
        self._hosts.append(host)
        return host

    def _address(self) -> str:
        """Return the next free address of the public network."""
        return f"10.77.0.{len(self._hosts)}"

    def _inside(self, home: str) -> Port:
        return self._switch.plug(home, home)

    def _add(self, name: str, address: str, host: Namespace) -> Machine:
        machine = Machine(name, address, host, self._place)
        self.machines.append(machine)
        return machine
