"""Parked requests: for each free place of a station one at every keeper in question.

The first answer takes the place, and the others are taken back. A station that does
nothing asks everybody, once for the place in front and once for the one behind it. One
that works asks on behind, and only whoever keeps jobs of the same submitter: a slot
sees the tasks of one submitter only, so other work would just bounce. A keeper that
keeps jobs of several, and gives the wrong ones, is not asked again until the slot has
nothing to do.

A station that may not work for others asks this machine's own keeper alone, for the
machine's own work. One whose work is suspended does so too, but only if no other slot
is free: what comes takes the place of what stands still.

If several keepers keep jobs of that submitter, the one that gave work last is asked
alone for a moment, and the others only if it has nothing more. All of them would answer
at once as long as there is work, and all but one in vain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from p2pslinger import limits
from p2pslinger.peer.computing.keepers import KeeperLink
from p2pslinger.peer.computing.roster import Roster
from p2pslinger.peer.computing.station import Station
from p2pslinger.wire.messages import Grant, Want, Work
from p2pslinger.wire.needs import Offer

#: Seconds before a keeper is asked again that could not answer, or that did not have
#: what its work needs: the same question at once would have the same answer.
PAUSE = 1.0

#: Seconds for which a busy slot asks one keeper of several alone: a fraction of what a
#: range takes, and far more than an answer.
ALONE = 0.15


class Parking:
    """The open requests of all stations.

    Args:
        loop: Gives the time.
        offer: What the slots can be, to begin with.
        stations: Whose requests they are.
        roster: Knows who keeps jobs of whom.
        took: Called with the work that a station is given.
        refuse: Called with grants for which there is no place any more.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        offer: Offer,
        stations: Sequence[Station],
        roster: Roster,
        *,
        took: Callable[[Station, KeeperLink, Work], None],
        refuse: Callable[[KeeperLink, Iterable[Grant]], None],
    ) -> None:
        self._loop = loop
        self._offer = offer
        self._told: dict[KeeperLink, Offer] = {}  # what each keeper was told last
        self._stations = stations
        self._roster = roster
        self._took = took
        self._refuse = refuse
        self._keepers: list[KeeperLink] = []
        self._paused: dict[KeeperLink, asyncio.TimerHandle] = {}
        self._alone: dict[Station, asyncio.TimerHandle] = {}
        self._wide: set[Station] = set()  # those that one keeper has not answered
        self._closed = False
        self._numbers = 0

    def serve(self, keepers: Iterable[KeeperLink]) -> None:
        """Ask these keepers from now on, the first ones first."""
        self._keepers = list(keepers)[: limits.PARKED_AT]
        self._fill_all()

    def offer(self, offer: Offer) -> None:
        """Say what the slots can be from now on."""
        self._offer = offer
        for keeper in self._told:
            self._tell(keeper)

    def tell(self, keeper: KeeperLink) -> None:
        """Say to a keeper what the slots can be, unless it knows."""
        if keeper not in self._told:
            self._tell(keeper)

    def lose(self, keeper: KeeperLink) -> None:
        """Forget a keeper that is gone; it answers nothing any more."""
        self._told.pop(keeper, None)
        self._keepers = [one for one in self._keepers if one is not keeper]
        self._end_pause(keeper)
        for station in self._stations:
            station.wants = {
                number: want
                for number, want in station.wants.items()
                if want[0] is not keeper
            }

    def pause(self, keeper: KeeperLink) -> None:
        """Ask a keeper nothing for a moment."""
        if not self._closed and keeper not in self._paused:
            self._paused[keeper] = self._loop.call_later(PAUSE, self._resume, keeper)
            self._fill_all()

    def close(self) -> None:
        """Take every request back, and ask no more."""
        self._closed = True
        for timer in self._alone.values():
            timer.cancel()
        for keeper in list(self._paused):
            self._end_pause(keeper)
        self._fill_all()

    def fill(self, station: Station) -> None:
        """Park a request for each free place; take back those that are too many."""
        self._fill(station)
        for other in self._stations:
            if other.halted and other is not station:
                self._fill(other)

    def ask_anew(self, station: Station) -> None:
        """Ask for a station as if for the first time: it may take other work now."""
        for number, (keeper, _) in list(station.wants.items()):
            del station.wants[number]
            keeper.unwant(number)
        self.fill(station)

    def _fill(self, station: Station) -> None:
        places = () if self._closed else self._places(station)
        if not station.assignments:
            station.strangers.clear()
        lacking = {keeper: list(places) for keeper in self._asked(station)}
        for number, (keeper, queued) in list(station.wants.items()):
            places_there = lacking.get(keeper)
            if places_there and queued in places_there:
                places_there.remove(queued)
            else:
                del station.wants[number]
                keeper.unwant(number)
        for keeper, places_there in lacking.items():
            for queued in places_there:
                self._want(station, keeper, queued)

    # --- inside -------------------------------------------------------------------

    def _places(self, station: Station) -> tuple[bool, ...]:
        """Return a station's free places: for each, whether it is behind another."""
        if station.halted:
            others = any(one.free and not one.assignments for one in self._stations)
            return () if others or not station.free else (False,)
        if station.assignments:
            return (True,) * station.free
        return (False, True)[: station.free]

    def _fill_all(self) -> None:
        for station in self._stations:
            self.fill(station)

    def _asked(self, station: Station) -> Iterable[KeeperLink]:
        """Return the keepers that may have something for a station."""
        keepers = self._keepers
        if not station.lent:
            me = self._roster.me
            keepers = [one for one in keepers if one.peer == me]
            return [one for one in keepers if one not in self._paused]
        if station.assignments:
            submitter = station.assignments[0].job.submitter
            mates = self._roster.of_submitter(submitter)
            keepers = [
                keeper
                for keeper in keepers
                if keeper in mates or keeper.peer == submitter
                if keeper not in station.strangers
            ]
        if self._paused:
            keepers = [keeper for keeper in keepers if keeper not in self._paused]
        if station.assignments and len(keepers) > 1 and station not in self._wide:
            return [self._first(station, keepers)]
        return keepers

    def _first(self, station: Station, keepers: Sequence[KeeperLink]) -> KeeperLink:
        """Return the keeper that a busy slot asks first, for a moment alone."""
        if station.free and station not in self._alone:
            timer = self._loop.call_later(ALONE, self._widen, station)
            self._alone[station] = timer
        last = station.assignments[-1].keeper
        return last if last in keepers else keepers[0]

    def _widen(self, station: Station) -> None:
        """Ask the other keepers as well."""
        del self._alone[station]
        self._wide.add(station)
        self.fill(station)

    def _answered(self, station: Station) -> None:
        """Begin anew with one keeper: a place has been filled."""
        self._wide.discard(station)
        timer = self._alone.pop(station, None)
        if timer is not None:
            timer.cancel()

    def _want(self, station: Station, keeper: KeeperLink, queued: bool) -> None:
        self._numbers += 1
        number = self._numbers

        def answered(work: Work | None) -> None:
            if station.wants.pop(number, None) is None:
                if work is not None:  # it crossed our taking it back
                    self._refuse(keeper, work.grants)
            elif work is None:
                self.pause(keeper)
            elif work.grants:
                self._answered(station)
                self._took(station, keeper, work)

        station.wants[number] = (keeper, queued)
        self.tell(keeper)
        keeper.want(Want(number, queued, not station.lent), answered)

    def _tell(self, keeper: KeeperLink) -> None:
        self._told[keeper] = self._offer
        keeper.tell(self._offer)

    def _resume(self, keeper: KeeperLink) -> None:
        self._end_pause(keeper)
        self._fill_all()

    def _end_pause(self, keeper: KeeperLink) -> None:
        timer = self._paused.pop(keeper, None)
        if timer is not None:
            timer.cancel()
