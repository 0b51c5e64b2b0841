"""The file of preferences: commands change one line of it, people the rest."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from p2pslinger.errors import DiskError, UsageError
from p2pslinger.rules.preferences import DEFAULTS
from p2pslinger.rules.prefkeys import KEYS
from p2pslinger.store.prefsfile import change, load, skeleton

EDITED = """\
# mine
enabled = true   # for now

cores = 2 # not more
# on_battery = false
on-battery = true
"""


def test_a_file_that_does_not_exist_has_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path / "prefs.toml") == DEFAULTS


def test_the_first_change_leaves_every_preference_explained(tmp_path: Path) -> None:
    file = tmp_path / "config" / "prefs.toml"
    assert change(file, "cores", "3").cores == 3
    text = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for name, key in KEYS.items():
        assert f"# {name} = " in text
        assert key.about.split()[0] in text
    assert '# cores = "auto"\ncores = 3\n' in text
    assert [one.name for one in file.parent.iterdir() if one.name[0] != "."] == [
        "prefs.toml"
    ]


def test_the_skeleton_sets_nothing(tmp_path: Path) -> None:
    (tmp_path / "prefs.toml").write_text(skeleton())
    assert load(tmp_path / "prefs.toml") == DEFAULTS
    (tmp_path / "all.toml").write_text(
        "\n".join(
            line.removeprefix("# ") if " = " in line and line.startswith("# ") else ""
            for line in skeleton().splitlines()
        )
    )
    assert load(tmp_path / "all.toml") == DEFAULTS


def test_a_change_keeps_comments_and_whatever_else_there_is(tmp_path: Path) -> None:
    file = tmp_path / "prefs.toml"
    file.write_text(EDITED)
    change(file, "cores", "1")
    change(file, "on_battery", "false")
    change(file, "memory", '"10%"')
    assert (
        file.read_text()
        == EDITED.replace("cores = 2", "cores = 1").replace(
            "on-battery = true", "on_battery = false"
        )
        + 'memory = "10%"\n'
    )
    change(file, "cores", "")
    assert load(file).cores is None
    assert "# mine" in file.read_text()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("enabled = maybe", "is no valid TOML"),
        ('\nenabled = "maybe"', "line 2: enabled is 'maybe', not true or false"),
        ("colour = 3", "line 1: colour is no preference; there are enabled"),
        ("cors = 3", "did you mean cores"),
        ("[enabled]\nx = 1", "enabled is {'x': 1}, not true or false"),
    ],
)
def test_a_file_that_can_not_be_understood_says_where_and_is_not_changed(
    text: str, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "prefs.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=str(file)) as refused:
        load(file)
    assert said in str(refused.value)
    with pytest.raises(UsageError):
        change(file, "cores", "1")
    assert file.read_text() == text


@pytest.mark.parametrize(("value", "left"), [("3", "cores = 3\n"), ("", "")])
def test_a_value_that_can_not_be_understood_is_mended_by_another(
    value: str, left: str, tmp_path: Path
) -> None:
    file = tmp_path / "prefs.toml"
    file.write_text('enabled = true\ncores = "two"\n')

    change(file, "cores", value)
    assert file.read_text() == f"enabled = true\n{left}"


def test_a_value_over_several_lines_is_not_torn_apart(tmp_path: Path) -> None:
    file = tmp_path / "prefs.toml"
    text = 'hours = [\n  "mon 8:00-9:00",\n]\n'
    file.write_text(text)
    with pytest.raises(UsageError, match="can't be changed line by line"):
        change(file, "hours", '"always"')
    assert file.read_text() == text
    assert change(file, "cores", "1").hours.text == "mon 8:00-9:00"


def test_a_place_where_nothing_can_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "config").touch()
    with pytest.raises((DiskError, UsageError), match="config"):
        change(tmp_path / "config" / "prefs.toml", "cores", "1")
