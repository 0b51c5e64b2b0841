"""Preferences in words: what is written is what is read, and nonsense is refused."""

from __future__ import annotations

import math
import tomllib
from dataclasses import fields, replace

import pytest

from p2pslinger.errors import UsageError
from p2pslinger.rules.hours import read_hours
from p2pslinger.rules.preferences import DEFAULTS, Preferences
from p2pslinger.rules.prefkeys import (
    KEYS,
    key_named,
    read_preferences,
    read_value,
    written,
)

OTHERS = Preferences(
    enabled=False,
    paused_until=1_800_000_000.0,
    when_idle=True,
    idle_after=90.0,
    on_battery=True,
    foreign_load=None,
    cores=3,
    core_share=0.5,
    memory=0.1,
    disk=500_000_000,
    hours=read_hours("mon-fri 22:00-06:00, sat 00:00-24:00"),
    upload=500_000.0,
    download=1_000_000.0,
    compute_for="allowed",
    program_peers=True,
)


def as_file(preferences: Preferences) -> str:
    return "".join(f"{name} = {written(preferences, name)}\n" for name in KEYS)


def read(text: str) -> Preferences:
    return read_preferences(tomllib.loads(text), lambda key: f"prefs.toml: {key}")


def test_every_preference_has_a_key() -> None:
    assert list(KEYS) == [field.name for field in fields(Preferences)]


@pytest.mark.parametrize("preferences", [DEFAULTS, OTHERS])
def test_what_is_written_is_read_again(preferences: Preferences) -> None:
    assert read(as_file(preferences)) == preferences


def test_a_pause_without_an_end_is_read_again() -> None:
    paused = replace(DEFAULTS, paused_until=math.inf)
    assert read(as_file(paused)) == paused


def test_an_empty_file_has_the_defaults() -> None:
    assert read("") == DEFAULTS


@pytest.mark.parametrize(
    ("name", "said", "value"),
    [
        ("enabled", "yes", True),
        ("enabled", "Off", False),
        ("paused_until", "2027-01-31T18:00:00Z", 1801418400.0),
        ("paused_until", "resumed", math.inf),
        ("idle_after", "90s", 90.0),
        ("idle_after", 120, 120.0),
        ("foreign_load", "30%", 0.3),
        ("foreign_load", 0.3, 0.3),
        ("foreign_load", False, None),
        ("foreign_load", "off", None),
        ("cores", "2", 2),
        ("cores", "auto", None),
        ("disk", "2GB", 2_000_000_000),
        ("disk", "1.5 GiB", 3 << 29),
        ("disk", "0", 0),
        ("upload", "500 KB/s", 500_000.0),
        ("upload", "unlimited", None),
        (
            "hours",
            ["mon 8:00-9:00", "tue 8:00-9:00"],
            read_hours("mon 8:00-9:00, tue 8:00-9:00"),
        ),
    ],
)
def test_values_are_read_as_people_write_them(
    name: str, said: object, value: object
) -> None:
    assert read_value(name, name, said) == value


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("enabled", "perhaps"),
        ("enabled", 1),
        ("paused_until", "tomorrow"),
        ("idle_after", "0"),
        ("idle_after", "8d"),
        ("foreign_load", "0%"),
        ("foreign_load", "101%"),
        ("foreign_load", math.nan),
        ("foreign_load", True),
        ("cores", 0),
        ("cores", 1.5),
        ("core_share", "off"),
        ("memory", "0"),
        ("disk", "-1"),
        ("disk", "2 elephants"),
        ("hours", []),
        ("hours", "now and then"),
        ("upload", "0"),
        ("upload", "40KB/s"),
        ("compute_for", "friends"),
    ],
)
def test_what_a_preference_can_not_be_is_refused_with_what_it_can(
    name: str, said: object
) -> None:
    with pytest.raises(UsageError) as refused:
        read_value(f"prefs.toml, line 3: {name}", name, said)
    assert str(refused.value).startswith(f"prefs.toml, line 3: {name} is ")
    assert str(refused.value).endswith(f", not {KEYS[name].allowed}")


def test_a_key_is_found_however_it_is_spelt_and_a_wrong_one_suggests_another() -> None:
    assert key_named(" On-Battery ") == "on_battery"
    with pytest.raises(UsageError, match="did you mean on_battery"):
        key_named("on_batery")
    with pytest.raises(UsageError, match="there are enabled, "):
        key_named("qqq")
    with pytest.raises(UsageError, match=r"prefs.toml: core: core is no preference"):
        read("core = 2")
