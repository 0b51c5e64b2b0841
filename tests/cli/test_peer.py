"""A machine's peer, from `slinger up` to `slinger down`, as its owner sees it."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil
import pytest

from p2pslinger.wire import authkey as authkeys

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Machine

KEY = authkeys.from_random(bytes(range(40))).to_text()

#: A peer that meets nobody by chance.
QUIET = ("--port", "0", "--no-mdns")

HANGING = 60.0


def join(machine: Machine) -> None:
    done = machine.run("init", "--join", said=f"{KEY}\n")
    assert done.returncode == 0, done.stderr


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def start_peer(machine: Machine, *words: str) -> tuple[subprocess.Popen[str], str]:
    """Start a foreground peer of the grid; return it and its address."""
    join(machine)
    process = machine.start("up", *QUIET, *words)
    said = read_line(process)
    assert said.startswith("listening on "), said + str(process.communicate())
    return process, said.removeprefix("listening on ")


@contextmanager
def in_background(machine: Machine, *words: str) -> Iterator[psutil.Process]:
    """Run a detached peer of the grid."""
    join(machine)
    found = re.search(r"process (\d+)", machine.out("up", "--detach", *QUIET, *words))
    assert found
    process = psutil.Process(int(found[1]))
    try:
        yield process
    finally:
        if process.is_running():
            process.kill()
            process.wait(HANGING)


def test_a_peer_says_who_it_is_and_that_it_is_alone(machine: Machine) -> None:
    process, address = start_peer(machine, "--slots", "0", "--name", "attic")

    assert re.fullmatch(r"127\.0\.0\.1:\d+", address)
    who = read_line(process)
    assert re.fullmatch(r"peer \w{7} \(attic\) of grid \w{7}, 0 slots", who)
    assert read_line(process).startswith("alone: ")


@pytest.mark.parametrize("signalled", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_peer_quietly(
    machine: Machine, signalled: signal.Signals
) -> None:
    process, _ = start_peer(machine, "--slots", "1")
    process.send_signal(signalled)

    _, err = process.communicate(timeout=HANGING)
    assert (process.returncode, err) == (0, "")


def test_down_returns_when_the_peer_is_gone(machine: Machine) -> None:
    process, address = start_peer(machine, "--slots", "1")

    assert machine.out("down", "--resign").splitlines() == [
        "it keeps no job",
        "the peer is stopped",
    ]
    assert process.wait(HANGING) == 0
    host, _, port = address.rpartition(":")
    with socket.socket() as knock:
        assert knock.connect_ex((host, int(port))) != 0
    assert "slinger up" in machine.sentence("status")


def test_a_peer_in_the_background_is_ready_when_the_command_returns(
    machine: Machine,
) -> None:
    with in_background(machine, "--slots", "0", "--name", "attic") as process:
        status = json.loads(machine.out("status", "--json"))
        assert status["name"] == "attic"
        assert status["slots"] == 0
        assert process.is_running()
        assert (machine.data / "peer.log").exists()

        machine.out("down")
        process.wait(HANGING)


def test_a_second_peer_on_the_same_data_says_which_process_the_first_is(
    machine: Machine,
) -> None:
    process, _ = start_peer(machine, "--slots", "0")

    for words in (["up"], ["up", "--detach"]):
        assert f"(process {process.pid})" in machine.sentence(*words, *QUIET)


@pytest.mark.parametrize("more", [[], ["--detach"]])
def test_a_machine_without_authkey_is_told_to_run_init(
    machine: Machine, more: list[str]
) -> None:
    assert "slinger init" in machine.sentence("up", *QUIET, *more)


@pytest.mark.parametrize("more", [[], ["--detach"]])
def test_a_port_that_is_taken_is_named(machine: Machine, more: list[str]) -> None:
    join(machine)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = machine.sentence("up", "--no-mdns", "--port", port, *more)

    assert port in said


def test_peers_find_each_other_through_a_bootstrap_address(
    machine: Machine, short_dir: Path
) -> None:
    _, address = start_peer(machine, "--slots", "0", "--name", "attic")
    (short_dir / "second").mkdir()
    cellar = type(machine)(short_dir / "second", machine.started)
    process, _ = start_peer(
        cellar, "--slots", "1", "--name", "cellar", "--bootstrap", address
    )

    read_line(process)
    assert re.fullmatch(r"1 neighbour: \w{7} \(attic\)", read_line(process))
    assert "cellar" in machine.out("peers")
    first, second = json.loads(machine.out("peers", "--json"))
    assert (first["name"], first["this"]) == ("attic", True)
    assert (second["name"], second["this"]) == ("cellar", False)
    assert json.loads(cellar.out("status", "--json"))["neighbours"] == 1
    assert "problem" not in cellar.out("doctor")


def test_an_unknown_job_is_named(machine: Machine) -> None:
    start_peer(machine, "--slots", "0")

    for words in (["job", "abc"], ["cancel", "abc"], ["tally", "abc"]):
        assert "'abc'" in machine.sentence(*words)
    assert machine.out("jobs").startswith("no jobs here")
    assert machine.out("jobs", "--json") == "[]\n"
    assert machine.out("tally").startswith("nobody has computed")


SCRIPT = """
import sys
import p2pslinger as slinger

def add(a, b):
    return a + b

print(__name__, sys.argv[1:])
with slinger.connect() as grid:
    job = grid.start(add, [(i, i) for i in range(30)], name="sums", keepers=0)
    print(sum(job.results()))
    sys.stdin.readline()
"""


def test_a_program_and_its_owner_see_the_same_job(machine: Machine) -> None:
    start_peer(machine, "--slots", "1")
    (machine.folder / "sums.py").write_text(SCRIPT)
    program = machine.start(
        "run", "sums.py", "--x", "1", "--help", stdin=subprocess.PIPE
    )
    assert read_line(program) == "__main__ ['--x', '1', '--help']"
    assert read_line(program) == str(sum(range(30)) * 2)

    (job,) = json.loads(machine.out("jobs", "--json"))
    assert (job["name"], job["tasks"], job["computed"]) == ("sums", 30, 30)
    prefix = job["job"][:7]
    assert prefix in machine.out("jobs")
    assert json.loads(machine.out("job", prefix, "--json"))["job"] == job["job"]
    assert job["job"] in machine.out("job", job["job"].upper())
    (mine,) = json.loads(machine.out("tally", prefix, "--json"))
    assert (mine["tasks"], mine["failures"], mine["share"]) == (30, 0, 1.0)
    assert "100.0 %" in machine.out("tally")

    _, err = program.communicate("\n", timeout=HANGING)
    assert (program.returncode, err) == (0, "")


ENDLESS = """
import time
import p2pslinger as slinger

with slinger.connect() as grid:
    job = grid.start(time.sleep, [(600,)] * 3, name="endless", keepers=0)
    print("started", flush=True)
    list(job.results())
"""


def test_a_job_is_cancelled_by_the_beginning_of_its_id(machine: Machine) -> None:
    start_peer(machine, "--slots", "1")
    (machine.folder / "endless.py").write_text(ENDLESS)
    program = machine.start("run", "endless.py")
    assert read_line(program) == "started"
    (job,) = json.loads(machine.out("jobs", "--json"))

    watching = machine.start("job", job["job"][:7], "--follow")
    assert read_line(watching).startswith("0 of 3 tasks (0.0 %)")
    said = machine.out("cancel", job["job"][:7])
    assert said == f"job {job['job'][:7]} is cancelled\n"
    _, err = program.communicate(timeout=HANGING)
    assert program.returncode != 0
    assert "cancelled" in err
    out, err = watching.communicate(timeout=HANGING)
    assert (watching.returncode, err) == (0, "")
    assert "cancelled" in out


def test_a_scripts_exit_code_and_traceback_are_its_own(machine: Machine) -> None:
    script = machine.folder / "script.py"
    script.write_text("import sys\nsys.exit(5)\n")
    assert machine.run("run", "script.py").returncode == 5

    script.write_text("def broken():\n    1 / 0\nbroken()\n")
    process = machine.start("run", "script.py")
    _, err = process.communicate(timeout=HANGING)
    assert process.returncode == 1
    assert err.startswith('Traceback (most recent call last):\n  File "')
    assert "p2pslinger" not in err
