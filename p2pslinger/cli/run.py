"""`slinger run`: run a Python file with the Python that has slinger.

The file becomes the program: `__main__`, arguments, tracebacks, signals and exit code
are what they would be with `python SCRIPT`. So this process turns into it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click

from p2pslinger.cli.commands import Command


@click.command(
    cls=Command,
    epilog="slinger run my_script.py\nslinger run my_script.py --its-own option",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("script", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def run(script: Path, args: tuple[str, ...]) -> None:
    """Run a Python file that uses p2pslinger.connect().

    The file finds this machine's peer; if none runs, a short-lived one comes by
    itself. ARGS are the file's own, in sys.argv.
    """
    become([str(script), *args])


def become(command: list[str]) -> None:
    """Turn this process into Python running `command`; does not return."""
    sys.stdout.flush()
    sys.stderr.flush()
    if sys.platform == "win32":  # where exec returns to the shell at once
        sys.exit(subprocess.call([sys.executable, *command]))
    os.execv(sys.executable, [sys.executable, *command])
