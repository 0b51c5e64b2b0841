"""The doctor is of use when nothing runs, which is when it is needed."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from p2pslinger.cli import checks
from p2pslinger.wire.ownfacts import CheckFacts

if TYPE_CHECKING:
    from tests.cli.conftest import Machine


def findings(machine: Machine, *, code: int) -> dict[str, CheckFacts]:
    done = machine.run("doctor", "--json")
    assert (done.returncode, done.stderr) == (code, "")
    return {fact["name"]: CheckFacts(**fact) for fact in json.loads(done.stdout)}


def test_a_new_machine_lacks_an_authkey_and_a_peer(machine: Machine) -> None:
    found = findings(machine, code=1)

    assert {name for name, fact in found.items() if not fact.ok} == {"authkey", "peer"}
    assert "slinger init" in found["authkey"].advice
    assert "slinger up" in found["peer"].text
    assert sys.executable in found["python"].text
    assert not machine.data.exists(), "looking must not change anything"


def test_every_line_says_ok_or_problem_and_what_to_do(machine: Machine) -> None:
    done = machine.run("doctor")

    *lines, last = done.stdout.splitlines()
    assert all(line.split()[0] in {"ok", "problem"} for line in lines)
    assert last == "2 problems"
    (authkey,) = [line for line in lines if "authkey" in line]
    assert "-> `slinger init` makes a grid" in authkey
    assert (done.returncode, done.stderr) == (1, "")


def test_an_authkey_that_others_may_read_is_a_problem(machine: Machine) -> None:
    machine.out("init")
    assert findings(machine, code=1)["authkey"].ok

    (machine.data / "authkey").chmod(0o644)
    found = findings(machine, code=1)["authkey"]
    assert not found.ok
    assert "chmod 600" in found.text


def test_settings_that_are_wrong_are_named_with_their_line(machine: Machine) -> None:
    machine.config.mkdir()
    (machine.config / "config.toml").write_text("# mine\nslots = -1\n")

    found = findings(machine, code=1)["settings"]
    assert not found.ok
    assert "line 2: slots is -1" in found.text


def test_a_file_in_place_of_the_data_folder_is_a_problem(machine: Machine) -> None:
    machine.data.write_text("")

    assert "is no folder" in findings(machine, code=1)["data"].text


def test_a_folder_that_nobody_can_write_to_is_a_problem() -> None:
    found = checks.data_folder(Path("/proc/slinger"))

    assert not found.ok
    assert "can't be written" in found.text


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_taken_port_is_a_problem_only_if_no_other_will_do(
    kind: socket.SocketKind,
) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        number = taken.getsockname()[1]

        assert not checks.port(number, fixed=True).ok
        assert "takes the next free one" in checks.port(number, fixed=False).text
    assert checks.port(number, fixed=True).ok


def test_little_room_on_the_disk_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "GB free" in checks.disk(tmp_path / "not" / "yet").text

    monkeypatch.setattr(checks, "LEAST_FREE", 1 << 80)
    assert not checks.disk(tmp_path).ok
