"""The front door: which commands there are, and what becomes of an error.

- A command's file is imported when that command runs: `slinger --help` has a budget.
- An error is one sentence on stderr. Exit code 1: it did not work, 2: it was typed
  wrongly, 130: Ctrl-C. A traceback is for `--debug` only.
- What nobody foresaw is our bug, and the sentence says so.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence

import click

from p2pslinger import __version__
from p2pslinger.cli.commands import DEBUG, Group, Switches
from p2pslinger.cli.words import printable
from p2pslinger.errors import SlingerError

FAILED = 1
TYPED_WRONGLY = 2
INTERRUPTED = 130

#: What a file says to which the output is sent, once it takes no more.
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}

#: What click calls numbers, the longer names first, and what people do.
NUMBERS = {
    "integer range": "a whole number",
    "integer": "a whole number",
    "float range": "a number",
    "float": "a number",
}

EPILOG = "slinger init\nslinger up\nslinger run my_script.py"


@click.group(cls=Group, epilog=EPILOG, no_args_is_help=False)
@click.version_option(__version__, message="slinger %(version)s")
def slinger() -> None:
    """Several machines, ordinary Python functions, no server.

    `slinger init` makes a grid, `slinger up` starts this machine's peer, and any
    Python program that uses p2pslinger.connect() computes on all of them.
    """


slinger.params.append(DEBUG)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process if None) and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    switches = Switches()
    try:
        code = slinger.main(given, "slinger", standalone_mode=False, obj=switches)
        sys.stdout.flush()
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        return _nobody_reads()
    except OSError as error:
        if error.errno not in FULL or error.filename is not None:
            return _explain(error, debug=switches.debug)
        _say(f"what this prints can't be written: {error.strerror}")
        return _nobody_reads()
    except Exception as error:  # noqa: BLE001 - nothing is above to see it
        return _explain(error, debug=switches.debug)
    return code if isinstance(code, int) else 0


def _in_words(text: str) -> str:
    """Return what click says of a wrong number as a person would."""
    text = text.replace("<=x<=", " to ").replace("<=x<", " to less than ")
    for kind, words in NUMBERS.items():
        text = text.replace(f"is not a valid {kind}", f"is not {words}")
    return text


def _explain(error: Exception, *, debug: bool) -> int:
    """Tell the user what went wrong; return the exit code."""
    if debug:
        traceback.print_exception(error)
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]  # a task group wraps even a lone error
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx else "slinger"
        text = _in_words(error.format_message().rstrip("."))
        _say(f"{text} (see `{command} --help`)")
        return TYPED_WRONGLY
    if isinstance(error, click.ClickException):
        _say(error.format_message())
    elif isinstance(error, SlingerError):
        _say(str(error))
    else:
        what = f"{type(error).__name__}: {error}" if str(error) else repr(error)
        _say(
            f"this is a bug in slinger ({what}); run again with --debug for the details"
        )
    return FAILED


def _say(text: str) -> None:
    click.echo(f"Error: {printable(text, lines=True)}", err=True)


def _nobody_reads() -> int:
    """Keep the interpreter from flushing into a pipe that was closed (`| head`)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED
