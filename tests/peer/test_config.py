"""Settings come from four places in one order, and a wrong one is named exactly."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger import limits
from p2pslinger.errors import AuthkeyError, UsageError
from p2pslinger.peer.config import Config, cores, load
from p2pslinger.peer.settings import CALLERS_ONLY, SETTINGS, read_address
from p2pslinger.store.keyfile import save_authkey
from p2pslinger.wire.authkey import from_random
from p2pslinger.wire.records import Address

OURS = from_random(bytes(range(40)))
THEIRS = from_random(bytes(reversed(range(40))))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The path of a settings file that does not exist yet."""
    return tmp_path / "config.toml"


def test_without_settings_there_are_sensible_ones(file: Path) -> None:
    config = load(environ={}, file=file)

    assert (config.port, config.port_fixed) == (limits.PORT, False)
    assert (config.host, config.bootstrap, config.mdns) == ("", (), True)
    assert not config.trust_members
    assert config.name
    assert config.data.is_absolute()
    assert config.slot_count() == max(1, cores() - 1)


def test_later_sources_win(file: Path) -> None:
    file.write_text('port = 1001\nslots = 1\nname = "file"\nmemory_share = "25%"')
    environ = {"SLINGER_SLOTS": "2", "SLINGER_NAME": "environment"}

    config = load(environ=environ, file=file, name="given", slots=None)

    assert config.port == 1001
    assert config.port_fixed
    assert config.memory_share == 0.25
    assert config.slots == 2
    assert config.name == "given"


def test_every_setting_is_a_field_and_every_field_can_be_set() -> None:
    fields = {field.name for field in dataclasses.fields(Config)}
    assert fields - {"authkey"} == set(SETTINGS)
    assert set(SETTINGS) >= CALLERS_ONLY


def test_the_environment_writes_lists_and_flags_as_words(file: Path) -> None:
    environ = {
        "SLINGER_BOOTSTRAP": "one, two:99  [::1]:7",
        "SLINGER_TRUST_MEMBERS": "yes",
        "SLINGER_MDNS": "off",
        "SLINGER_HOST": "*",
        "SLINGER_PORT": "",
        "SLINGER_SOMETHING_ELSE": "ignored",
    }

    config = load(environ=environ, file=file)

    one, two = Address("one", limits.PORT), Address("two", 99)
    assert config.bootstrap == (one, two, Address("::1", 7))
    assert config.trust_members
    assert not config.mdns
    assert (config.host, config.port) == ("", limits.PORT)


def test_any_free_port_is_not_a_fixed_one(file: Path) -> None:
    assert not load(environ={}, file=file, port=0).port_fixed
    assert load(environ={}, file=file, port=7).port_fixed
    assert not load(environ={}, file=file, port=7, port_fixed=False).port_fixed


def test_a_peer_that_a_program_brought_along_takes_all_cores(file: Path) -> None:
    assert load(environ={}, file=file, program_bound=True).slot_count() == cores()
    assert load(environ={}, file=file, slots=0).slot_count() == 0


def test_a_relative_data_folder_lies_beside_the_file(file: Path) -> None:
    file.write_text('data = "stuff"')
    assert load(environ={}, file=file).data == file.parent / "stuff"
    given = load(environ={"SLINGER_DATA": "/a"}, file=file, data=Path("/b"))
    assert given.data == Path("/b")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("slots = -1", "line 2: slots is -1, not a whole number from 0"),
        ("slots = true", "line 2: slots is True"),
        ("slots = 2.5", "line 2: slots is 2.5"),
        ('port = "http"', "line 2: port is 'http', not a port from 1 to 65535"),
        ("port = 65536", "line 2: port is 65536"),
        ('bootstrap = ["a:b"]', "not at most 64 addresses such as"),
        ("bootstrap = [7]", r"bootstrap is \[7\]"),
        ("mdns = 1", "line 2: mdns is 1, not true or false"),
        ("memory_share = 1.5", "not a part such as 0.5"),
        ("memory_share = nan", "not a part such as 0.5"),
        ('name = ""', "a name of 1 to 200 characters"),
        ('name = "a\\u001b[2J"', "a name of 1 to 200 characters"),
        ('log_level = "loud"', "one of debug, info, warning, error"),
        ("slot = 4", "line 2: slot is no setting: did you mean slots"),
        ("zzz = 4", "line 2: zzz is no setting; there are authkey, bootstrap,"),
        ("program_bound = true", "is no setting"),
        ("[network]\nport = 1", "line 2: network is no setting"),
        ("port 1", r"config\.toml is no valid TOML: .*line 2"),
    ],
)
def test_a_wrong_line_is_named(file: Path, line: str, message: str) -> None:
    file.write_text(f"# my settings\n{line}\n")

    with pytest.raises(UsageError, match=message):
        load(environ={}, file=file)


def test_a_wrong_variable_or_argument_is_named(file: Path) -> None:
    with pytest.raises(UsageError, match="SLINGER_PORT is 'x', not a port"):
        load(environ={"SLINGER_PORT": "x"}, file=file)
    with pytest.raises(UsageError, match="slots is 'many', not a whole number"):
        load(environ={}, file=file, slots="many")
    with pytest.raises(UsageError, match="did you mean bootstrap"):
        load(environ={}, file=file, bootstraps=[])


# --- addresses --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("host", "host", limits.PORT),
        (" host:1 ", "host", 1),
        ("10.0.0.1:65535", "10.0.0.1", 65535),
        ("::1", "::1", limits.PORT),
        ("fe80::1%eth0", "fe80::1%eth0", limits.PORT),
        ("[fe80::1%eth0]:9", "fe80::1%eth0", 9),
        ("[::1]", "::1", limits.PORT),
    ],
)
def test_addresses_are_read_as_people_write_them(
    text: str, host: str, port: int
) -> None:
    assert read_address(text) == Address(host, port)
    assert read_address(Address(host, port)) == Address(host, port)


@given(st.text() | st.from_regex(r"[\[\]:a-f0-9./%]{0,20}"))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        address = read_address(text)
    except ValueError:
        return
    assert address.host
    assert 1 <= address.port <= 65535


# --- the authkey ------------------------------------------------------------------


def test_the_authkey_comes_from_environment_then_file_then_data_folder(
    file: Path,
) -> None:
    data = file.parent / "data"
    assert load(environ={}, file=file, data=data).find_authkey() is None

    save_authkey(data, OURS)
    assert load(environ={}, file=file, data=data).find_authkey() == OURS

    file.write_text(f'authkey = "{THEIRS.to_text()}"')
    file.chmod(0o600)
    assert load(environ={}, file=file, data=data).find_authkey() == THEIRS

    environ = {"SLINGER_AUTHKEY": OURS.to_text()}
    assert load(environ=environ, file=file, data=data).find_authkey() == OURS


def test_the_authkey_is_no_argument(file: Path) -> None:
    with pytest.raises(UsageError, match="authkey is no argument"):
        load(environ={}, file=file, authkey=OURS.to_text())


def test_a_file_that_others_may_read_holds_no_authkey(file: Path) -> None:
    file.write_text(f'authkey = "{OURS.to_text()}"')
    file.chmod(0o644)

    with pytest.raises(AuthkeyError, match="chmod 600"):
        load(environ={}, file=file)


@pytest.mark.parametrize("wrong", [OURS.to_text()[:-1], "hunter2"])
def test_a_wrong_authkey_is_named_by_its_place_and_not_repeated(
    file: Path, wrong: str
) -> None:
    with pytest.raises(AuthkeyError, match="SLINGER_AUTHKEY: ") as raised:
        load(environ={"SLINGER_AUTHKEY": wrong}, file=file)
    assert wrong not in str(raised.value)

    file.write_text("authkey = 7")
    file.chmod(0o600)
    with pytest.raises(AuthkeyError, match="line 1: authkey is no text"):
        load(environ={}, file=file)


def test_a_configuration_does_not_show_its_authkey(file: Path) -> None:
    config = load(environ={"SLINGER_AUTHKEY": OURS.to_text()}, file=file)
    assert "uthkey" not in repr(config)
