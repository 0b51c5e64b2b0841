"""`slinger prefs`: shown and set as it is typed, whether or not a peer runs."""

from __future__ import annotations

import json

from p2pslinger.rules.prefkeys import KEYS
from tests.cli.conftest import Machine


def facts(machine: Machine, *words: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(machine.out("prefs", *words, "--json"))
    return found


def test_preferences_need_no_running_peer(machine: Machine) -> None:
    shown = machine.out("prefs")
    assert all(name in shown for name in KEYS)
    assert "no peer runs on this machine" in shown
    assert not (machine.config / "prefs.toml").exists(), "showing writes nothing"

    assert "cores = 2" in machine.out("prefs", "cores", "2")
    assert "on_battery = true" in machine.out("prefs", "set", "on-battery", "yes")
    assert "paused_until = resumed" in machine.out("prefs", "pause")
    assert "paused_until = 20" in machine.out("prefs", "pause", "2h")
    assert "paused_until = never" in machine.out("prefs", "resume")
    assert machine.out("prefs", "cores").startswith("cores = 2\n")
    values = facts(machine)["values"]
    assert isinstance(values, dict)
    assert (values["cores"], values["on_battery"]) == ("2", "true")
    assert "cores = auto" in machine.out("prefs", "--reset", "cores")
    assert "foreign_load = off" in machine.out("prefs", "foreign_load", "off")
    assert facts(machine, "foreign_load")["values"] == {"foreign_load": "off"}


def test_what_is_typed_wrongly_is_told_in_a_sentence_and_changes_nothing(
    machine: Machine,
) -> None:
    machine.out("prefs", "cores", "2")
    before = (machine.config / "prefs.toml").read_text()
    assert "did you mean cores" in machine.sentence("prefs", "corse", "3")
    assert "did you mean pause" in machine.sentence("prefs", "paus", "2h")
    assert "did you mean resume" in machine.sentence("prefs", "resum")
    assert "there are enabled" in machine.sentence("prefs", "colour")
    assert "cores is '0', not" in machine.sentence("prefs", "cores", "0")
    assert "needs quotes" in machine.sentence("prefs", "hours", "mon", "8-9", code=2)
    assert "no time span" in machine.sentence("prefs", "pause", "soon", code=2)
    assert (machine.config / "prefs.toml").read_text() == before
    (machine.config / "prefs.toml").write_text("cores = [")
    assert "no valid TOML" in machine.sentence("prefs")
    assert "no valid TOML" in machine.sentence("prefs", "cores", "1")


def test_a_running_peer_says_what_follows(machine: Machine) -> None:
    machine.out("init")
    machine.out("prefs", "foreign_load", "off")
    machine.out("up", "--detach", "--slots", "2", "--no-mdns", "--port", "0")
    try:
        assert "up to 2 slots for others, 25.0 % of the memory" in machine.out("prefs")
        assert "up to 1 slot for others" in machine.out("prefs", "cores", "1")
        paused = machine.out("prefs", "pause", "1h")
        assert "nothing for others, since" in paused
        assert "waiting: this peer does not compute for others: it is paused" in paused
        assert "`slinger prefs resume` ends the pause" in paused
        now = facts(machine)["now"]
        assert isinstance(now, dict)
        assert (now["reason"]["code"], now["slots"]) == ("paused", 0)
    finally:
        machine.out("down")
