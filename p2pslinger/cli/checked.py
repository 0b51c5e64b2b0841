"""What comparing results has shown, in words."""

from __future__ import annotations

from p2pslinger.cli.words import counted, duration
from p2pslinger.wire.agreeing import AgreementFacts
from p2pslinger.wire.facts import PeerFacts


def said_of(checks: AgreementFacts) -> str:
    """Return how many results were compared, and with what outcome."""
    alone = f"{checks.unchecked:,} unchecked"
    if not checks.judged:
        outcome = " (its owner knows with what outcome)" if checks.checked else ""
        return f"{checks.checked:,} by several peers{outcome}; {alone}"
    parts = [f"{checks.checked:,} by several peers: {checks.agreed:,} agreed"]
    if checks.disagreed:
        parts.append(f"{checks.disagreed:,} with somebody who did not")
    if checks.irreproducible:
        parts.append(f"{checks.irreproducible:,} not reproducible")
    return f"{', '.join(parts)}; {alone}"


def advice_on(checks: AgreementFacts) -> str:
    """Return what may be behind values that nobody can reproduce, and what helps."""
    tasks = counted(checks.irreproducible, "task")
    return (
        f"{tasks} came out differently on every peer. The first result counts, and "
        "nobody is to blame. Does the function use the time, chance that is not seeded "
        "(random and numpy.random are), or the machine? Numbers that differ in their "
        "last digits agree with a tolerance (--tolerance 1e-9)."
    )


def said_of_record(peer: PeerFacts) -> str:
    """Return why a peer gets no work of ours, or ""."""
    if not peer.barred:
        return ""
    return f"gave wrong results: no work of ours for {duration(peer.barred)}"
