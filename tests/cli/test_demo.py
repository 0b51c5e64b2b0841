"""`slinger demo` renders the example's picture, and leaves nothing but the picture."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from p2pslinger.cli.demo import find_example

if TYPE_CHECKING:
    from tests.cli.conftest import Machine


def test_the_demo_renders_a_picture_of_the_size_that_was_asked_for(
    machine: Machine,
) -> None:
    size = ("--width", "64", "--height", "24")
    machine.out("demo", "--peers", "2", *size, "--out", "small.png")

    picture = (machine.folder / "small.png").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n")
    assert struct.unpack(">II", picture[16:24]) == (64, 24)


def test_strangers_render_the_same_picture(machine: Machine) -> None:
    size = ("--width", "32", "--height", "16")
    for name, strangers in (("ours.png", ()), ("theirs.png", ("--strangers",))):
        machine.out("demo", "--peers", "1", *size, *strangers, "--out", name)
    ours, theirs = machine.folder / "ours.png", machine.folder / "theirs.png"
    assert ours.read_bytes() == theirs.read_bytes()


def test_a_picture_that_can_not_be_written_is_a_sentence_before_the_work(
    machine: Machine,
) -> None:
    said = machine.sentence("demo", "--out", ".", code=2)

    assert "is a directory" in said


def test_the_example_is_found_in_a_checkout() -> None:
    assert find_example().name == "fractal.py"
