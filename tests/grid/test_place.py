"""What the tests with real processes read of what those print."""

from __future__ import annotations

import subprocess
import sys

from tests.grid.place import HANGING, line, output


def test_lines_printed_at_once_are_read_one_by_one_and_the_rest_at_the_end() -> None:
    text = "print('a ä\\nb\\nc', end='\\n\\n', flush=True); print('d')"
    program = subprocess.Popen(
        [sys.executable, "-X", "utf8", "-c", text],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    program.wait(HANGING)  # all of it is in the pipe

    assert [line(program), line(program)] == ["a ä", "b"]
    assert output(program) == "c\n\nd\n"
