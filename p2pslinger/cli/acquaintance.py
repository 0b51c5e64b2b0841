"""What the owner says of others: read, changed, and asked who is meant.

It is in a file, so that it can be said whether or not a peer runs; a running one is
told at once. Nobody is found by what he calls himself: anybody can call himself that.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from p2pslinger import paths
from p2pslinger.cli.ask import open_link, put
from p2pslinger.cli.words import printable
from p2pslinger.errors import UnavailableError, UsageError
from p2pslinger.ids import PeerId, from_text, starting_with
from p2pslinger.rules.members import MARK, People
from p2pslinger.store import people as files
from p2pslinger.store.keyfile import load_identity
from p2pslinger.store.people import SOME_DAY
from p2pslinger.wire.control import Done, GetPeers, GetTally, Peers, Reread, Tally

__all__ = ["SOME_DAY", "change", "find", "said", "tell"]


def said() -> People:
    """Return what the owner has said.

    Raises:
        UsageError: the file can't be understood.
    """
    return files.load(_file())


def change(by: Callable[[People], People]) -> People:
    """Change the file, and have a running peer read it; return what it says now."""
    _, after = files.change(_file(), by)
    tell()
    return after


def tell() -> None:
    """Have a running peer read its files anew; one that starts later does it then."""
    try:
        with open_link() as link:
            put(link, Reread(), Done)
    except UnavailableError:
        pass


def _file() -> Path:
    return paths.config_folder() / files.NAME


def find(text: str) -> PeerId:
    """Return the peer that is meant by a petname, an id, or the beginning of one.

    Raises:
        UsageError: there is none, there are several, or it is this machine's own.
    """
    people = said()
    found = people.named(text) or _by_id(text, people)
    own = load_identity(paths.default_data_folder())
    if own is not None and own.id == found:
        raise UsageError("that is this machine's own peer")
    return found


def _by_id(text: str, people: People) -> PeerId:
    wanted = text.strip().lower()
    known = {*people.everybody(), *_met()}
    try:
        found = starting_with(wanted, known, "peers")
        if found is None and not wanted.startswith(MARK):
            found = PeerId(from_text(wanted))
    except UsageError as error:
        if "start with" in str(error):
            raise
        found = None
    if found is None:
        raise UsageError(
            f"no peer is known here by {printable(text)!r}: use a petname (`slinger "
            "people`), or an id or the beginning of one (`slinger peers`, `slinger "
            "tally`)"
        )
    return found


def _met() -> set[PeerId]:
    """Return the peers that this machine's peer knows, if it runs."""
    try:
        with open_link() as link:
            texts = {one.peer for one in put(link, GetPeers(), Peers).facts}
            texts |= {one.peer for one in put(link, GetTally(), Tally).facts}
    except UnavailableError:
        return set()
    return {PeerId(from_text(text)) for text in texts}
