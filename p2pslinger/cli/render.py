"""How facts are shown: tables, pairs, sentences, or JSON.

On a terminal a table is drawn by rich; one that is too narrow for it gets a block of
lines for each row, so that an id is never cut off. Anywhere else (a pipe, a file) it is
plain text in columns, one row a line, nothing cut off: what `grep` and `awk` expect.
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

#: Characters below which a column of text is no longer read with pleasure.
LEAST = 12


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        title: What stands above it.
        number: Aligned at the right end.
        wraps: Its text may take several lines on a terminal. Ids and numbers may not.
    """

    title: str
    number: bool = False
    wraps: bool = False


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
    """Draw a table on the terminal, or a block for each row if it is too narrow."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not _fits(columns, rows, console.width):
        used = [i for i in range(len(columns)) if any(row[i] for row in rows)]
        columns = [columns[i] for i in used]
        rows = [[row[i] for i in used] for row in rows]
    if not _fits(columns, rows, console.width):
        for i, row in enumerate(rows):
            click.echo("\n" if i else "", nl=False)
            pairs = zip((column.title for column in columns), row, strict=True)
            show_pairs([(title, cell) for title, cell in pairs if cell])
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 0, 0, 1))
    for column in columns:
        table.add_column(
            column.title,
            justify="right" if column.number else "left",
            no_wrap=not column.wraps,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: "[red]" is no markup
    console.print(table)


def _fits(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> bool:
    """Tell whether a table can be drawn with nothing cut off."""
    from rich.cells import cell_len

    needed = 2 * len(columns)  # between them, and at both ends
    for i, column in enumerate(columns):
        widest = max((cell_len(row[i]) for row in rows), default=0)
        widest = min(widest, LEAST) if column.wraps else widest
        needed += max(widest, cell_len(column.title))
    return needed <= width


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
