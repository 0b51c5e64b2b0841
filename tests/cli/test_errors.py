"""What goes wrong is one sentence and an exit code, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import click
import pytest

from p2pslinger.cli.commands import COMMANDS, Command
from p2pslinger.cli.main import main
from p2pslinger.errors import SlingerError, UnavailableError

if TYPE_CHECKING:
    from tests.cli.conftest import Machine

Break = Callable[[BaseException], None]


@pytest.fixture
def break_with(monkeypatch: pytest.MonkeyPatch) -> Break:
    """Add a command `broken`, which raises what it is given."""

    def add(error: BaseException) -> None:
        module = ModuleType("p2pslinger.cli.broken")

        def body() -> None:
            raise error

        vars(module)["broken"] = Command("broken", callback=body)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(COMMANDS, "broken", ("broken", "Fail."))

    return add


def test_an_error_of_ours_is_its_sentence(
    break_with: Break, capsys: pytest.CaptureFixture[str]
) -> None:
    break_with(UnavailableError("the moon is down: wait"))

    assert main(["broken"]) == 1
    assert capsys.readouterr().err == "Error: the moon is down: wait\n"


def test_an_error_that_came_out_of_a_task_group_is_its_sentence_too(
    break_with: Break, capsys: pytest.CaptureFixture[str]
) -> None:
    lone = ExceptionGroup("tasks", [UnavailableError("the moon is down: wait")])
    break_with(ExceptionGroup("peer", [lone]))

    assert main(["broken"]) == 1
    assert capsys.readouterr().err == "Error: the moon is down: wait\n"


def test_what_nobody_foresaw_is_called_a_bug(
    break_with: Break, capsys: pytest.CaptureFixture[str]
) -> None:
    break_with(KeyError("left"))

    assert main(["broken"]) == 1
    assert capsys.readouterr().err == (
        "Error: this is a bug in slinger (KeyError: 'left'); run again with --debug "
        "for the details\n"
    )


@pytest.mark.parametrize("words", [["--debug", "broken"], ["broken", "--debug"]])
@pytest.mark.parametrize("error", [KeyError("left"), UnavailableError("gone")])
def test_debug_shows_where_it_happened(
    break_with: Break,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    error: Exception,
) -> None:
    break_with(error)

    assert main(words) == 1
    assert "raise error" in capsys.readouterr().err


def test_no_text_of_another_machine_reaches_the_terminal_as_it_is(
    break_with: Break, capsys: pytest.CaptureFixture[str]
) -> None:
    break_with(SlingerError("job \x1b[2J\x07 is gone"))

    main(["broken"])
    assert capsys.readouterr().err == "Error: job ?[2J? is gone\n"


def test_ctrl_c_is_130(break_with: Break, capsys: pytest.CaptureFixture[str]) -> None:
    break_with(KeyboardInterrupt())

    assert main(["broken"]) == 130
    assert "Error" not in capsys.readouterr().err


def test_an_exit_code_of_a_command_is_the_commands(break_with: Break) -> None:
    break_with(click.exceptions.Exit(7))

    assert main(["broken"]) == 7


def test_nobody_reading_is_no_error(machine: Machine) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as nobody:
        done = subprocess.run(
            [sys.executable, "-m", "p2pslinger", "doctor"],
            env=machine.environment(),
            stdout=nobody,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )

    assert done.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has none")
def test_a_full_disk_under_the_output_is_no_bug(machine: Machine) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "p2pslinger", "prefs"],
            env=machine.environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )

    assert done.returncode == 1
    assert done.stderr.decode() == (
        "Error: what this prints can't be written: No space left on device\n"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["statsu"], "there is no command 'statsu': did you mean status?"),
        (["xyzzy"], "there is no command 'xyzzy' (see"),
        (["up", "--port", "70000"], "'--port': 70000 is not in the range 0 to 65535 ("),
        (["up", "--port", "-1"], "'--port': -1 is not in the range"),
        (["up", "--port", "ssh"], "'--port': 'ssh' is not a whole number (see"),
        (["up", "--slots", "two"], "'--slots': 'two' is not a whole number (see"),
        (["up", "--bootstrap", "host:0"], "'host:0' is no address such as"),
        (["up", "--bootstrap", "host:http"], "'host:http' is no address such as"),
        (["up", "--bootstrap", "http://host"], "'http://host' is no address such as"),
        (["up", "--bootstrap", ""], "'' is no address such as"),
        (["up", "--authkey", "x"], "No such option"),
        (["job"], "Missing argument 'JOB'"),
        (["job", "no_id"], "'no_id' is no id: only a-z and 2-7 occur in one"),
        (["job", "--", "---"], "'---' is no id"),
        (["cancel", ""], "'' is no id"),
        (["cancel", "a" * 65], "is no id"),
        (["tally", "0189"], "'0189' is no id"),
        (["run", "nowhere.py"], "'nowhere.py' does not exist"),
        (["run"], "Missing argument 'SCRIPT'"),
        (["demo", "--peers", "0"], "0 is not in the range"),
        (["demo", "--out", "/no/such/x.png"], "there is no folder /no/such"),
        (["init", "--join", "--passphrase"], "exclude each other"),
        (["submit"], "Missing argument 'SCRIPT_OR_MODULE:FUNCTION'"),
        (["submit", "math:sqrt"], "Missing argument 'ARGS.jsonl'"),
        (["submit", "math:sqrt", "nowhere.jsonl"], "nowhere.jsonl can't be read"),
        (["submit", "math:sqrt", "-", "--keepers", "8"], "8 is not in the range"),
        (["submit", "math:sqrt", "-", "--keep", "soon"], "'soon' is no time span"),
        (["submit", "math:sqrt", "-", "--keep", "0d"], "'0d' is no time span"),
        (["submit", "math:sqrt", "-", "--timeout", "-1"], "'-1' is no time span"),
        (
            ["submit", "math:sqrt", "-", "--tolerance", "2"],
            "in the range 0 to less than 1",
        ),
        (["submit", "math:sqrt", "-", "--keep", "99999w"], "is longer than 30 years"),
        (["submit", "math:sqrt", "-", "--tolerance", "x"], "'x' is not a number (see"),
        (["submit", "math:sqrt", "-", "--priority", "101"], "101 is not in the range"),
        (["extend", "abc"], "Missing argument 'TIME'"),
        (["extend", "abc", "3 weeks"], "'3 weeks' is no time span"),
        (["priority", "abc", "high"], "'high' is not a whole number (see"),
        (["priority", "abc", "-101"], "-101 is not in the range"),
        (["forget", "no_id"], "'no_id' is no id"),
        (["results"], "Missing argument 'JOB'"),
        (["results", "abc", "--errors", "--output"], "exclude each other"),
        (["results", "abc", "--pickle", "f", "--json"], "--pickle goes with"),
        (["results", "abc", "--trust", "all"], "'all' is not one of"),
        (["ticket"], "name a job to make a ticket"),
        (["ticket", "abc", "--use", "f"], "name a job to make a ticket"),
        (["ticket", "--use", "f", "--owner"], "goes with neither"),
        (["ticket", "--use", "nowhere"], "neither a ticket nor the file of one"),
        (["ticket", "--use", "ticket-aaaa"], "cut short"),
        (["ticket", "abc", "--out", "/"], "is a directory"),
    ],
)
def test_what_is_typed_wrongly_is_exit_code_2(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("Error: ")
    assert shown.count("\n") == 1
    assert said in shown
    assert "--help`)" in shown


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["peers"],
        ["jobs", "--json"],
        ["job", "abc"],
        ["job", "abc", "--follow"],
        ["submit", "math:sqrt", "-"],
        ["results", "abc"],
        ["cancel", "abc"],
        ["pause", "abc"],
        ["priority", "abc", "-5"],
        ["extend", "abc", "3d"],
        ["forget", "abc"],
        ["ticket", "abc", "--owner"],
        ["tally"],
        ["down"],
    ],
)
def test_without_a_peer_every_question_says_how_to_start_one(
    machine: Machine, words: list[str]
) -> None:
    assert "slinger up" in machine.sentence(*words, said="4\n")


@pytest.mark.parametrize("words", [["up"], ["status"], ["init"], ["down"]])
def test_a_settings_file_that_is_no_toml_is_named(
    machine: Machine, words: list[str]
) -> None:
    machine.config.mkdir()
    (machine.config / "config.toml").write_text("slots: 2\n")
    environment = machine.environment()
    del environment["SLINGER_DATA"]

    done = subprocess.run(
        [sys.executable, "-m", "p2pslinger", *words],
        env=environment | {"XDG_DATA_HOME": str(machine.folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"Error: {machine.config / 'config.toml'} is no valid TOML"
    )
    assert done.stderr.count("\n") == 1
