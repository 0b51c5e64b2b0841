"""Facts as tables: in a notebook plain HTML, without styles or scripts; else columns.

Names come from other machines: everything is escaped, and cut where it is too long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from p2pslinger.wire.facts import JobFacts, PeerFacts, ReasonFacts, TallyFacts
from p2pslinger.wire.ownfacts import StatusFacts

F = TypeVar("F")

#: Characters of a cell.
CELL = 80

#: Characters of a sentence and an advice.
SENTENCE = 1000

#: Rows of a table; of a longer one the rest is counted.
ROWS = 200

#: A column: its title, and the text of a row there.
Column = tuple[str, Callable[[F], object]]


class Facts(tuple[F, ...]):
    """Facts of one kind, which a notebook shows as a table, and `print` in columns."""

    __slots__ = ()

    def __str__(self) -> str:
        return columns_of(self)

    def _repr_html_(self) -> str:
        return table_of(self)


def table_of(facts: Sequence[object]) -> str:
    """Return facts of one kind as a table; what no table is known for, as text."""
    columns = _COLUMNS.get(type(facts[0])) if facts else None
    if not facts:
        return "<p>none</p>"
    if columns is None:
        return f"<pre>{said(repr(facts))}</pre>"
    return table([title for title, _ in columns], (_row(columns, f) for f in facts))


def columns_of(facts: Sequence[object]) -> str:
    """Return facts of one kind as lines of text, in columns."""
    columns = _COLUMNS.get(type(facts[0])) if facts else None
    if columns is None:
        return repr(tuple(facts)) if facts else "none"
    rows: list[list[object]] = [[title for title, _ in columns]]
    rows += [_row(columns, fact) for fact in facts[:ROWS]]
    cells = [[clean(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]
    more = len(facts) - ROWS
    return "\n".join([*lines, *([f"and {more} more"] if more > 0 else [])])


def table(titles: Iterable[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table."""
    head = "".join(f"<th>{said(title)}</th>" for title in titles)
    lines = [
        "<tr>" + "".join(f"<td>{said(cell)}</td>" for cell in row) + "</tr>"
        for row in rows
    ]
    more = len(lines) - ROWS
    rest = f"<p>and {more} more</p>" if more > 0 else ""
    body = "".join(lines[:ROWS])
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}"


def said(value: object, most: int = CELL) -> str:
    """Return a value as text of some length that means nothing in HTML."""
    text = str(value)
    text = text if len(text) <= most else f"{text[: most - 1]}…"
    shown = "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
    from html import escape  # brings a table of all entities, and only notebooks ask

    return escape(shown, quote=True)


def clean(value: object, most: int = CELL) -> str:
    """Return a value as one line of some length, without control characters."""
    text = str(value)
    text = text if len(text) <= most else f"{text[: most - 1]}…"
    return "".join(c if c.isprintable() else "?" for c in text)


def bar(share: float) -> str:
    """Return a progress bar."""
    share = min(1.0, max(0.0, share))
    return f'<progress max="1" value="{share:.4f}"></progress> {100 * share:.1f} %'


def reason(facts: ReasonFacts | None) -> str:
    """Return why something waits, and what would change it."""
    if facts is None:
        return ""
    return f"<p>waiting: {said(f'{facts.text}; {facts.advice}', SENTENCE)}</p>"


def grid_html(status: StatusFacts, peers: Sequence[PeerFacts]) -> str:
    """Return a grid, as this machine's peer sees it."""
    what = f"{status.busy} of {status.slots} slots here busy, {len(peers)} peers"
    head = f"<p><b>grid {said(status.grid)}</b>: {what}</p>"
    return head + table_of(peers) + reason(status.idle_because)


def job_html(facts: JobFacts) -> str:
    """Return one job."""
    share = facts.computed / facts.tasks if facts.tasks else 0.0
    failed = f", {facts.failed:,} failed" if facts.failed else ""
    counts = f"{facts.computed:,} of {facts.tasks:,} tasks{failed}, {said(facts.state)}"
    head = f"<p><b>{said(facts.name)}</b> ({said(facts.job[:7])}): {bar(share)}</p>"
    who = table_of(facts.volunteers) if facts.volunteers else ""
    return f"{head}<p>{counts}</p>{reason(facts.waiting)}{who}"


def _row(columns: Sequence[Column[object]], fact: object) -> list[object]:
    return [cell(fact) for _, cell in columns]


def _first(id: str) -> str:
    return id.partition("-")[0]


_PEERS: tuple[Column[PeerFacts], ...] = (
    ("peer", lambda p: _first(p.peer)),
    ("name", lambda p: f"@{p.petname}" if p.petname else p.name),
    ("", lambda p: "this machine" if p.this else "counts as ours" if p.mine else ""),
    ("slots", lambda p: p.slots),
    ("Python", lambda p: ", ".join(p.pythons)),
    ("sandbox", lambda p: p.sandbox),
    ("for others", lambda p: p.why or "computes"),
)

_TALLY: tuple[Column[TallyFacts], ...] = (
    ("peer", lambda t: _first(t.peer)),
    ("name", lambda t: t.name),
    ("tasks", lambda t: f"{t.tasks:,}"),
    ("failed", lambda t: f"{t.failures:,}"),
    ("checks", lambda t: f"{t.checks:,}"),
    ("CPU seconds", lambda t: f"{t.cpu:,.1f}"),
    ("share", lambda t: f"{100 * t.share:.1f} %"),
)

_JOBS: tuple[Column[JobFacts], ...] = (
    ("job", lambda j: _first(j.job)),
    ("name", lambda j: j.name),
    ("state", lambda j: j.state),
    ("tasks", lambda j: f"{j.tasks:,}"),
    ("computed", lambda j: f"{j.computed:,}"),
    ("running", lambda j: f"{j.running:,}"),
    ("failed", lambda j: f"{j.failed:,}"),
)

_COLUMNS: dict[type, Sequence[Column[object]]] = {
    PeerFacts: _PEERS,  # type: ignore[dict-item]  # each for its own facts
    TallyFacts: _TALLY,  # type: ignore[dict-item]
    JobFacts: _JOBS,  # type: ignore[dict-item]
}
