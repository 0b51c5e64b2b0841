"""`slinger demo`: the fractal of the examples, rendered by several local peers.

The example is one file. In a checkout it is used where it lies; the build copies it
into wheels, beside this file.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

import click

from p2pslinger.cli.commands import Command
from p2pslinger.errors import UsageError

HERE = Path(__file__).parent

#: Where the example may be: in a wheel, in a checkout.
PLACES = (HERE / "_example_fractal.py", HERE.parents[1] / "examples" / "fractal.py")


def _check_place(_: click.Context, __: click.Parameter, value: str) -> str:
    """See, before all the work, that there is a folder for the picture.

    Raises:
        BadParameter: there is none, or nothing can be written into it.
    """
    folder = Path(value).absolute().parent
    if not folder.is_dir():
        raise click.BadParameter(f"there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise click.BadParameter(f"{folder} can't be written")
    return value


@click.command(cls=Command, epilog="slinger demo\nslinger demo --peers 4 --strangers")
@click.option(
    "--peers", type=click.IntRange(1, 64), metavar="N", default=3, show_default=True
)
@click.option(
    "--width",
    type=click.IntRange(16, 20000),
    metavar="N",
    default=1200,
    show_default=True,
)
@click.option(
    "--height",
    type=click.IntRange(16, 20000),
    metavar="N",
    default=800,
    show_default=True,
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True),
    default="fractal.png",
    callback=_check_place,
    show_default=True,
    help="The picture's file.",
)
@click.option(
    "--strangers",
    is_flag=True,
    help="Let the peers confine each other's tasks, as on different machines.",
)
def demo(peers: int, width: int, height: int, out: str, *, strangers: bool) -> None:
    """Render a fractal on several local peers.

    Starts the peers, shows who is computing, writes the picture and prints who
    contributed how much. The peers are gone afterwards.
    """
    options = {"--peers": peers, "--width": width, "--height": height, "--out": out}
    words = [str(word) for pair in options.items() for word in pair]
    sys.argv = ["fractal.py", *words, *(["--strangers"] if strangers else [])]
    # As __main__, so that its functions travel by value.
    runpy.run_path(str(find_example()), run_name="__main__")


def find_example() -> Path:
    """Return the example's file.

    Raises:
        UsageError: this installation has none.
    """
    for place in PLACES:
        if place.is_file():
            return place
    raise UsageError(
        "this installation lacks the example: install p2pslinger again, or run "
        "examples/fractal.py from a checkout"
    )
