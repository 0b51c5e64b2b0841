"""A grid begins on one machine, and others join it by its authkey."""

from __future__ import annotations

import re
import stat
import tomllib
from typing import TYPE_CHECKING

import pytest

from p2pslinger.cli.skeleton import SKELETON
from p2pslinger.peer.config import load
from p2pslinger.peer.settings import CALLERS_ONLY, SETTINGS
from p2pslinger.store.keyfile import load_authkey
from p2pslinger.wire import authkey as authkeys

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Machine

WORDS = "uncanny bitter lemon tractor ozone velvet"


def shown_key(text: str) -> str:
    (key,) = re.findall(r"^ +(slinger-\S+)$", text, flags=re.MULTILINE)
    assert isinstance(key, str)
    return key


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_a_new_grids_authkey_is_shown_once_and_kept_from_others(
    machine: Machine,
) -> None:
    said = machine.out("init")

    key = authkeys.read(shown_key(said))
    assert load_authkey(machine.data) == key
    assert mode(machine.data / "authkey") == 0o600
    assert mode(machine.config / "config.toml") == 0o600
    assert "slinger init --join" in said
    assert "slinger up --bootstrap" in said


def test_a_port_of_ones_own_is_named_to_the_other_machines(machine: Machine) -> None:
    machine.config.mkdir()
    (machine.config / "config.toml").write_text("port = 9101\n")
    assert re.search(r"slinger up --bootstrap \S+:9101\n", machine.out("init"))


def test_another_machine_joins_with_the_authkey_on_stdin(machine: Machine) -> None:
    text = "slinger-" + authkeys.from_random(bytes(40)).to_text().partition("-")[2]
    done = machine.run("init", "--join", said=f"{text}\n")

    assert done.returncode == 0, done.stderr
    assert load_authkey(machine.data) == authkeys.from_random(bytes(40))
    assert text not in done.stdout + done.stderr


def test_a_grid_is_not_left_by_accident(machine: Machine) -> None:
    first = shown_key(machine.out("init"))

    said = machine.sentence("init")
    assert "already" in said
    assert "slinger init --force" in said
    assert load_authkey(machine.data) == authkeys.read(first)

    second = shown_key(machine.out("init", "--force"))
    assert load_authkey(machine.data) == authkeys.read(second) != authkeys.read(first)


def test_a_settings_file_of_ones_own_is_kept(machine: Machine) -> None:
    machine.config.mkdir()
    file = machine.config / "config.toml"
    file.write_text("slots = 1\n")

    assert f"Settings stay as they are in {file}." in machine.out("init")
    assert file.read_text() == "slots = 1\n"

    aside = machine.config / "config.toml.old"
    assert f"the old ones in {aside}" in machine.out("init", "--force")
    assert file.read_text() == SKELETON
    assert aside.read_text() == "slots = 1\n"


@pytest.mark.parametrize(
    "typed",
    ["slinger-aaaaaaa-aaaa", "SLINGER", "k3mvb2a-lemon", "slinger-{key}x", "correct"],
)
def test_a_mistyped_authkey_changes_nothing(machine: Machine, typed: str) -> None:
    said = machine.sentence("init", "--join", said=f"{typed}\n")

    assert "authkey" in said
    assert typed not in said
    assert load_authkey(machine.data) is None


def test_an_empty_answer_is_no_authkey(machine: Machine) -> None:
    assert "stdin ended" in machine.sentence("init", "--join")
    assert "stdin ended" in machine.sentence("init", "--join", said="\n")


def test_a_passphrase_leads_to_the_same_grid_on_every_machine(
    machine: Machine,
) -> None:
    done = machine.run("init", "--passphrase", said=f"attic\n{WORDS}\n{WORDS}\n")

    assert done.returncode == 0, done.stderr
    assert load_authkey(machine.data) == authkeys.from_passphrase("attic", WORDS)
    assert "slinger init --passphrase" in done.stdout
    assert "guess" in done.stdout
    assert WORDS not in done.stdout + done.stderr
    assert "slinger-" not in done.stdout


def test_a_weak_passphrase_is_refused(machine: Machine) -> None:
    said = machine.sentence("init", "--passphrase", said="attic\nlemon\nlemon\n")

    assert "too weak" in said
    assert "lemon" not in said
    assert load_authkey(machine.data) is None


def test_two_passphrases_that_differ_are_refused(machine: Machine) -> None:
    typed = f"attic\n{WORDS}\n{WORDS}s\n"

    assert "differ" in machine.sentence("init", "--passphrase", said=typed)
    assert load_authkey(machine.data) is None


def test_an_authkey_that_would_not_count_is_not_made(machine: Machine) -> None:
    machine.config.mkdir()
    file = machine.config / "config.toml"
    file.write_text(f'authkey = "{authkeys.from_random(bytes(40)).to_text()}"\n')
    file.chmod(0o600)

    assert str(file) in machine.sentence("init", "--force")
    assert load_authkey(machine.data) is None


def test_a_damaged_authkey_is_not_overwritten(machine: Machine) -> None:
    machine.out("init")
    file = machine.data / "authkey"
    file.write_text("slinger-oops\n")

    assert f"{file} is damaged" in machine.sentence("init", "--force")
    assert file.read_text() == "slinger-oops\n"


def test_the_settings_file_sets_nothing_and_explains_everything(
    short_dir: Path,
) -> None:
    assert tomllib.loads(SKELETON) == {}
    file = short_dir / "config.toml"
    file.write_text(re.sub(r"^# (?=[a-z_]+ = )", "", SKELETON, flags=re.MULTILINE))

    load(environ={}, file=file)
    explained = set(tomllib.loads(file.read_text()))
    for_children = {"throw_away"}  # a person's data folder is never to be thrown away
    assert explained == SETTINGS.keys() - CALLERS_ONLY - for_children
