"""Petnames, and who is allowed, denied or banned, as it is typed."""

from __future__ import annotations

import json
import stat

from p2pslinger.cli.naming import of_name
from p2pslinger.ids import PeerId, short, to_text
from p2pslinger.store.keyfile import load_or_create_identity
from tests.cli.conftest import Machine

EVE, ANN = to_text(PeerId(b"e" * 20)), to_text(PeerId(b"a" * 20))


def test_what_the_owner_says_needs_no_running_peer(machine: Machine) -> None:
    assert "nothing is said" in machine.out("people")
    assert "@Eve W now" in machine.out("name", EVE, "Eve W")
    assert "is banned" in machine.out("ban", "@eve w")
    assert "treated as your own" in machine.out("allow", ANN)

    listed = json.loads(machine.out("people", "--json"))
    file = machine.config / "people.toml"
    assert [(one["petname"], one["standing"]) for one in listed] == [
        ("Eve W", "banned"),
        ("", "allowed"),
    ]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "@Eve W" in machine.out("people")

    assert "not banned any more" in machine.out("ban", "Eve W", "--remove")
    assert "no petname any more" in machine.out("name", EVE[:9], "--remove")
    assert "gets nothing computed" in machine.out("deny", ANN[:7])
    (one,) = json.loads(machine.out("people", "--json"))
    assert (one["peer"], one["standing"]) == (ANN, "denied")


def test_who_cannot_be_meant_is_told_in_a_sentence(machine: Machine) -> None:
    own = load_or_create_identity(machine.data)

    assert "own peer" in machine.sentence("ban", to_text(own.id))
    assert "no peer is known here by 'laptop'" in machine.sentence("ban", "laptop")
    assert "no peer is known" in machine.sentence("ban", EVE[:-1] + "x")
    assert "not banned" in machine.sentence("ban", EVE, "--remove")
    assert "--remove" in machine.sentence("name", EVE, code=2)
    assert "a petname has 1 to 60" in machine.sentence("name", EVE, "\x1b[2J")
    machine.out("ban", EVE)
    assert "slinger ban" in machine.sentence("allow", EVE)
    (machine.config / "people.toml").write_text("[banned")
    assert "no valid TOML" in machine.sentence("people")


def test_no_peer_can_call_itself_what_looks_like_a_petname() -> None:
    assert of_name("@Grandma") == "?Grandma"
    assert of_name("laptop", "Grandma") == "@Grandma (laptop)"
    assert of_name("x\x1b[2J", "Gran") == "@Gran (x?[2J)"
    assert of_name("", "Gran") == "@Gran"


def test_a_running_peer_hears_it_at_once(machine: Machine) -> None:
    machine.out("init")
    machine.out("up", "--detach", "--port", "0", "--slots", "0", "--no-mdns")
    try:
        machine.out("ban", EVE)
        file = machine.config / "people.toml"
        file.write_text("[banned")
        assert "no valid TOML" in machine.sentence("name", EVE, "Eve")
        file.unlink()
        own = load_or_create_identity(machine.data)
        assert "own peer" in machine.sentence("deny", short(own.id)[:5])
    finally:
        machine.out("down")
