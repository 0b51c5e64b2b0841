"""Who keeps a job, as its owner sees it."""

from __future__ import annotations

from collections.abc import Sequence

from p2pslinger.cli.naming import of_name
from p2pslinger.cli.render import Column, show_table
from p2pslinger.cli.words import counted, duration, of_id
from p2pslinger.wire.facts import JobFacts, KeeperFacts

COLUMNS = (
    Column("keeper"),
    Column("name", wraps=True),
    Column("state"),
    Column("for", number=True),
    Column("holds"),
)


def show_keepers(keepers: Sequence[KeeperFacts], *, whole: bool) -> None:
    """Print keepers as a table."""
    show_table(COLUMNS, [row(one, whole=whole) for one in keepers])


def row(one: KeeperFacts, *, whole: bool) -> tuple[str, ...]:
    """Return a keeper's line of the table."""
    return (
        of_id(one.peer, whole=whole),
        of_name(one.name, one.petname),
        one.state,
        duration(one.since),
        "all of it" if one.holds else "not all yet",
    )


def there(job: JobFacts) -> int:
    """Count the keepers that can be asked now."""
    return sum(one.state in {"here", "connected"} for one in job.keepers)


def kept_of(job: JobFacts) -> str:
    """Return by how many a job is kept."""
    return f"kept by {there(job)} of {counted(job.wanted, 'peer')}"
