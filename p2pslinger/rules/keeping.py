"""Who keeps a job, who appoints whom, and who may go.

The owner names the keepers in a control record. While no owner is there, the first of
them that is alive appoints another in the place of one that has been silent for long.
Both halves of a grid that was split may do so; once they are one again, those without a
place hand over and resign.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from p2pslinger.ids import JobId, PeerId
from p2pslinger.wire.records import Appointment, Control

#: Seconds after which a keeper that has been silent is replaced: long enough for a
#: restart, short enough that two losses in a row are rare.
REPLACE_AFTER = 30.0

#: Seconds that each further keeper waits longer before it appoints somebody.
TURN = 30.0

#: Appointments that may lead to one keeper: whoever the owner has trusted with a job
#: may pass that on, but not for ever.
DEPTH = 3

#: Seconds that a peer must have been known to come before all newer ones.
LONG_KNOWN = 3600.0


@dataclass(frozen=True, slots=True)
class Places:
    """A job's keepers.

    Attributes:
        keepers: Who hold its places, in order.
        extra: Who keep it without a place: since a split, or since they were replaced.
        depth: How many appointments lead to each.
    """

    keepers: tuple[PeerId, ...]
    extra: frozenset[PeerId]
    depth: dict[PeerId, int]

    @property
    def all(self) -> set[PeerId]:
        """Return everybody who keeps it."""
        return {*self.keepers, *self.extra}


def places(
    control: Control | None, appointed: Iterable[tuple[bytes, PeerId, Appointment]]
) -> Places:
    """Return who keeps a job.

    Args:
        control: What its owner has said last.
        appointed: Appointments: id, signer, what was signed.
    """
    if control is None:
        return Places((), frozenset(), {})
    named = [PeerId(keeper) for keeper in control.keepers]
    depth = dict.fromkeys(named, 0)
    extra: set[PeerId] = set()
    valid = sorted(
        (made.depth, id, signer, made)
        for id, signer, made in appointed
        if made.sequence == control.sequence
    )
    for deep, _, signer, made in valid:
        new, old = PeerId(made.keeper), PeerId(made.instead_of)
        if signer not in depth or old not in depth or deep > DEPTH:
            continue
        if deep <= depth[old] or new in depth:
            continue
        depth[new] = deep
        if old in named:
            named[named.index(old)] = new
            extra.add(old)
        else:
            extra.add(new)
    return Places(tuple(named), frozenset(extra), depth)


def replacement(
    where: Places, me: PeerId, alive: Set[PeerId], silence: Mapping[PeerId, float]
) -> PeerId | None:
    """Return whose place this peer should fill with another, or None.

    The first living keeper does it. If it does not, because it can't, the others
    follow, one after the other.

    Args:
        where: The job's keepers.
        me: This peer.
        alive: Keepers that are heard of, this peer included.
        silence: Seconds since each of the others was heard of.
    """
    living = [one for one in where.keepers if one in alive]
    if me not in living:
        return None
    patience = REPLACE_AFTER + TURN * living.index(me)
    return next(
        (
            one
            for one in where.keepers
            if silence.get(one, 0.0) > patience and where.depth[one] < DEPTH
        ),
        None,
    )


def may_resign(
    where: Places, me: PeerId, alive: Set[PeerId], *, cancelled: bool
) -> bool:
    """Tell whether this peer is not needed: every place is held by a living keeper.

    Args:
        where: The job's keepers.
        me: This peer.
        alive: Keepers that are heard of.
        cancelled: The job is. Nobody fills its places any more, so one is enough that
            is held.
    """
    held = [one in alive for one in where.keepers]
    return me not in where.keepers and (any(held) if cancelled else all(held))


@dataclass(frozen=True, slots=True)
class Applicant:
    """A peer that could keep a job.

    Attributes:
        peer: Who.
        known: Seconds since it was first heard of.
    """

    peer: PeerId
    known: float


def in_order(applicants: Iterable[Applicant], job: JobId) -> Sequence[PeerId]:
    """Return peers in the order in which they should be asked to keep a job.

    Long-known ones first; among them closeness to the job's id decides, so that the
    jobs of a grid are spread over it.
    """
    at = int.from_bytes(job, "big")
    ordered = sorted(
        applicants,
        key=lambda one: (
            one.known < LONG_KNOWN,
            int.from_bytes(one.peer, "big") ^ at,
        ),
    )
    return [one.peer for one in ordered]
