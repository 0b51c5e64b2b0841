"""What `slinger doctor` is told from inside a peer: a function for each thing examined.

What can be seen without a peer is in `p2pslinger.cli.checks`, and what there is to say
about the sandbox in `sandboxreport`.
"""

from __future__ import annotations

from collections.abc import Iterable

from p2pslinger.peer.computing.offering import Offering
from p2pslinger.peer.computing.volunteer import Volunteer
from p2pslinger.peer.links import Links
from p2pslinger.peer.presence.presence import Presence
from p2pslinger.wire.ownfacts import CheckFacts, RekeyFacts

#: Seconds that a clock may be off before `doctor` says so; two minutes break things.
CLOCK_NOTED = 30.0


def ports(listening: Iterable[str]) -> CheckFacts:
    """Say where the peer listens, as "host:port"."""
    return CheckFacts("ports", True, f"listening on {', '.join(listening)}", "")


def reach(presence: Presence) -> CheckFacts:
    """Say whether others can dial the peer."""
    facts = presence.reach.facts()
    return CheckFacts("reachable", True, f"{facts.state}: {facts.text}", facts.advice)


def clock(presence: Presence, links: Links) -> CheckFacts:
    """Say whether the machine's clock agrees with the neighbours'."""
    if wrong := presence.clock.notes():
        return CheckFacts("clock", False, wrong[0], "")
    off = [link.clock for link in links.open.values()]
    if not off:
        return CheckFacts("clock", True, "no neighbour to compare it with", "")
    worst = max(off, key=abs)
    if abs(worst) < CLOCK_NOTED:
        return CheckFacts("clock", True, "agrees with the neighbours'", "")
    way = "ahead" if worst > 0 else "behind"
    text = f"a neighbour's clock is {abs(worst):.0f} s {way}"
    return CheckFacts("clock", False, text, "set this machine's clock, best by NTP")


def authkeys(rekeying: RekeyFacts | None) -> tuple[CheckFacts, ...]:
    """Say how far the grid has gone over to its newest authkey, if there is another."""
    if rekeying is None:
        return ()
    used = f"{rekeying.newer} of {rekeying.known} neighbours"
    return (CheckFacts("authkeys", True, f"the newest is used by {used}", ""),)


def neighbours(links: Links) -> CheckFacts:
    """Say how many peers are connected."""
    if links.open:
        return CheckFacts("neighbours", True, f"connected to {len(links.open)}", "")
    return CheckFacts(
        "neighbours",
        False,
        "no other peer is known",
        "start one on another machine with the same authkey, or name one "
        "with `slinger up --bootstrap HOST`",
    )


def discovery(notes: list[str]) -> CheckFacts:
    """Say what there is to note about finding others."""
    if not notes:
        return CheckFacts("discovery", True, "nothing to complain about", "")
    return CheckFacts("discovery", False, "; ".join(notes), "check the addresses")


def slots(volunteer: Volunteer, offering: Offering) -> CheckFacts:
    """Say how many slots have their process, and why not more."""
    text = f"{volunteer.ready} of {len(volunteer.stations)} ready"
    if volunteer.ready == len(volunteer.stations):
        pythons = ", ".join(offering.pythons)
        return CheckFacts("slots", True, f"{text}, Python {pythons}", "")
    if volunteer.broken:
        text += f": {volunteer.broken}"
    return CheckFacts(
        "slots", False, text, "wait a moment, then look at the peer's log"
    )


def pythons(offering: Offering) -> CheckFacts:
    """Say which interpreters slots can be of, and what is wrong with those listed."""
    if notes := offering.notes():
        return CheckFacts(
            "pythons", False, "; ".join(notes), "correct the setting `pythons`"
        )
    return CheckFacts("pythons", True, offering.describe(), "")
