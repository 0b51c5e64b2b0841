"""What `slinger submit` is given is understood whole, or refused with the place."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from p2pslinger.cli.arguments import read_arguments
from p2pslinger.cli.spans import read_span
from p2pslinger.cli.target import load_source, load_target
from p2pslinger.client.packing import pack_function

SCRIPT = """
from dataclasses import dataclass
import beside

FACTOR = 3

@dataclass
class Point:
    x: "int"

def scaled(x):
    return Point(beside.half(x) * FACTOR)

class Tools:
    @staticmethod
    def twice(x):
        return 2 * x

if __name__ == "__main__":
    raise SystemExit("a submitted script is not the program")
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A script that imports a module beside it."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "beside.py").write_text("def half(x):\n    return x // 2\n")
    file = tmp_path / "my-script.py"
    file.write_text(SCRIPT)
    yield file
    sys.modules.pop("beside", None)


def refused(text: str) -> str:
    with pytest.raises(click.BadParameter) as error:
        load_target(text)
    assert "\n" not in error.value.message
    return error.value.message


# --- what to call -------------------------------------------------------------------


def test_a_script_is_loaded_without_being_the_program(script: Path) -> None:
    function = load_target(f"{script}:scaled")

    assert repr(function(8)) == "Point(x=12)"
    assert load_target("my-script.py:Tools.twice")(4) == 8
    assert "slinger_script" not in sys.modules


def test_a_scripts_function_travels_with_what_it_uses(script: Path) -> None:
    package = pack_function(load_target(f"{script}:scaled"))

    assert package.modules == {"beside"}
    assert b"slinger_script" in package.code  # by value, under that name


def test_a_modules_function_is_found_from_the_working_folder(script: Path) -> None:
    assert load_target("beside:half")(8) == 4
    assert load_target("json.decoder:JSONDecoder") is json.JSONDecoder


def test_what_names_no_function_is_told_why(script: Path) -> None:
    assert "write SCRIPT.py:FUNCTION" in refused("my-script.py")
    assert "write SCRIPT.py:FUNCTION" in refused(":f")
    assert "there is no file 'nowhere.py'" in refused("nowhere.py:f")
    assert "there is no module 'nowhere'" in refused("nowhere:f")
    assert "there is no module 'json.nowhere'" in refused("json.nowhere:f")
    assert "has no function 'scale': it has Point, scaled" in refused(
        "my-script.py:scale"
    )
    assert "has no function 'FACTOR'" in refused("my-script.py:FACTOR")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "\nx = 1 / 0\n",
            "broken.py, line 2, fails as it is loaded: ZeroDivisionError",
        ),
        ("def f(:\n", "broken.py fails as it is loaded: SyntaxError"),
        ("raise SystemExit(3)", "line 1, fails as it is loaded: SystemExit: 3"),
        ("import nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
    ],
)
def test_a_script_that_fails_is_told_where(script: Path, text: str, said: str) -> None:
    script.with_name("broken.py").write_text(text)

    assert said in refused("broken.py:f")


def test_a_script_in_another_language_is_no_script(script: Path) -> None:
    script.with_name("job.sh").write_text("echo")

    assert "is no Python file" in refused("job.sh:f")


# --- what with ----------------------------------------------------------------------


def arguments(tmp_path: Path, text: bytes, *, star: bool = False) -> list[object]:
    file = tmp_path / "args.jsonl"
    file.write_bytes(text)
    return read_arguments(str(file), star=star)


def test_each_line_is_an_argument_and_empty_lines_are_none(tmp_path: Path) -> None:
    text = b'\xef\xbb\xbf1\n\n{"a": [2]}\r\n  "\xc3\xa9"\n[3, 4]\nnull'

    assert arguments(tmp_path, text) == [1, {"a": [2]}, "é", [3, 4], None]


def test_star_makes_each_array_a_calls_arguments(tmp_path: Path) -> None:
    assert arguments(tmp_path, b"[1, [2]]\n[]\n", star=True) == [(1, [2]), ()]


def test_standard_input_is_called_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"1\n2\n")))

    assert read_arguments("-", star=False) == [1, 2]


@pytest.mark.parametrize(
    ("text", "star", "said"),
    [
        (b"1\n\n{2}\n", False, r"line 3 of .*args.jsonl is no JSON value: .* column 2"),
        (b"1\n\xff\n", False, "line 2 of .* is no text in UTF-8"),
        (b"1 2\n", False, "line 1 of .* is no JSON value: extra data at column 3"),
        (b"[" * 100_000, False, "line 1 of .* is nested too deeply"),
        (b"[1]\n7\n", True, "line 2 of .* is no array, and --star"),
        (b"\n \n", False, "has no arguments: write one JSON value a line"),
    ],
)
def test_a_wrong_line_is_named_by_its_number(
    tmp_path: Path, text: bytes, star: bool, said: str
) -> None:
    with pytest.raises(click.BadParameter, match=said):
        arguments(tmp_path, text, star=star)


# --- for how long -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1.5h", 5400), (" 3D ", 259200), ("45min", 2700), ("2 w", 1209600)],
)
def test_a_time_span_is_read_in_its_unit(text: str, seconds: float) -> None:
    command = click.Command("x")
    with click.Context(command) as context:
        assert read_span(context, click.Argument(["t"]), text) == seconds


def test_source_text_is_found_without_being_loaded_and_fits_any_python(
    script: Path,
) -> None:
    script.with_name("plain.py").write_text(
        "import beside\nassert __name__ != 'x'\ndef f(x):\n    return beside.half(x)\n"
    )
    sys.path.insert(0, str(script.parent))
    for text in ("plain.py:f", "plain:f"):
        found = load_source(text)
        assert pack_function(found).python is None
        assert found(8) == 4
    for text, why in {
        "plain.py:g": "does not define `g`; it defines `f`",
        "none.py:f": "can't read",
        "sys:exit": "no module 'sys' here that has source text",
        "plain.py": "names no function",
    }.items():
        with pytest.raises(click.BadParameter) as error:
            load_source(text)
        assert why in error.value.message
