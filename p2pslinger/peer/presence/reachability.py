"""Reachability: whether others can dial this peer, as others have tried.

1. Neighbours are asked to dial back. One that comes from outside (it sees us by another
   address than ours, or lives in another network) knows better than one next to us,
   which would get in where nobody else does.
2. Streams and datagrams are tried. Who can't be dialled by stream publishes no address;
   who can't be reached by both is a client of the directory.
3. Where nobody can judge, it is unknown, and everyone counts as reachable. What was
   found stays until it is found otherwise, or until the machine has moved.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from p2pslinger.errors import SlingerError
from p2pslinger.ids import PeerId, short
from p2pslinger.net.knocking import TOKEN
from p2pslinger.peer.events import Events, Reached
from p2pslinger.peer.links import Link, Links
from p2pslinger.wire.acquainting import DialBack, DialledBack
from p2pslinger.wire.ownfacts import ReachFacts

#: Seconds between two checks, once something is known.
EVERY = 600.0

#: Seconds until the first one: connections that are about to be closed again are gone.
FIRST = 1.0

#: Seconds between two checks at least: neighbours may change all the time. And until
#: the next one after they have, for who is dialled without trouble.
PAUSE, CALM = 60.0, 300.0

#: Neighbours that are asked in one check, at most: one that gets through is enough.
JUDGES = 3

#: Seconds that an answer may take, a dial that times out included; and that datagrams
#: may be later than it.
PATIENCE, LATE = 12.0, 1.0

#: Leading bits that two addresses of one network have in common, for IPv4 and IPv6.
NETWORK_BITS = {4: 16, 6: 48}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one judge has found.

    Attributes:
        judge: Who.
        host: The address at which it has seen and dialled us.
        stream: We have answered there.
        datagrams: Some have arrived; None if it could send none.
        outside: It knows how we look from outside.
    """

    judge: PeerId
    host: str
    stream: bool
    datagrams: bool | None
    outside: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known.

    Attributes:
        state: "reachable", "unreachable", "unknown".
        why: A sentence.
        hosts: Addresses at which somebody got through.
        datagrams: They get in as well, or nobody could tell.
    """

    state: str = "unknown"
    why: str = "nobody has tried to dial this peer yet"
    hosts: tuple[str, ...] = ()
    datagrams: bool = True

    @property
    def can_be_dialled(self) -> bool:
        """Return whether it is worth telling others where we are."""
        return self.state != "unreachable"

    @property
    def serves(self) -> bool:
        """Return whether we are of use to the directory."""
        return self.can_be_dialled and self.datagrams


def decide(verdicts: Sequence[Verdict]) -> Standing:
    """Return what verdicts, one at least, come to."""
    deciding = [one for one in verdicts if one.outside] or list(verdicts)
    good = [one for one in deciding if one.stream]
    if not good:
        last = deciding[-1]
        why = (
            f"peer {short(last.judge)} could not dial it at {last.host}: a router or "
            "firewall keeps others out"
        )
        return Standing("unreachable", why)
    hosts = tuple(dict.fromkeys(one.host for one in good))
    why = f"peer {short(good[0].judge)} has dialled it at {hosts[0]}"
    if any(one.datagrams is not False for one in good):
        return Standing("reachable", why, hosts)
    return Standing("reachable", f"{why}, but datagrams do not get in", hosts, False)


def is_outside(seen: str, own: Iterable[str], judge: str) -> bool:
    """Return whether a judge knows how we look from outside.

    Args:
        seen: The address at which it sees us.
        own: This machine's addresses.
        judge: The address at which we see it.
    """
    if seen not in own:
        return _is_public(seen)
    return not any(_same_network(judge, mine) for mine in own)


class Reachability:
    """Finds out whether others can dial us.

    Args:
        links: Whom to ask.
        port: Gives our port.
        addresses: Gives this machine's own addresses, best first.
        rng: Chooses judges, and spreads the checks.
        changed: Called when the standing has changed.
        events: Where to report.
    """

    def __init__(
        self,
        *,
        links: Links,
        port: Callable[[], int],
        addresses: Callable[[], list[str]],
        rng: random.Random,
        changed: Callable[[], None],
        events: Events,
    ) -> None:
        self._links = links
        self._port = port
        self._addresses = addresses
        self._rng = rng
        self._changed = changed
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._tokens: dict[bytes, asyncio.Future[None]] = {}
        self._sooner = asyncio.Event()
        self._due = math.inf
        self._checked = -math.inf
        self._since = self._loop.time()
        self.standing = Standing()

    # --- what is known ------------------------------------------------------------

    def hosts(self) -> list[str]:
        """Return where others may dial us, what has worked first; none if nowhere."""
        if not self.standing.can_be_dialled:
            return []
        own = self._addresses()
        seen = [one for one in self.standing.hosts if one in own or _is_public(one)]
        return list(dict.fromkeys([*seen, *own]))

    def facts(self) -> ReachFacts:
        """Return what is known, for people."""
        standing = self.standing
        since = self._loop.time() - self._since
        port = self._port()
        return ReachFacts(standing.state, since, standing.why, _advice(standing, port))

    # --- what happens -------------------------------------------------------------

    def joined(self, link: Link) -> None:
        """A new neighbour could tell."""
        pause = {"unknown": FIRST, "unreachable": PAUSE}.get(self.standing.state, CALM)
        self._check_in(pause * self._rng.uniform(1.0, 1.5))

    def left(self, link: Link) -> None:
        """The network may be another: see what the others say."""
        if self._links.open:
            self._check_in(CALM * self._rng.uniform(1.0, 1.5))

    def moved(self) -> None:
        """This machine has other addresses: nothing is known any more."""
        self._stand(Standing(why="this machine's addresses have changed"))
        self._checked = -math.inf
        self._check_in(FIRST)

    def knocked(self, token: bytes) -> bool:
        """Hear a datagram that we have asked somebody for."""
        arrived = self._tokens.get(token)
        if arrived is not None and not arrived.done():
            arrived.set_result(None)
        return arrived is not None

    async def keep_checking(self) -> None:
        """Check whenever it is due, for ever."""
        while True:
            self._sooner.clear()
            pause = self._due - self._loop.time()
            try:
                async with asyncio.timeout(None if pause == math.inf else pause):
                    await self._sooner.wait()
            except TimeoutError:
                await self.check()

    def _check_in(self, seconds: float) -> None:
        due = max(self._loop.time() + seconds, self._checked + PAUSE)
        if due < self._due:
            self._due = due
            self._sooner.set()

    # --- checking -----------------------------------------------------------------

    async def check(self) -> None:
        """Ask some neighbours, until one gets through."""
        self._due = math.inf
        verdicts = []
        for judge in self._judges():
            verdict = await self._ask(judge)
            if verdict is not None:
                verdicts.append(verdict)
                if verdict.stream and verdict.datagrams is not False:
                    break
        self._checked = self._loop.time()
        if verdicts:
            self._stand(decide(verdicts))
        sure = self.standing.serves and bool(verdicts)
        if sure or len(verdicts) > 1:
            self._check_in(EVERY * self._rng.uniform(0.9, 1.1))
        elif self._links.open:
            self._check_in(PAUSE)

    def _judges(self) -> list[Link]:
        """Return whom to ask: one at each address, those from elsewhere first."""
        links = list(self._links.open.values())
        self._rng.shuffle(links)
        own = self._addresses()
        links.sort(
            key=lambda li: any(_same_network(li.connection.host, a) for a in own)
        )
        at = {link.connection.host: link for link in reversed(links)}
        return [link for link in links if at[link.connection.host] is link][:JUDGES]

    async def _ask(self, judge: Link) -> Verdict | None:
        """Return a neighbour's verdict; None if it gives none."""
        token = self._rng.randbytes(TOKEN)
        arrived = self._tokens[token] = self._loop.create_future()
        try:
            answer = await judge.connection.request(
                DialBack(self._port(), token), timeout=PATIENCE
            )
            if not isinstance(answer, DialledBack):
                return None
            heard = None
            if answer.datagrams:
                await asyncio.wait([arrived], timeout=LATE)
                heard = arrived.done()
        except SlingerError:
            return None
        finally:
            del self._tokens[token]
        seen, at = answer.host, judge.connection.host
        outside = is_outside(seen, self._addresses(), at)
        return Verdict(judge.peer, seen, answer.stream, heard, outside)

    def _stand(self, standing: Standing) -> None:
        before, self.standing = self.standing, standing
        if before.state != standing.state:
            self._since = self._loop.time()
            self._events.emit(Reached(standing.state, standing.why))
        if (before.state, before.hosts, before.datagrams) != (
            standing.state,
            standing.hosts,
            standing.datagrams,
        ):
            self._changed()


def _advice(standing: Standing, port: int) -> str:
    """Return what the owner could do about it, or ""."""
    if standing.state == "unreachable":
        return (
            "it works all the same: it dials out. To let others dial it, forward port "
            f"{port}, TCP and UDP, to this machine in the router, and open it in the "
            "firewall"
        )
    if not standing.datagrams:
        return f"open port {port} for UDP as well, as it is for TCP"
    return ""


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return an address; the unspecified one for what is none."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return ipaddress.IPv6Address(0)


def _is_public(text: str) -> bool:
    """Return whether an address means the same to more than its own neighbours."""
    found = _address(text)
    near = found.is_loopback or found.is_link_local
    return not (near or found.is_multicast or found.is_unspecified)


def _same_network(one: str, other: str) -> bool:
    """Return whether two addresses probably lie behind the same router."""
    first, second = _address(one), _address(other)
    if first.version != second.version:
        return False
    shift = first.max_prefixlen - NETWORK_BITS[first.version]
    return int(first) >> shift == int(second) >> shift
