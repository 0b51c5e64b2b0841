"""`slinger peers`: who is in the grid, as seen from here."""

from __future__ import annotations

import click

from p2pslinger.cli.ask import ask
from p2pslinger.cli.checked import said_of_record
from p2pslinger.cli.commands import Command
from p2pslinger.cli.naming import of_name
from p2pslinger.cli.options import as_json, whole_ids
from p2pslinger.cli.render import Column, show_json, show_table
from p2pslinger.cli.words import duration, of_id
from p2pslinger.wire.control import GetPeers, Peers
from p2pslinger.wire.facts import PeerFacts

COLUMNS = (
    Column("peer"),
    Column("name", wraps=True),
    Column("slots", number=True),
    Column("sandbox"),
    Column("python"),
    Column("slinger"),
    Column("connected", number=True),
    Column("clock", number=True),
    Column("address", wraps=True),
    Column("why not", wraps=True),
)

#: Seconds of difference between two clocks that are not worth a number.
NEGLIGIBLE = 1.0


@click.command(cls=Command, epilog="slinger peers\nslinger peers --json")
@as_json
@whole_ids
def peers(as_json: bool, whole: bool) -> None:
    """Show who is in the grid.

    This machine's peer comes first, then those that it is connected to. They know
    others: what is submitted here reaches them as well. "why not" is what keeps a peer
    from computing for other members; `slinger why` says more, there. A peer that has
    given wrong results gets no more of this machine's work for a while.
    """
    facts = ask(GetPeers(), Peers).facts
    if as_json:
        show_json(facts)
    else:
        show_table(COLUMNS, [row(peer, whole=whole) for peer in facts])


def row(peer: PeerFacts, *, whole: bool) -> tuple[str, ...]:
    """Return a peer's line of the table."""
    return (
        of_id(peer.peer, whole=whole),
        of_name(peer.name, peer.petname),
        f"{peer.slots:,}",
        peer.sandbox,
        ", ".join(peer.pythons),
        peer.software,
        "this peer" if peer.this else duration(peer.connected),
        "" if abs(peer.clock) < NEGLIGIBLE else f"{peer.clock:+.0f} s",
        ", ".join(peer.addresses),
        peer.why or said_of_record(peer),
    )
