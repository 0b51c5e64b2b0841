"""The laboratory itself: is its network as bad as it is told to be?"""

from __future__ import annotations

import socket
import subprocess
from dataclasses import dataclass

import pytest

from tests.grid.place import line
from tests.lab.lab import Lab
from tests.lab.machine import Machine

#: Says of every UDP packet whom it came from, here and to the sender.
ECHO = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.bind(("", 7))
    print("ready", flush=True)
    while True:
        _, sender = sock.recvfrom(100)
        print(sender[0], flush=True)
        sock.sendto(sender[0].encode(), sender)
"""

#: Sends packets; prints how many answers came, when the first did, and what it said.
KNOCK = """
import contextlib, socket, sys, time
answers = [(0.0, "nobody")]
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    begun, patience = time.monotonic(), float(sys.argv[3])
    for _ in range(int(sys.argv[2])):
        with contextlib.suppress(OSError):  # there may be no way there
            sock.sendto(b"?", (sys.argv[1], 7))
    while (left := begun + patience - time.monotonic()) > 0:
        sock.settimeout(left)
        try:
            said = sock.recv(100).decode()
        except TimeoutError:
            break
        answers.append((time.monotonic() - begun, said))
        if len(answers) > int(sys.argv[2]):
            break
print(len(answers) - 1, *answers[min(1, len(answers) - 1)])
"""

#: Seconds in which an answer that is not there is not on its way any more.
SILENCE = 0.5


@dataclass(frozen=True, slots=True)
class Heard:
    """How many answers came, seconds until the first, and whom we were taken for."""

    answers: int
    first: float
    known_as: str


def knock(
    machine: Machine, address: str, packets: int = 1, patience: float = 20.0
) -> Heard:
    """Send packets from a machine to an address; return what came back."""
    words = (address, str(packets), str(patience))
    answers, first, known_as = machine.run("-c", KNOCK, *words).split()
    return Heard(int(answers), float(first), known_as)


def echo(machine: Machine) -> subprocess.Popen[str]:
    """Start what answers on a machine."""
    process = machine.program(ECHO)
    assert line(process) == "ready"
    return process


@pytest.fixture
def anna(lab: Lab) -> Machine:
    """A machine."""
    return lab.machine("anna")


@pytest.fixture
def bert(lab: Lab, anna: Machine) -> Machine:
    """A machine that answers, and that knows anna's card already."""
    machine = lab.machine("bert")
    echo(machine)
    assert knock(anna, machine.address).answers == 1
    return machine


def test_machines_know_each_other_by_their_own_addresses(
    anna: Machine, bert: Machine
) -> None:
    assert knock(anna, bert.address).known_as == anna.address


def test_every_way_has_its_own_delay(lab: Lab, anna: Machine, bert: Machine) -> None:
    lab.weather(delay=1.0, way=(anna, bert))
    assert 1.0 <= knock(anna, bert.address).first < 2.0

    lab.weather(delay=0.2)
    assert knock(anna, bert.address).first >= 1.2


def test_a_lossy_network_loses_about_as_much_as_it_should(
    lab: Lab, anna: Machine, bert: Machine
) -> None:
    lab.weather(loss=0.3)

    heard = knock(anna, bert.address, packets=100, patience=2.0)
    assert 25 <= heard.answers <= 75  # 49 of 100 come there and back


def test_a_split_network_is_one_again_when_it_heals(
    lab: Lab, anna: Machine, bert: Machine
) -> None:
    cleo = lab.machine("cleo")
    lab.split([anna], [bert, cleo])
    assert knock(anna, bert.address, patience=SILENCE).answers == 0
    assert knock(cleo, bert.address).answers == 1

    lab.heal()
    assert knock(anna, bert.address).answers == 1


def test_what_is_cut_in_one_direction_passes_in_the_other(
    lab: Lab, anna: Machine
) -> None:
    bert, cleo = lab.machine("bert"), lab.machine("cleo")
    answering = echo(bert)
    knock(anna, bert.address)
    assert line(answering) == anna.address
    lab.cut([bert], [anna])

    assert knock(anna, bert.address, patience=SILENCE).answers == 0
    assert line(answering) == anna.address  # it got there
    assert knock(cleo, bert.address).answers == 1


def test_a_machine_at_home_reaches_others_and_can_not_be_reached(
    lab: Lab, anna: Machine, bert: Machine
) -> None:
    nora = lab.machine_at_home("nora")
    echo(nora)

    router = knock(nora, bert.address).known_as
    assert router not in {nora.address, anna.address, bert.address}
    for address in (nora.address, router):
        assert knock(anna, address, patience=SILENCE).answers == 0


def test_programs_do_not_reach_the_world_outside(lab: Lab, anna: Machine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as outside:
        port = outside.getsockname()[1]
        script = "import socket, sys; s = socket.socket(); s.settimeout(2); "
        script += f"print(s.connect_ex((sys.argv[1], {port})))"
        for address in ("127.0.0.1", "192.0.2.1"):
            assert int(anna.run("-c", script, address)) != 0
