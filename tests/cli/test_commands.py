"""Every command explains itself, and is not imported before it is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from p2pslinger.cli.commands import COMMANDS
from p2pslinger.cli.main import slinger

#: Commands that print facts.
FACTS = {
    "status",
    "why",
    "peers",
    "submit",
    "jobs",
    "job",
    "results",
    "tally",
    "doctor",
    "replay",
    "people",
    "prefs",
}


def text_of(*words: str) -> str:
    result = CliRunner().invoke(slinger, words)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_commands_help_ends_with_an_example(name: str) -> None:
    _, _, example = text_of(name, "--help").rpartition("\nExample:\n")

    lines = example.splitlines()
    assert lines
    assert all(line.startswith(f"  slinger {name}") for line in lines)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_the_command_says(name: str) -> None:
    said = " ".join(text_of(name, "--help").split())

    assert COMMANDS[name][1] in said
    assert COMMANDS[name][1] in text_of("--help")


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_that_print_facts_can_print_them_as_json(name: str) -> None:
    assert ("--json" in text_of(name, "--help")) == (name in FACTS)


def test_the_command_alone_shows_its_help() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "p2pslinger"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert done.stdout.split() == text_of("--help").split()  # however wide


def test_help_loads_neither_the_peer_nor_a_drawing_library() -> None:
    script = (
        "import sys; from p2pslinger.cli.main import main; main(['--help']); "
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    loaded = set(done.stdout.splitlines()[-1].split())
    assert {"p2pslinger.cli.main", "click"} <= loaded
    heavy = {"rich", "asyncio", "ssl", "msgspec", "cryptography", "kademlia"}
    assert not loaded & heavy
    ours = {name for name in loaded if name.startswith("p2pslinger.")}
    assert ours <= {
        "p2pslinger.cli",
        "p2pslinger.cli.main",
        "p2pslinger.cli.commands",
        "p2pslinger.cli.words",
        "p2pslinger.errors",
        "p2pslinger.version",
    }


def test_the_version_is_the_packages() -> None:
    import p2pslinger

    assert text_of("--version") == f"slinger {p2pslinger.__version__}\n"
