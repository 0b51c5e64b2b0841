"""What this machine's owner has said of the grid's other members.

`People` is what the owner's file holds: petnames, and who is allowed, denied, banned.
`Members` decides by it. A peer may call itself what it likes, and have as many ids as
it likes; so nothing here goes by a name that a peer gives itself.

- allowed: as good as the owner's own. Its jobs run whatever the sandbox is worth, and
  the owner's programs unpickle its results.
- denied: nothing is computed for it. All else goes on.
- banned: no connection, and nothing of it is kept, passed on or taken. A filter against
  nuisance, on this machine alone; who must go, goes by `slinger rekey --expel`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from p2pslinger.errors import UsageError
from p2pslinger.ids import PeerId, from_text, short

#: Characters of a petname: it goes into a column of a table.
PETNAME = 60

#: What stands before a petname wherever one is shown, and in no claimed name.
MARK = "@"

#: Peers that one owner has something to say of, at most: far more than anyone types.
PEOPLE = 10_000

#: What a list says of somebody: since when, as the owner's file has it.
Listed = Mapping[PeerId, str]


@dataclass(frozen=True, slots=True)
class People:
    """What the owner has said of others.

    Attributes:
        petnames: What the owner calls them.
        allowed: Who is as good as the owner's own, since when.
        denied: For whom nothing is computed.
        banned: With whom this machine has nothing to do.
    """

    petnames: Mapping[PeerId, str] = field(default_factory=dict)
    allowed: Listed = field(default_factory=dict)
    denied: Listed = field(default_factory=dict)
    banned: Listed = field(default_factory=dict)

    def everybody(self) -> list[PeerId]:
        """Return all of whom something is said, those with a petname first."""
        listed = (*self.petnames, *self.allowed, *self.denied, *self.banned)
        return list(dict.fromkeys(listed))

    def named(self, name: str) -> PeerId | None:
        """Return who has a petname, given with or without its mark."""
        wanted = name.strip().removeprefix(MARK).casefold()
        for peer, known in self.petnames.items():
            if known.casefold() == wanted:
                return peer
        return None

    def with_name(self, peer: PeerId, name: str) -> People:
        """Give a peer a petname, its only one.

        Raises:
            UsageError: it can't be one, or another peer has it.
        """
        name = checked_name(name)
        holder = self.named(name)
        if holder not in {None, peer}:
            raise UsageError(f"{MARK}{name} is another peer already: choose another")
        return replace(self, petnames={**self.petnames, peer: name})

    def without_name(self, peer: PeerId) -> People:
        """Take a peer's petname away."""
        return replace(self, petnames=_without(self.petnames, peer))

    def allow(self, peer: PeerId, since: str) -> People:
        """Count a peer among the owner's own.

        Raises:
            UsageError: it is banned.
        """
        self._check_unbanned(peer)
        allowed = {**self.allowed, peer: since}
        return replace(self, allowed=allowed, denied=_without(self.denied, peer))

    def deny(self, peer: PeerId, since: str) -> People:
        """Compute nothing for a peer.

        Raises:
            UsageError: it is banned.
        """
        self._check_unbanned(peer)
        denied = {**self.denied, peer: since}
        return replace(self, denied=denied, allowed=_without(self.allowed, peer))

    def ban(self, peer: PeerId, since: str) -> People:
        """Have nothing to do with a peer."""
        allowed, denied = _without(self.allowed, peer), _without(self.denied, peer)
        banned = {**self.banned, peer: since}
        return replace(self, allowed=allowed, denied=denied, banned=banned)

    def unlist(self, peer: PeerId, kind: str) -> People:
        """Take a peer off the list "allowed", "denied" or "banned"."""
        lists = {"allowed": self.allowed, "denied": self.denied, "banned": self.banned}
        return replace(self, **{kind: _without(lists[kind], peer)})

    def _check_unbanned(self, peer: PeerId) -> None:
        if peer in self.banned:
            shown = self.petnames.get(peer) or short(peer)
            raise UsageError(
                f"peer {shown} is banned: `slinger ban {shown} --remove` ends that"
            )


@dataclass(frozen=True, slots=True)
class Members:
    """What follows for the peer.

    Attributes:
        me: This peer: always its own, never banned.
        trusting: Every member counts as the owner's own (`--trust-members`).
        people: What the owner has said.
        unsure: Nobody knows what that is: so nobody else is trusted, or computed for.
    """

    me: PeerId
    trusting: bool = False
    people: People = field(default_factory=People)
    unsure: bool = False

    def is_banned(self, peer: PeerId) -> bool:
        """Tell whether this machine has nothing to do with a peer."""
        return peer in self.people.banned and peer != self.me

    def is_mine(self, peer: PeerId) -> bool:
        """Tell whether a peer is as good as this machine's own."""
        if peer == self.me:
            return True
        if self.unsure or peer in self.people.banned or peer in self.people.denied:
            return False
        return self.trusting or peer in self.people.allowed

    def vouches_for(self, peer: PeerId) -> bool:
        """Tell whether the owner knows a peer: it has a petname, or is allowed."""
        known = peer in self.people.petnames or peer in self.people.allowed
        return known and not self.is_banned(peer) and peer not in self.people.denied

    def may_compute_for(self, peer: PeerId) -> bool:
        """Tell whether the owner lets this machine compute for a peer.

        How well its tasks have to be confined for that is another question.
        """
        if peer == self.me:
            return True
        refused = peer in self.people.banned or peer in self.people.denied
        return not refused and not self.unsure

    def petname(self, peer: PeerId) -> str:
        """Return what the owner calls a peer, or ""."""
        return self.people.petnames.get(peer, "")


def checked_name(name: str) -> str:
    """Return a petname as it is kept.

    Raises:
        UsageError: it can't be one.
    """
    name = name.strip().removeprefix(MARK).strip()
    if not 1 <= len(name) <= PETNAME or not name.isprintable():
        raise UsageError(
            f"a petname has 1 to {PETNAME} characters on one line, not {name!r:.80}"
        )
    if _is_id(name):
        raise UsageError(f"{name} is a peer's id: a petname that is one would mislead")
    return name


def _is_id(text: str) -> bool:
    try:
        from_text(text)
    except UsageError:
        return False
    return True


def _without(listed: Mapping[PeerId, str], peer: PeerId) -> dict[PeerId, str]:
    return {one: said for one, said in listed.items() if one != peer}
