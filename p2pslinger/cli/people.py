"""`slinger people`, `name`, `allow`, `deny`, `ban`: what the owner says of other peers.

It is written to a file, whether or not a peer runs, and a running one is told at once.
Peers are named by petname or id: by what a peer calls itself nobody is found here, as
anybody can call himself that.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable

import click
import msgspec

from p2pslinger.cli.acquaintance import SOME_DAY, change, find, said
from p2pslinger.cli.commands import Command
from p2pslinger.cli.naming import of_name
from p2pslinger.cli.options import as_json, whole_ids
from p2pslinger.cli.render import Column, show_json, show_table
from p2pslinger.cli.words import of_id
from p2pslinger.errors import UsageError
from p2pslinger.ids import PeerId, to_text
from p2pslinger.rules.members import MARK, People

COLUMNS = (
    Column("peer"),
    Column("name", wraps=True),
    Column("is"),
    Column("since"),
)

_remove = click.option("--remove", is_flag=True, help="Take it back.")


class PersonFacts(msgspec.Struct, frozen=True):
    """What the owner says of one peer.

    Attributes:
        peer: Its id.
        petname: What the owner calls it, or "".
        standing: "allowed", "denied", "banned" or "".
        since: Day since when, or "" if nobody has written it down.
    """

    peer: str
    petname: str
    standing: str
    since: str


@click.command(cls=Command, epilog="slinger people\nslinger people --json")
@as_json
@whole_ids
def people(as_json: bool, whole: bool) -> None:
    """Show what you have said of other peers.

    Petnames, and who is allowed, denied or banned on this machine. It is kept in
    people.toml beside the settings file.
    """
    facts = _facts(said())
    if as_json:
        show_json(facts)
    elif not facts:
        click.echo("nothing is said of any peer yet: see `slinger name --help`")
    else:
        show_table(COLUMNS, [row(one, whole=whole) for one in facts])


@click.command(
    cls=Command,
    epilog='slinger name k3mvb2a "grandma\'s laptop"\nslinger name k3mvb2a --remove',
)
@click.argument("peer")
@click.argument("petname", required=False)
@_remove
def name(peer: str, petname: str | None, remove: bool) -> None:
    """Give a peer a name of your own.

    It is shown wherever the peer is, as @NAME, and PEER can be said by it. A name that
    a peer gives itself is shown without the @ and can't be relied on.
    """
    if remove == (petname is not None):
        raise click.UsageError("give a name, or --remove to take it away")
    found = find(peer)
    if petname is None:
        change(lambda people: people.without_name(found))
        click.echo(f"peer {of_id(to_text(found))} has no petname any more")
    else:
        wanted = petname
        after = change(lambda people: people.with_name(found, wanted))
        click.echo(f"peer {of_id(to_text(found))} is {MARK}{after.petnames[found]} now")


@click.command(cls=Command, epilog="slinger allow @grandma\nslinger allow --remove k3m")
@click.argument("peer")
@_remove
def allow(peer: str, remove: bool) -> None:
    """Treat a peer as your own.

    Its jobs run here even where tasks can't be confined well, and your programs
    unpickle its results: whoever runs it could run code in them. Say it of your own
    machines, and of people to whom you would give a login.
    """
    _list(
        peer, "allowed", People.allow, remove,
        "is treated as your own: your programs unpickle its results",
    )  # fmt: skip


@click.command(
    cls=Command, epilog="slinger deny k3mvb2a\nslinger deny --remove k3mvb2a"
)
@click.argument("peer")
@_remove
def deny(peer: str, remove: bool) -> None:
    """Compute nothing for a peer's jobs.

    All else goes on: it may compute for you, and be a neighbour.
    """
    _list(peer, "denied", People.deny, remove, "gets nothing computed here")


@click.command(cls=Command, epilog="slinger ban k3mvb2a\nslinger ban --remove k3mvb2a")
@click.argument("peer")
@_remove
def ban(peer: str, remove: bool) -> None:
    """Have nothing to do with a peer.

    This machine does not connect to it, passes nothing of it on, keeps and computes
    none of its jobs and takes no results from it; of a started job other keepers may
    still take some, and pass them on. That is a filter on this machine against
    nuisance: others go on, and a member can make itself a new id. Who must go, goes by
    `slinger rekey --expel`.
    """
    _list(peer, "banned", People.ban, remove, "is banned: no connection, nothing kept")


def _list(
    peer: str,
    kind: str,
    put_on: Callable[[People, PeerId, str], People],
    remove: bool,
    told: str,
) -> None:
    """Put a peer on a list, or take it off."""
    found = find(peer)
    shown = _called(found)
    if remove:
        if found not in getattr(said(), kind):
            raise UsageError(f"{shown} is not {kind}: nothing was changed")
        change(lambda people: people.unlist(found, kind))
        click.echo(f"{shown} is not {kind} any more")
        return
    today = datetime.date.today().isoformat()
    change(lambda people: put_on(people, found, today))
    click.echo(f"{shown} {told}")


def row(one: PersonFacts, *, whole: bool) -> tuple[str, ...]:
    """Return a peer's line of the table."""
    name = of_name("", one.petname)
    return (of_id(one.peer, whole=whole), name, one.standing, one.since)


def _facts(people: People) -> tuple[PersonFacts, ...]:
    facts = []
    for peer in people.everybody():
        standing, since = "", ""
        for kind in ("allowed", "denied", "banned"):
            listed = getattr(people, kind)
            if peer in listed:
                standing, since = kind, listed[peer].replace(SOME_DAY, "")
        petname = people.petnames.get(peer, "")
        facts.append(PersonFacts(to_text(peer), petname, standing, since))
    return tuple(facts)


def _called(peer: PeerId) -> str:
    petname = said().petnames.get(peer, "")
    shown = of_id(to_text(peer))
    return f"peer {shown} ({MARK}{petname})" if petname else f"peer {shown}"
