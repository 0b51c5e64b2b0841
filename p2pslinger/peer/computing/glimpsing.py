"""What the slots at work show: collected with each heartbeat, for the keepers."""

from __future__ import annotations

from collections.abc import Iterable

from p2pslinger import limits
from p2pslinger.peer.computing.keepers import KeeperLink
from p2pslinger.peer.computing.station import Station
from p2pslinger.wire.glimpse import Glimpse


def show(stations: Iterable[Station]) -> None:
    """Tell every keeper what is new in the ranges that it has granted."""
    found: dict[KeeperLink, list[Glimpse]] = {}
    for station in stations:
        if station.slot is None or not station.line:
            continue
        assignment, grant = station.line[0]
        shown = station.slot.glimpse()
        if shown is None or assignment not in station.assignments:
            continue
        if not grant.start <= shown.index < grant.stop:
            continue
        glimpse = Glimpse(
            grant.job,
            grant.grant,
            grant.start,
            shown.index,
            shown.share,
            shown.offset,
            shown.text[-limits.GLIMPSE :],
        )
        found.setdefault(assignment.keeper, []).append(glimpse)
    for keeper, glimpses in found.items():
        keeper.show(glimpses[: limits.GLIMPSES])
