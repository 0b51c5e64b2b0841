"""Arguments in a file, one JSON value a line: each is what one task is called with.

All lines are read before anything is submitted, so that a wrong one costs nothing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

#: The name that means standard input.
STDIN = "-"


def read_arguments(name: str, *, star: bool) -> list[object]:
    """Read the arguments of a job's tasks; empty lines are passed over.

    Args:
        name: The file, or "-".
        star: Every line is an array, and its items are the call's arguments.

    Raises:
        BadParameter: the file can't be read, has no lines, or a line is wrong; which.
    """
    shown = "standard input" if name == STDIN else name
    try:
        if name == STDIN:
            found = list(_parsed(sys.stdin.buffer, shown, star=star))
        else:
            with Path(name).open("rb") as file:
                found = list(_parsed(file, shown, star=star))
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise click.BadParameter(f"{name} can't be read: {why}") from None
    if not found:
        raise click.BadParameter(
            f"{shown} has no arguments: write one JSON value a line, one for each task"
        )
    return found


def _parsed(lines: Iterable[bytes], shown: str, *, star: bool) -> Iterator[object]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"line {number} of {shown}"
        value = _value(line, where)
        if not star:
            yield value
        elif isinstance(value, list):
            yield tuple(value)
        else:
            raise click.BadParameter(
                f"{where} is no array, and --star wants one for each call"
            )


def _value(line: bytes, where: str) -> object:
    try:
        value: object = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise click.BadParameter(f"{where} is no text in UTF-8") from None
    except json.JSONDecodeError as error:
        raise click.BadParameter(
            f"{where} is no JSON value: {error.msg.lower()} at column {error.colno}"
        ) from None
    except RecursionError:
        raise click.BadParameter(f"{where} is nested too deeply") from None
    return value
