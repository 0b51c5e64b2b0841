"""How facts are shown: tables, pairs, sentences, or JSON.

On a terminal a table is drawn by rich. Anywhere else (a pipe, a file) it is plain
text in columns, one row a line, nothing cut off: what `grep` and `awk` expect.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import click
import msgspec

from p2pslinger.cli.words import counted, duration, printable, printable_json, when
from p2pslinger.wire.facts import ReasonFacts


@dataclass(frozen=True, slots=True)
class Column:
    """A column's title; numbers are aligned at their right end."""

    title: str
    number: bool = False


def show_json(facts: msgspec.Struct | Sequence[msgspec.Struct]) -> None:
    """Print facts exactly as they are, as JSON."""
    said = msgspec.json.format(msgspec.json.encode(facts), indent=2)
    click.echo(printable_json(said.decode()))


def show_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, drawn if somebody watches."""
    clean = [[printable(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        draw(columns, clean)
    else:
        click.echo("\n".join(plain(columns, clean)))


def plain(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table's lines: titles, then rows, in columns two spaces apart."""
    lines = [[column.title for column in columns], *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    return [
        "  ".join(
            cell.rjust(width) if column.number else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        ).rstrip()
        for line in lines
    ]


def draw(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Draw a table on the terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.title, justify="right" if column.number else "left")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: "[red]" is no markup
    Console(highlight=False).print(table)


def show_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Print names and values, a pair a line."""
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        click.echo(f"{name.ljust(width)}  {printable(value)}".rstrip())


def show_reason(reason: ReasonFacts) -> None:
    """Print why something waits, since when, and what would change it."""
    lines = [("waiting", reason.text), ("", excluded(reason))]
    if reason.since:
        age = duration(max(0.0, time.time() - reason.since))
        lines.append(("since", f"{when(reason.since)}, for {age}"))
    lines += [("until", reason.ends), ("advice", reason.advice)]
    for title, text in lines:
        if text:
            click.echo(f"{f'{title}:' if title else '':<9}{printable(text)}")


def excluded(reason: ReasonFacts) -> str:
    """Return which peers can't compute what waits: "2 of 3 peers: busy; 1: paused"."""
    parts = [f"{one.peers}: {one.text}" for one in reason.excluded]
    if parts:
        first = reason.excluded[0]
        parts[0] = f"{first.peers} of {counted(reason.peers, 'peer')}: {first.text}"
    return "; ".join(parts)
